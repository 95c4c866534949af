"""`dvc diff`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # nothing
    > diff
    > diff --json
    > diff --md
    > diff --show-hash
    > diff HEAD
    > diff HEAD HEAD
    # before the first commit
    @ git
    > init -q
    > diff
    $ echo 1 > a
    > add -q a
    > diff
    > diff HEAD
    # the work tree against HEAD
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > diff
    > diff --json
    > diff --md
    > diff --show-hash
    > diff --show-hash --md
    > diff --show-hash --json
    $ git add -A; git commit -qm one
    > diff
    > diff --json
    > diff --md
    $ echo 9 > d/a; cp d/s/b d/s/copied; mv d/s/b d/moved; echo n > d/n; mv f f2
    > diff
    > diff --json
    > diff --md
    > diff --show-hash
    > diff --json --show-hash
    > diff --md --show-hash
    > diff -q
    > diff -v
    # between revisions
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f; echo gone > gone
    > add -q d f gone
    $ git add -A; git commit -qm one; git tag v1; echo 9 > d/a; mv d/s/b d/moved; echo n > d/n; echo new > new; git rm -q gone.dvc; echo g > f
    > add -q d f new
    $ git add -A; git commit -qm two; git tag -a -m x v2; git branch other v1
    > diff v1 v2
    > diff v1
    > diff v2
    > diff v2 v1
    > diff HEAD^
    > diff HEAD~1 HEAD --json
    > diff v1 v2 --show-hash
    > diff v1 v2 --show-hash --json
    > diff v1 v2 --show-hash --md
    > diff other main
    > diff v1 v1
    > diff v1 v2 --targets d
    > diff v1 v2 --targets d/a f
    > diff v1 v2 --targets d/s --json
    > diff v1 v2 --targets d/ --json
    > diff v1 v2 --targets new
    > diff v1 v2 --targets nope
    > diff v1 v2 --targets f nope
    > diff v1 --targets gone
    cd d
    > diff v1 v2
    > diff v1 v2 --targets a
    > diff v1 v2 --json
    # wrong revisions
    > diff nope
    > diff HEAD nope
    > diff nope --json
    > diff a b c
    > diff --nope
    > diff --help
    > diff --targets
    # renames
    $ mkdir d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one
    > move d e
    > move f g
    > diff
    > diff --json
    > diff --md
    > diff --show-hash
    # renames of equal contents
    $ mkdir d; echo 1 > d/a; echo 1 > d/b
    > add -q d
    $ git add -A; git commit -qm one; mv d/a d/x; mv d/b d/y
    > add -q d
    > diff
    > diff --json
    # a kind changes
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -r d f; echo 1 > d; mkdir f; echo f > f/f
    > add -q d f
    > diff
    > diff --json --show-hash
    # the cache is gone
    $ mkdir d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1; echo 3 > d/a; echo g > f
    > add -q d f
    $ git add -A; git commit -qm two; rm -rf .dvc/cache
    > diff v1 v2
    > diff v1
    > diff v1 --hide-missing
    > diff v1 --json
    > diff v1 --json --hide-missing
    > diff v1 --md
    > diff HEAD^ HEAD
    > diff
    $ rm -r d f
    > diff
    > diff v1 HEAD --json
    # objects are gone
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ git add -A; git commit -qm one; echo 3 > d/c
    > add -q d
    $ git add -A; git commit -qm two; rm -rf .dvc/cache/files/md5/b0
    > diff HEAD^ HEAD
    > diff HEAD^
    > diff HEAD^ --show-hash --json
    # deleted in the work tree
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -r d f
    > diff
    > diff --json
    $ rm d.dvc f.dvc
    > diff
    # empty folders
    $ mkdir e
    > add -q e
    $ git add -A; git commit -qm one; echo 1 > e/x
    > diff
    > add -q e
    > diff
    # many
    $ mkdir d; for i in $(seq 1 40); do echo $i > d/f$i; done
    > add -q d
    $ git add -A; git commit -qm one; for i in $(seq 1 15); do echo x$i > d/f$i; done; rm d/f2*; for i in 1 2 3; do echo n$i > d/n$i; done
    > add -q d
    > diff
    > diff --json
    > diff --md
    # no git
    @ no-scm
    $ echo 1 > a
    > add -q a
    > diff
    > diff HEAD
    # with a pipeline
    $ printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n    metrics:\n    - m.json:\n        cache: false\n' > dvc.yaml; echo 1 > out; echo '{}' > m.json
    > commit -q -f
    $ git add -A; git commit -qm one; echo 3 > out; echo '{"a": 1}' > m.json
    > diff
    > commit -q -f
    > diff
    > diff --json --show-hash
    # a subfolder's repository
    @ git
    $ mkdir sub
    cd sub
    > init --subdir -q
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; echo 2 > a
    > add -q a
    > diff
    > diff --json
    > data status
    # an invalid file in a revision
    $ echo '[' > a.dvc; git add a.dvc; git commit -qm bad; git rm -q a.dvc; git commit -qm good
    > diff HEAD^
    > diff HEAD^ HEAD
    # names
    $ mkdir 'd é|x'; echo 1 > 'd é|x/ü"x'; echo 2 > 'd é|x/a_b*c*'
    > add -q 'd é|x'
    > diff
    > diff --json
    > diff --md
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_diff(case, play):
    play(case)
