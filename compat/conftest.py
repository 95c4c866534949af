"""Fixtures for all suites: which server is under test, how it starts, and what is shown when a test fails."""

import itertools
import os
import pathlib
import signal
import subprocess
import sys
import uuid

# The client reads these at import. A wrong 5xx must fail a test at once instead of being retried for minutes.
os.environ.update(
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
    MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="1",
    MLFLOW_HTTP_REQUEST_TIMEOUT="30",
    MLFLOW_DISABLE_TELEMETRY="true",
    DO_NOT_TRACK="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    GIT_PYTHON_REFRESH="quiet",
    MPLBACKEND="Agg",
)
for _name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
    os.environ.pop(_name, None)

import pytest

import places
from buckets import Bucket
from environments import python_of
from rest_api import Api
from servers import RUNNING, Server, clean_environment, running

# The fixtures of PostgreSQL, object stores and what stands between, and of where servers keep their data.
pytest_plugins = ["services", "places"]


def pytest_addoption(parser):
    parser.addoption(
        "--server",
        choices=("trackway", "stock"),
        default="trackway",
        help="the server under test; `stock` checks the suites themselves against MLflow",
    )
    parser.addoption("--places", help="run tests only in these places, such as sqlite,s3 (see places.py)")
    parser.addoption("--url", help="use this running server as the one under test, instead of starting one")
    parser.addoption("--seeds", type=int, default=6, help="how many random sequences the differential test plays")
    parser.addoption("--calls", type=int, default=150, help="how many calls one random sequence makes")
    parser.addoption(
        "--dvc",
        choices=("trackway", "stock"),
        default="trackway",
        help="the `dvc` under test; `stock` checks the suites themselves against DVC",
    )
    parser.addoption("--turns", action="store_true", help="in DVC's case tables both tools take turns on one repository")
    parser.addoption("--dvc-seeds", type=int, default=6, help="how many random sequences of dvc commands are played")
    parser.addoption("--dvc-first-seed", type=int, default=0, help="the first of them")
    parser.addoption("--dvc-steps", type=int, default=60, help="how many steps one of them makes")
    parser.addoption("--every-call", action="store_true", help="hit a dvc command at every call of the kernel, not at a sample")
    parser.addoption("--kill-rounds", type=int, default=20, help="how often the durability test kills the server")


def pytest_configure(config):
    # The servers run in sessions of their own: whoever ends this run must end them too.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("stopped by SIGTERM", returncode=143))


def pytest_generate_tests(metafunc):
    places.parametrize(metafunc)


def pytest_collection_modifyitems(config, items):
    places.deselect(config, items)
    if config.getoption("--server") != "stock":
        return
    ours = [item for item in items if item.get_closest_marker("differs_from_stock")]
    for item in ours:
        reason = item.get_closest_marker("differs_from_stock").args[0]
        item.add_marker(pytest.mark.skip(reason=f"differs from stock: {reason}"))


def pytest_runtest_setup(item):
    item.log_starts = {server.url: len(server.log_text()) for server in RUNNING}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for server in RUNNING:
            text = server.log_tail(25, since=item.log_starts.get(server.url, 0))
            report.sections.append((f"log of the {server.kind} server at {server.url}", text))
    return report


@pytest.fixture(scope="session")
def server_kind(pytestconfig) -> str:
    return pytestconfig.getoption("--server")


def start_in(place: places.Place, kind: str, folder: pathlib.Path):
    settings = place.settings(kind).served()
    server = Server(kind, folder, *settings.flags, env=settings.variables)
    server.bucket = settings.bucket
    yield from running(server)


@pytest.fixture(scope="session")
def server(server_kind, place, pytestconfig, tmp_path_factory):
    """The server under test, shared by all tests: they keep apart by experiments and names of their own."""
    if url := pytestconfig.getoption("--url"):
        started = Server(server_kind, tmp_path_factory.mktemp("none"))
        started.url = url.rstrip("/")
        yield started
        return
    yield from start_in(place, server_kind, tmp_path_factory.mktemp("server"))


@pytest.fixture
def fresh_server(server_kind, place, tmp_path):
    """A server under test that nobody else has written to."""
    yield from start_in(place, server_kind, tmp_path / "fresh")


@pytest.fixture(scope="session")
def stock(tmp_path_factory):
    """Stock MLflow, for the differential tests: always on SQLite, which ours follows on PostgreSQL too."""
    yield from running(Server("stock", tmp_path_factory.mktemp("stock")))


@pytest.fixture(scope="session")
def trackway(server_kind, place, tmp_path_factory):
    """The other side of a differential test. With --server=stock it is a second stock server, which must show
    no difference: that checks the tests."""
    yield from start_in(place, server_kind, tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="session")
def bucket(server) -> Bucket:
    """Where the artifacts of the server under test lie, if its place has an object store."""
    return server.bucket


@pytest.fixture(scope="session")
def api(server) -> Api:
    return Api(server.url)


@pytest.fixture(scope="session")
def _counter():
    return itertools.count(1)


@pytest.fixture
def unique(request, _counter):
    """Makes names that no other test uses: unique("model") -> "model-7-3f9a"."""
    return lambda stem: f"{stem}-{next(_counter)}-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def tracking(server, monkeypatch, tmp_path):
    """The fluent API pointed at the server under test, in an empty working directory."""
    import mlflow

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(None)
    yield server.url
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(tracking):
    from mlflow import MlflowClient

    return MlflowClient(tracking)


@pytest.fixture
def experiment(tracking, unique):
    """A new experiment, set as the active one of the fluent API; gives its id."""
    import mlflow

    return mlflow.set_experiment(unique("experiment")).experiment_id


@pytest.fixture(scope="session")
def old_python() -> str:
    """The Python of the environment that holds the MLflow 2.9 client."""
    return python_of("mlflow-2.9")


@pytest.fixture
def run_script(tmp_path):
    """Runs a script in a process of its own and fails with its output unless it exits with 0."""

    def run(script: pathlib.Path, *args: str, python: str = sys.executable, timeout: float = 300, **env: str) -> str:
        done = subprocess.run(
            [python, str(script), *args],
            cwd=tmp_path,
            env=clean_environment(
                MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", GIT_PYTHON_REFRESH="quiet", MPLBACKEND="Agg", **env
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, f"{script.name} ended with code {done.returncode}:\n{done.stdout[-6000:]}"
        return done.stdout

    return run
