"""`dvc status` of the work tree."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # nothing tracked
    > status
    > status --json
    > status -q
    > status nope
    > status -R .
    # clean
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b; echo f > file
    > add -q data file
    > status
    > status --json
    > status -q
    > status data
    > status data.dvc
    > status data/a
    > status data/sub
    > status data/
    > status file data
    > status --no-updates
    > status -v
    # changed
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b; echo f > file
    > add -q data file
    $ echo 3 > data/a; rm file
    > status
    > status --json
    > status -q
    > status -q data
    > status data.dvc
    > status data
    > status data/a
    > status data/sub/b
    > status data/nope
    > status file
    > status file.dvc data.dvc
    $ rm -r data
    > status
    > status data/a
    > status --json
    # targets
    $ mkdir -p s/t; echo 1 > s/t/f; echo 2 > s/g; echo 3 > h
    > add -q s/t/f s/g h
    $ echo 9 > s/t/f
    > status -R s
    > status -R s/t
    > status -R .
    > status -R nope
    > status -R s/g.dvc
    > status s
    > status nope
    > status nope.dvc
    > status nope:stage
    > status s/nope.dvc
    > status h nope
    > status -d h.dvc
    > status --with-deps s/t/f.dvc
    cd s
    > status
    > status g
    > status t/f.dvc
    > status ../h
    > status -R .
    > status --json
    > --cd t status
    # flags that need --cloud
    $ echo 1 > a
    > add -q a
    > status -a
    > status -T
    > status -A
    > status -j 2
    > status -r x
    > status -a -q
    > status --jobs x
    > status --json -q
    > status --nope
    > status --help
    # not in the cache
    $ mkdir d; echo 1 > d/a; echo f > file
    > add -q d file
    $ rm -rf .dvc/cache
    > status
    > status --json
    > status -q
    $ echo g > file
    > status
    $ rm -r d file
    > status
    # the tree is in the cache, its files are not
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ rm -rf .dvc/cache/files/md5/b0
    > status
    $ rm d/a
    > status
    > status d/a
    # only the .dir is missing
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ rm .dvc/cache/files/md5/*/*.dir
    > status
    $ echo 3 > d/c
    > status
    $ rm -rf d
    > status
    # touched, not changed
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ touch -d '2001-01-01' d/a f
    > status
    $ chmod 755 f d/a
    > status
    # swapped names
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ mv d/a d/t; mv d/b d/a; mv d/t d/b
    > status
    $ mv d/a d/t; mv d/b d/a; mv d/t d/b
    > status
    # an empty folder or a link inside
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ mkdir d/e
    > status
    $ ln -s a d/l
    > status
    $ rm d/l; ln -s nowhere d/l
    > status
    # a kind changes
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ rm -r d f; echo 1 > d; mkdir f; echo f > f/f
    > status
    # a link in place of data
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ mv d e; ln -s e d; mv f g; ln -s g f
    > status
    > status --json
    # no hash yet
    $ printf 'outs:\n- path: q\n' > q.dvc
    > status
    > status --json
    $ echo 1 > q
    > status
    > status --json
    $ : > empty.dvc
    > status
    # a missing .dvc of git's older commit
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; rm a.dvc
    > status
    # invalid files
    $ echo 'a: [' > dvc.yaml
    > status
    $ echo 'stages: 3' > dvc.yaml
    > status
    $ echo '[]' > dvc.yaml
    > status
    $ printf 'stages:\n  a:\n    cmd: x\n    nope: 1\n' > dvc.yaml
    > status
    $ printf 'stages:\n  a: {}\n' > dvc.yaml
    > status
    $ : > dvc.yaml
    > status
    $ printf 'stages:\n  a:\n    cmd: x\n  a:\n    cmd: y\n' > dvc.yaml
    > status
    $ printf '\t- x' > dvc.yaml
    > status
    # a .dvc that git ignores
    $ echo 1 > a
    > add -q a
    $ echo '*.dvc' >> .gitignore
    > status
    > status a.dvc
    > add a
    # an always changed .dvc
    $ echo 1 > a; printf 'always_changed: true\nouts:\n- path: a\n' > a.dvc
    > commit -f
    > status
    > status -q
    # an import's stage
    $ echo 1 > a; echo 1 > src; printf 'md5: 0123456789abcdef0123456789abcdef\nfrozen: true\ndeps:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 2\n  hash: md5\n  path: src\nouts:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  size: 2\n  hash: md5\n  path: a\n' > a.dvc
    > status
    > status --no-updates
    $ sed -i s/true/false/ a.dvc
    > status
    $ echo 2 > src
    > status
    > status --no-updates
    > status --json
    # without git
    @ no-scm
    $ echo 1 > a
    > add -q a
    > status
    $ echo 2 > a
    > status
    # the repository has no git any more
    $ echo 1 > a
    > add -q a
    $ rm -rf .git
    > status
    > config core.no_scm true
    > status
    # nested repositories
    $ mkdir sub; echo 1 > sub/a; echo 1 > b
    > add -q b
    cd sub
    > init --subdir -q
    > add -q a
    > status
    $ echo 2 > a
    > status
    cd .
    > status
    > status sub/a.dvc
    > add sub/a
    # not UTF-8
    $ mkdir d; echo 1 > $'d/\xff\xfe'; echo 2 > d/a
    > add -q d
    $ echo 3 > $'d/\xff\xfe'
    > status
    > status --json
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_status(case, play):
    play(case)
