"""One remote, used by stock DVC and by ours in turns. What kinds there are: kinds.py."""

import pathlib
import shutil

import pytest

from dvc.remotes.kinds import KINDS, Remote
from dvc.remotes.password_sshd import PasswordSshd
from dvc.remotes.plain_http import PlainHttp
from dvc.remotes.repository import Repository
from dvc.runners import Stock


def pytest_generate_tests(metafunc):
    """A test that asks for `kind` runs with each, or with those of `@pytest.mark.kinds(…)`."""
    if "kind" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("kinds")
        metafunc.parametrize("kind", marked.args if marked else [name for name, kind in KINDS.items() if not kind.on_demand])


@pytest.fixture(scope="session")
def stock(dvc_python, tmp_path_factory):
    """Stock DVC, with its plugins for remotes imported too."""
    worker = Stock(dvc_python, tmp_path_factory.mktemp("stock"), remotes=True)
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def plain_http(tmp_path_factory):
    server = PlainHttp(tmp_path_factory.mktemp("web"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def password_sshd(dvc_python, tmp_path_factory):
    server = PasswordSshd(dvc_python, tmp_path_factory.mktemp("sftp"), "password")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def asking_sshd(dvc_python, tmp_path_factory):
    server = PasswordSshd(dvc_python, tmp_path_factory.mktemp("sftp"), "keyboard-interactive")
    yield server
    server.stop()


@pytest.fixture
def remote(kind, request) -> Remote:
    """A new, empty remote on the server of this kind."""
    return KINDS[kind].remote(request.getfixturevalue(KINDS[kind].server))


@pytest.fixture
def repository(templates, tmp_path):
    """Makes repositories that one tool uses: `repository("name", ours, remote)`, and `of=other` makes it a clone of that,
    with all that it was told of remotes, and without its data."""
    made: list[pathlib.Path] = []

    def make(name: str, tool, remote: Remote, of: Repository | None = None) -> Repository:
        folder = tmp_path / name
        made.append(folder)
        return Repository(folder, tool, remote, of or templates("dvc"))

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
