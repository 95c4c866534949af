"""`dvc list` and `dvc du`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # list
    $ mkdir -p d/s s; echo 1 > d/a; echo 2 > d/s/b; echo f > f; chmod +x f; echo git > s/g; printf '%02000d' 1 > big
    > add -q d f big
    $ git add -A; git commit -qm one; git tag v1
    > list .
    > list . -R
    > list . -T
    > list . -T -L 1
    > list . -L 1
    > list . -R -L 2
    > list . --dvc-only
    > list . --dvc-only -R
    > list . --json
    > list . --json -R
    > list . --json --size
    > list . --size
    > list . --size -R --show-hash
    > list . --show-hash
    > list . --show-hash --json
    > list . -T --size --show-hash
    > list . -T --json
    > list . -q
    > ls .
    # list: paths
    $ mkdir -p d/s s; echo 1 > d/a; echo 2 > d/s/b; echo f > f; echo git > s/g
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1
    > list . d
    > list . d/
    > list . d/a
    > list . d/s -R
    > list . f
    > list . s
    > list . nope
    > list . d/nope
    > list . d --dvc-only
    > list . d -T
    > list . d --json
    > list . .
    > list . ..
    > list . --dvc-only f --json
    cd s
    > list .
    > list ..
    > list . d
    > list .. s
    # list: revisions
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1; echo 2 > d/b; rm f; git rm -q f.dvc
    > add -q d
    $ git add -A; git commit -qm two
    > list . --rev v1
    > list . --rev v1 -R
    > list . --rev v1 d
    > list . --rev v1 f --json
    > list . --rev nope
    > list . --rev HEAD~1 -R --size
    > list . -R
    # list: not checked out
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -rf d f
    > list . -R
    > list . d
    > list . --size -R
    > list . --size -R --show-hash --json
    $ rm -rf .dvc/cache $ROOT/site  # stock remembers the lists of folders in its site cache
    > list .
    > list . -R
    > list . d
    # list: other repositories
    $ mkdir -p d; echo 1 > d/a; git init -q --template= ../plain; echo x > ../plain/x; cd ../plain; git add x; git commit -qm x
    > add -q d
    $ git add -A; git commit -qm one; mkdir ../work
    cd ../work
    > list ../repo -R
    > list <root>/repo -R
    > list ../repo d
    > list ../plain
    > list ../plain -R --json
    > list ../nope
    > list /nonexistent
    > list .
    > list ../repo --rev main -R
    # list: ignored and untracked
    $ mkdir -p x; echo ig > .gitignore; echo 1 > ig; echo 2 > x/u; echo '*.log' > .dvcignore; echo 3 > x.log; echo 4 > t
    > list .
    > list . -R
    > list . --dvc-only
    > add -q t
    > list .
    # list: executables, links
    $ echo 1 > a; chmod 755 a; ln -s a l; ln -s nowhere n; mkdir d; chmod 700 d; : > empty
    > add -q a
    > list .
    > list . --json
    > list . --size
    # list: sizes
    $ for n in 0 1 999 1000 1023 1024 1025 10240 102400 1048575 1048576 2000000; do head -c $n /dev/zero > s$n; done
    > list . --size
    > add -q --glob 's*0'
    > list . --size --json
    > du .
    # list: a pipeline
    $ printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n    metrics:\n    - m.json:\n        cache: false\n' > dvc.yaml; echo 1 > out; echo '{}' > m.json
    > list .
    > commit -q -f
    > list .
    > list . --dvc-only --json
    $ rm out m.json
    > list .
    # list: links
    $ mkdir d; echo 1 > d/x; ln -s d ld; ln -s d/x lf; ln -s nowhere n; git add -A; git commit -qm one
    > list . -R
    > list . --json
    > list . --json --rev HEAD
    > list . --dvc-only
    # list: a repository in the repository
    $ mkdir -p sub s; echo g > s/g
    cd sub
    > init -q --subdir
    $ mkdir d; echo 1 > d/a; echo s > sf; echo b > .dvcignore; echo b > b
    > add -q d sf
    $ git add -A; git commit -qm one
    > list .
    > list . -R
    cd .
    > list .
    > list . -R
    > list . sub
    > list -R . sub
    > list . sub/d
    > list --json . sub/d/a
    > list --rev HEAD . sub
    > list --rev HEAD -R . sub
    > list --rev HEAD sub
    > list sub
    > du . sub
    > list . -R --dvc-only
    # list: data below plain folders
    $ mkdir -p a/b/c s; echo 1 > a/b/c/x; echo 2 > a/b/y; echo 3 > a/z
    > add -q a/b/c a/b/y
    $ git add -A; git commit -qm one
    > list . --dvc-only
    > list . --dvc-only -R
    > list --dvc-only --json . a
    > list --dvc-only --json . a/b
    $ rm -r a/b/c a/b/y
    > list . -R
    > list -T . a
    > list --json . a/b
    $ rm -r a; echo 1 > a
    > list . -R
    > list . a/b
    # list: another kind in the work tree
    $ mkdir d; echo 1 > d/x; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; rm -r d f; echo 1 > d; mkdir f; echo 2 > f/y
    > list . -R --json
    > list . d
    > list . f
    # list: the list of a folder from a remote
    $ mkdir -p d/s; echo 1 > d/a; echo 22 > d/s/b
    > add -q d
    > remote add -q -d r ../remote
    > push -q
    $ git add -A; git commit -qm one; rm -rf d .dvc/cache $ROOT/site
    > list . -R
    > du .
    > list --json --rev HEAD . d
    > data status --granular --json
    # list: .dvcignore of a commit
    $ mkdir d; echo 1 > a.log; echo 2 > d/b.log; echo 3 > d/c; echo '*.log' > .dvcignore; git add -A; git commit -qm one; echo nothing > .dvcignore; git commit -qam two
    > list . -R
    > list . -R --rev HEAD
    > list . -R --rev HEAD~1
    # list: arguments
    > list
    > list --nope
    > list --help
    > list . -L x
    > list . -L 0
    > list . -L -1
    > list . a b
    > list . --config nope
    > list . --remote nope
    > list . --remote-config a
    > list . --remote-config a=b
    # list: without git
    @ no-scm
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    > list . -R
    > list . --rev HEAD
    # du
    $ mkdir -p d/s s; echo 1 > d/a; echo 22 > d/s/b; echo file > f; echo git > s/g; printf '%02000d' 1 > big
    > add -q d f big
    $ git add -A; git commit -qm one; git tag v1
    > du .
    > du . -s
    > du . d
    > du . d/
    > du . d -s
    > du . d/a
    > du . s
    > du . nope
    > du . --rev v1
    > du . --rev v1 -s d
    > du . --rev nope
    > du ../nope
    > du <root>/repo
    > du .. 
    > du
    > du --help
    > du --nope
    $ rm -rf d f
    > du .
    $ rm -rf .dvc/cache
    > du .
    # du: without git
    @ no-scm
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    > du .
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_list_du(case, play):
    play(case)
