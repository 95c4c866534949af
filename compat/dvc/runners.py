"""The two command lines: stock DVC from PyPI, and ours through a link named `dvc`."""

import dataclasses
import json
import os
import pathlib
import subprocess
import threading

WORKER = pathlib.Path(__file__).with_name("worker.py")

# Ours is started the way stock's worker starts a command, so both see the same world.
KEPT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


@dataclasses.dataclass
class Result:
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"[{self.code}]\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"


def environment(home: pathlib.Path, **more: str) -> dict[str, str]:
    """All that a command sees of the outside: nothing of the person who runs the tests."""
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_DIRS": str(home / "etc"),
        "LC_ALL": "C.UTF-8",
        "USER": "tester",
        "LOGNAME": "tester",
        "DVC_NO_ANALYTICS": "1",
        "DVC_TEST": "true",
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
        "GIT_AUTHOR_DATE": "2024-05-06T07:08:09 +0000",
        "GIT_COMMITTER_DATE": "2024-05-06T07:08:09 +0000",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONUNBUFFERED": "1",
        # Else stock asks Google by gRPC how each bucket is laid out, an emulator's too, and waits for the answer.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    return env | more


def prepare_home(home: pathlib.Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"
        "[core]\n\tfsync = none\n[gc]\n\tauto = 0\n[advice]\n\tdetachedHead = false\n[protocol \"file\"]\n\tallow = always\n"
    )


class Binary:
    """Our program, called by the name under which it is DVC."""

    def __init__(self, link: pathlib.Path):
        self.link = link

    def start(self, args, cwd, env, stdin=""):
        process = subprocess.Popen(
            [str(self.link), *args],
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

        def finish() -> Result:
            try:
                out, err = process.communicate(stdin.encode("utf-8", "surrogateescape"), timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                err += b"\n(killed after 120 s)\n"
            out, err = (text.decode("utf-8", "surrogateescape") for text in (out, err))
            return Result(process.returncode, out, err)

        return finish

    def run(self, args, cwd, env, stdin="") -> Result:
        return self.start(args, cwd, env, stdin)()

    def close(self) -> None:
        pass


class Stock:
    """Stock DVC, kept imported in a worker."""

    def __init__(self, python: str, home: pathlib.Path, backwards: bool = False, remotes: bool = False):
        prepare_home(home)
        env = environment(home)
        self.process = subprocess.Popen(
            [python, "-P", str(WORKER), *["--backwards"] * backwards, *["--remotes"] * remotes],
            cwd=home,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lock = threading.Lock()

    def start(self, args, cwd, env, stdin=""):
        self.lock.acquire()
        request = {"args": list(args), "cwd": str(cwd), "env": env, "stdin": stdin}
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BaseException:
            self.lock.release()
            raise

        def finish() -> Result:
            try:
                line = self.process.stdout.readline()
            finally:
                self.lock.release()
            if not line:
                raise RuntimeError(f"the worker of stock DVC ended with {self.process.wait()} at dvc {args}")
            return Result(**json.loads(line))

        return finish

    def run(self, args, cwd, env, stdin="") -> Result:
        return self.start(args, cwd, env, stdin)()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
