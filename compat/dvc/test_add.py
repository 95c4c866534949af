"""`dvc add`."""

import pytest

from dvc.pair import cases

CASES = cases(
    r"""
    # a file
    $ printf hello > x
    > add x
    > status
    > add x
    $ git status --porcelain
    # a changed file
    $ echo 1 > x
    > add x
    $ echo 22 > x
    > add x
    > add x.dvc
    $ echo 333 > x
    > add x.dvc
    # a missing file
    > add x
    > add sub/x
    > add ''
    > add x.dvc
    # a file that went missing
    $ echo 1 > x
    > add x
    $ rm x
    > add x
    > add x.dvc
    # an empty file
    $ : > x
    > add x
    # an executable file
    $ echo run > x; chmod 755 x
    > add x
    $ chmod 644 x
    > status
    > add x
    $ chmod 744 x
    > add x
    # modes
    $ for m in 400 600 640 664 750 777; do echo $m > f$m; chmod $m f$m; done
    > add f400 f600 f640 f664 f750 f777
    # modes inside a folder
    $ mkdir d; for m in 400 600 664 755; do echo $m > d/f$m; chmod $m d/f$m; done
    > add d
    # a umask
    $ umask 077; mkdir d; echo 1 > d/a; echo 2 > f
    > add d f
    # several
    $ echo 1 > a; echo 2 > b; echo 1 > c
    > add a b c
    > add a nope
    > add nope a
    > add a a
    # one fails, the others are kept or not
    $ echo 1 > a; echo 2 > b
    > add a nope b
    > status
    # quiet
    $ echo 1 > a
    > add -q a
    > add -q nope
    > add --quiet nope
    # verbose
    $ echo 1 > a
    > add -v a
    > add -vv nope
    # targets that are never data
    > add .
    > add ..
    > add .dvc
    > add .dvc/config
    > add .git
    > add .dvcignore
    > add .gitignore
    > add /etc/hostname
    > add ../outside
    > add dvc.yaml
    > add dvc.lock
    # outside of the repository
    $ echo 1 > ../outside; mkdir ../folder; echo 1 > ../folder/a
    > add ../outside
    > add ../folder
    > add <root>/outside
    # an absolute path inside
    $ mkdir d; echo 1 > d/a
    > add <root>/repo/d/a
    > add <root>/repo/d/../d/a
    > status
    # globs
    $ printf 1 > a.csv; printf 2 > b.csv; mkdir d; printf 3 > d/c.csv; printf 4 > .h.csv
    > add --glob 'nope*'
    > add --glob '*.csv'
    > add --glob '**/*.csv'
    > add 'b*.csv'
    > add --glob a.csv
    > add --glob nope.csv
    # glob: everything
    $ printf 1 > a; printf 2 > b
    > add a
    > add --glob '*'
    # glob: sets and marks
    $ printf 1 > a1; printf 2 > a2; printf 3 > b1; mkdir -p d/e; printf 4 > d/e/x
    > add --glob 'a[12]' 'b?'
    > add --glob 'd/*/x'
    # a folder
    $ mkdir -p data/sub data/empty; echo 1 > data/a; echo 2 > data/sub/b; chmod 755 data/a
    > add data
    > status
    > add data/
    > add ./data
    # a folder changes
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b
    > add data
    $ rm data/a; echo 3 > data/c; echo 44 > data/sub/b
    > add data
    $ mv data/sub data/sup
    > add data.dvc
    # a folder becomes a file and back
    $ mkdir d; echo 1 > d/a
    > add d
    $ rm -r d; echo 1 > d
    > add d
    $ rm d; mkdir d; echo 2 > d/b
    > add d
    # an empty folder
    $ mkdir e
    > add e
    $ mkdir e/f
    > add e
    > status
    # order of names in a .dir
    $ mkdir -p d/sub; echo 1 > d/sub.txt; echo 2 > d/sub/x; echo 3 > d/sub-1; echo 4 > 'd/é'; echo 5 > d/Z; echo 6 > d/z; echo 7 > 'd/😀'; echo 8 > d/ﬀ
    > add d
    $ cat .dvc/cache/files/md5/*/*.dir
    # names that JSON escapes
    $ mkdir d; echo 1 > 'd/q"uote'; echo 2 > 'd/back\slash'; echo 3 > $'d/new\nline'; echo 4 > $'d/tab\t'; echo 5 > $'d/\x7f'
    > add d
    # one file inside a folder
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b
    > add data
    $ echo 3 > data/c
    > add data/c
    $ echo 4 > data/a; echo 5 > data/sub/new
    > add data/a
    > status
    > add data/sub
    > status
    > add data
    # a file inside a folder is gone
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b
    > add data
    $ rm data/a
    > add data/a
    > add data/nope
    $ rm -r data/sub
    > add data/sub
    # a file inside a folder, from within
    $ mkdir -p data/sub; echo 1 > data/a; echo 2 > data/sub/b
    > add data
    $ echo 3 > data/sub/b
    cd data/sub
    > add b
    > status
    # overlapping
    $ mkdir -p o/p; echo 1 > o/p/f
    > add o/p
    > add o
    > add o/p/f
    # overlapping: git-ignored .dvc
    $ mkdir -p o/p; echo 1 > o/p/f
    > add o/p
    $ rm o/p.dvc
    > add o/p/f
    > add o/p
    # overlapping in one command
    $ mkdir -p o/p; echo 1 > o/p/f
    > add o o/p
    > add o/p/f o
    # the same output in two .dvc files
    $ echo 1 > q; printf 'outs:\n- path: q\n' > q1.dvc; cp q1.dvc q2.dvc
    > add q
    > status q
    # tracked by git
    $ echo 1 > g; mkdir d; echo 1 > d/a; git add g d; git commit -qm g
    > add g
    > add d
    > add d/a
    > add --no-commit g
    $ git rm -rq --cached g d
    > add g d
    # staged in git
    $ echo 1 > g; git add g
    > add g
    # ignored by git
    $ echo 'x' > .gitignore; echo 1 > x; echo 2 > y
    > add x
    > add y
    # the .dvc would be ignored by git
    $ echo '*.dvc' > .gitignore; echo 1 > x
    > add x
    # a .gitignore without a last line break
    $ printf '*.log' > .gitignore; echo 1 > x; echo 2 > x.log
    > add x x.log
    # a .gitignore with other line ends
    $ printf '*.log\r\n' > .gitignore; echo 1 > x
    > add x
    # a .gitignore that is a symlink
    $ echo 1 > real; ln -s real .gitignore; echo 1 > x
    > add x
    # .gitignore already holds the line
    $ printf '/x\n\n# end\n' > .gitignore; echo 1 > x; echo 2 > y
    > add x y
    # ignored for dvc
    $ printf '*.log\nd/\n' > .dvcignore; echo 1 > k.log; mkdir d; echo 1 > d/x; echo 2 > d/y; mkdir e; echo 1 > e/a.log; echo 2 > e/b
    > add k.log
    > add d
    > add d/x
    > add e
    > add e/a.log
    # .dvcignore inside data
    $ mkdir d; echo '*.tmp' > d/.dvcignore; echo 1 > d/a; echo 2 > d/b.tmp
    > add d
    > add d/a
    # names
    $ echo 1 > 'we[i]rd #1!?.txt'; echo 2 > '!bang'; echo 3 > ' sp ace '; mkdir 'd*r'; echo 4 > 'd*r/f'; echo 5 > '#hash'; echo 6 > 'a\b'
    > add 'we[i]rd #1!?.txt' '!bang' ' sp ace ' 'd*r' '#hash' 'a\b'
    > status
    # names for YAML
    $ for n in 'a: b' '- x' 'yes' '010' '1e3' '0x1f' '~' 'null' "it's" '{x}' '[y]' '&a' '*b' '%c' '@d' '`e' '2020-01-01' '=' '<<' 'é' '😀' 'a,b'; do echo 1 > "$n"; done
    > add 'a: b' yes 010 1e3 0x1f '~' null "it's" '{x}' '[y]' '&a' '*b' '%c' '@d' '`e' 2020-01-01 '=' '<<' 'é' '😀' 'a,b'
    > status --json
    > add -- '- x'
    # long names
    $ n=$(printf 'word %.0s' {1..30}); echo 1 > "$n"; m=$(printf 'x%.0s' {1..200}); echo 2 > $m
    > add --glob 'word*' 'xxx*'
    # a line break in a name
    $ echo 1 > $'a\nb'
    > add --glob 'a*'
    # symlinks
    $ echo 1 > real; ln -s real link; ln -s nowhere dangling; mkdir d; echo 2 > d/a; ln -s d dlink; ln -s ../real d/in
    > add dangling
    > add link
    > add dlink
    > add dlink/a
    > add d
    # symlink loops and dangling links inside a folder
    $ mkdir d; ln -s nowhere d/dangling; echo 1 > d/a
    > add d
    # a symlinked folder inside a folder
    $ mkdir -p d other; echo 1 > other/x; ln -s ../other d/link; echo 2 > d/a
    > add d
    > status
    # a symlink to outside
    $ echo 1 > ../ext; ln -s ../ext link
    > add link
    # hardlinks
    $ echo 1 > a; ln a b; mkdir d; echo 2 > d/x; ln d/x d/y
    > add a b d
    # in subfolders
    $ mkdir -p s/t; echo 1 > s/t/f; echo 2 > s/g
    cd s
    > add t/f g
    > add ../s/g
    > add -q t
    cd .
    > status
    > add s/g
    # --no-commit
    $ echo 9 > f; mkdir d; echo 8 > d/a
    > add --no-commit f d
    > status
    > checkout
    > commit
    > status
    # --no-relink
    > config cache.type hardlink
    $ echo 9 > f; mkdir d; echo 8 > d/a
    > add --no-relink f d
    > checkout --relink
    # -f
    $ echo 9 > f
    > add -f f
    > add --force f
    # --out
    $ echo 1 > a; echo 2 > b; mkdir d; echo 3 > d/x
    > add --out y a
    > add --out y a
    > add -f --out y b
    > add -o z a b
    > add -o dd d
    > add -o dd d -f
    > add -o nope missing
    > add -o a missing
    > status
    # --out in other folders
    $ mkdir ../ext d; echo 1 > ../ext/f; mkdir ../ext/d; echo 1 > ../ext/d/a
    > add ../ext/f -o loc
    > add ../ext/d -o dd
    > add ../ext/f -o d/loc
    > add ../ext/f -o nothere/loc
    > add ../ext/f -o d
    > add ../ext/f -o new/
    > add ../ext/f -o ../out
    > add ../ext/f -o .
    # --to-remote
    $ mkdir -p ../ext/d/sub; echo 1 > ../ext/f; echo 2 > ../ext/d/a; echo 3 > ../ext/d/sub/b; echo 4 > in
    > add --to-remote ../ext/f
    > remote add -d r ../remote
    > add --to-remote ../ext/f
    > add --to-remote ../ext/d
    > add --to-remote ../ext/d -o dd
    > add --to-remote in
    > status
    > status -c
    > pull
    > status
    # --to-remote, refused
    > remote add -d r ../remote
    $ echo 1 > a; echo 2 > b; mkdir ../ext; echo 1 > ../ext/a
    > add --to-remote nope
    > add --to-remote a b
    > add --to-remote ../ext/a
    > add --to-remote ../ext/a -f
    > add --to-remote ../ext/a -o nothere/a
    > add --to-remote --no-commit a
    > add --to-remote --glob 'a*'
    > add --to-remote -r nope a
    # --to-remote to another remote
    > remote add -d r ../remote
    > remote add q ../second
    $ mkdir ../ext; echo 1 > ../ext/a
    > add --to-remote -r q ../ext/a
    > add --to-remote --remote q --remote-jobs 2 ../ext/a -o b
    > pull
    > pull -r q
    # flags that do not go together
    $ echo 1 > a
    > add -r nope a
    > add --remote-jobs 3 a
    > add --out z --no-commit a
    > add --glob --out q 'a*'
    > add --out z a nope
    > add --remote-jobs x --to-remote a
    # arguments
    > add
    > add --nope x
    > add --help
    > add --out
    # an existing .dvc keeps what people wrote
    $ echo 1 > a; printf '# top\nouts:\n# before\n- path: a  # the data\n  desc: "hi"\n  type: [1,2]\n  labels: [x, y]\n  meta: {k: 1}\n# after\ndesc: whole\nmeta:\n  who: me\n' > a.dvc
    > status
    $ sed -i 's/type: .1,2./type: kind/' a.dvc
    > status
    > add a
    $ echo 2 > a
    > add a
    # a folder's .dvc keeps what people wrote
    $ mkdir d; echo 1 > d/a
    > add d
    $ printf '# c\nmeta: {a: [1, 2], b: null}\nouts:\n- md5: x.dir\n  path: d # d\n  push: false\n  desc: text\n' > d.dvc
    > add d
    $ echo 2 > d/b
    > add d
    # cache: false
    $ echo 1 > a
    > add a
    $ printf 'outs:\n- md5: x\n  path: a\n  cache: false\n' > a.dvc
    > status
    > add a
    $ echo 2 > a
    > add a
    > status
    # several outs in one .dvc
    $ echo 1 > a; echo 2 > b; printf 'outs:\n- path: a\n- path: b\n' > both.dvc
    > add both.dvc
    > add a
    > status
    > commit -f
    > status
    $ echo 3 > b
    > add b
    # wdir in a .dvc
    $ mkdir w; echo 1 > w/a; printf 'wdir: w\nouts:\n- path: a\n' > x.dvc
    > status
    > commit -f
    > add w/a
    > status
    # broken .dvc files
    $ echo 1 > bad; echo 'outs: [' > bad.dvc
    > add bad
    > status
    $ echo 'outs: 3' > bad.dvc
    > add bad
    > status
    $ printf 'outs:\n- path: bad\n  zzz: 3\n' > bad.dvc
    > add bad
    > status
    $ printf 'outs:\n- md5: 1\n' > bad.dvc
    > status
    $ : > bad.dvc
    > status
    > add bad
    # a .dvc that is not UTF-8
    $ echo 1 > bad; printf 'outs:\n- path: "\351"\n' > bad.dvc
    > status
    > add bad
    # autostage
    > config core.autostage true
    $ git commit -qam config; echo 1 > h; mkdir d; echo 2 > d/a
    > add h
    > add d
    $ git status --porcelain; git commit -qm data; echo 3 > d/b
    > add d
    $ git status --porcelain
    # autostage in a subfolder
    > config core.autostage true
    $ mkdir s; echo 1 > s/h
    cd s
    > add h
    $ git status --porcelain
    # under the outs of a pipeline
    $ printf 'stages:\n  s:\n    cmd: echo 1 > out\n    outs:\n    - out\n' > dvc.yaml; echo 1 > out; mkdir -p dd; echo 2 > dd/x
    > add out
    > add dvc.yaml
    > add dd
    # link types
    > config cache.type hardlink
    $ echo 1 > a; mkdir d; echo 2 > d/b; chmod 755 d/b; echo 3 > x; chmod 755 x
    > add a d x
    $ echo new > d/c
    > add d
    # symlinks as link type
    > config cache.type symlink
    $ echo 1 > a; mkdir d; echo 2 > d/b; echo 3 > x; chmod 755 x
    > add a d x
    > status
    > add a d x
    $ echo new > d/c
    > add d
    # a file that the cache has
    $ echo 1 > a; echo 1 > b; mkdir d; echo 1 > d/c; : > d/empty; : > empty
    > add a
    > add b d empty
    # without git
    @ no-scm
    $ echo 1 > a; mkdir d; echo 1 > d/b
    > add a d
    > add a
    > status
    # in a subfolder's repository
    @ git
    $ mkdir -p sub/deep; echo 1 > sub/a; echo 1 > top; mkdir sub/d; echo 2 > sub/d/x
    cd sub
    > init --subdir
    > add a d
    > add ../top
    cd sub/deep
    > add ../a
    # in a git worktree
    $ git worktree add -q ../tree
    cd ../tree
    $ echo 1 > a
    > add a
    > status
    # in a git submodule
    $ git init -q --template= ../other; mkdir -p ../other/.git/info; cd ../other; git commit -q --allow-empty -m first; cd ../repo; git submodule --quiet add ../other mod; mkdir -p .git/modules/mod/info
    cd mod
    > init
    $ echo 1 > a
    > add a
    > status
    # an external cache shared by a group
    > config cache.shared group
    > config cache.dir ../store
    $ echo 1 > a; mkdir d; echo 2 > d/b
    > add a d
    # DVC_ROOT and DVC_STAGE are no names of ours
    env DVC_STAGE=x
    $ echo 1 > a
    > add a
    # names that are not UTF-8, inside
    $ mkdir d; echo 1 > $'d/\xff\xfe'; echo 2 > d/a
    > add d
    > status
    # names that are not UTF-8
    $ echo 1 > $'\xff\xfe'
    > add --glob '*'
    # more than fits a block
    $ mkdir d; head -c 3000000 /dev/zero > d/zero; seq 1 300000 > d/seq; printf 'a\r\nb\r\n' > d/crlf
    > add d
    > status
    """
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_add(case, play):
    play(case)
