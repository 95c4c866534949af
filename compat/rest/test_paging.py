"""Page tokens of every search: all rows once and in order, and a token that we did not make is refused."""

import base64

import pytest
from places import POOLED

pytestmark = pytest.mark.places(*POOLED)


def pages(read, key, limit=20):
    """Reads page after page; returns the rows and the sizes of the pages."""
    rows, sizes, token = [], [], None
    for _ in range(limit):
        body = read(token).ok()
        rows += body.get(key, [])
        sizes.append(len(body.get(key, [])))
        token = body.get("next_page_token")
        if not token:
            return rows, sizes
    raise AssertionError(f"no end after {limit} pages: {sizes}")


def with_token(body, token):
    return {**body, "page_token": token} if token else body


def test_runs(api):
    experiment_id = api.experiment()
    made = [api.run(experiment_id, start_time=i % 3) for i in range(11)]
    rows, sizes = pages(
        lambda token: api.post("runs/search", with_token({"experiment_ids": [experiment_id], "max_results": 4}, token)), "runs"
    )
    assert sizes == [4, 4, 3]
    assert {r["info"]["run_id"] for r in rows} == set(made)
    order = [(-r["info"]["start_time"], r["info"]["run_id"]) for r in rows]
    assert order == sorted(order), "ties of start_time go by run_id"


def test_a_full_last_page(api):
    experiment_id = api.experiment()
    for _ in range(4):
        api.run(experiment_id)
    body = {"experiment_ids": [experiment_id], "max_results": 2}
    rows, sizes = pages(lambda token: api.post("runs/search", with_token(body, token)), "runs")
    assert len(rows) == 4 and sizes[:2] == [2, 2] and sum(sizes[2:]) == 0


@pytest.mark.parametrize("order", ["metrics.m", "metrics.m DESC", "params.p", "params.p DESC", "tags.t", "end_time", "end_time DESC", "run_name"])
def test_runs_by_a_key_that_some_lack(api, order):
    experiment_id = api.experiment()
    for i in range(9):
        run_id = api.run(experiment_id, start_time=100 - i, run_name=f"run {i % 4}")
        if i % 3:
            body = {"run_id": run_id, "metrics": [{"key": "m", "value": ["NaN", i // 2][i % 2], "timestamp": 1}]}
            body.update(params=[{"key": "p", "value": str(i % 4)}], tags=[{"key": "t", "value": str(i % 2)}])
            api.post("runs/log-batch", body).ok()
            api.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 500 + i % 2}).ok()
    body = {"experiment_ids": [experiment_id], "order_by": [order]}
    whole = [r["info"]["run_id"] for r in api.post("runs/search", body).ok()["runs"]]
    rows, _ = pages(lambda token: api.post("runs/search", with_token({**body, "max_results": 2}, token)), "runs")
    assert [r["info"]["run_id"] for r in rows] == whole
    assert len(set(whole)) == 9


def test_experiments(api, unique):
    stem = unique("paged")
    made = [api.experiment(f"{stem} {i}") for i in range(5)]
    body = {"max_results": 2, "filter": f"name LIKE '{stem}%'", "order_by": ["name DESC"]}
    for method in ("GET", "POST"):

        def read(token):
            sent = with_token(body, token)
            return api.get("experiments/search", sent) if method == "GET" else api.post("experiments/search", sent)

        rows, sizes = pages(read, "experiments")
        assert sizes == [2, 2, 1]
        assert [e["experiment_id"] for e in rows] == made[::-1]


def test_registered_models_and_versions(api, unique):
    stem = unique("paged")
    for i in range(5):
        api.version(api.registered_model(f"{stem}-{i}"))
    body = {"max_results": 2, "filter": f"name LIKE '{stem}%'"}
    rows, sizes = pages(lambda token: api.get("registered-models/search", with_token(body, token)), "registered_models")
    assert ([m["name"] for m in rows], sizes) == ([f"{stem}-{i}" for i in range(5)], [2, 2, 1])
    rows, sizes = pages(lambda token: api.get("model-versions/search", with_token(body, token)), "model_versions")
    assert ({v["name"] for v in rows}, sizes) == ({f"{stem}-{i}" for i in range(5)}, [2, 2, 1])


def test_logged_models(api):
    experiment_id = api.experiment()
    made = {
        api.post("logged-models", {"experiment_id": experiment_id, "name": f"m{i}"}).ok()["model"]["info"]["model_id"]
        for i in range(5)
    }
    body = {"experiment_ids": [experiment_id], "max_results": 2}
    rows, sizes = pages(lambda token: api.post("logged-models/search", with_token(body, token)), "models")
    assert ({m["info"]["model_id"] for m in rows}, sizes) == (made, [2, 2, 1])


def test_history(api):
    run_id = api.run()
    metrics = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(25)]
    api.post("runs/log-batch", {"run_id": run_id, "metrics": metrics}).ok()
    body = {"run_id": run_id, "metric_key": "m", "max_results": 10}
    rows, sizes = pages(lambda token: api.get("metrics/get-history", with_token(body, token)), "metrics")
    assert ([m["step"] for m in rows], sizes) == (list(range(25)), [10, 10, 5])
    assert len(api.get("metrics/get-history", {"run_id": run_id, "metric_key": "m"}).ok()["metrics"]) == 25


@pytest.mark.parametrize("count", [0, -1])
def test_history_without_room(api, count):
    run_id = api.run()
    api.get("metrics/get-history", {"run_id": run_id, "metric_key": "m", "max_results": count}).refused()


BAD_TOKENS = [
    "garbage",
    "%%%",
    pytest.param("é", marks=pytest.mark.differs_from_stock("stock answers 500 to a token beyond ASCII")),
    "AAAA",
    base64.b64encode(b"not json").decode(),
    base64.b64encode(b'{"offset": "x"}').decode(),
    base64.b64encode(b"{}").decode(),
    base64.b64encode(b"\xff\xff").decode(),
    "x" * 5000,
]


@pytest.mark.parametrize("token", BAD_TOKENS, ids=range(len(BAD_TOKENS)))
@pytest.mark.parametrize("route", ["runs/search", "experiments/search", "registered-models/search", "model-versions/search"])
def test_bad_tokens(api, route, token):
    body = {"experiment_ids": ["0"], "max_results": 5, "page_token": token}
    answer = api.get(route, body) if route.startswith(("registered", "model")) else api.post(route, body)
    answer.refused()


@pytest.mark.differs_from_stock("stock answers 500, or reads a token with an unknown offset as the start")
@pytest.mark.parametrize("token", BAD_TOKENS, ids=range(len(BAD_TOKENS)))
@pytest.mark.parametrize("route", ["logged-models/search", "metrics/get-history"])
def test_more_bad_tokens(api, route, token):
    if route == "logged-models/search":
        answer = api.post(route, {"experiment_ids": ["0"], "page_token": token})
    else:
        answer = api.get(route, {"run_id": api.run(), "metric_key": "m", "max_results": 5, "page_token": token})
    answer.refused()


def test_a_token_of_another_search(api):
    """Whatever happens, no failure of the server."""
    experiment_id = api.experiment()
    for _ in range(3):
        api.run(experiment_id)
    token = api.post("runs/search", {"experiment_ids": [experiment_id], "max_results": 1}).ok()["next_page_token"]
    for answer in (
        api.post("experiments/search", {"max_results": 1, "page_token": token}),
        api.post("runs/search", {"experiment_ids": [experiment_id], "order_by": ["metrics.m"], "page_token": token}),
        api.get("registered-models/search", {"page_token": token}),
    ):
        assert answer.status in (200, 400), answer
