"""Limits: how many in one call, how long, how far; and that nothing is half written when one is passed."""

import pytest


def metrics(count):
    return [{"key": f"m{i}", "value": i, "timestamp": i, "step": 0} for i in range(count)]


def pairs(prefix, count):
    return [{"key": f"{prefix}{i}", "value": "v"} for i in range(count)]


@pytest.fixture
def run_id(api):
    return api.run(run_name="limits")


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        ({"metrics": metrics(1001)}, "1000"),
        ({"params": pairs("p", 101)}, "100"),
        ({"tags": pairs("t", 101)}, "100"),
        ({"metrics": metrics(901), "params": pairs("p", 50), "tags": pairs("t", 50)}, "1000"),
    ],
)
def test_too_many_in_a_batch(api, run_id, parts, number):
    api.post("runs/log-batch", {"run_id": run_id, **parts}).refused(400, "INVALID_PARAMETER_VALUE", number)
    assert api.get_run(run_id)["data"] == {"tags": [{"key": "mlflow.runName", "value": "limits"}]}


def test_as_many_as_fit(api, run_id):
    body = {"run_id": run_id, "metrics": metrics(800), "params": pairs("p", 100), "tags": pairs("t", 100)}
    api.post("runs/log-batch", body).ok()
    data = api.get_run(run_id)["data"]
    assert (len(data["metrics"]), len(data["params"]), len(data["tags"])) == (800, 100, 101)


@pytest.mark.parametrize("route", ["runs/log-metric", "runs/log-parameter", "runs/set-tag"])
def test_length_of_keys(api, run_id, route):
    body = {"run_id": run_id, "value": 1 if "metric" in route else "v", "timestamp": 1}
    api.post(route, {**body, "key": "k" * 250}).ok()
    api.post(route, {**body, "key": "k" * 251}).refused(400, "INVALID_PARAMETER_VALUE", "250")


@pytest.mark.parametrize(
    "key", ["a//b", "../a", "/a", "a/..", "a/", ".", "..", "a;b", "a%b", "a\nb", "a\tb", "a\\b", "<a>", "a'b", 'a"b', "a,b", "a=b", "a&b", "a?b", "a#b", "a*b", "a@b", "a[0]", "{a}", "..."]
)
@pytest.mark.parametrize("route", ["runs/log-metric", "runs/log-parameter", "runs/set-tag"])
def test_keys_that_are_refused(api, run_id, route, key):
    body = {"run_id": run_id, "key": key, "value": 1 if "metric" in route else "v", "timestamp": 1}
    api.post(route, body).refused()


@pytest.mark.parametrize("key", ["a/b", "a.b", "a-b", "a_b", "a b", "a:b", "ü", "雪", "Ñandú 5", "a/b/c.d-e_f g:h", "1", "-", "a..b"])
def test_keys_that_are_fine(api, run_id, key):
    body = {"run_id": run_id, "key": key, "value": "1", "timestamp": 1}
    for route in ("runs/log-metric", "runs/log-parameter", "runs/set-tag"):
        api.post(route, body).ok()
    data = api.get_run(run_id)["data"]
    assert data["metrics"][0]["key"] == data["params"][0]["key"] == key


def test_long_values_are_cut_without_a_word(api, run_id):
    api.post("runs/log-parameter", {"run_id": run_id, "key": "p", "value": "ä" * 6001}).ok()
    api.post("runs/set-tag", {"run_id": run_id, "key": "t", "value": "ä" * 8001}).ok()
    body = {"run_id": run_id, "params": [{"key": "q", "value": "b" * 7000}], "tags": [{"key": "u", "value": "b" * 9000}]}
    api.post("runs/log-batch", body).ok()
    data = api.get_run(run_id)["data"]
    assert {p["key"]: len(p["value"]) for p in data["params"]} == {"p": 6000, "q": 6000}
    tags = {t["key"]: len(t["value"]) for t in data["tags"]}
    assert (tags["t"], tags["u"]) == (8000, 8000)


def test_experiment_names(api, unique):
    stem = unique("long")
    api.experiment(stem + "x" * (500 - len(stem)))
    api.post("experiments/create", {"name": "x" * 501}).refused(400, "INVALID_PARAMETER_VALUE", "500")
    experiment_id = api.experiment()
    api.post("experiments/update", {"experiment_id": experiment_id, "new_name": "x" * 501}).refused()


def test_experiment_tags(api):
    experiment_id = api.experiment()
    body = {"experiment_id": experiment_id, "key": "k"}
    api.post("experiments/set-experiment-tag", {**body, "value": "v" * 20000}).ok()
    api.post("experiments/set-experiment-tag", {**body, "value": "v" * 20001}).refused()
    api.post("experiments/set-experiment-tag", {"experiment_id": experiment_id, "key": "k" * 251, "value": "v"}).refused()


def test_registry_tags(api):
    name = api.registered_model()
    api.version(name)
    model, version = {"name": name, "key": "k"}, {"name": name, "version": "1", "key": "k"}
    for route, body in (("registered-models/set-tag", model), ("model-versions/set-tag", version)):
        api.post(route, {**body, "value": "v" * 100_000}).ok()
        api.post(route, {**body, "value": "v" * 100_001}).refused()
        api.post(route, {**body, "key": "k" * 251, "value": "v"}).refused()


@pytest.mark.parametrize(
    ("dataset", "fine"),
    [
        ({"name": "n" * 500, "digest": "d" * 36}, True),
        ({"name": "n" * 501, "digest": "d"}, False),
        ({"name": "n", "digest": "d" * 37}, False),
        ({"name": "n", "digest": "d", "source": "s" * 65535}, True),
        ({"name": "n", "digest": "d", "source": "s" * 65536}, False),
        ({"name": "n", "digest": "d", "schema": "s" * 1_048_575}, True),
        ({"name": "n", "digest": "d", "schema": "s" * 1_048_576}, False),
        ({"name": "n", "digest": "d", "profile": "p" * 16_777_215}, True),
        ({"name": "n", "digest": "d", "profile": "p" * 16_777_216}, False),
    ],
)
def test_datasets(api, run_id, dataset, fine):
    dataset = {"source_type": "local", "source": "s", **dataset}
    answer = api.post("runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": []}]})
    if fine:
        answer.ok()
        (seen,) = api.get_run(run_id)["inputs"]["dataset_inputs"]
        assert seen["dataset"] == dataset
    else:
        answer.refused()


@pytest.mark.parametrize(
    ("route", "largest"),
    [("runs/search", 50000), ("experiments/search", 50000), ("registered-models/search", 1000), ("model-versions/search", 200_000)],
)
def test_max_results(api, route, largest):
    reads = api.get if route.startswith(("registered", "model")) else api.post
    body = {"experiment_ids": ["0"]} if route == "runs/search" else {}
    reads(route, {**body, "max_results": largest}).ok()
    reads(route, {**body, "max_results": largest + 1}).refused(400, "INVALID_PARAMETER_VALUE", "max_results")


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("route", ["runs/search", "experiments/search"])
def test_no_results_at_all(api, route, count):
    api.post(route, {"experiment_ids": ["0"], "max_results": count}).refused()


@pytest.mark.differs_from_stock("stock answers an empty page with a token, which is an endless loop")
@pytest.mark.parametrize("count", [0, -1])
def test_no_models_at_all(api, count):
    api.get("registered-models/search", {"max_results": count}).refused()


def test_experiments_search_needs_max_results(api):
    api.post("experiments/search", {}).refused(400, "INVALID_PARAMETER_VALUE", "0")


@pytest.mark.parametrize("value", [-1, -(10**9)])
def test_timestamps_before_time(api, run_id, value):
    api.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": value}).refused()


def test_negative_steps_are_fine(api, run_id):
    api.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": 0, "step": -7}).ok()


def test_too_many_logged_model_params(api):
    experiment_id = api.experiment()
    params = [{"key": f"p{i}", "value": "v"} for i in range(300)]
    model = api.post("logged-models", {"experiment_id": experiment_id, "name": "m", "params": params}).ok()["model"]
    assert len(model["data"]["params"]) == 300


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "", None])
def test_names_of_logged_models(api, name):
    answer = api.post("logged-models", {"experiment_id": api.experiment(), "name": name})
    if not name:
        assert answer.status in (200, 400), answer
    else:
        answer.refused()
