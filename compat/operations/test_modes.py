"""The modes of `mlflow server`, stock beside ours with the same flags: which routes answer what, and where new
experiments keep their artifacts."""

import contextlib
import json
import pathlib
import subprocess

import pytest

from rest_api import Api
from servers import Server, clean_environment, trackway_binary

MODES = {
    "default": [],
    "no-serve-artifacts": ["--no-serve-artifacts"],
    "artifacts-only": ["--artifacts-only"],
    "relative-root": ["--no-serve-artifacts", "--default-artifact-root", "./art"],
    "served-with-own-root": ["--default-artifact-root", "file:///tmp/trackway-modes/root"],
    "bucket-root": ["--no-serve-artifacts", "--default-artifact-root", "s3://bucket/path"],
    "destination": ["--artifacts-destination", "./elsewhere"],
    "static-prefix": ["--static-prefix", "/pre"],
    "same-registry": ["--registry-store-uri", "sqlite:///mlflow.db"],
}

# What a client or a probe asks first. `{prefix}` is the static prefix, and some are asked without it too.
CALLS = [
    ("GET", "/health", None),
    ("GET", "/version", None),
    ("GET", "/", None),
    ("GET", "/metrics", None),
    ("GET", "/api/3.0/mlflow/server-info", None),
    ("POST", "/api/2.0/mlflow/experiments/create", {"name": "one"}),
    ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", None),
    ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=1", None),
    ("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 5}),
    ("POST", "/api/2.0/mlflow/runs/search", {"experiment_ids": ["0"]}),
    ("GET", "/api/2.0/mlflow/artifacts/list?run_id=none", None),
    ("GET", "/get-artifact?run_id=none&path=x", None),
    ("POST", "/api/2.0/mlflow/registered-models/create", {"name": "m"}),
    ("GET", "/api/2.0/mlflow/registered-models/search", None),
    ("GET", "/api/2.0/mlflow/no-such-route", None),
    ("POST", "/graphql", {"query": "query { mlflowGetExperiment(input: {experimentId: \"0\"}) { experiment { name } } }"}),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/9/x.txt", "content"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts/9/x.txt", None),
    ("GET", "/ajax-api/2.0/mlflow-artifacts/artifacts?path=9", None),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=9", None),
    ("POST", "/api/2.0/mlflow-artifacts/mpu/create/9", {"path": "x", "num_parts": 1}),
    ("GET", "/api/2.0/mlflow-artifacts/presigned/9/x.txt", None),
    ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/9/x.txt", None),
]

# Differences in every mode, on purpose; docs/reference/protocol.md and docs/guide/server.md tell of them.
OURS = {
    "/": "a page of our own",
    "/metrics": "always there",
    "/version": "text/plain",
    "/api/3.0/mlflow/server-info": "what we have is not what stock has",
}

# Differences of one mode.
OURS_IN = {
    "artifacts-only": {
        "/graphql": "stock forgets it, and opens a database for it",
        "/api/2.0/mlflow/no-such-route": "what is not here at all is refused like the rest",
    },
    "static-prefix": {"/api/2.0/mlflow-artifacts/artifacts/9/x.txt": "stock serves it without the prefix too"},
}

TIMES = {"creation_time", "last_update_time", "creation_timestamp", "last_updated_timestamp"}


def plain(value):
    """JSON without what differs between any two servers."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if name not in TIMES}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def start(kind: str, folder: pathlib.Path, mode: str) -> Server:
    flags = MODES[mode]
    if kind == "trackway":
        flags = [flag.replace("sqlite:///mlflow.db", "sqlite:///trackway.db") for flag in flags]
    prefix = "/pre" if mode == "static-prefix" else ""
    server = Server(kind, folder, *flags, probe=f"{prefix}/health")
    if kind == "stock" and mode == "artifacts-only":
        # It refuses to be told of a database in this mode, as ours does.
        given = ["--backend-store-uri", "sqlite:///mlflow.db"]
        command = [word for word in server.command() if word not in given]
        server.command = lambda: command
    return server.start()


def answers(kind: str, folder: pathlib.Path, mode: str) -> dict:
    server = start(kind, folder, mode)
    try:
        prefixes = ["/pre", ""] if mode == "static-prefix" else [""]
        found = {}
        for method, path, body in CALLS:
            for prefix in prefixes:
                sent = {"json": body} if isinstance(body, dict) else {"data": body}
                answer = Api(server.url).call(method, prefix + path, **sent)
                text = answer.text.replace(str(folder), "FOLDER")
                if answer.status == 404 and "error_code" in text and "ENDPOINT_NOT_FOUND" not in text:
                    text = answer.error_code
                elif answer.status in (404, 405):
                    # Stock says so in HTML, ours in JSON.
                    text = "no such route"
                with contextlib.suppress(ValueError):
                    text = plain(json.loads(text))
                # Stock answers some uploads with an empty object, others with nothing.
                found[method, prefix + path] = (answer.status, text or "")
        return found
    finally:
        server.stop()


@pytest.fixture(scope="module", params=MODES)
def compared(request, server_kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, answers("stock", folder / "stock", request.param), answers(server_kind, folder / "ours", request.param)


def test_every_mode_answers_as_stock_does(compared):
    mode, stock, ours = compared
    wrong = []
    known = OURS | OURS_IN.get(mode, {})
    for call, expected in stock.items():
        path = call[1].removeprefix("/pre") if mode == "static-prefix" else call[1]
        if path in known:
            continue
        if expected != ours[call]:
            wrong.append(f"{call[0]} {call[1]}\n  stock {str(expected)[:300]}\n  ours  {str(ours[call])[:300]}")
    assert not wrong, f"{mode}:\n" + "\n".join(wrong)


def refused(folder: pathlib.Path, *words: str, **env: str) -> str:
    """What a start that must not work says; it ends at once and writes nothing."""
    done = subprocess.run(
        [trackway_binary(), *words], cwd=folder, env=clean_environment(**env), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0, done.stdout + done.stderr
    assert list(folder.iterdir()) == [], "a start that is refused writes nothing"
    return done.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--registry-store-uri", "sqlite:///other.db"], "is another database than --backend-store-uri"),
        (["--app-name", "basic-auth"], "asks for users and passwords"),
        (["--artifacts-only", "--backend-store-uri", "sqlite:///x.db"], "opens no database"),
        (["--artifacts-only", "--no-serve-artifacts"], "leaves nothing to serve"),
        (["--static-prefix", "pre"], "must begin with a '/'"),
    ],
)
def test_what_cannot_be_honoured_stops_the_start(tmp_path, flags, says):
    assert says in refused(tmp_path, "server", "--port", "0", *flags)


ENV_FILE = """
# A comment, and a blank line

MLFLOW_BACKEND_STORE_URI=sqlite:///from-file.db
export MLFLOW_STATIC_PREFIX='/from file'   # in quotes a blank is one
MLFLOW_STATIC_PREFIX="/from-${WHERE:-nowhere}"
MLFLOW_HOST=0.0.0.0
"""


def test_env_file(tmp_path):
    (tmp_path / "server.env").write_text(ENV_FILE)
    server = Server("trackway", tmp_path / "data", env={"MLFLOW_HOST": "127.0.0.1", "WHERE": "here"}, probe="/from-here/health")
    command = [trackway_binary(), "mlflow", "--env-file", str(tmp_path / "server.env"), "server", "--port", str(server.port)]
    server.command = lambda: command
    with server:
        assert (server.folder / "from-file.db").exists()
        # What is set already wins over the file.
        assert f"http://127.0.0.1:{server.port}/from-here" in server.log_text()

    folder = tmp_path / "empty"
    folder.mkdir()
    assert "cannot be read" in refused(folder, "mlflow", "--env-file", "none.env", "server")
    bad = tmp_path / "bad.env"
    bad.write_text("MLFLOW_PORT=1\nSECRET='open\n")
    said = refused(folder, "mlflow", "--env-file", str(bad), "server")
    assert "Line 2 of" in said and "open" not in said, said


def test_what_stock_accepts_without_more_effect(tmp_path):
    flags = ["--workers", "4", "--expose-prometheus", "./prometheus", "--secrets-cache-ttl", "30"]
    with Server("trackway", tmp_path / "data", *flags) as server:
        assert "trackway_http_requests_total" in Api(server.url).call("GET", "/metrics").text
