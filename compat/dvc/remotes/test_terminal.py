"""At a terminal: what a person sees of a transfer, Ctrl-C in the middle of one, and questions for passwords."""

import re
import time

import pytest

from dvc.on_terminal import OnTerminal
from dvc.remotes.repository import Repository
from dvc.remotes.test_faults import SECONDS, UP_TO_DATE, whole

# A machine that does much else, and stock with its slow libraries.
pytestmark = pytest.mark.timeout(600)

FILES = 80
# They, a large one and the folder's list.
OBJECTS = FILES + 2
LARGE = 12_000_000
# As DVC ends at Ctrl-C.
INTERRUPTED = 252
# ` 12% sending |###   | 1.50 MiB/12.00 MiB [1s<7s, 1.40 MiB/s]`
BAR = re.compile(
    r" *(?P<percent>\d+)% (?P<what>\w+) \|[^|]*\| *(?P<bytes>[\d.]+ \w+)/(?P<total>[\d.]+ \w+) \[\d+s<\d+[sm], (?P<rate>[\d.]+ [KMG]?i?B)/s\]"
)


@pytest.fixture
def one(kind, remote, repository, ours, pytestconfig):
    """With a folder of many small files and a large one."""
    if pytestconfig.getoption("--dvc") == "stock":
        pytest.skip("the words and bars of ours")
    made = repository("one", ours, remote)
    for number in range(FILES):
        made.write(f"d/{number}", f"{number}\n".encode() * 50)
    made.write("d/large", bytes(range(250)) * (LARGE // 250))
    made.dvc("add", "-q", "d")
    remote.configure(made, "p", "p")
    made.commit()
    return made


def at_a_terminal(one: Repository, *args: str, piped: bool = False) -> OnTerminal:
    return OnTerminal([str(one.tool.link), *args], one.path, one.env, piped=piped)


def size(text: str) -> float:
    number, unit = text.split()
    return float(number) * 1024 ** ("B", "KiB", "MiB", "GiB").index(unit)


def slowly(one: Repository, remote, fault_proxy, milliseconds: int = 40):
    """From now on all pieces of its transfers wait on the way."""
    proxy = fault_proxy(remote.address, f"delay={milliseconds}")
    remote.through(proxy.address).configure(one, "p", "p")
    return proxy


@pytest.mark.kinds("s3", "ssh")
def test_what_is_seen_of_a_transfer(kind, remote, repository, ours, one, fault_proxy):
    two = repository("two", ours, remote, of=one)
    for at, command, said in ((one, "push", f"{OBJECTS} files pushed"), (two, "pull", f"{OBJECTS} files fetched")):
        slowly(at, remote, fault_proxy)
        seen = at_a_terminal(at, command, "-r", "p")
        assert seen.end() == 0, seen.shown
        bars = [bar for bar in BAR.finditer(seen.shown)]
        assert len(bars) > 2, seen.shown
        percents = [int(bar["percent"]) for bar in bars if bar["what"] == bars[-1]["what"]]
        assert percents == sorted(percents) and percents[-1] <= 100, percents
        assert bars[-1]["total"].startswith("11.4"), bars[-1]
        # What one of its pieces takes is not what all of them take.
        assert not [bar[0] for bar in bars if int(bar["percent"]) < 90 and size(bar["rate"]) > size(bar["total"])], seen.shown
        # Neither a bar nor an empty line is left.
        left = seen.left()
        assert not [line for line in left if "%" in line or "|" in line] and said in left[-1], left
        # No longer than the terminal is wide: else each drawing would leave one behind.
        assert all(len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", bar[0])) <= seen.columns for bar in bars)
    assert two.data() == one.data()


@pytest.mark.kinds("s3")
def test_nothing_is_drawn_into_a_pipe(kind, remote, one, fault_proxy):
    slowly(one, remote, fault_proxy)
    seen = at_a_terminal(one, "push", "-r", "p", piped=True)
    assert seen.end() == 0 and not seen.shown
    assert seen.through_pipes == f"{OBJECTS} files pushed\n"


def at_rest(remote) -> None:
    """Waits until its server has done what a client that has gone had asked for: nothing changes any more."""
    until = time.monotonic() + SECONDS
    seen, same = None, 0
    while same < 5:
        assert time.monotonic() < until, "it goes on changing"
        now = remote.objects.keys("p/")
        seen, same = now, same + 1 if now == seen else 0
        time.sleep(0.2)


@pytest.mark.kinds("s3", "ssh")
def test_ctrl_c(kind, remote, repository, ours, stock, one, fault_proxy):
    """In the middle of a push and of a pull: one line, nothing half, and the next run goes on."""

    def interrupted(at: Repository, *args: str) -> None:
        proxy = slowly(at, remote, fault_proxy, 70)
        seen = at_a_terminal(at, *args, "-r", "p")
        # Some of it has gone.
        seen.wait_for(r" ([3-9]|[1-9]\d)% (pushing|fetching) \|")
        seen.type("\x03")
        assert seen.end() == INTERRUPTED, seen.shown
        left = [line for line in seen.left() if line != "^C"]
        assert left == ["ERROR: interrupted by the user"] or left == ["^CERROR: interrupted by the user"], left
        proxy.cut_all()

    interrupted(one, "push")
    at_rest(remote)
    sent = whole(remote)
    assert sent < OBJECTS
    remote.configure(one, "p", "p")
    told = re.fullmatch(r"(\d+) files? pushed\n", one.dvc("push", "-r", "p").stdout)
    assert told and int(told[1]) == OBJECTS - sent, (told, sent)
    assert whole(remote) == OBJECTS and one.dvc("push", "-r", "p").stdout == UP_TO_DATE

    two = repository("two", ours, remote, of=one)
    interrupted(two, "pull")
    assert len(two.cached()) < OBJECTS
    assert not two.data() or set(two.data()) <= set(one.data())
    remote.configure(two, "p", "p")
    two.dvc("pull", "-r", "p")
    assert two.data() == one.data() and two.cached() == one.cached()
    assert "in sync" in two.dvc("status", "-c", "-r", "p").stdout
    # As stock sees it.
    theirs = repository("theirs", stock, remote, of=one)
    theirs.dvc("pull", "-r", "p")
    assert theirs.data() == one.data()
    assert theirs.dvc("status").stdout == "Data and pipelines are up to date.\n"


@pytest.mark.kinds("webdav", "http", "ssh-password", "ssh-keyboard")
def test_a_password_is_asked_for(kind, remote, one):
    one.dvc("remote", "modify", "p", "ask_password", "true")
    one.dvc("remote", "modify", "--local", "--unset", "p", "password")
    password = remote.private["password"]
    seen = at_a_terminal(one, "push", "-r", "p")
    seen.wait_for("[Pp]assword")
    seen.type(f"{password}x\x7f\n")
    assert seen.end() == 0 and f"{OBJECTS} files pushed" in seen.left()[-1], seen.shown
    # Of one letter, that of Apache's stands in other words.
    assert len(password) < 3 or password not in seen.shown
    # The terminal shows again what is typed, and a wrong one is told in a line.
    seen = at_a_terminal(one, "status", "-c", "-r", "p")
    seen.wait_for("[Pp]assword")
    seen.type("wrong-password\n")
    assert seen.end() == 255 and "ERROR: " in seen.left()[-1] and "wrong-password" not in seen.shown, seen.shown
    # Ctrl-C is an answer, and so is no terminal.
    seen = at_a_terminal(one, "status", "-c", "-r", "p")
    seen.wait_for("[Pp]assword")
    seen.type("\x03")
    assert seen.end() == INTERRUPTED and seen.left()[-1] == "ERROR: interrupted by the user", seen.shown
    done = one.dvc("status", "-c", "-r", "p", code=255)
    assert len(done.stderr.strip().split("\n")) == 1, done


@pytest.mark.kinds("ssh")
def test_a_passphrase_is_asked_for(kind, remote, one, sshd):
    one.dvc("remote", "modify", "p", "ask_passphrase", "true")
    one.dvc("remote", "modify", "--local", "p", "keyfile", str(sshd.keys / "locked"))
    seen = at_a_terminal(one, "push", "-r", "p")
    seen.wait_for("[Pp]assphrase")
    seen.type("a passphrase, 1\n")
    assert seen.end() == 0 and f"{OBJECTS} files pushed" in seen.left()[-1], seen.shown
    assert "a passphrase, 1" not in seen.shown
    one.dvc("remote", "modify", "p", "ask_passphrase", "false")
    one.dvc("remote", "modify", "p", "ask_password", "true")
    one.dvc("remote", "modify", "--local", "p", "keyfile", str(sshd.keys / "stranger"))
    # This server takes no passwords, so nobody is asked for one.
    seen = at_a_terminal(one, "status", "-c", "-r", "p")
    assert seen.end() == 255 and len(seen.left()) == 1 and seen.left()[0].startswith("ERROR: "), seen.shown
