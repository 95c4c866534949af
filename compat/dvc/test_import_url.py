"""`import-url`, `get-url`, `list-url` and `add` of a URL, and what other commands make of such imports."""

import pytest

from dvc.pair import cases

OUTSIDE = "$ mkdir -p ../ext/d/s; echo 1 > ../ext/d/a; echo 22 > ../ext/d/s/b; echo x > ../ext/f; chmod +x ../ext/f"

CASES = cases(
    rf"""
    # from this machine
    {OUTSIDE}
    > import-url ../ext/f
    > import-url ../ext/d
    > import-url ../ext/f f2 -q
    > import-url ../ext/d/a sub/a
    $ mkdir sub; echo in > inside; cp -r ../ext/d tree
    > import-url ../ext/d/a sub/a
    > import-url ../ext/d/s sub
    > import-url inside copy
    > import-url tree copied
    > import-url inside sub/copy
    > import-url inside inside
    > import-url inside inside -f
    > import-url ../ext/nope
    > import-url ../ext/f
    > import-url ../ext/d/a f -f
    > import-url foo://bar/x
    > import-url remote://nope/x
    > status
    > push
    > status -c
    > update f.dvc
    $ echo more >> ../ext/f; echo c > ../ext/d/c; echo changed > inside
    > status
    > update d.dvc
    > update -R .
    > unfreeze f2.dvc copy.dvc
    $ echo again >> ../ext/f; rm inside
    > status
    > update f2.dvc
    > update copy.dvc
    # not now
    {OUTSIDE}
    > import-url ../ext/f g1 --no-exec
    > import-url ../ext/f g2 --no-download
    > import-url ../ext/d g3 --no-download
    > import-url ../ext/f g4 --no-download --no-exec
    > status
    > status g1.dvc
    $ echo q >> ../ext/f; echo q > ../ext/d/q
    > update g2.dvc
    > update g3.dvc --no-download
    > update g1.dvc
    > update g3.dvc
    > status
    # from a folder inside
    {OUTSIDE}
    $ mkdir sub; echo in > inside
    cd sub
    > import-url ../../ext/f
    > import-url ../inside
    > import-url ../inside ../copy
    > status
    > update inside.dvc
    # to a remote
    {OUTSIDE}; chmod -x ../ext/f
    > import-url ../ext/d --to-remote
    > remote add -q -d r ../rem
    > import-url ../ext/d --to-remote
    > import-url ../ext/f f1 --to-remote
    > import-url ../ext/f f2 --to-remote -r nope
    > import-url ../ext/f f3 --to-remote --no-exec
    > import-url ../ext/f f4 -r r
    > status
    $ echo z > ../ext/d/z; echo z >> ../ext/f
    > update d.dvc f1.dvc --to-remote
    > update d.dvc -r r
    > pull
    # options
    {OUTSIDE}
    > import-url ../ext/f zz --fs-config a=b
    > import-url ../ext/f zv --version-aware
    > import-url ../ext/f zj -j 2
    > import-url
    > import-url a b c
    > import-url --help
    # get-url
    {OUTSIDE}
    > get-url ../ext/f
    > get-url ../ext/d
    > get-url ../ext/f
    > get-url ../ext/f -f
    > get-url ../ext/d/a d
    > get-url ../ext/f new/f
    > get-url ../ext/nope
    > get-url foo://bar/x
    > get-url remote://nope/x
    > get-url --help
    # get-url outside of a repository
    @ none
    {OUTSIDE}
    > get-url ../ext/f
    > get-url ../ext/d
    # a remote's path
    {OUTSIDE}
    > remote add -q r ../ext
    > import-url remote://r/f
    > import-url remote://r/d
    > import-url remote://r/nope
    > get-url remote://r/d d2
    > get-url remote://r/f f2
    > import-url remote://r/d d3 --no-download
    > status
    $ echo z >> ../ext/f; echo 3 > ../ext/d/c
    > update f.dvc d.dvc
    > add remote://r/f -o added
    > add remote://r/d -o added2
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_import_url(case, play):
    play(case)


LISTED = ["", "-R", "-R --size", "-T", "-T -L 1", "-R -L 1", "-R -L 2", "-L 0", "--size"]


@pytest.mark.parametrize("options", LISTED)
def test_list_url(options, pair):
    """The order is that of the file system's entries in stock; ours is by name."""
    pair.begin("dvc")
    pair.shell("mkdir -p ../ext/d/s; echo 1 > ../ext/d/a; echo 22 > ../ext/d/s/b; echo x > ../ext/f")
    for url in ("../ext", "../ext/d", "../ext/f", "../ext/nope"):
        pair.dvc(["list-url", url, *options.split()])
    pair.done()
