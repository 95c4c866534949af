"""`--no-serve-artifacts` with the bucket as root: clients write to the store themselves, the server lists and shows."""

import pathlib

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from places import STORES
from rest_api import Api
from servers import Server, running

pytestmark = pytest.mark.places(*STORES)


@pytest.fixture(scope="module")
def direct(place, server_kind, tmp_path_factory):
    settings = place.settings(server_kind).direct()
    server = Server(server_kind, tmp_path_factory.mktemp("direct"), *settings.flags, env=settings.variables)
    server.bucket = settings.bucket
    yield from running(server)


@pytest.fixture
def client(direct, monkeypatch):
    for name, value in direct.bucket.store.variables.items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(direct.url)
    yield MlflowClient(direct.url)
    mlflow.set_tracking_uri(None)


@pytest.fixture
def run(client, unique):
    return client.create_run(client.create_experiment(unique("direct")))


@pytest.fixture
def api(direct) -> Api:
    return Api(direct.url)


def test_the_client_writes_and_the_server_lists(client, run, direct, api, tmp_path):
    run_id, uri = run.info.run_id, run.info.artifact_uri
    assert uri == f"{direct.bucket.uri}/{run.info.experiment_id}/{run_id}/artifacts"
    (tmp_path / "up/deep").mkdir(parents=True)
    (tmp_path / "up/a.txt").write_text("alpha")
    (tmp_path / "up/deep/empty").write_bytes(b"")
    client.log_artifacts(run_id, str(tmp_path / "up"), "tree")
    client.log_text(run_id, "top", "top.txt")
    root = f"{run.info.experiment_id}/{run_id}/artifacts/"
    assert direct.bucket.keys(root) == {f"{root}tree/a.txt": 5, f"{root}tree/deep/empty": 0, f"{root}top.txt": 3}

    top = [{"path": "top.txt", "is_dir": False, "file_size": 3}, {"path": "tree", "is_dir": True}]
    assert api.get("artifacts/list", {"run_id": run_id}).ok() == {"root_uri": uri, "files": top}
    tree = [{"path": "tree/a.txt", "is_dir": False, "file_size": 5}, {"path": "tree/deep", "is_dir": True}]
    assert api.get("artifacts/list", {"run_id": run_id, "path": "tree"}).ok()["files"] == tree
    answer = api.get("/get-artifact", {"run_id": run_id, "path": "tree/a.txt"})
    assert (answer.text, answer.headers["X-Content-Type-Options"]) == ("alpha", "nosniff")
    (tmp_path / "down").mkdir()
    got = pathlib.Path(client.download_artifacts(run_id, "tree", str(tmp_path / "down")))
    assert (got / "deep/empty").read_bytes() == b""


def test_the_page_uploads_through_the_server(run, direct, api):
    answer = api.call("POST", "/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": run.info.run_id, "path": "up/x.txt"}, data=b"up")
    assert answer.status == 200, answer
    assert direct.bucket.read(f"{run.info.experiment_id}/{run.info.run_id}/artifacts/up/x.txt") == b"up"
    assert api.get("/get-artifact", {"run_id": run.info.run_id, "path": "up/x.txt"}).text == "up"


def test_models(client, unique, direct, api):
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    experiment_id = mlflow.set_experiment(unique("models")).experiment_id
    info = mlflow.pyfunc.log_model(name="echo", python_model=Echo(), pip_requirements=["mlflow"])
    root = f"{experiment_id}/models/{info.model_id}/artifacts"
    model = client.get_logged_model(info.model_id)
    assert model.artifact_location == f"{direct.bucket.uri}/{root}"
    assert f"{root}/MLmodel" in direct.bucket.keys(root)
    assert mlflow.pyfunc.load_model(info.model_uri).predict("x") == "x"
    listed = api.get(f"logged-models/{info.model_id}/artifacts/directories").ok()
    assert "MLmodel" in {f["path"] for f in listed["files"]}
    name = unique("registered")
    version = mlflow.register_model(info.model_uri, name)
    assert mlflow.pyfunc.load_model(f"models:/{name}/{version.version}").predict("y") == "y"
    shown = api.get("/model-versions/get-artifact", {"name": name, "version": version.version, "path": "MLmodel"})
    assert shown.status == 200 and "flavors" in shown.text, shown


@pytest.mark.places("s3")
def test_signed_addresses(run, direct, api):
    """For clients that hold no key of the bucket."""
    run_id = run.info.run_id
    root = f"{run.info.experiment_id}/{run_id}/artifacts/"
    answer = api.post("artifacts/presigned-upload-url", {"run_id": run_id, "path": "d/a.json"}).ok()
    put = requests.put(answer["presigned_url"], data=b"{}", headers=answer["headers"], timeout=30)
    assert put.status_code == 200, put.text
    assert direct.bucket.read(f"{root}d/a.json") == b"{}"
    answer = api.post("artifacts/presigned-download-url", {"run_id": run_id, "path": "d/a.json"}).ok()
    assert answer["file_size"] == 2
    assert requests.get(answer["presigned_url"], headers=answer.get("headers"), timeout=30).content == b"{}"
    api.post("artifacts/presigned-download-url", {"run_id": run_id, "path": "nothing"}).missing()
    for expiration in (0, 604_801):
        body = {"run_id": run_id, "path": "d/a.json", "expiration": expiration}
        api.post("artifacts/presigned-download-url", body).refused(400, "INVALID_PARAMETER_VALUE", "between 1 and 604800")
    api.post("artifacts/presigned-upload-url", {"path": "a"}).refused(400, "INVALID_PARAMETER_VALUE", "Exactly one")
    api.post("artifacts/presigned-upload-url", {"run_id": run_id, "path": "../a"}).refused()
    model = api.post("logged-models", {"experiment_id": run.info.experiment_id, "name": "m"}).ok()["model"]["info"]
    answer = api.post("artifacts/presigned-upload-url", {"model_id": model["model_id"], "path": "MLmodel"}).ok()
    assert requests.put(answer["presigned_url"], data=b"m", headers=answer["headers"], timeout=30).status_code == 200
    below = model["artifact_uri"].removeprefix(f"{direct.bucket.uri}/")
    assert direct.bucket.read(f"{below}/MLmodel") == b"m"


def test_the_proxy_is_off(api):
    for method, path in (("GET", "artifacts/x"), ("PUT", "artifacts/x"), ("DELETE", "artifacts/x"), ("GET", "artifacts"), ("GET", "presigned/x")):
        assert api.call(method, f"/api/2.0/mlflow-artifacts/{path}").status == 503
    for verb in ("create", "complete", "abort"):
        assert api.post(f"/api/2.0/mlflow-artifacts/mpu/{verb}/x", {"path": "b", "num_parts": 1}).status == 503
    info = api.get("/api/3.0/mlflow/server-info").ok()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, False)
