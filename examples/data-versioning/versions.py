"""Versions of data and models: a model file and a folder of data through their whole life, told with the `dvc` command.

A straight line is fitted to a folder of measurements, and written to a model file. Folder and model are tracked, pushed to a
remote (a folder), and tagged v1.0. More data comes, the model is fitted again: v2.0. Then back to v1.0 and forward again, by
hand and by git hooks; a colleague's fresh clone; and a cache that keeps the newest commits only.

    python versions.py                          # with the `dvc` of your PATH: Trackway's link or stock DVC
    python versions.py --dvc trackway           # with Trackway under its own name
    python versions.py --colleague other/dvc    # the colleague of part 6 has another program
    python versions.py --folder story           # somewhere to look around in afterwards

Every claim that the script prints has been checked before: a wrong outcome ends it with an error. It needs `git` and
nothing else.
"""

import argparse
import csv
import json
import os
import pathlib
import pickle
import shlex
import shutil
import subprocess
import sys
import tempfile


class Person:
    """A clone of the repository, and the command that its owner has for DVC's work."""

    def __init__(self, folder: pathlib.Path, command: list[str]):
        self.folder = folder
        self.command = command
        # Git's hooks call the program by its name. Nothing here asks a person, and nobody's statistics count it.
        path = os.pathsep.join([str(pathlib.Path(command[0]).parent), os.environ.get("PATH", "")])
        self.env = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "GIT_TERMINAL_PROMPT": "0"}

    def git(self, *words: str) -> None:
        self.run("git", *words)

    def dvc(self, *words: str) -> str:
        return self.run(*self.command, *words)

    def run(self, *words: str) -> str:
        """Shows a command, runs it and returns what it printed. A failure ends the ada."""
        print("  $", shlex.join([pathlib.Path(words[0]).name, *words[1:]]))
        done = subprocess.run(words, cwd=self.folder, env=self.env, text=True, capture_output=True)
        if done.returncode:
            sys.exit(f"It ended with code {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def commit(self, message: str, *paths: str) -> None:
        self.git("add", *paths)
        self.git("commit", "-q", "-m", message)

    def contents(self) -> dict[str, bytes]:
        """What lies in the work tree of all that is tracked."""
        files = [self.folder / "model.pkl", *sorted((self.folder / "data").rglob("*"))]
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in files if file.is_file()}

    def cached(self) -> int:
        return objects(self.folder / ".dvc" / "cache")


def objects(folder: pathlib.Path) -> int:
    """How many objects a cache or a remote holds."""
    return sum(file.is_file() for file in (folder / "files" / "md5").rglob("*"))


def measure(folder: pathlib.Path, month: int, days: int) -> None:
    """A month of measurements: degrees outside, and the heating's kilowatt hours. The house is used more each month."""
    folder.mkdir(exist_ok=True)
    with open(folder / f"month-{month:02}.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["degrees", "kwh"])
        for day in range(days):
            degrees = (day * 7) % 11 - 4
            table.writerow([degrees, 90 + 3 * month - 4 * degrees + (day * month) % 5])


def fit(folder: pathlib.Path, model: pathlib.Path) -> None:
    """Fits kwh = slope * degrees + offset by least squares, and stores it."""
    rows = [row for file in sorted(folder.glob("*.csv")) for row in csv.DictReader(file.open(newline=""))]
    x, y = [float(row["degrees"]) for row in rows], [float(row["kwh"]) for row in rows]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
    line = {"slope": slope, "offset": mean_y - slope * mean_x, "rows": len(rows)}
    model.write_bytes(pickle.dumps(line, protocol=4))


def predict(model: bytes, degrees: float) -> float:
    line = pickle.loads(model)
    return line["slope"] * degrees + line["offset"]


def tell(place: pathlib.Path, command: list[str], colleagues_command: list[str]) -> None:
    project, storage = place / "project", place / "storage"
    ada, versions = Person(project, command), {}

    print("1. Track a model and a folder of data")
    project.mkdir(parents=True)
    ada.git("init", "-q", "--initial-branch=main")
    ada.git("config", "user.name", "Ada")
    ada.git("config", "user.email", "ada@example.com")
    ada.dvc("init")
    for month in (1, 2, 3):
        measure(project / "data", month, days=28)
    fit(project / "data", project / "model.pkl")
    ada.dvc("add", "model.pkl", "data")
    assert (project / ".gitignore").read_text() == "/model.pkl\n/data\n"
    assert json.loads(ada.dvc("status", "--json")) == {}
    print(f"  git keeps data.dvc ({(project / 'data.dvc').stat().st_size} bytes), the cache the data")

    print("2. Push it, and tag v1.0")
    ada.dvc("remote", "add", "--default", "storage", str(storage))
    ada.commit("Three months", ".dvc/config", ".gitignore", "model.pkl.dvc", "data.dvc")
    ada.dvc("push")
    ada.git("tag", "v1.0")
    versions["v1.0"] = ada.contents()
    assert objects(storage) == 5, "three files, their folder's list, the model"
    print(f"  the remote holds {objects(storage)} objects")

    print("3. Change the data, fit again, and tag v2.0")
    measure(project / "data", 3, days=31)
    measure(project / "data", 4, days=30)
    fit(project / "data", project / "model.pkl")
    changed = json.loads(ada.dvc("diff", "--json"))
    assert [entry["path"] for entry in changed["added"]] == ["data/month-04.csv"], changed
    assert {entry["path"] for entry in changed["modified"]} == {"data/", "data/month-03.csv", "model.pkl"}, changed
    ada.dvc("commit", "--force")
    ada.commit("Four months", "model.pkl.dvc", "data.dvc")
    ada.dvc("push")
    ada.git("tag", "v2.0")
    versions["v2.0"] = ada.contents()
    assert versions["v1.0"].keys() < versions["v2.0"].keys()
    assert objects(storage) == 9, "two of the three old files are still of use"
    for version, files in versions.items():
        print(f"  {version}: {len(files)} files; at -5 degrees it predicts {predict(files['model.pkl'], -5):.1f} kWh")

    print("4. Back to v1.0, by hand")
    ada.git("checkout", "-q", "v1.0")
    ada.dvc("checkout")
    assert ada.contents() == versions["v1.0"]
    print("  all files are those of v1.0")

    print("5. Forward to v2.0, by git alone")
    ada.dvc("install")
    ada.git("checkout", "-q", "main")
    assert ada.contents() == versions["v2.0"]
    print("  the installed hook brought the files of v2.0")

    print("6. A colleague's fresh clone")
    bob = Person(place / "colleague", colleagues_command)
    ada.git("clone", "-q", ".", str(bob.folder))
    assert not (bob.folder / "data").exists()
    bob.dvc("pull")
    assert bob.contents() == versions["v2.0"]
    bob.git("checkout", "-q", "v1.0")
    bob.dvc("pull")
    assert bob.contents() == versions["v1.0"]
    print(f"  pulled both versions; that clone's cache holds {bob.cached()} objects")

    print("7. Keep the two newest commits in the cache")
    measure(project / "data", 3, days=30)
    measure(project / "data", 5, days=31)
    fit(project / "data", project / "model.pkl")
    ada.dvc("add", "model.pkl", "data")
    ada.commit("Five months", "model.pkl.dvc", "data.dvc")
    ada.dvc("push")
    ada.git("tag", "v3.0")
    versions["v3.0"] = ada.contents()
    before = ada.cached()
    ada.dvc("gc", "--all-branches", "--num", "2", "--force")
    after = ada.cached()
    assert (before, after) == (13, 10), "of v1.0, the model, a file and the folder's list are of no other version"
    for version in ("v2.0", "v3.0"):
        ada.git("checkout", "-q", version)  # The hook does the rest, from the cache.
        assert ada.contents() == versions[version]
    print(f"  {before} objects became {after}; v2.0 and v3.0 are still there")

    print("8. What the cache has lost, the remote brings back")
    # The hook would miss the objects of v1.0: this time the data comes by `pull`.
    ada.git("-c", "core.hooksPath=/dev/null", "checkout", "-q", "v1.0")
    ada.dvc("pull")
    assert ada.contents() == versions["v1.0"]
    assert json.loads(ada.dvc("status", "--json")) == {}
    print("  v1.0 is back")
    print("The story ends well.")


def program(words: str) -> list[str]:
    """A command as it was named, its program by its whole path."""
    name, *rest = shlex.split(words) or [""]
    found = shutil.which(name)
    if not found:
        sys.exit(f"There is no program '{name}'. Say with --dvc or --colleague which one to run.")
    return [str(pathlib.Path(found).absolute()), *rest]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dvc", default="dvc", help="the command: dvc, trackway, 'trackway dvc' (default: %(default)s)")
    arguments.add_argument("--colleague", help="the command that the colleague runs (default: the same)")
    arguments.add_argument("--folder", type=pathlib.Path, help="where to play; made anew (default: a temporary folder)")
    given = arguments.parse_args()
    commands = [program(given.dvc), program(given.colleague or given.dvc)]
    if given.folder:
        if given.folder.exists():
            sys.exit(f"'{given.folder}' exists already. Name a folder that the story can make.")
        return tell(given.folder.absolute(), *commands)
    with tempfile.TemporaryDirectory() as folder:
        tell(pathlib.Path(folder).resolve(), *commands)


if __name__ == "__main__":
    main()
