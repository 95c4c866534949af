"""Makes up sequences of shell and dvc commands, each step knowing what the repository holds by then."""

import os
import pathlib
import random
import shlex

from dvc.pair import Pair

NAMES = ["a", "b.txt", "c", "data", "model.pkl", "x y", "é", "!bang", "#hash", "we[i]rd", "st*r", "😀", "UPPER", ".hidden", "k.log"]
FOLDERS = ["d", "e", "data set", "d/s", "deep/er", "ü"]


class Sequence:
    """Random steps for one seed."""

    def __init__(self, pair: Pair, seed: int):
        self.pair = pair
        self.random = random.Random(seed)
        self.content = 0
        self.tags = 0
        self.remotes: list[str] = []
        self.steps = [
            (14, self.write_file),
            (8, self.write_into_folder),
            (5, self.remove_file),
            (3, self.move_file),
            (2, self.copy_file),
            (2, self.exec_bit),
            (1, self.make_symlink),
            (1, self.make_empty_folder),
            (1, self.drop_objects),
            (1, self.drop_cache),
            (2, self.ignore),
            (14, self.add),
            (4, self.add_inside),
            (6, self.status),
            (6, self.data_status),
            (5, self.diff),
            (6, self.commit),
            (10, self.checkout),
            (2, self.remove),
            (3, self.move),
            (3, self.gc),
            (2, self.link_type),
            (1, self.config),
            (2, self.remote),
            (4, self.push),
            (4, self.pull),
            (3, self.cloud_status),
            (6, self.git_commit),
            (3, self.git_checkout),
            (1, self.git_tag),
            (1, self.unprotect),
            (1, self.freeze),
            (3, self.list),
            (1, self.du),
            (1, self.check_ignore),
            (1, self.root),
            (2, self.nonsense),
            (2, self.stage),
            (1, self.annotate),
        ]

    @property
    def repo(self) -> pathlib.Path:
        return self.pair.stock.repo

    def play(self, count: int) -> None:
        # `status` and the like go by the order of a folder's entries: one thing at a time keeps them alike.
        self.pair.begin(self.random.choice(["dvc", "dvc", "dvc", "no-scm"]))
        weights = [weight for weight, _ in self.steps]
        for _ in range(count):
            step = self.random.choices(self.steps, weights)[0][1]
            step()
            if self.pair.faults:
                break
        self.pair.done()

    # What the repository holds.

    def files(self) -> list[str]:
        found = []
        for folder, folders, files in os.walk(self.repo):
            folders[:] = sorted(f for f in folders if f not in (".dvc", ".git"))
            inside = os.path.relpath(folder, self.repo)
            found += [os.path.normpath(os.path.join(inside, f)) for f in sorted(files)]
        return [f for f in found if not f.endswith((".dvc", ".gitignore", ".dvcignore", "dvc.yaml", "dvc.lock"))]

    def folders(self) -> list[str]:
        found = []
        for folder, folders, _ in os.walk(self.repo):
            folders[:] = sorted(f for f in folders if f not in (".dvc", ".git"))
            inside = os.path.relpath(folder, self.repo)
            found += [os.path.normpath(os.path.join(inside, f)) for f in folders]
        return found

    def dvc_files(self) -> list[str]:
        found = sorted(str(p.relative_to(self.repo)) for p in self.repo.rglob("*.dvc") if p.is_file())
        return [name for name in found if not name.startswith(".dvc/")]

    def outs(self) -> list[str]:
        return [name.removesuffix(".dvc") for name in self.dvc_files()]

    def any(self, choices, otherwise="nope"):
        return self.random.choice(choices) if choices else otherwise

    def maybe(self, share: float, *words: str) -> list[str]:
        return list(words) if self.random.random() < share else []

    def targets(self) -> list[str]:
        kind = self.random.random()
        if kind < 0.45:
            return []
        if kind < 0.6:
            return [self.any(self.dvc_files(), "nope.dvc")]
        if kind < 0.85:
            return [self.any(self.outs())]
        if kind < 0.95:
            return [self.any([f for f in self.files() if "/" in f])]
        return ["nope"]

    def shell(self, *lines: str) -> None:
        self.pair.shell("; ".join(lines), may_fail=True)

    def dvc(self, *args: str, stdin: str = "") -> None:
        self.pair.dvc(list(args), stdin)

    # Steps in the shell.

    def new_content(self) -> str:
        if self.random.random() < 0.25:
            return self.random.choice(["", "same\n", "x\r\ny\r\n", "1\n"])
        self.content += 1
        return f"content {self.content}\n" * self.random.randint(1, 3)

    def write(self, path: str) -> None:
        folder, quoted = shlex.quote(os.path.dirname(path) or "."), shlex.quote(path)
        text = shlex.quote(self.new_content())
        # As an editor does, not into a link's other end.
        self.shell(f"mkdir -p {folder} && rm -f {quoted} && printf %s {text} > {quoted}")

    def write_file(self) -> None:
        self.write(self.random.choice(NAMES))

    def write_into_folder(self) -> None:
        self.write(f"{self.random.choice(self.folders() + FOLDERS)}/{self.random.choice(NAMES)}")

    def remove_file(self) -> None:
        what = self.any(self.files() + self.folders() + self.outs())
        self.shell(f"rm -rf {shlex.quote(what)}")

    def move_file(self) -> None:
        source, to = self.any(self.files()), self.random.choice(NAMES + [f"{f}/{n}" for f in FOLDERS for n in NAMES[:3]])
        self.shell(f"mkdir -p {shlex.quote(os.path.dirname(to) or '.')}", f"mv {shlex.quote(source)} {shlex.quote(to)}")

    def copy_file(self) -> None:
        folder = self.any(self.folders(), ".")
        self.shell(f"cp {shlex.quote(self.any(self.files()))} {shlex.quote(folder)}/copy")

    def exec_bit(self) -> None:
        self.shell(f"chmod {self.random.choice(['755', '644', '600'])} {shlex.quote(self.any(self.files()))}")

    def make_symlink(self) -> None:
        folder = self.any(self.folders(), ".")
        self.shell(f"ln -s {self.random.choice(['nowhere', '../a', 'a'])} {shlex.quote(folder)}/link")

    def make_empty_folder(self) -> None:
        self.shell(f"mkdir -p {shlex.quote(self.any(self.folders(), 'd'))}/{self.random.choice(['empty', 'one/two'])}")

    def drop_objects(self) -> None:
        self.shell(f"rm -rf .dvc/cache/files/md5/{self.random.choice('0123456789abcdef')}?")

    def drop_cache(self) -> None:
        if self.random.random() < 0.4:
            self.shell("rm -rf .dvc/cache")

    def ignore(self) -> None:
        pattern = self.random.choice(["*.log", "empty/", "!k.log", "/UPPER", "# nothing", "copy"])
        self.shell(f"echo {shlex.quote(pattern)} >> .dvcignore")

    def annotate(self) -> None:
        name = self.any(self.dvc_files(), "")
        if name:
            self.shell(f"printf '# note\\ndesc: words\\n' >> {shlex.quote(name)}")

    # Steps of git.

    @property
    def has_git(self) -> bool:
        return (self.repo / ".git").exists()

    def git_commit(self) -> None:
        if self.has_git:
            self.shell("git add -A", f"git commit -q -m {self.content}")

    def git_tag(self) -> None:
        if self.has_git:
            self.tags += 1
            self.shell(f"git tag v{self.tags}", *self.maybe(0.5, f"git branch b{self.tags}"))

    def git_checkout(self) -> None:
        if self.has_git:
            to = self.random.choice(["main", "HEAD~1", "main~1", *(f"v{n + 1}" for n in range(self.tags))])
            self.shell("git add -A", "git commit -q -m before", f"git checkout -q {to}")
            self.dvc("checkout", *self.maybe(0.5, "-f"))

    def revision(self) -> str:
        return self.random.choice(["HEAD", "HEAD~1", "main", "nope", *(f"v{n + 1}" for n in range(self.tags))])

    # Steps of dvc.

    def add(self) -> None:
        here = [f for f in self.files() if "/" not in f] + [f for f in self.folders() if "/" not in f]
        flags = self.maybe(0.1, "--no-commit") + self.maybe(0.1, "-q") + self.maybe(0.05, "--no-relink") + self.maybe(0.05, "-f")
        if self.random.random() < 0.06:
            flags += ["--out", self.random.choice(NAMES)]
        self.dvc("add", *flags, self.any(here + self.folders() + self.files() + self.dvc_files()))

    def add_inside(self) -> None:
        inside = [f for f in self.files() if any(f.startswith(out + "/") for out in self.outs())]
        self.dvc("add", self.any(inside))

    def status(self) -> None:
        self.dvc("status", *self.maybe(0.4, "--json"), *self.maybe(0.1, "-q"), *self.targets())

    def data_status(self) -> None:
        flags = self.maybe(0.5, "--granular") + self.maybe(0.3, "--json") + self.maybe(0.3, "--unchanged")
        flags += self.maybe(0.1, "--untracked-files") + self.maybe(0.2 if self.remotes else 0.02, "--not-in-remote")
        self.dvc("data", "status", *flags)

    def diff(self) -> None:
        revisions = [self.revision() for _ in range(self.random.choice([0, 0, 1, 2]))]
        flags = self.maybe(0.4, "--json") or self.maybe(0.3, "--md")
        self.dvc("diff", *flags, *self.maybe(0.3, "--show-hash"), *self.maybe(0.2, "--hide-missing"), *revisions)

    def commit(self) -> None:
        name = self.any(self.dvc_files(), "nope.dvc")
        self.dvc("commit", *self.maybe(0.7, "-f"), name, stdin=self.random.choice(["", "y\n", "n\n"]))

    def checkout(self) -> None:
        flags = self.maybe(0.5, "-f") + self.maybe(0.15, "--relink") + self.maybe(0.2, "--summary")
        self.dvc("checkout", *flags, *self.maybe(0.1, "--allow-missing"), *self.targets())

    def remove(self) -> None:
        self.dvc("remove", *self.maybe(0.5, "--outs"), self.any(self.dvc_files(), "nope.dvc"))

    def move(self) -> None:
        to = self.random.choice(NAMES + self.folders() + ["new/place"])
        self.dvc("move", self.any(self.outs()), to)

    def gc(self) -> None:
        scope = self.random.choice([["-w"], ["-a"], ["-T"], ["-A"], ["--rev", self.revision()], ["--rev", "HEAD", "-n", "2"], []])
        self.dvc("gc", *scope, *self.random.choice([["-f"], ["-f"], ["--dry"], []]), stdin=self.random.choice(["y\n", "n\n"]))

    def link_type(self) -> None:
        self.dvc("config", "cache.type", self.random.choice(["copy", "hardlink", "symlink", "hardlink,copy", "reflink,copy"]))
        self.dvc("checkout", *self.maybe(0.7, "--relink"), *self.maybe(0.3, "-f"))

    def config(self) -> None:
        self.dvc(
            "config",
            *self.random.choice(
                [
                    ["-l"], ["core.autostage", "true"], ["core.autostage", "false"], ["cache.dir"], ["core.nope"], ["-u", "cache.type"],
                    ["--local", "cache.dir", "../store"], ["-u", "--local", "cache.dir"], ["cache.shared", "group"],
                ]
            ),
        )  # fmt: skip

    def remote(self) -> None:
        name = self.random.choice(["r", "q"])
        kind = self.random.random()
        if kind < 0.7:
            self.dvc("remote", "add", "--local", *self.maybe(0.6, "-d"), *self.maybe(0.3, "-f"), name, f"<root>/remote-{name}")
            self.remotes.append(name)
        else:
            self.dvc("remote", *self.random.choice([["list"], ["default"], ["remove", "--local", name], ["modify", name, "jobs", "2"]]))

    def push(self) -> None:
        scope = self.random.choice([[], [], self.targets(), ["-a"], ["-A"], ["-T"]])
        self.dvc("push", *self.maybe(0.2, "-r", self.any(self.remotes)), *scope)

    def pull(self) -> None:
        command = self.random.choice(["pull", "fetch"])
        scope = self.random.choice([[], [], self.targets(), ["-a"], ["-A"]])
        flags = self.maybe(0.4, "-f") + self.maybe(0.1, "--allow-missing") if command == "pull" else []
        self.dvc(command, *flags, *self.maybe(0.2, "-r", self.any(self.remotes)), *scope)

    def cloud_status(self) -> None:
        self.dvc("status", "-c", *self.maybe(0.3, "--json"), *self.random.choice([[], [], ["-a"], ["-A"]]))

    def unprotect(self) -> None:
        self.dvc("unprotect", self.any(self.outs() + self.files()))

    def freeze(self) -> None:
        self.dvc(self.random.choice(["freeze", "unfreeze"]), self.any(self.dvc_files(), "nope.dvc"))

    def list(self) -> None:
        flags = self.maybe(0.5, "-R") + self.maybe(0.3, "--json") + self.maybe(0.3, "--size") + self.maybe(0.3, "--show-hash")
        flags += self.maybe(0.2, "--dvc-only") + (self.maybe(0.2, "--rev", self.revision()) if self.has_git else [])
        self.dvc("list", *flags, ".", *self.maybe(0.2, self.any(self.outs())))

    def du(self) -> None:
        self.dvc("du", ".", *self.maybe(0.3, self.any(self.outs())))

    def check_ignore(self) -> None:
        self.dvc("check-ignore", *self.maybe(0.5, "-d"), *self.maybe(0.2, "-n"), self.any(self.files()), "k.log")

    def root(self) -> None:
        self.dvc("root")

    def nonsense(self) -> None:
        self.dvc(*self.random.choice([["add"], ["status", "--nope"], ["push", "-j", "x"], ["move", "a"], ["nope"], ["remote", "add"]]))

    def stage(self) -> None:
        out = self.any([f for f in self.files() if f.isascii() and f.replace(".", "").isalnum()], "out")
        lines = f"stages:\\n  s:\\n    cmd: run\\n    deps: [dep]\\n    outs:\\n    - {out}\\n"
        self.shell("echo 1 > dep", f"test -e {out} || echo made > {out}", f"printf '{lines}' > dvc.yaml")
        self.dvc("commit", "-f", "s")
