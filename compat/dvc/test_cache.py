"""`dvc cache` and `dvc config`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # cache dir
    > cache dir
    > cache dir ../store
    > cache dir
    > cache dir --local /abs
    > cache dir --local
    > cache dir --global
    > cache dir
    > cache dir -u --local
    > cache dir -u
    > cache dir -u
    > cache dir
    > cache dir --project ../x
    > cache
    > cache nope
    # cache dir from a subfolder
    $ mkdir s; echo 1 > s/a
    cd s
    > cache dir
    > cache dir ../../store
    > cache dir
    > add a
    # cache dir: relative, absolute, home
    > cache dir store
    > cache dir ./store
    > cache dir ~/store
    > cache dir <root>/abs
    $ echo 1 > a
    > add a
    # an external cache
    > cache dir ../store
    > config cache.type symlink
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add a d
    > status
    > gc -w -f
    $ rm -r a d
    > checkout
    # migrate
    > cache migrate
    > cache migrate --dry
    $ echo hello > a; printf 'outs:\n- md5: b1946ac92492d2347c6235b4d2611184\n  size: 6\n  path: a\n' > a.dvc; mkdir -p .dvc/cache/b1; cp a .dvc/cache/b1/946ac92492d2347c6235b4d2611184; chmod 444 .dvc/cache/b1/*
    > status
    > cache migrate --dry
    > cache migrate
    > cache migrate
    > cache migrate --dvc-files --dry
    > cache migrate --dvc-files
    > status
    > gc -w -f
    # config: get and set
    > config
    > config -l
    > config core.autostage
    > config core.autostage true
    > config core.autostage
    > config CORE.AutoStage
    > config core.nope
    > config core.nope x
    > config nope.nope x
    > config nope
    > config core
    > config core.autostage maybe
    > config a.b.c
    > config a.b.c x
    > config -q core.autostage
    > config core.autostage ''
    > config -u core.autostage
    > config -u core.autostage
    > config -u nope.x
    > config -u core
    # config: levels
    > config --global core.autostage true
    > config --system core.analytics false
    > config --local cache.dir /abs/path
    > config cache.type hardlink,copy
    > config -l
    > config -l --show-origin
    > config --local -l
    > config --local --show-origin -l
    > config --project -l
    > config --global -l
    > config --system -l
    > config --local cache.dir
    > config --local cache.type
    > config --global cache.type
    > config cache.dir
    > config core.autostage
    > config --show-origin
    > config --show-origin cache.type
    > config --show-origin --local cache.dir
    > config -u --local cache.dir
    > config --local --global core.autostage
    > config -l -u
    > config -l core.autostage
    > config core.autostage -u x
    # config: checked values
    > config cache.type nope
    > config cache.type ''
    > config cache.type 'copy, hardlink'
    > config cache.shared group
    > config cache.shared nope
    > config cache.protected true
    > config cache.size 10
    > config cache.slow_link_warning false
    > config core.remote nope
    > config core.check_update false
    > config core.hardlink_lock 1
    > config core.checksum_jobs 0
    > config core.checksum_jobs x
    > config core.checksum_jobs 2
    > config core.interactive 1
    > config core.interactive false
    > config core.no_scm 2
    > config core.site_cache_dir x
    > config core.experiments true
    > config core.exp_auto true
    > config feature.x 1
    > config parsing.bool store_true
    > config parsing.bool x
    > config parsing.list nargs
    > config hydra.enabled true
    > config studio.token abc
    > config studio.offline yes
    > config plots.auto_open true
    > config plots.html_template x.html
    > config plots.out_dir out
    > config state.row_limit 10
    > config state.dir ../st
    > config index.dir ../idx
    > config exp.code_dir z
    > config exp.auto_push true
    > config exp.git_remote origin
    > config remote.r.url ../x
    > config remote.r.jobs 3
    > config remote.r.jobs
    > config -u remote.r.jobs
    > config -l
    # config: text that needs quotes
    > config core.remote 'a,b'
    > config core.remote 'a "c"'
    > config core.remote "it's"
    > config core.remote '#d'
    > config core.remote ' lead'
    > config core.remote 'é'
    > config core.remote $'two\nlines'
    > config core.remote
    > config -l
    # config: comments are kept
    $ printf '# top\n\n[core]\n# comment\nautostage = true ; inline\n\n[cache]\n  type = "hardlink,copy"  # why\n# end\n' > .dvc/config
    > config -l
    > config core.remote z
    > config cache.type symlink
    > config -u core.autostage
    > config -u cache.type
    # config: invalid files
    $ printf '[core]\n    zzz = 1\n' > .dvc/config
    > status
    > config -l
    > root
    > add x
    > config core.zzz
    > config -u core.zzz
    $ printf '[nope]\nx = 1\n' > .dvc/config
    > status
    $ printf '[core\n' > .dvc/config
    > status
    > config -l
    $ printf '[core]\nx\n' > .dvc/config
    > status
    $ printf '[core]\nautostage = perhaps\n' > .dvc/config
    > status
    > config core.autostage
    $ printf '[core]\nautostage = 1\n[core]\nautostage = 2\n' > .dvc/config
    > status
    $ printf '\xff\xfe' > .dvc/config
    > status
    # config: interpolation
    $ printf '[core]\n    remote = %%(x)s\n' > .dvc/config
    > config -l
    > config core.remote
    # config: from the environment
    $ mkdir ../glob ../sys; printf '[core]\n    autostage = true\n' > ../glob/config; printf '[core]\n    analytics = false\n' > ../sys/config
    env DVC_GLOBAL_CONFIG_DIR=<root>/glob
    env DVC_SYSTEM_CONFIG_DIR=<root>/sys
    > config -l
    > config -l --show-origin
    > config --global core.remote x
    # config: outside of a repository
    @ none
    > config -l
    > config --global core.autostage true
    > config --global core.autostage
    > config core.autostage true
    > config core.autostage
    > config -l
    > config -l --show-origin
    > config --project core.autostage true
    > config --local core.autostage true
    > config --global -u core.autostage
    # site cache dir
    > config core.site_cache_dir ../site2
    $ echo 1 > a
    > add a
    > status
    # legacy setting of protection
    $ printf '[cache]\n    protected = true\n' > .dvc/config; echo 1 > a
    > add a
    # DVC_CHECKOUT-like words mean nothing
    env DVC_NO_ANALYTICS
    env DVC_TEST=1
    > status
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cache(case, play):
    play(case)
