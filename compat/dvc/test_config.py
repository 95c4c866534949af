"""`dvc config`, `dvc remote`, `dvc cache dir`: what is printed, and the files byte for byte."""

import random
import shlex

import pytest

from dvc.pair import Case, cases
from dvc.runners import environment, prepare_home

CASES = cases(
    r"""
    # an option is set, shown, removed
    > config core.autostage true
    > config core.autostage
    > config CORE.Autostage
    > config -l
    > config -l --show-origin
    > config --show-origin core.autostage
    > config -u core.autostage
    > config -u core.autostage
    > config core.autostage
    # every level
    > config --system core.checksum_jobs 3
    > config --global core.remote a
    > config --project core.remote b
    > config --local core.remote c
    > config core.remote
    > config --global core.remote
    > config --system core.remote
    > config -l
    > config -l --local
    > config -l --project --show-origin
    # arguments that exclude each other
    > config
    > config -l core.remote
    > config -l -u
    > config --show-origin core.remote x
    > config --show-origin -u core.remote
    > config a.b.c.d
    > config nothing
    > config --local --global core.remote
    # names that are odd
    > config core. x
    > config core.
    > config .x y
    > config remote.foo x
    > config remote.foo.url /x
    > config remote.foo
    > config remote.foo.url
    > config remote.foo.nope
    > config -u remote.foo.nope
    > config -u remote.bar.url
    > config db.pg.url x
    > config db.pg
    # wrong values
    > config core.zzz 1
    > config zzz.a 1
    > config core.analytics maybe
    > config core.checksum_jobs 0
    > config core.checksum_jobs many
    > config core.checksum_jobs 1_0
    > config cache.type hardlink,nope
    > config cache.type hardlink,symlink
    > config cache.shared all
    > config state.row_cleanup_quota 101
    > config parsing.bool x
    > config hydra.config_dir a
    > config hydra.config_module b
    > config -l
    # features that are unknown earn a warning
    > config feature.zzz 1
    > config feature.aaa 1
    > config hydra.config_dir a
    > config hydra.config_module b
    > status
    # values that need quotes
    > config core.site_cache_dir 'a, b'
    > config studio.token '#x'
    > config studio.url "it's"
    > config studio.repo_url 'both '"'"' and "'
    > config plots.out_dir ' edge '
    > config plots.html_template ''
    > config -l
    # remotes: the life of one
    > remote list
    > remote default
    > remote add -d Up ../store
    > remote list
    > remote default
    > remote add up s3://b
    > remote add -f up s3://b/c
    > remote modify up region x
    > remote modify up nope x
    > remote modify up jobs 0
    > remote modify up jobs
    > remote modify up -u region
    > remote modify up -u region
    > remote modify --local up session_token t
    > remote list --local
    > config -l
    > remote rename up Down
    > remote default
    > remote list
    > remote rename nope x
    > remote rename down down
    > remote remove down
    > remote remove down
    > remote default
    # remotes: defaults
    > remote default nope
    > remote default nope --system
    > remote add a /a
    > remote default a
    > remote default a --local
    > remote default -u
    > remote default
    > remote remove a
    > remote default
    # remotes: URLs
    > remote add a ftp://x/y
    > remote add b ~/b
    > remote add c .
    > remote add d /x/../y
    > remote add e 'with blanks and, commas'
    > remote add f remote://b/x
    > remote add 'we"ird' x
    > remote add g http://h/x
    > remote modify g auth BASIC
    > remote modify g auth none
    > remote modify g read_timeout -1
    > config -l
    # from a subfolder
    $ mkdir sub
    cd sub
    > remote add a x
    > cache dir ../cc
    > cache dir
    > config --show-origin -l
    # cache dir
    > cache dir
    > cache dir ../cc
    > cache dir
    > cache dir -u
    > cache dir -u
    > cache dir --local
    > cache dir ~/x --global
    > cache dir
    # outside of a repository
    @ none
    > config -l
    > config core.remote x
    > config --local -l
    > config --global core.autostage true
    > config core.autostage
    > remote add --global a x
    > remote list
    > remote list --project
    > remote add --local a x
    > remote remove --global a
    > cache dir
    > cache dir --project
    # files that are wrong
    $ printf '[core\n' > .dvc/config
    > config -l
    > remote list
    $ printf '[core]\nremote = a\nremote = b\nzzz\n' > .dvc/config
    > config -l
    $ printf '[core]\n\377' > .dvc/config
    > config -l
    $ printf 'cache = 5\n' > .dvc/config
    > config -l
    $ printf '[core]\nremote = %%(z)s\n' > .dvc/config
    > config -l
    $ printf "['remote \"a\"']\npassword = x\n" > .dvc/config
    > remote list
    > status
    $ printf "['remote \"a\"']\nurl = x, y\n" > .dvc/config
    > remote list
    $ rm .dvc/config && mkdir .dvc/config
    > config -l
    # names in capitals and values made of names
    $ printf '[Core]\nRemote = Up\nX = 1\n' > .dvc/config
    > config -l
    $ printf '[plots]\nout_dir = a\nhtml_template = %%(out_dir)s/b\n' > .dvc/config
    > config -l
    > config plots.html_template
    # our settings beside DVC's
    $ printf '[cache]\nmax_size = 1G\n' > .dvc/trackway.ini
    > config core.autostage true
    > config -l
    > status
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_config(play, case):
    play(case)


NAMES = ["up", "Store", "a", "b.c", "x y", 'we"ird', "z#1", "c,d"]
URLS = [
    "/abs/path", "rel/p", "../up one", "s3://bucket/pre", "gs://b", "ssh://user@host:22/p", "azure://c/p", "https://h/x",
    "webdav://h/p", "hdfs://h/p", "oss://b", "gdrive://root/x", "ftp://no", "remote://up/x", "~/home dir", "~root/x",
    "", ".", "a,b", "a#b", "q'uote", '"dq"', "s3://", "//host/p", "s3://[bad", " lead", "trail ", "/a/../b//c",
]
OPTIONS = [
    "url", "jobs", "checksum_jobs", "worktree", "version_aware", "type", "shared", "verify", "slow_link_warning", "region",
    "profile", "credentialpath", "user", "password", "port", "keyfile", "timeout", "auth", "ssl_verify", "connect_timeout",
    "read_timeout", "cert_path", "token", "replication", "cache_regions", "nope", "configpath", "use_ssl", "protected",
]
SETTINGS = [
    "core.remote", "core.checksum_jobs", "core.interactive", "core.autostage", "core.site_cache_dir", "core.zzz",
    "cache.dir", "cache.type", "cache.shared", "cache.local", "cache.verify", "state.row_limit", "state.row_cleanup_quota",
    "feature.machine", "feature.foo", "plots.auto_open", "plots.out_dir", "exp.auto_push", "exp.git_remote", "parsing.bool",
    "hydra.enabled", "hydra.config_dir", "hydra.config_module", "studio.token", "studio.offline", "db.pg.url", "db.x",
    "remote.up.url", "remote.a.jobs", "remote.foo", "machine.foo", "zzz.a", "CORE.Remote", "core.", "remote.up.",
]
VALUES = [
    "true", "False", "1", "0", "-3", "12_0", " 5 ", "x", "abc def", "reflink,copy", "hardlink", "symlink, copy", "group",
    "Group", "basic", "../rel", "~/k", "/abs/k", "1.5", "nan", "", "a#b", 'a"b', "it's", "yes", "up", "store_true",
]


def random_command(chance: random.Random) -> list[str]:
    pick = chance.choice
    level = pick([[], [], [], [], ["--local"], ["--global"], ["--project"], ["--system"]])

    def name() -> str:
        return pick(NAMES[:4] if chance.random() < 0.8 else NAMES)

    kind = chance.random()
    if kind < 0.2:
        flags = pick([[], [], ["-d"], ["-f"], ["-d", "-f"]])
        return ["remote", "add", *level, *flags, name(), pick(URLS[:11] if chance.random() < 0.6 else URLS)]
    if kind < 0.38:
        return ["remote", "modify", *level, name(), pick(OPTIONS), *pick([[pick(VALUES)]] * 6 + [["-u"], []])]
    if kind < 0.44:
        return ["remote", "default", *level, *pick([[name()], [name()], ["-u"], []])]
    if kind < 0.5:
        return ["remote", "remove", *level, name()]
    if kind < 0.56:
        return ["remote", "rename", *level, name(), pick([name(), "NEW", "other"])]
    if kind < 0.6:
        return ["remote", "list", *level]
    if kind < 0.66:
        return ["cache", "dir", *level, *pick([["../cc"], ["/abs/c"], ["-u"], [], ["~/c"], ["sub dir"]])]
    if kind < 0.84:
        return ["config", *level, pick(SETTINGS), pick(VALUES)]
    if kind < 0.9:
        return ["config", *level, "-u", pick(SETTINGS)]
    if kind < 0.95:
        return ["config", *level, *pick([[], ["--show-origin"]]), pick(SETTINGS)]
    return ["config", "-l", *level, *pick([[], ["--show-origin"]])]


@pytest.mark.parametrize("seed", range(200))
def test_random_sequences(play, seed):
    chance = random.Random(seed)
    lines = ["@ no-scm", *(f"> {shlex.join(random_command(chance))}" for _ in range(chance.randint(4, 10)))]
    play(Case(f"seed {seed}", lines))


@pytest.fixture
def alone(ours, tmp_path):
    """Ours in a repository with this configuration, for what stock does worse."""
    if not hasattr(ours, "link"):
        pytest.skip("stock does worse here")
    prepare_home(tmp_path / "home")
    file = tmp_path / "repo/.dvc/config"
    file.parent.mkdir(parents=True)

    def run(before: str, *args: str):
        file.write_text(before, encoding="utf-8")
        result = ours.run(list(args), tmp_path / "repo", environment(tmp_path / "home"))
        return result.code, file.read_text(encoding="utf-8")

    return run


def test_comments_and_layout_stay(alone):
    """Stock drops every comment and rewrites the file."""
    before = "# ours\n[core]\n  remote=a  # the default\n\n# far away\n['remote \"a\"']\n\turl = s3://b/c # bucket\n"
    assert alone(before, "config", "core.remote", "b") == (0, before.replace("remote=a", "remote=b"))
    assert alone(before, "remote", "modify", "a", "region", "x") == (0, before + "\tregion = x\n")


def test_a_name_that_cannot_be_written_costs_nothing(alone):
    """Stock says so too, with the file emptied already."""
    before = "[core]\n    autostage = true\n"
    assert alone(before, "remote", "add", "o'k", "/x") == (255, before)


def test_letters_beyond_ascii(alone):
    """Stock fails to encode them, with the file emptied already."""
    assert alone("", "remote", "add", "a", "/tmp/é") == (0, "['remote \"a\"']\n    url = /tmp/é\n")


def test_names_of_values_stay_as_they_are_written(alone):
    """Stock writes what `%(name)s` stands for when it rewrites the file."""
    before = "[plots]\n    out_dir = a\n    html_template = %(out_dir)s/b\n"
    assert alone(before, "config", "plots.auto_open", "true") == (0, before + "    auto_open = true\n")
