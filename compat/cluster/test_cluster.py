"""Several servers on one PostgreSQL behind HAProxy: exact under load, while servers and the database are killed and
while the leader of a Patroni pair dies; an upgrade needs no pause.
"""

import contextlib
import time

import psycopg2
import pytest

from cluster.history import Load
from rest_api import Api
from servers import Server
from services import own_postgres, haproxy, patroni, pgbouncer, postgres  # noqa: F401: fixtures

pytestmark = pytest.mark.differs_from_stock("stock promises nothing of the kind")


@pytest.fixture
def servers(tmp_path):
    """Starts servers on one database; they are stopped at the end."""
    started: list[Server] = []

    def start(url: str, count: int = 1) -> list[Server]:
        new = []
        for _ in range(count):
            folder = tmp_path / f"server{len(started)}"
            destination = tmp_path / "artifacts"
            server = Server(
                "trackway", folder, "--backend-store-uri", url, "--artifacts-destination", str(destination)
            )
            started.append(server.start())
            new.append(server)
        return new

    yield start
    for server in started:
        server.kill()


def in_front_of(haproxy, servers: list[Server]) -> str:  # noqa: F811
    return haproxy(*(f"127.0.0.1:{server.port}" for server in servers)).variables["HAPROXY_URL"]


def query(url: str, sql: str) -> list[tuple]:
    with contextlib.closing(psycopg2.connect(url, connect_timeout=10)) as connection, connection:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


@pytest.mark.timeout(300)
def test_three_servers_that_are_killed_in_turns(own_postgres, haproxy, servers):  # noqa: F811
    database = own_postgres("durable=yes")
    three = servers(database.database(), 3)
    with Load(in_front_of(haproxy, three), clients=9) as load:
        load.wait_for(150)
        for server in three * 2:
            server.kill()
            load.wait_for(60)
            server.start()
        database.tell("crash")
        time.sleep(0.5)
        database.tell("restart")
        load.wait_for(150)
        three[0].kill()
        database.tell("crash")
        database.tell("restart")
        three[0].start()
        load.wait_for(150)
    assert sum(client.refused for client in load.clients) > 0, "nobody noticed anything"
    load.check()
    # Each server by itself tells the same.
    for server in three:
        load.url = server.url
        load.check()


@pytest.mark.timeout(300)
def test_behind_pgbouncer_in_transaction_mode(postgres, pgbouncer, haproxy, servers):  # noqa: F811
    # Fewer connections than the servers hold: each transaction may meet another one.
    bouncer = pgbouncer(postgres, "pool=4")
    two = servers(bouncer.through(postgres.database()), 2)
    with Load(in_front_of(haproxy, two), clients=8) as load:
        load.wait_for(600)
    load.check()


@pytest.mark.timeout(300)
def test_the_leader_of_a_pair_dies(patroni, haproxy, servers):  # noqa: F811
    pair = patroni()
    two = servers(pair.variables["PATRONI_URL"], 2)
    with Load(in_front_of(haproxy, two), clients=6) as load:
        load.wait_for(100)
        pair.tell("kill-primary")
        # The lease runs ten seconds; then the other one leads, and the servers go on by themselves.
        load.wait_for(100, seconds=90)
        answers = {server.url: Api(server.url).get("/health").status for server in two}
        assert set(answers.values()) == {200}, answers
    assert sum(client.refused for client in load.clients) > 0, "nobody noticed that the leader died"
    load.check()


def test_while_the_database_is_away_servers_say_so_and_go_on(own_postgres, servers):  # noqa: F811
    database = own_postgres()
    (server,) = servers(database.database())
    api = Api(server.url)
    run = api.post("runs/create", {"experiment_id": "0", "start_time": 1}).ok()["run"]["info"]["run_id"]
    database.tell("stop")
    for answer in [api.post("runs/set-tag", {"run_id": run, "key": "a", "value": "b"}), api.get("runs/get", {"run_id": run})]:
        answer.refused(503, "TEMPORARILY_UNAVAILABLE", "Send the request again")
    # The process lives, and says that it is not ready for requests.
    assert api.get("/health").status == 200
    assert api.get("/ready").status == 503
    database.tell("restart")
    deadline = time.monotonic() + 30
    while api.post("runs/set-tag", {"run_id": run, "key": "a", "value": "b"}).status != 200:
        assert time.monotonic() < deadline, "the server did not find the database again"
        time.sleep(0.1)
    assert {"key": "a", "value": "b"} in api.get_run(run)["data"]["tags"]


def test_a_page_goes_on_at_another_server(postgres, servers):  # noqa: F811
    one, other = servers(postgres.database(), 2)
    apis = [Api(one.url), Api(other.url)]
    for number in range(23):
        body = {"experiment_id": "0", "start_time": number, "run_name": f"r{number}"}
        apis[number % 2].post("runs/create", body).ok()
    found, token, turn = [], None, 0
    while True:
        body = {"experiment_ids": ["0"], "max_results": 4, "order_by": ["attributes.run_name ASC"]}
        page = apis[turn % 2].post("runs/search", {**body, **({"page_token": token} if token else {})}).ok()
        found += [run["info"]["run_name"] for run in page.get("runs", [])]
        token, turn = page.get("next_page_token"), turn + 1
        if not token:
            break
    assert found == sorted(f"r{number}" for number in range(23))


def test_servers_of_two_versions_share_a_schema(postgres, servers):  # noqa: F811
    """A newer Trackway has added to the schema while this one runs: it goes on, and starts again on what is there, as
    long as the newer one says that it may."""
    url = postgres.database()
    (old,) = servers(url)
    change = (
        "ALTER TABLE trackway.run ADD COLUMN from_the_future TEXT; "
        "INSERT INTO trackway.schema_version (version, works_with) VALUES (1000, 1);"
    )
    query(url, change)
    api = Api(old.url)
    run = api.post("runs/create", {"experiment_id": "0", "start_time": 1}).ok()["run"]["info"]["run_id"]
    (started_later,) = servers(url)
    assert Api(started_later.url).get_run(run)["info"]["run_id"] == run
    query(url, "INSERT INTO trackway.schema_version (version, works_with) VALUES (1001, 1001)")
    with pytest.raises(AssertionError, match="schema \"trackway\" has version 1001, written by a newer Trackway"):
        servers(url)
    # The one that runs is not stopped by it.
    assert api.get_run(run)["info"]["run_id"] == run


def test_a_database_of_mlflows_is_recognised_and_not_touched(postgres, servers):  # noqa: F811
    url = postgres.database()
    query(url, "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE latest_metrics (key TEXT)")
    (server,) = servers(url)
    Api(server.url).post("experiments/create", {"name": "ours"}).ok()
    assert "holds tables of MLflow. They are not touched" in server.log_path.read_text()
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    assert query(url, tables) == [("alembic_version",), ("latest_metrics",)]
