"""Real servers for tests: PostgreSQL, object stores, and what stands between. Each is a child process of
`cargo xtask services run`, which owns the server, tells of it in JSON, takes commands on its standard input, and
ends it when that closes, however this process ends. What there is, with its options and commands:
crates/testkit/src/services/mod.rs.

Those that many tests share are fixtures of the session: a test makes a database or a bucket of its own in them. Those
that a test does harm to are made for it by factories.
"""

import json
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
ANSWER_SECONDS = 150


class ServiceFailed(AssertionError):
    """A service did not start, or could not do what it was told; the message says why."""


class Service:
    """One running service. `variables` are those by which its clients are told of it."""

    def __init__(self, name: str, *options: str):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*xtask(), "services", "run", name, *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            # Ctrl-C ends the tests first, and they end the services.
            start_new_session=True,
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.variables: dict[str, str] = self._answer()["variables"]

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _answer(self) -> dict:
        try:
            line = self.lines.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            self.process.kill()
            raise ServiceFailed(f"{self.name} gave no answer within {ANSWER_SECONDS} s") from None
        if line is None:
            self.errors.seek(0)
            raise ServiceFailed(f"{self.name} has ended: {self.errors.read()[-4000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise ServiceFailed(f"{self.name}: {answer['error']}")
        return answer

    def tell(self, *words: str):
        """Makes it do something, `crash` for example, and waits until that is done."""
        self.process.stdin.write(" ".join([self.name, *words]) + "\n")
        self.process.stdin.flush()
        return self._answer()["told"]

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            # The kernel then ends the server.
            self.process.kill()
            self.process.wait(10)
            raise ServiceFailed(f"{self.name} did not stop within 60 s") from None


class Postgres(Service):
    def __init__(self, *options: str):
        super().__init__("postgres", *options)
        self.url = self.variables["POSTGRES_URL"]
        self.address = f"{self.variables['PGHOST']}:{self.variables['PGPORT']}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        return self.tell("create-database", f"test_{uuid.uuid4().hex}")["url"]


class Store(Service):
    """An object store."""

    def bucket(self) -> str:
        """The name of a new, empty bucket; Azure calls it a container."""
        name = f"test-{uuid.uuid4().hex}"
        self.tell("create-container" if self.name == "azurite" else "create-bucket", name)
        return name


class Hdfs(Service):
    """A NameNode and a DataNode, with HADOOP_CONF_DIR and HADOOP_USER_NAME in `variables`."""

    def __init__(self, *options: str):
        super().__init__("hdfs", *options)
        self.url = self.variables["HDFS_URL"]
        self.web_url = self.variables["WEBHDFS_URL"]

    def folder(self) -> str:
        """The path of a folder of one's own, which is yet to be made: behind `url` or `web_url`."""
        return f"/test-{uuid.uuid4().hex}"


class Apache(Service):
    """WebDAV, HTTP, git over HTTP; what there is: crates/testkit/src/services/apache.rs."""

    def __init__(self, *options: str):
        super().__init__("apache", *options)
        self.address = self.variables["APACHE_ADDRESS"]
        self.user, self.password = self.variables["WEBDAV_USER"], self.variables["WEBDAV_PASSWORD"]

    def folder(self) -> str:
        """The name of a new, empty folder: behind `webdav://ADDRESS/dav/` (also `digest`, `token`), and another
        behind `http://ADDRESS/up/`, which takes PUT and POST."""
        name = f"test-{uuid.uuid4().hex}"
        self.tell("create-folder", name)
        return name

    def repository(self) -> str:
        """The URL of a new, empty git repository, with the user and password."""
        return self.tell("create-repository", f"test-{uuid.uuid4().hex}")["url"]


class Sshd(Service):
    """OpenSSH's server: crates/testkit/src/services/sshd.rs."""

    def __init__(self):
        super().__init__("sshd")
        self.port = int(self.variables["SSH_PORT"])
        self.user = self.variables["SSH_USER"]
        self.keys = pathlib.Path(self.variables["SSH_KEYS"])
        self.key = self.keys / "id"

    def folder(self) -> tuple[str, pathlib.Path]:
        """A new, empty folder: its URL, and the same folder as it is seen from here."""
        name = f"test-{uuid.uuid4().hex}"
        path = self.keys / "files" / name
        path.mkdir()
        return f"{self.variables['SSH_URL']}/{name}", path


class Pgbouncer(Service):
    """PgBouncer in front of a PostgreSQL."""

    def __init__(self, postgres: Postgres, *options: str):
        if password := postgres.variables.get("PGPASSWORD"):
            options += (f"password={password}",)
        super().__init__("pgbouncer", f"postgres={postgres.address}", *options)
        self.address = self.variables["PGBOUNCER_ADDRESS"]

    def through(self, url: str) -> str:
        """The URL of the same database by way of PgBouncer."""
        return f"postgresql://postgres@{self.address}/{url.rsplit('/', 1)[1].split('?')[0]}"


class FaultProxy(Service):
    """A TCP proxy that delays, cuts, garbles, refuses and swallows, as it is told: crates/testkit/src/services/fault_proxy.rs."""

    def __init__(self, target: str, *faults: str):
        super().__init__("fault-proxy", f"target={target}", *faults)
        self.address = self.variables["FAULT_PROXY_ADDRESS"]

    def set(self, *faults: str) -> None:
        """From now on: `delay=MILLISECONDS`, `cut-up=BYTES`, `cut-down=BYTES`, `corrupt-up=BYTE`, `corrupt-down=BYTE`,
        `refuse=yes`, `black-hole=yes`; nothing ends what was set before."""
        self.tell("set", *faults)

    def next(self, *faults: str) -> None:
        """For the next connection alone."""
        self.tell("next", *faults)

    def cut_all(self) -> None:
        self.tell("cut-all")


def xtask() -> list[str]:
    """The program that `cargo xtask test` has named, else cargo builds it."""
    if path := os.environ.get("TRACKWAY_XTASK"):
        return [path]
    if cargo := shutil.which("cargo"):
        return [cargo, "xtask"]
    raise ServiceFailed("TRACKWAY_XTASK is not set, and there is no cargo to build what it should name")


def stopped_at_the_end(make):
    """A fixture's body: gives a function that starts services, and stops them when the fixture ends."""
    started: list[Service] = []

    def start(*args) -> Service:
        started.append(make(*args))
        return started[-1]

    yield start
    # From the last, which may stand on the first. A failure to stop keeps none from being stopped.
    failures = []
    while started:
        try:
            started.pop().stop()
        except ServiceFailed as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


def shared(make):
    service = make()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def postgres():
    """PostgreSQL for all tests: make a database of your own by `postgres.database()`."""
    yield from shared(Postgres)


@pytest.fixture(scope="session")
def seaweedfs():
    """A complete S3 for all tests: make a bucket of your own by `seaweedfs.bucket()`."""
    yield from shared(lambda: Store("seaweedfs"))


@pytest.fixture(scope="session")
def rclone():
    """A sloppy S3, which ignores conditions."""
    yield from shared(lambda: Store("rclone"))


@pytest.fixture(scope="session")
def juicefs():
    """An S3 in front of a file system, by MinIO's code."""
    yield from shared(lambda: Store("juicefs"))


@pytest.fixture(scope="session")
def sshd():
    """An SSH server for all tests: make a folder of your own by `sshd.folder()`, log in by `sshd.key`."""
    yield from shared(Sshd)


@pytest.fixture(scope="session")
def azurite():
    """Azure Blob Storage for all tests: make a container of your own by `azurite.bucket()`."""
    yield from shared(lambda: Store("azurite"))


@pytest.fixture(scope="session")
def fake_gcs():
    """Google Cloud Storage for all tests: make a bucket of your own by `fake_gcs.bucket()`."""
    yield from shared(lambda: Store("fake-gcs"))


@pytest.fixture(scope="session")
def fake_gcs_with_versions():
    """The same, where buckets can keep the generations of objects."""
    yield from shared(lambda: Store("fake-gcs", "versions=yes"))


@pytest.fixture(scope="session")
def hdfs():
    """HDFS for all tests, by `hdfs.url` and `hdfs.web_url`: take a folder of your own, `hdfs.folder()`."""
    yield from shared(Hdfs)


@pytest.fixture(scope="session")
def apache():
    """WebDAV, HTTP and git over HTTP for all tests: take a folder or a repository of your own, `apache.folder()`."""
    yield from shared(Apache)


@pytest.fixture(scope="session")
def rclone_webdav():
    """A second WebDAV, in which everybody may do everything: RCLONE_WEBDAV_URL."""
    yield from shared(lambda: Service("rclone-webdav"))


@pytest.fixture
def own_postgres():
    """Starts a PostgreSQL to do harm to: `own_postgres("durable=yes").tell("crash")`, then `restart`."""
    yield from stopped_at_the_end(Postgres)


@pytest.fixture
def own_store():
    """Starts an object store to do harm to: `own_store("seaweedfs").tell("crash")`, then `restart`."""
    yield from stopped_at_the_end(Store)


@pytest.fixture
def pgbouncer():
    """Starts a PgBouncer: `pgbouncer(postgres, "pool=5")`."""
    yield from stopped_at_the_end(Pgbouncer)


@pytest.fixture
def haproxy():
    """Starts an HAProxy in front of HTTP servers: `haproxy("127.0.0.1:5000", "127.0.0.1:5001")`; HAPROXY_URL."""
    yield from stopped_at_the_end(lambda *backends: Service("haproxy", *(f"backend={backend}" for backend in backends)))


@pytest.fixture
def prometheus():
    """Starts a Prometheus that asks servers for /metrics: `prometheus("127.0.0.1:5000")`; PROMETHEUS_URL."""
    yield from stopped_at_the_end(lambda *targets: Service("prometheus", *(f"target={target}" for target in targets)))


@pytest.fixture
def patroni():
    """Starts a pair of PostgreSQL: `pair = patroni()`; PATRONI_URL; `pair.tell("kill-primary")`, `primary`, `restart`."""
    yield from stopped_at_the_end(lambda: Service("patroni"))


@pytest.fixture
def fault_proxy():
    """Starts a proxy in front of an address: `fault_proxy(postgres.address)`."""
    yield from stopped_at_the_end(FaultProxy)
