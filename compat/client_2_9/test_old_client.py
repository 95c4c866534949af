"""The MLflow 2.9.2 client in an environment of its own: each script ends with 0 only if all its checks hold."""

import pathlib

import pytest
from places import EVERYWHERE

pytestmark = pytest.mark.places(*EVERYWHERE)

HERE = pathlib.Path(__file__).parent


@pytest.mark.parametrize("script", ["tracking.py", "models.py", "registry.py"])
def test_old_client(server, old_python, run_script, script):
    said = run_script(HERE / script, python=old_python, MLFLOW_TRACKING_URI=server.url)
    assert said.rstrip().endswith("all checks hold"), said
