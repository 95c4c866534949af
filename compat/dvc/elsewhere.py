"""Another repository than those in which the tools work, from which they import."""

import pathlib
import subprocess

from dvc.runners import environment, prepare_home


class Elsewhere:
    """A repository that both sides reach at one URL; its data is in a remote."""

    def __init__(self, stock, folder: pathlib.Path, template: pathlib.Path):
        self.stock = stock
        self.folder = folder
        self.root = folder / "other"
        prepare_home(folder / "home")
        subprocess.run(["cp", "-r", template, self.root], check=True)
        self.env = environment(folder / "home")
        self.dvc("remote", "add", "-q", "-d", "store", str(folder / "store"))
        for name, text in {"d/a": "1\n", "d/s/b": "22\n", "f": "f\n", "g/x": "git\n"}.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.dvc("add", "-q", "d", "f")
        self.commit("one")

    @property
    def url(self) -> str:
        return f"file://{self.root}"

    def dvc(self, *args: str) -> None:
        done = self.stock.run(list(args), self.root, self.env)
        assert done.code == 0, done

    def git(self, *args: str) -> None:
        subprocess.run(["git", *args], cwd=self.root, env=self.env, check=True)

    def commit(self, message: str) -> None:
        self.dvc("push", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def change(self) -> None:
        """The next commit has more of `d`, and another `f`."""
        (self.root / "d/c").write_text("3\n")
        (self.root / "f").write_text("ff\n")
        self.dvc("add", "-q", "d", "f")
        self.commit("changed")
