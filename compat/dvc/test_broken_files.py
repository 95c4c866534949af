"""Files that are no YAML or have a wrong form, parameters that cannot be read, ignore files with a bad line, dead locks."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # a .dvc that is no YAML
    $ printf 'outs:\n- md5: [\n' > c.dvc; echo b > b
    > remove c.dvc
    > move b c
    > add b
    > checkout c.dvc
    > commit c.dvc
    > status
    > status -q
    # a .dvc with wrong keys
    $ printf 'outs:\n- md5: 1\n  foo: 1\n' > c.dvc; echo b > b
    > remove c.dvc
    > move b c
    > checkout
    > status c.dvc
    > destroy -f
    # a .dvc with conflict markers
    $ printf 'outs:\n<<<<<<< HEAD\n- path: a\n=======\n- path: b\n>>>>>>> x\n' > c.dvc
    > status
    > remove c.dvc
    # a .dvc in a subfolder
    $ mkdir -p s/t; printf 'outs:\n- md5: 1\n' > s/c.dvc
    cd s/t
    > status
    > remove ../c.dvc
    # a .dvc that names a key twice
    $ printf 'outs:\n- path: a\nouts:\n- path: b\n' > c.dvc; printf 'outs: {}\nouts: []\n' > d.dvc
    > remove c.dvc
    > remove d.dvc
    # a dvc.yaml that is no YAML
    $ printf 'stages:\n  a:\n    cmd: x\n   b: y\n' > dvc.yaml
    > remove a
    > remove dvc.yaml
    > status
    # a dvc.yaml with wrong keys
    $ printf 'stages:\n  a:\n    cmd: x\n    foo: 1\n  b: 3\n' > dvc.yaml
    > remove a
    > status
    > freeze a
    # a dvc.lock that is no YAML
    $ printf 'stages:\n  a:\n    cmd: x\n    outs:\n    - oa\n' > dvc.yaml; echo '[' > dvc.lock; echo 1 > oa
    > status
    > remove a
    # parameters that are no YAML
    $ printf 'stages:\n  a:\n    cmd: x\n    params:\n    - lr\n' > dvc.yaml; echo 'lr: 1' > params.yaml
    > commit -q -f
    $ echo 'lr: [' > params.yaml
    > status
    > commit -f
    # parameters that are no JSON
    $ printf 'stages:\n  a:\n    cmd: x\n    params:\n    - p.json:\n      - lr\n' > dvc.yaml; echo '{"lr": 1}' > p.json
    > commit -q -f
    $ echo '{' > p.json
    > status
    > commit -f
    # a parametrized stage
    $ printf 'vars:\n- x: foo\nstages:\n  g:\n    foreach: [u, v]\n    do:\n      cmd: echo\n  p:\n    cmd: echo ${x}\n  q:\n    cmd: echo q\n' > dvc.yaml; mkdir s
    > remove g
    > remove g@u
    > remove g@z
    > remove p
    > remove dvc.yaml
    > remove dvc.yaml:p
    > freeze p
    > remove zz@
    cd s
    > remove ../dvc.yaml:p
    > remove ../dvc.yaml:zz
    > remove ../dvc.yaml:g@u
    > freeze ../dvc.yaml:p
    > remove ../dvc.yaml:q
    # a group whose names hide variables
    $ printf 'vars:\n- item: foo\nstages:\n  g:\n    foreach: [u, v]\n    do:\n      cmd: echo ${item}\n' > dvc.yaml
    > status
    # a name for a .dvc
    $ echo b > b
    > add -q b
    > remove b.dvc:zz
    # dvc.lock as a target
    > remove dvc.lock
    > remove :
    > remove ''
    # a dead process holds the path
    $ echo b > b
    > add -q b
    $ printf '{"write": {"%s/b": {"pid": 4194303, "cmd": "dvc repro"}}, "read": {}}' "$PWD" > .dvc/tmp/rwlock
    > remove b.dvc
    # a bad line in .dvcignore
    $ mkdir s; echo b > b
    > add -q b
    $ echo '!' > .dvcignore
    > status
    $ rm .dvcignore; printf 'a\n!\n' > s/.dvcignore
    > status
    > remove b.dvc
    # move: what cannot be
    $ echo b > b; mkdir s
    > add -q b
    > move b b.dvc
    > move b x.dvc
    > move b.dvc c
    > move '' b
    > move . b
    > move b .
    > move b ./
    > move b s/n/b
    > move b s:/b
    # move: an ignored place
    $ echo b > b; mkdir s; echo '*' > s/.gitignore
    > add -q b
    > move b s
    # move: the file is ignored
    $ echo b > b
    > add -q b
    $ echo b > .dvcignore
    > move b c
    # move: meta and frozen
    $ echo b > b
    > add -q b
    $ printf 'meta:\n  k: [1, 2]\nfrozen: true\ndesc: text\n' >> b.dvc
    > move b c
    # move: no cache
    $ echo b > b; printf 'outs:\n- path: b\n  cache: false\n  desc: d\n  labels: [x]\n' > b.dvc
    > move b c
    > status
    # move: an empty folder
    $ mkdir e f; echo 1 > e/x
    > add -q e
    $ rm e/x
    > move e f
    > status
    # move: wdir
    $ mkdir s; echo b > s/b; printf 'wdir: s\nouts:\n- path: b\n' > b.dvc
    > commit -q -f b.dvc
    > move s/b s/c
    > status
    # move: a renamed .dvc to another folder
    $ echo b > b; mkdir s
    > add -q b
    $ mv b.dvc z.dvc
    > move b s
    > status
    > move s/b s/c
    # remove: odd names in a folder
    $ mkdir d; echo 1 > d/$'a\nb'; echo 2 > d/$'\xc3\xa9'; echo 3 > 'd/ '
    > add -q d
    > move d e
    > status
    > remove e.dvc
    # remove: hardlinks
    > config cache.type hardlink
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > remove d.dvc
    > remove --outs f.dvc
    # remove: a broken link
    > config cache.type symlink
    $ echo f > f
    > add -q f
    $ rm -r .dvc/cache
    > remove f.dvc
    > remove --outs f.dvc
    # remove: an external cache
    > cache dir ../store
    > config cache.shared group
    > config cache.type symlink
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > move d e
    > move f e2
    > remove e.dvc
    > remove --outs e2.dvc
    > destroy -f
    # remove: an import
    $ echo f > f; mkdir s; printf 'frozen: true\ndeps:\n- path: ../f\nouts:\n- path: o\n' > s/o.dvc; cp f s/o
    > commit -q -f s/o.dvc
    > move s/o p
    > status
    > remove --outs p.dvc
    # the repository is in a link
    $ mkdir real; git -C real init -q; ln -s real link
    cd link
    > init -q
    $ echo 1 > a
    > add a
    > move a b
    > remove b.dvc
    # the own .gitignore was deleted
    $ rm .dvc/.gitignore
    > status
    $ echo /tmp > .dvc/.gitignore
    > status
    # numbers as values
    > remote add r /x
    > remote modify r jobs -3
    > config core.foo -3.5
    > remove -3
    > remove -x
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_broken_files(case, play):
    play(case)
