"""Both tools on one remote, and pushes and pulls that are killed, stopped, or met by others."""

import fcntl
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest

from dvc.pair import Side


@pytest.fixture
def side(stock, ours, templates, tmp_path, pytestconfig):
    if pytestconfig.getoption("--dvc") == "stock":
        pytest.skip("this is about our program")
    made = Side(tmp_path / "side", [ours])
    shutil.copytree(templates("dvc"), made.repo, symlinks=True, dirs_exist_ok=True)
    made.stock, made.ours = stock, ours
    yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


def run(side, tool, *args, cwd="repo"):
    done = tool.run(list(args), side.root / cwd, side.env)
    assert done.code == 0, f"dvc {' '.join(args)} {done}"
    return done


def write_files(folder: pathlib.Path, count: int, seed: int, size: int = 4096) -> None:
    random_bytes = random.Random(seed)
    for number in range(count):
        path = folder / f"{number % 17}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random_bytes.randbytes(random_bytes.randrange(size)))


def objects(root: pathlib.Path) -> dict[str, bytes]:
    """All files below files/md5 of a cache or a remote, each of which must be what its name says."""
    found = {}
    for path in sorted((root / "files/md5").glob("*/*")):
        content = path.read_bytes()
        if path.name.startswith(".trackway-"):
            # Cleared away by the next writer; not an object in any tool's eyes.
            continue
        oid = path.parent.name + path.name
        assert hashlib.md5(content).hexdigest() == oid.removesuffix(".dir"), f"{path} is not what its name says"
        assert path.stat().st_mode & 0o777 == 0o444, path
        found[oid] = content
    return found


def complete(found: dict[str, bytes]) -> None:
    """No folder's list without all of its files."""
    for oid, content in found.items():
        if oid.endswith(".dir"):
            lacks = [entry["relpath"] for entry in json.loads(content) if entry["md5"] not in found]
            assert not lacks, f"{oid} is there without {len(lacks)} of its files"


@pytest.mark.parametrize("first", ["ours", "stock"])
def test_one_pushes_and_the_other_pulls(side, first):
    first, second = (side.ours, side.stock) if first == "ours" else (side.stock, side.ours)
    run(side, first, "remote", "add", "-d", "--local", "r", str(side.root / "remote"))
    write_files(side.repo / "data", 300, 1)
    (side.repo / "model").write_bytes(b"m" * 6_000_000)
    run(side, first, "add", "-q", "data", "model")
    assert run(side, first, "push").stdout == "302 files pushed\n"
    assert run(side, second, "push").stdout == "Everything is up to date.\n"
    assert run(side, second, "status", "-c").stdout == "Cache and remote 'r' are in sync.\n"
    shutil.rmtree(side.repo / ".dvc/cache")
    shutil.rmtree(side.repo / "data")
    (side.repo / "model").unlink()
    assert run(side, second, "pull").stdout == "A       data/\nA       model\n302 files fetched and 301 files added\n"
    assert run(side, first, "pull").stdout == "Everything is up to date.\n"
    # Back and forth: each pushes a change of its own.
    for number, tool in enumerate([second, first, second, first]):
        (side.repo / f"data/new{number}").write_text(str(number))
        run(side, tool, "add", "-q", "data")
        assert run(side, tool, "push").stdout == "2 files pushed\n"
    for tool in (first, second):
        assert run(side, tool, "status", "-c").stdout == "Cache and remote 'r' are in sync.\n"
    complete(objects(side.root / "remote"))


def killed(side, args, after: float, cwd="repo") -> bool:
    process = subprocess.Popen(
        [str(side.ours.link), *args], cwd=side.root / cwd, env=side.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(timeout=after)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def test_killed_pushes_and_pulls_can_be_done_again(side):
    delays = random.Random(7)
    remote = side.root / "remote"
    run(side, side.ours, "remote", "add", "-d", "--local", "r", str(remote))
    write_files(side.repo / "data", 3000, 2)
    (side.repo / "big").write_bytes(random.Random(3).randbytes(40_000_000))
    run(side, side.ours, "add", "-q", "data", "big")
    begun = time.monotonic()
    run(side, side.ours, "push")
    whole = time.monotonic() - begun
    everything = objects(remote)
    kills = 0
    for _ in range(6):
        shutil.rmtree(remote)
        kills += killed(side, ["push"], delays.uniform(0, whole))
        complete(objects(remote))
        run(side, side.ours, "push")
        assert objects(remote) == everything
        assert not list(remote.glob("**/.trackway-*"))
    assert kills >= 2, "hardly any push was killed"
    kills = 0
    for _ in range(4):
        shutil.rmtree(side.repo / ".dvc/cache")
        shutil.rmtree(side.repo / "data")
        kills += killed(side, ["pull"], delays.uniform(0, whole))
        complete(objects(side.repo / ".dvc/cache"))
        run(side, side.ours, "pull", "--force")
        assert objects(side.repo / ".dvc/cache") == everything
    assert kills >= 1, "hardly any pull was killed"
    assert run(side, side.stock, "status").stdout == "Data and pipelines are up to date.\n"
    assert run(side, side.stock, "status", "-c").stdout == "Cache and remote 'r' are in sync.\n"


def test_others_work_while_bytes_travel(side):
    """A push that stands still in its middle keeps no colleague from working."""
    remote = side.root / "remote"
    run(side, side.ours, "remote", "add", "-d", "--local", "r", str(remote))
    write_files(side.repo / "data", 6000, 4)
    run(side, side.ours, "add", "-q", "data")
    pushing = subprocess.Popen([str(side.ours.link), "push"], cwd=side.repo, env=side.env, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(10_000):
            if (remote / "files/md5").is_dir() and len(os.listdir(remote / "files/md5")) > 20:
                break
            time.sleep(0.001)
        pushing.send_signal(signal.SIGSTOP)
        assert pushing.poll() is None, "the push was over too soon"
        there = len(list(remote.glob("files/md5/*/*")))
        assert 0 < there < 6001
        with open(side.repo / ".dvc/tmp/lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert run(side, side.stock, "status").stdout == "Data and pipelines are up to date.\n"
        (side.repo / "more").write_text("more")
        run(side, side.stock, "add", "-q", "more")
        assert run(side, side.ours, "status").stdout == "Data and pipelines are up to date.\n"
        # A second push beside the first finishes its work.
        run(side, side.stock, "push", "-q")
    finally:
        pushing.send_signal(signal.SIGCONT)
    out, _ = pushing.communicate(timeout=60)
    assert pushing.returncode == 0, out
    complete(objects(remote))
    assert run(side, side.ours, "status", "-c").stdout == "Cache and remote 'r' are in sync.\n"


def test_a_corrupted_object_of_the_cache_is_not_pushed(side):
    remote = side.root / "remote"
    run(side, side.ours, "remote", "add", "-d", "--local", "r", str(remote))
    write_files(side.repo / "data", 20, 5)
    run(side, side.stock, "add", "-q", "data")  # what stock put there is not in our record
    victim = max((path for path in (side.repo / ".dvc/cache/files/md5").glob("*/*") if path.suffix != ".dir"), key=str)
    victim.chmod(0o644)
    victim.write_bytes(b"flipped")
    victim.chmod(0o444)
    done = side.ours.run(["push"], side.repo, side.env)
    oid = victim.parent.name + victim.name
    assert done.code == 1
    assert f"ERROR: failed to transfer '{oid}' - it is corrupted and stays where it is" in done.stderr
    assert done.stderr.endswith("ERROR: failed to push data to the cloud - 2 files failed to upload\n")
    there = objects(remote)
    assert len(there) == 19 and oid not in there and not any(name.endswith(".dir") for name in there)
    # The file in the work tree is still right: once the object is, the push goes through.
    shutil.rmtree(victim.parent)
    run(side, side.stock, "commit", "-f", "-q")
    assert run(side, side.ours, "push").stdout == "2 files pushed\n"


def test_a_hostile_list_in_a_remote_is_refused(side):
    remote = side.root / "remote"
    run(side, side.ours, "remote", "add", "-d", "--local", "r", str(remote))
    hostile = json.dumps([{"md5": hashlib.md5(b"x").hexdigest(), "relpath": "../../outside"}]).encode()
    oid = hashlib.md5(hostile).hexdigest()
    for name, content in ((hashlib.md5(b"x").hexdigest(), b"x"), (oid + ".dir", hostile)):
        path = remote / "files/md5" / name[:2] / name[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (side.repo / "d.dvc").write_text(f"outs:\n- md5: {oid}.dir\n  hash: md5\n  path: d\n")
    done = side.ours.run(["pull"], side.repo, side.env)
    assert done.code == 1, done
    assert "../../outside" in done.stderr
    assert not (side.root / "outside").exists() and not (side.repo / "d").exists()
    assert not list(side.repo.glob(".dvc/cache/files/md5/*/*.dir"))
