"""`dvc freeze`, `unfreeze`, `unprotect`, `version` and `completion`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # freeze
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    > freeze a.dvc
    > freeze a.dvc
    > freeze a
    > freeze d.dvc nope.dvc
    > freeze nope
    > status
    $ echo 2 > a
    > status
    > commit -f
    > checkout
    > unfreeze a.dvc d.dvc
    > unfreeze a.dvc
    > unfreeze nope.dvc
    > freeze -q a.dvc
    # freeze: comments and order
    $ echo 1 > a; printf '# c\nouts:\n- path: a # x\ndesc: text\n# end\n' > a.dvc
    > commit -f
    > freeze a.dvc
    > unfreeze a.dvc
    # freeze a stage
    $ printf '# c\nstages:\n  a:\n    cmd: x   # y\n    deps: [dep]\n    outs:\n      - oa\n  b:\n    cmd: >-\n      long\n      text\n' > dvc.yaml; echo 1 > oa; echo 1 > dep
    > commit -q -f
    > freeze a
    > status
    $ echo 2 > dep
    > status
    > unfreeze a
    > freeze b dvc.yaml:a
    > freeze nope
    > freeze dvc.yaml:nope
    > freeze dvc.yaml
    > status
    # freeze: arguments
    > freeze
    > unfreeze
    > freeze --help
    > unfreeze --help
    > freeze --nope x
    # unprotect copies
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add -q a d
    > unprotect a
    > unprotect a d nope
    > unprotect nope
    > unprotect -q nope
    > unprotect d/b
    > unprotect a.dvc
    $ rm a
    > unprotect a
    # unprotect hardlinks
    > config cache.type hardlink
    $ echo 1 > a; mkdir -p d/s; echo 2 > d/b; echo 3 > d/s/c; echo x > x; chmod 755 x
    > add -q a d x
    > unprotect a
    > unprotect d/b
    > unprotect d
    > unprotect x
    > status
    > checkout
    > checkout --relink
    # unprotect symlinks
    > config cache.type symlink
    $ echo 1 > a; mkdir -p d/s; echo 2 > d/b; echo 3 > d/s/c; echo x > x; chmod 755 x
    > add -q a d x
    > unprotect a x
    > unprotect d
    > status
    # unprotect: arguments
    > unprotect
    > unprotect --help
    > unprotect ../x
    > unprotect .
    # completion
    > completion
    > completion -s nope
    > completion --help
    # help of commands
    > add --help
    > checkout -h
    > gc --help
    > move --help
    > mv --help
    > rm --help
    > ls --help
    > doctor --help
    > version --help
    > root --help
    > destroy --help
    > cache --help
    > cache dir --help
    > cache migrate --help
    > config --help
    > data --help
    > data status --help
    > diff --help
    > fetch --help
    > pull --help
    > push --help
    > status --help
    > unprotect --help
    > check-ignore --help
    > git-hook merge-driver --help
    > git-hook pre-commit --help
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_freeze_unprotect_destroy(case, play):
    play(case)


def fields(text: str) -> dict[str, str]:
    """The lines of `dvc version` that do not tell of Python."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(": ")
        if name == "Repo.site_cache_dir":
            # The last part is a hash of, among others, the second in which the repository was made.
            found[name] = value.rpartition("/")[0]
        elif colon and not line.startswith("\t") and name not in ("Platform", "Config"):
            found[name] = value
    return found


@pytest.mark.parametrize("name", ["version", "doctor"])
@pytest.mark.parametrize("kind", ["dvc", "git", "no-scm", "none"])
def test_version(name, kind, pair):
    pair.begin(kind)
    if kind == "dvc":
        pair.dvc(["remote", "add", "-d", "r", "../remote"])
        pair.shell("echo 1 > a")
        pair.dvc(["add", "-q", "a"])
    env = [side._env({}) for side in (pair.stock, pair.ours)]
    stock, ours = (side.tools[0].run([name], side.repo, env[i]) for i, side in enumerate((pair.stock, pair.ours)))
    assert ours.code == stock.code == 0
    stock_fields, our_fields = fields(pair.stock.plain(stock.stdout)), fields(pair.ours.plain(ours.stdout))
    # How DVC was installed is told in brackets.
    assert our_fields.pop("DVC version").startswith("3.67.1") and stock_fields.pop("DVC version").startswith("3.67.1")
    assert our_fields == stock_fields
    assert ours.stderr == stock.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_is_a_script(shell, ours, dvc_python, tmp_path):
    """Our program has more commands than stock, so the scripts are not compared: a shell has to take ours."""
    import shutil
    import subprocess

    from dvc.runners import environment

    done = ours.run(["completion", "-s", shell], tmp_path, environment(tmp_path))
    assert done.code == 0 and "checkout" in done.stdout and not done.stderr
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)
