"""`examples/data-versioning`: versions of data from the first `add` to a trimmed cache, as a user's own script does it."""

import pathlib
import subprocess
import sys

import pytest

from dvc.runners import environment, prepare_home

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "data-versioning" / "versions.py"

PARTS = [
    "1. Track a model and a folder of data",
    "2. Push it, and tag v1.0",
    "3. Change the data, fit again, and tag v2.0",
    "4. Back to v1.0, by hand",
    "5. Forward to v2.0, by git alone",
    "6. A colleague's fresh clone",
    "7. Keep the two newest commits in the cache",
    "8. What the cache has lost, the remote brings back",
]


@pytest.fixture
def play(tmp_path, ours, dvc_python, pytestconfig):
    """Runs the script, and returns what it said. `stock` stands for the real `dvc`, other names for ours."""
    both = tmp_path / "bin"
    both.mkdir()
    stock = str(pathlib.Path(dvc_python).with_name("dvc"))
    only_stock = pytestconfig.getoption("--dvc") == "stock"
    if not only_stock:
        for name in ("dvc", "trackway"):
            (both / name).symlink_to(ours.link.resolve())
    home = tmp_path / "home"
    prepare_home(home)

    def run(command: str, *more: str, colleague: str | None = None) -> str:
        chosen = {word: stock if only_stock or word == "stock" else word for word in (command, colleague) if word}
        arguments = ["--dvc", chosen[command], *(["--colleague", chosen[colleague]] if colleague else []), *more]
        env = environment(home)
        env["PATH"] = f"{both}:{env['PATH']}"
        done = subprocess.run(
            [sys.executable, EXAMPLE, *arguments], cwd=tmp_path, env=env, text=True, capture_output=True, timeout=300
        )
        return f"{done.stdout}{done.stderr}[{done.returncode}]"

    return run


@pytest.mark.parametrize(
    "command, colleague",
    [
        ("dvc", None),
        ("trackway", None),
        ("trackway dvc", None),
        ("stock", None),
        ("trackway", "stock"),
        ("stock", "dvc"),
    ],
)
def test_the_story_runs_to_its_end(play, command, colleague):
    """The script holds every outcome to what it expects, and exits with an error otherwise."""
    said = play(command, colleague=colleague)
    assert said.endswith("The story ends well.\n[0]"), said
    found = [said.find(f"\n{part}\n" if index else f"{part}\n") for index, part in enumerate(PARTS)]
    assert -1 not in found and found == sorted(found), said
    assert "13 objects became 10; v2.0 and v3.0 are still there" in said, said


def test_a_folder_that_exists_is_left_alone(play, tmp_path):
    (tmp_path / "taken").mkdir()
    said = play("dvc", "--folder", "taken")
    assert said == "'taken' exists already. Name a folder that the story can make.\n[1]"
    assert not any((tmp_path / "taken").iterdir())


def test_a_missing_program_is_named(play):
    assert play("dvc", colleague="dvx") == "There is no program 'dvx'. Say with --dvc or --colleague which one to run.\n[1]"
