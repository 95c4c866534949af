"""Runs: life cycle, params, tags, nesting, datasets, and the search that the fluent API offers."""

import json
import math

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException, RestException


def refused(error_code: str = "INVALID_PARAMETER_VALUE"):
    class Check:
        def __enter__(self):
            self.raises = pytest.raises(MlflowException)
            self.error = self.raises.__enter__()
            return self.error

        def __exit__(self, *exception):
            done = self.raises.__exit__(*exception)
            assert self.error.value.error_code == error_code
            return done

    return Check()


def test_fluent_run(experiment):
    with mlflow.start_run(run_name="first", tags={"kind": "demo"}, description="a *note*") as active:
        mlflow.log_param("alpha", 0.5)
        mlflow.log_params({"depth": 3, "name": "wald", "none": None})
        mlflow.log_metric("loss", 0.25)
        for step in range(5):
            mlflow.log_metrics({"acc": step / 10, "loss": 1 / (step + 1)}, step=step)
        mlflow.set_tags({"a": 1, "b": "zwei"})
        mlflow.set_tag("a", "replaced")
        mlflow.delete_tag("b")
    run = mlflow.get_run(active.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.info.end_time >= run.info.start_time > 0
    assert run.info.experiment_id == experiment
    assert run.info.artifact_uri == f"mlflow-artifacts:/{experiment}/{run.info.run_id}/artifacts"
    assert run.data.params == {"alpha": "0.5", "depth": "3", "name": "wald", "none": "None"}
    assert run.data.metrics == {"acc": 0.4, "loss": 0.2}
    tags = run.data.tags
    assert (tags["a"], tags["kind"], tags["mlflow.note.content"]) == ("replaced", "demo", "a *note*")
    assert tags["mlflow.runName"] == "first"
    assert tags["mlflow.source.type"] == "LOCAL"
    assert "b" not in tags


def test_failed_run(experiment):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as active:
        1 / 0
    assert mlflow.get_run(active.info.run_id).info.status == "FAILED"


def test_nested_runs(experiment, client):
    with mlflow.start_run(run_name="parent") as parent:
        with mlflow.start_run(nested=True, run_name="child one") as first:
            with mlflow.start_run(nested=True, run_name="grandchild") as deepest:
                mlflow.log_metric("m", 1)
        with mlflow.start_run(nested=True, run_name="child two") as second:
            mlflow.log_metric("m", 2)
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {r.info.run_id for r in children} == {first.info.run_id, second.info.run_id}
    assert client.get_run(deepest.info.run_id).data.tags["mlflow.parentRunId"] == first.info.run_id
    assert client.get_parent_run(deepest.info.run_id).info.run_id == first.info.run_id


def test_resume_a_run(experiment):
    with mlflow.start_run() as active:
        mlflow.log_metric("m", 1, step=1)
    with mlflow.start_run(run_id=active.info.run_id):
        mlflow.log_metric("m", 2, step=2)
        assert mlflow.get_run(active.info.run_id).info.status == "RUNNING"
    run = mlflow.get_run(active.info.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"m": 2.0})


def test_create_run_with_everything(client, unique):
    experiment_id = client.create_experiment(unique("all"))
    run = client.create_run(
        experiment_id,
        start_time=456,
        run_name="Jahresplan Ω",
        tags={"mlflow.user": "ada", "mlflow.source.name": "train.py", "mlflow.parentRunId": "7", "x": ""},
    )
    for seen in (run, client.get_run(run.info.run_id)):
        assert seen.info.run_name == "Jahresplan Ω"
        assert seen.info.start_time == 456
        assert seen.info.end_time is None
        assert seen.info.status == "RUNNING"
        assert seen.info.lifecycle_stage == "active"
        assert seen.data.tags["mlflow.user"] == "ada"
        assert seen.data.tags["mlflow.parentRunId"] == "7"
        assert seen.data.tags["x"] == ""
        assert seen.data.tags["mlflow.runName"] == "Jahresplan Ω"
    assert [r.info.run_id for r in client.search_runs([experiment_id])] == [run.info.run_id]


def test_a_name_is_generated(client, unique):
    experiment_id = client.create_experiment(unique("named"))
    run = client.create_run(experiment_id)
    assert run.info.run_name
    assert run.data.tags["mlflow.runName"] == run.info.run_name


def test_run_name_and_tag_stay_in_step(client, unique):
    run_id = client.create_run(client.create_experiment(unique("names")), run_name="one").info.run_id
    client.update_run(run_id, name="two")
    assert client.get_run(run_id).data.tags["mlflow.runName"] == "two"
    client.set_tag(run_id, "mlflow.runName", "three")
    assert client.get_run(run_id).info.run_name == "three"
    client.log_batch(run_id, tags=[RunTag("mlflow.runName", "four")])
    assert client.get_run(run_id).info.run_name == "four"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "SCHEDULED", "RUNNING"])
def test_statuses(client, unique, status):
    run_id = client.create_run(client.create_experiment(unique("status"))).info.run_id
    client.update_run(run_id, status=status)
    assert client.get_run(run_id).info.status == status
    client.set_terminated(run_id, status, end_time=1234567)
    seen = client.get_run(run_id).info
    assert (seen.status, seen.end_time) == (status, 1234567)
    assert RunStatus.from_string(seen.status)


def test_delete_and_restore(client, unique):
    experiment_id = client.create_experiment(unique("bin"))
    run_id = client.create_run(experiment_id).info.run_id
    client.log_param(run_id, "p", "1")
    client.delete_run(run_id)
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert client.search_runs([experiment_id]) == []
    deleted = client.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [r.info.run_id for r in deleted] == [run_id]
    for write in (
        lambda: client.log_metric(run_id, "m", 1),
        lambda: client.log_param(run_id, "q", 1),
        lambda: client.set_tag(run_id, "t", 1),
        lambda: client.log_batch(run_id, params=[Param("q", "1")]),
        lambda: client.update_run(run_id, name="x"),
    ):
        with refused():
            write()
    client.restore_run(run_id)
    client.restore_run(run_id)
    restored = client.get_run(run_id)
    assert (restored.info.lifecycle_stage, restored.data.params) == ("active", {"p": "1"})


def test_params_do_not_change(client, unique):
    run_id = client.create_run(client.create_experiment(unique("params"))).info.run_id
    client.log_param(run_id, "lr", 0.1)
    client.log_param(run_id, "lr", 0.1)
    with refused() as error:
        client.log_param(run_id, "lr", 0.2)
    assert "lr" in str(error.value)
    with refused():
        client.log_batch(run_id, params=[Param("fresh", "1"), Param("lr", "0.3")])
    assert client.get_run(run_id).data.params == {"lr": "0.1"}
    client.log_param(run_id, "empty", "")
    assert client.get_run(run_id).data.params["empty"] == ""


def test_long_values(client, unique):
    run_id = client.create_run(client.create_experiment(unique("long"))).info.run_id
    client.log_param(run_id, "p" * 250, "v" * 6000)
    client.set_tag(run_id, "t" * 250, "w" * 8000)
    run = client.get_run(run_id)
    assert run.data.params["p" * 250] == "v" * 6000
    assert run.data.tags["t" * 250] == "w" * 8000
    with refused():
        client.log_param(run_id, "p" * 251, "v")
    with refused():
        client.set_tag(run_id, "t" * 251, "v")


@pytest.mark.parametrize(
    ("key", "value"),
    [("plain", "x"), ("a/b/c", "x"), ("with space", " x "), ("dot.dash-colon:1", "x"), ("Umlaut", "Ä ß 雪 🚂"), ("nl", "a\nb\t")],
)
def test_keys_and_values_come_back(client, unique, key, value):
    run_id = client.create_run(client.create_experiment(unique("text"))).info.run_id
    client.log_param(run_id, key, value)
    client.set_tag(run_id, key, value)
    client.log_metric(run_id, key, 1.5)
    run = client.get_run(run_id)
    assert (run.data.params[key], run.data.tags[key], run.data.metrics[key]) == (value, value, 1.5)


@pytest.mark.parametrize("key", ["a//b", "../up", "/root", "a/../b", "ends/", ".", "semi;colon", "per%cent"])
def test_keys_that_would_be_paths_elsewhere(client, unique, key):
    run_id = client.create_run(client.create_experiment(unique("keys"))).info.run_id
    with refused():
        client.log_param(run_id, key, "x")
    with refused():
        client.log_metric(run_id, key, 1)


def test_log_batch(client, unique):
    run_id = client.create_run(client.create_experiment(unique("batch"))).info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric(f"m{i % 10}", i, 1000 + i, i) for i in range(800)],
        params=[Param(f"p{i}", str(i)) for i in range(100)],
        tags=[RunTag(f"t{i}", str(i)) for i in range(100)],
    )
    run = client.get_run(run_id)
    assert run.data.metrics == {f"m{i}": 790.0 + i for i in range(10)}
    assert run.data.params == {f"p{i}": str(i) for i in range(100)}
    assert all(run.data.tags[f"t{i}"] == str(i) for i in range(100))
    assert len(client.get_metric_history(run_id, "m3")) == 80
    client.log_batch(run_id)


def test_fluent_logs_more_than_one_batch(experiment):
    with mlflow.start_run() as active:
        mlflow.log_params({f"p{i}": i for i in range(250)})
        mlflow.log_metrics({f"m{i}": i for i in range(1100)})
        mlflow.set_tags({f"t{i}": i for i in range(150)})
    data = mlflow.get_run(active.info.run_id).data
    assert (len(data.params), len(data.metrics)) == (250, 1100)
    assert sum(key.startswith("t") for key in data.tags) == 150


def test_async_logging(experiment):
    with mlflow.start_run() as active:
        pending = [mlflow.log_metric("m", i, step=i, synchronous=False) for i in range(20)]
        pending.append(mlflow.log_param("p", 1, synchronous=False))
        pending.append(mlflow.set_tag("t", 1, synchronous=False))
        for operation in pending:
            operation.wait()
    run = mlflow.get_run(active.info.run_id)
    assert (run.data.metrics, run.data.params["p"], run.data.tags["t"]) == ({"m": 19.0}, "1", "1")


def test_unknown_run(client):
    for call in (
        lambda: client.get_run("0" * 32),
        lambda: client.log_metric("0" * 32, "m", 1),
        lambda: client.set_tag("0" * 32, "t", 1),
        lambda: client.delete_run("0" * 32),
    ):
        with refused("RESOURCE_DOES_NOT_EXIST"):
            call()


@pytest.fixture
def field(client, unique):
    """Four runs of one experiment: what searches are tried on."""
    experiment_id = client.create_experiment(unique("field"))
    made = []
    rows = [
        ("alpha", 0.9, "5", "red", "FINISHED"),
        ("beta", 0.5, "10", "green", "FAILED"),
        ("gamma", math.nan, "20", "blue", "FINISHED"),
        ("delta", None, None, None, "RUNNING"),
    ]
    for start, (name, metric, param, colour, status) in enumerate(rows, 1):
        run_id = client.create_run(experiment_id, start_time=start * 1000, run_name=name).info.run_id
        if metric is not None:
            client.log_metric(run_id, "acc", metric)
            client.log_param(run_id, "trees", param)
            client.set_tag(run_id, "colour", colour)
        if status != "RUNNING":
            client.set_terminated(run_id, status, end_time=start * 1000 + 10)
        made.append(run_id)
    dataset = mlflow.data.from_pandas(pd.DataFrame({"x": [1, 2]}), name="iris", source="file:///iris.csv")
    mlflow_run = client.get_run(made[0])
    client.log_inputs(
        mlflow_run.info.run_id,
        [
            mlflow.entities.DatasetInput(
                dataset._to_mlflow_entity(), [mlflow.entities.InputTag("mlflow.data.context", "training")]
            )
        ],
    )
    return experiment_id, made


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", "alpha beta gamma delta"),
        ("metrics.acc > 0.6", "alpha"),
        ("metrics.acc <= 0.9", "alpha beta"),
        ("metric.acc = 0.5", "beta"),
        ("metrics.acc != 0.5", "alpha gamma"),
        ("params.trees = '10'", "beta"),
        ("param.trees LIKE '%0'", "beta gamma"),
        ("params.trees != '5'", "beta gamma"),
        ("params.trees IS NULL", "delta"),
        ("params.trees IS NOT NULL", "alpha beta gamma"),
        ("tags.colour ILIKE 'RED'", "alpha"),
        ("tags.`colour` = 'blue' AND metrics.`acc` != 1", "gamma"),
        ("status = 'FINISHED'", "alpha gamma"),
        ("attributes.status != 'FINISHED'", "beta delta"),
        ("run_name LIKE '%a' AND attribute.start_time >= 2000", "beta gamma delta"),
        ("`Run name` = 'beta'", "beta"),
        ("start_time > 1000 and start_time < 4000", "beta gamma"),
        ("created < 2000", "alpha"),
        ("end_time = 2010", "beta"),
        ("run_id IN ('{0}', '{3}')", "alpha delta"),
        ("run_id NOT IN ('{0}', '{3}')", "beta gamma"),
        ("run_id = '{2}'", "gamma"),
        ("dataset.name = 'iris'", "alpha"),
        ("dataset.context = 'training' AND metrics.acc > 0", "alpha"),
        ("datasets.name LIKE 'no%'", ""),
        ("artifact_uri LIKE 'mlflow-artifacts:%'", "alpha beta gamma delta"),
    ],
)
def test_search_runs(client, field, condition, expected):
    experiment_id, made = field
    found = client.search_runs([experiment_id], condition.format(*made))
    assert sorted(r.info.run_name for r in found) == sorted(expected.split())


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (None, "delta gamma beta alpha"),
        (["start_time ASC"], "alpha beta gamma delta"),
        (["metrics.acc ASC"], "beta alpha gamma delta"),
        (["metrics.acc DESC"], "alpha beta gamma delta"),
        (["params.trees ASC"], "beta gamma alpha delta"),
        (["params.trees DESC"], "alpha gamma beta delta"),
        (["tags.colour"], "gamma beta alpha delta"),
        (["attributes.status", "run_name DESC"], "beta gamma alpha delta"),
        (["run_name"], "alpha beta delta gamma"),
        (["end_time DESC"], "gamma beta alpha delta"),
    ],
)
def test_order_of_runs(client, field, order_by, expected):
    experiment_id, _ = field
    found = client.search_runs([experiment_id], order_by=order_by)
    assert [r.info.run_name for r in found] == expected.split()


def test_pages_of_runs(client, unique):
    experiment_id = client.create_experiment(unique("pages"))
    made = [client.create_run(experiment_id, start_time=i).info.run_id for i in range(1, 26)]
    seen, token = [], None
    for _ in range(10):
        page = client.search_runs([experiment_id], max_results=7, page_token=token, order_by=["start_time ASC"])
        seen += [r.info.run_id for r in page]
        token = page.token
        if not token:
            break
    assert seen == made


def test_search_as_a_table(experiment):
    for value in range(3):
        with mlflow.start_run(run_name=f"run {value}"):
            mlflow.log_metric("m", value)
            mlflow.log_param("p", value)
    table = mlflow.search_runs([experiment], order_by=["metrics.m ASC"])
    assert list(table["metrics.m"]) == [0, 1, 2]
    assert list(table["params.p"]) == ["0", "1", "2"]
    assert list(table["tags.mlflow.runName"]) == ["run 0", "run 1", "run 2"]


def test_search_by_experiment_names(client, unique):
    names = [unique("multi") for _ in range(2)]
    for name in names:
        client.create_run(client.create_experiment(name))
    assert len(mlflow.search_runs(experiment_names=names)) == 2


@pytest.mark.parametrize(
    "condition",
    [
        "metrics.acc > 'x'",
        "params.p = 1",
        "status IN ()",
        "run_name ~ 'x'",
        "metrics.acc > 1 OR",
        "(metrics.acc > 1",
        "attribute.nothing = 'x'",
        "metrics.acc",
        "= 1",
        "params.p = 'open",
    ],
)
def test_bad_filters(client, field, condition):
    with refused():
        client.search_runs([field[0]], condition)


@pytest.mark.parametrize("order_by", ["metrics.acc SIDEWAYS", "nothing", "dataset.name", "metrics.acc ASC DESC"])
def test_bad_orders(client, field, order_by):
    with refused():
        client.search_runs([field[0]], order_by=[order_by])


def test_datasets(experiment, client):
    table = pd.DataFrame({"x": np.arange(10), "y": np.arange(10) * 2.0})
    with mlflow.start_run() as active:
        mlflow.log_input(mlflow.data.from_pandas(table, name="train", targets="y"), context="training")
        mlflow.log_input(mlflow.data.from_numpy(np.ones((3, 2)), name="eval"), context="eval", tags={"extra": "1"})
    inputs = client.get_run(active.info.run_id).inputs.dataset_inputs
    by_name = {i.dataset.name: i for i in inputs}
    assert set(by_name) == {"train", "eval"}
    assert {t.key: t.value for t in by_name["train"].tags} == {"mlflow.data.context": "training"}
    assert {t.key: t.value for t in by_name["eval"].tags} == {"mlflow.data.context": "eval", "extra": "1"}
    dataset = by_name["train"].dataset
    assert dataset.source_type == "code"
    assert '"num_rows": 10' in dataset.profile
    assert "mlflow_colspec" in dataset.schema


def test_one_dataset_in_two_runs(experiment, client):
    dataset = mlflow.data.from_pandas(pd.DataFrame({"x": [1]}), name="shared")
    ids = []
    for _ in range(2):
        with mlflow.start_run() as active:
            mlflow.log_input(dataset)
            mlflow.log_input(dataset)
        ids.append(active.info.run_id)
    found = client.search_runs([experiment], "dataset.name = 'shared'")
    assert {r.info.run_id for r in found} == set(ids)
    for run_id in ids:
        assert len(client.get_run(run_id).inputs.dataset_inputs) == 1


def test_clients_see_each_others_writes(client, tracking, unique):
    run_id = client.create_run(client.create_experiment(unique("two"))).info.run_id
    MlflowClient(tracking).log_metric(run_id, "m", 3)
    assert client.get_run(run_id).data.metrics == {"m": 3.0}


def test_log_model_json_of_old_clients(client, unique):
    """`runs/log-model` is what clients before 3 call; `record_logged_model` still does."""
    run_id = client.create_run(client.create_experiment(unique("legacy"))).info.run_id
    from mlflow.models import Model

    client._record_logged_model(run_id, Model(artifact_path="model", run_id=run_id, flavors={"tf": "flavor body"}))
    (entry,) = json.loads(client.get_run(run_id).data.tags["mlflow.log-model.history"])
    assert (entry["artifact_path"], entry["flavors"], entry["run_id"]) == ("model", {"tf": "flavor body"}, run_id)
    with pytest.raises(RestException):
        client._record_logged_model("0" * 32, Model(artifact_path="model", run_id=run_id, flavors={}))
