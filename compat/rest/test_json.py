"""The JSON of requests and answers: protobuf's rules as the client relies on them, and bad JSON of every kind."""

import json

import pytest

LARGEST = 1.7976931348623157e308


@pytest.fixture
def run_id(api):
    return api.run()


def history(api, run_id, key="m"):
    return api.get("metrics/get-history", {"run_id": run_id, "metric_key": key}).ok().get("metrics", [])


def test_camel_case(api, unique):
    name = unique("camel")
    made = api.post("experiments/create", {"name": name, "artifactLocation": "s3://b/x"}).ok()["experiment_id"]
    seen = api.get("experiments/get", {"experiment_id": made}).ok()["experiment"]
    assert seen["artifact_location"] == "s3://b/x"
    run = api.post("runs/create", {"experiment_id": made, "startTime": 5, "runName": "x"}).ok()["run"]
    assert (run["info"]["start_time"], run["info"]["run_name"]) == (5, "x")


def test_both_spellings(api, unique):
    body = {"name": unique("both"), "artifact_location": "s3://a", "artifactLocation": "s3://b"}
    api.post("experiments/create", body).refused(400, "INVALID_PARAMETER_VALUE", "artifact_location", "artifactLocation")


@pytest.mark.parametrize("step", [7, "7", 7.0])
def test_integers_in_every_form(api, run_id, step):
    api.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": str(2**53 + 1), "step": step}).ok()
    (point,) = history(api, run_id)
    assert (point["step"], point["timestamp"]) == (7, 2**53 + 1)
    text = api.get("metrics/get-history", {"run_id": run_id, "metric_key": "m"}).text
    assert f'"timestamp":{2**53 + 1},' in "".join(text.split()), "integers of 64 bits are numbers in answers"


@pytest.mark.parametrize(
    ("value", "stored"),
    [("NaN", "NaN"), ("Infinity", LARGEST), ("-Infinity", -LARGEST), ("1.5", 1.5), (3, 3.0), (1e-320, 1e-320), ("-1e5", -1e5)],
)
def test_numbers_as_text(api, run_id, value, stored):
    api.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": value, "timestamp": 1}).ok()
    assert history(api, run_id)[0]["value"] == stored
    assert api.get_run(run_id)["data"]["metrics"][0]["value"] == stored


@pytest.mark.differs_from_stock("stock stores 0.0 for a bare NaN or Infinity token, and answers 200")
@pytest.mark.parametrize(("token", "stored"), [("NaN", "NaN"), ("Infinity", LARGEST), ("-Infinity", -LARGEST)])
def test_bare_tokens_mean_what_they_say(api, run_id, token, stored):
    text = f'{{"run_id": "{run_id}", "key": "m", "value": {token}, "timestamp": 1}}'
    api.post_text("runs/log-metric", text).ok()
    assert history(api, run_id)[0]["value"] == stored


@pytest.mark.differs_from_stock("stock drops the bad field and all that follows it, and answers 200")
@pytest.mark.parametrize(
    "body",
    [
        {"key": "m", "value": 1, "timestamp": 1.5},
        {"key": "m", "value": 1, "timestamp": 2**63},
        {"key": "m", "value": 1, "timestamp": 1, "step": 1.5},
        {"key": "m", "value": 1, "timestamp": 1, "step": -(2**63) - 1},
        {"key": "m", "value": "1,5", "timestamp": 1},
        {"key": "m", "value": True, "timestamp": 1},
        {"key": "m", "value": 1e400, "timestamp": 1},
    ],
)
def test_a_bad_number_is_refused(api, run_id, body):
    text = json.dumps({"run_id": run_id, **body}).replace("Infinity", "1e400")
    api.post_text("runs/log-metric", text).refused(400, "INVALID_PARAMETER_VALUE")
    assert history(api, run_id) == []


@pytest.mark.differs_from_stock("stock drops the bad metric and the params and tags that follow it, and answers 200")
def test_a_bad_metric_spoils_the_batch(api, run_id):
    body = {
        "run_id": run_id,
        "metrics": [{"key": "a", "value": 1, "timestamp": 1}, {"key": "b", "value": "x1", "timestamp": 1}],
        "params": [{"key": "p", "value": "v"}],
    }
    api.post("runs/log-batch", body).refused(400, "INVALID_PARAMETER_VALUE", "metrics[1].value")
    data = api.get_run(run_id)["data"]
    assert "metrics" not in data and "params" not in data


def test_unknown_enum_names_are_ignored(api, run_id):
    api.post("runs/update", {"run_id": run_id, "status": "DANCING", "end_time": 9}).ok()
    assert api.get_run(run_id)["info"]["status"] == "RUNNING"


def test_an_answer_has_only_what_is_set(api, unique):
    experiment_id = api.experiment()
    run = api.post("runs/create", {"experiment_id": experiment_id, "start_time": 3, "run_name": "x"}).ok()["run"]
    run_id = run["info"]["run_id"]
    expected = {
        "run_uuid": run_id,
        "run_id": run_id,
        "experiment_id": experiment_id,
        "run_name": "x",
        "user_id": "",
        "status": "RUNNING",
        "start_time": 3,
        "artifact_uri": f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
        "lifecycle_stage": "active",
    }
    assert run["info"] == expected
    assert run["data"] == {"tags": [{"key": "mlflow.runName", "value": "x"}]}
    seen = api.get_run(run_id)
    assert (seen["info"], seen["inputs"], seen["outputs"]) == (expected, {}, {})
    (found,) = api.post("runs/search", {"experiment_ids": [experiment_id]}).ok()["runs"]
    assert (found["info"], found["inputs"], found["outputs"]) == (expected, {}, {})
    assert api.post("runs/set-tag", {"run_id": run_id, "key": "k", "value": "v"}).ok() == {}
    assert api.post("runs/search", {"experiment_ids": [api.experiment()]}).ok() == {}


def test_shape_of_an_experiment(api, unique):
    name = unique("shape")
    experiment_id = api.experiment(name)
    seen = api.get("experiments/get", {"experiment_id": experiment_id}).ok()["experiment"]
    assert isinstance(seen.pop("creation_time"), int)
    assert isinstance(seen.pop("last_update_time"), int)
    assert seen == {
        "experiment_id": experiment_id,
        "name": name,
        "artifact_location": f"mlflow-artifacts:/{experiment_id}",
        "lifecycle_stage": "active",
        "workspace": "default",
    }


def test_shape_of_a_version(api, unique):
    name = api.registered_model()
    made = api.post("model-versions/create", {"name": name, "source": "s3://b/x", "run_id": ""}).ok()["model_version"]
    for key in ("creation_timestamp", "last_updated_timestamp"):
        assert isinstance(made.pop(key), int)
    for key in ("run_id", "description", "run_link"):
        assert made.pop(key, "") == ""
    assert made == {"name": name, "version": "1", "source": "s3://b/x", "current_stage": "None", "status": "READY"}


def test_run_uuid_stands_for_run_id(api, run_id):
    api.post("runs/set-tag", {"run_uuid": run_id, "key": "k", "value": "v"}).ok()
    seen = api.get("runs/get", {"run_uuid": run_id}).ok()["run"]
    assert {"key": "k", "value": "v"} in seen["data"]["tags"]
    api.get("runs/get", {"run_uuid": run_id, "run_id": run_id}).ok()


def test_errors_are_json(api):
    answer = api.get("runs/get", {"run_id": "0" * 32}).missing()
    assert answer.headers["Content-Type"].startswith("application/json")
    assert set(answer.json) >= {"error_code", "message"}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_content_type(api, content_type):
    api.post_text("experiments/create", '{"name": "content type"}', content_type).refused(400, "INVALID_PARAMETER_VALUE")
    api.get("experiments/get-by-name", {"experiment_name": "content type"}).missing()


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_content_types_that_are_fine(api, unique, content_type):
    api.post_text("experiments/create", json.dumps({"name": unique("type")}), content_type).ok()


@pytest.mark.parametrize(
    "text",
    ["", "not json", "{", '{"name": "x"', "{'name': 'x'}", '{"name": "x",}', '{"name": nul}', '{"name": "\\ud800"}x', "\x00", '{"name": "x"}}'],
)
def test_malformed_json(api, text):
    api.post_text("experiments/create", text).refused(400, None)


@pytest.mark.differs_from_stock("stock answers 500")
@pytest.mark.parametrize("text", ["[1]", "1", "true", '"text"', '["name"]', '"[1]"'])
def test_json_that_is_no_object(api, text):
    api.post_text("experiments/create", text).refused(400, None)


@pytest.mark.parametrize("text", ["null", "{}"])
def test_nothing_is_no_name(api, text):
    api.post_text("experiments/create", text).refused(400, "INVALID_PARAMETER_VALUE", "'name'")


def test_json_in_json(api, unique):
    """Very old clients encoded the body twice."""
    api.post_text("experiments/create", json.dumps(json.dumps({"name": unique("twice")}))).ok()


@pytest.mark.parametrize("body", [b'{"name": "\xff\xfe"}', b'{"name": "\xc3\x28"}', b"\xff\xff\xff"])
def test_bytes_that_are_no_utf8(api, body):
    answer = api.post_text("experiments/create", body)
    assert answer.status == 400, answer


@pytest.mark.differs_from_stock("stock answers 500 to a body nested this deep")
@pytest.mark.parametrize("depth", [200, 5000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_json(api, opening, closing, depth):
    inner = "1" if closing == "}" else ""
    text = '{"name": "deep", "x": ' + opening * depth + inner + closing * depth + "}"
    answer = api.post_text("experiments/search", text)
    assert 400 <= answer.status < 500, answer
    assert answer.message


@pytest.mark.differs_from_stock("stock answers 500 to text that UTF-8 cannot express")
@pytest.mark.parametrize("text", ['{"name": "\\ud800"}', '{"name": "a\\udfff b"}'])
def test_lone_surrogates(api, text):
    answer = api.post_text("experiments/create", text)
    assert answer.status in (200, 400), answer


def test_nul_in_text(api, unique):
    name = unique("nul") + "\0x"
    answer = api.post("experiments/create", {"name": name})
    assert answer.status in (200, 400), answer
    run_id = api.run()
    answer = api.post("runs/set-tag", {"run_id": run_id, "key": "k", "value": "a\0b"})
    if answer.status == 200:
        tags = {t["key"]: t["value"] for t in api.get_run(run_id)["data"]["tags"]}
        assert tags["k"] == "a\0b"
    else:
        answer.refused()


@pytest.mark.parametrize("text", ["Ω≈ç√∫", "😀👩‍👩‍👧", "e\u0301", "\u202eright to left", "a" * 500, "<script>alert(1)</script>", "'; DROP TABLE run; --"])
def test_text_comes_back(api, text, unique):
    run_id = api.run()
    api.post("runs/set-tag", {"run_id": run_id, "key": "k", "value": text}).ok()
    assert {"key": "k", "value": text} in api.get_run(run_id)["data"]["tags"]
    name = (unique("n") + text)[:500]
    experiment_id = api.experiment(name)
    assert api.get("experiments/get-by-name", {"experiment_name": name}).ok()["experiment"]["experiment_id"] == experiment_id


def test_a_huge_body(api, run_id):
    """No limit of bytes stands in MLflow's way for a batch; what is beyond all reason is refused, not half read."""
    value = "x" * 5900
    body = {"run_id": run_id, "params": [{"key": f"p{i}", "value": value} for i in range(100)], "ignored": "y" * 3_000_000}
    api.post("runs/log-batch", body).ok()
    assert len(api.get_run(run_id)["data"]["params"]) == 100


@pytest.mark.differs_from_stock("stock reads a body of any size into memory")
def test_an_enormous_body(api):
    import requests

    try:
        answer = api.post_text("experiments/create", b'{"name": "' + b"x" * (300 << 20) + b'"}')
    except requests.ConnectionError:
        pass  # the server may hang up on the sender
    else:
        assert answer.status in (400, 413), str(answer)[:300]
    assert api.get("/health").text == "OK"


def test_duplicate_fields(api, unique):
    first, last = unique("first"), unique("last")
    answer = api.post_text("experiments/create", f'{{"name": "{first}", "name": "{last}"}}')
    if answer.status == 200:
        api.get("experiments/get-by-name", {"experiment_name": last}).ok()
        api.get("experiments/get-by-name", {"experiment_name": first}).missing()
    else:
        answer.refused(400, None)
