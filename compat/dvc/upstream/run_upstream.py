"""Runs DVC's own functional tests with another program in DVC's place.

    python run_upstream.py PYTHON COMMAND RESULTS [--api] [pytest arguments]

PYTHON holds stock DVC; COMMAND is a program that is called as `dvc`, or `stock`. The tests are those of the sdist on
PyPI, which pip downloads once into the cache folder; nothing of them is kept in this repository. RESULTS becomes a JSON
file: test -> outcome, number of calls of the command, reason.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "3.67.1"

# Of tests/func, the files whose subject is a data command.
FILES = """
test_add test_check_ignore test_checkout test_commit test_config test_data_cloud test_data_status test_diff test_du test_gc
test_ignore test_init test_install test_lock test_ls test_merge_driver test_move test_odb test_remote test_remove test_root
test_scm test_scm_context test_stage test_stage_load test_status test_unprotect test_used_objs test_version
test_virtual_directory test_dvcfile test_lockfile test_run_cache test_utils utils/test_strict_yaml data/db/test_index parsing
""".split()


def tests(python: str) -> pathlib.Path:
    """The folder of the unpacked sdist, made if it is missing."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "trackway"
    folder = cache / f"dvc-tests-{VERSION}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        pip = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", temporary, f"dvc=={VERSION}"], check=True)
        (archive,) = pathlib.Path(temporary).glob("dvc-*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        unpacked = pathlib.Path(temporary) / f"dvc-{VERSION}"
        # The installed package is the one under test, not this copy of its source.
        shutil.rmtree(unpacked / "dvc")
        unpacked.rename(folder)
    return folder


def run(python: str, command: str, results: pathlib.Path, api: bool, more: list[str]) -> int:
    """In the place of `dvc` stands COMMAND; with `api` also in that of the Python calls that are one command line."""
    folder = tests(python)
    home = pathlib.Path(tempfile.mkdtemp(prefix="upstream-"))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PYTEST_", "GIT_"))}
    env |= {
        "PYTHONPATH": str(HERE),
        "UPSTREAM_COMMAND": command,
        "UPSTREAM_RESULTS": str(results),
        "UPSTREAM_HOME": str(home / "home"),
        "UPSTREAM_API": "1" if api else "0",
        "HOME": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "LC_ALL": "C.UTF-8",
    }
    # Git's hooks call `dvc`.
    (home / "bin").mkdir()
    program = pathlib.Path(python).with_name("dvc") if command == "stock" else pathlib.Path(command).resolve()
    (home / "bin/dvc").symlink_to(program)
    env["PATH"] = f"{home / 'bin'}:{env['PATH']}"
    if command != "stock":
        env["UPSTREAM_COMMAND"] = str(home / "bin/dvc")
    (home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = master\n")
    names = more or [f"tests/func/{name}" if (folder / f"tests/func/{name}").is_dir() else f"tests/func/{name}.py" for name in FILES]
    words = ["-q", "-o", "addopts=", "-o", "filterwarnings=", "-p", "outside_command", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore", "--timeout", "120", "--tb=short"]
    try:
        return subprocess.run([python, "-m", "pytest", *words, *names], cwd=folder, env=env).returncode
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    python, command, results, *rest = sys.argv[1:]
    run(python, command, pathlib.Path(results).resolve(), "--api" in rest, [word for word in rest if word != "--api"])
