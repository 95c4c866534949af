"""The metric routes that only the web page and other programs use: bulk histories and their sampling."""

import pytest

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
INTERVAL = "metrics/get-history-bulk-interval"


def log(api, run_id, points, key="m"):
    metrics = [{"key": key, "value": v, "timestamp": t, "step": s} for v, t, s in points]
    for first in range(0, len(metrics), 1000):
        api.post("runs/log-batch", {"run_id": run_id, "metrics": metrics[first : first + 1000]}).ok()


@pytest.fixture
def runs(api):
    experiment_id = api.experiment()
    made = sorted(api.run(experiment_id) for _ in range(3))
    for index, run_id in enumerate(made):
        log(api, run_id, [(index * 10 + i, 100 - i, i) for i in range(10)])
    return made


def test_bulk(api, runs):
    rows = api.get(BULK, {"run_id": runs[::-1], "metric_key": "m"}).ok()["metrics"]
    assert [r["run_id"] for r in rows] == [run_id for run_id in runs for _ in range(10)]
    assert [r["step"] for r in rows[:10]] == list(range(9, -1, -1)), "by time within a run"
    assert set(rows[0]) == {"key", "value", "timestamp", "step", "run_id"}
    assert len(api.get(BULK, {"run_id": runs, "metric_key": "m", "max_results": 15}).ok()["metrics"]) == 15
    assert api.get(BULK, {"run_id": runs, "metric_key": "none"}).ok() == {"metrics": []}


def test_bulk_is_not_under_api(api, runs):
    assert api.get("metrics/get-history-bulk", {"run_id": runs, "metric_key": "m"}).status == 404


def test_bulk_refuses(api, runs):
    api.get(BULK, {"metric_key": "m"}).refused()
    api.get(BULK, {"run_id": runs[0]}).refused()
    api.get(BULK, {"run_id": [f"{i:032x}" for i in range(101)], "metric_key": "m"}).refused()


@pytest.mark.differs_from_stock("stock answers 500")
def test_bulk_with_a_bad_number(api, runs):
    api.get(BULK, {"run_id": runs, "metric_key": "m", "max_results": "many"}).refused()


@pytest.mark.parametrize("prefix", ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"])
def test_interval(api, runs, prefix):
    asked = [runs[2], runs[0]]
    rows = api.get(prefix + INTERVAL, {"run_ids": asked, "metric_key": "m"}).ok()["metrics"]
    assert [r["run_id"] for r in rows] == [asked[0]] * 10 + [asked[1]] * 10
    assert [r["step"] for r in rows] == [*range(10), *range(10)]
    inside = {"run_ids": asked, "metric_key": "m", "start_step": 3, "end_step": 5}
    assert [r["step"] for r in api.get(prefix + INTERVAL, inside).ok()["metrics"]] == [3, 4, 5] * 2


@pytest.mark.parametrize(("count", "room", "steps"), [(1000, 5, [0, 200, 400, 600, 999]), (11, 5, [0, 3, 5, 7, 10])])
def test_sampling(api, count, room, steps):
    run_id = api.run()
    log(api, run_id, [(i, i, i) for i in range(count)])
    rows = api.get(INTERVAL, {"run_ids": run_id, "metric_key": "m", "max_results": room}).ok()["metrics"]
    assert [r["step"] for r in rows] == steps


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_results": 0},
        {"max_results": 2501},
        {"max_results": "many"},
        {"start_step": 1},
        {"end_step": 1},
        {"start_step": 5, "end_step": 1},
        {"run_ids": [f"{i:032x}" for i in range(101)]},
    ],
)
def test_interval_refuses(api, runs, wrong):
    api.get(INTERVAL, {"run_ids": runs, "metric_key": "m", **wrong}).refused()


def test_interval_of_nothing(api):
    answer = api.get(INTERVAL, {"run_ids": "0" * 32, "metric_key": "m"})
    assert answer.status in (200, 404), answer
    assert api.get(INTERVAL, {"run_ids": api.run(), "metric_key": "m"}).ok() == {}


def test_history_of_nothing(api):
    assert api.get("metrics/get-history", {"run_id": "0" * 32, "metric_key": "m"}).ok() == {}
    assert api.get("metrics/get-history", {"run_id": api.run(), "metric_key": "m"}).ok() == {}


@pytest.mark.parametrize(
    ("values", "latest"),
    [([-1, "NaN"], "NaN"), ([1, "NaN"], 1.0), (["NaN", 1], 1.0), (["NaN", -1], "NaN"), ([2, 3], 3.0), ([3, 2], 3.0)],
)
def test_latest_counts_nan_as_zero(api, values, latest):
    run_id = api.run()
    for value in values:
        api.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": value, "timestamp": 1}).ok()
    assert api.get_run(run_id)["data"]["metrics"] == [{"key": "m", "value": latest, "timestamp": 1, "step": 0}]


def test_a_metric_of_a_deleted_run(api):
    run_id = api.run()
    api.post("runs/delete", {"run_id": run_id}).ok()
    api.post("runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}).refused()


def test_metrics_know_their_dataset_and_model(api):
    experiment_id = api.experiment()
    run_id = api.run(experiment_id)
    model = api.post("logged-models", {"experiment_id": experiment_id, "name": "m"}).ok()["model"]["info"]["model_id"]
    body = {"run_id": run_id, "key": "acc", "value": 0.5, "timestamp": 7, "step": 3}
    body.update(model_id=model, dataset_name="test", dataset_digest="abc")
    api.post("runs/log-metric", body).ok()
    (metric,) = api.get(f"logged-models/{model}").ok()["model"]["data"]["metrics"]
    assert metric == {
        "key": "acc", "value": 0.5, "timestamp": 7, "step": 3,
        "run_id": run_id, "model_id": model, "dataset_name": "test", "dataset_digest": "abc",
    }  # fmt: skip
