"""`dvc init`, `dvc root`, `dvc destroy`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # in git
    @ git
    > init
    > init
    > init -f
    > init -q -f
    > init --quiet
    # in git: nothing is printed with -q
    @ git
    > init -q
    > status
    # where there is no git
    @ none
    > init
    > init --subdir
    > init -q
    # without git
    @ none
    > init --no-scm
    > init --no-scm
    > init --no-scm -f
    > config -l
    > status
    > root
    # without git, inside git
    @ git
    > init --no-scm
    $ git status --porcelain
    > config core.no_scm
    # --no-scm with --subdir
    @ none
    > init --no-scm --subdir
    # subfolder
    @ git
    $ mkdir -p sub/deep
    cd sub
    > init
    > init --subdir
    > init --subdir
    > root
    cd sub/deep
    > root
    > status
    cd .
    > root
    > status
    # subfolder without --subdir at the top
    @ git
    > init --subdir
    # subfolder of a dvc repository
    $ mkdir sub
    cd sub
    > init --subdir
    > root
    > init --no-scm -f
    $ echo 1 > x
    > add x
    cd .
    > status
    # folder given
    @ none
    $ git init -q --template= there; mkdir -p there/.git/hooks there/.git/info plain
    > init there
    > init there
    > init -f there
    > init plain
    > init plain --no-scm
    > init new/folder --no-scm
    > init new/git
    > init a b
    > --cd there status
    > --cd there root
    > --cd plain root
    # .dvc is ignored by git
    @ git
    $ echo .dvc > .gitignore
    > init
    > init -q
    $ echo '!.dvc' >> .gitignore
    > init
    # force removes the cache and the config
    $ echo 1 > a
    > add a
    > config core.autostage true
    > init -f
    > config -l
    > status
    # .dvcignore is kept
    @ git
    $ echo '*.log' > .dvcignore
    > init
    > init -f
    # a file in the place of .dvc
    @ git
    $ echo x > .dvc
    > init
    # not a repository
    @ none
    > status
    > root
    > add x
    > checkout
    > commit
    > remove x
    > move a b
    > gc -w
    > push
    > pull
    > fetch
    > diff
    > data status
    > check-ignore a
    > unprotect a
    > freeze a
    > unfreeze a
    > install
    > destroy
    > cache dir
    > cache migrate
    > config -l
    > config core.remote
    > config core.remote x
    > remote list
    > remote add a b
    > remote default
    > du .
    > list .
    > git-hook pre-commit
    # a broken .dvc folder
    @ git
    $ mkdir .dvc
    > status
    > root
    > init
    > init -f
    # root
    > root
    $ mkdir -p a/b
    cd a/b
    > root
    > --cd .. root
    > root -q
    cd ..
    > root
    > --cd repo root
    > --cd repo/a/b root
    > --cd /nonexistent root
    # destroy, asked
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add a d
    > destroy
    > destroy <<< n
    > destroy <<< no
    > destroy <<< y
    $ git status --porcelain
    > status
    # destroy --force
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add a d
    > destroy -f
    > destroy -f
    # destroy keeps data behind symlinks
    > config cache.type symlink
    $ mkdir d; echo 2 > d/b; echo 1 > a
    > add d a
    > destroy -f
    # destroy with a pipeline
    $ printf 'stages:\n  s:\n    cmd: echo 1 > out\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out
    > commit -f
    > destroy -f
    # destroy with an external cache
    > cache dir ../store
    $ echo 1 > a
    > add a
    > destroy -f
    # destroy in a subfolder
    @ git
    $ mkdir sub
    cd sub
    > init --subdir
    $ echo 1 > a
    > add a
    > destroy -f
    # arguments
    >
    > --help
    > -h
    > --version
    > -V
    > nope
    > init --nope
    > -q status
    > --quiet
    > status -q -v
    > --cd
    > stat
    > root x
    > destroy x
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_init(case, play):
    play(case)
