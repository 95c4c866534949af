"""Histories, their sampling and the latest value, compared with stock on points chosen to be awkward: ties, NaN,
steps out of order, duplicates, long series at the edges of pages and buckets.
"""

import random

import pytest
from differential.pair import Pair

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
INTERVAL = "metrics/get-history-bulk-interval"


@pytest.fixture
def pair(stock, trackway):
    return Pair(stock.url, trackway.url)


@pytest.fixture
def new_run(pair, unique):
    _, experiment = pair.send("POST", "experiments/create", {"name": unique("history")}, ("experiment 1", "experiment_id"))

    def new_run(number=1):
        body = {"experiment_id": experiment, "start_time": number, "run_name": f"run {number}"}
        _, run = pair.send("POST", "runs/create", body, (f"run {number}", "run", "info", "run_id"))
        return run

    return new_run


def log(pair, run, points, key="m"):
    metrics = [{"key": key, "value": v, "timestamp": t, "step": s} for v, t, s in points]
    for first in range(0, len(metrics), 1000):
        pair.send("POST", "runs/log-batch", {"run_id": run, "metrics": metrics[first : first + 1000]})


def agree(pair):
    if pair.mismatches:
        pytest.fail("\n\n".join(map(str, pair.mismatches[:5])), pytrace=False)


def read_everything(pair, run, key="m"):
    pair.send("GET", "runs/get", {"run_id": run})
    pair.send("GET", "metrics/get-history", {"run_id": run, "metric_key": key})
    pair.send("GET", INTERVAL, {"run_ids": [run], "metric_key": key})
    pair.send("GET", BULK, {"run_id": [run], "metric_key": key})


ODD = ["NaN", "Infinity", "-Infinity", -0.0, 0.0, 0, 1, -1, 1e308, -1e308, 5e-324, 0.1, 1 / 3]


@pytest.mark.parametrize("seed", range(8))
def test_awkward_points(pair, new_run, seed):
    """Few distinct times and steps, so that nearly all is a tie; each point once by itself, once in a batch."""
    chosen = random.Random(seed)
    run = new_run()
    points = [(chosen.choice(ODD), chosen.randint(0, 3), chosen.randint(-1, 2)) for _ in range(40)]
    for value, timestamp, step in points[:12]:
        body = {"run_id": run, "key": "m", "value": value, "timestamp": timestamp, "step": step}
        pair.send("POST", "runs/log-metric", body)
    # What NaN and 0 weigh among points of the same time and step, stock leaves to its database; a retry of all
    # points must change nothing.
    log(pair, run, points)
    log(pair, run, points)
    pair.send("GET", "metrics/get-history", {"run_id": run, "metric_key": "m"})
    pair.send("GET", INTERVAL, {"run_ids": [run], "metric_key": "m"})
    agree(pair)


@pytest.mark.parametrize("seed", range(12))
def test_the_latest_value(pair, new_run, seed):
    chosen = random.Random(1000 + seed)
    run = new_run()
    for _ in range(25):
        value = chosen.choice(["NaN", -1, 1, 2.5, "Infinity", "-Infinity"])
        body = {"run_id": run, "key": chosen.choice("ab"), "value": value, "timestamp": chosen.randint(0, 2), "step": chosen.randint(0, 2)}
        if chosen.random() < 0.5:
            pair.send("POST", "runs/log-metric", body)
        else:
            body.pop("run_id")
            pair.send("POST", "runs/log-batch", {"run_id": run, "metrics": [body, {**body, "timestamp": chosen.randint(0, 2)}]})
        pair.send("GET", "runs/get", {"run_id": run})
    agree(pair)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 11, 99, 100, 101, 319, 320, 321, 1000, 2501])
def test_sampling(pair, new_run, count):
    run = new_run()
    log(pair, run, [(i * 0.5, 1000 + i, i) for i in range(count)])
    for room in (1, 2, 3, 5, 10, 100, 320, 2500):
        pair.send("GET", INTERVAL, {"run_ids": [run], "metric_key": "m", "max_results": room})
    for first, last in ((0, 0), (count // 3, 2 * count // 3), (-5, count + 5), (count, count + 1)):
        body = {"run_ids": [run], "metric_key": "m", "max_results": 5, "start_step": first, "end_step": last}
        pair.send("GET", INTERVAL, body)
    agree(pair)


@pytest.mark.parametrize("seed", range(4))
def test_sampling_of_uneven_steps(pair, new_run, seed):
    """Several points a step, steps missing, several runs at once that know different steps."""
    chosen = random.Random(2000 + seed)
    runs = [new_run(number) for number in range(1, 4)]
    for run in runs:
        points = [(chosen.random(), chosen.randint(0, 50), chosen.randint(-20, 200)) for _ in range(chosen.choice([3, 40, 300]))]
        log(pair, run, dict.fromkeys(points))
    asked = [runs[2], runs[0], runs[2]] if seed % 2 else runs
    for room in (1, 2, 7, 25, 320):
        pair.send("GET", INTERVAL, {"run_ids": asked, "metric_key": "m", "max_results": room})
        body = {"run_ids": asked, "metric_key": "m", "max_results": room, "start_step": 10, "end_step": 120}
        pair.send("GET", INTERVAL, body)
    agree(pair)


def test_bulk_limits(pair, new_run):
    runs = [new_run(number) for number in range(1, 4)]
    for index, run in enumerate(runs):
        log(pair, run, [(i, i, i) for i in range(5 + index)])
    for room in (1, 6, 25000, 30000):
        pair.send("GET", INTERVAL, {"run_ids": runs[::-1], "metric_key": "m", "max_results": min(room, 2500)})
        # In bulk the runs come in the order of their ids, which differ: one run at a time can be compared.
        for run in runs:
            pair.send("GET", BULK, {"run_id": [run], "metric_key": "m", "max_results": room})
    agree(pair)


def test_pages(pair, new_run):
    run = new_run()
    log(pair, run, [(i % 7, i // 3, i % 11) for i in range(2000)])
    body = {"run_id": run, "metric_key": "m", "max_results": 700}
    for page in range(5):
        answers, _ = pair.send("GET", "metrics/get-history", body)
        tokens = pair.made(answers, "next_page_token")
        if not tokens:
            break
        pair.ids[f"«page {page}»"] = tuple(tokens)
        body = {**body, "page_token": f"«page {page}»"}
    assert page == 2
    agree(pair)


def test_many_keys_and_a_finished_run(pair, new_run):
    run = new_run()
    for step in range(5):
        metrics = [{"key": f"k{i}", "value": i / 3 + step, "timestamp": 100 - step, "step": step} for i in range(200)]
        pair.send("POST", "runs/log-batch", {"run_id": run, "metrics": metrics})
    pair.send("POST", "runs/update", {"run_id": run, "status": "FINISHED", "end_time": 500})
    for key in ("k0", "k7", "k199", "k200"):
        read_everything(pair, run, key)
    log(pair, run, [(9, 9, 9), (-9, 0, 0)], "k7")
    read_everything(pair, run, "k7")
    agree(pair)
