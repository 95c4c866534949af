"""Missing and ill-typed parameters: route by route the same 400 that MLflow's own server gives, naming the parameter."""

import pytest

RUN = "0123456789abcdef0123456789abcdef"

# method, route, the parameters that it cannot do without, a body that has them all
REQUIRED = [
    ("POST", "experiments/create", ["name"], {}),
    ("GET", "experiments/get", ["experiment_id"], {}),
    ("GET", "experiments/get-by-name", ["experiment_name"], {}),
    ("POST", "experiments/delete", ["experiment_id"], {}),
    ("POST", "experiments/restore", ["experiment_id"], {}),
    ("POST", "experiments/update", ["experiment_id", "new_name"], {"experiment_id": "0", "new_name": "x"}),
    ("POST", "experiments/set-experiment-tag", ["experiment_id", "key"], {"experiment_id": "0", "key": "k", "value": "v"}),
    ("POST", "experiments/delete-experiment-tag", ["experiment_id", "key"], {"experiment_id": "0", "key": "k"}),
    ("POST", "runs/update", ["run_id"], {"status": "FINISHED"}),
    ("POST", "runs/delete", ["run_id"], {}),
    ("POST", "runs/restore", ["run_id"], {}),
    ("GET", "runs/get", ["run_id"], {}),
    ("POST", "runs/log-metric", ["run_id", "key", "value", "timestamp"], {"run_id": RUN, "key": "m", "value": 1.0, "timestamp": 1}),
    ("POST", "runs/log-parameter", ["run_id", "key"], {"run_id": RUN, "key": "p", "value": "v"}),
    ("POST", "runs/set-tag", ["run_id", "key"], {"run_id": RUN, "key": "t", "value": "v"}),
    ("POST", "runs/delete-tag", ["run_id", "key"], {"run_id": RUN, "key": "t"}),
    ("POST", "runs/log-batch", ["run_id"], {"run_id": RUN}),
    ("POST", "runs/log-model", ["run_id", "model_json"], {"run_id": RUN, "model_json": "{}"}),
    ("POST", "runs/log-inputs", ["run_id"], {"run_id": RUN, "datasets": []}),
    ("POST", "runs/outputs", ["run_id", "models"], {"run_id": RUN, "models": [{"model_id": "m-1", "step": 0}]}),
    ("GET", "metrics/get-history", ["run_id", "metric_key"], {"run_id": RUN, "metric_key": "m"}),
    ("GET", "metrics/get-history-bulk-interval", ["run_ids", "metric_key"], {"run_ids": RUN, "metric_key": "m"}),
    ("GET", "artifacts/list", ["run_id"], {}),
    ("POST", "registered-models/create", ["name"], {}),
    ("GET", "registered-models/get", ["name"], {}),
    ("POST", "registered-models/rename", ["name", "new_name"], {"name": "a", "new_name": "b"}),
    ("PATCH", "registered-models/update", ["name"], {"description": "d"}),
    ("DELETE", "registered-models/delete", ["name"], {}),
    ("POST", "registered-models/get-latest-versions", ["name"], {}),
    ("POST", "registered-models/set-tag", ["name", "key"], {"name": "a", "key": "k", "value": "v"}),
    ("DELETE", "registered-models/delete-tag", ["name", "key"], {"name": "a", "key": "k"}),
    ("POST", "registered-models/alias", ["name", "alias", "version"], {"name": "a", "alias": "b", "version": "1"}),
    ("GET", "registered-models/alias", ["name", "alias"], {"name": "a", "alias": "b"}),
    ("DELETE", "registered-models/alias", ["name", "alias"], {"name": "a", "alias": "b"}),
    ("POST", "model-versions/create", ["name", "source"], {"name": "a", "source": "s3://b/x"}),
    ("GET", "model-versions/get", ["name", "version"], {"name": "a", "version": "1"}),
    ("PATCH", "model-versions/update", ["name", "version"], {"name": "a", "version": "1", "description": "d"}),
    ("DELETE", "model-versions/delete", ["name", "version"], {"name": "a", "version": "1"}),
    ("GET", "model-versions/get-download-uri", ["name"], {"name": "a", "version": "1"}),
    ("POST", "model-versions/transition-stage", ["name", "version", "stage"], {"name": "a", "version": "1", "stage": "Staging"}),
    ("POST", "model-versions/set-tag", ["name", "version", "key"], {"name": "a", "version": "1", "key": "k", "value": "v"}),
    ("DELETE", "model-versions/delete-tag", ["name", "version", "key"], {"name": "a", "version": "1", "key": "k"}),
    ("POST", "logged-models", ["experiment_id"], {"name": "x"}),
]
MISSING = [
    pytest.param(method, route, name, body, id=f"{method} {route} {name}")
    for method, route, names, body in REQUIRED
    for name in names
]


def send(api, method, route, body):
    return api.get(route, body) if method == "GET" else api.call(method, route, json=body)


@pytest.mark.parametrize(("method", "route", "name", "body"), MISSING)
def test_missing(api, method, route, name, body):
    without = {key: value for key, value in body.items() if key != name}
    answer = send(api, method, route, without)
    answer.refused(400, "INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'")


@pytest.mark.parametrize(("method", "route", "name", "body"), [p for p in MISSING if p.values[0] != "GET"])
def test_null_is_missing(api, method, route, name, body):
    answer = send(api, method, route, {**body, name: None})
    answer.refused(400, "INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'")


@pytest.mark.parametrize(
    ("method", "route", "name", "body"),
    [p for p in MISSING if p.values[2] not in ("value", "timestamp", "models", "run_ids")],
)
def test_empty_text_is_missing(api, method, route, name, body):
    answer = send(api, method, route, {**body, name: ""})
    answer.refused(400, "INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'")


def wrong(route, body, name, shown, method="POST"):
    return pytest.param(method, route, body, name, shown, id=f"{route} {name}={shown}"[:80])


METRIC = {"run_id": RUN, "key": "m", "value": 1.0, "timestamp": 1, "step": 0}
WRONG_TYPES = [
    wrong("experiments/create", {"name": 123}, "name", "123"),
    wrong("experiments/create", {"name": ["x"]}, "name", '["x"]'),
    wrong("experiments/create", {"name": "x", "artifact_location": 9.0}, "artifact_location", "9.0"),
    wrong("experiments/create", {"name": "x", "tags": "5"}, "tags", '"5"'),
    wrong("experiments/delete", {"experiment_id": 5.5}, "experiment_id", "5.5"),
    wrong("experiments/update", {"experiment_id": "0", "new_name": 7}, "new_name", "7"),
    wrong("runs/create", {"experiment_id": 3}, "experiment_id", "3"),
    wrong("runs/create", {"experiment_id": "0", "start_time": "noon"}, "start_time", '"noon"'),
    wrong("runs/create", {"experiment_id": "0", "run_name": 5}, "run_name", "5"),
    wrong("runs/update", {"run_id": 7}, "run_id", "7"),
    wrong("runs/update", {"run_id": RUN, "end_time": "noon"}, "end_time", '"noon"'),
    wrong("runs/update", {"run_id": RUN, "run_name": 3}, "run_name", "3"),
    wrong("runs/log-metric", {**METRIC, "run_id": 31}, "run_id", "31"),
    wrong("runs/log-metric", {**METRIC, "key": 31}, "key", "31"),
    wrong("runs/log-metric", {**METRIC, "value": "high"}, "value", '"high"'),
    wrong("runs/log-metric", {**METRIC, "step": "foo"}, "step", '"foo"'),
    wrong("runs/log-metric", {**METRIC, "timestamp": "foo"}, "timestamp", '"foo"'),
    wrong("runs/log-parameter", {"run_id": RUN, "key": 31, "value": "v"}, "key", "31"),
    wrong("runs/log-parameter", {"run_id": 31, "key": "p", "value": "v"}, "run_id", "31"),
    wrong("runs/log-parameter", {"run_id": RUN, "key": "p", "value": 31}, "value", "31"),
    wrong("runs/set-tag", {"run_id": RUN, "key": 4, "value": "v"}, "key", "4"),
    wrong("runs/set-tag", {"run_id": RUN, "key": "t", "value": 4}, "value", "4"),
    wrong("runs/log-batch", {"run_id": 5}, "run_id", "5"),
    wrong("runs/log-batch", {"run_id": RUN, "metrics": "x"}, "metrics", '"x"'),
    wrong("runs/log-batch", {"run_id": RUN, "params": "x"}, "params", '"x"'),
    wrong("runs/log-batch", {"run_id": RUN, "tags": {"a": "b"}}, "tags", '{"a":"b"}'),
    wrong("runs/log-model", {"run_id": RUN, "model_json": 123}, "model_json", "123"),
    wrong("runs/search", {"experiment_ids": "0"}, "experiment_ids", '"0"'),
    wrong("runs/search", {"experiment_ids": ["0"], "filter": 5}, "filter", "5"),
    wrong("runs/search", {"experiment_ids": ["0"], "max_results": "many"}, "max_results", '"many"'),
    wrong("runs/search", {"experiment_ids": ["0"], "order_by": "run_id"}, "order_by", '"run_id"'),
    wrong("experiments/search", {"max_results": "many"}, "max_results", '"many"'),
    wrong("experiments/search", {"max_results": 5, "filter": 5}, "filter", "5"),
    wrong("experiments/search", {"max_results": 5, "page_token": 5}, "page_token", "5"),
    wrong("registered-models/create", {"name": 5}, "name", "5"),
    wrong("registered-models/create", {"name": "x", "tags": "y"}, "tags", '"y"'),
    wrong("registered-models/create", {"name": "x", "description": 5}, "description", "5"),
    wrong("registered-models/rename", {"name": "x", "new_name": 5}, "new_name", "5"),
    wrong("registered-models/get-latest-versions", {"name": "x", "stages": "y"}, "stages", '"y"'),
    wrong("model-versions/create", {"name": "x", "source": 5}, "source", "5"),
    wrong("model-versions/create", {"name": "x", "source": "s3://b/x", "run_id": 5}, "run_id", "5"),
    wrong("model-versions/set-tag", {"name": "x", "version": 1, "key": "k", "value": "v"}, "version", "1"),
    wrong("model-versions/transition-stage", {"name": "x", "version": "1", "stage": 5}, "stage", "5"),
    wrong("model-versions/update", {"name": "x", "version": "1", "description": 5}, "description", "5", "PATCH"),
]


@pytest.mark.parametrize(("method", "route", "body", "name", "shown"), WRONG_TYPES)
def test_wrong_type(api, method, route, body, name, shown):
    answer = send(api, method, route, body)
    answer.refused(400, "INVALID_PARAMETER_VALUE", f"Invalid value {shown} for parameter '{name}' supplied")


def test_wrong_type_in_a_list(api):
    answer = api.post("runs/search", {"experiment_ids": ["0"], "order_by": [5]})
    answer.refused(400, "INVALID_PARAMETER_VALUE", "Invalid value", "for parameter 'order_by")


@pytest.mark.parametrize(
    ("part", "entry", "said"),
    [
        ("metrics", {"value": 1, "timestamp": 1}, "Missing value for required parameter 'metrics[1].key'"),
        ("metrics", {"key": "m", "timestamp": 1}, "Missing value for required parameter 'metrics[1].value'"),
        ("metrics", {"key": "m", "value": 1}, "Missing value for required parameter 'metrics[1].timestamp'"),
        ("params", {"value": "v"}, "Missing value for required parameter 'params[1].key'"),
        ("tags", {"value": "v"}, "Missing value for required parameter 'tags[1].key'"),
    ],
)
def test_missing_in_a_batch(api, part, entry, said):
    good = {"key": "k", "value": 1 if part == "metrics" else "v", "timestamp": 1}
    run_id = api.run()
    api.post("runs/log-batch", {"run_id": run_id, part: [good, entry]}).refused(400, "INVALID_PARAMETER_VALUE", said)
    data = api.get_run(run_id)["data"]
    assert "metrics" not in data and "params" not in data


@pytest.mark.parametrize("run_id", ["no-such-run", "0" * 32, "x" * 256])
@pytest.mark.parametrize("route", ["runs/get", "runs/delete", "runs/log-parameter", "runs/set-tag", "runs/log-batch"])
def test_unknown_run(api, run_id, route):
    body = {"run_id": run_id, "key": "k", "value": "v"}
    (api.get(route, body) if route == "runs/get" else api.post(route, body)).missing(run_id)


@pytest.mark.parametrize("experiment_id", ["987654321", "-1"])
def test_unknown_experiment(api, experiment_id):
    api.get("experiments/get", {"experiment_id": experiment_id}).missing()
    api.post("experiments/delete", {"experiment_id": experiment_id}).missing()
    api.post("experiments/update", {"experiment_id": experiment_id, "new_name": "n"}).missing()
    api.post("runs/create", {"experiment_id": experiment_id}).missing()


TOO_BIG = pytest.mark.differs_from_stock("stock answers 500 to an id beyond 64 bits")


@pytest.mark.parametrize("experiment_id", ["abc", "1.5", "1e3", "1 OR 1=1", "ü", pytest.param("9" * 20, marks=TOO_BIG)])
def test_ids_that_are_no_numbers(api, experiment_id):
    """An id that cannot be one is refused or unknown, never a failure of the server."""
    for answer in (
        api.get("experiments/get", {"experiment_id": experiment_id}),
        api.post("runs/create", {"experiment_id": experiment_id}),
        api.post("runs/search", {"experiment_ids": [experiment_id]}),
    ):
        assert answer.status in (200, 400, 404), answer
        if answer.status == 200:
            assert answer.json == {}


@pytest.mark.parametrize("name", ["experiments", "runs", "models"])
def test_unknown_fields_are_ignored(api, unique, name):
    if name == "experiments":
        api.post("experiments/create", {"name": unique("e"), "colour": "red", "nested": {"a": [1]}}).ok()
    elif name == "runs":
        api.post("runs/create", {"experiment_id": api.experiment(), "start_time": 1, "nonsense": 5}).ok()
    else:
        api.post("registered-models/create", {"name": unique("m"), "future": True}).ok()
