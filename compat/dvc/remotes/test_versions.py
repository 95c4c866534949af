"""Remotes that keep versions of files under their own names: what one tool has pushed the other takes, older versions too, and
both write the same into `.dvc` files.

Stock pushes to `p`, ours to `q`, in one bucket that keeps versions.
"""

import re

import pytest
from botocore.exceptions import ClientError

from dvc.remotes.kinds import keep_versions
from dvc.remotes.repository import Repository

pytestmark = pytest.mark.kinds("s3", "gs-versions")

UP_TO_DATE = "Everything is up to date.\n"


@pytest.fixture
def versions(remote):
    """The bucket keeps versions from now on."""
    keep_versions(remote)
    return remote


def two(repository, stock, ours, remote, option: str) -> tuple[Repository, Repository]:
    """Stock's repository with the remote `r` at `p`, and ours with `r` at `q`, with the same data."""
    made = []
    for name, tool, below in (("theirs", stock, "p"), ("mine", ours, "q")):
        one = repository(name, tool, remote)
        remote.configure(one, "r", below)
        one.dvc("remote", "modify", "r", option, "true")
        one.dvc("remote", "default", "r")
        one.write("f", b"file\n")
        # Of a name with `#` stock cannot read back the version that it has pushed itself.
        for inner in ("a", "sub/b", "a b", "50%25", "p+q", "ü"):
            one.write(f"d/{inner}", inner.encode())
        # In more than one request of the store's.
        one.write("big", bytes(range(256)) * 40_000)
        one.dvc("add", "-q", "f", "d", "big")
        made.append(one)
    return made[0], made[1]


def recorded(one: Repository) -> dict[str, str]:
    """What stands in the `.dvc` files, but for what differs by nature; of an object of parts the etag does, too."""
    texts = {}
    for path in sorted(path for path in one.path.glob("*.dvc") if path.is_file()):
        text = re.sub(r"version_id: .*", "version_id: X", path.read_text())
        texts[path.name] = re.sub(r"etag: .*", "etag: X", text) if path.name == "big.dvc" else text
    return texts


def test_push_records_versions_as_stock_does(versions, repository, stock, ours):
    theirs, mine = two(repository, stock, ours, versions, "version_aware")
    for one in (theirs, mine):
        assert one.dvc("push").stdout == "8 files pushed\n"
        assert one.dvc("push").stdout == UP_TO_DATE
    assert recorded(mine) == recorded(theirs)
    left, right = versions.objects.keys("p/"), versions.objects.keys("q/")
    assert {key.removeprefix("q/"): size for key, size in right.items()} == {
        key.removeprefix("p/"): size for key, size in left.items()
    }
    for one in (theirs, mine):
        one.write("d/a", b"other")
        one.write("d/new", b"new")
        one.write("f", b"second\n")
        one.dvc("add", "-q", "d", "f")
    assert recorded(mine) == recorded(theirs), "after add"
    for one in (theirs, mine):
        assert one.dvc("push").stdout == "3 files pushed\n"
    assert recorded(mine) == recorded(theirs), "after the second push"
    assert mine.dvc("status").stdout == theirs.dvc("status").stdout
    for args, code in ((("status", "-c"), 1), (("gc", "-c", "-w", "-f"), 251)):
        left, right = mine.dvc(*args, code=code), theirs.dvc(*args, code=code)
        assert (left.stdout, left.stderr) == (right.stdout, right.stderr)


@pytest.mark.parametrize("option", ["version_aware", "worktree"])
@pytest.mark.parametrize("pusher", ["stock", "ours"])
def test_each_takes_the_versions_of_the_other(versions, repository, stock, ours, option, pusher):
    tools = (stock, ours) if pusher == "stock" else (ours, stock)
    one = two(repository, *tools, versions, option)[0]
    one.dvc("push")
    one.commit()
    first = one.data()
    one.write("d/a", b"other")
    one.write("f", b"second\n")
    (one.path / "d/sub/b").unlink()
    one.dvc("add", "-q", "d", "f")
    one.dvc("push")
    one.commit()
    second = one.data()

    other = repository("other", tools[1], versions, of=one)
    assert other.dvc("fetch").stdout == "7 files fetched\n"
    other.dvc("checkout")
    assert other.data() == second
    other.git("checkout", "-q", "HEAD~1")
    other.forget()
    other.dvc("pull")
    assert other.data() == first
    assert other.dvc("status").stdout == "Data and pipelines are up to date.\n"
    other.git("checkout", "-q", "main")
    other.dvc("pull")
    assert other.data() == second
    assert other.dvc("push").stdout == UP_TO_DATE


# Google's objects have generations whether these are kept or not, so nobody can tell.
@pytest.mark.kinds("s3")
@pytest.mark.parametrize("option", ["version_aware", "worktree"])
def test_a_bucket_without_versions_is_refused(remote, repository, ours, option):
    mine = two(repository, ours, ours, remote, option)[0]
    before = recorded(mine)
    failed = mine.dvc("push", code=None)
    assert failed.code == 1 and "support for versioning could not be detected" in failed.stderr, failed
    assert recorded(mine) == before


@pytest.mark.kinds("s3")
def test_a_version_that_is_gone_or_damaged_is_not_taken(versions, repository, ours):
    mine = two(repository, ours, ours, versions, "version_aware")[0]
    mine.dvc("push")
    bucket = versions.objects
    client, key = bucket.s3(), next(key for key in bucket.everything() if key.endswith("/f"))
    gone = client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"][0]["VersionId"]
    client.delete_object(Bucket=bucket.name, Key=key, VersionId=gone)
    with pytest.raises(ClientError):
        client.head_object(Bucket=bucket.name, Key=key, VersionId=gone)
    mine.forget()
    failed = mine.dvc("fetch", code=1)
    assert "failed to fetch data from the cloud - 1 files failed to download" in failed.stderr
    assert "f" not in mine.data()
