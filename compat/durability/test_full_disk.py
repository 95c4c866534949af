"""A full disk: the client gets an error that says so, nothing acknowledged is lost, and the server goes on when
there is room again.
"""

import os
import random
import shutil
import sqlite3
import subprocess

import pytest

from rest_api import Api
from servers import Server

pytestmark = pytest.mark.differs_from_stock("stock answers 500")

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], stderr=subprocess.PIPE, text=True
    )
    if not mounted or mounted.returncode != 0:
        message = f"A small file system could not be mounted: {mounted.stderr if mounted else 'that needs root'}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path) -> None:
    with open(path, "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1 << 9, 1):
            try:
                while True:
                    if file.write(b"\0" * size) < size:
                        break
            except OSError:
                continue


def batch(run_id: str, number: int) -> dict:
    chance = random.Random(number)
    points = [{"key": f"k{i}", "value": chance.random(), "timestamp": number, "step": number} for i in range(200)]
    return {"run_id": run_id, "metrics": points, "params": [{"key": f"p{number}", "value": "x" * 500}]}


def steps(api: Api, run_id: str) -> set[int]:
    found = api.get("metrics/get-history", {"run_id": run_id, "metric_key": "k0"}).ok().get("metrics", [])
    return {m["step"] for m in found}


def until_refused(api: Api, run_id: str, acked: set[int], first: int):
    for number in range(first, first + 3000):
        answer = api.post("runs/log-batch", batch(run_id, number))
        if answer.status != 200:
            return answer, number
        acked.add(number)
    raise AssertionError("3000 batches went onto a full disk")


@pytest.mark.timeout(300)
def test_full_disk(small_disk, tmp_path):
    server = Server("trackway", small_disk)
    server.log_path = tmp_path / "server.log"
    with server:
        api = Api(server.url)
        pid = server.process.pid
        experiment_id = api.experiment("small disk")
        run_id = api.run(experiment_id)
        acked: set[int] = set()
        for number in range(10):
            api.post("runs/log-batch", batch(run_id, number)).ok()
            acked.add(number)
        assert api.call("PUT", f"{PROXY}/{experiment_id}/{run_id}/artifacts/before.bin", data=b"b" * 1000).status == 200

        for again in range(2):
            fill(small_disk / "filler")
            refused, number = until_refused(api, run_id, acked, max(acked) + 1)
            assert refused.status in (503, 507), refused
            assert refused.error_code and refused.message
            # Again and again, and still no other answer; reading goes on all the while.
            for _ in range(5):
                assert api.post("runs/log-batch", batch(run_id, number)).status in (503, 507)
            assert acked <= steps(api, run_id)
            assert api.get("/health").status == 200
            assert api.post("runs/search", {"experiment_ids": [experiment_id]}).ok()["runs"]
            upload = api.call("PUT", f"{PROXY}/{experiment_id}/{run_id}/artifacts/big{again}.bin", data=b"x" * 2_000_000)
            assert upload.status in (503, 507), upload
            assert api.get(f"{PROXY}/{experiment_id}/{run_id}/artifacts/big{again}.bin").status == 404

            (small_disk / "filler").unlink()
            answer = api.post("runs/log-batch", batch(run_id, number + 1))
            assert answer.status == 200, f"there is room again, but: {answer}"
            acked.add(number + 1)
            assert server.process.pid == pid and server.process.poll() is None
            seen = steps(api, run_id)
            assert acked <= seen
            assert seen <= acked | {number}, "what was refused may be there in whole or not at all"

        left = {f.name for f in (small_disk / "mlartifacts" / experiment_id / run_id / "artifacts").iterdir()}
        assert left == {"before.bin"}

    copy = tmp_path / "copy"
    copy.mkdir()
    for file in small_disk.glob("trackway.db*"):
        shutil.copy(file, copy / file.name)
    database = sqlite3.connect(copy / "trackway.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_start_on_a_full_disk(small_disk, tmp_path):
    """It cannot begin there, and says why."""
    fill(small_disk / "filler")
    server = Server("trackway", small_disk)
    server.log_path = tmp_path / "server.log"
    server.launch()
    try:
        assert server.process.wait(20) != 0
    finally:
        server.kill()
    assert any(word in server.log_text().lower() for word in ("full", "no space")), server.log_text()
