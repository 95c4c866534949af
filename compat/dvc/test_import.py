"""`import` from other repositories, and what other commands make of such imports: `update`, `status`, `fetch`, `pull`."""

import pytest

from dvc.pair import cases

# Another repository beside the one of the case: data `d` and `f`, and git's own `g` and `t`.
OTHER = """
    $ git clone -q . ../other; cd ../other; mkdir -p d/s g; echo 1 > d/a; echo 22 > d/s/b; echo f > f; chmod +x f
    $ cd ../other; echo git > g/x; echo t > t; chmod +x t
    cd ../other
    > add -q d f
    $ git add -A; git commit -qm one
    cd .
"""

CASES = cases(
    rf"""
    # files and folders, of DVC and of git
    {OTHER}
    $ git -C ../other tag v1
    > import ../other d
    > import ../other f
    > import ../other t
    > import ../other g
    > import ../other d/s -o s
    > import ../other d/a -o a
    > import ../other g/x -o new.txt
    > import ../other d
    > import ../other d -f
    > import ../other f -o d
    > import ../other f -o nowhere/f
    > import ../other nope
    > import ../other d/nope
    > import ../other f.dvc -o x
    > import ../other f -o x.dvc
    > status
    > status d.dvc f.dvc
    > list . -R
    > remove f.dvc --outs
    $ mkdir sub
    > import ../other f -o sub
    > import ../other f -o sub/ff
    > import ../other f --no-exec -o n1
    > import ../other f --no-exec -o n2 --rev v1
    > import ../other f --no-download -o n3
    > import ../other f --no-download --no-exec -o n4
    > status
    > config core.autostage true
    > import ../other t -o staged
    > import ../other t -o quiet -q
    # from a folder inside
    {OTHER}
    $ mkdir -p sub/deep
    cd sub
    > import ../../other d
    > import ../../other f -o deep/f
    > import ../../other f -o ../up
    > status
    > update d.dvc
    # revisions
    {OTHER}
    cd ../other
    $ git tag v1; git branch b; echo 3 > d/c; rm d/a; echo ff > f; echo gg > g/x
    > add -q d f
    $ git add -A; git commit -qm two
    cd .
    > import ../other d --rev v1
    > import ../other f --rev b
    > import ../other g --rev HEAD~1
    > import ../other d --rev nope -o q
    > import ../other f -o latest
    > status
    > update d.dvc
    > update d.dvc f.dvc --rev main
    > update g.dvc --rev v1
    > update g.dvc --rev HEAD
    > update g.dvc --rev nope
    > status
    > update latest.dvc
    # the other one moves on
    {OTHER}
    > import -q ../other d
    > import -q ../other f
    > import -q ../other g
    > import -q ../other f -o never --no-download
    $ git add -A; git commit -qm imports; cd ../other; echo 3 > d/c; rm d/a; echo ff > f; echo gg > g/x
    cd ../other
    > add -q d f
    $ git add -A; git commit -qm two
    cd .
    > status
    > status --no-updates
    > status -q
    > update d.dvc
    > update f.dvc --no-download
    > update never.dvc
    > update -R .
    > update -R .
    > status
    > update
    > update nope.dvc
    > update f
    > update d.dvc --to-remote
    > update d.dvc --to-remote --no-download
    > update d.dvc --remote r
    # modified by hand
    {OTHER}
    > import -q ../other d
    > import -q ../other f
    $ echo mine > d/mine; rm f
    > status
    > update d.dvc f.dvc
    $ echo edited >> f.dvc; sed -i 's/^edited//; s/path: f$/path: f  # a comment/' f.dvc
    > status
    > update f.dvc
    # what is no import
    $ echo 1 > x
    > add -q x
    > update x.dvc
    > update x.dvc --rev v1
    > update x.dvc --to-remote
    > update x.dvc --no-download
    # settings of the other repository
    {OTHER}
    cd ../other
    > remote add -q store ../store
    > push -q -r store
    $ git add -A; git commit -qm one; rm -rf .dvc/cache
    cd .
    > import ../other d --remote store
    > import ../other f --remote s2 --remote-config url=../store
    > import ../other d/a -o a --no-exec --remote-config url=../store
    > import ../other d/a -o b --remote nope
    $ printf '[core]\n    remote = store\n' > their.config
    > import ../other d/s -o s --config their.config
    > import ../other d/s -o s2 --config nope.config
    > import ../other d/s -o s3 --config nope.config --no-exec
    > import ../other d/s -o s4 --config their.config --remote s2 --remote-config url=../store
    > update d.dvc f.dvc s.dvc
    > status
    # the cache is gone
    {OTHER}
    > import -q ../other d
    > import -q ../other f
    > import -q ../other g
    > import -q ../other t
    $ git add -A; git commit -qm imports; rm -rf .dvc/cache d f g t
    > status
    > pull
    > status
    $ rm -rf .dvc/cache
    > fetch
    > fetch
    $ rm -rf d f
    > checkout
    # part of it
    {OTHER}
    > import -q ../other d
    > import -q ../other f
    $ rm -rf .dvc/cache d f
    > pull f
    > pull d.dvc
    > push
    > status -c
    > data status
    > diff
    # never downloaded
    {OTHER}
    > import -q ../other d --no-download
    > import -q ../other f --no-exec
    > status
    > checkout f.dvc
    > pull d.dvc
    > status d.dvc
    > data status
    > update d.dvc
    > update f.dvc
    > status
    # the other one is gone
    {OTHER}
    > import -q ../other d
    $ mv ../other ../away
    > status
    > update d.dvc
    > import ../other f
    > import ../away f
    # a chain
    $ git clone -q . ../third; cd ../third; mkdir -p d/s; echo 1 > d/a; echo 22 > d/s/b; echo g > g
    cd ../third
    > add -q d
    $ git add -A; git commit -qm one; git clone -q ../repo ../other
    cd ../other
    > import -q ../third d
    > import -q ../third g -o gg
    > import -q ../third d -o lazy --no-download
    $ git add -A; git commit -qm one; rm -rf .dvc/cache d gg
    cd .
    > import ../other d
    > import ../other d/s -o s
    > import ../other gg
    > import ../other lazy
    > get ../other d -o d1
    > get ../other gg -o g1
    $ rm -rf .dvc/cache d gg
    > pull
    > list ../other -R
    # a repository in the repository
    $ git clone -q . ../other; mkdir ../other/sub
    cd ../other/sub
    > init -q --subdir
    $ mkdir -p d; echo 1 > d/a; echo f > f
    > add -q d f
    $ git add -A; git commit -qm one
    cd .
    > import ../other sub/d
    > import ../other sub/f --rev main
    > import ../other sub -o all
    > import ../other/sub f -o f2
    # outputs of a pipeline
    $ git clone -q . ../other; cd ../other; printf 'stages:\n  s:\n    cmd: x\n    outs:\n    - out\n    - od\n' > dvc.yaml; echo 1 > out; mkdir od; echo 3 > od/x
    cd ../other
    > commit -q -f
    $ git add -A; git commit -qm one
    cd .
    > import ../other out
    > import ../other od
    > import ../other dvc.yaml -o their.yaml
    > status
    # not of git
    @ no-scm
    $ mkdir ../other; cd ../other; git init -q; echo 1 > a; git add a; git commit -qm a; mkdir ../plain; echo 1 > ../plain/a
    > import ../other a
    > import ../plain a -o b
    # links
    {OTHER}
    > config cache.type symlink
    > import ../other d
    > import ../other f
    > config cache.type hardlink
    > import ../other t
    # arguments
    > import
    > import .
    > import . a --help
    > import . a --nope
    > update --help
    """
)

@pytest.mark.parametrize("case", CASES, ids=str)
def test_import(case, play):
    play(case)


def test_at_a_url(pair, elsewhere):
    """Everything through a clone: nothing of the other repository but its URL is at hand."""
    elsewhere.git("tag", "-a", "v1", "-m", "v1")
    (elsewhere.root / "f").write_text("ff\n")
    elsewhere.dvc("add", "-q", "f")
    elsewhere.commit("two")
    elsewhere.git("branch", "b")
    pair.begin("dvc")
    pair.play_lines(
        f"""
        > import {elsewhere.url} d
        > import {elsewhere.url} f
        > import {elsewhere.url} d/s -o s
        > import {elsewhere.url} f -o f1 --rev v1
        > import {elsewhere.url} f -o f2 --rev b
        > import {elsewhere.url} g -o g1 --rev HEAD~1
        > import {elsewhere.url} f -o f3 --rev nope
        > import {elsewhere.url} nope -o f3
        > import {elsewhere.url}-not-there f -o f4
        > import {elsewhere.url} f -o lazy --no-download
        $ git add -A; git commit -qm imports
        > status
        > status f1.dvc
        > get {elsewhere.url} d -o gotten
        > get {elsewhere.url} f -o gotten1 --rev v1
        > get {elsewhere.url} f --show-url
        > get {elsewhere.url} d/a --show-url --rev v1
        > list {elsewhere.url}
        > list {elsewhere.url} d -R --rev v1
        > list {elsewhere.url} --json --size
        $ rm -rf .dvc/cache d f f1 f2 g1 s
        > pull d.dvc f.dvc f1.dvc f2.dvc g1.dvc s.dvc
        """,
    )
    (elsewhere.root / "f").write_text("fff\n")
    elsewhere.dvc("add", "-q", "f")
    elsewhere.commit("three")
    pair.play_lines(
        """
        > status
        > update f.dvc
        > update f1.dvc
        > update f2.dvc --rev main
        > update d.dvc --no-download
        > update lazy.dvc
        > status
        """,
    )


# Ours alone: what stock would run, or show to everybody who reads the .dvc file.
REFUSED = [
    "ext::sh -c touch% <root>/owned",
    "--upload-pack=touch <root>/owned",
    "ssh://-oProxyCommand=touch/x",
    "https://me:secret@127.0.0.1:1/x",
]


@pytest.mark.parametrize("url", REFUSED)
def test_refused(url, pair, pytestconfig):
    if pytestconfig.getoption("--dvc") == "stock":
        pytest.skip("stock DVC takes all of these")
    pair.begin("dvc")
    side = pair.ours
    before = side.snapshots.take()
    arguments = ["import", *(["--"] if url.startswith("-") else []), url, "d"]
    result = side.start(arguments, pair.cwd, {}, "")()
    assert result.code == 1, result
    assert "secret" not in result.stdout + result.stderr
    assert side.snapshots.take() == before
