"""A remote at hdfs://. Stock reaches one by a Java library that no package brings, so what ours puts there and takes from
there is seen by another client."""

import base64
import hashlib
import json
import os
import pathlib
import subprocess

import pytest

from dvc.runners import environment, prepare_home
from environments import python_of

CLIENT = pathlib.Path(__file__).with_name("hdfs_client.py")


@pytest.fixture(scope="session")
def hdfs_python() -> str:
    """The Python of the environment that holds another client of HDFS."""
    return python_of("hdfs")


@pytest.fixture
def client(hdfs_python, hdfs):
    def tell(root: str, **what) -> dict[str, bytes]:
        told = json.dumps({"url": hdfs.url, "root": root, **what})
        variables = os.environ | hdfs.variables
        done = subprocess.run([hdfs_python, CLIENT], input=told, env=variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return {key: base64.b64decode(content) for key, content in json.loads(done.stdout).items()}

    return tell


@pytest.fixture
def repository(templates, ours, tmp_path):
    """A repository, and a function that runs ours in it."""
    folder, home = templates("dvc"), tmp_path / "home"
    prepare_home(home)
    made = tmp_path / "repository"
    subprocess.run(["cp", "-a", folder, made], check=True)

    def run(*args: str, hdfs, user: str | None = None, code: int = 0):
        variables = environment(home) | {"HADOOP_CONF_DIR": hdfs.variables["HADOOP_CONF_DIR"]}
        variables["HADOOP_USER_NAME"] = user or hdfs.variables["HADOOP_USER_NAME"]
        done = ours.run(list(args), made, variables)
        assert done.code == code, done
        return done

    return made, run


def key_of(content: bytes) -> str:
    digest = hashlib.md5(content).hexdigest()
    return f"files/md5/{digest[:2]}/{digest[2:]}"


def test_what_ours_puts_there_another_client_reads_and_the_reverse(repository, client, hdfs):
    folder, run = repository
    root = hdfs.folder()
    # The second has three blocks.
    contents = {"small": b"small\n", "large": os.urandom(9_000_000), "empty": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    run("remote", "add", "-d", "r", f"{hdfs.url}{root}", hdfs=hdfs)
    run("add", "-q", *contents, hdfs=hdfs)
    assert "3 files pushed" in run("push", hdfs=hdfs).stdout
    assert client(root, read=True) == {key_of(content): content for content in contents.values()}
    assert "up to date" in run("push", hdfs=hdfs).stdout

    # What another one has put there.
    other = hdfs.folder()
    client(other, write={key_of(content): base64.b64encode(content).decode() for content in contents.values()})
    run("remote", "add", "-f", "-d", "r", f"{hdfs.url}{other}", hdfs=hdfs)
    subprocess.run(["rm", "-r", ".dvc/cache", *contents], cwd=folder, check=True)
    run("pull", hdfs=hdfs)
    assert {name: (folder / name).read_bytes() for name in contents} == contents
    assert "in sync" in run("status", "-c", hdfs=hdfs).stdout


def test_who_may_not_is_told(repository, client, hdfs):
    folder, run = repository
    (folder / "a").write_bytes(b"a")
    run("remote", "add", "-d", "r", f"{hdfs.url}{hdfs.folder()}", hdfs=hdfs)
    run("add", "-q", "a", hdfs=hdfs)
    refused = run("push", hdfs=hdfs, user="nobody", code=255)
    assert "Permission denied" in refused.stderr, refused
    run("remote", "modify", "r", "user", hdfs.variables["HADOOP_USER_NAME"], hdfs=hdfs)
    run("push", hdfs=hdfs, user="nobody")


def test_imports_record_the_checksum_of_the_file(repository, client, hdfs):
    """Over HDFS as over WebHDFS, which stock speaks, too: compat/dvc/remotes/test_urls.py."""
    folder, run = repository
    root = hdfs.folder()
    client(root, write={"data/f": base64.b64encode(b"file\n").decode()})
    for name, url in (("native", hdfs.url), ("web", hdfs.web_url)):
        run("import-url", f"{url}{root}/data/f", name, hdfs=hdfs)
        run("import-url", f"{url}{root}/data", f"{name}-all", hdfs=hdfs)
        assert (folder / name).read_bytes() == b"file\n"
        assert (folder / f"{name}-all/f").read_bytes() == b"file\n"

    def recorded(name: str) -> str:
        lines = (folder / f"{name}.dvc").read_text().splitlines()
        return next(line for line in lines if line.startswith("- checksum: "))

    # As `hadoop fs -checksum` tells it; over HTTP four empty bytes more are sent.
    assert recorded("native") + "00000000" == recorded("web")
    run("unfreeze", "native.dvc", hdfs=hdfs)
    assert "up to date" in run("status", hdfs=hdfs).stdout
    client(root, write={"data/g": base64.b64encode(b"more\n").decode()})
    run("update", "native-all.dvc", hdfs=hdfs)
    assert (folder / "native-all/g").read_bytes() == b"more\n"
