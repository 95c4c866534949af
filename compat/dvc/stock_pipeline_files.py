"""Tells as JSON what stock DVC makes of its files. The counterpart of crates/dvcfile/examples/resolve.rs, with the same requests and
answers; runs under the Python of stock DVC."""

import contextlib
import io
import json
import logging
import os
import sys


def failure(error):
    from dvc.exceptions import PrettyDvcException

    if isinstance(error, PrettyDvcException):
        out = io.StringIO()
        with contextlib.redirect_stderr(out):
            error.__pretty_exc__()
        return {"error": out.getvalue()}
    # The colours of a wrong expression are for terminals.
    import re

    return {"error": re.sub("\x1b\\[[0-9;]*m", "", str(error))}


def plain(value):
    if isinstance(value, dict):
        return {k if isinstance(k, str) else json.dumps(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not (value - value == 0):
        return {"float": {"nan": "NaN"}.get(str(value), str(value))}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return {"bigint": str(value)}
    return value


class Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def attempt(work):
    try:
        return plain(work())
    except Exception as error:  # noqa: BLE001
        return failure(error)


def open_file(name, parsing=None):
    from dvc.dvcfile import load_file
    from dvc.repo import Repo

    if not os.path.isdir(".dvc"):
        Repo.init(".", no_scm=True)
    repo = Repo(".")
    repo.config["parsing"].update(parsing or {})
    return load_file(repo, name)


def tell_yaml(request):
    warnings = Warnings()
    logger = logging.getLogger("dvc")
    logger.addHandler(warnings)
    try:
        parsing = {key: request[key] for key in ("bool", "list") if key in request}
        file = open_file("dvc.yaml", parsing)
        loader = file.stages
        names = list(loader)
        stages = {}
        for name in names:
            try:
                stages[name] = describe(file, loader, name)
            except Exception as error:  # noqa: BLE001
                stages[name] = failure(error)
        return {
            "names": names,
            "stages": stages,
            "warnings": warnings.lines,
            "params": attempt(lambda: file.params),
            "metrics": attempt(lambda: file.metrics),
            "plots": attempt(lambda: file.plots),
            "datasets": attempt(lambda: file.datasets),
            "artifacts": attempt(lambda: file.artifacts),
        }
    except Exception as error:  # noqa: BLE001
        return failure(error)
    finally:
        logger.removeHandler(warnings)


def locked(item):
    return {
        "path": item.def_path,
        "marker": None if item.hash_name == "md5-dos2unix" else "md5",
        "hash": item.hash_info.value if item.hash_info else None,
        "size": item.meta.size,
        "nfiles": item.meta.nfiles,
        "isexec": item.meta.isexec,
    }


def describe(file, loader, name):
    from dvc.dependency import ParamsDependency
    from dvc.stage import serialize
    from dvc.utils.serialize import dumps_yaml

    stage = loader[name]
    wdir = os.path.relpath(stage.wdir, os.path.dirname(stage.path))
    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    changes = {}
    for dep in params:
        status = dep.status()
        for told in status.values():
            changes[dep.def_path] = told
    return plain(
        {
            "cmd": stage.cmd,
            "wdir": wdir,
            "deps": [locked(dep) for dep in stage.deps if dep not in params],
            "params": [[dep.def_path, dep.params] for dep in params],
            "outs": [
                {
                    "path": out.def_path,
                    "cache": out.use_cache,
                    "persist": out.persist,
                    "push": out.can_push,
                    "remote": out.remote,
                    "metric": out.metric,
                    "plot": out.plot,
                    "annotations": {
                        "desc": out.annot.desc,
                        "type": out.annot.type,
                        "labels": out.annot.labels,
                        "meta": out.annot.meta or None,
                    },
                    "locked": locked(out),
                }
                for out in stage.outs
            ],
            "frozen": stage.frozen,
            "always_changed": stage.always_changed,
            "desc": stage.desc,
            "meta": stage.meta,
            "parametrized": stage.raw_data.parametrized,
            "generated_from": stage.raw_data.generated_from,
            "tracked": stage.tracked_vars,
            "cmd_changed": getattr(stage, "cmd_changed", False),
            "changes": changes,
            "file": dumps_yaml(serialize.to_pipeline_file(stage)[name]),
        }
    )


def tell_dvc(request):
    from dvc.utils.serialize import dumps_yaml

    try:
        file = open_file("x.dvc")
        stage = file.stage
        fresh = dumps_yaml(stage.dumpd())
        from dvc.stage.utils import compute_md5

        md5 = compute_md5(stage)
        with open("x.dvc", encoding="utf-8") as old:
            text = old.read()
        file.dump(stage)
        with open("x.dvc", encoding="utf-8") as new:
            patched = new.read()
        with open("x.dvc", "w", encoding="utf-8") as back:
            back.write(text)
        return {"fresh": fresh, "patched": patched, "md5": md5}
    except Exception as error:  # noqa: BLE001
        return failure(error)


def text_after(name, work):
    """The file after some work on it, which is undone."""
    with open(name, encoding="utf-8") as file:
        old = file.read()
    try:
        work()
        if not os.path.exists(name):
            return None
        with open(name, encoding="utf-8") as file:
            return file.read()
    finally:
        with open(name, "w", encoding="utf-8") as file:
            file.write(old)


def tell_lock(request):
    try:
        file = open_file("dvc.yaml")
        stage = file.stages[request["stage"]]
        return {
            "set": text_after("dvc.lock", lambda: file._lockfile.dump(stage)),
            "removed": text_after("dvc.lock", lambda: file._lockfile.remove_stage(stage)),
        }
    except Exception as error:  # noqa: BLE001
        return failure(error)


def tell_edit(request):
    try:
        file = open_file("dvc.yaml")
        stage = file.stages[request["stage"]]
        if request["action"] == "remove":
            return {"text": text_after("dvc.yaml", lambda: file.remove_stage(stage))}
        stage.frozen = request["action"] == "freeze"
        return {"text": text_after("dvc.yaml", lambda: file.dump(stage, update_lock=False))}
    except Exception as error:  # noqa: BLE001
        return failure(error)


def main():
    os.environ.pop("COLUMNS", None)
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["dir"])
        told = {"yaml": tell_yaml, "dvc": tell_dvc, "lock": tell_lock, "edit": tell_edit}[request["kind"]](request)
        print(json.dumps(told), file=answers, flush=True)


main()
