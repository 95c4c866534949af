"""What one tool has put into a remote the other finds, takes and collects, and neither does again what the other has done.

The same data goes to two folders of one remote: stock pushes to `p` first, ours to `q`.
"""

import pytest

from dvc.remotes.kinds import KINDS
from dvc.remotes.repository import Repository, is_whole
from dvc.runners import Result

# A machine that does much else, and stock with its slow libraries.
pytestmark = pytest.mark.timeout(600)

# What stock's library for HTTP says now and then.
NOT_CLOSED = "Aiohttp retry client was not closed\n"
UP_TO_DATE = "Everything is up to date.\n"


def lines(result: Result, name: str) -> tuple[int, list[str]]:
    """What is compared: stock prints in any order, and each remote by its name."""
    text = (result.stdout + result.stderr).replace(NOT_CLOSED, "").replace(f"'{name}'", "'r'").replace(f"/{name}/", "/r/")
    return result.code, sorted(text.split("\n"))


def test_each_takes_what_the_other_pushed(kind, remote, repository, stock, ours):
    theirs = repository("theirs", stock, remote)
    theirs.fill()
    # Configured by ours, for stock to read.
    theirs.tool = ours
    for name in ("p", "q"):
        remote.configure(theirs, name, name)
    theirs.tool = stock
    theirs.commit()
    mine = repository("mine", ours, remote, of=theirs)
    empty = repository("empty", stock, remote, of=theirs)

    def on_each(*args: str, of: Repository = theirs, code: int | None = 0) -> str:
        """Ours on `p`, stock on `q`, which must say the same."""
        left = mine.dvc(*args, "-r", "p", code=code)
        right = of.dvc(*args, "-r", "q", code=code)
        assert lines(left, "p") == lines(right, "q"), f"{args}: ours: {left}\nstock: {right}"
        return left.stdout

    # Stock pushes, ours takes.
    pushed = theirs.dvc("push", "-r", "p").stdout
    first = mine.dvc("status", "-c", "-r", "p"), empty.dvc("status", "-c", "-r", "p")
    assert lines(first[0], "p") == lines(first[1], "p"), f"ours: {first[0]}\nstock: {first[1]}"
    mine.dvc("fetch", "-r", "p")
    assert mine.cached() == theirs.cached()
    mine.dvc("pull", "-r", "p")
    assert mine.data() == theirs.data()
    assert mine.dvc("push", "-r", "p").stdout == UP_TO_DATE
    mine.dvc("fetch", "-r", "p", "-v")
    assert mine.dvc("status", "-c", "-r", "p").stdout == "Cache and remote 'p' are in sync.\n"

    # Ours pushes, stock takes; the same lies there.
    assert mine.dvc("push", "-r", "q").stdout == pushed
    same_objects(remote)
    assert theirs.dvc("push", "-r", "q").stdout == UP_TO_DATE
    assert theirs.dvc("status", "-c", "-r", "q").stdout == "Cache and remote 'q' are in sync.\n"
    empty.dvc("pull", "-r", "q")
    assert empty.data() == theirs.data()

    # A part of what is tracked, into an empty cache.
    for one in (mine, empty):
        one.forget()
    on_each("pull", "d/sub", of=empty)
    assert mine.data() == empty.data()
    assert mine.cached() == empty.cached()
    on_each("pull", of=empty)

    # Something new, from ours to stock.
    mine.write("d/a", b"changed")
    mine.write("d/more", b"more")
    mine.write("f", b"file, changed")
    mine.dvc("add", "-q", "d", "f")
    mine.commit()
    theirs.follow(mine)
    new = mine.dvc("status", "-c", "-r", "p").stdout
    assert "d/more" in new and "odd" not in new
    mine.dvc("status", "-c", "-r", "p", "-v")
    assert mine.dvc("push", "-r", "p").stdout == "4 files pushed\n"
    theirs.dvc("pull", "-r", "p")
    assert theirs.data() == mine.data()
    assert theirs.dvc("push", "-r", "q").stdout == "4 files pushed\n"
    same_objects(remote)

    # What a collection takes.
    before = len(remote.objects.keys("p/"))
    if KINDS[kind].lists and KINDS[kind].stock_deletes:
        on_each("gc", "-c", "-w", "-f")
        same_objects(remote)
    else:
        mine.dvc("gc", "-c", "-w", "-f", "-r", "p", code=0 if KINDS[kind].lists else 255)
    assert len(remote.objects.keys("p/")) == before - (3 if KINDS[kind].lists else 0)
    on_each("pull")


def same_objects(remote) -> None:
    """Both folders have the same, and all of it is whole."""
    below = {name: {key.removeprefix(name): size for key, size in remote.objects.keys(name + "/").items()} for name in "pq"}
    assert below["p"] == below["q"]
    assert below["p"], "nothing was pushed"
    for key in below["q"]:
        if key.startswith("/files/"):
            assert is_whole(key, remote.objects.read("q" + key)), f"{key} in the remote is not what it is called"
