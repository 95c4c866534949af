"""The surface: probes, the twin prefix of the web page, wrong methods, unknown paths, groups that are not built."""

import re

import pytest


def test_probes(api):
    assert api.get("/health").text == "OK"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", api.get("/version").text)


def test_server_info(api):
    for prefix in ("api", "ajax-api"):
        assert isinstance(api.get(f"/{prefix}/3.0/mlflow/server-info").ok(), dict)


@pytest.mark.parametrize("prefix", ["/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"])
def test_both_prefixes(api, prefix, unique):
    name = unique("twin")
    experiment_id = api.post(f"{prefix}experiments/create", {"name": name}).ok()["experiment_id"]
    run_id = api.post(f"{prefix}runs/create", {"experiment_id": experiment_id}).ok()["run"]["info"]["run_id"]
    api.post(f"{prefix}runs/log-metric", {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1}).ok()
    assert len(api.post(f"{prefix}runs/search", {"experiment_ids": [experiment_id]}).ok()["runs"]) == 1
    assert api.get(f"{prefix}metrics/get-history", {"run_id": run_id, "metric_key": "m"}).ok()["metrics"]
    assert api.get(f"{prefix}experiments/search", {"max_results": 1}).ok()["experiments"]
    assert api.post(f"{prefix}experiments/search", {"max_results": 1}).ok()["experiments"]
    api.post(f"{prefix}registered-models/create", {"name": name}).ok()
    assert api.get(f"{prefix}registered-models/search", {}).ok()["registered_models"]
    assert api.get(f"{prefix}artifacts/list", {"run_id": run_id}).ok()["root_uri"]


@pytest.mark.parametrize(
    "path",
    ["/api/2.0/mlflow/nothing", "/api/2.0/mlflow/runs/dance", "/api/9.9/mlflow/runs/get", "/api", "/nowhere/at/all", "/api/2.0/preview/x", "/api/2.0/mlflow/runs/get/extra"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths(api, method, path):
    assert api.call(method, path).status == 404


@pytest.mark.differs_from_stock("stock answers HTML")
def test_unknown_paths_are_json_errors(api):
    answer = api.get("nothing")
    assert answer.status == 404
    assert answer.error_code in ("ENDPOINT_NOT_FOUND", "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "experiments/create"),
        ("GET", "runs/create"),
        ("GET", "runs/log-metric"),
        ("DELETE", "runs/get"),
        ("POST", "runs/get"),
        ("PUT", "runs/search"),
        ("POST", "metrics/get-history"),
        ("POST", "registered-models/update"),
        ("PATCH", "registered-models/create"),
        ("GET", "model-versions/create"),
        ("PUT", "logged-models"),
    ],
)
def test_wrong_methods(api, method, route):
    assert api.call(method, route).status == 405


def test_head(api):
    answer = api.call("HEAD", "/health")
    assert answer.status == 200 and answer.text == ""


@pytest.mark.differs_from_stock("stock does not see the parameters of a HEAD")
def test_head_with_parameters(api):
    answer = api.call("HEAD", "/api/2.0/mlflow/experiments/get?experiment_id=0")
    assert answer.status == 200 and answer.text == ""


# Groups that MLflow has and Trackway has not (yet). A client must get an error that it does not retry: an empty
# success would lose data, and 429 or 5xx other than 501 would make it wait for minutes.
NOT_BUILT = [
    ("POST", "/api/3.0/mlflow/traces"),
    ("GET", "/api/3.0/mlflow/traces/tr-0123"),
    ("POST", "/api/3.0/mlflow/traces/search"),
    ("GET", "/api/3.0/mlflow/traces/batchGet"),
    ("POST", "/api/2.0/mlflow/traces"),
    ("GET", "/api/2.0/mlflow/traces"),
    ("PATCH", "/api/2.0/mlflow/traces/tr-0123"),
    ("PATCH", "/api/2.0/mlflow/traces/tr-0123/tags"),
    ("POST", "/api/2.0/mlflow/traces/delete-traces"),
    ("POST", "/api/3.0/mlflow/traces/tr-0123/assessments"),
    ("POST", "/v1/traces"),
    ("POST", "/api/3.0/mlflow/datasets/create"),
    ("POST", "/api/3.0/mlflow/datasets/search"),
    ("POST", "/api/3.0/mlflow/scorers/register"),
    ("GET", "/api/3.0/mlflow/scorers/list"),
    ("GET", "/api/3.0/mlflow/gateway/endpoints/list"),
    ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
    ("POST", "/gateway/chat/mlflow/invocations"),
    ("POST", "/api/2.0/mlflow/webhooks"),
    ("GET", "/api/2.0/mlflow/webhooks"),
    ("DELETE", "/api/2.0/mlflow/webhooks/x"),
    ("GET", "/api/2.0/mlflow/users/current"),
    ("POST", "/api/2.0/mlflow/users/create"),
    ("GET", "/api/3.0/mlflow/workspaces"),
    ("POST", "/api/3.0/mlflow/workspaces"),
    ("POST", "/ajax-api/3.0/jobs"),
    ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
    ("POST", "/api/3.0/mlflow/label-schemas"),
    ("POST", "/api/3.0/mlflow/issues/search"),
    ("GET", "/api/3.0/mlflow/mcp-servers"),
    ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
]


@pytest.mark.differs_from_stock("stock has these groups")
@pytest.mark.parametrize(("method", "path"), NOT_BUILT)
def test_groups_that_are_not_built(api, method, path):
    for spelled in {path, path.replace("/api/", "/ajax-api/")}:
        answer = api.call(method, spelled, json={} if method != "GET" else None)
        assert answer.status in (400, 404, 405, 501), answer
        assert answer.error_code and answer.message, answer
        assert "Retry-After" not in answer.headers


def test_the_front_page(api):
    answer = api.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
