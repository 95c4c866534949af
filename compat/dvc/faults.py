"""Small repositories in which a command is to be killed, or to run out of space, at a chosen call of the kernel."""

import dataclasses
import pathlib
import random
import shutil
import subprocess

from dvc.runners import Result, environment, prepare_home

# Whatever changes a file system.
CHANGES = (
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,write,writev,pwrite64,"
    "chmod,fchmod,fchmodat,ftruncate,copy_file_range,sendfile,fsync,fdatasync,syncfs"
)
# Whatever a full disk refuses.
NEEDS_SPACE = (
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,write,writev,pwrite64,copy_file_range,"
    "sendfile,fsync,fdatasync,syncfs"
)


@dataclasses.dataclass
class Scenario:
    """`setup` makes the state that `command` begins with. Each line is a command: `$ …` of git, or of ours."""

    command: list[str]
    setup: list[str]


def scenario(command: str, *setup: str) -> Scenario:
    return Scenario(command.split(), list(setup))


TRACKED = ("add -q data big",)
TWO_VERSIONS = (*TRACKED, "$ git add -A", "$ git commit -qm 1", "!change", "add -q data big", "$ git add -A", "$ git commit -qm 2")

SCENARIOS = {
    "init": Scenario(["init", "-q", "-f"], []),
    "add": scenario("add -q data big"),
    "add again, changed": scenario("add -q data big", *TRACKED, "!change"),
    "add by hardlink": scenario("add -q data big", "config cache.type hardlink,symlink"),
    "add by symlink": scenario("add -q data big", "config cache.type symlink"),
    "add a file in a folder": scenario("add -q data/new", *TRACKED, "!new"),
    "add --no-commit": scenario("add -q --no-commit data big"),
    "commit": scenario("commit -q -f", *TRACKED, "!change"),
    "checkout everything": scenario("checkout -q", *TRACKED, "!wipe"),
    "checkout by hardlink": scenario("checkout -q", "config cache.type hardlink", *TRACKED, "!wipe"),
    "checkout by symlink": scenario("checkout -q", "config cache.type symlink", *TRACKED, "!wipe"),
    "checkout another version": scenario("checkout -q", *TWO_VERSIONS, "$ git checkout -q HEAD~1"),
    "checkout over changes": scenario("checkout -q -f", *TRACKED, "!change"),
    "checkout removes what nothing tracks": scenario("checkout -q", "$ git commit -qm 0", *TWO_VERSIONS, "$ git checkout -q HEAD~2"),
    "checkout --relink": scenario("checkout -q --relink", *TRACKED, "config cache.type hardlink"),
    "remove": scenario("remove -q data.dvc", *TRACKED),
    "remove --outs": scenario("remove -q --outs data.dvc", *TRACKED),
    "move": scenario("move -q data moved", *TRACKED),
    "unprotect": scenario("unprotect -q data big", "config cache.type hardlink", *TRACKED),
    "push": scenario("push -q", *TWO_VERSIONS),
    "push every commit": scenario("push -A", *TWO_VERSIONS),
    "fetch": scenario("fetch -q", *TWO_VERSIONS, "push -q", "!no cache"),
    "pull": scenario("pull -q", *TWO_VERSIONS, "push -q", "!no cache", "!wipe"),
    "gc": scenario("gc -q -w -f", *TWO_VERSIONS),
    "gc of all commits": scenario("gc -q -A -f", *TWO_VERSIONS, "!change", "add -q data"),
    "remote add": scenario("remote add -q -d other /somewhere/else"),
    "config": scenario("config core.autostage true"),
    "migrate": scenario("cache migrate -q", *TRACKED),
    "status": scenario("status -q", *TRACKED),
    "destroy": scenario("destroy -q -f", *TRACKED),
}


class Lab:
    """A place for one scenario: the state that it begins with, and the state that it should end in."""

    def __init__(self, root: pathlib.Path, program: pathlib.Path, scenario: Scenario):
        self.root = root
        self.program = program
        self.scenario = scenario
        self.start = root / "start"
        self.work = root / "work"
        self.start.mkdir(parents=True)
        self._make()
        self.reset()
        done = self.run(self.scenario.command)
        assert done.code == 0, done
        self.wanted = self.state()

    def _make(self) -> None:
        self.reset()
        repo = self.work / "repo"
        repo.mkdir()
        subprocess.run(["git", "init", "-q"], cwd=repo, env=self.env, check=True)
        chance = random.Random(7)
        for number in range(20):
            path = repo / f"data/{number % 4}/file{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(chance.randbytes(600 + number))
        (repo / "data/empty").write_bytes(b"")
        (repo / "big").write_bytes(chance.randbytes(300_000))
        self._ours("init -q")
        self._ours(f"remote add -q -d store {self.work}/remote")
        for line in self.scenario.setup:
            match line[0]:
                case "$":
                    subprocess.run(line[2:].split(), cwd=repo, env=self.env, check=True)
                case "!":
                    getattr(self, "_" + line[1:].replace(" ", "_"))(repo)
                case _:
                    self._ours(line)
        shutil.rmtree(self.start)
        shutil.move(self.work, self.start)

    def _ours(self, line: str) -> None:
        done = self.run(line.split())
        assert done.code == 0, (line, done)

    def _change(self, repo: pathlib.Path) -> None:
        for path, text in (("data/1/file1", b"changed"), ("data/9/added", b"added"), ("big", b"smaller")):
            path = repo / path
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(text)
        (repo / "data/2/file2").unlink(missing_ok=True)

    def _new(self, repo: pathlib.Path) -> None:
        (repo / "data/new").write_bytes(b"new")

    def _wipe(self, repo: pathlib.Path) -> None:
        shutil.rmtree(repo / "data")
        (repo / "big").unlink()

    def _no_cache(self, repo: pathlib.Path) -> None:
        shutil.rmtree(repo / ".dvc/cache")

    @property
    def env(self) -> dict[str, str]:
        return environment(self.work / "home")

    def reset(self) -> None:
        """Back to the beginning. Hard links and times are as they were, so that records of them hold."""
        if self.work.exists():
            shutil.rmtree(self.work)
        if any(self.start.iterdir()):
            subprocess.run(["cp", "-a", str(self.start), str(self.work)], check=True)
        else:
            self.work.mkdir()
            prepare_home(self.work / "home")

    def run(self, command: list[str], before: tuple[str, ...] = (), program: pathlib.Path | None = None) -> Result:
        done = subprocess.run(
            [*before, str(program or self.program), *command],
            cwd=self.work / "repo",
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def injected(self, calls: str, what: str, number: int) -> Result:
        """Runs the scenario's command, and does something to the `number`th of the calls of one of its threads."""
        inject = f"--inject={calls}:{what}:when={number}"
        return self.run(self.scenario.command, ("strace", "-f", "-qqq", "-o", "/dev/null", f"--trace={calls}", inject))

    def state(self) -> dict[str, tuple]:
        """What the person and other tools see: all but what a tool keeps for itself."""
        seen: dict[str, tuple] = {}
        for path in sorted(self.work.rglob("*")):
            name = str(path.relative_to(self.work))
            parts = name.split("/")
            private = parts[0] == "home" or ".git" in parts or ".dvc/tmp" in name or "cache/trackway" in name
            if private or "remote/trackway" in name:
                continue
            if path.is_symlink():
                seen[name] = ("link", str(path.readlink()))
            elif path.is_dir():
                # Which of the 256 folders of a cache are there says nothing.
                if not any(part in ("cache", "remote") for part in parts):
                    seen[name] = ("folder",)
            else:
                seen[name] = ("file", path.read_bytes(), path.stat().st_mode & 0o777)
        return seen

    def leftovers(self) -> list[str]:
        """Temporary files in places that are not ours."""
        return [
            name
            for name in self.state()
            if name.endswith(".tmp") or "/.trackway" in name or "/tmp" in name.removeprefix("repo/.dvc")
        ]
