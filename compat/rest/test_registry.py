"""Rules of the registry that no client call shows directly."""

import pytest


@pytest.fixture
def model(api):
    return api.registered_model()


def test_a_taken_name(api, model):
    answer = api.post("registered-models/create", {"name": model}).refused(400, "RESOURCE_ALREADY_EXISTS")
    assert answer.message.startswith(f"Registered Model (name={model}) already exists.")


@pytest.mark.parametrize("name", ["a/b", "a:b", ".", ".."])
def test_names(api, name):
    api.post("registered-models/create", {"name": name}).refused()


def test_versions_are_text(api, model):
    first = api.post("model-versions/create", {"name": model, "source": "s3://b/x"}).ok()["model_version"]
    assert first["version"] == "1"
    seen = api.get("registered-models/get", {"name": model}).ok()["registered_model"]
    assert [v["version"] for v in seen["latest_versions"]] == ["1"]


@pytest.mark.parametrize("version", ["x", "1.5", "-", "1 2", "٣"])
def test_versions_that_are_none(api, model, version):
    api.version(model)
    answer = api.get("model-versions/get", {"name": model, "version": version})
    assert answer.status in (400, 404), answer
    answer = api.post("model-versions/transition-stage", {"name": model, "version": version, "stage": "Staging", "archive_existing_versions": False})
    assert answer.status in (400, 404), answer


@pytest.mark.parametrize("version", ["0", "-1", "2", pytest.param("9" * 25, marks=pytest.mark.differs_from_stock("stock answers 500"))])
def test_unknown_versions(api, model, version):
    api.version(model)
    answer = api.get("model-versions/get", {"name": model, "version": version})
    assert answer.status in (400, 404), answer


def test_empty_aliases_and_latest_versions_are_left_out_of_searches(api, model):
    api.version(model)
    api.post("registered-models/alias", {"name": model, "alias": "a", "version": "1"}).ok()
    (found,) = api.get("model-versions/search", {"filter": f"name = '{model}'"}).ok()["model_versions"]
    assert "aliases" not in found
    seen = api.get("model-versions/get", {"name": model, "version": "1"}).ok()["model_version"]
    assert seen["aliases"] == ["a"]
    (found,) = api.get("registered-models/search", {"filter": f"name = '{model}'"}).ok()["registered_models"]
    assert found["aliases"] == [{"alias": "a", "version": "1"}]
    assert "aliases" not in found["latest_versions"][0]


def test_aliases(api, model):
    api.version(model)
    body = {"name": model, "alias": "champion"}
    api.get("registered-models/alias", body).refused()
    assert api.delete("registered-models/alias", body).ok() == {}
    api.post("registered-models/alias", {**body, "version": "5"}).missing()
    api.post("registered-models/alias", {**body, "version": "1"}).ok()
    assert api.get("registered-models/alias", body).ok()["model_version"]["version"] == "1"
    api.get("registered-models/alias", {"name": "nobody at all", "alias": "x"}).missing()


def test_latest_as_an_alias(api, model):
    """No alias may be called so, and yet it can be asked for: it means the newest version."""
    body = {"name": model, "alias": "latest"}
    api.get("registered-models/alias", body).missing()
    for _ in range(2):
        api.version(model)
    assert api.get("registered-models/alias", body).ok()["model_version"]["version"] == "2"
    api.post("registered-models/alias", {**body, "version": "1"}).refused()


@pytest.mark.parametrize("alias", ["has space", "a/b", "ä!", "x" * 256])
def test_deleting_what_can_be_no_alias(api, model, alias):
    api.version(model)
    api.delete("registered-models/alias", {"name": model, "alias": alias}).refused()


def test_latest_versions_know_their_aliases(api, model):
    api.version(model)
    api.post("registered-models/alias", {"name": model, "alias": "champion", "version": "1"}).ok()
    (latest,) = api.post("registered-models/get-latest-versions", {"name": model}).ok()["model_versions"]
    assert latest["aliases"] == ["champion"]


def test_latest_versions_by_get_and_post(api, model):
    for _ in range(3):
        api.version(model)
    body = {"name": model, "version": "2", "stage": "staging", "archive_existing_versions": False}
    moved = api.post("model-versions/transition-stage", body).ok()["model_version"]
    assert moved["current_stage"] == "Staging"
    route = "registered-models/get-latest-versions"
    for answer in (api.get(route, {"name": model}), api.post(route, {"name": model}), api.post(route, {"name": model, "stages": []})):
        assert {v["current_stage"]: v["version"] for v in answer.ok()["model_versions"]} == {"None": "3", "Staging": "2"}
    assert [v["version"] for v in api.get(route, {"name": model, "stages": ["Staging"]}).ok()["model_versions"]] == ["2"]
    assert api.post(route, {"name": model, "stages": ["Archived"]}).ok() == {}
    api.post(route, {"name": model, "stages": ["Attic"]}).refused()


@pytest.mark.differs_from_stock("stock answers 500")
def test_source_of_a_missing_logged_model(api, model):
    source = "models:/m-" + "0" * 32
    answer = api.post("model-versions/create", {"name": model, "source": source})
    assert 400 <= answer.status < 500, answer
    answer = api.post("model-versions/create", {"name": model, "source": source, "model_id": "m-" + "0" * 32})
    assert 400 <= answer.status < 500, answer


def test_source_of_a_logged_model(api, model):
    experiment_id = api.experiment()
    info = api.post("logged-models", {"experiment_id": experiment_id, "name": "m"}).ok()["model"]["info"]
    other = api.post("logged-models", {"experiment_id": experiment_id, "name": "m"}).ok()["model"]["info"]
    body = {"name": model, "source": f"models:/{info['model_id']}", "model_id": info["model_id"]}
    made = api.post("model-versions/create", body).ok()["model_version"]
    assert made["source"] == body["source"]
    uri = api.get("model-versions/get-download-uri", {"name": model, "version": made["version"]}).ok()["artifact_uri"]
    assert uri == info["artifact_uri"]
    tags = api.get(f"logged-models/{info['model_id']}").ok()["model"]["info"]["tags"]
    assert any(t["key"] == "mlflow.modelVersions" and model in t["value"] for t in tags)
    api.post("model-versions/create", {**body, "model_id": other["model_id"]}).refused()
    api.post("model-versions/create", {"name": model, "source": body["source"]}).refused()
    api.post("model-versions/create", {"name": model, "source": info["artifact_uri"], "model_id": info["model_id"]}).ok()
    api.post("model-versions/create", {"name": model, "source": info["artifact_uri"], "model_id": other["model_id"]}).refused()


def test_source_of_another_version(api, model):
    run_id = api.run()
    api.version(model, source=f"runs:/{run_id}/m", run_id=run_id)
    target = api.registered_model()
    made = api.post("model-versions/create", {"name": target, "source": f"models:/{model}/1"}).ok()["model_version"]
    assert (made["source"], made["run_id"]) == (f"models:/{model}/1", run_id)
    api.post("model-versions/create", {"name": target, "source": f"models:/{model}/7"}).missing()
    other = api.run()
    api.post("model-versions/create", {"name": target, "source": f"models:/{model}/1", "run_id": other}).refused()


SOURCES = [
    "/tmp/x", "/etc/passwd", "file:///etc", "file:/etc", "file://localhost/etc", "x/y", "./x", "../x", "",
    "mlflow-artifacts:/../x", "mlflow-artifacts:/%2e%2e/x", "mlflow-artifacts:/0/%252e%252e/x", "mlflow-artifacts:/0/x",
    "mlflow-artifacts://127.0.0.1:5000/0/x", "http://127.0.0.1:5000/api/2.0/mlflow-artifacts/artifacts/0/x",
    "https://evil.example/x", "s3://b/../x", "s3://b/a/../../x", "s3://b/%2e%2e/x", "s3://b/x%00", "gs://b/..", "dbfs:/../x",
    "runs:/00000000000000000000000000000000/m", "runs://profile@x/m", "models:/", "models:/x", "models://host/x/1",
    "ftp://user@host/x", "sftp://host/x", "hdfs://namenode/x", "viewfs://c/x", "abfss://fs@host.example/x", "r2://b@host/x", "b2://b@host/x",
]  # fmt: skip


FAILS_IN_STOCK = pytest.param("file://../x", marks=pytest.mark.differs_from_stock("stock answers 500"))


@pytest.mark.parametrize("source", [*SOURCES, FAILS_IN_STOCK])
def test_sources_that_are_refused(api, model, source):
    answer = api.post("model-versions/create", {"name": model, "source": source})
    assert answer.status == 400, answer
    assert api.get("model-versions/search", {"filter": f"name = '{model}'"}).ok() == {}


def test_a_local_path_in_the_run_is_fine(api, model, tmp_path):
    experiment_id = api.experiment(artifact_location=tmp_path.as_uri())
    run_id = api.run(experiment_id)
    inside = f"{tmp_path}/{run_id}/artifacts/model"
    for source in (inside, f"file://{inside}"):
        assert api.post("model-versions/create", {"name": model, "source": source, "run_id": run_id}).ok()
    for source in (f"{tmp_path}/other", f"{inside}/../../../x", "/etc"):
        api.post("model-versions/create", {"name": model, "source": source, "run_id": run_id}).refused()


def test_deleting_the_model_takes_all_along(api, model, unique):
    api.version(model, tags=[{"key": "k", "value": "v"}])
    api.post("registered-models/alias", {"name": model, "alias": "a", "version": "1"}).ok()
    api.delete("registered-models/delete", {"name": model}).ok()
    api.get("model-versions/get", {"name": model, "version": "1"}).missing()
    api.get("registered-models/alias", {"name": model, "alias": "a"}).missing()
    api.post("registered-models/create", {"name": model}).ok()
    seen = api.get("registered-models/get", {"name": model}).ok()["registered_model"]
    assert "aliases" not in seen and "latest_versions" not in seen
    assert api.version(model) == "1"
    assert "tags" not in api.get("model-versions/get", {"name": model, "version": "1"}).ok()["model_version"]


def test_prompts_are_hidden(api, unique):
    prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    name = unique("prompt")
    api.post("registered-models/create", {"name": name, "tags": [prompt]}).ok()
    api.version(name, source="dummy-source", tags=[prompt, {"key": "mlflow.prompt.text", "value": "hi"}])
    named = f"name = '{name}'"
    assert api.get("registered-models/search", {"filter": named}).ok() == {}
    assert api.get("model-versions/search", {"filter": named}).ok() == {}
    asked = f"{named} AND tags.`mlflow.prompt.is_prompt` = 'true'"
    assert len(api.get("registered-models/search", {"filter": asked}).ok()["registered_models"]) == 1
    assert len(api.get("model-versions/search", {"filter": asked}).ok()["model_versions"]) == 1
    assert api.get("registered-models/get", {"name": name}).ok()["registered_model"]["tags"] == [prompt]
    model = api.registered_model()
    hidden = f"name = '{model}' AND tags.`mlflow.prompt.is_prompt` != 'true'"
    assert len(api.get("registered-models/search", {"filter": hidden}).ok()["registered_models"]) == 1
