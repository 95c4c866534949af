"""Runs stock DVC's command line in forked children of one process that has imported it already.

Starting Python and importing DVC costs 0.3 to 0.6 s a command; a fork costs a tenth of that. Runs under the Python of
requirements/dvc-3.67.txt. Reads one request a line from its standard input and answers with one line:

    {"args": ["add", "x"], "cwd": "/…", "env": {…}, "stdin": "", "umask": 18}  ->  {"code": 0, "stdout": "…", "stderr": "…"}

Bytes that are not UTF-8 travel as surrogate escapes. Everything that DVC reads from the environment while it is imported
is set again in the child; test_worker.py compares a sample of commands with the real ones.
"""

import atexit
import gc
import importlib
import json
import logging
import os
import pkgutil
import signal
import sys
import tempfile
import traceback

TIMEOUT = 120


def preload() -> None:
    import dvc.commands
    from dvc.cli.parser import get_main_parser

    get_main_parser()
    for name in (
        "dvc.repo", "dvc.dvcfile", "dvc.output", "dvc.stage", "dvc.stage.loader", "dvc.stage.serialize", "dvc.parsing",
        "dvc.schema", "dvc.ignore", "dvc.lock", "dvc.rwlock", "dvc.fs.dvc", "dvc.fs.data", "dvc.compare", "dvc.ui", "dvc.ui.table",
        "dvc.config_schema", "dvc.cachemgr", "dvc.data_cloud", "dvc.utils.serialize", "dvc.utils.strictyaml", "dvc.analytics",
        "dvc.updater", "dvc.render", "dvc.info", "dvc_data.index", "dvc_data.index.checkout", "dvc_data.index.push",
        "dvc_data.index.fetch", "dvc_data.index.build", "dvc_data.index.save", "dvc_data.hashfile.checkout",
        "dvc_data.hashfile.transfer", "dvc_data.hashfile.status", "dvc_data.hashfile.gc", "dvc_data.hashfile.build", "dvc_data.cli",
        "scmrepo.git", "scmrepo.git.backend.dulwich", "scmrepo.git.backend.gitpython", "dulwich.repo", "dulwich.porcelain",
        "git", "networkx", "rich", "rich.prompt", "rich.console", "rich.table", "rich.tree", "tqdm", "voluptuous", "ruamel.yaml",
        "sqltrie", "diskcache", "fsspec", "fsspec.implementations.memory", "shtab", "tabulate", "pydantic", "configobj", "platformdirs",
        "platformdirs.unix", "rich.live", "rich.status", "rich.ansi", "rich.file_proxy", "rich._emoji_codes", "rich._spinners",
        "ruamel.yaml.mergevalue", "dvc.dirs", "dvc_data.hashfile.db.local", "dvc_data.hashfile._progress", "dulwich.filters",
        "dulwich.worktree", "pygit2", "dvc.repo.experiments", "dvc.repo.metrics.show", "dvc.repo.params.show",
        "dvc.repo.experiments.cache", "scmrepo.git.backend.pygit2.filter", "sqlite3", "concurrent.futures.thread",
    ):  # fmt: skip
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    for package in ("dvc.repo", "dvc.commands"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, package + "."):
            if not any(word in module.name for word in ("studio", "queue", "experiments", "daemon")):
                importlib.import_module(module.name)


def preload_remotes() -> None:
    """The libraries by which stock reaches clouds and other machines, which take it seconds."""
    for name in (
        "dvc_s3", "s3fs", "aiobotocore.session", "aiobotocore.httpsession", "dvc_azure", "dvc_azure.spec", "adlfs", "knack.config",
        "azure.identity.aio", "azure.storage.blob.aio", "dvc_gs", "gcsfs", "google.auth", "dvc_ssh", "dvc_ssh.spec", "asyncssh",
        "dvc_webdav", "webdav4.fsspec", "httpx", "dvc_http", "dvc_http.spec", "aiohttp", "aiohttp_retry", "fsspec.asyn",
    ):  # fmt: skip
        importlib.import_module(name)


def child(request: dict, streams: tuple[int, int, int]) -> int:
    signal.alarm(TIMEOUT)
    for target, source in enumerate(streams):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(request["env"])
    os.umask(request.get("umask", 0o022))
    os.chdir(request["cwd"])
    tempfile.tempdir = None
    sys.argv = ["dvc", *request["args"]]

    # Imported with another environment: what reads it then is told of this one.
    if "pygit2" in sys.modules:
        import pygit2

        pygit2.settings.search_path[pygit2.enums.ConfigLevel.GLOBAL] = os.environ.get("HOME", "")
    if os.environ.get("DVC_DEBUG") or os.environ.get("DVC_LOGLEVEL"):
        logging.getLogger("dvc").setLevel(os.environ.get("DVC_LOGLEVEL", "DEBUG"))

    from dvc.cli import main

    try:
        code = main(request["args"])
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120
    return code or 0


class Listing:
    """`os.scandir`, the other way round."""

    def __init__(self, entries):
        self.entries = iter(entries)

    def __iter__(self):
        return self.entries

    def __next__(self):
        return next(self.entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        self.entries = iter(())


def list_folders_backwards() -> None:
    """For the second stock in a check of the tests: what depends on the order of a folder's entries shows."""
    scandir, listdir = os.scandir, os.listdir

    def backwards(*args):
        with scandir(*args) as entries:
            return Listing(sorted(entries, key=lambda entry: entry.name, reverse=True))

    os.scandir = backwards
    os.listdir = lambda *args: sorted(listdir(*args), reverse=True)


def serve(request: dict) -> dict:
    stdin, stdout, stderr = (os.memfd_create(name) for name in ("stdin", "stdout", "stderr"))
    os.write(stdin, request.get("stdin", "").encode("utf-8", "surrogateescape"))
    os.lseek(stdin, 0, os.SEEK_SET)
    pid = os.fork()
    if pid == 0:
        code = 125
        try:
            code = child(request, (stdin, stdout, stderr))
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code & 255)
    _, status = os.waitpid(pid, 0)
    answer = {"code": os.waitstatus_to_exitcode(status)}
    for name, descriptor in (("stdout", stdout), ("stderr", stderr)):
        os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb") as file:
            answer[name] = file.read().decode("utf-8", "surrogateescape")
    os.close(stdin)
    return answer


def run() -> None:
    preload()
    if "--remotes" in sys.argv:
        preload_remotes()
    if "--backwards" in sys.argv:
        list_folders_backwards()
    gc.freeze()
    # DVC's own output must not meet the answers.
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    for line in requests:
        answers.write(json.dumps(serve(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    run()
