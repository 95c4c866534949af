"""Starts that must not happen: what lies there is MLflow's, or newer, or no database, or the port is taken."""

import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest
import requests

from servers import Server, clean_environment, trackway_binary

pytestmark = pytest.mark.differs_from_stock("stock has other files to guard")


def refused(folder: pathlib.Path, *flags: str, env: dict | None = None) -> str:
    """Starts the server, which has to end by itself with an error; gives what it said."""
    server = Server("trackway", folder, *flags, env=env)
    server.log_path = folder.parent / f"{folder.name}.log"
    server.launch()
    try:
        code = server.process.wait(20)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the server runs, but it had to refuse:\n{server.log_tail()}")
    finally:
        server.kill()
    assert code != 0, server.log_text()
    assert "panicked" not in server.log_text()
    return server.log_text()


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


MAKE_DATABASE = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run():
    mlflow.log_metric("m", 1)
"""

MAKE_FOLDER = """
import mlflow
mlflow.set_tracking_uri("file:./mlruns")
with mlflow.start_run():
    mlflow.log_metric("m", 1)
"""


@pytest.fixture
def beside(tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def make(beside, python, program):
    subprocess.run([python, "-c", program], cwd=beside, env=clean_environment(GIT_PYTHON_REFRESH="quiet"), check=True, timeout=120)


def test_beside_a_database_of_mlflow(beside):
    make(beside, sys.executable, MAKE_DATABASE)
    before = contents(beside)
    told = refused(beside)
    assert "mlflow.db" in told and "MLflow" in told
    assert contents(beside) == before, "it was touched"


def test_beside_runs_of_mlflow(beside, old_python):
    make(beside, old_python, MAKE_FOLDER)
    before = contents(beside)
    assert before
    told = refused(beside)
    assert "mlruns" in told
    assert contents(beside) == before, "it was touched"


def test_a_database_of_mlflow_by_name(beside):
    """Under another name, or given with its full path, it is still MLflow's."""
    make(beside, sys.executable, MAKE_DATABASE)
    (beside / "mlflow.db").rename(beside / "tracking.db")
    before = contents(beside)
    told = refused(beside, "--backend-store-uri", f"sqlite:///{beside}/tracking.db")
    assert "tracking.db" in told and "MLflow" in told
    assert contents(beside) == before, "it was touched"


def test_another_place_is_a_way_out(beside):
    """The message names ways out: one of them is to store elsewhere."""
    make(beside, sys.executable, MAKE_DATABASE)
    before = contents(beside)["mlflow.db"]
    elsewhere = beside.parent / "elsewhere"
    elsewhere.mkdir()
    server = Server(
        "trackway", beside, "--backend-store-uri", f"sqlite:///{elsewhere}/trackway.db", "--artifacts-destination", f"{elsewhere}/artifacts"
    )
    with server:
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    assert contents(beside)["mlflow.db"] == before


@pytest.mark.parametrize("leftover", ["empty mlruns", "empty mlflow.db"])
def test_leftovers_of_no_worth(beside, leftover):
    if leftover == "empty mlruns":
        (beside / "mlruns" / ".trash").mkdir(parents=True)
    else:
        (beside / "mlflow.db").touch()
    with Server("trackway", beside):
        pass


def change(database: pathlib.Path, *statements: str):
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_schema(beside):
    with Server("trackway", beside):
        pass
    change(beside / "trackway.db", "PRAGMA user_version = 999")
    before = (beside / "trackway.db").read_bytes()
    told = refused(beside)
    assert "999" in told and "newer" in told
    assert (beside / "trackway.db").read_bytes() == before


def test_a_database_of_somebody_else(beside):
    change(beside / "trackway.db", "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('mine')")
    before = (beside / "trackway.db").read_bytes()
    assert "trackway.db" in refused(beside)
    assert (beside / "trackway.db").read_bytes() == before


def test_no_database_at_all(beside):
    (beside / "trackway.db").write_bytes(b"this is a diary, not a database. " * 100)
    assert "trackway.db" in refused(beside)
    assert (beside / "trackway.db").read_bytes().startswith(b"this is a diary")


def test_a_busy_port(beside, tmp_path):
    with Server("trackway", beside) as first:
        second = Server("trackway", tmp_path / "second")
        second.port = first.port
        second.launch()
        try:
            assert second.process.wait(20) != 0
        finally:
            second.kill()
        assert str(first.port) in second.log_text() and "in use" in second.log_text()
        assert requests.get(f"{first.url}/health", timeout=5).status_code == 200


# A flag that protects or redirects data is honoured, or the start fails: it is never ignored.
@pytest.mark.parametrize(
    "flags",
    [
        ["--app-name", "basic-auth"],
        ["--enable-workspaces"],
        ["--registry-store-uri", "sqlite:///other.db"],
        ["--read-replica-backend-store-uri", "sqlite:///other.db"],
        ["--backend-store-uri", "mysql://host/db"],
        ["--backend-store-uri", "./some/folder"],
        ["--uvicorn-opts", "--ssl-keyfile key.pem --ssl-certfile cert.pem"],
        ["--gunicorn-opts", "--certfile cert.pem --keyfile key.pem"],
        ["--no-such-flag"],
        ["--port", "notaport"],
        ["--host", "no.such.host.invalid"],
    ],
)
def test_flags_that_are_not_ignored(beside, flags):
    told = refused(beside, *flags)
    assert any(word.lstrip("-") in told for word in " ".join(flags).split()), told
    assert not (beside / "other.db").exists()


def test_flags_that_only_tune(beside):
    with Server("trackway", beside, "--workers", "4", "--gunicorn-opts", "--timeout 60", "--uvicorn-opts", "--log-level debug"):
        pass


def test_settings_from_the_environment(beside):
    env = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{beside}/from_env.db", "MLFLOW_ARTIFACTS_DESTINATION": str(beside / "there")}
    with Server("trackway", beside, env=env):
        pass
    assert (beside / "from_env.db").exists()
    assert not (beside / "trackway.db").exists()


@pytest.mark.parametrize("words", [["mlflow", "server"], ["mlflow", "ui"], ["trackway", "mlflow", "server"]])
def test_under_the_name_of_mlflow(beside, tmp_path, words):
    """A link named `mlflow`, and `trackway mlflow`, start the same server."""
    called = tmp_path / words[0]
    called.symlink_to(trackway_binary())
    server = Server("trackway", beside)
    server.command = lambda: [str(called), *words[1:], "--host", "127.0.0.1", "--port", str(server.port)]
    with server:
        assert requests.get(f"{server.url}/health", timeout=5).text == "OK"


@pytest.mark.parametrize("command", ["run", "db", "experiments"])
def test_other_commands_of_mlflow(tmp_path, command):
    called = tmp_path / "mlflow"
    called.symlink_to(trackway_binary())
    done = subprocess.run([str(called), command], capture_output=True, text=True, timeout=20, env=dict(os.environ))
    assert done.returncode != 0
    assert command in done.stderr and "not built" in done.stderr, done.stderr
