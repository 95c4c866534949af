"""A pytest plugin for DVC's own functional tests: what they ask of `dvc.cli.main` and of `Repo.add`, `Repo.checkout` and
the like is done by another program, named by UPSTREAM_COMMAND (a path, or `stock`, which checks the way itself).

Loaded in the Python that holds stock DVC, by test_upstream.py. Writes UPSTREAM_RESULTS: for each test its outcome, how
often the program was called for it, and why it failed.
"""

import contextlib
import importlib.util
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import types

import pytest

HERE = pathlib.Path(__file__).parent
OUTCOMES: dict[str, dict] = {}
CALLS = {"now": 0}


def neighbour(name: str):
    spec = importlib.util.spec_from_file_location(f"outside_{name}", HERE.parent / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runners = neighbour("runners")
TOOL = None


def run(args, stdin="") -> "runners.Result":
    CALLS["now"] += 1
    return TOOL.run([os.fspath(arg) for arg in args], os.getcwd(), dict(os.environ), stdin)


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def tell_the_log(stderr: str) -> None:
    """What stock would have logged in this process; `caplog` asks for it."""
    stderr = COLOUR.sub("", stderr).replace("\r", "\n")  # progress bars
    handlers = [h for h in logging.getLogger().handlers if type(h).__name__ == "LogCaptureHandler"]
    levels = {"ERROR": logging.ERROR, "WARNING": logging.WARNING, "DEBUG": logging.DEBUG}
    for part in re.split(r"^(?=ERROR: |WARNING: |DEBUG: )", stderr, flags=re.MULTILINE):
        name, _, text = part.partition(": ")
        if name in levels:
            record = logging.LogRecord("dvc", levels[name], "", 0, text.rstrip("\n"), (), None)
            for handler in handlers:
                handler.handle(record)


def main(argv=None) -> int:
    """In the place of `dvc.cli.main`."""
    done = run(argv if argv is not None else sys.argv[1:])
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    tell_the_log(done.stderr)
    return done.code


# The Python calls that are one command line each.


def flags(given: dict, **names: str) -> list[str]:
    """Words for the arguments that are set; an argument without a word cannot be told by a command line."""
    words: list[str] = []
    for name, value in given.items():
        if value is None or value is False:
            continue
        if name not in names:
            raise Untold(name)
        word = names[name]
        words += [word] if value is True else [word, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
    return words


class Untold(Exception):
    """This call has no command line: the original answers."""


def as_list(targets) -> list[str]:
    if targets is None:
        return []
    if isinstance(targets, (str, bytes, os.PathLike)):
        targets = [targets]
    return [os.fsdecode(target) for target in targets]


def command(repo, words: list[str], stdin=""):
    from dvc.exceptions import DvcException

    if not os.path.realpath(os.getcwd()).startswith(os.path.realpath(repo.root_dir)):
        raise Untold("another folder")
    done = run(words, stdin)
    tell_the_log(done.stderr)
    repo.config.load() if hasattr(repo.config, "load") else None
    repo._reset()
    if done.code:
        error = done.stderr.rpartition("ERROR: ")[2].strip()
        raise DvcException(error or f"exit code {done.code}")
    return done


def stats_of(stdout: str) -> dict:
    found: dict = {"added": [], "deleted": [], "modified": []}
    names = {"A": "added", "D": "deleted", "M": "modified"}
    for line in stdout.splitlines():
        if match := re.fullmatch(r"([ADM]) +(.+)", line):
            found[names[match[1]]].append(match[2])
    return found | {"stats": Untellable()}


class Untellable(dict):
    """How many files of a folder were touched: the command line tells either the paths or the numbers. The number of
    fetched files is always told."""

    def __eq__(self, other):
        return isinstance(other, dict) and self.get("fetched") == other.get("fetched")


def count_of(stdout: str, word: str) -> int:
    match = re.search(rf"(\d+) files? {word}", stdout)
    return int(match[1]) if match else 0


SCOPE = {"all_branches": "-a", "all_tags": "-T", "all_commits": "-A", "with_deps": "-d", "recursive": "-R"}
TRANSFER = SCOPE | {"jobs": "-j", "remote": "-r", "run_cache": "--run-cache"}


def add(repo, targets, **given):
    given = {name: value for name, value in given.items() if not (name == "relink" and value)}
    if given.pop("relink", True) is False:
        given["no_relink"] = True
    words = flags(
        given, no_commit="--no-commit", glob="--glob", out="--out", remote="-r", to_remote="--to-remote",
        remote_jobs="--remote-jobs", force="-f", no_relink="--no-relink",
    )  # fmt: skip
    if given.get("glob"):
        raise Untold("what a glob found")
    targets = as_list(targets)
    if not targets:
        return []
    command(repo, ["add", *words, "--", *targets])
    stages = []
    for target in [given["out"]] if given.get("out") else targets:
        if target.endswith(".dvc"):
            target = target.removesuffix(".dvc")
        path = os.path.abspath(target)
        outs = repo.find_outs_by_path(path, strict=False) if not given.get("to_remote") else []
        if outs:
            stage = outs[0].stage
        else:
            stage = repo.stage.load_one(os.path.relpath(os.path.basename(path) + ".dvc") if given.get("to_remote") else target + ".dvc")
        if stage not in stages:
            stages.append(stage)
    return stages


def commit(repo, target=None, **given):
    if given.pop("relink", True) is False:
        given["no_relink"] = True
    words = flags(given, with_deps="-d", recursive="-R", force="-f", no_relink="--no-relink")
    command(repo, ["commit", *words, "--", *as_list(target)])
    return [stage for stage, _ in repo.stage.collect_granular(target)] if target else list(repo.index.stages)


def checkout(repo, targets=None, **given):
    words = flags(given, with_deps="-d", recursive="-R", force="-f", relink="--relink", allow_missing="--allow-missing")
    done = command(repo, ["checkout", *words, "--", *as_list(targets)])
    return stats_of(done.stdout)


def status(repo, targets=None, **given):
    if given.pop("check_updates", True) is False:
        given["no_updates"] = True
    words = flags(given, jobs="-j", cloud="-c", remote="-r", no_updates="--no-updates", **SCOPE)
    done = command(repo, ["status", "--json", *words, "--", *as_list(targets)])
    return json.loads("{" + done.stdout.partition("{")[2])


def transferred(name: str, word: str):
    def call(repo, targets=None, **given):
        words = flags(given, **TRANSFER, glob="--glob", force="-f", allow_missing="--allow-missing", max_size="--max-size")
        done = command(repo, [name, *words, "--", *as_list(targets)])
        if name == "pull":
            return stats_of(done.stdout) | {"stats": Untellable(fetched=count_of(done.stdout, "fetched"))}
        return count_of(done.stdout, word)

    return call


def gc(repo, **given):
    if given.get("repos"):
        given["repos"] = given["repos"][0] if len(given["repos"]) == 1 else Untold
    if given.get("repos") is Untold:
        raise Untold("repos")
    given["force"] = True
    words = flags(
        given, workspace="-w", cloud="-c", remote="-r", force="-f", jobs="-j", repos="-p", commit_date="--date", rev="--rev",
        num="-n", not_in_remote="--not-in-remote", dry="--dry", skip_failed="--skip-failed", all_experiments="--all-experiments",
        all_branches="-a", all_tags="-T", all_commits="-A",
    )  # fmt: skip
    command(repo, ["gc", *words])


def remove(repo, target, **given):
    from dvc.exceptions import DvcException

    stages = []
    with contextlib.suppress(DvcException):
        stages = repo.stage.from_target(target, accept_group=False)
    command(repo, ["remove", *flags(given, outs="--outs"), "--", os.fspath(target)])
    return stages


def move(repo, from_path, to_path):
    command(repo, ["move", "--", os.fspath(from_path), os.fspath(to_path)])


def diff(repo, a_rev="HEAD", b_rev=None, targets=None, **given):
    words = flags(given)
    if targets:
        words += ["--targets", *as_list(targets), "--json"]
    done = command(repo, ["diff", "--json", "--show-hash", a_rev, *([b_rev] if b_rev else []), *words])
    found = json.loads(done.stdout)
    found.setdefault("not in cache", [])
    return found if any(found.values()) else {}


def frozen(name: str):
    def call(repo, target, **given):
        flags(given)
        command(repo, [name, "--", os.fspath(target)])
        return repo.stage.load_one(target)

    return call


def install(repo, **given):
    command(repo, ["install", *flags(given, use_pre_commit_tool="--use-pre-commit-tool")])


def unprotect(repo, target, **given):
    command(repo, ["unprotect", "--", os.fspath(target)])


def destroy(repo, **given):
    command(repo, ["destroy", "-f"])


def data_status(repo, targets=None, **given):
    own = ORIGINAL["data_status"](repo, targets, **given)
    untracked = given.pop("untracked_files", "no")
    given.pop("remote_refresh", None)
    words = flags(given, granular="--granular", remote="-r", not_in_remote="--not-in-remote")
    if untracked != "no":
        words.append(f"--untracked-files={untracked}")
    done = command(repo, ["data", "status", "--json", "--unchanged", *words, "--", *as_list(targets)])
    told = json.loads(done.stdout)
    empty = {"committed": {}, "uncommitted": {}, "untracked": [], "not_in_cache": [], "unchanged": [], "not_in_remote": []}
    return {**empty, **told, "git": own["git"]}


CALLED = {
    "add": add, "commit": commit, "checkout": checkout, "status": status, "push": transferred("push", "pushed"),
    "fetch": transferred("fetch", "fetched"), "pull": transferred("pull", "fetched"), "gc": gc, "remove": remove, "move": move,
    "diff": diff, "freeze": frozen("freeze"), "unfreeze": frozen("unfreeze"), "install": install, "unprotect": unprotect,
    "destroy": destroy, "data_status": data_status,
}  # fmt: skip
ORIGINAL: dict = {}


def patch_repo() -> None:
    from dvc.repo import Repo

    def outside(name, ours, original):
        def call(repo, *args, **given):
            try:
                return ours(repo, *args, **given)
            except Untold:
                return original(repo, *args, **given)

        call.__name__ = name
        return call

    for name, ours in CALLED.items():
        ORIGINAL[name] = original = getattr(Repo, name)
        setattr(Repo, name, outside(name, ours, original))


def stand_in_for_ssh() -> None:
    """The tests import fixtures of dvc-ssh, which none of ours needs."""

    def missing():
        pytest.skip("dvc-ssh is not installed")

    module = types.ModuleType("dvc_ssh.tests.fixtures")
    for name in ("make_ssh", "ssh", "ssh_server"):
        setattr(module, name, pytest.fixture(missing, name=name))
    for name in ("dvc_ssh", "dvc_ssh.tests"):
        sys.modules.setdefault(name, types.ModuleType(name))
    cloud = types.ModuleType("dvc_ssh.tests.cloud")
    cloud.SSH = type("SSH", (), {})
    cloud.TEST_SSH_KEY_PATH = cloud.TEST_SSH_USER = ""
    sys.modules |= {"dvc_ssh.tests.fixtures": module, "dvc_ssh.tests.cloud": cloud}


# The tests' conftest.py is read before pytest_configure.
stand_in_for_ssh()


def pytest_configure(config):
    global TOOL
    os.environ["DVC_NO_ANALYTICS"] = "1"
    wanted = os.environ["UPSTREAM_COMMAND"]
    if wanted == "stock":
        TOOL = runners.Stock(sys.executable, pathlib.Path(os.environ["UPSTREAM_HOME"]))
    else:
        TOOL = runners.Binary(pathlib.Path(wanted))
    import dvc.cli

    dvc.cli.main = main
    if os.environ.get("UPSTREAM_API") == "1":
        patch_repo()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    CALLS["now"] = 0
    return (yield)


def pytest_runtest_logreport(report):
    seen = OUTCOMES.setdefault(report.nodeid, {"outcome": "passed", "calls": 0, "why": ""})
    seen["calls"] = CALLS["now"]
    if report.failed or report.skipped:
        if seen["outcome"] != "failed":
            seen["outcome"] = "failed" if report.failed else "skipped"
            text = str(report.longrepr)
            seen["why"] = text[-1500:]


def pytest_sessionfinish(session):
    pathlib.Path(os.environ["UPSTREAM_RESULTS"]).write_text(json.dumps(OUTCOMES, indent=1))
    if TOOL:
        TOOL.close()


@pytest.fixture(scope="session")
def worker_id():
    """Of xdist, which is not used here."""
    return "master"
