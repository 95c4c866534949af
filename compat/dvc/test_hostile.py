"""Repositories made to do harm: lists that lead out of their folder, paths that lead out of the repository, links in the
way, bombs. Each is refused with a message, quickly, and nothing outside of the output is touched.

Stock DVC 3.67.1 writes outside of the repository for some of them.
"""

import hashlib
import json
import os
import pathlib
import resource
import shutil
import subprocess

import pytest

from dvc.runners import environment, prepare_home

HASH = "d3b07384d113edec49eaa6238ad5ff00"  # of b"foo\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    found = shutil.which(os.environ.get("TRACKWAY_BIN", "trackway"))
    assert found, "TRACKWAY_BIN: there is no such program"
    link = tmp_path_factory.mktemp("bin") / "dvc"
    link.symlink_to(pathlib.Path(found).resolve())
    return link


class Place:
    """A repository in `ground/a/repo`, and around it files that nobody may touch."""

    def __init__(self, root: pathlib.Path, program: pathlib.Path):
        self.root = root / "ground"
        self.program = program
        self.repo = self.root / "a/repo"
        self.repo.mkdir(parents=True)
        self.home = root / "home"
        prepare_home(self.home)
        for name in ("outside", "a/outside", "canary/file"):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("not yours\n")
        subprocess.run(["git", "init", "-q"], cwd=self.repo, env=environment(self.home), check=True)
        assert self.run("init", "-q").returncode == 0
        self.put(b"foo\n", HASH)

    def run(self, *args: str) -> subprocess.CompletedProcess:
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))

        return subprocess.run(
            [str(self.program), *args],
            cwd=self.repo,
            env=environment(self.home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            preexec_fn=limit,
        )

    def put(self, content: bytes, name: str) -> None:
        path = self.repo / ".dvc/cache/files/md5" / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def put_list(self, content: bytes) -> str:
        name = hashlib.md5(content).hexdigest() + ".dir"
        self.put(content, name)
        return name

    def track_list(self, content: bytes) -> None:
        name = self.put_list(content)
        (self.repo / "data.dvc").write_text(f"outs:\n- md5: {name}\n  size: 4\n  nfiles: 1\n  hash: md5\n  path: data\n")

    def around(self) -> dict[str, bytes | str]:
        """Everything around the repository, and its own configuration and git."""
        seen: dict[str, bytes | str] = {}
        for folder, folders, files in os.walk(self.root):
            if pathlib.Path(folder) == self.repo:
                folders[:] = [".git"]
                files = []
            if folder.endswith("/.git"):
                folders[:] = [name for name in folders if name == "hooks"]
                files = [name for name in files if name in ("config", "HEAD")]
            for name in folders + files:
                path = os.path.join(folder, name)
                seen[path] = os.readlink(path) if os.path.islink(path) else "" if os.path.isdir(path) else open(path, "rb").read()
        return seen


@pytest.fixture
def ground(tmp_path, program):
    return Place(tmp_path, program)


def must_refuse(ground: Place, commands: list[str], all_fail: bool = True) -> None:
    before = ground.around()
    failed = 0
    for command in commands:
        done = ground.run(*command.split())
        said = (command, done)
        assert done.returncode >= 0, ("ended by a signal", said)
        assert b"panicked" not in done.stderr, said
        assert ground.around() == before, ("something outside was touched", said)
        if done.returncode != 0:
            failed += 1
            assert done.stderr.strip(), said
    assert failed == len(commands) if all_fail else failed >= 0


def entry(relpath: str) -> bytes:
    return json.dumps([{"md5": HASH, "relpath": relpath}]).encode()


UPWARDS = [
    "../x", "../../x", "../../../canary/file", "a/../../x", "a/../../../outside", "..", "../", "./../x", "a/..", "a/./b",
    ".", "./a", "", "/", "//x", "/etc/trackway-was-here", "/tmp/trackway-was-here", "a//b", "a/", "/a", "a/b/../../../x",
    "../data2/x", "../.git/hooks/post-checkout", "../.dvc/config", "../.gitignore", "....//../x", "a/../b", ".././x",
    "..//x", "x/../../repo2/y", "a\0b", "\0", "a/\0", "../\0", "a/b/", "/..", "/../x", "//", "///etc/passwd",
    "sub/../../../../canary/file", "../../../../../../../../../../tmp/trackway-was-here", "x" * 5000, "/".join(["d"] * 3000),
    "y" * 300, "a/" + "z" * 256, "../" * 50 + "x", "a/.../../..", "..\u2044x/../..", "a/..\n/../..", "../\ud800",
]  # fmt: skip


@pytest.mark.parametrize("relpath", UPWARDS, ids=[f"{n}" for n in range(len(UPWARDS))])
def test_list_that_leads_out(ground, relpath):
    ground.track_list(entry(relpath))
    must_refuse(ground, ["checkout -f", "checkout data -f"])
    leftovers = [path for path in ground.repo.rglob("*") if ".dvc" not in path.parts and ".git" not in path.parts]
    assert all(path.name in ("data", "data.dvc", ".dvcignore", ".gitignore") for path in leftovers), leftovers


BAD_LISTS = {
    "not JSON": b"[{",
    "empty": b"",
    "an object": b"{}",
    "a number": b"1",
    "text in it": b'["a"]',
    "no md5": b'[{"relpath": "a"}]',
    "no relpath": b'[{"md5": "%s"}]' % HASH.encode(),
    "relpath is a number": b'[{"md5": "%s", "relpath": 1}]' % HASH.encode(),
    "relpath is null": b'[{"md5": "%s", "relpath": null}]' % HASH.encode(),
    "md5 leads out": b'[{"md5": "../../../../outside", "relpath": "a"}]',
    "md5 is absolute": b'[{"md5": "/etc/passwd", "relpath": "a"}]',
    "md5 is short": b'[{"md5": "d3", "relpath": "a"}]',
    "md5 in capitals": b'[{"md5": "%s", "relpath": "a"}]' % HASH.upper().encode(),
    "md5 with a NUL": b'[{"md5": "d3b07384d113edec49eaa6238ad5ff\\u0000", "relpath": "a"}]',
    "md5 of a list": b'[{"md5": "%s.dir", "relpath": "a"}]' % HASH.encode(),
    "twice": json.dumps([{"md5": HASH, "relpath": "a"}] * 2).encode(),
    "a file and a folder": json.dumps([{"md5": HASH, "relpath": "a"}, {"md5": HASH, "relpath": "a/b"}]).encode(),
    "a folder and a file": json.dumps([{"md5": HASH, "relpath": "a/b/c"}, {"md5": HASH, "relpath": "a/b"}]).encode(),
    "deep": b"[" * 200_000,
    "deep objects": b'[{"a":' * 100_000,
    "bytes": bytes(range(256)) * 10,
    "one good and one bad": json.dumps([{"md5": HASH, "relpath": "good"}, {"md5": HASH, "relpath": "../bad"}]).encode(),
    "trailing": entry("a") + b"x",
    "a long number": b'[{"md5": "%s", "relpath": "a", "size": 1%s}]' % (HASH.encode(), b"0" * 100_000),
}


@pytest.mark.parametrize("name", [name for name in BAD_LISTS if name != "a long number"])
def test_broken_list(ground, name):
    ground.track_list(BAD_LISTS[name])
    must_refuse(ground, ["checkout -f"])


def test_list_under_a_wrong_name(ground):
    ground.put(entry("a"), HASH + ".dir")
    (ground.repo / "data.dvc").write_text(f"outs:\n- md5: {HASH}.dir\n  hash: md5\n  path: data\n")
    must_refuse(ground, ["checkout -f"])
    assert not (ground.repo / "data/a").exists()


def test_object_under_a_wrong_name(ground):
    ground.put(b"something else", HASH)
    (ground.repo / "file.dvc").write_text(f"outs:\n- md5: {HASH}\n  hash: md5\n  path: file\n")
    must_refuse(ground, ["checkout", "checkout -f"])
    assert not (ground.repo / "file").exists()


OUT_PATHS = [
    "..", ".", "/", "", "../x", "../../canary/file", "/tmp/trackway-was-here", "a/../../x", "../outside", "../../outside",
    ".dvc", ".dvc/config", ".dvc/tmp/x", ".git", ".git/hooks/post-checkout", ".git/config", "\0", "a\0b", "x.dvc", "dvc.yaml",
    "sub/dvc.yaml", "~/x", "file:///etc/passwd", "file:///tmp/trackway-was-here", "../repo/../x", "./.git/config",
    "x" * 5000, "/".join(["d"] * 2100), "link/x", "link", "linkdir/file", "linkdir/sub/x",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("path", OUT_PATHS, ids=[f"{n}" for n in range(len(OUT_PATHS))])
def test_output_that_is_not_ours(ground, path, kind):
    (ground.repo / "linkdir").symlink_to(ground.root / "canary")
    (ground.repo / "link").symlink_to(ground.root / "outside")
    config = (ground.repo / ".dvc/config").read_bytes()
    name = HASH if kind == "file" else ground.put_list(entry("a"))
    quoted = json.dumps(path)
    (ground.repo / "bad.dvc").write_text(f"outs:\n- md5: {name}\n  size: 4\n  hash: md5\n  path: {quoted}\n")
    must_refuse(ground, ["checkout -f bad.dvc", "checkout -f", "status", "checkout"], all_fail=False)
    assert (ground.repo / ".dvc/config").read_bytes() == config
    assert not pathlib.Path("/tmp/trackway-was-here").exists()


WDIRS = ["..", "../..", "/", "/tmp", "../../canary", "linkdir", "nope/../..", "\0", ".git", ".dvc", "a/" * 3000]


@pytest.mark.parametrize("wdir", WDIRS, ids=[f"{n}" for n in range(len(WDIRS))])
def test_wdir_that_leads_out(ground, wdir):
    (ground.repo / "linkdir").symlink_to(ground.root / "canary")
    text = f"wdir: {json.dumps(wdir)}\nouts:\n- md5: {HASH}\n  size: 4\n  hash: md5\n  path: file\n"
    (ground.repo / "bad.dvc").write_text(text)
    must_refuse(ground, ["checkout -f bad.dvc", "checkout -f"], all_fail=False)


def test_links_in_the_way_of_a_folder(ground):
    ground.track_list(json.dumps([{"md5": HASH, "relpath": "sub/file"}, {"md5": HASH, "relpath": "top"}]).encode())
    data = ground.repo / "data"
    data.mkdir()
    (data / "sub").symlink_to(ground.root / "canary")
    must_refuse(ground, ["checkout", "checkout -f"], all_fail=False)
    shutil.rmtree(data)
    data.symlink_to(ground.root / "canary")
    must_refuse(ground, ["checkout", "checkout -f"], all_fail=False)


def laughs(levels: int, width: int) -> str:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, levels):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]\n"
    return text


BAD_YAML = {
    "laughs": laughs(12, 12),
    "merged laughs": "a: &a {x: 1}\n" + "".join(f"k{n}: {{<<: [*a, *a, *a]}}\n" for n in range(2000)) + laughs(10, 15),
    "deep flow": "[" * 100_000,
    "deep maps": "{a: " * 50_000,
    "deep blocks": "".join(" " * n + "a:\n" for n in range(3000)),
    "deep lists": "- " * 50_000,
    "recursive": "a: &a [*a]\n",
    "bytes": "\x00\x01\x02",
    "a tag": "!!python/object/apply:os.system ['touch /tmp/trackway-was-here']\n",
    "another tag": "outs: !!python/object:os.system []\n",
    "a long line": "outs: " + "x" * 5_000_000,
    "many keys": "".join(f"k{n}: {n}\n" for n in range(200_000)),
    "a number for outs": "outs: 1\n",
    "text for outs": "outs: text\n",
    "a list of lists": "outs: [[1]]\n",
    "size below zero": f"outs:\n- md5: {HASH}\n  size: -1\n  hash: md5\n  path: f\n",
    "size beyond all": f"outs:\n- md5: {HASH}\n  size: 99999999999999999999999\n  hash: md5\n  path: f\n",
    "nfiles beyond all": f"outs:\n- md5: {HASH}.dir\n  nfiles: 99999999999999999999999\n  hash: md5\n  path: f\n",
    "md5 leads out": "outs:\n- md5: ../../../../outside\n  hash: md5\n  path: f\n",
    "md5 is absolute": "outs:\n- md5: /etc/passwd\n  hash: md5\n  path: f\n",
    "md5 is odd": "outs:\n- md5: '!!!'\n  hash: md5\n  path: f\n",
    "hash is odd": f"outs:\n- md5: {HASH}\n  hash: ../x\n  path: f\n",
    "files lead out": f"outs:\n- hash: md5\n  path: data\n  files:\n  - relpath: ../../outside\n    md5: {HASH}\n    size: 4\n",
    "files are absolute": f"outs:\n- hash: md5\n  path: data\n  files:\n  - relpath: /tmp/trackway-was-here\n    md5: {HASH}\n",
    "remote leads out": f"outs:\n- md5: {HASH}\n  hash: md5\n  path: f\n  remote: ../../x\n",
    "many outs": "outs:\n" + "".join(f"- md5: {HASH}\n  hash: md5\n  path: f{n}\n" for n in range(3000)),
    "conflict": f"outs:\n<<<<<<< HEAD\n- md5: {HASH}\n=======\n- md5: {HASH[::-1]}\n>>>>>>> x\n  path: f\n",
}


@pytest.mark.parametrize("name", BAD_YAML)
def test_dvc_file(ground, name):
    (ground.repo / "bad.dvc").write_text(BAD_YAML[name])
    must_refuse(ground, ["status", "checkout -f", "status bad.dvc", "data status"], all_fail=False)
    assert not pathlib.Path("/tmp/trackway-was-here").exists()


BAD_PIPELINES = {
    "laughs": laughs(12, 12),
    "deep": "stages: " + "{a: " * 50_000,
    "many in foreach": "stages:\n  s:\n    foreach: [" + "1, " * 300_000 + "1]\n    do:\n      cmd: x\n",
    "matrix of matrices": "stages:\n  s:\n    matrix:\n" + "".join(f"      k{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" for n in range(12)) + "    cmd: x\n",
    "vars include themselves": "vars:\n- dvc.yaml\nstages: {}\n",
    "vars lead out": "vars:\n- ../../../../../../../../etc/passwd\nstages: {}\n",
    "vars name a device": "vars:\n- /dev/zero\nstages: {}\n",
    "params of a device": "stages:\n  s:\n    cmd: x\n    params:\n    - /dev/zero:\n",
    "a dependency on a device": "stages:\n  s:\n    cmd: x\n    deps: [/dev/zero]\n",
    "an output is a device": "stages:\n  s:\n    cmd: x\n    outs: [/dev/zero]\n",
    "a template that grows": "vars:\n- a: " + "x" * 100_000 + "\nstages:\n  s:\n    cmd: " + "${a}" * 20_000 + "\n",
    "an output that leads out": "stages:\n  s:\n    cmd: x\n    outs: [../../../canary/file]\n",
    "an output over git": "stages:\n  s:\n    cmd: x\n    outs: [.git]\n",
    "odd names": "stages:\n  '../../x':\n    cmd: x\n",
}


@pytest.mark.parametrize("name", BAD_PIPELINES)
def test_pipeline(ground, name):
    (ground.repo / "dvc.yaml").write_text(BAD_PIPELINES[name])
    must_refuse(ground, ["status", "checkout -f", "data status"], all_fail=False)


BAD_CONFIGS = {
    "not INI": "[[[\n",
    "deep": "[" * 10_000 + "a" + "]" * 10_000,
    "bytes": "\x00\xff",
    "unknown": "[core]\n    zzz = 1\n",
    "interpolation of itself": "[core]\n    remote = %(remote)s\n",
    "long": "[core]\n    remote = " + "x" * 6_000_000,
    "link types": "[cache]\n    type = /etc/passwd\n",
    "url with NUL": "[core]\n    remote = x\n['remote \"x\"']\n    url = a\0b\n",
    "remotes in a ring": "['remote \"a\"']\n    url = remote://b\n['remote \"b\"']\n    url = remote://a\n[core]\n    remote = a\n",
    "a remote like an option": "['remote \"x\"']\n    url = --help\n[core]\n    remote = x\n",
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_config(ground, name):
    (ground.repo / ".dvc/config").write_bytes(BAD_CONFIGS[name].encode("utf-8", "surrogateescape"))
    must_refuse(ground, ["status", "push", "config -l", "remote list"], all_fail=False)


BAD_IGNORES = {
    "stars": "*" * 5_000 + "x\n",
    "more stars": "a*" * 3_000 + "b\n",
    "double stars": "**/" * 3_000 + "x\n",
    "brackets": "[" * 10_000 + "\n",
    "a range": "[z-a]\n",
    "bytes": "\x00\x01\n",
    "lines": "x\n" * 200_000,
}


@pytest.mark.parametrize("name", BAD_IGNORES)
def test_dvcignore(ground, name):
    (ground.repo / ".dvcignore").write_text(BAD_IGNORES[name])
    (ground.repo / "data").mkdir()
    (ground.repo / "data" / ("a" * 200)).write_text("x")
    must_refuse(ground, ["status", "add data"], all_fail=False)
