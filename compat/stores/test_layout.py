"""What lies in the bucket, or on a server of files: the keys that MLflow would make, and nothing else."""

import pathlib
import subprocess
import urllib.parse

import mlflow
import pytest
from places import SERVERS, STORES
from servers import clean_environment, trackway_binary

pytestmark = pytest.mark.places(*STORES, *SERVERS)

# What people name files. Left out: what the client itself makes something else of (a question mark, a backslash, a
# blank in front), or refuses.
ODD = [
    "with space.txt", "pe%rcent.txt", "100%", "plus+plus.txt", "a&b=c.txt", "semi;colon", "quote'\".txt",
    "tilde~", "star*", "co:lon", "[brackets]", "{braces}", "Grüße.txt", "雪.txt", "emoji😀.txt", "e\u0301nfd.txt",
    ".hidden", "..dots", "trailing.", "trailing ", "a,b", "a@b", "a=b", "a$b", "a!b", "(round)", "CAPS.TXT", "caps.txt",
]  # fmt: skip


@pytest.fixture
def run(client, unique):
    return client.create_run(client.create_experiment(unique("layout")))


def below(run) -> str:
    return f"{run.info.experiment_id}/{run.info.run_id}/artifacts/"


def test_keys_lie_as_mlflow_lays_them(client, run, bucket, tmp_path):
    """A user can go back to MLflow, with the bucket as it is."""
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/a.txt").write_text("alpha")
    (tmp_path / "tree/deep/empty").write_bytes(b"")
    client.log_text(run.info.run_id, "x", "one/b.txt")
    client.log_artifacts(run.info.run_id, str(tmp_path / "tree"))
    client.log_artifacts(run.info.run_id, str(tmp_path / "tree"), "two")
    root = below(run)
    assert bucket.keys(root) == {
        f"{root}one/b.txt": 1,
        f"{root}a.txt": 5,
        f"{root}deep/empty": 0,
        f"{root}two/a.txt": 5,
        f"{root}two/deep/empty": 0,
    }
    assert bucket.read(f"{root}a.txt") == b"alpha"


def test_keys_of_a_logged_model(experiment, bucket):
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    info = mlflow.pyfunc.log_model(name="echo", python_model=Echo(), pip_requirements=["mlflow"])
    root = f"{experiment}/models/{info.model_id}/artifacts/"
    keys = {key.removeprefix(root) for key in bucket.keys(f"{experiment}/")}
    assert {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "python_model.pkl"} <= keys
    assert not [key for key in keys if key.startswith(experiment)], "something lies outside of the model's folder"
    assert mlflow.pyfunc.load_model(info.model_uri).predict("x") == "x"


def test_nothing_else_lies_in_the_bucket(client, run, bucket):
    """No marker of a folder, no file of our own beside those of users."""
    client.log_text(run.info.run_id, "x", "folder/file.txt")
    client.list_artifacts(run.info.run_id)
    strange = [key for key in bucket.everything() if not key.startswith("some/prefix/") or key.endswith("/")]
    assert strange == []
    first = {key.split("/")[0] for key in bucket.keys()}
    assert all(name.isdigit() for name in first), first


@pytest.mark.parametrize("name", ODD)
def test_odd_names(client, run, bucket, tmp_path, name):
    run_id, root = run.info.run_id, below(run)
    if bucket.store.name == "hdfs" and ":" in name:
        # HDFS itself has no such name, and the client is told so.
        with pytest.raises(Exception, match="400|Invalid"):
            client.log_text(run_id, "x", f"in/side/{name}")
        return
    # In a run of its own, so that names that differ in case alone do not meet on the way.
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / name).write_bytes(name.encode())
    client.log_artifacts(run_id, str(tmp_path / "up"), "in/side")
    assert bucket.keys(root) == {f"{root}in/side/{name}": len(name.encode())}
    # The WebHDFS that the test looks through decodes and composes names once too often; what ours reads is compared below.
    if bucket.store.name != "hdfs" or not ("%" in name or "\u0301" in name):
        assert bucket.read(f"{root}in/side/{name}") == name.encode()
    assert [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id, "in/side")] == [
        (f"in/side/{name}", False, len(name.encode()))
    ]
    (tmp_path / "down").mkdir()
    got = pathlib.Path(client.download_artifacts(run_id, "in/side", str(tmp_path / "down")))
    assert (got / name).read_bytes() == name.encode()


# A backslash is left out: Azurite and SeaweedFS themselves make a slash of it.
@pytest.mark.parametrize("name", ["question?.txt", " leading"])
def test_odd_names_that_the_client_cannot_send(api, run, bucket, name):
    path = urllib.parse.quote(f"{below(run)}in/{name}")
    answer = api.raw("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", data=b"x")
    assert answer.status == 200, answer
    assert bucket.keys(below(run)) == {f"{below(run)}in/{name}": 1}
    assert api.raw("GET", f"/api/2.0/mlflow-artifacts/artifacts/{path}").text == "x"
    listed = api.get("/api/2.0/mlflow-artifacts/artifacts", {"path": f"{below(run)}in"}).ok()
    assert listed["files"] == [{"path": name, "is_dir": False, "file_size": 1}]


def test_delete(api, client, run, bucket):
    run_id, root = run.info.run_id, below(run)
    for path in ("dir/a.txt", "dir/sub/b.txt", "dir.txt", "dirs/c.txt", "d"):
        client.log_text(run_id, "x", path)
    delete = f"/api/2.0/mlflow-artifacts/artifacts/{root}"
    assert api.call("DELETE", f"{delete}dir").ok() == {}
    assert set(bucket.keys(root)) == {f"{root}dir.txt", f"{root}dirs/c.txt", f"{root}d"}
    # SeaweedFS goes on listing the emptied folder for a while.
    if bucket.store.name != "seaweedfs":
        assert [f.path for f in client.list_artifacts(run_id)] == ["d", "dir.txt", "dirs"]
    assert api.call("DELETE", f"{delete}d").ok() == {}
    assert set(bucket.keys(root)) == {f"{root}dir.txt", f"{root}dirs/c.txt"}


@pytest.mark.differs_from_stock("stock answers 500 for a missing object, and 500 for a missing one to delete on Azure")
def test_what_is_not_there(api, run):
    path = f"/api/2.0/mlflow-artifacts/artifacts/{below(run)}nothing"
    assert api.get(path).status == 404
    assert api.call("DELETE", path).ok() == {}
    assert api.get("/api/2.0/mlflow-artifacts/artifacts", {"path": f"{below(run)}nothing"}).ok() == {}


def test_what_mlflow_stored_before(api, client, run, bucket):
    """A bucket that MLflow filled is served: the object is found though this server has never seen it."""
    bucket.write(f"{below(run)}old/model.bin", b"from before")
    assert api.get(f"/api/2.0/mlflow-artifacts/artifacts/{below(run)}old/model.bin").response.content == b"from before"
    assert [(f.path, f.is_dir) for f in client.list_artifacts(run.info.run_id)] == [("old", True)]
    found = client.list_artifacts(run.info.run_id, "old")
    assert [(f.path, f.is_dir, f.file_size) for f in found] == [("old/model.bin", False, 11)]


def test_replace_with_shorter(client, run, bucket):
    run_id, root = run.info.run_id, below(run)
    client.log_text(run_id, "a long first text", "t.txt")
    client.log_text(run_id, "short", "t.txt")
    assert bucket.keys(root) == {f"{root}t.txt": 5}
    assert [(f.path, f.file_size) for f in client.list_artifacts(run_id)] == [("t.txt", 5)]
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/t.txt") == "short"


@pytest.mark.places(*SERVERS)
@pytest.mark.differs_from_stock("the command is ours")
def test_purge(client, run, server, bucket):
    """What is deleted goes for good with its files and its folder, and nothing beside it."""
    kept = client.create_run(run.info.experiment_id)
    for each in (run, kept):
        client.log_text(each.info.run_id, "x", "deep/er/file")
    client.delete_run(run.info.run_id)
    told = subprocess.run(
        [trackway_binary(), "server", "purge", "--run-ids", run.info.run_id, "--artifacts-destination", bucket.uri],
        cwd=server.folder, env=clean_environment(**bucket.store.variables), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert bucket.keys(f"{run.info.experiment_id}/") == {f"{below(kept)}deep/er/file": 1}
    assert bucket.names(run.info.experiment_id) == [kept.info.run_id]
