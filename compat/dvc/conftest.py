"""Stock DVC and ours side by side. Run as part of compat/; needs no MLflow."""

import importlib.util
import os
import pathlib
import shutil
import subprocess

import pytest

from dvc.elsewhere import Elsewhere
from dvc.pair import Pair
from dvc.runners import Binary, Stock, environment, prepare_home
from environments import python_of

if importlib.util.find_spec("dvc.cli"):
    raise RuntimeError("Stock DVC is installed in this Python: run these tests with the one of requirements/mlflow-3.17.txt")


@pytest.fixture(scope="session")
def dvc_python() -> str:
    """The Python of the environment that holds stock DVC."""
    return python_of("dvc-3.67")


@pytest.fixture(scope="session")
def stock(dvc_python, tmp_path_factory):
    """Stock DVC."""
    worker = Stock(dvc_python, tmp_path_factory.mktemp("stock"))
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def ours(pytestconfig, dvc_python, tmp_path_factory):
    """Our binary through a link named `dvc`. With --dvc=stock a second stock, which must show no difference: that checks
    the tests."""
    if pytestconfig.getoption("--dvc") == "stock":
        tool = Stock(dvc_python, tmp_path_factory.mktemp("second"), backwards=True)
    else:
        binary = pathlib.Path(os.environ.get("TRACKWAY_BIN", "trackway"))
        found = shutil.which(binary)
        assert found, f"TRACKWAY_BIN: there is no program {binary}"
        link = tmp_path_factory.mktemp("bin") / "dvc"
        link.symlink_to(pathlib.Path(found).resolve())
        tool = Binary(link)
    yield tool
    tool.close()


@pytest.fixture(scope="session")
def templates(stock, tmp_path_factory):
    """Repositories to begin with, made by stock once and copied."""
    root = tmp_path_factory.mktemp("templates")
    prepare_home(root / "home")
    env = environment(root / "home")
    made: dict[str, pathlib.Path] = {}

    def template(kind: str) -> pathlib.Path:
        if kind not in made:
            folder = root / kind
            folder.mkdir()
            git = ["git", "init", "-q", "--template="]
            if kind in ("git", "dvc"):
                subprocess.run(git, cwd=folder, env=env, check=True)
                # `dvc install` expects it, as git's own template has it.
                (folder / ".git/hooks").mkdir(exist_ok=True)
                (folder / ".git/info").mkdir(exist_ok=True)
            if kind in ("dvc", "no-scm"):
                done = stock.run(["init", "-q"] + ["--no-scm"] * (kind == "no-scm"), folder, env)
                assert done.code == 0, done
                # It remembers when the repository was made, by which the site cache knows it.
                shutil.rmtree(folder / ".dvc/tmp")
            if kind == "dvc":
                subprocess.run(["git", "commit", "-q", "-m", "init"], cwd=folder, env=env, check=True)
            made[kind] = folder
        return made[kind]

    return template


@pytest.fixture
def pair(stock, ours, templates, tmp_path, pytestconfig):
    """The same repository twice: for stock and for ours, or, with --turns, for stock and for both taking turns."""
    made = Pair(tmp_path, stock, [ours, stock] if pytestconfig.getoption("--turns") else [ours], templates)
    yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def play(pair):
    return pair.play


@pytest.fixture
def elsewhere(stock, templates, tmp_path_factory):
    """A repository elsewhere, with `d`, `f` and `g`."""
    return Elsewhere(stock, tmp_path_factory.mktemp("elsewhere"), templates("dvc"))
