"""Live events over several servers on one PostgreSQL: a listener of one hears what is written through another, goes on
at a third where it left off, and PgBouncer between does no harm. Charts and long histories from any of them.
"""

import json
import queue
import threading
import time

import pytest
import requests

from cluster.test_cluster import in_front_of, servers  # noqa: F401: fixture
from rest_api import Api
from services import haproxy, pgbouncer, postgres  # noqa: F401: fixtures

pytestmark = pytest.mark.differs_from_stock("stock has no such routes")

EVENTS = "/ajax-api/3.0/trackway/events"


class Listener:
    """Reads a stream of server-sent events in a thread of its own."""

    def __init__(self, url: str, after: str | None = None, **params):
        headers = {"Last-Event-ID": after} if after else {}
        session = requests.Session()
        session.trust_env = False
        self.answer = session.get(url + EVENTS, params=params, headers=headers, stream=True, timeout=40)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["content-type"] == "text/event-stream"
        self.events: queue.Queue[tuple[str, str, dict] | None] = queue.Queue()
        self.last = None
        threading.Thread(target=self._read, daemon=True).start()
        assert self.next()[1] == "ready"

    def _read(self) -> None:
        event: dict[str, str] = {}
        try:
            for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif "event" in event:
                    self.events.put((event["id"], event["event"], json.loads(event["data"])))
                    event = {}
        except requests.RequestException:
            pass
        self.events.put(None)

    def next(self) -> tuple[str, str, dict] | None:
        told = self.events.get(timeout=30)
        if told:
            self.last = told[0]
        return told

    def until(self, run_id: str, change: str) -> set[str]:
        """All changes of a run that are told of until this one is."""
        seen: set[str] = set()
        while change not in seen:
            told = self.next()
            assert told, f"the stream ended; of the run was told {seen}"
            if told[1] == "change" and told[2].get("run_id") == run_id:
                seen.update(told[2]["changes"])
        return seen

    def close(self) -> None:
        self.answer.close()


def new_run(api: Api, experiment: str = "0") -> str:
    return api.post("runs/create", {"experiment_id": experiment, "start_time": 1}).ok()["run"]["info"]["run_id"]


@pytest.mark.timeout(180)
def test_a_listener_hears_what_others_write(postgres, pgbouncer, servers):  # noqa: F811
    pool = pgbouncer(postgres, "pool=6")
    writer, reader, third = servers(pool.through(postgres.database()), 3)
    api = Api(writer.url)
    experiment = api.post("experiments/create", {"name": "listened to"}).ok()["experiment_id"]
    listener = Listener(reader.url, experiment_ids=experiment)
    elsewhere, run = new_run(api), new_run(api, experiment)
    for step in range(50):
        api.post("runs/log-metric", {"run_id": run, "key": "m", "value": step, "timestamp": step, "step": step}).ok()
    api.post("runs/update", {"run_id": run, "status": "FINISHED"}).ok()
    assert listener.until(run, "updated") == {"created", "metrics", "updated"}
    # The server goes: its listeners are let go, and go on at another, where nothing was missed meanwhile.
    reader.stop()
    while listener.next():
        pass
    api.post("runs/delete", {"run_id": run}).ok()
    listener = Listener(third.url, after=listener.last, experiment_ids=experiment)
    assert listener.until(run, "deleted") == {"deleted"}
    listener.close()
    everything = Api(third.url).get(f"{EVENTS}/poll", {"after": 0, "timeout": 0}).ok()
    assert any(event.get("run_id") == elsewhere for event in everything["events"])


@pytest.mark.timeout(180)
def test_polling_waits_and_resumes_behind_a_balancer(postgres, haproxy, servers):  # noqa: F811
    api = Api(in_front_of(haproxy, servers(postgres.database(), 2)))
    begun = api.get(f"{EVENTS}/poll").ok()
    assert begun["events"] == []
    answers: list[dict] = []

    def poll() -> None:
        after = begun["next"]
        while not any(answer["events"] for answer in answers):
            answers.append(Api(api.url).get(f"{EVENTS}/poll", {"after": after, "timeout": 10}).ok())
            after = answers[-1]["next"]

    poller = threading.Thread(target=poll)
    poller.start()
    time.sleep(0.3)
    run = new_run(api)
    poller.join(30)
    assert [event["run_id"] for event in answers[-1]["events"]] == [run]
    again = api.get(f"{EVENTS}/poll", {"after": begun["next"], "timeout": 5}).ok()
    assert run in [event.get("run_id") for event in again["events"]]
    lost = api.get(f"{EVENTS}/poll", {"after": again["next"] + 1_000_000, "timeout": 5}).ok()
    assert lost["reset"] and lost["next"] <= again["next"] + 5
    api.get(f"{EVENTS}/poll", {"after": "x"}).refused(400)
    api.get(EVENTS, {"experiment_ids": "x"}).refused(400)


@pytest.mark.timeout(180)
def test_long_histories_and_charts(postgres, servers):  # noqa: F811
    one, two = servers(postgres.database(), 2)
    api, other = Api(one.url), Api(two.url)
    run, points = new_run(api), 150_000
    for start in range(0, points, 1000):
        metrics = [
            {"key": "loss", "value": 9.0 if step == 77_777 else step % 5, "timestamp": 10 * step, "step": step}
            for step in range(start, start + 1000)
        ]
        api.post("runs/log-batch", {"run_id": run, "metrics": metrics}).ok()
    # In several parts, since there are many; as if it were one.
    whole = other.get("metrics/get-history", {"run_id": run, "metric_key": "loss"}, timeout=60).ok()
    assert [point["step"] for point in whole["metrics"]] == list(range(points))
    assert "next_page_token" not in whole
    asked = {"run_ids": [run, "0" * 32], "metric_key": "loss", "max_points": 400}
    for drawn in (
        other.get("/api/3.0/trackway/metrics/chart", asked).ok(),
        other.post("/ajax-api/3.0/trackway/metrics/chart", {**asked, "x": "time"}).ok(),
    ):
        series, unknown = drawn["series"]
        assert unknown["steps"] == []
        assert len(series["steps"]) == len(series["values"]) == len(series["timestamps"]) <= 400
        assert (series["steps"][0], series["steps"][-1]) == (0, points - 1)
        assert series["values"][series["steps"].index(77_777)] == 9.0
    part = other.get("/api/3.0/trackway/metrics/chart", {**asked, "x": "time", "from": 1000, "to": 1090}).ok()
    assert part["series"][0]["steps"] == list(range(100, 110))
    other.get("/api/3.0/trackway/metrics/chart", {**asked, "x": "colour"}).refused(400)
    other.get("/api/3.0/trackway/metrics/chart", {**asked, "from": 2, "to": 1}).refused(400)
