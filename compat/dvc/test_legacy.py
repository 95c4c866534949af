"""2.x caches and `.dvc` files of older DVC."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # a 2.x file
    $ echo hello > a; printf 'outs:\n- md5: b1946ac92492d2347c6235b4d2611184\n  size: 6\n  path: a\n' > a.dvc; mkdir -p .dvc/cache/b1; cp a .dvc/cache/b1/946ac92492d2347c6235b4d2611184; chmod 444 .dvc/cache/b1/*
    > status
    > data status
    > diff
    $ rm a
    > status
    > checkout
    > commit
    > add a
    $ echo changed > a
    > status
    > add a
    > gc -w -f
    # a 2.x file changes by commit
    $ echo hello > a; printf '# c\nouts:\n- md5: b1946ac92492d2347c6235b4d2611184\n  size: 6\n  path: a\n' > a.dvc; mkdir -p .dvc/cache/b1; cp a .dvc/cache/b1/946ac92492d2347c6235b4d2611184
    $ echo changed > a
    > commit -f
    > status
    # a 2.x folder
    $ mkdir d; echo 1 > d/a; printf 'a\r\nb\r\n' > d/crlf; H=$(printf 'a\nb\n' | md5sum | cut -c1-32); A=$(md5sum d/a | cut -c1-32); T="[{\"md5\": \"$A\", \"relpath\": \"a\"}, {\"md5\": \"$H\", \"relpath\": \"crlf\"}]"; D=$(printf '%s' "$T" | md5sum | cut -c1-32); for h in $A $H $D; do mkdir -p .dvc/cache/${h:0:2}; done; cp d/a .dvc/cache/${A:0:2}/${A:2}; cp d/crlf .dvc/cache/${H:0:2}/${H:2}; printf '%s' "$T" > .dvc/cache/${D:0:2}/${D:2}.dir; printf "outs:\n- md5: $D.dir\n  size: 8\n  nfiles: 2\n  path: d\n" > d.dvc; chmod 444 .dvc/cache/??/*
    > status
    > data status --granular
    $ rm -r d
    > checkout
    > status
    > remote add -d r ../remote
    > push
    > status -c
    $ rm -rf .dvc/cache d
    > pull
    > gc -w -f
    > cache migrate
    > cache migrate --dvc-files
    > status
    $ echo 2 > d/b
    > add d
    # 2.x: text and binary
    $ printf 'a\r\n' > t; printf 'a\r\n\000' > b; for f in t b; do case $f in t) H=$(printf 'a\n' | md5sum | cut -c1-32);; b) H=$(md5sum b | cut -c1-32);; esac; printf "outs:\n- md5: $H\n  path: $f\n" > $f.dvc; done
    > status
    > commit
    > commit -f t.dvc
    > commit -f b.dvc
    > status
    # 2.x and 3.x beside
    $ echo hello > a; echo new > n; printf 'outs:\n- md5: b1946ac92492d2347c6235b4d2611184\n  size: 6\n  path: a\n' > a.dvc
    > commit a.dvc
    > add n
    > status
    > remote add -d r ../remote
    > push
    > status -c
    $ rm -rf .dvc/cache a n
    > pull
    > gc -w -f
    > gc -w -c -f
    # 1.x and 0.x files
    $ echo hello > a; printf 'md5: 0123456789abcdef0123456789abcdef\nouts:\n- cache: true\n  md5: b1946ac92492d2347c6235b4d2611184\n  metric: false\n  path: a\n  persist: false\nwdir: .\n' > a.dvc; mkdir -p .dvc/cache/b1; cp a .dvc/cache/b1/946ac92492d2347c6235b4d2611184
    > status
    $ rm a
    > checkout
    > status
    $ echo 2 > a
    > add a
    > status
    # a stage in a .dvc file
    $ echo 1 > dep; echo hello > out; printf 'cmd: cp dep out\nmd5: 0123456789abcdef0123456789abcdef\ndeps:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  path: dep\nouts:\n- md5: b1946ac92492d2347c6235b4d2611184\n  path: out\n  cache: true\n' > out.dvc; cp out.dvc Dvcfile; sed -i 's/out$/out2/' Dvcfile; cp out out2
    > status
    > status --json
    $ echo 2 > dep
    > status
    > commit -f out.dvc
    > status
    > freeze out.dvc
    > checkout
    > remove out.dvc
    # locked: the old name of frozen
    $ echo hello > a; printf 'locked: true\nouts:\n- md5: b1946ac92492d2347c6235b4d2611184\n  path: a\n' > a.dvc
    > status
    > unfreeze a.dvc
    # metric of old files
    $ echo '{}' > m; printf 'outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: m\n  metric:\n    type: json\n    xpath: a\n  cache: false\n' > m.dvc
    > status
    # tags and metric kinds of very old files
    $ echo hello > a; printf 'md5: 0123456789abcdef0123456789abcdef\nouts:\n- md5: b1946ac92492d2347c6235b4d2611184\n  path: a\n  tags:\n    t: {md5: x}\n' > a.dvc
    > status
    # etag and checksum
    $ echo hello > a; printf 'outs:\n- etag: abc\n  path: a\n' > a.dvc
    > status
    $ printf 'outs:\n- checksum: abc\n  path: a\n' > a.dvc
    > status
    # files: of cloud versioning
    $ mkdir d; echo hello > d/a; printf 'outs:\n- path: d\n  size: 6\n  nfiles: 1\n  hash: md5\n  files:\n  - size: 6\n    version_id: v\n    etag: e\n    md5: b1946ac92492d2347c6235b4d2611184\n    relpath: a\n' > d.dvc
    > status
    > data status
    > data status --granular
    > commit
    $ echo 2 > d/b
    > status
    > add d
    # external outputs of 2.x
    $ echo 1 > ../ext; printf 'outs:\n- md5: b026324c6904b2a9cb4b88d6d61c81d1\n  path: ../ext\n' > e.dvc
    > status
    > checkout
    # an old config
    $ printf '[core]\nremote = r\n[remote "r"]\nurl = ../x\n' > .dvc/config; printf "['remote \"r\"']\nurl = ../../remote\n[core]\nremote = r\n[cache]\ndir = ../../store\n" > .dvc/config; echo 1 > a
    > remote list
    > add a
    > push
    # a 2.x cache: gc, links
    $ mkdir d; echo 1 > d/x; echo hello > a; printf 'outs:\n- md5: b1946ac92492d2347c6235b4d2611184\n  path: a\n' > a.dvc
    > config cache.type hardlink
    > commit -f
    > checkout --relink
    > unprotect a
    > move a b
    > gc -w -f
    # 2.x dvc.lock
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [dep]\n    outs: [out]\n' > dvc.yaml; echo 1 > dep; echo hello > out; printf "schema: '2.0'\nstages:\n  s:\n    cmd: x\n    deps:\n    - path: dep\n      md5: b026324c6904b2a9cb4b88d6d61c81d1\n      size: 2\n    outs:\n    - path: out\n      md5: b1946ac92492d2347c6235b4d2611184\n      size: 6\n" > dvc.lock
    > status
    > commit
    > status
    > commit -f
    $ echo 3 > out
    > status
    > commit -f
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_legacy(case, play):
    play(case)
