"""Random sequences of commands on stock DVC and on ours, and with both taking turns on one repository."""

import pytest

from dvc.differential.sequences import Sequence


def pytest_generate_tests(metafunc):
    options = metafunc.config.option
    seeds = range(options.dvc_first_seed, options.dvc_first_seed + options.dvc_seeds)
    metafunc.parametrize("seed", seeds)


def test_apart(pair, seed, pytestconfig):
    Sequence(pair, seed).play(pytestconfig.getoption("--dvc-steps"))


@pytest.mark.timeout(600)
def test_taking_turns(pair, stock, ours, seed, pytestconfig):
    """One repository and one cache, used by ours and stock alternately, against stock alone."""
    pair.ours.tools = [ours, stock] if seed % 2 else [stock, ours]
    Sequence(pair, 10_000 + seed).play(pytestconfig.getoption("--dvc-steps"))
