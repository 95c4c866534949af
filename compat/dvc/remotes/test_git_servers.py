"""Imports from repositories on git's servers: OpenSSH and Apache. Private ones open by git's credential helpers, and by a key
that ssh is told of; where neither is there, nobody waits for an answer, and no secret is shown or written."""

import os
import pathlib
import shlex
import subprocess

import pytest

from dvc.on_terminal import OnTerminal
from dvc.runners import environment, prepare_home

WRONG = "wrong-password-4"


def helper(password: str) -> str:
    """What git is told to ask for passwords."""
    return f"!f() {{ echo username=u; echo password={password}; }}; f"


class Way:
    """How a repository is reached: its URL, and what a client's environment needs for it."""

    def __init__(self, url: str, push_url: str, env: dict[str, str], settings: dict[str, str]):
        self.url, self.push_url, self.env, self.settings = url, push_url, env, settings


@pytest.fixture
def http(apache):
    url = apache.repository()
    return Way(url.replace(f"{apache.user}:{apache.password}@", ""), url, {}, {"credential.helper": helper(apache.password)})


@pytest.fixture
def https(http, apache):
    url = http.url.replace(f"http://{apache.address}", f"https://{apache.variables['APACHE_TLS']}")
    return Way(url, http.push_url, {}, http.settings | {"http.sslCAInfo": apache.variables["APACHE_AUTHORITY"]})


@pytest.fixture
def ssh(sshd, tmp_path):
    """By a host's name that only a file of settings knows. OpenSSH reads the one of the user who runs this, whatever
    HOME says, therefore a program `ssh` that reads another stands in front of it."""
    _, folder = sshd.folder()
    settings = tmp_path / "ssh_config"
    settings.write_text(
        f"Host box\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n  IdentityFile {sshd.key}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {sshd.keys}/known_hosts\n  StrictHostKeyChecking yes\n"
    )
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {settings} "$@"\n')
    program.chmod(0o755)
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", folder / "r.git"], check=True)
    # Without GIT_SSH_COMMAND stock takes a client of its own.
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "GIT_SSH_COMMAND": "ssh"}
    return Way(f"ssh://box{folder}/r.git", str(folder / "r.git"), env, {})


@pytest.fixture
def scp(ssh):
    return Way(ssh.url.replace("ssh://box", "box:"), ssh.push_url, {"GIT_SSH_COMMAND": f"{ssh.env['PATH'].split(':')[0]}/ssh"}, {})


def serve(elsewhere, way: Way) -> None:
    """On the server lies what the repository elsewhere has."""
    elsewhere.git("push", "-q", "--force", "--tags", way.push_url, "main")


FIRST = """
    > import {url} d
    > import {url} f
    > import {url} d/s -o s
    > import {url} f -o f1 --rev v1
    > import {url} g/x -o x
    > import {url} f -o lazy --no-download
    > import {url} f -o nope --rev nope
    > import {url} nope
    $ git add -A; git commit -qm imports
    > status
    > get {url} d -o gotten
    > get {url} d/s/b -o b --rev v1
    > get {url} f --show-url
    > list {url} -R
    > list {url} d --rev v1
    $ rm -rf .dvc/cache d f f1 s x
    > pull d.dvc f.dvc f1.dvc s.dvc x.dvc
"""
SECOND = """
    > status
    > update f.dvc f1.dvc
    > update d.dvc --rev v1
    > update lazy.dvc
    > status
"""


# Stock's way by ssh takes seconds for each command.
FEW = """
    > import {url} d
    > import {url} f -o f1 --rev v1
    > get {url} g/x
    > list {url}
    $ rm -rf .dvc/cache d; git add -A; git commit -qm imports
    > pull d.dvc
"""
FEW_MORE = """
    > status d.dvc
    > update d.dvc
"""


# Stock finds no repository by ssh's short form, and its second request of https knows git's settings no more.
@pytest.mark.parametrize(("by", "first", "second"), [("http", FIRST, SECOND), ("ssh", FEW, FEW_MORE)], ids=["http", "ssh"])
def test_as_stock(by, first, second, pair, elsewhere, request):
    way = request.getfixturevalue(by)
    elsewhere.git("tag", "v1")
    serve(elsewhere, way)
    pair.begin("dvc")
    pair.env |= way.env
    for name, value in way.settings.items():
        pair.shell(f"git config --global {name} {shlex.quote(value)}")
    pair.play_lines(first.format(url=way.url))
    elsewhere.change()
    serve(elsewhere, way)
    pair.play_lines(second)
    assert not pair.diverged


class Work:
    """A repository in which ours works, and an environment in which nobody is logged in anywhere."""

    def __init__(self, folder: pathlib.Path, tool, template: pathlib.Path):
        self.folder, self.path, self.tool = folder, folder / "work", tool
        subprocess.run(["cp", "-a", template, self.path], check=True)
        prepare_home(folder / "home")
        self.env = environment(folder / "home", DVC_SITE_CACHE_DIR=str(folder / "site"))
        # Nothing but the terminals that we make keeps anybody from asking.
        del self.env["GIT_TERMINAL_PROMPT"]

    def log_in(self, way: Way) -> None:
        for name, value in way.settings.items():
            subprocess.run(["git", "config", "--global", name, value], env=self.env, check=True)
        self.env |= way.env

    def dvc(self, *args: str, code: int = 0) -> str:
        done = self.tool.run(list(args), self.path, self.env)
        assert done.code == code, done
        return done.stdout + done.stderr

    def refused(self, *args: str) -> str:
        done = self.tool.run(list(args), self.path, self.env)
        errors = done.stderr.strip().split("\n")
        assert done.code not in (0, 101) and len(errors) == 1 and errors[0].startswith("ERROR: "), done
        return errors[0]

    def at_a_terminal(self, *args: str, piped: bool = False) -> OnTerminal:
        return OnTerminal([str(self.tool.link), *args], self.path, self.env, piped=piped)

    def has_nowhere(self, *secrets: str) -> None:
        for path in (path for path in self.folder.rglob("*") if path.is_file() and path.name not in (".gitconfig", "theirs.dvc")):
            for secret in secrets:
                assert secret.encode() not in path.read_bytes(), f"{secret} stands in {path}"


@pytest.fixture
def work(ours, templates, tmp_path, pytestconfig):
    if pytestconfig.getoption("--dvc") == "stock":
        pytest.skip("what ours does alone")
    return Work(tmp_path, ours, templates("dvc"))


@pytest.mark.parametrize("by", ["https", "scp"])
def test_by_ours_alone(by, work, elsewhere, request):
    way = request.getfixturevalue(by)
    serve(elsewhere, way)
    work.log_in(way)
    work.dvc("import", way.url, "d")
    work.dvc("get", way.url, "f")
    assert work.dvc("list", way.url, "d").split() == ["a", "s"]
    elsewhere.change()
    serve(elsewhere, way)
    assert "update available" in work.dvc("status", "d.dvc")
    work.dvc("update", "d.dvc")
    assert (work.path / "d/c").read_text() == "3\n" and (work.path / "f").read_text() == "f\n"


def test_a_wrong_password(work, elsewhere, http, apache):
    serve(elsewhere, http)
    http.settings["credential.helper"] = helper(WRONG)
    work.log_in(http)
    for command in (["get", http.url, "f"], ["import", http.url, "f"], ["list", http.url]):
        error = work.refused(*command)
        assert "Authentication failed" in error and WRONG not in error, error
    work.has_nowhere(WRONG)
    # In the URL.
    with_password = http.push_url.replace(f":{apache.password}@", f":{WRONG}@")
    for command in (["get", with_password, "f"], ["list", with_password], ["du", with_password], ["get", with_password, "f", "--show-url"]):
        error = work.refused(*command)
        assert "u:***@" in error and WRONG not in error, error
    work.has_nowhere(WRONG)


def test_a_password_in_the_url_is_written_nowhere(work, elsewhere, http, stock, apache):
    serve(elsewhere, http)
    # Long enough to be looked for.
    secret = f"u:{apache.password}@"
    assert secret not in work.dvc("get", http.push_url, "f", "-v")
    assert secret not in work.dvc("list", http.push_url, "-v")
    error = work.refused("import", http.push_url, "d")
    assert "u:***@" in error and "credential helper" in error, error
    assert "'password' is a secret" in work.refused("import", http.url, "d", "--remote-config", f"password={WRONG}")
    assert not list(work.path.glob("[a-z]*.dvc"))
    work.has_nowhere(secret, WRONG)
    # What stock wrote works, and shows no more.
    done = stock.run(["import", http.push_url, "d", "-o", "theirs"], work.path, work.env)
    assert done.code == 0 and secret in (work.path / "theirs.dvc").read_text(), done
    elsewhere.change()
    serve(elsewhere, http)
    for command in ("status", "update theirs.dvc", "status", "pull", "fetch", "update theirs.dvc --rev main", "list . -R"):
        assert secret not in work.dvc(*command.split(), "-v"), command
    assert (work.path / "theirs/c").read_text() == "3\n"
    # Stock's own record of what it was called with is not ours.
    subprocess.run(["rm", "-rf", work.path / ".dvc/tmp/rwlock"], check=True)
    work.has_nowhere(secret)


def test_a_key_that_nobody_knows(work, elsewhere, ssh, sshd, tmp_path):
    serve(elsewhere, ssh)
    work.log_in(ssh)
    settings = tmp_path / "ssh_config"
    good = settings.read_text()
    for name, said in (("stranger", "Permission denied"), ("locked", "Permission denied")):
        settings.write_text(good.replace(f"IdentityFile {sshd.key}", f"IdentityFile {sshd.keys}/{name}"))
        assert said in work.refused("get", ssh.url, "f")
    settings.write_text(good.replace("known_hosts", "no_hosts"))
    assert "Host key verification failed" in work.refused("get", ssh.url, "f")
    settings.write_text(good)
    assert "does not appear to be a git repository" in work.refused("get", ssh.url.replace("r.git", "s.git"), "f")
    work.dvc("get", ssh.url, "f")


@pytest.mark.parametrize("by", ["http", "ssh"])
def test_nobody_is_asked_where_nobody_is(by, work, elsewhere, sshd, request, tmp_path):
    """Its streams are pipes, and a terminal could be opened: a script that a person started."""
    way = request.getfixturevalue(by)
    serve(elsewhere, way)
    work.env |= way.env
    if by == "ssh":
        settings = tmp_path / "ssh_config"
        settings.write_text(settings.read_text().replace(f"IdentityFile {sshd.key}", f"IdentityFile {sshd.keys}/locked"))
    for command in (["get", way.url, "f"], ["list", way.url]):
        at = work.at_a_terminal(*command, piped=True)
        assert at.end() in (1, 255) and not at.shown, at.shown
        errors = at.through_pipes.strip().split("\n")
        assert len(errors) == 1 and errors[0].startswith("ERROR: "), errors


def test_a_person_is_asked(work, elsewhere, http, ssh, sshd, apache, tmp_path):
    serve(elsewhere, http)
    at = work.at_a_terminal("get", http.url, "f")
    at.wait_for("Username for .*: ")
    at.type("u\n")
    at.wait_for("Password for .*: ")
    at.type(f"{apache.password}\n")
    assert at.end() == 0, at.shown
    assert f"{apache.password}\r\n" not in at.shown[at.shown.index("Password for") :].split("'")[-1]
    assert (work.path / "f").read_text() == "f\n"

    serve(elsewhere, ssh)
    work.log_in(ssh)
    settings = tmp_path / "ssh_config"
    settings.write_text(settings.read_text().replace(f"IdentityFile {sshd.key}", f"IdentityFile {sshd.keys}/locked"))
    at = work.at_a_terminal("get", ssh.url, "d")
    at.wait_for("Enter passphrase for key .*: ")
    at.type("a passphrase, 1\n")
    assert at.end() == 0, at.shown
    assert "a passphrase, 1" not in at.shown
    assert (work.path / "d/a").read_text() == "1\n"
