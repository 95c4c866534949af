"""A repository that one tool uses, and what must be true of it after every step."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess

from dvc.remotes.kinds import Remote
from dvc.runners import Result, environment, prepare_home

# Names that some store, URL or protocol could take for something else.
ODD = ("a b", "ü", "x#y", "50%25", "p+q", "k?v=1", "[1]", "ñ d/é", "a&b;c")


class Repository:
    def __init__(self, folder: pathlib.Path, tool, remote: Remote, origin: "Repository | pathlib.Path"):
        self.tool, self.remote = tool, remote
        self.folder, self.path = folder, folder / "repo"
        (folder / "tmp").mkdir(parents=True)
        prepare_home(folder / "home")
        self.env = environment(folder / "home", DVC_SITE_CACHE_DIR=str(folder / "site"), TMPDIR=str(folder / "tmp"))
        if isinstance(origin, Repository):
            self.git("clone", "-q", str(origin.path), str(self.path), cwd=folder)
            if (told := origin.path / ".dvc/config.local").exists():
                shutil.copy(told, self.path / ".dvc/config.local")
        else:
            shutil.copytree(origin, self.path, symlinks=True)

    def git(self, *args: str, cwd: pathlib.Path | None = None) -> None:
        subprocess.run(["git", *args], cwd=cwd or self.path, env=self.env, check=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "step")

    def follow(self, other: "Repository") -> None:
        """Takes over what the other has committed."""
        self.git("pull", "-q", str(other.path), "main")

    def dvc(self, *args: str, code: int | None = 0, stdin: str = "") -> Result:
        """Runs a command that must end with this code, None for any, and lets no secret out."""
        result = self.tool.run(args, self.path, self.env, stdin)
        told = f"dvc {' '.join(args)}"
        # 125 and less than 0: it was killed, or the worker failed.
        assert result.code in range(256) and "Traceback" not in result.stderr and "panicked" not in result.stderr, f"{told}: {result}"
        assert code is None or result.code == code, f"{told} should have ended with {code}: {result}"
        self.has_no_secret(told, result)
        return result

    def has_no_secret(self, told: str, result: Result) -> None:
        # `remote modify` with a secret names it, and so does config.local, which is there for it.
        texts = {"its output": str(result)}
        for folder, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in (".git", "files")]
            for name in files:
                path = pathlib.Path(folder, name)
                if path.is_file() and path.stat().st_size < 1 << 20 and name != "config.local":
                    texts[str(path.relative_to(self.folder))] = path.read_bytes().decode("utf-8", "replace")
        for secret in self.remote.secrets:
            found = [where for where, text in texts.items() if secret in text]
            assert not found, f"after {told} a secret stands in {', '.join(found)}"

    def fill(self) -> None:
        """Files and folders with all that transfers could get wrong; not yet added."""
        self.write("f", b"file\n")
        # More than the pieces in which stores take large objects.
        self.write("big", bytes(range(256)) * 36_000)
        for name in ("d/a", "d/sub/b", "d/sub/deeper/c"):
            self.write(name, name.encode())
        self.write("d/empty", b"")
        for name in ODD:
            self.write(f"odd/{name}", name.encode())
        self.dvc("add", "-q", "f", "big", "d", "odd")
        self.add_as_dvc_2()

    def add_as_dvc_2(self) -> None:
        """Adds outputs that DVC 2 tracked: their objects lie beside `files`, and a text is hashed with the ends of its lines
        as on Unix."""
        self.write("old", b"old\r\nfile\r\n")
        self.write("olddir/a", b"old a\n")
        old = self._object_of_dvc_2(b"old\r\nfile\r\n")
        inner = self._object_of_dvc_2(b"old a\n")
        listing = self._object_of_dvc_2(json.dumps([{"md5": inner, "relpath": "a"}]).encode(), ".dir")
        self.write("old.dvc", f"outs:\n- md5: {old}\n  size: 11\n  path: old\n".encode())
        self.write("olddir.dvc", f"outs:\n- md5: {listing}\n  size: 6\n  nfiles: 1\n  path: olddir\n".encode())
        with open(self.path / ".gitignore", "a") as ignored:
            ignored.write("/old\n/olddir\n")

    def _object_of_dvc_2(self, content: bytes, suffix: str = "") -> str:
        name = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest() + suffix
        self.write(f".dvc/cache/{name[:2]}/{name[2:]}", content)
        return name

    def write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def data(self) -> dict[str, bytes]:
        """All files of the work tree that git does not have."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--others", "--ignored", "--exclude-standard"],
            cwd=self.path,
            env=self.env,
            check=True,
            capture_output=True,
        )
        names = (os.fsdecode(name) for name in listed.stdout.split(b"\0") if name and not name.startswith(b".dvc/"))
        return {name: (self.path / name).read_bytes() for name in names}

    def cached(self) -> set[str]:
        """The objects in the cache, each of which must be what it is called."""
        cache = self.path / ".dvc/cache"
        found = {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
        # Where ours notes what it has verified.
        found = {key for key in found if not key.startswith("trackway/")}
        # Of DVC 2's own objects the hash is of another text: of lines that end as on Unix.
        for key in (key for key in found if key.startswith("files/")):
            assert is_whole(key, (cache / key).read_bytes()), f"{key} in the cache is not what it is called"
        return found

    def forget(self) -> None:
        """Has neither cache nor data, as a new clone."""
        shutil.rmtree(self.path / ".dvc/cache", ignore_errors=True)
        shutil.rmtree(self.path / ".dvc/tmp", ignore_errors=True)
        for name in self.data():
            (self.path / name).unlink()


def is_whole(key: str, content: bytes) -> bool:
    """Whether an object has the bytes that it is named after."""
    name = "".join(key.split("/")[-2:]).removesuffix(".dir")
    return hashlib.md5(content).hexdigest() == name
