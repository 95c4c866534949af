"""docs/guide/operating.md: every command on the page, in its order, in one shell."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import uuid

import pytest

from servers import clean_environment, free_port, trackway_binary

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/guide/operating.md"


def commands() -> str:
    """All that stands in blocks of shell. Blocks of another kind are pictures."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in blocks} == {"", "sh"}
    return "\n".join(text for kind, text in blocks if kind == "sh")


def with_values(script: str, values: dict[str, str]) -> str:
    """The same with what a reader would put into site.env."""
    for name, value in values.items():
        script, count = re.subn(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
        assert count == 1, f"{name} is set {count} times"
    return script


@pytest.mark.timeout(600)
def test_every_command_of_the_page(server_kind, tmp_path, own_postgres, seaweedfs):
    if server_kind == "stock":
        pytest.skip("differs from stock: the page is about Trackway")
    # One of its own, for the page makes a role.
    postgres = own_postgres().variables
    bucket = seaweedfs.bucket()
    script = with_values(
        commands(),
        {
            "PGHOST": postgres["PGHOST"],
            "PGPORT": postgres["PGPORT"],
            "BUCKET": f"s3://{bucket}/artifacts",
            "AWS_ACCESS_KEY_ID": seaweedfs.variables["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": seaweedfs.variables["AWS_SECRET_ACCESS_KEY"],
            "MLFLOW_S3_ENDPOINT_URL": seaweedfs.variables["MLFLOW_S3_ENDPOINT_URL"],
            **{name: str(free_port()) for name in ("ONE", "TWO", "FRONT", "PROMETHEUS")},
        },
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "trackway").symlink_to(trackway_binary())
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    for program in ("haproxy", "prometheus", "psql", "pg_dump", "pg_restore", "openssl", "curl"):
        assert shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"), f"{program} is missing"
    environment = clean_environment(
        HOME=str(tmp_path),
        PATH=f"{programs}:{os.environ['PATH']}:/usr/sbin",
        PGUSER=postgres["PGUSER"],
    )
    (tmp_path / "page.sh").write_text("set -euo pipefail\nset -x\n" + script)
    with (tmp_path / "said").open("wb") as said:
        shell = subprocess.Popen(
            ["bash", str(tmp_path / "page.sh")], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = shell.wait(540)
        finally:
            # What it left in the background stands in its session.
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    said = (tmp_path / "said").read_text(errors="replace")
    assert code == 0, said[-6000:]
    for proof in ("hello", '"name":"first"', "checked, and on disk", "pg_dump --format=custom", "has been permanently deleted"):
        assert proof in said, f"{proof!r} is missing in\n{said[-6000:]}"
