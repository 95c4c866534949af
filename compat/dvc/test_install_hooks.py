"""`dvc install` and `dvc git-hook`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # install
    > install
    > install
    $ rm .git/hooks/pre-push
    > install
    # the hooks are executable
    > install
    $ ls -l .git/hooks | cut -c1-10
    # foreign hooks
    $ echo '#!/bin/sh' > .git/hooks/pre-commit
    > install
    $ printf '#!/bin/sh\necho dvc\n' > .git/hooks/pre-commit
    > install
    # the pre-commit tool
    > install --use-pre-commit-tool
    > install --use-pre-commit-tool
    > install
    # the pre-commit tool: an existing file
    $ printf '# c\nrepos:\n- repo: x\n  hooks:\n  - id: y\n' > .pre-commit-config.yaml
    > install --use-pre-commit-tool
    # core.hooksPath
    $ mkdir h; git config core.hooksPath h
    > install
    # without git
    @ no-scm
    > install
    > git-hook pre-commit
    # in a subfolder
    @ git
    $ mkdir sub
    cd sub
    > init -q --subdir
    > install
    # pre-commit
    > git-hook pre-commit
    $ echo 1 > a
    > add -q a
    > git-hook pre-commit
    $ echo 2 > a
    > git-hook pre-commit
    # post-checkout
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; rm a
    > git-hook post-checkout a b 0
    > git-hook post-checkout a b 1
    $ echo x > a
    > git-hook post-checkout a b 1
    > git-hook post-checkout
    > git-hook post-checkout a
    > git-hook post-checkout a b c
    $ mkdir .git/rebase-merge; rm a
    > git-hook post-checkout a b 1
    # pre-push
    > git-hook pre-push
    $ echo 1 > a
    > add -q a
    > git-hook pre-push
    > remote add -d r ../remote
    > git-hook pre-push origin url
    # pre-commit tool's environment
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; rm a
    env PRE_COMMIT_FROM_REF=a
    > git-hook post-checkout
    env PRE_COMMIT_TO_REF=b
    > git-hook post-checkout
    env PRE_COMMIT_CHECKOUT_TYPE=1
    > git-hook post-checkout
    # outside
    @ none
    > git-hook pre-commit
    > git-hook post-checkout a b 1
    > git-hook pre-push
    > git-hook merge-driver --ancestor a --our b --their c
    # arguments
    > git-hook
    > git-hook nope
    > git-hook --help
    > git-hook merge-driver
    > git-hook merge-driver --help
    > install --help
    > install --nope
    # merge driver
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ cp d.dvc ../anc; echo 3 > d/c
    > add -q d
    $ cp d.dvc ../our; rm d/c; echo 4 > d/e
    > add -q d
    $ cp d.dvc ../their; cp ../anc anc; cp ../our our; cp ../their their
    > git-hook merge-driver --ancestor anc --our our --their their
    $ cp ../anc anc.dvc; cp ../our our.dvc; cp ../their their.dvc; rm d.dvc
    > git-hook merge-driver --ancestor anc.dvc --our our.dvc --their their.dvc
    $ cat our our.dvc
    # merge driver: both changed one file
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ cp d.dvc anc.txt; echo 3 > d/a
    > add -q d
    $ cp d.dvc our.txt; echo 4 > d/a
    > add -q d
    $ cp d.dvc their.txt
    > git-hook merge-driver --ancestor anc.txt --our our.txt --their their.txt
    # merge driver: removed here, untouched there
    $ mkdir d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ cp d.dvc anc.txt; rm d/b
    > add -q d
    $ cp d.dvc our.txt; echo 1 > d/a; echo 2 > d/b; echo 5 > d/n
    > add -q d
    $ cp d.dvc their.txt
    > git-hook merge-driver --ancestor anc.txt --our our.txt --their their.txt
    # merge driver: files, empty ancestor, unlike paths
    $ printf 'outs:\n- md5: 11111111111111111111111111111111\n  path: d\n' > o; cp o a; cp o t
    > git-hook merge-driver --ancestor a --our o --their t
    $ : > a
    > git-hook merge-driver --ancestor a --our o --their t
    $ printf 'outs:\n- md5: 11111111111111111111111111111111.dir\n  path: d\n' > o; cp o a; cp o t
    > git-hook merge-driver --ancestor a --our o --their t
    $ sed -i s/d$/e/ t
    > git-hook merge-driver --ancestor a --our o --their t
    $ echo 'outs: [' > t
    > git-hook merge-driver --ancestor a --our o --their t
    > git-hook merge-driver --ancestor a --our o --their nope
    # merge by git
    $ mkdir d; echo 1 > d/a
    > add -q d
    > install
    $ chmod -x .git/hooks/*; echo '*.dvc merge=dvc' > .gitattributes; git add -A; git commit -qm one; git checkout -q -b other
    $ echo 2 > d/b
    > add -q d
    $ git commit -qam two; git checkout -q main
    > checkout -q
    $ echo 3 > d/c
    > add -q d
    $ git commit -qam three
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_install_hooks(case, play):
    play(case)
