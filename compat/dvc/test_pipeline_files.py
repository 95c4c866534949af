"""`.dvc`, `dvc.yaml` and `dvc.lock`: what stock DVC and ours make of the same files."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

STOCK = pathlib.Path(__file__).with_name("stock_pipeline_files.py")
CASES = pathlib.Path(__file__).parents[2] / "crates/dvcfile/tests/data/cases"

# Where ours differs on purpose, or where stock ends in an error of Python's.
DIFFERS = {
    "an int as md5": "stock stops with an error of Python's",
    "an empty md5": "ours is written as nothing, not as an empty text",
    "a list of plots' properties": "another wording",
    "invalid: keys": "the line of an entry whose key is a number is not found",
}

# Recording stock's answers for the Rust tests: TRACKWAY_RECORD_STOCK=crates/dvcfile/tests/data/stock.json
RECORD = os.environ.get("TRACKWAY_RECORD_STOCK")


def split(text: str) -> dict[str, dict[str, str]]:
    """Cases by name: `#### name` begins a case, `## file` a file in it."""
    cases: dict[str, dict[str, str]] = {}
    files: dict[str, str] = {}
    name = None
    for line in text.splitlines(keepends=True):
        if line.startswith("#### "):
            files = cases.setdefault(line[5:].strip(), {})
            name = None
        elif line.startswith("## "):
            name = line[3:].strip()
            files[name] = ""
        elif name:
            files[name] += line
    return cases


class Teller:
    """A program that answers a line of JSON with a line of JSON."""

    def __init__(self, command: list[str]):
        env = os.environ | {"DVC_NO_ANALYTICS": "1", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"no answer to {request}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@pytest.fixture(scope="module")
def stock_tells(dvc_python):
    teller = Teller([dvc_python, str(STOCK)])
    yield teller
    teller.close()


@pytest.fixture(scope="module")
def ours_tells():
    path = os.environ.get("TRACKWAY_DVCFILE_RESOLVE")
    if not path or not shutil.which(path):
        message = f"TRACKWAY_DVCFILE_RESOLVE is {path or 'not set'}: build it with `cargo build -p trackway-dvcfile --example resolve`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    teller = Teller([path])
    yield teller
    teller.close()


def ask_both(stock, ours, name: str, folder: pathlib.Path, files: dict[str, str], **request):
    answers = []
    for side, teller in (("stock", stock), ("ours", ours)):
        # Both are asked in a folder of the same depth: paths in messages must not tell them apart.
        root = folder / side
        for file, text in files.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        answers.append(teller.ask(dir=str(root), **request))
    if RECORD:
        record = pathlib.Path(RECORD)
        known = json.loads(record.read_text()) if record.exists() else {}
        known[" ".join(filter(None, (request["kind"], request.get("action")))) + ": " + name] = answers[0]
        record.write_text(json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return answers


def normal(answer):
    """Stock shows `.` for the folder itself and drops `None`s that ours tells, or the other way round."""
    if isinstance(answer, dict):
        answer = {key: normal(value) for key, value in answer.items()}
        if "wdir" in answer:
            answer["wdir"] = os.path.normpath(answer["wdir"] or ".")
        if "error" in answer:
            answer["error"] = answer["error"].rstrip("\n")
    elif isinstance(answer, list):
        answer = [normal(item) for item in answer]
    return answer


YAML = split((CASES / "dvc_yaml.txt").read_text())
DVC = split((CASES / "dvc.txt").read_text())
LOCK = split((CASES / "lock.txt").read_text())
EDIT = split((CASES / "edit.txt").read_text())


@pytest.mark.parametrize("name", YAML)
def test_dvc_yaml(name, stock_tells, ours_tells, tmp_path):
    files = dict(YAML[name])
    settings = json.loads(files.pop("settings", "{}"))
    stock, ours = ask_both(stock_tells, ours_tells, name, tmp_path, files, kind="yaml", **settings)
    if name in DIFFERS:
        assert normal(ours) != normal(stock)
    else:
        assert normal(ours) == normal(stock)


@pytest.mark.parametrize("name", DVC)
def test_dvc_file(name, stock_tells, ours_tells, tmp_path):
    stock, ours = ask_both(stock_tells, ours_tells, name, tmp_path, DVC[name], kind="dvc")
    if name in DIFFERS:
        assert normal(ours) != normal(stock)
    else:
        assert normal(ours) == normal(stock)


@pytest.mark.parametrize("name", LOCK)
def test_lock_file(name, stock_tells, ours_tells, tmp_path):
    stock, ours = ask_both(stock_tells, ours_tells, name, tmp_path, LOCK[name], kind="lock", stage="x")
    assert normal(ours) == normal(stock)


@pytest.mark.parametrize("action", ["freeze", "unfreeze", "remove"])
@pytest.mark.parametrize("name", EDIT)
def test_edit(name, action, stock_tells, ours_tells, tmp_path):
    stock, ours = ask_both(stock_tells, ours_tells, name, tmp_path, EDIT[name], kind="edit", stage="x", action=action)
    assert normal(ours) == normal(stock)
