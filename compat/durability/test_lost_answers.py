"""A client whose connection breaks before the answer sends its call again: nothing may happen twice."""

import http.client
import json
import time

import pytest

from rest_api import Api

pytestmark = pytest.mark.differs_from_stock("stock makes a second run for one")


def send_and_hang_up(api: Api, route: str, body: dict) -> None:
    """Sends a whole request and closes the connection without waiting for what comes back."""
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=10)
    connection.request("POST", api.path(route), json.dumps(body), {"Content-Type": "application/json"})
    connection.close()


def settled(read, expected: int):
    """What `read` gives when it has not changed for a while: the server may still be at the lost call."""
    for _ in range(50):
        seen = read()
        if len(seen) >= expected:
            time.sleep(0.1)
            return read()
        time.sleep(0.02)
    return read()


@pytest.mark.parametrize("round_", range(10))
def test_logging_again(api, round_):
    """Points are a set, params are fixed, tags are overwritten: a repeated batch changes nothing."""
    run_id = api.run()
    body = {
        "run_id": run_id,
        "metrics": [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(20)],
        "params": [{"key": "p", "value": "v"}],
        "tags": [{"key": "t", "value": "v"}],
    }
    send_and_hang_up(api, "runs/log-batch", body)
    api.post("runs/log-batch", body).ok()

    def points():
        return api.get("metrics/get-history", {"run_id": run_id, "metric_key": "m"}).ok().get("metrics", [])

    assert [m["step"] for m in settled(points, 20)] == list(range(20))


def test_two_equal_creations_are_two_runs(api):
    """Whoever hears the answer and asks the same again means a second run."""
    experiment_id = api.experiment()
    body = {"experiment_id": experiment_id, "start_time": 5, "run_name": "equal"}
    made = {api.post("runs/create", body).ok()["run"]["info"]["run_id"] for _ in range(3)}
    assert len(made) == 3
