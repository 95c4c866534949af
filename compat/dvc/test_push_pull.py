"""`dvc push`, `fetch`, `pull` and `status --cloud` with a folder as remote.

Revisions are pushed to a remote of `.dvc/config.local` here: of one that is committed with a relative path, stock takes the
path from the root of the file system.
"""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # no remote
    $ echo 1 > a
    > add -q a
    > push
    > fetch
    > pull
    > status -c
    > status -c --json
    > push -r nope
    > fetch -r nope
    > pull -r nope
    > status -c -r nope
    # nothing tracked
    > remote add -d r ../remote
    > push
    > fetch
    > pull
    > status -c
    # push
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > status -c
    > status -c --json
    > status -c -q
    > status -c d
    > status -c f.dvc
    > push f
    > status -c
    > push d.dvc
    > push
    > status -c
    > status -c -q
    > status -c --json
    # push: targets
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > push nope
    > push d
    > push d/nope
    > push d/a
    > push d/s
    > push nope.dvc
    > push -d f.dvc
    > push -R .
    > push -R nope
    > push --glob 'n*'
    > push -q
    # push: a part of a folder
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b
    > add -q d
    > push d/s
    > push d/a
    # push: no part of a folder
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b
    > add -q d
    > push d/nope
    # push: globs
    > remote add -d r ../remote
    $ mkdir -p s; echo 1 > s/a1; echo 2 > s/a2; echo 3 > s/b
    > add -q s/a1 s/a2 s/b
    > push --glob 's/a*.dvc'
    > status -c
    > push s/a?
    > pull --glob 's/b*'
    # push: flags
    > remote add -d r ../remote
    $ echo 1 > a
    > add -q a
    > push -v
    > push --run-cache
    > push --no-run-cache
    > push -j 2
    > push -j 0
    > push -j x
    > push --nope
    > push --help
    > push -r r
    > push --remote r a
    # push: revisions
    > remote add --local -d r <root>/remote
    $ echo 1 > a
    > add -q a
    $ git add -A; git commit -qm one; git tag v1; echo 2 > a
    > add -q a
    $ git add -A; git commit -qm two; git branch b; echo 3 > a
    > add -q a
    $ git add -A; git commit -qm three; echo 4 > a
    > add -q a
    > status -c -a
    > status -c -T
    > status -c -A
    > push -a
    > push -T
    > push -A
    > status -c -A
    $ rm -rf .dvc/cache
    > status -c -A
    > fetch -T
    > fetch -a
    > fetch -A
    > pull -A
    # push: what the cache lacks
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    $ rm -rf .dvc/cache/files/md5/b0
    > push
    > status -c
    > push
    $ rm -rf .dvc/cache
    > push
    > status -c
    > status -c --json
    # fetch
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > push -q
    $ rm -rf .dvc/cache
    > status -c
    > fetch f
    > status -c
    > fetch
    > fetch
    $ rm -rf .dvc/cache
    > fetch d/a
    > fetch d/s
    > fetch d/nope
    > fetch nope
    > fetch f.dvc -v
    > fetch -R .
    > fetch -d f.dvc
    > fetch -q
    > fetch --run-cache
    > fetch -j 2
    > fetch --help
    > fetch --nope
    # fetch: --max-size and --type
    > remote add -d r ../remote
    $ mkdir -p d; echo 1 > d/a; head -c 2000 /dev/zero > d/big; echo f > f; head -c 3000 /dev/zero > big
    > add -q d f big
    > push -q
    $ rm -rf .dvc/cache
    > fetch --max-size 1
    > fetch --max-size 100
    > fetch --max-size x
    > fetch --type metrics
    > fetch --type plots
    > fetch --type nope
    > fetch --max-size 10000
    # pull
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f
    > add -q d f
    > push -q
    $ rm -rf .dvc/cache d f
    > pull f
    > pull
    > pull
    $ rm -rf .dvc/cache d f
    > pull d/a
    > pull d/s
    $ rm -rf .dvc/cache d f
    > pull -q
    > status
    # pull: changed files
    > remote add -d r ../remote
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    > push -q
    $ rm -rf .dvc/cache; echo x > f
    > pull
    > pull -f
    $ echo y > d/a
    > pull d
    > pull --force d
    # pull: flags
    > remote add --local -d r <root>/remote
    $ echo f > f
    > add -q f
    $ git add -A; git commit -qm one; git tag v1; echo g > f
    > add -q f
    $ git add -A; git commit -qm two
    > push -q -A
    > pull nope
    > pull -R .
    > pull -a
    > pull -T
    > pull -A
    > pull -d f.dvc
    > pull --glob 'f*'
    > pull --allow-missing
    > pull --run-cache
    > pull -j 3
    > pull -r r
    > pull -r r f.dvc
    > pull --nope
    > pull --help
    # the remote lacks objects
    > remote add -d r ../remote
    $ mkdir -p d; echo 1 > d/a; echo 2 > d/b; echo f > f
    > add -q d f
    > push -q
    $ rm -rf .dvc/cache ../remote/files/md5/b0 d f
    > fetch
    > pull
    > pull --allow-missing
    > pull f
    > checkout
    > status -c
    # the remote lacks all
    > remote add -d r ../remote
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ rm -rf .dvc/cache d f
    > fetch
    > fetch f
    > pull
    > pull --allow-missing
    > pull f
    > push
    > status -c
    > status -c --json
    # the remote lacks a tree
    > remote add -d r ../remote
    $ mkdir -p d; echo 1 > d/a
    > add -q d
    > push -q
    $ rm ../remote/files/md5/*/*.dir
    > status -c
    > push
    > status -c
    $ rm ../remote/files/md5/*/*.dir; rm -rf .dvc/cache d
    > fetch
    > pull
    # the remote is a file
    $ echo 1 > a; echo hi > ../afile
    > add -q a
    > remote add -d r ../afile
    > status -c
    > fetch
    # remotes that need a plugin
    $ echo 1 > a
    > add -q a
    > remote add -d weird weird://x
    > push
    > fetch
    > pull
    > status -c
    # remote: and push: of an output
    $ echo 1 > a; echo 2 > b; echo 3 > c; mkdir d; echo 4 > d/x
    > add -q a b c d
    > remote add -d r ../remote
    > remote add q ../second
    $ sed -i 's/path: a/path: a\n  remote: q/' a.dvc; sed -i 's/path: b/path: b\n  push: false/' b.dvc; sed -i 's/path: d/path: d\n  remote: q/' d.dvc
    > status -c
    > push
    > status -c
    > status -c -r q
    > push -r r
    > push -r q
    $ rm -rf .dvc/cache
    > fetch
    > pull
    > remote remove q
    > push
    > status
    > status -c
    # cache: false and push
    $ echo 1 > a
    > add -q a
    > remote add -d r ../remote
    $ sed -i 's/path: a/path: a\n  cache: false/' a.dvc
    > push
    > status -c
    > pull
    # two remotes
    $ mkdir d; echo 1 > d/a
    > add -q d
    > remote add -d r ../remote
    > remote add q ../second
    > push
    > push -r q
    > status -c -r q
    $ rm -rf .dvc/cache
    > fetch -r q
    > data status --not-in-remote
    # a fresh clone
    > remote add -d r ../remote
    $ mkdir -p d/s; echo 1 > d/a; echo 2 > d/s/b; echo f > f; chmod 755 f
    > add -q d f
    > push -q
    $ git add -A; git commit -qm one; git clone -q . ../clone
    cd ../clone
    > status
    > pull
    > status
    # link types when pulled
    > config cache.type hardlink
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > push -q
    $ rm -rf .dvc/cache d f
    > pull
    # a remote with litter
    > remote add -d r ../remote
    $ echo 1 > a; mkdir -p ../remote/files/md5/zz ../remote/other ../remote/00; touch ../remote/files/md5/zz/x ../remote/files/md5/x ../remote/00/x
    > add -q a
    > push
    > status -c
    # an empty file and an empty folder
    > remote add -d r ../remote
    $ : > e; mkdir d
    > add -q e d
    > push
    > status -c
    $ rm -rf .dvc/cache e d
    > pull
    # a corrupted object in the remote
    > remote add -d r ../remote
    $ echo 1 > a
    > add -q a
    > push -q
    $ f=$(find ../remote -type f -path '*/b0/*'); chmod 644 $f; echo bad > $f; chmod 444 $f; rm -rf .dvc/cache a
    > pull
    # a corrupted list in the remote
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a
    > add -q d
    > push -q
    $ f=$(find ../remote -type f -name '*.dir'); chmod 644 $f; echo bad > $f; chmod 444 $f; rm -rf .dvc/cache d
    > fetch
    # many
    > remote add -d r ../remote
    $ mkdir d; for i in $(seq 300); do echo $i > d/$i; done
    > add -q d
    > push
    > status -c
    $ rm -rf .dvc/cache d
    > fetch
    > pull
    # the remote lacks files of a list that it has
    > remote add -d r ../remote
    $ mkdir d; for i in $(seq 300); do echo $i > d/$i; done
    > add -q d
    > push
    $ rm -f ../remote/files/md5/0*/*
    > status -c
    > push
    # from a subfolder
    > remote add -d r ../remote
    $ mkdir -p s; echo 1 > s/a
    > add -q s/a
    cd s
    > push
    > status -c
    > push a
    > pull a.dvc
    > fetch ../s/a
    # no git
    @ no-scm
    > remote add -d r ../remote
    $ echo 1 > a
    > add -q a
    > push
    > push -a
    > pull
    > fetch -A
    > status -c -T
    # run cache
    > remote add -d r ../remote
    $ printf 'stages:\n  s:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n    metrics: [m]\n' > dvc.yaml
    $ echo 1 > a; cp a b; cp a m
    > commit -f -q
    > push --run-cache
    > push --run-cache
    > push
    $ rm -rf .dvc/cache
    > fetch --run-cache
    > fetch --type metrics
    > status -c
    # what a type selects
    > remote add -d r ../remote
    $ printf 'stages:\n  s:\n    cmd: cp a b\n    deps: [a]\n    outs: [b, d]\n    metrics: [m]\n    plots: [p]\nmetrics: [d/x]\nplots:\n- q.csv\n- two:\n    y: {z.csv: v}\n' > dvc.yaml
    $ echo 1 > a; echo 2 > b; echo 3 > m; echo 4 > p; echo 5 > q.csv; echo 6 > z.csv; mkdir d; echo 7 > d/x; echo 8 > d/y
    > commit -f -q
    > add -q q.csv z.csv
    > push
    $ rm -rf .dvc/cache
    > fetch --type metrics
    > fetch --type plots
    > fetch --type plots --type metrics
    > fetch
    # without a record
    > remote add -d r ../remote
    $ echo 1 > a
    > add -q --no-commit a
    > push
    > status -c
    $ printf 'stages:\n  s:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n' > dvc.yaml
    > push
    > status -c
    > fetch
    > pull
    $ echo 2 > b
    > status -c
    # a remote of a remote
    > remote add base ../remote
    > remote add -d r remote://base/sub/x
    $ echo 1 > a
    > add -q a
    > push
    > status -c
    # objects of DVC 2
    > remote add -d r ../remote
    $ mkdir d; printf '1\r\n' > d/a; echo f > f
    > add -q d f
    $ cp -r .dvc/cache/files/md5/* .dvc/cache/; sed -i '/hash: md5/d' f.dvc d.dvc; rm -rf .dvc/cache/files
    > status -c
    > push f
    $ rm -rf .dvc/cache f
    > pull f
    # objects of DVC 2 and 3
    > remote add -d r ../remote
    $ echo f > f; mkdir d; echo 1 > d/a
    > add -q f d
    $ cp -r .dvc/cache/files/md5/* .dvc/cache/; sed -i '/hash: md5/d' f.dvc
    > status -c
    > push
    > status -c
    $ rm -rf .dvc/cache f d
    > fetch
    > pull
    # status of targets
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a; echo 2 > d/b; echo f > f; mkdir s; echo 3 > s/a
    > add -q d f s/a
    > status -c nope
    > status -c d/nope
    > status -c d/a
    > status -r r d/a
    > status -c -R s
    > status -c nope.dvc
    > status -c -d d.dvc
    cd s
    > status -c
    cd .
    $ git add -A; git commit -qm x
    > status -c -a nope
    > push -a nope
    # the same content twice
    > remote add -d r ../remote
    $ mkdir d; echo 1 > d/a; echo 1 > d/b; echo 1 > f
    > add -q d f
    > status -c
    > push
    # a remote that cannot be made
    $ echo 1 > a
    > add -q a
    > remote add -d r /proc/nope
    > push
    > remote add -f -d r /dev/null
    > push
    > fetch
    # a cloud versioned remote
    > remote add -d r ../remote
    > remote modify r version_aware true
    $ mkdir d; echo 1 > d/a; echo f > f
    > add -q d f
    > push -A
    > fetch
    > pull
    > status -c
    # the cache of another project as remote
    $ echo 1 > a
    > add -q a
    > remote add -d r .dvc/cache
    > push
    > fetch
    > status -c
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_push_pull(case, play):
    play(case)
