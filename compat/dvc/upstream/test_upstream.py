"""DVC's own functional tests, with our program in the place of DVC's command line.

Two ways: `cli`, where a test calls `dvc.cli.main` itself, and `api`, where also `Repo.add`, `Repo.checkout` and the like
are done by a command of ours and what they leave behind is read by stock DVC. target.txt lists the tests that stock DVC
passes itself on that way; left_out.txt those that no other program can pass, or whose feature is not there yet, each
with its reason.
"""

import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent


def listed(name: str) -> dict[tuple[str, str], str]:
    found = {}
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("# "):
            way, test, *reason = line.split("\t")
            found[way, test] = "".join(reason)
    return found


TARGET, LEFT_OUT = listed("target.txt"), listed("left_out.txt")


@pytest.fixture(scope="session")
def outcomes(request, pytestconfig, dvc_python, ours, tmp_path_factory):
    """One run for each way, of the tests that are selected, when the first of them asks for it."""
    made: dict[str, dict] = {}
    folder = tmp_path_factory.mktemp("upstream")

    def of(way: str) -> dict:
        if way not in made:
            command = "stock" if pytestconfig.getoption("--dvc") == "stock" else str(ours.link)
            results = folder / f"{way}.json"
            tests = folder / f"{way}.txt"
            chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
            tests.write_text("\n".join(params["test"] for params in chosen if params.get("way") == way))
            words = [sys.executable, str(HERE / "run_upstream.py"), dvc_python, command, str(results), f"@{tests}"]
            done = subprocess.run(words + ["--api"] * (way == "api"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            made[way] = json.loads(results.read_text()) if results.exists() else {"": done.stdout[-3000:]}
        assert "" not in made[way], f"the tests did not run:\n{made[way]['']}"
        return made[way]

    return of


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way,test", [pair for pair in TARGET if pair not in LEFT_OUT])
def test_upstream(way, test, outcomes):
    result = outcomes(way).get(test)
    assert result, "this test did not run"
    assert result["outcome"] == "passed", result["why"]


def test_what_is_left_out_has_a_reason():
    assert all(LEFT_OUT.values())
