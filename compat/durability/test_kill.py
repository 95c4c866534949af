"""kill -9 in the middle of concurrent writes, many times: what was acknowledged is there, and nothing is half there.

One store lives through all rounds. In each, writers of every kind send as fast as they can and note what was
acknowledged, the server is killed at a random moment, the files are checked as they lie, and the server starts again.
"""

import hashlib
import random
import shutil
import sqlite3
import threading
import time

import pytest
import requests

from rest_api import Api
from servers import Server

pytestmark = pytest.mark.differs_from_stock("stock promises no durability: its SQLite may lose the last transactions")

WRITERS = 8


class Writer(threading.Thread):
    """Writes to runs of its own until the server is gone. `acked` is what the server said 200 to."""

    def __init__(self, url: str, experiment: str, number: int, round_: int):
        super().__init__(daemon=True)
        self.api = Api(url)
        self.experiment, self.number, self.round = experiment, number, round_
        self.runs: dict[str, list[tuple]] = {}
        self.files: dict[str, str] = {}
        self.tried_batches: dict[str, list[int]] = {}
        self.strange: list[str] = []

    def post(self, route: str, body: dict) -> dict | None:
        answer = self.api.post(route, body, timeout=20)
        if answer.status == 200:
            return answer.json
        self.strange.append(str(answer))
        return None

    def run(self):
        try:
            for number in range(100_000):
                self.one_run(number)
        except requests.RequestException:
            pass  # the server was killed

    def one_run(self, number: int):
        body = {"experiment_id": self.experiment, "start_time": number, "run_name": f"{self.round}/{self.number}/{number}"}
        made = self.post("runs/create", body)
        if made is None:
            return
        run_id = made["run"]["info"]["run_id"]
        acked = self.runs[run_id] = []
        batches = self.tried_batches[run_id] = []
        for step in range(12):
            kind = (step + self.number) % 5
            if kind == 0:
                metric = {"run_id": run_id, "key": "m", "value": step / 3, "timestamp": step, "step": step}
                if self.post("runs/log-metric", metric) is not None:
                    acked.append(("metric", step, step / 3))
            elif kind == 1:
                if self.post("runs/log-parameter", {"run_id": run_id, "key": f"p{step}", "value": "v"}) is not None:
                    acked.append(("param", f"p{step}"))
            elif kind == 2:
                if self.post("runs/set-tag", {"run_id": run_id, "key": f"t{step}", "value": "v"}) is not None:
                    acked.append(("tag", f"t{step}"))
            elif kind == 3:
                batches.append(step)
                batch = {
                    "run_id": run_id,
                    "metrics": [{"key": f"b{step}", "value": i + 0.1, "timestamp": i, "step": i} for i in range(50)],
                    "params": [{"key": f"b{step}", "value": "v"}],
                    "tags": [{"key": f"b{step}", "value": "v"}],
                }
                if self.post("runs/log-batch", batch) is not None:
                    acked.append(("batch", step))
            else:
                content = random.randbytes(200_000)
                path = f"{self.experiment}/{run_id}/artifacts/{step}.bin"
                answer = self.api.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", data=content)
                if answer.status == 200:
                    self.files[path] = hashlib.sha256(content).hexdigest()
        if number % 3 == 0 and self.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 9}) is not None:
            acked.append(("status", "FINISHED"))


def check_files_as_they_lie(server: Server, target) -> None:
    """A copy of the database as the killed server left it opens clean. (The store itself is left to the server.)"""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for file in server.folder.glob("trackway.db*"):
        shutil.copy(file, target / file.name)
    database = sqlite3.connect(target / "trackway.db")
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        database.close()


def history(api: Api, run_id: str, key: str) -> list[tuple]:
    found = api.get("metrics/get-history", {"run_id": run_id, "metric_key": key}).ok().get("metrics", [])
    return [(m["step"], m["value"]) for m in found]


def check(api: Api, writers: list[Writer]) -> int:
    looked_at = 0
    for writer in writers:
        assert not writer.strange, writer.strange[:3]
        for run_id, acked in writer.runs.items():
            run = api.get_run(run_id)
            params = {p["key"] for p in run["data"].get("params", [])}
            tags = {t["key"] for t in run["data"].get("tags", [])}
            latest = {m["key"] for m in run["data"].get("metrics", [])}
            points = set(history(api, run_id, "m"))
            for kind, *what in acked:
                looked_at += 1
                if kind == "metric":
                    assert tuple(what) in points, f"metric {what} of {run_id} is lost"
                elif kind == "param":
                    assert what[0] in params, f"param {what} of {run_id} is lost"
                elif kind == "tag":
                    assert what[0] in tags, f"tag {what} of {run_id} is lost"
                elif kind == "status":
                    assert run["info"]["status"] == what[0], f"the status of {run_id} is lost"
            done = {what[0] for kind, *what in acked if kind == "batch"}
            for step in writer.tried_batches[run_id]:
                key = f"b{step}"
                there = {key in params, key in tags, key in latest, len(history(api, run_id, key)) == 50}
                assert len(there) == 1, f"batch {step} of {run_id} is half there"
                assert there == {True} or step not in done, f"batch {step} of {run_id} is lost"
        for path, digest in writer.files.items():
            looked_at += 1
            answer = api.get(f"/api/2.0/mlflow-artifacts/artifacts/{path}")
            assert hashlib.sha256(answer.response.content).hexdigest() == digest, f"{path} is not what was sent"
    return looked_at


@pytest.mark.timeout(400)
def test_kill_in_the_middle_of_writes(tmp_path, pytestconfig):
    chance = random.Random(20)
    server = Server("trackway", tmp_path / "store").start()
    experiment = Api(server.url).experiment("killed")
    looked_at = 0
    everybody: list[Writer] = []
    try:
        for round_ in range(pytestconfig.getoption("--kill-rounds")):
            writers = [Writer(server.url, experiment, number, round_) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.05, 0.45))
            server.kill()
            for writer in writers:
                writer.join(30)
                assert not writer.is_alive(), "a writer still waits for an answer of a killed server"
            everybody += writers
            check_files_as_they_lie(server, tmp_path / "copy")
            server.start()
            looked_at += check(Api(server.url), writers)
        assert looked_at > 100, "hardly anything was written, so nothing was shown"
        # What earlier rounds wrote has lived through all kills since.
        check(Api(server.url), chance.sample(everybody, min(20, len(everybody))))
        server.stop()
    finally:
        server.kill()
    whole = {path for writer in everybody for path in writer.files}
    rubbish = [
        file
        for file in (server.folder / "mlartifacts").rglob("*")
        if file.is_file() and file.suffix == ".bin" and str(file.relative_to(server.folder / "mlartifacts")) not in whole
        and file.stat().st_size != 200_000
    ]  # fmt: skip
    assert not rubbish, f"half files under their final names: {rubbish[:3]}"


def test_sigterm_finishes_what_was_accepted(tmp_path):
    """A graceful stop: everything acknowledged is there, the exit code is 0, and no -wal file is left behind."""
    server = Server("trackway", tmp_path / "store").start()
    experiment = Api(server.url).experiment("stopped")
    writers = [Writer(server.url, experiment, number, 0) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(0.4)
    server.stop()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive()
        # While stopping, a refusal is fine as long as it says so.
        writer.strange = [told for told in writer.strange if "-> 503" not in told]
    assert sum(map(len, (w.runs for w in writers))) > 0
    with server:
        assert check(Api(server.url), writers) > 0
