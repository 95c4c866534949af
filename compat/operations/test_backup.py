"""`trackway server backup` while clients write, and `trackway server restore`, read by the real client."""

import shutil
import subprocess
import threading

import pytest
import requests

from rest_api import Api
from servers import Server, clean_environment, trackway_binary

WRITERS = 8


@pytest.fixture(autouse=True)
def only_ours(server_kind):
    if server_kind == "stock":
        pytest.skip("differs from stock: it has no such commands")


def trackway(folder, *words: str, code: int = 0, **env: str) -> str:
    done = subprocess.run(
        [trackway_binary(), "server", *words], cwd=folder, env=clean_environment(**env), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    return done.stdout


class Writer(threading.Thread):
    """Logs steps to a run of its own, and knows which were acknowledged."""

    def __init__(self, url: str, number: int):
        super().__init__(daemon=True)
        self.api = Api(url)
        self.number = number
        self.run_id = None
        self.acknowledged = -1
        self.stop = threading.Event()

    def run(self):
        info = self.api.post("runs/create", {"experiment_id": "0", "run_name": f"w{self.number}"}).ok()["run"]["info"]
        self.run_id = info["run_id"]
        step = 0
        while not self.stop.is_set():
            metric = {"run_id": self.run_id, "key": "m", "value": float(step), "timestamp": step, "step": step}
            try:
                self.api.post("runs/log-metric", metric).ok()
            except requests.ConnectionError:
                return
            self.acknowledged = step
            step += 1


def wait_for(holds):
    for _ in range(600):
        if holds():
            return
        threading.Event().wait(0.05)
    raise AssertionError("the writers do not get going")


def history(url: str, run_id: str) -> list[int]:
    from mlflow import MlflowClient

    return [metric.step for metric in MlflowClient(url).get_metric_history(run_id, "m")]


def test_a_copy_made_under_writers_has_all_that_was_acknowledged(tmp_path):
    with Server("trackway", tmp_path / "data") as server:
        writers = [Writer(server.url, number) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        before, copies = [], []
        for round_number in range(3):
            wait_for(lambda: all(writer.acknowledged > 20 * (round_number + 1) for writer in writers))
            before.append({writer.run_id: writer.acknowledged for writer in writers})
            copies.append(tmp_path / f"copy{round_number}.db")
            said = trackway(server.folder, "backup", "--to", str(copies[-1]))
            assert f"{WRITERS} runs" in said, said
        for writer in writers:
            writer.stop.set()
            writer.join()
    assert sorted(path.name for path in tmp_path.glob("copy*")) == [copy.name for copy in copies], "nothing beside them"

    for number, (known, copy) in enumerate(zip(before, copies)):
        folder = tmp_path / f"restored{number}"
        folder.mkdir()
        trackway(folder, "restore", "--from", str(copy))
        with Server("trackway", folder) as restored:
            for run_id, step in known.items():
                steps = history(restored.url, run_id)
                assert steps == list(range(len(steps))) and len(steps) > step, f"{run_id}: {len(steps)} of {step}"


def test_restoring_keeps_what_is_there_and_never_goes_under_a_server(tmp_path):
    folder = tmp_path / "data"
    copy = tmp_path / "copy.db"
    with Server("trackway", folder) as server:
        Api(server.url).post("experiments/create", {"name": "early"}).ok()
        trackway(folder, "backup", "--to", str(copy))
        assert "exists already" in trackway(folder, "backup", "--to", str(copy), code=1)
        Api(server.url).post("experiments/create", {"name": "late"}).ok()
        assert "exists already" in trackway(folder, "restore", "--from", str(copy), code=1)
        assert "A server has" in trackway(folder, "restore", "--from", str(copy), "--force", code=1)
        Api(server.url).get("experiments/get-by-name", {"experiment_name": "late"}).ok()
    said = trackway(folder, "restore", "--from", str(copy), "--force")
    assert "trackway.db.before-restore" in said
    with Server("trackway", folder) as server:
        Api(server.url).get("experiments/get-by-name", {"experiment_name": "early"}).ok()
        Api(server.url).get("experiments/get-by-name", {"experiment_name": "late"}).missing()
    trackway(folder, "restore", "--from", "trackway.db.before-restore", "--force")
    with Server("trackway", folder) as server:
        Api(server.url).get("experiments/get-by-name", {"experiment_name": "late"}).ok()


def test_after_a_crash(tmp_path):
    """The copy has what only the log had, and the log does not come back with the old name."""
    folder = tmp_path / "data"
    server = Server("trackway", folder).start()
    Api(server.url).post("experiments/create", {"name": "early"}).ok()
    trackway(folder, "backup", "--to", "copy.db")
    Api(server.url).post("experiments/create", {"name": "late"}).ok()
    server.kill()
    shutil.copytree(folder, tmp_path / "crashed")
    assert "3 experiments" in trackway(folder, "backup", "--to", "crashed.db")
    trackway(tmp_path / "crashed", "restore", "--from", "copy.db", "--force")
    with Server("trackway", tmp_path / "crashed") as restored:
        Api(restored.url).get("experiments/get-by-name", {"experiment_name": "late"}).missing()


def test_what_is_no_database_of_ours(tmp_path):
    (tmp_path / "text.db").write_text("no database " * 1000)
    assert "is damaged" in trackway(tmp_path, "restore", "--from", "text.db", code=1)
    assert "There is no database" in trackway(tmp_path, "backup", "--to", "x.db", code=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.db"]


def test_postgresql_has_its_own_tools(tmp_path):
    uri = "postgresql+psycopg2://ann:s3cret@db.internal:6432/ml?sslmode=require"
    said = trackway(tmp_path, "backup", "--to", "a copy.dump", "--backend-store-uri", uri, code=1)
    line = "pg_dump --format=custom --schema=trackway --no-owner --file='a copy.dump' 'postgresql://ann@db.internal:6432/ml?sslmode=require'"
    assert line in said and "s3cret" not in said, said
    said = trackway(tmp_path, "restore", "--from", "a copy.dump", code=1, MLFLOW_BACKEND_STORE_URI=uri)
    assert "pg_restore --clean" in said and "s3cret" not in said, said
