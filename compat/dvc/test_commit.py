"""`dvc commit`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # nothing to do
    > commit
    $ echo 1 > a
    > add -q a
    > commit
    > commit a.dvc
    > commit a
    # changed: asked
    $ mkdir d; echo 1 > d/a; echo 2 > f
    > add -q d f
    $ echo 3 > d/a
    > commit
    > commit <<< n
    $ echo 4 > f
    > commit d.dvc <<< n
    > commit d.dvc <<< y
    > status
    # changed: forced
    $ mkdir d; echo 1 > d/a; echo 2 > f
    > add -q d f
    $ echo 3 > d/a; echo 4 > f
    > commit -f
    > commit -f
    > status
    # quiet
    $ echo 2 > f
    > add -q f
    $ echo 4 > f
    > commit -q
    > commit -q -f
    # gone
    $ mkdir d; echo 1 > d/a; echo 2 > f
    > add -q d f
    $ rm f
    > commit
    > commit -f
    > commit f.dvc
    $ rm -rf d
    > commit -f d.dvc
    # targets
    $ mkdir -p s/t; echo 1 > s/t/f; echo 2 > s/g
    > add -q s/t/f s/g
    $ echo 9 > s/t/f; echo 8 > s/g
    > commit nope
    > commit nope.dvc
    > commit -f nope:x
    > commit -R -f s/t
    > commit -f -d s/g.dvc
    > status
    > commit -R nope
    > commit s
    # a file inside a folder
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b
    > add -q d
    $ echo 3 > d/a; echo 4 > d/s/b
    > commit -f d/a
    > status
    > commit d/s
    > commit -f d/s
    > commit -f d/nope
    > status
    # after add --no-commit
    $ mkdir d; echo 1 > d/a; echo 2 > f
    > add --no-commit d f
    > commit f.dvc
    > commit
    > status
    # the cache has gone
    $ mkdir d; echo 1 > d/a; echo 2 > f
    > add -q d f
    $ rm -rf .dvc/cache
    > commit
    > status
    # --no-relink and links
    > config cache.type hardlink
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    $ rm a d/b; echo 3 > a; echo 4 > d/b
    > commit -f --no-relink
    > commit -f
    > checkout --relink
    # a pipeline
    $ printf 'stages:\n  s:\n    cmd: echo 1 > out\n    deps: [dep]\n    params: [p]\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; echo 2 > dep; echo 'p: 1' > params.yaml
    > commit
    > commit <<< y
    > status
    $ echo 3 > out; echo 'p: 2' > params.yaml
    > commit <<< n
    > commit -f s
    > status
    > commit -f out
    > commit -f dvc.yaml
    > commit -f dvc.yaml:s
    > commit -f nope
    # annotations survive
    $ printf '# c\ndesc: d\nouts:\n- path: a\n  desc: x # y\n' > a.dvc; echo 1 > a
    > commit -f
    $ echo 2 > a
    > commit -f
    # arguments
    > commit --nope
    > commit --help
    > commit -R
    # autostage
    > config core.autostage true
    $ echo 1 > a
    > add -q a
    $ git commit -qam 1; echo 2 > a
    > commit -f
    $ git status --porcelain
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_commit(case, play):
    play(case)
