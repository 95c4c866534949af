"""Foreign Host and Origin headers: what keeps a web page in the user's browser away from a server on the laptop."""

import pytest

READ = "/api/2.0/mlflow/experiments/get?experiment_id=0"
WRITE = "/api/2.0/mlflow/experiments/create"


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:5000", "127.0.0.1", "127.0.0.1:80", "[::1]:5000", "10.1.2.3", "192.168.0.7:5000", "172.16.0.1", "172.31.255.1:8080"],
)
def test_hosts_of_this_machine_and_network(api, host):
    assert api.call("GET", READ, headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.com", "evil.com:5000", "localhost.evil.com", "127.0.0.1.evil.com", "evil.com#localhost", "172.32.0.1", "11.0.0.1", "8.8.8.8", "localhost@evil.com", "127.0.0.2"],
)
@pytest.mark.parametrize("path", [READ, "/", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", "/graphql"])
def test_foreign_hosts(api, host, path):
    answer = api.call("GET", path, headers={"Host": host})
    assert answer.status == 403, answer
    assert "host" in answer.text.lower()


@pytest.mark.parametrize("path", ["/health", "/version"])
def test_probes_may_come_under_any_name(api, path):
    assert api.call("GET", path, headers={"Host": "evil.com"}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.com", "https://evil.com", "null", "http://localhost.evil.com", "http://evil.com:5000", "http://127.0.0.1.evil.com"])
@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_foreign_origins_change_nothing(api, origin, prefix, unique):
    name = unique("forged")
    answer = api.call("POST", prefix + "/2.0/mlflow/experiments/create", json={"name": name}, headers={"Origin": origin})
    assert answer.status == 403, answer
    api.get("experiments/get-by-name", {"experiment_name": name}).missing()


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT"])
def test_foreign_origins_with_other_methods(api, method):
    routes = {"PATCH": "registered-models/update", "DELETE": "registered-models/delete", "PUT": "/api/2.0/mlflow-artifacts/artifacts/0/x"}
    answer = api.call(method, routes[method], json={"name": "x"}, headers={"Origin": "http://evil.com"})
    assert answer.status == 403, answer


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:3000", "http://127.0.0.1:5000", "http://[::1]:80"])
def test_own_origins(api, origin, unique):
    answer = api.call("POST", WRITE, json={"name": unique("own")}, headers={"Origin": origin})
    assert answer.status == 200, answer
    assert answer.headers.get("Access-Control-Allow-Origin") == origin


@pytest.mark.differs_from_stock("stock does not look at the Origin on /graphql")
def test_foreign_origin_on_graphql(api):
    answer = api.call("POST", "/graphql", json={"query": "{ __typename }"}, headers={"Origin": "http://evil.com"})
    assert answer.status == 403, answer


def test_reading_with_a_foreign_origin_shows_nothing_to_the_page(api):
    answer = api.call("GET", READ, headers={"Origin": "http://evil.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.status in (200, 403)


def test_preflight(api):
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    answer = api.call("OPTIONS", WRITE, headers=headers)
    assert answer.status == 200, answer
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    answer = api.call("OPTIONS", WRITE, headers={**headers, "Origin": "http://evil.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_plain_options(api):
    assert api.call("OPTIONS", WRITE).status == 204


def test_headers_of_every_answer(api):
    for path in (READ, "/health", "/"):
        headers = api.call("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "SAMEORIGIN", path


def test_credentials_are_ignored(api):
    """A client with a user name or token set up for another server still works: nobody is asked here."""
    assert api.call("GET", READ, auth=("user", "password")).status == 200
    assert api.call("GET", READ, headers={"Authorization": "Bearer abc"}).status == 200
