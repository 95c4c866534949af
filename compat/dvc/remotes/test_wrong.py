"""What is wrong on the remote, or with the way to it: nothing wrong is ever taken in, and one line says what it is."""

import pytest

from dvc.remotes.kinds import KINDS
from dvc.remotes.test_both_ways import lines

# A machine that does much else, and stock with its slow libraries.
pytestmark = pytest.mark.timeout(600)

# Nothing listens there.
DEAD = "127.0.0.1:9"


def key_of(remote, content: bytes) -> str:
    """Of the object with this content, in the remote's folder `p`."""
    (key,) = [key for key in remote.objects.keys("p/files/") if remote.objects.read(key) == content]
    return key


def files(one) -> set[str]:
    return {key for key in one.cached() if not key.endswith(".dir")}


def test_objects_that_are_missing_or_not_what_they_are_called(kind, remote, repository, stock, ours):
    first = repository("first", ours, remote)
    first.fill()
    remote.configure(first, "p", "p")
    first.dvc("push", "-r", "p")
    first.commit()

    # Missing: as stock has it.
    missing = key_of(remote, b"d/sub/b")
    kept = remote.objects.read(missing)
    remote.objects.delete(missing)
    mine = repository("mine", ours, remote, of=first)
    theirs = repository("theirs", stock, remote, of=first)
    for command in ("status -c", "fetch", "pull"):
        found = [one.dvc(*command.split(), "-r", "p", code=None) for one in (mine, theirs)]
        if KINDS[kind].stock_misses:
            assert found[0].code == found[1].code, f"{command}: ours: {found[0]}\nstock: {found[1]}"
        assert ("d/sub/b" in found[0].stdout or missing.split("/")[-1] in found[0].stderr), found[0]
    if KINDS[kind].stock_misses:
        assert {key for key in theirs.cached() if key.startswith("files/")} == {key for key in mine.cached() if key.startswith("files/")}
    assert lines(first.dvc("push", "-r", "p"), "p")[1] == ["", "1 file pushed"]
    assert remote.objects.read(missing) == kept
    mine.dvc("pull", "-r", "p")
    assert mine.data() == first.data()

    # Other bytes of the same length, and fewer: stock takes them in.
    bad = {key_of(remote, b"d/a"): b"evl", key_of(remote, b"file\n"): b"fi", key_of(remote, b""): b"more"}
    for key, content in bad.items():
        remote.objects.write(key, content)
    mine.forget()
    for command in ("fetch", "pull"):
        done = mine.dvc(command, "-r", "p", code=None)
        assert done.code != 0, f"{command} has taken in what is wrong: {done}"
        for key in bad:
            name = "".join(key.split("/")[-2:])
            assert name in done.stderr or name in done.stdout, f"{command} does not tell of {name}: {done}"
    # The others were taken, and what is repaired is taken too.
    # A folder's list comes when all of its files have come.
    assert files(mine) == files(first) - {key.removeprefix("p/") for key in bad}
    for key, content in zip(bad, (b"d/a", b"file\n", b"")):
        remote.objects.write(key, content)
    mine.dvc("pull", "-r", "p")
    assert mine.data() == first.data()

    # The list of a folder.
    (listing,) = [key for key in remote.objects.keys("p/files/") if b"sub/deeper/c\"" in remote.objects.read(key)]
    whole = remote.objects.read(listing)
    remote.objects.write(listing, whole.replace(b"sub/deeper/c", b"../../out/c"))
    mine.forget()
    assert mine.dvc("pull", "-r", "p", code=None).code != 0
    assert "d/a" not in mine.data()
    assert not (mine.folder / "out").exists()


COMMANDS = ("push -r p", "status -c -r p", "fetch -r p", "pull -r p", "gc -c -w -f -r p")


def refused(one, *words: str) -> None:
    """Each command ends with an error of one line, with these words."""
    for command in COMMANDS:
        done = one.dvc(*command.split(), code=None)
        assert done.code not in (0, 101), f"{command} has succeeded: {done}"
        errors = [line for line in done.stderr.split("\n") if line.strip() and not line.startswith("WARNING: This will remove")]
        assert len(errors) == 1 and errors[0].startswith("ERROR: ") and len(errors[0]) < 600, f"{command}: {done}"
        for word in words:
            assert word in errors[0], f"{command} does not say {word}: {done}"


def test_who_may_not_and_what_is_not_there(kind, remote, repository, ours):
    one = repository("one", ours, remote)
    one.write("f", b"file\n")
    one.write("d/a", b"a\n")
    one.dvc("add", "-q", "f", "d")
    remote.configure(one, "p", "p")
    one.dvc("push", "-r", "p")
    one.write("g", b"more\n")
    one.dvc("add", "-q", "g")
    one.commit()
    # It has something to push and something to fetch.
    two = repository("two", ours, remote, of=one)
    two.write("h", b"its own\n")
    two.dvc("add", "-q", "h")
    before = remote.objects.keys("p/")

    if remote.wrong:
        remote.log_in(two, "p", remote.wrong)
        refused(two)
        remote.log_in(two, "p", remote.private)
    dead = remote.through(DEAD)
    dead.configure(two, "p", "p")
    refused(two)
    remote.configure(two, "p", "p")
    if remote.nowhere:
        two.dvc("remote", "modify", "p", "url", remote.nowhere)
        refused(two)
        two.dvc("remote", "modify", "p", "url", f"{remote.url}/p")
    assert remote.objects.keys("p/") == before
    two.dvc("push", "h.dvc", "-r", "p")
    two.dvc("pull", "f.dvc", "d.dvc", "-r", "p")


@pytest.mark.kinds("s3")
def test_a_key_that_may_only_read(kind, remote, repository, ours):
    one = repository("one", ours, remote)
    one.write("f", b"file\n")
    one.dvc("add", "-q", "f")
    remote.configure(one, "p", "p")
    one.dvc("push", "-r", "p")
    one.write("g", b"more\n")
    one.dvc("add", "-q", "g")
    remote.log_in(one, "p", {"access_key_id": "readonlykey", "secret_access_key": "readonlysecret"})
    done = one.dvc("push", "-r", "p", code=None)
    assert done.code != 0 and "ERROR" in done.stderr and len(done.stderr.strip().split("\n")) <= 2, done
    one.forget()
    one.dvc("fetch", "f.dvc", "-r", "p")
    remote.log_in(one, "p", {**remote.private, "session_token": "expired"})
    assert one.dvc("status", "-c", "-r", "p", code=None).code is not None


@pytest.mark.kinds("ssh")
def test_a_folder_that_cannot_be_made(kind, remote, repository, ours):
    one = repository("one", ours, remote)
    one.write("f", b"file\n")
    one.dvc("add", "-q", "f")
    remote.configure(one, "p", "p")
    # There every folder is said to be missing, however often it is made.
    one.dvc("remote", "modify", "p", "url", f"{remote.url.partition(remote.address)[0]}{remote.address}/proc/nowhere")
    done = one.dvc("push", "-r", "p", code=1)
    assert "the folder '/proc/nowhere' cannot be made" in done.stderr, done
