"""Random sequences of calls, sent to stock MLflow and to Trackway: every answer must say the same.

`--seeds N` plays more sequences than the few of every run, `--calls N` longer ones.
"""

import pytest
from differential.pair import Pair
from differential.sequences import Player
from places import POOLED

pytestmark = pytest.mark.places(*POOLED)


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--seeds")))


@pytest.mark.timeout(600)
def test_sequence(stock, trackway, place, pytestconfig, seed):
    pair = Pair(stock.url, trackway.url)
    Player(pair, seed, place.name).play(pytestconfig.getoption("--calls"))
    if pair.mismatches:
        told = "\n\n".join(str(mismatch) for mismatch in pair.mismatches[:12])
        pytest.fail(f"{len(pair.mismatches)} of {pair.calls} answers differ:\n\n{told}", pytrace=False)
