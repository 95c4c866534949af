"""`dvc remote`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # none
    > remote list
    > remote default
    > remote remove nope
    > remote modify nope url x
    > remote rename nope x
    > remote default nope
    # add and list
    > remote add r ../rem
    > remote list
    > remote add r ../rem2
    > remote add -f r ../rem2
    > remote add -d s3r s3://bucket/path
    > remote add -d s3r2 s3://bucket/path
    > remote add --default q /abs/path
    > remote list
    > remote default
    > remote add -q w ../w
    # default
    > remote add r ../rem
    > remote add q ../rem2
    > remote default r
    > remote default
    > remote default nope
    > remote default --local q
    > remote default
    > remote default --local
    > remote default -u --local
    > remote default
    > remote default -u
    > remote default -u
    > remote default
    # modify
    > remote add r ../rem
    > remote modify r url ../rem3
    > remote modify r nope x
    > remote modify r jobs 4
    > remote modify r jobs x
    > remote modify r verify true
    > remote modify r verify
    > remote modify r nope
    > remote modify r -u jobs
    > remote modify r -u jobs
    > remote modify r -u nope
    > remote modify r --unset verify
    > remote modify --local r url /abs/p
    > remote modify --local r jobs 2
    > remote list
    > remote modify r
    # modify by kind
    > remote add s s3://b/p
    > remote modify s region eu
    > remote modify s port 3
    > remote modify s endpointurl http://x:1
    > remote modify s credentialpath ~/.aws/c
    > remote modify s credentialpath creds
    > remote modify s use_ssl no
    > remote modify s use_ssl maybe
    > remote modify s sse 'a,b "c" # d'
    > remote add h ssh://u@h:22/p
    > remote modify h port x
    > remote modify h port 2222
    > remote modify h keyfile key
    > remote modify h password 'p#w'
    # remove
    > remote add -d r ../rem
    > remote add --local l ../loc
    > remote modify --local r jobs 2
    > remote remove l
    > remote remove --local l
    > remote remove r
    > remote list
    > remote remove --local r
    # remove a default of another level
    > remote add r ../rem
    > remote default --local r
    > remote remove r
    > remote list
    > push
    # rename
    > remote add -d r ../rem
    > remote add t ../rem2
    > remote rename r q
    > remote rename r q
    > remote rename q t
    > remote rename q q
    > remote modify --local q jobs 1
    > remote rename q z
    > remote list
    > remote rename t 'a b'
    # levels
    > remote add --global g ../rel
    > remote add --local l ../rel
    > remote add --system s ../rel
    > remote add --project p ../rel
    > remote list
    > remote list --global
    > remote list --local
    > remote list --system
    > remote list --project
    > remote add l /elsewhere
    > remote remove l
    > remote rename --global g gg
    > remote remove --global gg
    > remote default --global g
    > remote add --global --local x y
    # urls
    > remote add a ../x
    > remote add b x/y
    > remote add c ./x
    > remote add d /abs/x/
    > remote add e ~/x
    > remote add f file:///abs/x
    > remote add g gs://b
    > remote add h azure://c/p
    > remote add i https://h/x
    > remote add j webdav://h/x
    > remote add k oss://b
    > remote add l gdrive://root/x
    > remote add m hdfs://u@h/x
    > remote add n weird://x
    > remote add o remote://a/sub
    > remote add p ssh://u@h/p
    > remote add q ''
    > remote add r .
    > remote list
    # from a subfolder
    $ mkdir s
    cd s
    > remote add a ../x
    > remote add b y
    > remote list
    > remote modify a url ../../z
    # names
    > remote add 'we ird' /x/y
    > remote add a.b /x/y
    > remote add '' /x/y
    > remote add 'A' /x
    > remote add 'q"q' /x
    > remote add 'a]b' /x
    > remote list
    > remote default A
    > remote default a
    > remote remove A
    > remote add "it's" /x
    # names that are not ASCII
    > remote add 'é' /x
    # comments are kept
    $ printf '# top\n[core]\n    remote = r  # default\n\n# the store\n["remote \\"r\\""]\n    # where\n    url = ../x ; y\n' > .dvc/config; printf "# top\n[core]\n    remote = r # x\n['remote \"r\"']\n    # where\n    url = ../x\n" > .dvc/config
    > remote list
    > remote add q ../y
    > remote modify r jobs 3
    > remote remove r
    # a remote in a folder of the remote
    $ echo 1 > a
    > add -q a
    > remote add -d base ../base
    > remote add sub remote://base/sub
    > push -r sub
    > remote add nope remote://missing/sub
    > push -r nope
    # outside of a repository
    @ none
    > remote add r x
    > remote add --global r x
    > remote list
    > remote list --global
    > remote default --global r
    > remote modify --global r jobs 2
    > remote remove --global r
    # arguments
    > remote
    > remote nope
    > remote add
    > remote add x
    > remote add a b c
    > remote modify
    > remote rename x
    > remote --help
    > remote add --help
    > remote default --help
    > remote modify --help
    > remote list --help
    > remote remove --help
    > remote rename --help
    # an invalid config
    $ printf '[core]\n    zzz = 1\n' > .dvc/config
    > remote list
    > remote add a b
    > remote default
    $ printf "['remote \"x\"']\n    jobs = 1\n" > .dvc/config
    > remote list
    > status
    > push
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_remote(case, play):
    play(case)
