"""`import-url`, `update`, `status`, `get-url`, `list-url` and `add` of URLs: stock and ours beside each other on one store.

Each tool works in a repository of its own; what they say and what stands in the `.dvc` files must be the same.
"""

import os

import pytest

from dvc.remotes.repository import Repository
from dvc.runners import Result

# Stock cannot import from WebDAV: of a file it looks for one below it.
pytestmark = pytest.mark.kinds("s3", "azure", "gs", "ssh", "webhdfs")


def told(result: Result) -> tuple[int, list[str]]:
    """In any order, files to be committed too: stock keeps those in a set."""
    lines = (result.stdout + result.stderr).split("\n")
    return result.code, sorted(" ".join(sorted(line.split(" "))) for line in lines)


class Both:
    def __init__(self, stock: Repository, ours: Repository):
        self.stock, self.ours = stock, ours

    def dvc(self, *args: str, code: int | None = 0) -> Result:
        """The same from both, in what they say and leave."""
        left, right = (side.dvc(*args, code=code) for side in (self.stock, self.ours))
        assert told(left) == told(right), f"dvc {args}\nstock: {left}\nours: {right}"
        self.are_alike(f"dvc {' '.join(args)}")
        return right

    def are_alike(self, after: str) -> None:
        left, right = (
            {
                str(path.relative_to(side.path)): path.read_bytes()
                for path in side.path.rglob("*")
                # Stock puts lists of the store's checksums into the cache, and leaves files of its trials there.
                if path.is_file() and not {".git", "tmp", "cache", "config.local"} & set(path.relative_to(side.path).parts)
            }
            for side in (self.stock, self.ours)
        )
        for name in sorted(left.keys() | right.keys()):
            assert left.get(name) == right.get(name), f"after {after}: {name}\nstock: {left.get(name)}\nours: {right.get(name)}"


@pytest.fixture
def both(remote, repository, stock, ours):
    made = Both(repository("theirs", stock, remote), repository("mine", ours, remote))
    for key, content in {"data/a": b"1\n", "data/s/b": b"22\n", "data/ü x": b"", "f": b"file\n"}.items():
        remote.objects.write(f"in/{key}", content)
    for side in (made.stock, made.ours):
        remote.configure(side, "r", "in")
        remote.configure(side, "store", "store")
    return made


def test_imports(both, remote, kind):
    both.dvc("import-url", "remote://r/f")
    both.dvc("import-url", "remote://r/data")
    both.dvc("import-url", "remote://r/data/s/b", "b")
    both.dvc("import-url", "remote://r/nope", code=1)
    both.dvc("import-url", "remote://r/f", "lazy", "--no-download")
    both.dvc("import-url", "remote://r/data", "never", "--no-exec")
    both.dvc("status")
    both.dvc("update", "f.dvc")
    remote.objects.write("in/f", b"another file\n")
    remote.objects.write("in/data/c", b"333\n")
    both.dvc("unfreeze", "f.dvc", "data.dvc")
    both.dvc("status")
    both.dvc("update", "data.dvc")
    both.dvc("update", "lazy.dvc", "--no-download")
    both.dvc("update", "f.dvc")
    both.dvc("update", "lazy.dvc")
    both.dvc("update", "never.dvc")
    both.dvc("status")
    remote.objects.delete("in/f")
    if kind == "gs":
        # Stock ends with an error of the store's.
        assert "deleted:            remote://r/f" in both.ours.dvc("status").stdout
    else:
        both.dvc("status")


def test_to_a_remote(both, remote, kind):
    both.dvc("import-url", "remote://r/data", "--to-remote", "-r", "store")
    both.dvc("import-url", "remote://r/f", "f1", "--to-remote", "-r", "store", "-j", "2")
    both.dvc("add", "remote://r/f", "--to-remote", "-r", "store", "-o", "f2")
    # Beside them stock leaves what it wrote before it knew their names.
    sent = [key for key in remote.objects.keys("store/") if not key.endswith(".tmp")]
    assert len(sent) == 5, sent
    remote.objects.write("in/data/c", b"333\n")
    both.dvc("update", "data.dvc", "--to-remote", "-r", "store")
    if kind != "gs":
        both.dvc("pull", "-r", "store")
        return
    # Of what comes from its origin by its generation, stock counts one more.
    for side in (both.stock, both.ours):
        side.dvc("pull", "-r", "store")
    assert both.ours.data() == both.stock.data() and "f1" in both.ours.data()


def test_copies(both):
    both.dvc("get-url", "remote://r/f")
    both.dvc("get-url", "remote://r/data", "-j", "2")
    both.dvc("get-url", "remote://r/f", code=1)
    both.dvc("get-url", "remote://r/f", "f2")
    both.dvc("get-url", "remote://r/nope", code=1)
    both.dvc("list-url", "remote://r/")
    both.dvc("list-url", "remote://r/data")
    both.dvc("list-url", "remote://r/data", "-R")
    both.dvc("list-url", "remote://r/data", "-R", "--size")
    both.dvc("list-url", "remote://r/f")
    both.dvc("add", "remote://r/f", "-o", "added")
    both.dvc("add", "remote://r/data", "-o", "added2")


@pytest.mark.kinds("s3", "azure", "ssh", "http")
def test_what_a_stage_depends_on(both, remote):
    for side in (both.stock, both.ours):
        side.write("dvc.yaml", b"stages:\n  s:\n    cmd: echo done\n    deps:\n    - remote://r/f\n")
    both.dvc("status")
    both.stock.dvc("repro")
    both.ours.write("dvc.lock", (both.stock.path / "dvc.lock").read_bytes())
    both.dvc("status")
    remote.objects.write("in/f", b"another file\n")
    both.dvc("status")
    remote.objects.delete("in/f")
    both.dvc("status")


@pytest.mark.kinds("http")
def test_imports_over_http(both, remote):
    both.dvc("import-url", "remote://r/f")
    both.dvc("import-url", "remote://r/nope", code=1)
    both.dvc("import-url", "remote://r/f", "lazy", "--no-download")
    both.dvc("unfreeze", "f.dvc")
    both.dvc("status")
    remote.objects.write("in/f", b"another file\n")
    both.dvc("status")
    both.dvc("update", "f.dvc")
    both.dvc("update", "lazy.dvc")
    both.dvc("get-url", "remote://r/f", "copy")
    both.dvc("status")


@pytest.mark.kinds("webdav")
def test_an_origin_on_webdav_is_recorded(both, remote):
    # Of what was just written Apache tells a weak etag, and later another one.
    os.utime(remote.objects.root / "in/f", (1_700_000_000, 1_700_000_000))
    both.dvc("import-url", "remote://r/f", "--no-download")
    both.ours.dvc("pull")
    assert both.ours.data() == {"f": b"file\n"}


def test_fetches_what_was_never_imported(both, kind):
    """Stock keeps it in a folder beside the objects, ours among them; the work tree is the same."""
    both.dvc("import-url", "remote://r/f", "--no-download")
    # Over SSH and WebHDFS stock brings nothing.
    for side in (both.ours,) if kind in ("ssh", "webhdfs") else (both.stock, both.ours):
        side.dvc("pull")
        assert (side.path / "f").read_bytes() == b"file\n"


def test_secrets_are_not_written(both, ours, pytestconfig):
    if pytestconfig.getoption("--dvc") == "stock":
        pytest.skip("stock DVC writes them")
    refused = both.ours.dvc("import-url", "s3://b/f", "--fs-config", "secret_access_key=hush", code=1)
    assert "hush" not in str(refused) and "remote modify --local" in refused.stderr
