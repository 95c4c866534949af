"""Plays the same steps with stock DVC and with ours, each in a folder of its own, and compares all that can be seen.

A case is a few lines of text:

    # its name
    @ git                     the repository to begin with: dvc (the default: git, `dvc init`, one commit), git,
                              no-scm (`dvc init --no-scm`), none (an empty folder)
    $ echo 1 > data           a shell command, which must succeed on both sides
    $? false                  one that may fail: both must end alike
    > add data                a dvc command: exit code, stdout, stderr and all files must be the same afterwards
    > gc -w <<< y             with an answer on its standard input (`\\n` is a new line)
    cd sub                    later commands run in repo/sub; `cd ..` leads to the folder around the repository
    env NAME=value            later commands see it; `env NAME` takes it away
"""

import dataclasses
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from dvc.known_differences import reason_for
from dvc.runners import Result, environment, prepare_home
from dvc.snapshot import Snapshots, differences, sorted_gitignores

# Stock keeps the paths to add in a set and prints them as Python's randomised hashes have it.
CLONE = re.compile(r"(tmp/tmp\w{8}dvc-clone|site/trackway-clones-\d+/\w{40})")
GIT_ADD = re.compile(r"^\tgit add (.*?)$(?=\n\n|\n?\Z)", re.MULTILINE | re.DOTALL)


def in_order(match: re.Match) -> str:
    try:
        return "\tgit add " + shlex.join(sorted(shlex.split(match[1])))
    except ValueError:  # a name with a line break
        return match[0]


def comparable(args: list[str], text: str, is_stderr: bool = False) -> str:
    """What of an output is a promise: not the debug log, nor the order in which the file system lists folders, which is
    the order of stages, of missing files, of conflicts."""
    words = set(args)
    if words & {"-v", "-vv", "--verbose"}:
        return ""
    if "--json" in words and words & {"-c", "--cloud"} and text.strip().startswith("{"):
        before, _, parsed = text.partition("{")  # a progress bar's last line goes before
        return before + json.dumps(json.loads("{" + parsed), sort_keys=True)
    if is_stderr or words & {"-c", "--cloud", "gc", "du", "update", "list-url"}:
        return "\n".join(sorted(text.split("\n")))
    if "status" in words:
        if "--json" in words and text.startswith("{"):
            parsed = json.loads(text)
            assert text == json.dumps(parsed) + "\n", "this JSON is not spaced as Python's"
            return json.dumps(in_any_order(parsed), sort_keys=True)
        if "data" in words:
            return "\n".join(line for run in runs_of_paths(text.split("\n")) for line in run)
        return "".join(sorted(BLOCK.findall(text)))
    return text


def in_any_order(value):
    if isinstance(value, dict):
        return {key: in_any_order(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((in_any_order(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return value


def runs_of_paths(lines: list[str]):
    """The paths under one heading of `dvc data status` are indented by eight blanks."""
    for is_path, run in itertools.groupby(lines, key=lambda line: line.startswith(" " * 8)):
        yield sorted(run) if is_path else run


# One stage of `dvc status`: a line and the indented ones that follow.
BLOCK = re.compile(r"^.*\n?(?:^\t.*\n?)*", re.MULTILINE)


@dataclasses.dataclass
class Case:
    name: str
    lines: list[str]

    def __str__(self) -> str:
        return self.name


def cases(text: str) -> list[Case]:
    found: list[Case] = []
    for line in text.strip("\n").split("\n"):
        line = line.strip()
        if line.startswith("# "):
            found.append(Case(line[2:], []))
        elif line:
            found[-1].lines.append(line)
    names = [case.name for case in found]
    assert len(names) == len(set(names)), "two cases have one name"
    return found


class Side:
    def __init__(self, root: pathlib.Path, tools):
        self.root = root
        self.repo = root / "repo"
        self.tools = tools
        self.turn = 0
        for folder in (self.repo, root / "tmp"):
            folder.mkdir(parents=True)
        prepare_home(root / "home")
        self.env = environment(root / "home", DVC_SITE_CACHE_DIR=str(root / "site"), TMPDIR=str(root / "tmp"))
        self.snapshots = Snapshots(root, self.env)

    def next_tool(self):
        return self.tools[self.turn % len(self.tools)]

    def start(self, args, cwd: pathlib.Path, env: dict[str, str | None], stdin: str):
        """With several tools they take turns."""
        tool = self.next_tool()
        self.turn += 1
        args = [arg.replace("<root>", str(self.root)) for arg in args]
        return tool.start(args, self.root / cwd, self._env(env), stdin)

    def shell(self, command: str, cwd: pathlib.Path, env: dict[str, str | None]) -> Result:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root / cwd,
            env=self._env(env) | {"ROOT": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        out, err = (self.plain(text.decode("utf-8", "surrogateescape")) for text in (done.stdout, done.stderr))
        return Result(done.returncode, out, err)

    def _env(self, more: dict[str, str | None]) -> dict[str, str]:
        env = self.env | {name: value.replace("<root>", str(self.root)) for name, value in more.items() if value is not None}
        return {name: value for name, value in env.items() if more.get(name, "") is not None}

    def plain(self, text: str) -> str:
        return CLONE.sub("<clone>", GIT_ADD.sub(in_order, text.replace(str(self.root), "<root>")))


class Pair:
    """Stock on one side and on the other ours, or both taking turns."""

    def __init__(self, folder: pathlib.Path, stock, other: list, templates):
        # Names of one length: tables are as wide on both sides.
        self.stock = Side(folder / "a", [stock])
        self.ours = Side(folder / "b", other)
        self.templates = templates
        self.cwd = pathlib.PurePosixPath("repo")
        self.env: dict[str, str | None] = {}
        self.globbed = False
        self.log: list[str] = []
        self.faults: list[str] = []
        self.known: list[str] = []
        self.accepted: set[str] = set()
        # A known difference let one succeed and the other fail: what follows cannot be compared.
        self.diverged = False

    def begin(self, kind: str) -> None:
        if kind != "none":
            for side in (self.stock, self.ours):
                shutil.copytree(self.templates(kind), side.repo, symlinks=True, dirs_exist_ok=True)

    def shell(self, command: str, may_fail: bool = False) -> None:
        self.log.append(f"$ {command}")
        left, right = (side.shell(command, self.cwd, self.env) for side in (self.stock, self.ours))
        if left.code and not may_fail:
            raise AssertionError(f"`{command}` failed in stock's folder: {left}")
        if left != right:
            self.faults.append(f"$ {command}\n    shell commands end unlike\n    stock: {left}\n    ours: {right}")

    def dvc(self, args: list[str], stdin: str = "") -> tuple[Result, Result]:
        told = "dvc " + shlex.join(args) + (f" <<< {stdin!r}" if stdin else "")
        self.log.append(told)
        # Both at a time, unless one worker serves both: there are at least two cores.
        alone = self.ours.next_tool() is self.stock.next_tool()
        finish_stock = self.stock.start(args, self.cwd, self.env, stdin)
        stock = finish_stock() if alone else None
        finish_ours = self.ours.start(args, self.cwd, self.env, stdin)
        stock = stock or finish_stock()
        ours = finish_ours()
        for side, result in ((self.stock, stock), (self.ours, ours)):
            result.stdout, result.stderr = side.plain(result.stdout), side.plain(result.stderr)
        for where, left, right in (
            ("exit code", stock.code, ours.code),
            ("stdout", comparable(args, stock.stdout), comparable(args, ours.stdout)),
            ("stderr", comparable(args, stock.stderr, True), comparable(args, ours.stderr, True)),
        ):
            if left != right:
                self._differs(args, told, where, left, right)
        self.compare_files(args, told)
        return stock, ours

    def compare_files(self, args=(), told: str = "files") -> None:
        # What a glob finds is added in the order of the folder's entries.
        self.globbed = self.globbed or "--glob" in args
        stock, ours = (side.snapshots.take() for side in (self.stock, self.ours))
        if self.globbed:
            stock, ours = (sorted_gitignores(side) for side in (stock, ours))
        # What a known difference left behind stays different under the commands that follow.
        found = [difference for difference in differences(stock, ours) if difference not in self.accepted]
        if found:
            self._differs(args, told, "files", found, found)

    def _differs(self, args, told: str, where: str, stock, ours) -> None:
        if reason := reason_for(args, where, stock, ours):
            self.known.append(f"{told}: {reason}")
            self.diverged = self.diverged or where == "exit code"
            if where == "files":
                self.accepted.update(stock)
        elif where == "files":
            self.faults.append(f"{told}\n    files differ:\n      " + "\n      ".join(stock[:12]))
        else:
            left, right = (str(text).replace("\n", "\n        | ") for text in (stock, ours))
            self.faults.append(f"{told}\n    {where} differs\n    stock:\n        | {left}\n    ours:\n        | {right}")

    def play(self, case: Case) -> None:
        lines = list(case.lines)
        self.begin(lines.pop(0)[2:] if lines[0].startswith("@ ") else "dvc")
        self._play(lines)

    def play_lines(self, text: str) -> None:
        """More, after `begin`."""
        self._play([line.strip() for line in text.strip().split("\n")])

    def _play(self, lines: list[str]) -> None:
        """Plays all lines, up to the first after which the two are not alike."""
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "$":
                self.shell(rest)
            elif word == "$?":
                self.shell(rest, may_fail=True)
            elif word == ">":
                command, _, stdin = rest.partition(" <<< ")
                self.dvc(shlex.split(command), stdin.replace("\\n", "\n") + "\n" if stdin else "")
            elif word == "cd":
                self.cwd = pathlib.PurePosixPath(os.path.normpath(f"repo/{rest}"))
            elif word == "env":
                name, given, value = rest.partition("=")
                self.env[name] = value if given else None
            else:
                raise AssertionError(f"what is `{line}`?")
            if self.faults or self.diverged:
                break
        self.done()

    def done(self) -> None:
        if self.faults:
            steps = "\n".join(self.log)
            raise AssertionError(f"unlike stock DVC after these steps:\n{steps}\n\n" + "\n".join(self.faults))
