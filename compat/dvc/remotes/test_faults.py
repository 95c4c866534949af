"""The way between us and the remote fails in mid-transfer, or its server does: what lies on either side is whole all the
time, and the next run completes it."""

import json
import time

import pytest

from dvc.remotes.kinds import KINDS
from dvc.remotes.repository import Repository, is_whole

# A machine that does much else, and stock with its slow libraries.
pytestmark = pytest.mark.timeout(600)

UP_TO_DATE = "Everything is up to date.\n"
SECONDS = 60
# Of what `fill` adds: 42 files in a folder, its list, and a file.
OBJECTS = 44


def fill(one: Repository) -> None:
    for number in range(40):
        one.write(f"d/{number}", f"{number}\n".encode() * 100)
    for number in range(2):
        one.write(f"d/large-{number}", bytes([number + 1]) * 3_000_000)
    one.write("f", b"file\n")
    one.dvc("add", "-q", "d", "f")


def whole(remote) -> int:
    """All that lies there is what it is called, and a folder's list has all of its files; gives how many objects."""
    # Listed once: a server may still be doing what a client that has gone had asked for.
    there = remote.objects.keys("p/")
    keys = [key for key in there if key.startswith("p/files/md5/") and "/.trackway-" not in key]
    left = [key for key in there if key not in keys and ".tmp" not in key]
    assert not left, f"what is {left}?"
    for key in keys:
        content = remote.objects.read(key)
        assert is_whole(key, content), f"{key} has {len(content)} bytes, which are not what it is called"
        for entry in json.loads(content) if key.endswith(".dir") else ():
            name = entry["md5"]
            assert f"p/files/md5/{name[:2]}/{name[2:]}" in keys, f"the list {key} is there without {entry['relpath']}"
    return len(keys)


def complete(one: Repository, remote) -> None:
    """A run without faults completes it."""
    one.dvc("push", "-r", "p")
    assert whole(remote) == OBJECTS
    assert one.dvc("push", "-r", "p").stdout == UP_TO_DATE
    assert one.dvc("status", "-c", "-r", "p").stdout == "Cache and remote 'p' are in sync.\n"


@pytest.mark.kinds(*(kind for kind in KINDS if kind not in ("s3-rclone", "s3-juicefs")))
def test_connections_are_cut_delayed_and_garbled(kind, remote, repository, ours, fault_proxy):
    one = repository("one", ours, remote)
    fill(one)
    remote.configure(one, "p", "p")
    one.commit()
    two = repository("two", ours, remote, of=one)

    def by_way_of(one: Repository, *faults: str):
        """A proxy of its own, which does this to the first connections."""
        proxy = fault_proxy(remote.address)
        for _ in range(3 if faults else 0):
            proxy.next(*faults)
        remote.through(proxy.address).configure(one, "p", "p")
        return proxy

    for fault in ("cut-up=900", "cut-up=400000", "cut-down=150", "corrupt-up=300000", "corrupt-down=120"):
        by_way_of(one, fault)
        done = one.dvc("push", "-r", "p", code=None)
        assert not done.code or "ERROR" in done.stderr, f"{fault}: {done}"
        whole(remote)
    # As long as nothing large gets through, and slowly.
    proxy = by_way_of(one)
    proxy.set("cut-up=1000000")
    one.dvc("push", "-r", "p", code=None)
    whole(remote)
    proxy.set("delay=3")
    complete(one, remote)

    for fault in ("cut-down=900", "cut-down=400000", "cut-up=150", "corrupt-down=300000", "corrupt-up=120"):
        by_way_of(two, fault)
        done = two.dvc("fetch", "-r", "p", code=None)
        assert not done.code or "ERROR" in done.stderr, f"{fault}: {done}"
        # Each is looked at.
        two.cached()
    proxy = by_way_of(two)
    proxy.set("cut-down=1000000")
    two.dvc("pull", "-r", "p", code=None)
    two.cached()
    proxy.set("refuse=yes")
    two.dvc("pull", "-r", "p", code=None)
    proxy.set("delay=3")
    two.dvc("pull", "-r", "p")
    assert two.data() == one.data()
    assert two.cached() == one.cached()
    assert whole(remote) == OBJECTS


# Azurite forgets its containers when it is killed.
@pytest.mark.kinds("s3")
def test_the_server_is_killed_in_mid_push(kind, repository, ours, own_store, fault_proxy):
    server = own_store("seaweedfs")
    remote = KINDS[kind].remote(server)
    proxy = fault_proxy(remote.address, "delay=20")
    one = repository("one", ours, remote)
    fill(one)
    remote.through(proxy.address).configure(one, "p", "p")
    finish = ours.start(["push", "-r", "p"], one.path, one.env)
    until = time.monotonic() + SECONDS
    while len(remote.objects.keys("p/")) < 5 and time.monotonic() < until:
        time.sleep(0.05)
    server.tell("crash")
    proxy.set()
    done = finish()
    assert done.code in (0, 1, 255), done
    server.tell("restart")
    assert 5 <= whole(remote)
    complete(one, remote)
