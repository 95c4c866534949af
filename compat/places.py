"""Where the server under test keeps what it is told: which database, and which store for artifacts.

A test that uses a server runs once in each place that `@pytest.mark.places(…)` on it or on its file names, else in
`USUAL`. `--places sqlite,s3` leaves only these. A file about artifacts says `pytest.mark.places(*EVERYWHERE)`.
"""

import dataclasses
from collections.abc import Callable

import pytest

from buckets import Bucket
from file_servers import Folder, OnApache, OnHdfs, OnSshd
from services import Pgbouncer, Postgres, Store

# Text is ordered as dictionaries do, which must not show in any answer.
COLLATION = "locale=icu:en-US"

USUAL = ("sqlite", "postgresql")
STORES = ("s3", "azure", "gcs")
EVERYWHERE = (*USUAL, *STORES)
# PgBouncer in transaction mode: for what holds on to a connection, or could.
POOLED = (*USUAL, "pgbouncer")
# Servers of files: only for what lies there, which is `compat/stores`, and for what is purged.
SERVERS = ("sftp", "webdav", "hdfs")
ALL = (*USUAL, "pgbouncer", *STORES, *SERVERS)


@dataclasses.dataclass
class Place:
    name: str
    postgres: Postgres | None = None
    pgbouncer: Pgbouncer | None = None
    store: Store | None = None
    folder: Callable[[], Folder] | None = None

    def settings(self, kind: str) -> "Settings":
        """For a server of this kind, on a new database and with a new bucket or folder."""
        settings = Settings()
        if self.postgres:
            settings.database = self.postgres.database()
            if self.pgbouncer:
                settings.database = self.pgbouncer.through(settings.database)
            # Which driver has to be told to stock alone. Ours takes that spelling too.
            if kind == "stock":
                settings.database = settings.database.replace("postgresql://", "postgresql+psycopg2://", 1)
            settings.flags += ["--backend-store-uri", settings.database]
        if self.store:
            settings.bucket = Bucket(self.store, self.store.bucket())
            settings.variables |= self.store.variables
        # Stock reaches servers of files by packages that are not installed here: it has a folder of its own.
        if self.folder and kind != "stock":
            settings.bucket = self.folder()
            settings.variables |= settings.bucket.store.variables
        return settings


@dataclasses.dataclass
class Settings:
    """What a server is told of its place."""

    flags: list[str] = dataclasses.field(default_factory=list)
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    database: str | None = None
    bucket: Bucket | Folder | None = None

    def served(self) -> "Settings":
        """The server has the artifacts go through it."""
        if self.bucket:
            self.flags += ["--artifacts-destination", self.bucket.uri]
        return self

    def direct(self) -> "Settings":
        """Clients write to the store themselves."""
        self.flags += ["--no-serve-artifacts", "--default-artifact-root", self.bucket.uri]
        return self


def parametrize(metafunc) -> None:
    if "place" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("places")
        metafunc.parametrize("place", marked.args if marked else USUAL, indirect=True, scope="session")


def deselect(config, items: list[pytest.Item]) -> None:
    """Leaves what runs in the places that were asked for."""
    if only := config.getoption("--places"):
        wanted = set(only.split(","))
        if unknown := wanted - set(ALL):
            raise pytest.UsageError(f"--places: there is no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    elif config.getoption("--url") or config.getoption("--server") == "stock":
        # A server that runs already is in one place, and to check the tests on stock one is enough.
        wanted = {"sqlite"}
    else:
        return

    def stays(item) -> bool:
        place = item.callspec.params.get("place") if hasattr(item, "callspec") else None
        return place is None or place in wanted

    config.hook.pytest_deselected(items=[item for item in items if not stays(item)])
    items[:] = [item for item in items if stays(item)]


@pytest.fixture(scope="session")
def collating_postgres():
    """A PostgreSQL for all tests that does not order text by bytes."""
    service = Postgres(COLLATION)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def place(request):
    """Where the servers of this test keep what they are told."""
    name = request.param
    if name == "sqlite":
        yield Place(name)
        return
    if name in SERVERS:
        # The database is no matter here.
        service, seen = {"sftp": ("sshd", OnSshd), "webdav": ("apache", OnApache), "hdfs": ("hdfs", OnHdfs)}[name]
        service = request.getfixturevalue(service)
        yield Place(name, folder=lambda: seen(service))
        return
    postgres = request.getfixturevalue("collating_postgres")
    if name == "pgbouncer":
        pgbouncer = Pgbouncer(postgres)
        yield Place(name, postgres, pgbouncer)
        pgbouncer.stop()
    elif name in STORES:
        store = {"s3": "seaweedfs", "azure": "azurite", "gcs": "fake_gcs"}[name]
        yield Place(name, postgres, store=request.getfixturevalue(store))
    else:
        yield Place(name, postgres)
