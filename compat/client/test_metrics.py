"""Metrics: values that floats make difficult, the latest value, and histories with their pages."""

import math
import sys

import mlflow
import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

LARGEST = sys.float_info.max


@pytest.fixture
def run_id(client, unique):
    return client.create_run(client.create_experiment(unique("metrics"))).info.run_id


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (0.1, 0.1),
        (1 / 3, 1 / 3),
        (-5, -5.0),
        (0, 0.0),
        (5e-324, 5e-324),
        (1.7976931348623157e308, LARGEST),
        (math.inf, LARGEST),
        (-math.inf, -LARGEST),
        (2**53, 2.0**53),
        (True, 1.0),
    ],
)
def test_values(client, run_id, given, stored):
    client.log_metric(run_id, "m", given)
    assert client.get_run(run_id).data.metrics["m"] == stored
    assert [m.value for m in client.get_metric_history(run_id, "m")] == [stored]


def test_nan(client, run_id):
    client.log_metric(run_id, "m", math.nan, step=3)
    assert math.isnan(client.get_run(run_id).data.metrics["m"])
    (point,) = client.get_metric_history(run_id, "m")
    assert math.isnan(point.value) and point.step == 3


def test_time_and_step(client, run_id):
    client.log_metric(run_id, "m", 123.456, timestamp=789, step=2)
    client.log_metric(run_id, "stepless", 1, timestamp=321)
    client.log_metric(run_id, "negative", 1, timestamp=321, step=-5)
    client.log_metric(run_id, "far", 1, timestamp=2**53, step=2**62)
    (point,) = client.get_metric_history(run_id, "m")
    assert (point.key, point.value, point.timestamp, point.step) == ("m", 123.456, 789, 2)
    assert client.get_metric_history(run_id, "stepless")[0].step == 0
    assert client.get_metric_history(run_id, "negative")[0].step == -5
    (far,) = client.get_metric_history(run_id, "far")
    assert (far.timestamp, far.step) == (2**53, 2**62)
    assert client.get_metric_history(run_id, "unknown") == []


def test_latest_is_the_largest_step_then_time_then_value(client, run_id):
    points = [(1.0, 100, 5), (9.0, 900, 1), (2.0, 200, 5), (3.0, 200, 5), (0.5, 50, 4)]
    for value, timestamp, step in points:
        client.log_metric(run_id, "m", value, timestamp=timestamp, step=step)
    assert client.get_run(run_id).data.metrics["m"] == 3.0


def test_history_is_in_order_of_time(client, run_id):
    for value, timestamp, step in [(3, 30, 0), (1, 10, 2), (2, 20, 1), (2.5, 20, 2), (0, 10, 0)]:
        client.log_metric(run_id, "m", value, timestamp=timestamp, step=step)
    assert [m.value for m in client.get_metric_history(run_id, "m")] == [0, 1, 2, 2.5, 3]


def test_the_same_point_is_stored_once(client, run_id):
    for _ in range(3):
        client.log_metric(run_id, "m", 1.5, timestamp=10, step=1)
        client.log_batch(run_id, metrics=[Metric("m", 1.5, 10, 1), Metric("m", 1.5, 10, 2)])
    assert [(m.value, m.step) for m in client.get_metric_history(run_id, "m")] == [(1.5, 1), (1.5, 2)]


def test_long_history_in_pages(client, run_id):
    for first in range(0, 5000, 1000):
        client.log_batch(run_id, metrics=[Metric("m", math.sin(i), 1000 + i, i) for i in range(first, first + 1000)])
    history = client.get_metric_history(run_id, "m")
    assert [m.step for m in history] == list(range(5000))
    assert all(m.value == math.sin(m.step) for m in history)
    store = client._tracking_client.store
    seen, token = [], None
    for _ in range(10):
        page = store.get_metric_history(run_id, "m", max_results=900, page_token=token)
        seen += [m.step for m in page]
        token = page.token
        if not token:
            break
    assert seen == list(range(5000))


def test_many_keys(client, run_id):
    client.log_batch(run_id, metrics=[Metric(f"layer/{i}/grad", i / 7, 5, 0) for i in range(1000)])
    metrics = client.get_run(run_id).data.metrics
    assert len(metrics) == 1000
    assert metrics["layer/999/grad"] == 999 / 7


def test_history_of_a_finished_run(client, run_id):
    for step in range(30):
        client.log_metric(run_id, "m", step, timestamp=step, step=step)
    client.set_terminated(run_id)
    assert [m.value for m in client.get_metric_history(run_id, "m")] == list(range(30))
    client.log_metric(run_id, "m", 99, timestamp=99, step=99)
    client.log_metric(run_id, "m", 3, timestamp=3, step=3)
    assert [m.value for m in client.get_metric_history(run_id, "m")] == [*range(30), 99]
    assert client.get_run(run_id).data.metrics["m"] == 99


def test_too_many_in_one_batch(client, run_id):
    with pytest.raises(MlflowException):
        client._tracking_client.store.log_batch(run_id, [Metric("m", i, i, i) for i in range(1001)], [], [])
    assert client.get_metric_history(run_id, "m") == []


def test_metric_tied_to_a_dataset_and_a_model(experiment, client):
    import pandas as pd

    model = mlflow.initialize_logged_model(name="net")
    dataset = mlflow.data.from_pandas(pd.DataFrame({"x": [1]}), name="holdout")
    with mlflow.start_run() as active:
        mlflow.log_metric("acc", 0.75, model_id=model.model_id, dataset=dataset)
        mlflow.log_metrics({"f1": 0.5}, model_id=model.model_id)
    seen = mlflow.get_logged_model(model.model_id)
    by_key = {m.key: m for m in seen.metrics}
    assert by_key["acc"].value == 0.75
    assert by_key["acc"].run_id == active.info.run_id
    assert by_key["acc"].dataset_name == "holdout"
    assert by_key["f1"].value == 0.5
    assert client.get_run(active.info.run_id).data.metrics == {"acc": 0.75, "f1": 0.5}
