"""`import-url --version-aware`, URLs that name a version, and `update` from a `worktree` remote: the versions of a place that keeps
them, recorded by one tool and read by the other.
"""

import pytest

from dvc.remotes.kinds import keep_versions
from dvc.remotes.test_urls import Both
from dvc.remotes.test_versions import recorded

pytestmark = pytest.mark.kinds("s3", "gs-versions")


@pytest.fixture
def both(remote, repository, stock, ours):
    keep_versions(remote)
    made = Both(repository("theirs", stock, remote), repository("mine", ours, remote))
    for key, content in {"data/a": b"a1\n", "data/s/b": b"b1\n", "data/ü x": b"", "f": b"first\n"}.items():
        remote.objects.write(f"in/{key}", content)
    for side in (made.stock, made.ours):
        remote.configure(side, "r", "in")
    return made


def test_imports_of_versions(both, remote):
    both.dvc("import-url", "--version-aware", "remote://r/f")
    both.dvc("import-url", "--version-aware", "remote://r/data")
    both.dvc("import-url", "--version-aware", "--no-download", "remote://r/f", "lazy")
    assert "push: false" in (both.ours.path / "f.dvc").read_text()
    both.dvc("status")
    remote.objects.write("in/f", b"second\n")
    remote.objects.write("in/data/a", b"a2\n")
    for side in (both.stock, both.ours):
        # Stock does not look at what is frozen, `update` thaws it.
        side.dvc("unfreeze", "f.dvc", "data.dvc")
    both.dvc("status")
    for side in (both.stock, both.ours):
        side.forget()
        side.dvc("pull")
        assert side.data() == {
            "f": b"first\n", "lazy": b"first\n", "data/a": b"a1\n", "data/s/b": b"b1\n", "data/ü x": b"",
        }, side.tool  # fmt: skip
    both.dvc("update", "f.dvc")
    both.dvc("update", "data.dvc")
    assert both.ours.data()["data/a"] == b"a2\n" and both.ours.data()["f"] == b"second\n"
    both.dvc("status")
    both.dvc("update", "lazy.dvc", "--no-download")
    both.dvc("update", "lazy.dvc")
    both.dvc("status")


def test_each_pulls_the_versions_that_the_other_imported(both, remote, repository, stock, ours):
    for one, tool in ((both.stock, ours), (both.ours, stock)):
        one.dvc("import-url", "--version-aware", "remote://r/f")
        one.dvc("import-url", "--version-aware", "remote://r/data")
        one.commit()
        remote.objects.write("in/f", b"second\n")
        remote.objects.write("in/data/new", b"new\n")
        other = repository(f"after-{one.path.parent.name}", tool, remote, of=one)
        other.dvc("pull")
        assert other.data() == one.data()
        other.dvc("update", "f.dvc")
        other.dvc("update", "data.dvc")
        assert other.data()["f"] == b"second\n" and other.data()["data/new"] == b"new\n"
        remote.objects.write("in/f", b"first\n")
        remote.objects.delete("in/data/new")


@pytest.mark.kinds("s3")
def test_a_url_names_a_version(both, remote):
    """Stock takes the newest whatever the URL says; ours takes what it names, and stock understands what ours recorded."""
    bucket = remote.objects
    key = next(key for key in bucket.everything() if key.endswith("in/f"))
    first = bucket.s3().head_object(Bucket=bucket.name, Key=key)["VersionId"]
    remote.objects.write("in/f", b"second\n")
    mine, url = both.ours, f"remote://r/f?versionId={first}"
    mine.dvc("import-url", url, "old")
    assert (mine.path / "old").read_bytes() == b"first\n"
    recorded = (mine.path / "old.dvc").read_text()
    assert f"version_id: {first}" in recorded and "push: false" in recorded
    mine.dvc("get-url", url, "copy")
    assert (mine.path / "copy").read_bytes() == b"first\n"
    mine.dvc("unfreeze", "old.dvc")
    assert mine.dvc("status").stdout == "Data and pipelines are up to date.\n"
    mine.dvc("freeze", "old.dvc")
    mine.dvc("import-url", "--version-aware", "remote://r/f", "new")
    mine.dvc("update", "--rev", first, "new.dvc")
    assert (mine.path / "new").read_bytes() == b"first\n"
    missing = mine.dvc("import-url", "remote://r/f?versionId=00000000000000000000000000000000", "none", code=1)
    assert "does not exist" in missing.stderr or "nvalid version" in missing.stderr, missing


def test_update_takes_the_newest_of_a_worktree(remote, repository, stock, ours):
    keep_versions(remote)
    made = []
    for name, tool, below in (("theirs", stock, "p"), ("mine", ours, "q")):
        one = repository(name, tool, remote)
        remote.configure(one, "r", below)
        one.dvc("remote", "modify", "r", "worktree", "true")
        one.dvc("remote", "default", "r")
        one.write("f", b"file\n")
        for inner in ("a", "sub/b"):
            one.write(f"d/{inner}", inner.encode())
        one.write("gone", b"gone\n")
        one.dvc("add", "-q", "f", "d", "gone")
        one.dvc("push")
        remote.objects.write(f"{below}/f", b"somebody else's\n")
        remote.objects.write(f"{below}/d/a", b"other")
        remote.objects.write(f"{below}/d/more", b"more")
        remote.objects.delete(f"{below}/d/sub/b")
        remote.objects.delete(f"{below}/gone")
        told = [one.dvc("update", target) for target in ("f.dvc", "d.dvc", "gone.dvc")]
        made.append((one, told))
    (theirs, left), (mine, right) = made
    assert [(one.code, one.stdout, one.stderr) for one in right] == [(one.code, one.stdout, one.stderr) for one in left]
    assert mine.data() == theirs.data() == {
        "f": b"somebody else's\n", "d/a": b"other", "d/more": b"more", "gone": b"gone\n",
    }  # fmt: skip
    # Stock forgets of a folder's new files that they are in `r`, and of a folder of which all are new it says then that it was
    # never pushed.
    assert mine.dvc("update", "d.dvc", "f.dvc").stderr == ""
    assert recorded(mine)["f.dvc"] == recorded(theirs)["f.dvc"]
    for one in (theirs, mine):
        one.dvc("status")
    mine.write("d/a", b"only here")
    remote.objects.write("q/d/more", b"again")
    refused = mine.dvc("update", "d.dvc", code=1)
    assert "changes that are recorded nowhere" in refused.stderr and mine.data()["d/a"] == b"only here"
    mine.dvc("checkout", "--force", "d")
    mine.dvc("update", "d.dvc")
    assert mine.data()["d/more"] == b"again"
    mine.forget()
    mine.dvc("pull")
    assert mine.data()["d/more"] == b"again" and mine.data()["d/a"] == b"other"
