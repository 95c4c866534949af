"""Everything that can be seen of a folder after a command: the files with their bytes, modes and links, and what git
has staged. Left out is what a tool keeps for itself: `.dvc/tmp`, the site cache, git's objects, our folder in a cache."""

import hashlib
import os
import pathlib
import re
import stat
import subprocess

# Folders at the top of a side that belong to the tools.
PRIVATE = {"site", "tmp"}
GIT_KEPT = ("config", "info", "hooks", "HEAD", "refs", "packed-refs")
LONG = 4096
# What our folder in a cache, called `trackway`, may hold.
OURS = {"verified", "verified-v2", "writers", "writers.lock", "tmp", "trash", "projects", "damaged"}
# Stock tries which links work with files of such names, and leaves them behind in remotes. Ours names its own otherwise.
STOCKS_LITTER = re.compile(r"\.[\w-]{22}\.tmp")


class Snapshots:
    """Takes snapshots of one folder, and asks git again only when its index has changed."""

    def __init__(self, root: pathlib.Path, env: dict[str, str]):
        self.root = root
        self.env = env
        self.indexes: dict[str, tuple] = {}

    def take(self) -> dict[str, tuple]:
        seen: dict[str, tuple] = {}
        self._walk(str(self.root), "", seen)
        return seen

    def _plain(self, data: bytes) -> bytes:
        return data.replace(os.fsencode(self.root), b"<root>")

    def _walk(self, folder: str, inside: str, seen: dict[str, tuple]) -> None:
        for entry in os.scandir(folder):
            name = inside + entry.name
            if name in PRIVATE or STOCKS_LITTER.fullmatch(entry.name):
                continue
            info = entry.stat(follow_symlinks=False)
            mode = oct(stat.S_IMODE(info.st_mode))
            if entry.is_symlink():
                seen[name] = ("link", self._plain(os.fsencode(os.readlink(entry.path))))
            elif entry.is_dir():
                if entry.name == "tmp" and inside.endswith(".dvc/"):
                    continue
                if entry.name == "trackway" and set(os.listdir(entry.path)) <= OURS:
                    continue
                if entry.name == ".git":
                    self._git(entry.path, name, seen)
                    continue
                seen[name + "/"] = ("folder", mode)
                self._walk(entry.path, name + "/", seen)
            elif entry.is_file():
                with open(entry.path, "rb") as file:
                    data = file.read()
                seen[name] = ("file", mode, info.st_nlink, self._content(data))
            else:
                seen[name] = ("special", mode)

    def _content(self, data: bytes):
        data = self._plain(data)
        return data if len(data) <= LONG else f"{len(data)} bytes, md5 {hashlib.md5(data).hexdigest()}"

    def _git(self, folder: str, name: str, seen: dict[str, tuple]) -> None:
        for kept in GIT_KEPT:
            path = os.path.join(folder, kept)
            if os.path.isdir(path):
                for parent, _, files in os.walk(path):
                    for file in files:
                        if not file.endswith(".sample"):
                            self._git_file(os.path.join(parent, file), folder, name, seen)
            elif os.path.exists(path):
                self._git_file(path, folder, name, seen)
        index = os.path.join(folder, "index")
        if os.path.exists(index):
            info = os.stat(index)
            key = (info.st_mtime_ns, info.st_size, info.st_ino)
            if self.indexes.get(name, (None,))[0] != key:
                listed = subprocess.run(
                    ["git", "ls-files", "-s", "-z"], cwd=os.path.dirname(folder), env=self.env, capture_output=True
                )
                self.indexes[name] = (key, listed.stdout)
            for line in self.indexes[name][1].split(b"\0"):
                if line:
                    what, _, path = line.partition(b"\t")
                    seen[f"{name} staged {os.fsdecode(path)}"] = ("staged", what)

    def _git_file(self, path: str, folder: str, name: str, seen: dict[str, tuple]) -> None:
        with open(path, "rb") as file:
            data = file.read()
        mode = oct(stat.S_IMODE(os.stat(path).st_mode))
        seen[f"{name}/{os.path.relpath(path, folder)}"] = ("file", mode, self._content(data))


def sorted_gitignores(seen: dict[str, tuple]) -> dict[str, tuple]:
    return {
        name: (*what[:3], sorted(what[3].split(b"\n"))) if name.endswith("/.gitignore") and what[0] == "file" else what
        for name, what in seen.items()
    }


def differences(stock: dict[str, tuple], ours: dict[str, tuple]) -> list[str]:
    """One line for each path that is not the same on both sides."""
    found = []
    for name in sorted(stock.keys() | ours.keys(), key=lambda n: n.encode("utf-8", "surrogateescape")):
        left, right = stock.get(name), ours.get(name)
        if left != right:
            left, right = ("is not there" if side is None else " ".join(map(str, side)) for side in (left, right))
            found.append(f"{name!r}\n        stock: {left}\n        ours:  {right}")
    return found
