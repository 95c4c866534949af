"""`dvc check-ignore` and `.dvcignore`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # patterns
    $ printf '*.log\n!keep.log\nd/\n# c\n\\#h\n/top\na/**/z\nsp \\ \n[ab].x\n?.y\n' > .dvcignore; mkdir -p d a/b/c s; echo 1 > d/x; echo 1 > k.log
    > check-ignore a
    > check-ignore a.log
    > check-ignore a.log keep.log d/x d b
    > check-ignore -d a.log keep.log d/x d b
    > check-ignore --details '#h' top s/top a/z a/b/z a/b/c/z 'sp  ' a.x c.x 1.y 12.y
    > check-ignore -d -n a.log keep.log d/x b
    > check-ignore -n a.log
    > check-ignore -d -n b
    > check-ignore -d -a a.log keep.log
    > check-ignore -d --all keep.log
    > check-ignore -a a.log
    > check-ignore -q a.log
    > check-ignore -q -d a.log
    > check-ignore s/a.log ./b.log <root>/repo/c.log
    > check-ignore -d s/../a.log
    # standard input
    $ printf '*.log\n' > .dvcignore
    > check-ignore --stdin <<< a.log\nb\nkeep.log
    > check-ignore -d -n --stdin <<< a.log\nb
    > check-ignore --stdin <<< a.log\n\nc.log
    > check-ignore --stdin a
    > check-ignore --stdin
    # always ignored
    > check-ignore .dvc
    > check-ignore -d .dvc .git .hg .dvc/tmp x/.dvc .dvc/cache .git/config .dvcignore .gitignore
    # outside
    > check-ignore ../x
    > check-ignore -d ../x /tmp/x
    > check-ignore .
    # nested files
    $ mkdir -p s/t; echo '*.tmp' > .dvcignore; echo '!a.tmp' > s/.dvcignore; echo '/b.tmp' > s/t/.dvcignore
    > check-ignore -d x.tmp s/a.tmp s/t/a.tmp s/t/b.tmp s/c.tmp
    > check-ignore -d -a s/a.tmp s/t/b.tmp s/t/a.tmp
    cd s
    > check-ignore -d a.tmp t/b.tmp ../x.tmp
    # a folder ignored, its files cannot come back
    $ mkdir -p d; printf 'd/\n!d/x\n' > .dvcignore; echo 1 > d/x
    > check-ignore -d d d/x d/y
    > add d/x
    # ignored stages
    $ mkdir -p s; echo 1 > s/a
    > add -q s/a
    $ echo 's/' > .dvcignore
    > status
    > checkout
    > status s/a.dvc
    # ignored .dvc files
    $ echo 1 > a
    > add -q a
    $ echo '*.dvc' > .dvcignore
    > status
    > add a
    # ignored inside a tracked folder
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/b.log; echo 3 > d/s/c.log
    > add -q d
    $ echo '*.log' > .dvcignore
    > status
    > add d
    > status
    > checkout
    > data status --granular
    $ : > .dvcignore
    > status
    > checkout
    > status
    # a nested repository is ignored
    $ mkdir sub; echo 1 > sub/a
    cd sub
    > init -q --subdir
    > add -q a
    cd .
    > check-ignore -d sub sub/a
    > add sub
    > list . -R
    # .dvcignore appears inside data
    $ mkdir -p d/s; echo 1 > d/a
    > add -q d
    $ echo x > d/s/.dvcignore
    > status
    > data status
    > diff
    > checkout
    > add d
    > commit -f
    # line ends and encodings
    $ printf '*.log\r\n\xef\xbb\xbfbom\n\xc3\xa9*\n  lead\ntrail  \n' > .dvcignore
    > check-ignore -d a.log bom 'éa' lead '  lead' trail
    # arguments
    > check-ignore
    > check-ignore --nope a
    > check-ignore --help
    > check-ignore -a
    > check-ignore ''
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_check_ignore(case, play):
    play(case)
