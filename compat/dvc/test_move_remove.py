"""`dvc move` and `dvc remove`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # remove
    $ mkdir -p d; echo 1 > d/a; echo f > f; echo g > g
    > add -q d f g
    > remove f
    > remove nope.dvc
    > remove nope
    > remove f.dvc
    > remove f.dvc
    > remove g.dvc d.dvc
    > status
    # remove --outs
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    > remove --outs f.dvc
    > rm --outs d.dvc
    # remove by output
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    > remove d
    > remove d/a
    > remove f --outs
    # remove: some are not there
    $ echo f > f; echo g > g
    > add -q f g
    > remove f.dvc nope.dvc g.dvc
    > remove nope.dvc g.dvc
    > remove -q nope
    > remove -q g.dvc
    # remove: changed or missing data
    $ echo f > f; echo g > g
    > add -q f g
    $ echo x > f; rm g
    > remove --outs f.dvc g.dvc
    # remove: gitignore of others
    $ printf '# mine\n*.log\n' > .gitignore; echo f > f; mkdir s; echo 1 > s/a
    > add -q f s/a
    > remove f.dvc s/a.dvc
    # remove: arguments
    > remove
    > remove --nope x
    > remove --help
    # remove from a subfolder
    $ mkdir s; echo 1 > s/a; echo 2 > b
    > add -q s/a b
    cd s
    > remove a.dvc ../b.dvc
    # remove stages
    $ printf '# c\nstages:\n  a:\n    cmd: x # y\n    outs:\n    - oa\n  b:\n    cmd: y\n    outs:\n    - ob\n' > dvc.yaml; echo 1 > oa; echo 2 > ob
    > commit -q -f
    > remove a
    > remove nope
    > remove dvc.yaml:nope
    > remove --outs b
    > status
    # remove a whole dvc.yaml
    $ printf 'stages:\n  a:\n    cmd: x\n    outs:\n    - oa\n  b:\n    cmd: y\n    outs:\n    - ob\n' > dvc.yaml; echo 1 > oa; echo 2 > ob
    > commit -q -f
    > remove dvc.yaml
    # remove with autostage
    > config core.autostage true
    $ echo f > f
    > add -q f
    $ git commit -qam 1
    > remove f.dvc
    $ git status --porcelain
    # move a file
    $ echo f > f; mkdir s
    > add -q f
    > move f g
    > status
    > move g s
    > status
    > mv s/g s/h
    > move s/h .
    > status
    > move h.dvc k
    > move h k.dvc
    > status
    # move a folder
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b
    > add -q d
    > move d e
    > status
    > move e new/folder
    $ mkdir t
    > move e t
    > status
    > move t/e t/e2/
    > move t/e t/e/f
    # move: refused
    $ echo f > f; echo h > h; mkdir d; echo 1 > d/a; echo u > u
    > add -q f h d
    > move nope x
    > move u v
    > move f h
    > move f f
    > move f d
    > move f d/x
    > move d/a d/b
    > move d d/x
    > move f nodir/x
    > move f ../f
    > move f /tmp/nowhere/f
    > move f
    > move f a b
    > move --help
    # move onto an untracked file
    $ echo f > f; echo u > u; mkdir ud; echo 1 > ud/x
    > add -q f
    > move f ud
    > move ud/f u
    > status
    # move changed or missing data
    $ echo f > f; mkdir d; echo 1 > d/a
    > add -q f d
    $ echo x > f
    > move f g
    > status
    $ rm -r d
    > move d e
    > status
    # move: comments, annotations
    $ echo f > f
    > add -q f
    $ printf '# c\ndesc: x\n' >> f.dvc
    > move f g
    # move: renamed .dvc
    $ echo f > f
    > add -q f
    $ mv f.dvc other.dvc
    > move f g
    > move other.dvc h
    # move in subfolders
    $ mkdir -p a/b c; echo f > a/b/f
    > add -q a/b/f
    cd a
    > move b/f g
    > move g ../c/
    > move ../c/g ../c/h
    # move: links
    > config cache.type symlink
    $ echo f > f; mkdir d; echo 1 > d/a
    > add -q f d
    > move f g
    > move d e
    > status
    # move with autostage
    > config core.autostage true
    $ echo f > f
    > add -q f
    $ git commit -qam 1
    > move f g
    $ git status --porcelain
    # move an output of a pipeline
    $ printf 'stages:\n  a:\n    cmd: x\n    outs:\n    - oa\n' > dvc.yaml; echo 1 > oa
    > commit -q -f
    > move oa ob
    # move into what is ignored
    $ echo 'ig/' > .dvcignore; mkdir ig; echo f > f
    > add -q f
    > move f ig/f
    # move without git
    @ no-scm
    $ echo f > f
    > add -q f
    > move f g
    > remove g.dvc
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_move_remove(case, play):
    play(case)
