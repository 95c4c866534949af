"""`dvc gc`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # without a scope
    > gc
    > gc -f
    > gc --dry
    > gc -n 2
    > gc -c
    > gc -q
    # the work tree: asked
    $ echo f > f
    > add -q f
    $ echo g > f
    > add -q f
    > gc -w
    > gc -w <<< n
    > gc -w <<< maybe
    > gc -w --dry
    > gc -w <<< y
    > gc -w -f
    # the work tree: forced
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ echo 7 > d/a; echo g > f
    > add -q d f
    > gc -w -f -q
    > gc -w -f
    > status
    # nothing to collect
    > gc -w -f
    > gc -w --dry
    > gc -w -f -v
    $ echo f > f
    > add -q f
    > gc -w -f
    # scopes
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1; echo 7 > d/a; echo g > f
    > add -q d f
    $ git add -A; git commit -qm two; git branch b2; echo 8 > d/a; echo h > f
    > add -q d f
    $ git add -A; GIT_COMMITTER_DATE='2024-07-01T00:00:00 +0000' git commit -qm three; echo 9 > d/a; echo i > f
    > add -q d f
    > gc -w --dry
    > gc -a --dry
    > gc -T --dry
    > gc -A --dry
    > gc --all-experiments --dry
    > gc --rev v1 --dry
    > gc --rev nope --dry
    > gc --rev nope -f
    > gc --rev HEAD -n 2 --dry
    > gc --rev HEAD -n 1 --dry
    > gc --rev HEAD -n -1 --dry
    > gc --rev HEAD -n 0 --dry
    > gc -n 2 --dry
    > gc -n x --dry
    > gc -a -n 1 --dry
    > gc -T -n 1 --dry
    > gc --date 2024-01-01 --dry
    > gc --date 2024-06-01 --dry
    > gc --date 2030-01-01 --dry
    > gc --date 2024-06-01T00:00:00+00:00 --dry
    > gc --date nope --dry
    > gc --date nope -f
    > gc -w --date 2024-01-01 -n 3 --dry
    > gc -T -A -a -f --dry
    > gc -T -f
    # scopes: tags
    $ echo f > f
    > add -q f
    $ git add -A; git commit -qm one; git tag v1; echo g > f
    > add -q f
    $ git add -A; git commit -qm two; echo h > f
    > add -q f
    $ git add -A; git commit -qm three
    > gc -T -f
    > gc --rev v1 -f
    > gc -A -f
    # scopes: commits, after a rewrite
    $ echo f > f
    > add -q f
    $ git add -A; git commit -qm one; echo g > f
    > add -q f
    $ git commit -q --amend -am one
    > gc -A -f
    # scopes: newest commits
    $ for i in 1 2 3 4; do echo $i > f$i; done
    > add -q f1
    $ git add -A; git commit -qm 1; cat f2 > f1
    > add -q f1
    $ git add -A; git commit -qm 2; cat f3 > f1
    > add -q f1
    $ git add -A; git commit -qm 3
    > gc --rev HEAD -n 2 --dry
    > gc --rev HEAD -n 2 -f
    > gc --rev HEAD~1 -n 1 -f
    > gc --rev HEAD -f
    # branches
    $ echo f > f
    > add -q f
    $ git add -A; git commit -qm one; git checkout -q -b other; echo g > f
    > add -q f
    $ git commit -qam two; git checkout -q main
    > checkout -q
    > gc -w --dry
    > gc -a -f
    > gc -w -f
    # a detached head
    $ echo f > f
    > add -q f
    $ git add -A; git commit -qm one; git checkout -q --detach; echo g > f
    > add -q f
    $ git commit -qam two
    > gc -a -f
    > gc -A --dry
    # files that are not objects
    $ echo f > f
    > add -q f
    $ mkdir .dvc/cache/zz .dvc/cache/other .dvc/cache/files/md5/zz; touch .dvc/cache/zz/junk .dvc/cache/foo .dvc/cache/files/md5/junk .dvc/cache/other/x .dvc/cache/files/md5/zz/nothex
    > gc -w --dry
    > gc -w -f
    # a revision that cannot be read
    $ echo f > f
    > add -q f
    $ git add -A; git commit -qm one; echo '[' > bad.dvc; git add bad.dvc; git commit -qm bad; git rm -q -f bad.dvc; git commit -qm nobad
    > gc -A -f
    > gc -w -f
    # a work tree that cannot be read
    $ echo f > f; echo '[' > bad.dvc
    > add -q f
    > gc -w -f
    # a .dir of a kept revision is missing
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ rm .dvc/cache/files/md5/*/*.dir
    > gc -w -f
    > gc -w --dry
    # a .dir of a kept revision is damaged
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ f=$(ls .dvc/cache/files/md5/*/*.dir); chmod 644 $f; echo '{' > $f
    > gc -w -f
    > status
    # the remote
    > remote add -d r ../remote
    > remote add q ../second
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > push -q
    > push -q -r q
    $ echo 2 > d/a; echo g > f
    > add -q d f
    > push -q
    > gc -w -c --dry
    > gc -w -c <<< n
    > gc -w -c -f
    > gc -w -c -f -r q
    > gc -w -f -c -r nope
    > gc -w -f -r q
    > status -c
    # no remote
    $ echo f > f
    > add -q f
    > gc -w -c -f
    > gc -w -c --dry
    > gc -w -f --not-in-remote
    > gc -r x -w -f
    # not in the remote
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > push -q
    $ echo 2 > d/a; echo g > f
    > add -q d f
    > gc --not-in-remote -f
    > gc --not-in-remote --dry
    > gc --not-in-remote -w --dry
    > gc --not-in-remote -w -f
    > status
    # not in the remote: all is pushed
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > push -q
    > gc -w --not-in-remote -f
    > status
    > checkout
    # several projects
    $ git init -q --template= ../other; cd ../other; mkdir -p .git/info .git/hooks; echo 1 > a; echo 2 > b
    cd ../other
    > init -q
    > cache dir ../shared
    > add -q a
    cd .
    > cache dir ../shared
    $ echo 3 > c
    > add -q c
    > gc -w -p ../other --dry
    > gc -w -p ../other -f
    > gc -w -p nope -f
    > gc -w -p . -f
    > gc -w -f
    # other flags
    $ echo f > f
    > add -q f
    > gc -w -f -j 2
    > gc -w -f --skip-failed
    > gc -w -f -j x
    > gc --nope
    > gc --help
    > gc -w -f x
    # no git
    @ no-scm
    $ echo f > f
    > add -q f
    $ echo g > f
    > add -q f
    > gc -w -f
    > gc -a -f
    > gc -T -f
    > gc -A -f
    > gc --rev HEAD -f
    > gc --date 2024-01-01 -f
    # symlinked work tree
    > config cache.type symlink
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ rm f; echo g > f
    > add -q f
    > gc -w -f
    > status
    # a pipeline
    $ printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out
    > commit -q -f
    $ echo 2 > out
    > commit -q -f
    > gc -w -f
    # the run cache stays
    $ mkdir -p .dvc/cache/runs/ab/abc; echo 'cmd: x' > .dvc/cache/runs/ab/abc/def; echo f > f
    > add -q f
    > gc -w -f
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gc(case, play):
    play(case)
