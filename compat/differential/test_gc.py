"""`mlflow gc`: stock's on stock's database and bucket, ours on ours. The same is left, in the database and in the bucket."""

import dataclasses
import pathlib
import subprocess

import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import gc as stock_gc
from places import EVERYWHERE, SERVERS
from rest_api import Api
from servers import Server, clean_environment, running, trackway_binary

pytestmark = [
    pytest.mark.places(*EVERYWHERE),
    pytest.mark.differs_from_stock("ours refuses before it deletes, and keeps no files of the models of a purged experiment"),
]


@dataclasses.dataclass
class Side:
    """A server, and what a purge needs to know of it. `ids` says by which id this side knows a thing of the world."""

    server: Server
    settings: object
    ids: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def database(self) -> str:
        name = "trackway.db" if self.server.kind == "trackway" else "mlflow.db"
        return self.settings.database or f"sqlite:///{self.server.folder / name}"

    def spelt(self, text: str) -> str:
        for symbol, made in sorted(self.ids.items(), key=lambda item: -len(item[1])):
            if made.isdigit():
                text = f"{symbol}/{text.removeprefix(f'{made}/')}" if text.startswith(f"{made}/") else text
            else:
                text = text.replace(made, symbol)
        return text

    def keys(self) -> set[str]:
        """What lies in the bucket or in the folder, with symbols for ids."""
        if self.server.bucket:
            found = self.server.bucket.keys()
        else:
            root = self.server.folder / "mlartifacts"
            found = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        return {self.spelt(key) for key in found}

    def rows(self) -> dict[str, str]:
        """What the server says of each thing of the world."""
        api = Api(self.server.url)
        said = {}
        for symbol, made in self.ids.items():
            match symbol.split()[0]:
                case "run":
                    answer = api.get("runs/get", {"run_id": made})
                    said[symbol] = answer.json["run"]["info"]["lifecycle_stage"] if answer.status == 200 else answer.error_code
                case "experiment":
                    answer = api.get("experiments/get", {"experiment_id": made})
                    stage = answer.json["experiment"]["lifecycle_stage"] if answer.status == 200 else answer.error_code
                    said[symbol] = stage
                    found = api.post("runs/search", {"experiment_ids": [made], "run_view_type": "ALL"}).ok().get("runs", [])
                    said[f"runs of {symbol}"] = sorted(self.spelt(run["info"]["run_id"]) for run in found)
                case "model":
                    answer = api.get(f"logged-models/{made}")
                    said[symbol] = "there" if answer.status == 200 else answer.error_code
                case "registered":
                    answer = api.get("model-versions/get", {"name": made, "version": "1"})
                    said[symbol] = "there" if answer.status == 200 else answer.error_code
        return said

    def gc(self, *args: str) -> tuple[int, set[str], str]:
        """The exit code, what it said is deleted, and the message of an error."""
        args = [self.ids.get(arg, arg) for arg in args]
        places = ["--backend-store-uri", self.database, "--tracking-uri", self.server.url]
        if self.server.kind == "stock":
            done = CliRunner().invoke(stock_gc, [*places, *args])
            code, out = done.exit_code, done.stdout
            error = str(done.exception) if code else ""
        else:
            destination = self.settings.bucket.uri if self.settings.bucket else str(self.server.folder / "mlartifacts")
            done = subprocess.run(
                [trackway_binary(), "mlflow", "gc", *places, "--artifacts-destination", destination, *args],
                cwd=self.server.folder,
                env=clean_environment(**self.settings.variables),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
            )
            code, out, error = done.returncode, done.stdout, done.stderr
        told = {self.spelt(line) for line in out.splitlines() if line.endswith("has been permanently deleted.")}
        return code, {self.numbered(line) for line in told}, self.spelt(error)

    def numbered(self, line: str) -> str:
        """`Experiment with ID 7` has a number for an id, which is spelt only here."""
        for symbol, made in self.ids.items():
            if symbol.startswith("experiment"):
                line = line.replace(f"Experiment with ID {made} ", f"Experiment with ID {symbol} ")
        return line


def build(side: Side, folder: pathlib.Path, bare: bool) -> None:
    """A world in which some is deleted in each way that there is."""
    client, ids = MlflowClient(side.server.url), side.ids
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub/b.txt").write_text("b")

    def experiment(symbol):
        ids[symbol] = client.create_experiment(symbol)

    def run(symbol, owner, files=True):
        run_id = ids[symbol] = client.create_run(ids[owner]).info.run_id
        client.log_metric(run_id, "m", 1.0)
        client.log_param(run_id, "p", "1")
        client.set_tag(run_id, "t", "1")
        if files:
            client.log_artifacts(run_id, str(folder))

    def model(symbol, owner, source):
        made = client.create_logged_model(ids[owner], name="model", source_run_id=ids[source], params={"a": "1"}, tags={"b": "2"})
        ids[symbol] = made.model_id
        client.log_model_artifacts(made.model_id, str(folder))
        client.finalize_logged_model(made.model_id, "READY")

    experiment("experiment kept")
    experiment("experiment doomed")
    for name in ("active", "gone", "gone too"):
        run(f"run {name}", "experiment kept")
    if bare:
        run("run bare", "experiment kept", files=False)
    for name in ("of doomed", "of doomed too", "gone in doomed"):
        run(f"run {name}", "experiment doomed")
    model("model alive", "experiment kept", "run active")
    model("model gone", "experiment kept", "run active")
    model("model of gone", "experiment kept", "run gone")
    model("model of doomed", "experiment doomed", "run of doomed")
    ids["registered"] = client.create_registered_model("registered").name
    client.create_model_version("registered", f"models:/{ids['model of gone']}", model_id=ids["model of gone"])

    for symbol in ("run gone", "run gone too", "run gone in doomed", *(["run bare"] if bare else [])):
        client.delete_run(ids[symbol])
    client.delete_logged_model(ids["model gone"])
    client.delete_experiment(ids["experiment doomed"])


@pytest.fixture
def sides(place, server_kind, tmp_path):
    made = []
    for kind in ("stock", server_kind):
        settings = place.settings(kind).served()
        server = Server(kind, tmp_path / f"{kind} {len(made)}", *settings.flags, env=settings.variables)
        server.bucket = settings.bucket
        made.append(Side(server, settings))
    first, second = (running(side.server) for side in made)
    next(first), next(second)
    yield made
    for ended in (second, first):
        next(ended, None)
    mlflow.set_tracking_uri(None)


def same(sides, *args: str) -> tuple[int, set[str], str]:
    """Both purge with these arguments: the same is said, and the same is left. Returns what stock said."""
    stock, ours = sides
    said, our_words = stock.gc(*args), ours.gc(*args)
    assert our_words[0] == said[0], (args, said, our_words)
    # Ours tells of the models that go with their experiment, as stock does of its runs.
    with_experiment = {"Logged model with ID model of doomed has been permanently deleted."}
    told = our_words[1] - with_experiment if "model of doomed" not in "".join(said[1]) else our_words[1]
    assert told == said[1], (args, our_words)
    assert said[2].strip() in our_words[2], (args, said, our_words)
    assert ours.rows() == stock.rows(), args
    left = stock.keys()
    if "experiment doomed" in "".join(said[1]) or stock.rows()["experiment doomed"] == "RESOURCE_DOES_NOT_EXIST":
        # Stock forgets the models of an experiment with it, and leaves their files for ever.
        left = {key for key in left if not key.startswith("experiment doomed/models/")}
        assert not [key for key in ours.keys() if key.startswith("experiment doomed/")]
    assert ours.keys() == left, args
    return said


REFUSED = {
    "an active run": ("--run-ids", "run active"),
    "no run": ("--run-ids", "0" * 32),
    "an active experiment": ("--experiment-ids", "experiment kept"),
    "no experiment": ("--experiment-ids", "987654"),
    "no id of an experiment": ("--experiment-ids", "abc"),
    "an active model": ("--logged-model-ids", "model alive"),
    "no model": ("--logged-model-ids", "m-" + "0" * 32),
    "no age": ("--older-than", "1x"),
}


@pytest.mark.places(*EVERYWHERE, *SERVERS)
@pytest.mark.timeout(300)
def test_gc(sides, place, tmp_path):
    for side in sides:
        # Stock's fails on Azure where a run has no files, and then deletes nothing more.
        build(side, tmp_path / "files", bare=place.name != "azure")
    stock, ours = sides
    assert stock.keys() == ours.keys() and stock.rows() == ours.rows()

    code, said, _ = same(sides, "--older-than", "30d")
    assert (code, said) == (0, set())
    # Stock purges until it meets what it refuses; ours looks first, and then changes nothing.
    before = ours.rows(), ours.keys()
    for what, args in REFUSED.items():
        code, said, error = ours.gc(*args)
        assert (code, said) == (1, set()) and error, what
    assert (ours.rows(), ours.keys()) == before

    code, said, _ = same(sides, "--older-than", "0s")
    assert code == 0
    assert {line.split(" with ID ")[0] for line in said} == {"Run", "Logged model", "Experiment"}
    code, said, _ = same(sides)
    assert (code, said) == (0, set())
    for args in REFUSED.values():
        same(sides, *args)
    # What is alive still works, on both.
    for side in sides:
        client = MlflowClient(side.server.url)
        assert len(client.list_artifacts(side.ids["run active"])) == 2
        assert client.get_run(side.ids["run active"]).data.metrics == {"m": 1.0}
        assert {f.path for f in client.list_logged_model_artifacts(side.ids["model of gone"])} == {"a.txt", "sub"}


@pytest.mark.places("sqlite", "s3")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("args", [("--run-ids", "run gone"), ("--logged-model-ids", "model gone"), ("--experiment-ids", "experiment doomed")])
def test_gc_of_some(sides, tmp_path, args):
    """Everything else that is deleted goes, too, but for the kind that is named."""
    for side in sides:
        build(side, tmp_path / "files", bare=True)
    code, said, _ = same(sides, *args)
    assert code == 0 and said
    same(sides)
