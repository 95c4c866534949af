"""`/api/3.0/trackway/runs/search`: counts, chosen columns, and filters that MLflow does not know."""

import pytest

ROUTE = "/api/3.0/trackway/runs/search"


@pytest.fixture
def four(api, pytestconfig):
    """An experiment with four runs: metric `acc` 0 to 3, param `lr` '0' to '3', tag `even` on two of them."""
    if pytestconfig.getoption("server") == "stock":
        pytest.skip("the route is ours")
    experiment_id = api.experiment()
    for number in range(4):
        run_id = api.run(experiment_id, start_time=number)
        batch = {
            "run_id": run_id,
            "metrics": [{"key": key, "value": number, "timestamp": 0, "step": 0} for key in ("acc", "loss")],
            "params": [{"key": "lr", "value": str(number)}, {"key": "note", "value": "x"}],
            "tags": [{"key": "even", "value": "yes"}] if number % 2 == 0 else [],
        }
        api.post("runs/log-batch", batch).ok()
    return experiment_id


def test_whole_runs_are_those_of_mlflows_search(api, four):
    body = {"experiment_ids": [four], "filter": "params.lr != '3'", "order_by": ["metrics.acc DESC"]}
    ours = api.post(ROUTE, body).ok()
    assert ours == api.post("runs/search", body).ok()
    assert api.post("/ajax-api/3.0/trackway/runs/search", body).ok() == ours


def test_columns(api, four):
    body = {"experiment_ids": [four], "columns": ["metrics.acc", "params.lr", "tags.even", "status"], "max_results": 2}
    answer = api.post(ROUTE, body).ok()
    third, second = answer["runs"]
    assert third["data"] == {
        "metrics": [{"key": "acc", "value": 3, "timestamp": 0, "step": 0}],
        "params": [{"key": "lr", "value": "3"}],
    }
    assert second["data"]["tags"] == [{"key": "even", "value": "yes"}]
    assert set(third) == {"info", "data"}
    assert set(third["info"]) == {"run_id", "status"}

    only = api.post(ROUTE, {**body, "columns": []}).ok()["runs"]
    assert all(set(run["info"]) == {"run_id"} and run["data"] == {} for run in only)
    kinds = api.post(ROUTE, {**body, "columns": ["metrics", "attributes", "inputs"]}).ok()["runs"][0]
    assert [metric["key"] for metric in kinds["data"]["metrics"]] == ["acc", "loss"]
    assert "params" not in kinds["data"] and kinds["inputs"] == {} and "outputs" not in kinds
    assert kinds["info"]["experiment_id"] == four and kinds["info"]["start_time"] == 3


def test_a_column_that_is_none(api, four):
    for column in ("unknown", "metric", "dataset.name", "params."):
        api.post(ROUTE, {"experiment_ids": [four], "columns": [column]}).refused(400, "INVALID_PARAMETER_VALUE")


def test_counts(api, four):
    body = {"experiment_ids": [four], "count": True, "max_results": 1}
    answer = api.post(ROUTE, body).ok()
    assert answer["total"] == 4 and len(answer["runs"]) == 1 and answer["next_page_token"]
    # The same on every page, and without any run.
    assert api.post(ROUTE, {**body, "page_token": answer["next_page_token"]}).ok()["total"] == 4
    assert api.post(ROUTE, {**body, "max_results": 0}).ok() == {"runs": [], "total": 4}
    found = {**body, "max_results": 0, "filter": "tags.even IS NULL OR metrics.acc = 0"}
    assert api.post(ROUTE, found).ok()["total"] == 3
    assert "total" not in api.post(ROUTE, {**body, "count": False}).ok()
    api.post(ROUTE, {**body, "max_results": 0, "count": False}).refused(400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("params.lr = '1' OR params.lr = '2'", "21"),
        ("NOT tags.even = 'yes' AND metrics.acc BETWEEN 0 AND 2", "1"),
        ("(params.lr IN ('0', '3') OR tags.even IS NOT NULL) AND NOT metrics.acc IN (0)", "32"),
        ("params.lr RLIKE '^[0-2]$' AND params.lr NOT RLIKE '1'", "20"),
    ],
)
def test_filters_beyond_mlflow_work_in_its_own_route(api, four, condition, expected):
    answer = api.post("runs/search", {"experiment_ids": [four], "filter": condition}).ok()
    lr = [param["value"] for run in answer["runs"] for param in run["data"]["params"] if param["key"] == "lr"]
    assert "".join(lr) == expected


def test_a_mistake_in_a_pattern_points_at_its_place(api, four):
    answer = api.post("runs/search", {"experiment_ids": [four], "filter": "params.lr RLIKE 'a(b'"})
    answer.refused(400, "INVALID_PARAMETER_VALUE", "unclosed group", "\n                      ^")
