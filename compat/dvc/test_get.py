"""`dvc get` from repositories of this machine."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # here
    $ mkdir -p d/s s; echo 1 > d/a; echo 22 > d/s/b; echo f > f; chmod +x f; echo git > s/g
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1
    > get . f
    > get . f -o f1
    > get . f -o f1
    > get . f -o f1 -f
    > get . d -o d1
    > get . d/s -o s1
    > get . d/a -o a1
    > get . s -o s2
    > get . s/g
    > get . f -o new/folder/f
    > get . f -o s
    > get . d -o s
    > get . f.dvc -o x
    > get . f -o x.dvc
    > get . f -o dvc.yaml
    > get . nope
    > get . d/nope
    > get . nope --rev v1
    > get . f --rev nope -o f9
    > get . d --rev v1 -o d2 -j 1
    > get . . -o <root>/all
    > get . d -o d1
    > get . d -o d1 -f
    > get . f -o f2 -q
    # another revision
    $ mkdir d; echo 1 > d/a; echo f > f; echo g > g
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1; echo 2 > d/b; echo ff > f; echo gg > g
    > add -q d f
    $ git commit -qam two
    > get . f --rev v1 -o f1
    > get . g --rev v1 -o g1
    > get . d --rev v1 -o d1
    > get . d --rev HEAD~1 -o d2
    > get . d --rev HEAD -o d3
    > get . d/b --rev v1 -o b1
    $ echo changed > f; echo changed > g
    > get . f -o f4
    > get . g -o g4
    > get . f --rev HEAD -o f5
    # another repository
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f; echo g > g
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1; rm -r d f; mkdir ../work
    cd ../work
    > get ../repo d
    > get ../repo f
    > get ../repo g
    > get <root>/repo d/s -o s
    > get ../repo g --rev v1 -o g1
    > get ../repo f --rev v1 -o f1
    > get ../repo nope
    > get ../repo d
    > get ../nope d
    > get ../repo d --rev nope -o x
    # the cache is gone
    $ mkdir d; echo 1 > d/a; echo f > f; echo g > g
    > add -q d f
    $ git add -A; git commit -qm one; rm -rf .dvc/cache
    > get . f -o f1
    $ rm -rf d f $ROOT/site
    > get . d -o d1
    > get . f -o f2
    > get . g -o g2
    # from a remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > remote add -q -d r ../remote
    > push -q
    $ git add -A; git commit -qm one; rm -rf .dvc/cache d f $ROOT/site
    > get . d -o d1
    > get . f -o f1
    > get . d/s --rev HEAD -o s1
    > get . d --show-url
    > get . d/a --show-url
    > get . f --show-url
    > get . nope --show-url
    cd ..
    > get repo d -o d1
    > get repo f --show-url
    # --show-url
    $ mkdir d; echo 1 > d/a; echo f > f; echo g > g
    > add -q d f
    $ git add -A; git commit -qm one
    > get . f --show-url
    > get . d --show-url
    > get . d/a --show-url
    > get . g --show-url
    > remote add -q s ../store
    > get . f --show-url --remote s
    > get . d/a --show-url --remote s
    > remote default s
    > get . f --show-url
    # a repository in the repository
    $ mkdir sub
    cd sub
    > init -q --subdir
    $ mkdir d; echo 1 > d/a; echo s > sf
    > add -q d sf
    $ git add -A; git commit -qm one; rm -r d sf
    cd .
    > get . sub/d -o d1
    > get . sub/sf -o s1
    > get sub d -o d2
    > get . sub/d -o d3 --rev HEAD
    # a pipeline
    $ printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n    - od\n' > dvc.yaml; echo 1 > out; mkdir od; echo 3 > od/x
    > commit -q -f
    $ git add -A; git commit -qm one; rm -r out od
    > get . out -o o1
    > get . od -o o2
    # git without dvc
    @ git
    $ mkdir s; echo 1 > s/a; echo 2 > b; git add -A; git commit -qm one; rm -r s
    > get . b -o b1
    > get . s --rev HEAD -o s1
    > get . s -o s2
    > list .
    > list . -R --rev HEAD
    # nothing at all
    @ none
    $ echo 1 > a
    > get . a -o b
    > get . nope
    # arguments
    > get
    > get .
    > get . a b
    > get --help
    > get . f --nope
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_get(case, play):
    play(case)
