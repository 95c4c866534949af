"""Tracking with the 2.9 client: fluent API, MlflowClient, search, datasets and artifacts."""

import math
import pathlib
import uuid

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

assert mlflow.__version__ == "2.9.2", mlflow.__version__

client = MlflowClient()
name = f"old client {uuid.uuid4().hex[:8]}"


def refuses(call, error_code="INVALID_PARAMETER_VALUE"):
    try:
        call()
    except MlflowException as error:
        assert error.error_code == error_code, error
    else:
        raise AssertionError(f"was not refused with {error_code}")


# Experiments
experiment = mlflow.set_experiment(name)
assert experiment.lifecycle_stage == "active"
assert client.get_experiment_by_name(name).experiment_id == experiment.experiment_id
assert client.get_experiment_by_name(name + " absent") is None
client.set_experiment_tag(experiment.experiment_id, "k", "v")
assert client.get_experiment(experiment.experiment_id).tags["k"] == "v"
refuses(lambda: client.create_experiment(name), "RESOURCE_ALREADY_EXISTS")
assert [e.name for e in client.search_experiments(filter_string=f"name = '{name}'")] == [name]

# Runs by the fluent API
with mlflow.start_run(run_name="parent", tags={"a": "1"}) as parent:
    mlflow.log_param("lr", 0.1)
    mlflow.log_params({"depth": 3, "text": "Grüße 雪"})
    for step in range(10):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"nan": math.nan, "inf": math.inf})
    with mlflow.start_run(nested=True, run_name="child") as child:
        mlflow.log_metric("loss", 5)
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [0.0, 1.0, 0.0]})
    mlflow.log_input(mlflow.data.from_pandas(frame, name="frame", targets="y"), context="training")
    mlflow.log_text("hello", "notes/a.txt")
    mlflow.log_dict({"x": 1}, "d.json")
    mlflow.log_table({"q": ["a"], "n": [1]}, "table.json")

run = client.get_run(parent.info.run_id)
assert (run.info.status, run.info.run_name) == ("FINISHED", "parent")
assert run.data.params == {"lr": "0.1", "depth": "3", "text": "Grüße 雪"}
assert run.data.metrics["loss"] == 0.1
assert math.isnan(run.data.metrics["nan"]) and run.data.metrics["inf"] > 1e308
assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == list(range(10))
assert [d.dataset.name for d in run.inputs.dataset_inputs] == ["frame"]
assert client.get_parent_run(child.info.run_id).info.run_id == run.info.run_id

# Artifacts
assert sorted(f.path for f in client.list_artifacts(run.info.run_id)) == ["d.json", "notes", "table.json"]
assert [(f.path, f.file_size) for f in client.list_artifacts(run.info.run_id, "notes")] == [("notes/a.txt", 5)]
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/a.txt") == "hello"
folder = pathlib.Path("up")
(folder / "in").mkdir(parents=True)
(folder / "in" / "b.bin").write_bytes(bytes(1000))
client.log_artifacts(run.info.run_id, str(folder), "tree")
down = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="tree"))
assert (down / "in" / "b.bin").read_bytes() == bytes(1000)

# MlflowClient
made = client.create_run(experiment.experiment_id, start_time=123, run_name="bare")
run_id = made.info.run_id
client.log_batch(
    run_id,
    [Metric("m", i, i, i) for i in range(900)],
    [Param(f"p{i}", str(i)) for i in range(50)],
    [RunTag("t", "1"), RunTag("mlflow.note.content", "note")],
)
assert len(client.get_metric_history(run_id, "m")) == 900
refuses(lambda: client.log_param(run_id, "p1", "other"))
refuses(lambda: client.log_metric("f" * 32, "m", 1), "RESOURCE_DOES_NOT_EXIST")
client.set_tag(run_id, "t", "2")
client.delete_tag(run_id, "mlflow.note.content")
client.update_run(run_id, status="FAILED", name="renamed")
seen = client.get_run(run_id)
assert (seen.info.status, seen.info.run_name, seen.data.tags["t"]) == ("FAILED", "renamed", "2")
client.delete_run(run_id)
assert client.get_run(run_id).info.lifecycle_stage == "deleted"
client.restore_run(run_id)
client.set_terminated(run_id, "KILLED", end_time=456)
assert client.get_run(run_id).info.end_time == 456

# Search
ids = [experiment.experiment_id]
assert len(client.search_runs(ids)) == 3
found = client.search_runs(ids, "metrics.loss < 1 AND params.lr = '0.1' AND tags.a = '1'")
assert [r.info.run_name for r in found] == ["parent"]
found = client.search_runs(ids, "attributes.status = 'FINISHED'", order_by=["metrics.loss DESC"])
assert [r.info.run_name for r in found] == ["child", "parent"]
assert [r.info.run_name for r in client.search_runs(ids, "dataset.name = 'frame'")] == ["parent"]
refuses(lambda: client.search_runs(ids, "nonsense here"))
page = client.search_runs(ids, max_results=2)
assert len(page) == 2 and page.token
assert len(client.search_runs(ids, max_results=2, page_token=page.token)) == 1
table = mlflow.search_runs(ids, order_by=["start_time ASC"])
assert len(table) == 3 and "metrics.loss" in table

# The end of the experiment
client.rename_experiment(experiment.experiment_id, name + " renamed")
client.delete_experiment(experiment.experiment_id)
assert client.get_experiment(experiment.experiment_id).lifecycle_stage == "deleted"
assert name + " renamed" in {e.name for e in client.search_experiments(view_type=ViewType.DELETED_ONLY, filter_string=f"name LIKE '{name}%'")}
client.restore_experiment(experiment.experiment_id)

print("all checks hold")
