"""`dvc checkout`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # nothing to do
    > checkout
    > checkout --summary
    $ echo 1 > a
    > add -q a
    > checkout
    > checkout --summary
    > checkout -q
    # missing in the work tree
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ rm -rf d f
    > checkout
    > checkout
    > status
    $ rm f
    > checkout --summary
    $ rm -rf d f
    > checkout -q
    # one target
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ rm -rf d f
    > checkout f
    > checkout d.dvc
    $ rm -rf d f
    > checkout f.dvc d
    # inside a folder
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo 3 > d/c
    > add -q d
    $ rm -rf d
    > checkout d/a
    > checkout d/s
    > checkout d/s/b
    > status
    > checkout d/nope
    > checkout d
    > status
    # inside a folder, changed
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo 3 > d/c
    > add -q d
    $ echo 9 > d/a; echo 9 > d/s/b
    > checkout d/a
    > checkout -f d/a
    > status
    > checkout d/s -f
    > status
    # changed: unsaved
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ echo changed > f
    > checkout
    > checkout f <<< n
    > checkout f <<< y
    $ echo changed > d/a
    > checkout <<< n
    > checkout
    > checkout -q
    > checkout --summary
    > checkout -f --summary
    > checkout
    # changed to what the cache knows
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ echo g > f; echo 2 > d/a
    > add -q d f
    $ echo f > f; echo 1 > d/a
    > checkout
    > status
    # untracked files inside
    $ mkdir -p d; echo 1 > d/a
    > add -q d
    $ echo u > d/u; mkdir d/sub; echo v > d/sub/v
    > checkout
    > checkout --summary
    > checkout -f
    > status
    # files went, files changed
    $ mkdir -p d/s; for i in 1 2 3 4 5; do echo $i > d/$i; echo s$i > d/s/$i; done
    > add -q d
    $ rm d/1 d/s/2; rm -r d/s; echo x > d/3
    > checkout
    > checkout -f --summary
    $ rm d/1 d/2
    > checkout --summary
    # empty folders
    $ mkdir -p d/s; echo 1 > d/a
    > add -q d
    $ mkdir -p d/e/f
    > status
    > checkout
    > checkout
    # an empty folder that is tracked
    $ mkdir e
    > add -q e
    $ rmdir e
    > checkout
    $ echo 1 > e/x
    > checkout -f
    # targets that are not there
    $ echo 1 > a; mkdir -p s
    > add -q a
    > checkout nope
    > checkout nope.dvc
    > checkout s
    > checkout a nope
    > checkout nope:x
    > checkout dvc.yaml
    > checkout ''
    # -R and -d
    $ mkdir -p s/t; echo 1 > s/t/f; echo 2 > s/g; echo 3 > h
    > add -q s/t/f s/g h
    $ rm s/t/f s/g h
    > checkout -R s/t
    > checkout -d s/g.dvc
    > checkout -R nope
    > checkout --recursive .
    $ rm s/t/f s/g h
    cd s
    > checkout
    $ rm t/f g ../h
    > checkout g ../h
    > checkout -R .
    > --cd t checkout
    # missing in the cache
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ rm -rf .dvc/cache/files/md5/$(md5sum f | cut -c1-2) f
    > checkout
    > checkout --allow-missing
    > checkout --summary
    > checkout --summary --allow-missing
    > checkout f.dvc
    > checkout f
    > checkout d
    > checkout -q
    $ rm -rf .dvc/cache
    > checkout
    $ rm -rf d
    > checkout
    > checkout --allow-missing
    > checkout d/a
    # a file of a tree is missing in the cache
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ rm -rf .dvc/cache/files/md5/b0 d
    > checkout
    > checkout --allow-missing
    > status
    > checkout d/a
    > checkout d/b
    # the .dir is missing in the cache
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b
    > add -q d
    $ rm .dvc/cache/files/md5/*/*.dir
    > checkout
    $ rm -rf d
    > checkout
    > checkout d/a
    # no hash yet
    $ printf 'outs:\n- path: q\n' > q.dvc
    > checkout
    > checkout --allow-missing
    $ echo 1 > q
    > checkout
    > checkout -f
    # by git and back
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; git tag v1; echo 2 > d/a; echo 3 > d/c; rm d/s/b; echo g > f; echo h > f2
    > add -q d f f2
    $ git add -A; git commit -qm two; git tag v2; git checkout -q v1
    > status
    > checkout
    > status
    $ git checkout -q v2
    > checkout --summary
    > status
    $ git checkout -q v1
    > checkout
    $ git checkout -q main
    > checkout
    # an output goes
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; git rm -q d.dvc f.dvc
    > checkout
    > status
    # a changed output goes
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one; git rm -q d.dvc f.dvc; echo x > d/a; echo x > f
    > checkout
    > checkout -f
    # an output goes, some targets only
    $ echo e > e; echo f > f
    > add -q e f
    $ git add -A; git commit -qm one; git rm -q f.dvc
    > checkout e
    > checkout e.dvc
    > checkout
    # a renamed output
    $ mkdir d; echo 1 > d/a
    > add -q d
    > move d e
    $ git add -A
    > checkout
    $ mv e.dvc g.dvc; sed -i 's/path: e/path: g/' g.dvc
    > checkout --summary
    # a folder becomes a file
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ git add -A; git commit -qm one; git tag v1; rm -r d; echo 1 > d
    > add -q d
    $ git add -A; git commit -qm two; git checkout -q v1
    > checkout
    $ git checkout -q main
    > checkout
    # a file in place of a folder, not saved
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ rm -r d; echo x > d
    > checkout
    > checkout -f
    $ rm -r d; ln -s nowhere d
    > checkout
    > checkout -f
    # hardlinks
    $ mkdir d; echo 1 > d/a; echo 2 > d/b; echo f > f; chmod 755 f
    > add -q d f
    > config cache.type hardlink
    > checkout
    > checkout --relink
    > checkout --relink
    > status
    $ rm -rf d f
    > checkout
    > config cache.type copy
    > checkout --relink
    # symlinks
    $ mkdir d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    > config cache.type symlink
    > checkout --relink
    > status
    $ rm -rf d f
    > checkout
    > status
    > config cache.type hardlink
    > checkout --relink
    > config -u cache.type
    > checkout --relink f
    # links to executable files
    $ echo f > f; chmod 755 f; echo g > g; chmod 755 g
    > add -q f g
    > config cache.type symlink
    > checkout --relink f
    > config cache.type hardlink
    > checkout --relink g
    > status
    # hardlinks of empty files
    > config cache.type hardlink
    $ mkdir d; : > d/a; : > d/b; : > f
    > add -q d f
    $ rm -rf d f
    > checkout
    # several link types
    > config cache.type "reflink,symlink,copy"
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    > checkout --relink
    > config cache.type "nope"
    > checkout
    # relink one target
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > config cache.type hardlink
    > checkout --relink d
    > checkout --relink f.dvc
    > checkout --relink nope
    # relink with changes
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > config cache.type hardlink
    $ echo x > f
    > checkout --relink
    > checkout --relink -f
    # executable files
    $ echo run > x; chmod 755 x; mkdir d; echo 1 > d/y; chmod 755 d/y
    > add -q x d
    $ rm -r x d
    > checkout
    $ chmod 644 x
    > checkout
    > status
    # modes of what is written
    $ umask 077; mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    $ rm -r d f
    > checkout
    # in the middle of git's merge
    $ echo 1 > a
    > add -q a
    $ printf '<<<<<<< HEAD\nouts:\n=======\n>>>>>>> x\n' > a.dvc
    > checkout
    > status
    # same names in different case
    $ mkdir d; echo 1 > d/a; echo 2 > d/A
    > add -q d
    $ rm -rf d
    > checkout
    # without git
    @ no-scm
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ rm -rf d
    > checkout
    # arguments
    > checkout --nope
    > checkout --help
    > checkout -j 2
    > checkout -R
    # a corrupted object of a tree
    $ mkdir d; echo 1 > d/a
    > add -q d
    $ f=$(ls .dvc/cache/files/md5/*/*.dir); chmod 644 $f; echo '{' > $f; rm -r d
    > checkout
    > status
    # names that are not UTF-8
    $ mkdir d; echo 1 > $'d/\xff\xfe'; echo 2 > d/a
    > add -q d
    $ rm -rf d
    > checkout
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_checkout(case, play):
    play(case)
