"""The Pythons of other environments, which hold what is not to be imported here: requirements/."""

import os
import pathlib

import pytest


def python_of(name: str) -> str:
    """The Python of the environment of `requirements/NAME.txt`; `cargo xtask test` makes it and tells of it."""
    variable = "TRACKWAY_PYTHON_" + "".join(c.upper() if c.isalnum() else "_" for c in name)
    path = os.environ.get(variable)
    if not path or not pathlib.Path(path).exists():
        message = f"{variable} is {path or 'not set'}: the environment of requirements/{name}.txt is missing."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path
