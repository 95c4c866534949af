"""The worker that stands for stock DVC answers as the installed command does."""

import pathlib
import subprocess

import pytest

from dvc.pair import Side, cases
from dvc.runners import Result

CASES = cases(
    r"""
    # a day's work
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b
    > add data
    > status
    $ echo 3 > data/c
    > status --json
    > diff --json
    > data status --granular
    > commit <<< n
    > commit <<< y
    > remote add -d r ../remote
    > push
    $ rm -rf data .dvc/cache
    > pull
    > gc -w <<< n
    > gc -w -f
    > list . -R
    > config -l --show-origin
    > move data other
    # faults
    > status nope
    > add nope
    > nope
    > add
    > --version
    > status --help
    > -v root
    > push
    > checkout nope
    > --cd /nonexistent root
    # outside
    @ none
    > status
    > init
    > init --no-scm
    > config --global core.autostage true
    > config -l
    """
)


class Real:
    def __init__(self, command: pathlib.Path):
        self.command = command

    def run(self, args, cwd, env, stdin="") -> Result:
        done = subprocess.run(
            [self.command, *args], cwd=cwd, env=env, input=stdin, capture_output=True, text=True, timeout=120
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *args):
        done = self.run(*args)
        return lambda: done


@pytest.mark.parametrize("case", CASES, ids=str)
def test_worker_is_like_the_command(case, pair, dvc_python):
    pair.ours.tools = [Real(pathlib.Path(dvc_python).with_name("dvc"))]
    assert isinstance(pair.ours, Side)
    pair.play(case)
