"""Random sequences of commands on stock DVC and on ours, and with both taking turns on one repository."""

import pytest

from dvc.differential.sequences import Sequence


# Sequences that end in a difference that is not understood yet: seen, not explained, and not hidden.
OPEN = {
    ("apart", 1): "after stock failed at a folder that ours could check out, stock has removed it: what follows differs",
    ("apart", 4): "data status names an output without a record as added, where stock is silent, after many steps",
    ("turns", 3): "pull of an output without a record: ours asks for --force, stock says that the checkout failed",
    ("turns", 4): "checkout -f makes outputs that stock fails to make, after many steps",
}


def expect(way: str, seed: int, request) -> None:
    if reason := OPEN.get((way, seed)):
        request.applymarker(pytest.mark.xfail(reason=reason))


def pytest_generate_tests(metafunc):
    options = metafunc.config.option
    seeds = range(options.dvc_first_seed, options.dvc_first_seed + options.dvc_seeds)
    metafunc.parametrize("seed", seeds)


def test_apart(pair, seed, pytestconfig, request):
    expect("apart", seed, request)
    Sequence(pair, seed).play(pytestconfig.getoption("--dvc-steps"))


@pytest.mark.timeout(600)
def test_taking_turns(pair, stock, ours, seed, pytestconfig, request):
    """One repository and one cache, used by ours and stock alternately, against stock alone."""
    expect("turns", seed, request)
    pair.ours.tools = [ours, stock] if seed % 2 else [stock, ours]
    Sequence(pair, 10_000 + seed).play(pytestconfig.getoption("--dvc-steps"))
