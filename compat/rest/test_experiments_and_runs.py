"""Rules of experiments and runs that no client call shows directly."""

import pytest


def test_a_taken_name(api, unique):
    name = unique("taken")
    first = api.experiment(name)
    answer = api.post("experiments/create", {"name": name}).refused(400, "RESOURCE_ALREADY_EXISTS")
    assert answer.message.startswith(f"Experiment(name={name}) already exists.")
    other = api.experiment()
    # Stock lets the database's own words through here, as BAD_REQUEST.
    api.post("experiments/update", {"experiment_id": other, "new_name": name}).refused(400, None)
    api.post("experiments/delete", {"experiment_id": first}).ok()
    api.post("experiments/create", {"name": name}).refused(400, "RESOURCE_ALREADY_EXISTS")
    seen = api.get("experiments/get-by-name", {"experiment_name": name}).ok()["experiment"]
    assert (seen["experiment_id"], seen["lifecycle_stage"]) == (first, "deleted")


def test_life_of_an_experiment(api):
    experiment_id = api.experiment()
    body = {"experiment_id": experiment_id}
    api.post("experiments/restore", body).missing()
    api.post("experiments/delete", body).ok()
    api.post("experiments/delete", body).missing()
    api.post("runs/create", body).refused()
    api.post("experiments/restore", body).ok()
    api.post("runs/create", body).ok()


@pytest.mark.differs_from_stock("stock answers 500 INVALID_STATE")
def test_renaming_a_deleted_experiment(api, unique):
    experiment_id = api.experiment()
    api.post("experiments/delete", {"experiment_id": experiment_id}).ok()
    answer = api.post("experiments/update", {"experiment_id": experiment_id, "new_name": unique("n")})
    assert 400 <= answer.status < 500, answer


def test_restoring_revives_every_run(api):
    experiment_id = api.experiment()
    runs = [api.run(experiment_id) for _ in range(2)]
    api.post("runs/delete", {"run_id": runs[0]}).ok()
    api.post("experiments/delete", {"experiment_id": experiment_id}).ok()
    assert {api.get_run(r)["info"]["lifecycle_stage"] for r in runs} == {"deleted"}
    api.post("experiments/restore", {"experiment_id": experiment_id}).ok()
    assert {api.get_run(r)["info"]["lifecycle_stage"] for r in runs} == {"active"}


@pytest.mark.parametrize(("view", "count"), [(None, 1), ("ACTIVE_ONLY", 1), ("DELETED_ONLY", 1), ("ALL", 2), (1, 1), (3, 2)])
def test_views(api, view, count):
    experiment_id = api.experiment()
    api.run(experiment_id)
    api.post("runs/delete", {"run_id": api.run(experiment_id)}).ok()
    body = {"experiment_ids": [experiment_id]}
    if view is not None:
        body["run_view_type"] = view
    assert len(api.post("runs/search", body).ok()["runs"]) == count


def test_search_without_experiments(api):
    assert api.post("runs/search", {}).ok() == {}
    assert api.post("runs/search", {"experiment_ids": []}).ok() == {}
    assert api.post("runs/search", {"experiment_ids": ["987654321"]}).ok() == {}


def test_a_new_run(api):
    experiment_id = api.experiment()
    run = api.post("runs/create", {"experiment_id": experiment_id}).ok()["run"]
    assert run["info"]["start_time"] == 0
    assert run["info"]["run_name"]
    assert run["inputs"] == {}
    assert "outputs" not in run
    run = api.post("runs/create", {"experiment_id": experiment_id, "start_time": -5, "user_id": "u"}).ok()["run"]
    assert (run["info"]["start_time"], run["info"]["user_id"]) == (-5, "u")


def test_run_name_and_its_tag(api):
    experiment_id = api.experiment()
    tag = {"key": "mlflow.runName", "value": "by tag"}
    run = api.post("runs/create", {"experiment_id": experiment_id, "tags": [tag]}).ok()["run"]
    assert run["info"]["run_name"] == "by tag"
    both = {"experiment_id": experiment_id, "run_name": "other", "tags": [tag]}
    api.post("runs/create", both).refused()
    run_id = run["info"]["run_id"]
    api.post("runs/delete-tag", {"run_id": run_id, "key": "mlflow.runName"}).ok()
    assert api.get_run(run_id)["info"]["run_name"] == "by tag"


def test_update_of_a_run(api):
    run_id = api.run(run_name="one")
    info = api.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 99}).ok()["run_info"]
    assert (info["status"], info["end_time"], info["run_name"]) == ("FINISHED", 99, "one")
    info = api.post("runs/update", {"run_id": run_id, "run_name": "two"}).ok()["run_info"]
    assert (info["status"], info["end_time"], info["run_name"]) == ("FINISHED", 99, "two")


def test_a_batch_is_all_or_nothing(api):
    run_id = api.run(run_name="x")
    api.post("runs/log-parameter", {"run_id": run_id, "key": "p", "value": "1"}).ok()
    body = {
        "run_id": run_id,
        "metrics": [{"key": "m", "value": 1, "timestamp": 1}],
        "params": [{"key": "q", "value": "1"}, {"key": "p", "value": "2"}],
        "tags": [{"key": "t", "value": "1"}],
    }
    api.post("runs/log-batch", body).refused(400, "INVALID_PARAMETER_VALUE", "p")
    data = api.get_run(run_id)["data"]
    assert data == {"params": [{"key": "p", "value": "1"}], "tags": [{"key": "mlflow.runName", "value": "x"}]}


def test_duplicates_in_a_batch(api):
    run_id = api.run(run_name="x")
    same = [{"key": "p", "value": "1"}, {"key": "p", "value": "1"}]
    api.post("runs/log-batch", {"run_id": run_id, "params": same}).refused()
    tags = [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]
    api.post("runs/log-batch", {"run_id": run_id, "tags": tags}).ok()
    assert {"key": "t", "value": "2"} in api.get_run(run_id)["data"]["tags"]
    assert api.post("runs/log-batch", {"run_id": run_id}).ok() == {}
    assert api.post("runs/log-batch", {"run_id": run_id, "params": [{"key": "bare"}]}).ok() == {}
    assert {"key": "bare", "value": ""} in api.get_run(run_id)["data"]["params"]


def test_deleting_tags(api):
    run_id, experiment_id = api.run(), api.experiment()
    api.post("runs/delete-tag", {"run_id": run_id, "key": "none"}).missing()
    api.post("experiments/delete-experiment-tag", {"experiment_id": experiment_id, "key": "none"}).missing()


def test_inputs(api):
    run_id = api.run()
    dataset = {"name": "d", "digest": "1", "source_type": "s", "source": "{}", "schema": "{}", "profile": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    api.post("runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": tags}]}).ok()
    again = [{"key": "mlflow.data.context", "value": "other"}]
    api.post("runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": again}]}).ok()
    assert api.get_run(run_id)["inputs"] == {"dataset_inputs": [{"dataset": dataset, "tags": tags}]}
    api.post("runs/log-inputs", {"run_id": "0" * 32, "datasets": [{"dataset": dataset, "tags": []}]}).missing()


def test_search_datasets(api):
    route = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    experiment_id = api.experiment()
    for index in range(3):
        dataset = {"name": "d", "digest": str(index % 2), "source_type": "s", "source": "x"}
        tags = [{"key": "mlflow.data.context", "value": "training"}]
        api.post("runs/log-inputs", {"run_id": api.run(experiment_id), "datasets": [{"dataset": dataset, "tags": tags}]}).ok()
    found = api.post(route, {"experiment_ids": [experiment_id]}).ok()["dataset_summaries"]
    assert sorted(d["digest"] for d in found) == ["0", "1"]
    assert all((d["experiment_id"], d["name"], d["context"]) == (experiment_id, "d", "training") for d in found)
    api.post(route, {}).refused()
    api.post(route, {"experiment_ids": [str(i) for i in range(21)]}).refused()


def test_logged_model(api):
    experiment_id = api.experiment()
    run_id = api.run(experiment_id)
    body = {
        "experiment_id": experiment_id, "name": "net", "model_type": "deep", "source_run_id": run_id,
        "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "2"}],
    }  # fmt: skip
    model = api.post("logged-models", body).ok()["model"]
    model_id = model["info"]["model_id"]
    assert model["info"]["status"] == "LOGGED_MODEL_PENDING"
    assert model["info"]["artifact_uri"] == f"mlflow-artifacts:/{experiment_id}/models/{model_id}/artifacts"
    assert (model["info"]["tags"], model["data"]["params"]) == (body["tags"], body["params"])
    done = api.patch(f"logged-models/{model_id}", {"model_id": model_id, "status": "LOGGED_MODEL_READY"}).ok()["model"]
    assert done["info"]["status"] == "LOGGED_MODEL_READY"
    api.patch(f"logged-models/{model_id}/tags", {"tags": [{"key": "t", "value": "3"}, {"key": "u", "value": "4"}]}).ok()
    api.delete(f"logged-models/{model_id}/tags/u").ok()
    api.delete(f"logged-models/{model_id}/tags/u").missing()
    api.post(f"logged-models/{model_id}/params", {"model_id": model_id, "params": [{"key": "q", "value": "5"}]}).ok()
    seen = api.get(f"logged-models/{model_id}").ok()["model"]
    assert seen["info"]["tags"] == [{"key": "t", "value": "3"}]
    assert sorted(p["key"] for p in seen["data"]["params"]) == ["p", "q"]
    other = {"model_id": model_id, "params": [{"key": "q", "value": "6"}]}
    assert api.post(f"logged-models/{model_id}/params", other).status == 400
    api.post("runs/outputs", {"run_id": run_id, "models": [{"model_id": model_id, "step": 4}]}).ok()
    assert api.get_run(run_id)["outputs"] == {"model_outputs": [{"model_id": model_id, "step": 4}]}
    assert api.delete(f"logged-models/{model_id}").ok() == {}
    assert api.delete(f"logged-models/{model_id}").ok() == {}
    api.get(f"logged-models/{model_id}").missing()


def test_unknown_logged_model(api):
    model_id = "m-" + "0" * 32
    api.get(f"logged-models/{model_id}").missing()
    api.patch(f"logged-models/{model_id}", {"model_id": model_id, "status": "LOGGED_MODEL_READY"}).missing()
    api.patch(f"logged-models/{model_id}/tags", {"tags": [{"key": "a", "value": "b"}]}).missing()
    api.post("logged-models", {"experiment_id": "987654321", "name": "x"}).missing()


@pytest.mark.differs_from_stock("stock answers 500 to a bad filter over logged models")
@pytest.mark.parametrize("condition", ["nonsense", "name >", "metrics.a > 'x'", "params.a > 1", "nothing = 'x'", "name = 'a' OR"])
def test_bad_filters_of_logged_models(api, condition):
    api.post("logged-models/search", {"experiment_ids": ["0"], "filter": condition}).refused()


def test_the_default_experiment(api):
    seen = api.get("experiments/get", {"experiment_id": "0"}).ok()["experiment"]
    assert (seen["name"], seen["artifact_location"]) == ("Default", "mlflow-artifacts:/0")
