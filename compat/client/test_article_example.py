"""`examples/article`: training, registering, promoting, loading and deleting, as a user's own script does it."""

import pathlib

import pytest

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "article" / "breast_cancer.py"

PARTS = [
    "1. Train classifiers and track them at",
    "2. Register them in three ways",
    "3. Describe and rename",
    "4. Promote, and archive what was there",
    "5. Load by version, stage, alias and latest",
    "6. Search the runs",
    "7. Download artifacts",
    "8. Archive and delete",
]


def test_the_story_runs_to_its_end(server, run_script, unique):
    """The script holds every answer of the server to what it expects, and exits with an error otherwise."""
    name = unique("screening")
    said = run_script(EXAMPLE, "--tracking-uri", server.url, "--model-name", name)
    found = [said.find(f"\n{part}" if index else part) for index, part in enumerate(PARTS)]
    assert -1 not in found and found == sorted(found), said
    assert f"'{name}-draft' is now '{name}'" in said
    assert "stages: version 1 Archived, version 2 Staging, version 3 Production" in said
    for uri in (f"{name}/1", f"{name}/Staging", f"{name}/Production", f"{name}@champion", f"{name}@fallback", f"{name}/latest"):
        assert f"models:/{uri} " in said, said
    assert said.rstrip().endswith("The story ends well."), said


def test_the_address_comes_from_the_environment_too(server, run_script, unique):
    """A second story on the same server: nothing of the first one is in its way."""
    said = run_script(EXAMPLE, "--model-name", unique("screening"), MLFLOW_TRACKING_URI=server.url)
    assert f"track them at {server.url}" in said
    assert said.rstrip().endswith("The story ends well."), said


def test_a_registered_model_of_that_name_is_left_alone(server, api, run_script, unique):
    """The story would rename and delete it, so it refuses to begin."""
    name = unique("taken")
    api.post("registered-models/create", {"name": name}).ok()
    with pytest.raises(AssertionError, match=f"The model '{name}' is registered already"):
        run_script(EXAMPLE, "--tracking-uri", server.url, "--model-name", name)
    api.get("registered-models/get", {"name": name}).ok()
