"""The data commands in repositories with `dvc.yaml`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # a stage
    $ printf 'stages:\n  s:\n    cmd: echo 1 > out\n    deps: [dep]\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; echo 2 > dep
    > status
    > status --json
    > status s
    > status dvc.yaml
    > status dvc.yaml:s
    > status out
    > commit -f
    > status
    > status s
    > checkout
    $ rm out
    > status
    > checkout s
    $ rm out
    > checkout out
    > checkout dvc.yaml:s
    > data status
    > diff
    # deps change
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [dep, dir, gone]\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; echo 2 > dep; mkdir dir; echo 3 > dir/a; echo 4 > gone
    > commit -q -f
    $ echo 3 > dep; echo 5 > dir/b; rm gone
    > status
    > status --json
    > status -q
    > commit <<< n
    > commit -f
    # the command changes
    $ printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out
    > commit -q -f
    $ sed -i 's/cmd: x/cmd: y/' dvc.yaml
    > status
    > status --json
    > commit -f
    > status
    $ printf 'stages:\n  s:\n    cmd:\n    - y\n    - z\n    outs:\n    - out\n' > dvc.yaml
    > status
    > commit -f
    # params
    $ printf 'stages:\n  s:\n    cmd: x\n    params: [lr, a.b, other.json:, o.toml: [t]]\n    outs:\n    - out\n' > dvc.yaml; printf 'stages:\n  s:\n    cmd: x\n    params:\n    - lr\n    - a.b\n    - other.json:\n      - k\n    - o.toml:\n      - t\n    - whole.yaml:\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; printf 'lr: 0.1\na: {b: [1, 2]}\n' > params.yaml; echo '{"k": null}' > other.json; echo 't = "x"' > o.toml; printf 'w: 1\n' > whole.yaml
    > status
    > commit -f
    > status
    $ printf 'lr: 0.2\na: {b: [1, 3]}\n' > params.yaml; echo '{}' > other.json; echo 't = "y"' > o.toml; printf 'w: 1\nv: 2\n' > whole.yaml
    > status
    > status --json
    $ rm params.yaml
    > status
    > commit -f
    # params: python
    $ printf 'stages:\n  s:\n    cmd: x\n    params:\n    - p.py:\n      - LR\n      - C.x\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; printf 'LR = 0.1\nclass C:\n    x = [1, 2]\n' > p.py
    > commit -f
    > status
    $ printf 'LR = 0.2\nclass C:\n    x = [1, 2]\n' > p.py
    > status
    # params: numbers
    $ printf 'stages:\n  s:\n    cmd: x\n    params: [i, f, e, big, s, b, n, d, l, m]\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; printf 'i: 1\nf: 1.0\ne: 1e-5\nbig: 123456789012345678901234567890\ns: "1"\nb: true\nn: null\nd: 2020-01-01\nl: [1, a, [2]]\nm: {z: 1, a: {y: 2}}\n' > params.yaml
    > commit -f
    > status
    $ sed -i 's/i: 1/i: 1.0/' params.yaml
    > status
    # output flags
    $ printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - a\n    - b:\n        cache: false\n    - c:\n        persist: true\n    - d:\n        push: false\n    - e:\n        remote: q\n    - f:\n        desc: text\n        type: t\n        labels: [x]\n        meta: {k: v}\n    metrics:\n    - m.json\n    - n.json:\n        cache: false\n    plots:\n    - p.csv:\n        x: i\n        y: j\n        cache: false\n    - q.csv\n' > dvc.yaml; for i in a b c d e f p.csv q.csv; do echo $i > $i; done; echo '{"x": 1}' > m.json; echo '{"y": 2}' > n.json
    > commit -f
    > status
    > remote add -d r ../remote
    > remote add q ../second
    > push
    > status -c
    $ echo x > b; echo y > n.json; rm a c p.csv
    > status
    > checkout
    > status
    > fetch
    > gc -w -f
    > data status
    > list .
    # wdir
    $ mkdir -p w/x; printf 'stages:\n  s:\n    cmd: x\n    wdir: w/x\n    deps: [../dep]\n    params: [p]\n    outs:\n    - out\n    - ../../top\n' > dvc.yaml; echo 1 > w/x/out; echo 2 > w/dep; echo 3 > top; echo 'p: 1' > w/x/params.yaml
    > commit -f
    > status
    $ rm w/x/out top
    > status
    > checkout
    $ echo 5 > w/dep; echo 'p: 2' > w/x/params.yaml
    > status
    cd w/x
    > status
    > status ../../dvc.yaml:s
    # a dvc.yaml in a folder
    $ mkdir -p f; printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n    - ../up\n' > f/dvc.yaml; echo 1 > f/out; echo 2 > up
    > commit -f
    > status
    $ echo 3 > f/out
    > status
    > status f/dvc.yaml
    > status f/dvc.yaml:s
    > status s
    > status -R f
    cd f
    > status s
    > commit -f s
    # -d follows the graph
    $ printf 'stages:\n  a:\n    cmd: x\n    outs: [oa]\n  b:\n    cmd: y\n    deps: [oa]\n    outs: [ob]\n  c:\n    cmd: z\n    deps: [ob]\n    outs: [oc]\n' > dvc.yaml; echo 1 > oa; echo 2 > ob; echo 3 > oc
    > commit -f -d b
    > status
    > status -d b
    $ rm oa ob
    > checkout -d b
    > status -d c
    > commit -f -d c
    # frozen
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [dep]\n    frozen: true\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; echo 2 > dep
    > status
    > commit -f
    $ echo 3 > dep; echo 4 > out
    > status
    > unfreeze s
    > status
    # always changed
    $ printf 'stages:\n  s:\n    cmd: x\n    always_changed: true\n    outs:\n    - out\n  t:\n    cmd: y\n' > dvc.yaml; echo 1 > out
    > status
    > commit -f
    > status
    > status --json
    # vars and templates
    $ printf 'vars:\n- a: 1\n  name: out\n  d: {k: v, l: [x, y]}\n- p2.yaml\n- p3.json:q\nstages:\n  s:\n    cmd: run ${a} ${d.k} ${d.l[1]} ${w} ${q} \\${not}\n    outs:\n    - ${name}.txt\n    params:\n    - ${name}\n' > dvc.yaml; echo 'w: 2' > p2.yaml; echo '{"q": 3, "r": 4}' > p3.json; echo 'out: 1' > params.yaml; echo 1 > out.txt
    > status
    > commit -f
    > status
    $ echo 'w: 3' > p2.yaml
    > status
    # templates that fail
    $ printf 'stages:\n  s:\n    cmd: run ${nope}\n' > dvc.yaml
    > status
    $ printf 'vars: [nope.yaml]\nstages:\n  s:\n    cmd: run\n' > dvc.yaml
    > status
    $ printf 'vars:\n- a: 1\n- a: 2\nstages:\n  s:\n    cmd: run ${a}\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: run ${a\n' > dvc.yaml
    > status
    $ printf 'vars:\n- a: {b: 1}\nstages:\n  s:\n    cmd: run ${a}\n' > dvc.yaml
    > status
    $ printf 'vars:\n- a: {b: 1}\nstages:\n  s:\n    cmd: run ${a.c}\n' > dvc.yaml
    > status
    # a stage's own vars
    $ printf 'vars:\n- a: 1\nstages:\n  s:\n    vars:\n    - b: 2\n    cmd: run ${a} ${b}\n    outs: [o${b}]\n' > dvc.yaml; echo 1 > o2
    > commit -f
    > status
    # foreach over a list
    $ printf 'stages:\n  e:\n    foreach: [u, v, 1, 2.5, true]\n    do:\n      cmd: run ${item}\n      outs:\n      - out-${item}\n' > dvc.yaml; for i in u v 1 2.5 true True; do echo $i > out-$i; done
    > status
    > commit -f
    > status
    > status e@u
    > status e@1
    > status e
    $ echo x > out-u
    > status
    > checkout -f e@u
    > checkout -f e
    > status --json e@v
    > commit e@nope
    # foreach over a map
    $ printf 'stages:\n  e:\n    foreach:\n      x: {n: 1}\n      y: {n: 2}\n    do:\n      cmd: run ${key} ${item.n}\n      outs:\n      - out-${key}\n' > dvc.yaml; echo 1 > out-x; echo 2 > out-y
    > commit -f
    > status
    > freeze e@x
    > remove e@x
    > remove e
    # foreach over maps in a list, and over vars
    $ printf 'vars:\n- list: [{n: 1}, {n: 2}]\nstages:\n  e:\n    foreach: ${list}\n    do:\n      cmd: run ${item.n}\n      outs:\n      - out-${item.n}\n' > dvc.yaml; echo 1 > out-1; echo 2 > out-2
    > commit -f
    > status
    # matrix
    $ printf 'stages:\n  m:\n    matrix:\n      a: [x, y]\n      b: [1, 2]\n    cmd: run ${item.a} ${item.b} ${key}\n    outs:\n    - out-${item.a}-${item.b}\n' > dvc.yaml; for i in x-1 x-2 y-1 y-2; do echo $i > out-$i; done
    > commit -f
    > status
    > status m@x-1
    > status m
    $ rm out-x-1
    > status
    > checkout m@x-1
    # matrix of maps
    $ printf 'stages:\n  m:\n    matrix:\n      a: [{n: x}, {n: y}]\n      b: ${l}\n    cmd: run ${item.a.n} ${item.b}\n    outs:\n    - out-${item.a.n}-${item.b}\nvars:\n- l: [1, 2]\n' > dvc.yaml; for i in x-1 x-2 y-1 y-2; do echo $i > out-$i; done
    > commit -f
    > status
    # a stage that is wrong
    $ printf 'stages:\n  e:\n    foreach: 3\n    do:\n      cmd: x\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s@x:\n    cmd: x\n' > dvc.yaml
    > status
    $ printf 'stages:\n  a/b:\n    cmd: x\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    outs: [x]\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a, a]\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [a]\n    outs: [a]\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n  t:\n    cmd: y\n    outs: [a]\n' > dvc.yaml
    > status
    > status s
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n  t:\n    cmd: y\n    outs: [a/b]\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [b]\n    outs: [a]\n  t:\n    cmd: y\n    deps: [a]\n    outs: [b]\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: x\n    wdir: nope\n    outs: [a]\n' > dvc.yaml
    > status
    $ printf 'stages:\n  s:\n    cmd: x\n    params: 3\n' > dvc.yaml
    > status
    $ printf 'nope: 3\n' > dvc.yaml
    > status
    # a dvc.lock that is wrong
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n' > dvc.yaml; echo 1 > a
    > commit -q -f
    $ printf 'schema: "9.0"\nstages: {}\n' > dvc.lock
    > status
    $ echo '[' > dvc.lock
    > status
    $ : > dvc.lock
    > status
    $ printf 's:\n  cmd: x\n  outs:\n  - path: a\n    md5: b026324c6904b2a9cb4b88d6d61c81d1\n' > dvc.lock
    > status
    > commit -f
    # dvc.lock: stages that are not in dvc.yaml, and without dvc.yaml
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n  t:\n    cmd: y\n    outs: [b]\n' > dvc.yaml; echo 1 > a; echo 2 > b
    > commit -q -f
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n' > dvc.yaml
    > status
    > commit -f s
    > gc -w -f
    $ rm dvc.yaml
    > status
    > checkout
    # dvc.lock keeps what it has
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n  t:\n    cmd: y\n    outs: [b]\n' > dvc.yaml; echo 1 > a; echo 2 > b
    > commit -q -f t
    > commit -q -f s
    $ echo 3 > b
    > commit -q -f t
    # no outputs
    $ printf 'stages:\n  s:\n    cmd: x\n  t:\n    cmd: y\n    deps: [d]\n' > dvc.yaml; echo 1 > d
    > status
    > commit -f
    > status
    # outputs in folders, gitignore
    $ mkdir -p o/p; printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - o/p/a\n    - o/dir\n    - o/b:\n        cache: false\n' > dvc.yaml; echo 1 > o/p/a; mkdir o/dir; echo 2 > o/dir/x; echo 3 > o/b
    > commit -f
    $ git status --porcelain
    > remove s --outs
    # dependencies outside
    $ echo 1 > ../ext; printf 'stages:\n  s:\n    cmd: x\n    deps:\n    - ../ext\n    - <root>\n    outs:\n    - a\n' > dvc.yaml; sed -i '/<root>/d' dvc.yaml; echo 1 > a
    > commit -f
    > status
    $ echo 2 > ../ext
    > status
    # outputs outside
    $ echo 1 > ../ext; printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - ../ext\n' > dvc.yaml
    > status
    > commit -f
    # through revisions
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a]\n' > dvc.yaml; echo 1 > a
    > commit -q -f
    $ git add -A; git commit -qm one; git tag v1; echo 2 > a
    > commit -q -f
    $ git add -A; git commit -qm two
    > diff v1
    > diff v1 HEAD --json
    $ git checkout -q v1
    > status
    > checkout
    > data status
    > gc -w -f
    > list . --rev v1
    # top level artifacts, params, metrics, plots
    $ printf 'stages:\n  s:\n    cmd: x\n    outs: [a, m.json]\nparams: [p.yaml]\nmetrics: [m.json]\nplots:\n- m.json:\n    x: i\nartifacts:\n  model:\n    path: a\n    type: model\n    desc: x\n    labels: [l]\n    meta: {k: v}\ndatasets:\n- name: d\n  url: s3://b\n  type: url\n' > dvc.yaml; echo 1 > a; echo '{}' > m.json
    > status
    > commit -f
    > status
    > freeze s
    # a .dvc output as a dependency
    $ echo 1 > a; mkdir d; echo 2 > d/x; echo 3 > d/y
    > add -q a d
    $ printf 'stages:\n  s:\n    cmd: x\n    deps: [a, d/x]\n    outs: [o]\n' > dvc.yaml; echo 1 > o
    > commit -q -f s
    > status
    $ echo 9 > d/y
    > status
    $ echo 9 > d/x
    > status
    > status -d s
    # dvc.yaml keeps comments when changed
    $ printf '# head\nstages:\n  # of s\n  s:\n    cmd: >\n      a very long command\n      over lines\n    deps:   # why\n      - "dep"\n    outs:\n      - out: {cache: false}\n\n  t:\n    cmd: |\n      x\n      y\n    frozen: false\n' > dvc.yaml; echo 1 > dep; echo 1 > out
    > freeze s
    > freeze t
    > unfreeze s
    > remove t
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pipelines(case, play):
    play(case)
