"""Artifacts through the client: every way to log, list and fetch them."""

import json
import os
import pathlib

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from places import EVERYWHERE

pytestmark = pytest.mark.places(*EVERYWHERE)


@pytest.fixture
def run_id(client, unique):
    return client.create_run(client.create_experiment(unique("artifacts"))).info.run_id


def listing(client, run_id, path=None):
    return [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id, path)]


def test_file_and_folder(client, run_id, tmp_path):
    folder = tmp_path / "out"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "deep" / "b.bin").write_bytes(bytes(range(256)))
    (folder / "deep" / "er" / "empty").write_bytes(b"")
    client.log_artifact(run_id, folder / "a.txt")
    client.log_artifact(run_id, str(folder / "a.txt"), "sub/dir")
    client.log_artifacts(run_id, str(folder), "tree")
    assert listing(client, run_id) == [("a.txt", False, 5), ("sub", True, None), ("tree", True, None)]
    assert listing(client, run_id, "sub") == [("sub/dir", True, None)]
    assert listing(client, run_id, "sub/dir") == [("sub/dir/a.txt", False, 5)]
    assert listing(client, run_id, "tree") == [("tree/a.txt", False, 5), ("tree/deep", True, None)]
    assert listing(client, run_id, "tree/deep") == [("tree/deep/b.bin", False, 256), ("tree/deep/er", True, None)]
    assert listing(client, run_id, "nowhere") == []

    target = tmp_path / "down"
    target.mkdir()
    got = pathlib.Path(client.download_artifacts(run_id, "tree", str(target)))
    assert (got / "deep" / "b.bin").read_bytes() == bytes(range(256))
    assert (got / "deep" / "er" / "empty").read_bytes() == b""
    everything = pathlib.Path(client.download_artifacts(run_id, ""))
    assert (everything / "sub" / "dir" / "a.txt").read_text() == "alpha"
    assert pathlib.Path(client.download_artifacts(run_id, "a.txt")).read_text() == "alpha"


def test_a_missing_artifact(client, run_id):
    with pytest.raises(Exception, match="Failed to download artifacts"):
        client.download_artifacts(run_id, "nothing/here.txt")


def test_fluent_ways(experiment, tmp_path):
    import matplotlib.pyplot as plt
    import numpy as np
    import pandas as pd

    with mlflow.start_run() as active:
        mlflow.log_text("Grüße, 世界\n", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2, {"b": "ü"}]}, "conf.json")
        mlflow.log_dict({"a": 1}, "conf.yaml")
        figure, axes = plt.subplots(figsize=(1, 1))
        axes.plot([1, 2])
        mlflow.log_figure(figure, "plots/line.png")
        plt.close(figure)
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "plots/black.png")
        mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "eval.json")
        mlflow.log_table(pd.DataFrame({"q": ["c"], "n": [3]}), "eval.json")
        uri = mlflow.get_artifact_uri("notes/hello.txt")
    run_id = active.info.run_id
    assert uri == f"mlflow-artifacts:/{experiment}/{run_id}/artifacts/notes/hello.txt"
    assert mlflow.artifacts.load_text(uri) == "Grüße, 世界\n"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/conf.json") == {"a": [1, 2, {"b": "ü"}]}
    assert mlflow.artifacts.load_image(f"runs:/{run_id}/plots/black.png").size == (4, 4)
    png = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/plots/line.png", dst_path=str(tmp_path))
    assert pathlib.Path(png).read_bytes().startswith(b"\x89PNG")
    table = mlflow.load_table("eval.json", run_ids=[run_id])
    assert list(table["n"]) == [1, 2, 3]
    names = {f.path for f in mlflow.artifacts.list_artifacts(run_id=run_id)}
    assert {"notes", "conf.json", "conf.yaml", "plots", "eval.json"} <= names


def test_image_series(experiment, client):
    import numpy as np

    with mlflow.start_run() as active:
        for step in range(2):
            mlflow.log_image(np.full((4, 4), step * 100, dtype=np.uint8), key="mask", step=step)
    images = [f.path for f in client.list_artifacts(active.info.run_id, "images")]
    assert len(images) == 4
    assert all(path.startswith("images/mask+step+") or path.startswith("images/mask%step%") for path in images), images


@pytest.mark.parametrize(
    "name",
    ["plain.txt", "with space.txt", "Grüße-雪.txt", "100% sure.txt", "plus+and&and=.txt", "quote'.txt", "dots..txt", "a,b;c.txt", "br[0]{1}.txt"],
)
def test_names(client, run_id, tmp_path, name):
    (tmp_path / name).write_text(name)
    client.log_artifact(run_id, str(tmp_path / name), "dir")
    assert listing(client, run_id, "dir") == [(f"dir/{name}", False, len(name.encode()))]
    assert pathlib.Path(client.download_artifacts(run_id, f"dir/{name}")).read_text() == name


def test_overwrite(client, run_id):
    client.log_text(run_id, "a much longer first text", "x.txt")
    client.log_text(run_id, "second", "x.txt")
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/x.txt") == "second"
    assert listing(client, run_id) == [("x.txt", False, 6)]


def test_large_file(client, run_id, tmp_path):
    chunk = os.urandom(1 << 20)
    with open(tmp_path / "big.bin", "wb") as big:
        for _ in range(24):
            big.write(chunk)
    client.log_artifact(run_id, str(tmp_path / "big.bin"))
    assert listing(client, run_id) == [("big.bin", False, 24 << 20)]
    got = pathlib.Path(client.download_artifacts(run_id, "big.bin"))
    assert got.read_bytes() == chunk * 24


def test_multipart_upload(client, run_id, tmp_path, monkeypatch):
    """The client sends a large file in parts where the server can take them, and in one piece where it cannot."""
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(5 << 20))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 << 20))
    content = os.urandom((12 << 20) + 345)
    (tmp_path / "parts.bin").write_bytes(content)
    client.log_artifact(run_id, str(tmp_path / "parts.bin"), "deep/dir")
    assert listing(client, run_id, "deep/dir") == [("deep/dir/parts.bin", False, len(content))]
    assert pathlib.Path(client.download_artifacts(run_id, "deep/dir/parts.bin")).read_bytes() == content


def test_delete_artifacts(client, run_id, place):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.log_text(run_id, "x", "keep.txt")
    client.log_text(run_id, "x", "bin/a.txt")
    client.log_text(run_id, "x", "bin/b/c.txt")
    repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri)
    # SeaweedFS goes on listing a folder that was emptied, for a while.
    emptied = {("bin", True, None)} if place.name == "s3" else set()
    repository.delete_artifacts("bin")
    assert set(listing(client, run_id)) - emptied == {("keep.txt", False, 1)}
    repository.delete_artifacts("keep.txt")
    assert set(listing(client, run_id)) - emptied == set()


def test_same_path_in_two_runs(client, unique):
    experiment_id = client.create_experiment(unique("apart"))
    runs = [client.create_run(experiment_id).info.run_id for _ in range(2)]
    for run_id in runs:
        client.log_text(run_id, run_id, "who.txt")
    for run_id in runs:
        assert mlflow.artifacts.load_text(f"runs:/{run_id}/who.txt") == run_id


@pytest.mark.places("sqlite")
def test_files_lie_as_mlflow_lays_them(client, server, run_id):
    """A user can go back to MLflow: the folder below the server is laid out in the same way."""
    client.log_text(run_id, "x", "a/b.txt")
    experiment_id = client.get_run(run_id).info.experiment_id
    stored = server.folder / "mlartifacts" / experiment_id / run_id / "artifacts" / "a" / "b.txt"
    assert stored.read_text() == "x"


def test_experiment_with_its_own_location(client, unique, tmp_path):
    """A client that can reach the place itself writes there: the server is not asked."""
    place = tmp_path / "own"
    experiment_id = client.create_experiment(unique("own"), artifact_location=place.as_uri())
    run = client.create_run(experiment_id)
    assert run.info.artifact_uri == f"{place.as_uri()}/{run.info.run_id}/artifacts"
    client.log_text(run.info.run_id, "here", "t.txt")
    assert (place / run.info.run_id / "artifacts" / "t.txt").read_text() == "here"


def test_json_of_a_run(client, run_id):
    client.log_dict(run_id, {"k": "v"}, "d/x.json")
    assert json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/d/x.json")) == {"k": "v"}


@pytest.mark.parametrize("path", ["../x.txt", "/etc/x.txt", "a/../../x.txt"])
def test_paths_that_leave_the_run(client, run_id, path):
    with pytest.raises(MlflowException):
        client.log_text(run_id, "x", path)
