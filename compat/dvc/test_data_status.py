"""`dvc data status`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # nothing
    > data status
    > data status --json
    > data status --granular
    > data status --unchanged
    > data status -q
    # before the first commit
    @ git
    > init -q
    > data status
    $ echo 1 > a
    > add -q a
    > data status
    > data status --json
    > data status --untracked-files
    # added, committed, changed
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > data status
    > data status --granular
    > data status --json
    > data status --json --granular
    $ git add -A; git commit -qm one
    > data status
    > data status --json
    > data status --unchanged
    > data status --unchanged --granular
    > data status --unchanged --json
    > data status --unchanged --granular --json
    $ echo 9 > d/a; echo n > d/new; rm d/s/b; rm f
    > data status
    > data status --json
    > data status --granular
    > data status --json --granular
    > data status --granular --unchanged
    > data status --json --granular --unchanged
    > add -q d
    > data status
    > data status --granular
    > data status --granular --json
    > data status -q
    > data status -v
    # targets
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > data status d
    > data status d/a
    > data status --granular d/a
    > data status --granular d/s
    > data status f
    > data status f.dvc
    > data status nope
    > data status d nope
    > data status d/nope
    > data status --json f d/s --granular
    cd d
    > data status
    > data status --granular
    > data status --granular a
    > data status --json
    cd d/s
    > data status --granular
    # untracked files
    $ echo 1 > u; mkdir -p x/y e; echo 2 > x/y/z; echo 3 > x/w; echo ig > .gitignore; echo 4 > ig; echo f > f
    > add -q f
    > data status --untracked-files
    > data status --untracked-files=all
    > data status --untracked-files=no
    > data status --untracked-files=nope
    > data status --untracked-files=all --json
    > data status --untracked-files --json --granular
    > data status --untracked-files u
    cd x
    > data status --untracked-files
    # untracked files inside tracked folders
    $ mkdir -p d x; echo 1 > d/a; echo 2 > x/b
    > add -q d
    $ git add -A; git commit -qm one; echo 3 > d/new; echo 4 > x/c
    > data status --untracked-files
    > data status --untracked-files --granular
    # renames
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; mv d/a d/c
    > data status
    > data status --granular
    > add -q d
    > data status --granular
    > data status --json
    > move f g
    > data status
    > data status --granular --json
    # copies
    $ mkdir -p d; echo 1 > d/a
    > add -q d
    $ git add -A; git commit -qm one; cp d/a d/b; cp d/a d/c
    > data status --granular
    > add -q d
    > data status --granular
    # a kind changes
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -r d f; echo 1 > d; mkdir f; echo f > f/f
    > data status
    > data status --granular
    > data status --granular --json
    > add -q d f
    > data status
    > data status --granular --json
    # the whole folder is gone
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b
    > add -q d
    $ git add -A; git commit -qm one; rm -r d
    > data status
    > data status --granular
    > data status --json
    $ rm d.dvc
    > data status
    > data status --granular
    # an empty folder
    $ mkdir e
    > add -q e
    > data status
    > data status --granular
    $ git add -A; git commit -qm one
    > data status --unchanged
    $ echo 1 > e/x
    > data status
    > data status --granular
    # the cache is gone
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -rf .dvc/cache
    > data status
    > data status --granular
    > data status --json
    > data status --json --granular
    $ echo 3 > d/a
    > data status
    > data status --granular
    > data status --granular --unchanged
    $ rm -r d f
    > data status
    > data status --granular
    # one object is gone
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -rf .dvc/cache/files/md5/b0
    > data status
    > data status --granular
    > data status --granular --json
    $ rm d/a
    > data status --granular
    > data status --granular --json
    # --not-in-remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > data status --not-in-remote
    > remote add -d r ../remote
    > data status --not-in-remote
    > data status --not-in-remote --granular
    > data status --not-in-remote --json
    > data status --not-in-remote --granular --json
    > push -q f
    > data status --not-in-remote --granular
    > data status --not-in-remote
    > push -q
    > data status --not-in-remote --granular
    > data status --not-in-remote --no-remote-refresh
    > data status --not-in-remote -r nope
    > remote add q ../second
    > data status --not-in-remote -r q
    > data status --not-in-remote -r q --json --granular
    > data status -r q
    $ rm -rf .dvc/cache
    > data status --not-in-remote
    # --not-in-remote: a file of a folder
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    > remote add -d r ../remote
    > push -q
    $ echo 3 > d/c
    > add -q d
    > data status --not-in-remote --granular
    > data status --not-in-remote
    # other changes for git
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; echo g > g
    > data status
    $ git add g
    > data status
    $ git commit -qm g
    > data status
    # no git
    @ no-scm
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    > data status
    > data status --granular
    > data status --json
    > data status --untracked-files
    $ echo 2 > a
    > data status
    # detached head, branch, tag
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; git tag t; echo 2 > a
    > add -q a
    $ git commit -qam two; git checkout -q t
    > data status
    > checkout
    > data status
    # with a pipeline
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [dep]\n    outs:\n    - out\n    - od\n    metrics:\n    - m.json:\n        cache: false\n' > dvc.yaml; echo 1 > out; mkdir od; echo 3 > od/x; echo 2 > dep; echo '{}' > m.json
    > data status
    > data status --granular
    > commit -q -f
    > data status
    > data status --granular --json
    $ git add -A; git commit -qm one; echo 3 > out; echo '{"a": 1}' > m.json
    > data status
    > data status --granular --unchanged
    # no hash yet
    $ printf 'outs:\n- path: q\n' > q.dvc
    > data status
    > data status --json
    $ echo 1 > q
    > data status
    # touched and executable
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    $ git add -A; git commit -qm one; touch -d 2001-01-01 a d/b
    > data status
    $ chmod 755 a d/b
    > data status --granular
    > add -q a d
    > data status --granular
    # an invalid file
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; echo '[' > a.dvc
    > data status
    $ git commit -qam bad
    > data status
    $ git show HEAD^:a.dvc > a.dvc
    > data status
    # names
    $ mkdir 'd é'; echo 1 > 'd é/ü"x'; echo 2 > $'d é/t\tb'
    > add -q 'd é'
    > data status --granular
    > data status --json --granular
    # arguments
    > data
    > data nope
    > data status --nope
    > data status --help
    > data --help
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_data_status(case, play):
    play(case)
