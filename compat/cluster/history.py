"""Clients that write through a proxy to several servers and note what was acknowledged, and the check that all of it is
there, once.

The clients share runs, metrics and registered models on purpose. A request that is refused for a moment (503) or whose
answer is lost is sent again, as the stock client does; what was never acknowledged may be there or not.
"""

import random
import threading
import time

import requests

from rest_api import Api


class Client(threading.Thread):
    """Writes until it is stopped. `acked` is what was answered with 200."""

    def __init__(self, url: str, number: int, runs: list[str], experiment: str, model: str):
        super().__init__(daemon=True)
        self.api = Api(url)
        self.number, self.runs, self.experiment, self.model = number, runs, experiment, model
        self.random = random.Random(number)
        self.stopped = threading.Event()
        self.acked: list[tuple] = []
        self.refused = 0
        self.strange: list[str] = []

    def run(self):
        count = 0
        while not self.stopped.is_set():
            count += 1
            try:
                self.write(count)
            except Exception as error:  # noqa: BLE001: whatever it is, the test tells it
                self.strange.append(repr(error))
                return

    def post(self, route: str, body: dict) -> dict | None:
        """Sends until there is an answer; `None` if there is none before the end."""
        while not self.stopped.is_set():
            try:
                answer = self.api.post(route, body, timeout=30)
            except requests.RequestException:
                self.refused += 1
                time.sleep(0.1)
                continue
            if answer.status == 200:
                return answer.json
            if answer.status not in (502, 503, 504):
                self.strange.append(str(answer))
                return None
            self.refused += 1
            time.sleep(0.1)
        return None

    def write(self, count: int):
        run = self.random.choice(self.runs)
        kind = count % 6
        unique = self.number * 1_000_000 + count
        if kind in (0, 1):
            metric = {"run_id": run, "key": "shared", "value": unique / 2, "timestamp": count, "step": unique}
            if self.post("runs/log-metric", metric) is not None:
                self.acked.append(("metric", run, "shared", count, unique, unique / 2))
        elif kind == 2:
            points = [{"key": f"k{i % 3}", "value": unique + i, "timestamp": count, "step": i} for i in range(30)]
            batch = {
                "run_id": run,
                "metrics": points,
                "params": [{"key": f"p{unique}", "value": "v"}],
                "tags": [{"key": f"t{unique}", "value": "v"}],
            }
            if self.post("runs/log-batch", batch) is not None:
                self.acked += [("metric", run, p["key"], p["timestamp"], p["step"], p["value"]) for p in points]
                self.acked += [("param", run, f"p{unique}", "v"), ("tag", run, f"t{unique}", "v")]
        elif kind == 3:
            # All write the same param with values of their own: the first stays, the others are told so.
            self.first_param(run, f"race{count // 60}", str(self.number))
        elif kind == 4:
            body = {"experiment_id": self.experiment, "start_time": unique, "run_name": f"{self.number}/{count}"}
            made = self.post("runs/create", body)
            if made is not None:
                self.acked.append(("run", made["run"]["info"]["run_id"], unique))
        else:
            body = {"name": self.model, "source": f"s3://bucket/{unique}"}
            made = self.post("model-versions/create", body)
            if made is not None:
                self.acked.append(("version", int(made["model_version"]["version"]), f"s3://bucket/{unique}"))

    def first_param(self, run: str, key: str, value: str):
        try:
            answer = self.api.post("runs/log-parameter", {"run_id": run, "key": key, "value": value}, timeout=30)
        except requests.RequestException:
            self.refused += 1
            return
        if answer.status == 200:
            self.acked.append(("param", run, key, value))
        elif answer.status == 400:
            assert "Changing param values is not allowed" in answer.message, answer
        else:
            assert answer.status in (502, 503, 504), answer
            self.refused += 1


class Load:
    """Clients at work. `with Load(...) as load:` stops them at the end."""

    def __init__(self, url: str, clients: int, shared_runs: int = 3):
        api = Api(url)
        self.url = url
        self.experiment = api.post("experiments/create", {"name": f"cluster {time.time_ns()}"}).ok()["experiment_id"]
        self.model = f"model-{time.time_ns()}"
        api.post("registered-models/create", {"name": self.model}).ok()
        body = {"experiment_id": self.experiment, "start_time": 1}
        self.runs = [api.post("runs/create", body).ok()["run"]["info"]["run_id"] for _ in range(shared_runs)]
        self.clients = [Client(url, number, self.runs, self.experiment, self.model) for number in range(1, clients + 1)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stopped.set()
        for client in self.clients:
            client.join(60)

    def acknowledged(self) -> int:
        return sum(len(client.acked) for client in self.clients)

    def wait_for(self, more: int, seconds: float = 60) -> None:
        """Waits until so many more writes were acknowledged."""
        wanted = self.acknowledged() + more
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.acknowledged() >= wanted or any(client.strange for client in self.clients):
                return
            time.sleep(0.05)
        raise AssertionError(f"only {self.acknowledged()} of {wanted} writes were acknowledged within {seconds} s")

    def check(self) -> dict[str, int]:
        """All that was acknowledged is there, nothing is twice, all servers tell the same."""
        api = Api(self.url)
        strange = [words for client in self.clients for words in client.strange]
        assert not strange, strange[:3]
        acked = [entry for client in self.clients for entry in client.acked]
        runs = {run: api.get_run(run)["data"] for run in self.runs}
        points: dict[tuple, list] = {}
        for run in self.runs:
            for key in ["shared", "k0", "k1", "k2"]:
                found = api.get("metrics/get-history", {"run_id": run, "metric_key": key}).ok().get("metrics", [])
                rows = [(m["timestamp"], m["step"], m["value"]) for m in found]
                assert len(rows) == len(set(rows)), f"points of {key} are there twice"
                points[run, key] = set(rows)
                if rows:
                    latest = max((step, time_, value) for time_, step, value in rows)
                    shown = next(m for m in runs[run]["metrics"] if m["key"] == key)
                    assert (shown["step"], shown["timestamp"], shown["value"]) == latest
        params = {run: {p["key"]: p["value"] for p in data.get("params", [])} for run, data in runs.items()}
        tags = {run: {t["key"]: t["value"] for t in data.get("tags", [])} for run, data in runs.items()}
        created = self.all_runs(api)
        assert len(created) == len(set(created)), "paging gave a run twice"
        sources = self.versions(api)
        counts: dict[str, int] = {}
        for kind, *what in acked:
            counts[kind] = counts.get(kind, 0) + 1
            match kind:
                case "metric":
                    run, key, timestamp, step, value = what
                    assert (timestamp, step, value) in points[run, key], what
                case "param":
                    run, key, value = what
                    assert params[run].get(key) == value, what
                case "tag":
                    run, key, value = what
                    assert tags[run].get(key) == value, what
                case "run":
                    assert what[0] in created, what
                case "version":
                    number, source = what
                    assert sources.get(number) == source, (what, sources.get(number))
        assert set(counts) == {"metric", "param", "tag", "run", "version"}, counts
        # A number is given once, without gaps.
        assert sorted(sources) == list(range(1, len(sources) + 1))
        # A batch is there wholly or not at all, also one that was never acknowledged.
        for run in self.runs:
            whole = {key[1:] for key in params[run] if key.startswith("p")}
            assert whole == {key[1:] for key in tags[run] if key.startswith("t") and key[1:].isdigit()}
        return counts

    def all_runs(self, api: Api) -> list[str]:
        found, token = [], None
        while True:
            body = {"experiment_ids": [self.experiment], "max_results": 37, **({"page_token": token} if token else {})}
            page = api.post("runs/search", body).ok()
            found += [run["info"]["run_id"] for run in page.get("runs", [])]
            token = page.get("next_page_token")
            if not token:
                return found

    def versions(self, api: Api) -> dict[int, str]:
        found, token = {}, None
        while True:
            query = {"filter": f"name='{self.model}'", "max_results": 50, **({"page_token": token} if token else {})}
            page = api.get("model-versions/search", query).ok()
            found.update({int(v["version"]): v["source"] for v in page.get("model_versions", [])})
            token = page.get("next_page_token")
            if not token:
                return found
