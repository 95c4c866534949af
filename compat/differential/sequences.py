"""Random sequences of calls that make sense: the player knows what exists, and chooses valid, nearly valid and
invalid calls. All choices come from one seed, so that a sequence can be played again.
"""

import random

from differential.pair import Pair

TEXTS = ["", "x", "5", "red", "Grüße", "雪", " padded ", "it's", 'say "so"', "100%", "a\nb", "null", "x" * 300, "a_b", "[]"]
KEYS = ["k", "lr", "a/b", "acc", "loss", "with space", "ünï", "mlflow.note.content", "x.y-z:1", "bad//key", "../up", ""]
VALUES = [0, 1, -1, 0.5, -0.0, 3.25, 1e308, -1e-300, 0.1, 2**53, "NaN", "Infinity", "-Infinity", "2.5", 7]
STAGES = ["None", "Staging", "Production", "Archived", "staging", "PRODUCTION", "Attic", ""]
STATUSES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
VIEWS = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]
NO_RUN, NO_MODEL = "f" * 32, "m-" + "f" * 32

RUN_FILTERS = [
    "metrics.acc > 0", "metrics.acc <= 0.5", "metrics.loss != 1", "metrics.`a/b` = 0.5", "metrics.k >= -1 AND metrics.acc < 3",
    "params.lr = 'x'", "params.lr != 'x'", "params.k LIKE '%e%'", "params.`with space` ILIKE '%E%'", "params.k IS NULL",
    "params.lr IS NOT NULL", "tags.k = '5'", "tags.k != '5'", "tags.lr LIKE 'x%'", "tags.`mlflow.runName` LIKE 'run%'",
    "status = 'FINISHED'", "status != 'RUNNING'", "attributes.run_name LIKE '%1%'", "run_name = 'run 3'", "start_time > 1005",
    "start_time <= 1010 AND status = 'RUNNING'", "end_time > 0", "run_id IN ('«run 1»', '«run 2»')", "run_id != '«run 1»'",
    "run_id NOT IN ('«run 1»')", "dataset.name = 'd1'", "dataset.digest IN ('1', '2')", "dataset.context = 'train'", "dataset.name LIKE 'd%'",
    "artifact_uri LIKE '%artifacts'", "user_id = 'ada'", "created < 1010", "Nothing = 1", "metrics.acc = 'x'", "params.lr > 'x'",
    "run_name LIKE", "status IN ('FINISHED')", "tags.k = 5", "metrics.acc > 0 OR metrics.acc < 1", "",
]  # fmt: skip
RUN_ORDERS = [
    "start_time ASC", "start_time DESC", "metrics.acc ASC", "metrics.acc DESC", "metrics.loss", "params.lr", "params.lr DESC",
    "tags.k", "attributes.status ASC", "run_name", "run_name DESC", "end_time", "attribute.end_time DESC", "metrics.`a/b` DESC",
    "bogus", "metrics.acc UP", "Created DESC", "dataset.name",
]  # fmt: skip


class Player:
    def __init__(self, pair: Pair, seed: int, place: str):
        self.pair = pair
        self.random = random.Random(seed)
        # Stock has seen the same sequence for another place.
        self.stem = f"seed{seed} {place}"
        self.experiments: list[str] = []
        self.runs: list[str] = []
        self.logged: list[str] = []
        self.models: list[str] = []
        self.versions: dict[str, int] = {}
        self.deleted: list[str] = []
        self.names = 0
        self.clock = 1000
        self.tokens = 0

    # Choices

    def one(self, items):
        return self.random.choice(items)

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def text(self) -> str:
        return self.one(TEXTS)

    def key(self) -> str:
        """Mostly one of few, so that keys meet again."""
        return self.one(KEYS[:2]) if self.maybe(0.5) else self.one(KEYS[:8]) if self.maybe(0.8) else self.one(KEYS)

    def metric_key(self) -> str:
        return self.one(["acc", "loss"]) if self.maybe(0.7) else self.key()

    def experiment(self) -> str:
        if self.experiments and self.maybe(0.95):
            return self.one(self.experiments)
        return self.one(["987654321", "abc", ""])

    def run(self) -> str:
        if self.runs and self.maybe(0.95):
            # Mostly the last few, so that runs get rich.
            return self.one(self.runs[-4:] if self.maybe(0.7) else self.runs)
        return self.one([NO_RUN, "no such run"])

    def logged_model(self) -> str:
        return self.one(self.logged) if self.logged and self.maybe(0.93) else NO_MODEL

    def model(self) -> str:
        if not self.models or self.maybe(0.05):
            return f"{self.stem} nobody"
        return self.one(self.models[-2:] if self.maybe(0.8) else self.models)

    def version(self, model: str) -> str:
        if made := self.versions.get(model):
            return str(self.random.randint(1, made)) if self.maybe(0.95) else self.one(["0", "99", "x"])
        return "1"

    def alias(self) -> str:
        return self.one(["champion", "b-2"]) if self.maybe(0.85) else self.one(["latest", "v3", "has space", "12"])

    def fresh(self, stem: str) -> str:
        self.names += 1
        return f"{self.stem} {stem} {self.names}"

    def pairs(self, most: int) -> list[dict]:
        keys = self.random.sample(KEYS[:8], self.random.randint(0, most))
        return [{"key": key, "value": self.text()} for key in keys]

    # Sending

    def send(self, method: str, route: str, body: dict, makes: tuple[str, ...] = ()):
        """Sends the call, now and then with something wrong in it."""
        if self.maybe(0.06):
            body = self.spoiled(method, route, body)
        return self.pair.send(method, route, body, makes)

    # What validators stand behind: a wrong type elsewhere makes stock drop the field and all that follow.
    CHECKED = {"name", "run_id", "key", "experiment_id", "new_name", "filter", "stage", "source", "description", "alias", "metric_key"}

    # What a call may not lose: without it the answer would tell of other sequences, or hang on made-up names.
    NEEDED = {("runs/create", "run_name"), *((f"{kind}/search", "filter") for kind in ("experiments", "registered-models", "model-versions"))}

    def spoiled(self, method: str, route: str, body: dict) -> dict:
        body = dict(body)
        names = sorted(name for name in body if (route, name) not in self.NEEDED)
        if not names:
            return body
        name = self.one(names)
        kind = self.random.randrange(4)
        if kind == 0:
            del body[name]
        elif kind == 1 and isinstance(body[name], str):
            body[name] = ""
        elif kind == 2 and method != "GET" and name in self.CHECKED:
            body[name] = self.one([5, ["x"], {"a": 1}])
        elif kind == 3:
            body["unknown_field"] = self.text()
        return body

    # Experiments

    def create_experiment(self):
        body = {"name": self.fresh("experiment")}
        if self.experiments and self.maybe(0.1):
            body["name"] = f"{self.stem} experiment 1"
        if self.maybe(0.3):
            body["tags"] = [{"key": key, "value": self.text()} for key in ("team", "k") if self.maybe(0.7)]
        if self.maybe(0.1):
            body["artifact_location"] = self.one(["s3://bucket/place", "file:///tmp/place", "s3://bucket/x#y", "gs://b/"])
        makes = (f"experiment {len(self.experiments) + 1}", "experiment_id")
        _, made = self.send("POST", "experiments/create", body, makes)
        if made:
            self.experiments.append(made)

    def change_experiment(self):
        experiment = self.experiment()
        kind = self.random.randrange(6)
        if kind == 0:
            self.send("POST", "experiments/update", {"experiment_id": experiment, "new_name": self.fresh("renamed")})
        elif kind == 1 and self.maybe(0.4):
            self.deleted.append(experiment)
            self.send("POST", "experiments/delete", {"experiment_id": experiment})
        elif kind == 2:
            experiment = self.deleted.pop() if self.deleted else experiment
            self.send("POST", "experiments/restore", {"experiment_id": experiment})
        elif kind == 3:
            self.send("POST", "experiments/delete-experiment-tag", {"experiment_id": experiment, "key": self.one(["team", "k"])})
        else:
            body = {"experiment_id": experiment, "key": self.key(), "value": self.text()}
            self.send("POST", "experiments/set-experiment-tag", body)
        self.pair.send("GET", "experiments/get", {"experiment_id": experiment})

    def search_experiments(self):
        body = {"max_results": self.one([1, 2, 5, 1000]), "view_type": self.one(VIEWS)}
        condition = self.one(["", "name LIKE '%1%'", "name ILIKE '%EXPERIMENT%'", "tags.team = 'red'", "tags.k != 'x'", "name != 'y'", "creation_time > 0", "name =", "colour = 'x'"])
        body["filter"] = f"name LIKE '{self.stem}%'" + (f" AND {condition}" if condition else "")
        if self.maybe(0.4):
            body["order_by"] = self.random.sample(["name", "name DESC", "experiment_id", "creation_time DESC", "last_update_time", "bogus"], 1)
        self.paged("POST", "experiments/search", body)

    # Runs

    def create_run(self):
        self.clock += self.random.randint(1, 5)
        # A made-up name would give searches that are ordered by names another order on each side.
        body = {"experiment_id": self.experiment(), "start_time": self.clock, "run_name": f"run {len(self.runs)}"}
        if self.maybe(0.3):
            body["user_id"] = self.one(["ada", "grace"])
        if self.maybe(0.5):
            body["tags"] = self.pairs(3)
            if self.maybe(0.2):
                body["tags"].append({"key": "mlflow.runName", "value": self.one(["by tag", body["run_name"]])})
        _, made = self.send("POST", "runs/create", body, (f"run {len(self.runs) + 1}", "run", "info", "run_id"))
        if made:
            self.runs.append(made)

    def change_run(self):
        run = self.run()
        kind = self.random.randrange(8)
        if kind < 3:
            body = {"run_id": run}
            if self.maybe(0.7):
                body["status"] = self.one(STATUSES)
            if self.maybe(0.6):
                body["end_time"] = self.clock + self.random.randint(0, 9)
            if self.maybe(0.3):
                body["run_name"] = self.one(["renamed", "run 1", ""])
            self.send("POST", "runs/update", body)
        elif kind == 3:
            self.send("POST", self.one(["runs/delete", "runs/restore", "runs/restore"]), {"run_id": run})
        elif kind == 4:
            self.send("POST", "runs/delete-tag", {"run_id": run, "key": self.key()})
        else:
            self.send("POST", "runs/set-tag", {"run_id": run, "key": self.one([self.key(), "mlflow.runName"]), "value": self.text() or "v"})
        self.pair.send("GET", "runs/get", {"run_id": run})

    def metric(self) -> dict:
        body = {"key": self.metric_key(), "value": self.one(VALUES), "timestamp": self.random.randint(0, 6)}
        if self.maybe(0.8):
            body["step"] = self.random.randint(-2, 4)
        return body

    def log(self):
        run = self.run()
        kind = self.random.randrange(4)
        if kind == 0:
            self.send("POST", "runs/log-metric", {"run_id": run, **self.metric()})
        elif kind == 1:
            self.send("POST", "runs/log-parameter", {"run_id": run, "key": self.key(), "value": self.text()})
        else:
            body = {"run_id": run}
            if self.maybe(0.8):
                body["metrics"] = [self.metric() for _ in range(self.random.randint(0, 8))]
            if self.maybe(0.4):
                body["params"] = self.pairs(3)
            if self.maybe(0.4):
                body["tags"] = self.pairs(3)
            self.send("POST", "runs/log-batch", body)
        if self.maybe(0.4):
            self.pair.send("GET", "runs/get", {"run_id": run})

    def read_history(self):
        body = {"run_id": self.run(), "metric_key": self.metric_key() or "none"}
        if self.maybe(0.4):
            body["max_results"] = self.one([1, 3, 100])
            self.paged("GET", "metrics/get-history", body)
        else:
            self.send("GET", "metrics/get-history", body)

    def read_interval(self):
        runs = self.runs[-3:]
        body = {"run_ids": runs or [NO_RUN], "metric_key": self.one(["acc", "loss"])}
        if self.maybe(0.5):
            body["max_results"] = self.one([1, 2, 3, 2500, 0, 2501])
        if self.maybe(0.4):
            body.update(start_step=self.one([-2, 0, 1]), end_step=self.one([0, 2, 4]))
        self.send("GET", "metrics/get-history-bulk-interval", body)

    def log_inputs(self):
        dataset = {"name": self.one(["d1", "d2", "other"]), "digest": self.one(["1", "2"]), "source_type": "local", "source": self.text()}
        if self.maybe(0.5):
            dataset.update(schema="{}", profile=self.text())
        tags = [{"key": "mlflow.data.context", "value": self.one(["train", "eval"])}] if self.maybe(0.7) else []
        run = self.run()
        self.send("POST", "runs/log-inputs", {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]})
        self.pair.send("GET", "runs/get", {"run_id": run})

    def search_runs(self):
        body = {"experiment_ids": [self.experiment() for _ in range(self.random.randint(1, 3))]}
        body["experiment_ids"] = [e for e in dict.fromkeys(body["experiment_ids"]) if e not in ("abc", "")] or self.experiments[:1]
        if self.maybe(0.7):
            body["filter"] = self.one(RUN_FILTERS)
        if self.maybe(0.5):
            body["order_by"] = self.random.sample(RUN_ORDERS, self.random.randint(1, 2))
        if self.maybe(0.3):
            body["run_view_type"] = self.one(VIEWS)
        if self.maybe(0.4):
            body["max_results"] = self.one([1, 2, 3, 100])
        self.paged("POST", "runs/search", body)

    # Logged models

    def create_logged_model(self):
        body = {"experiment_id": self.experiment(), "name": self.one(["net", "tree", "bad/name", "forest"])}
        if self.maybe(0.5):
            body["source_run_id"] = self.run()
        if self.maybe(0.5):
            body["model_type"] = self.one(["classifier", "regressor"])
        if self.maybe(0.5):
            body["params"] = self.pairs(2)
        if self.maybe(0.5):
            body["tags"] = self.pairs(2)
        _, made = self.send("POST", "logged-models", body, (f"logged {len(self.logged) + 1}", "model", "info", "model_id"))
        if made:
            self.logged.append(made)

    def change_logged_model(self):
        model = self.logged_model()
        kind = self.random.randrange(6)
        if kind == 0:
            status = self.one(["LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED", "LOGGED_MODEL_PENDING"])
            self.pair.send("PATCH", f"logged-models/{model}", {"model_id": model, "status": status})
        elif kind == 1:
            self.pair.send("PATCH", f"logged-models/{model}/tags", {"tags": [{"key": self.one(["k", "lr"]), "value": self.text()}]})
        elif kind == 2:
            self.pair.send("DELETE", f"logged-models/{model}/tags/{self.one(['k', 'lr'])}", {})
        elif kind == 3 and self.maybe(0.3):
            self.pair.send("DELETE", f"logged-models/{model}", {})
        elif kind == 4:
            run = self.run()
            self.pair.send("POST", "runs/outputs", {"run_id": run, "models": [{"model_id": model, "step": self.random.randint(0, 3)}]})
            self.pair.send("GET", "runs/get", {"run_id": run})
        elif model != NO_MODEL:
            body = {"run_id": self.run(), "model_id": model, **self.metric()}
            if self.maybe(0.4):
                body.update(dataset_name="d1", dataset_digest="1")
            self.pair.send("POST", "runs/log-metric", body)
        self.pair.send("GET", f"logged-models/{model}", {})

    def search_logged_models(self):
        body = {"experiment_ids": self.experiments[-3:]}
        if self.maybe(0.7):
            body["filter"] = self.one([
                "name = 'net'", "name != 'net'", "name LIKE '%r%'", "name IN ('net', 'tree')", "model_type = 'classifier'", "params.lr = 'x'",
                "tags.k = '5'", "tags.k != '5'", "metrics.acc > 0", "metrics.acc >= 0.5 AND name = 'net'", "nonsense", "name >", "creation_timestamp > 0",
            ])  # fmt: skip
        if self.maybe(0.4):
            body["order_by"] = [{"field_name": self.one(["name", "metrics.acc", "creation_timestamp", "model_id", "bogus"]), "ascending": self.maybe(0.5)}]
            body["order_by"].append({"field_name": "creation_timestamp", "ascending": False})
            if body["order_by"][0]["field_name"] == "creation_timestamp":
                body["order_by"].pop()
            elif body["order_by"][0]["field_name"] == "model_id":
                body.pop("order_by")  # ids are random
        if self.maybe(0.4):
            body["max_results"] = self.one([1, 2, 50])
        self.paged("POST", "logged-models/search", body)

    # Registry

    def create_model(self):
        body = {"name": self.fresh("model")}
        if self.models and self.maybe(0.15):
            body["name"] = self.one([self.models[0], "a/b", "c:d"])
        if self.maybe(0.4):
            body["tags"] = self.pairs(2)
        if self.maybe(0.4):
            body["description"] = self.text()
        answers, _ = self.send("POST", "registered-models/create", body)
        if made := self.pair.made(answers, "registered_model", "name"):
            self.models.append(made[0])

    def change_model(self):
        model = self.model()
        kind = self.random.randrange(10)
        if kind == 0 and self.maybe(0.4):
            new = self.fresh("renamed")
            answers, _ = self.send("POST", "registered-models/rename", {"name": model, "new_name": new})
            if self.pair.made(answers, "registered_model", "name"):
                self.models = [new if name == model else name for name in self.models]
                self.versions[new] = self.versions.pop(model, 0)
                model = new
        elif kind == 1 and self.maybe(0.25):
            self.send("DELETE", "registered-models/delete", {"name": model})
        elif kind == 2:
            self.send("PATCH", "registered-models/update", {"name": model, "description": self.text()})
        elif kind in (3, 4):
            self.send("POST", "registered-models/set-tag", {"name": model, "key": self.key(), "value": self.text()})
        elif kind == 5:
            self.send("DELETE", "registered-models/delete-tag", {"name": model, "key": self.key()})
        elif kind in (6, 7):
            body = {"name": model, "alias": self.alias(), "version": self.version(model)}
            self.send("POST", "registered-models/alias", body)
        elif kind == 8:
            self.send("DELETE", "registered-models/alias", {"name": model, "alias": self.alias()})
        else:
            self.send("GET", "registered-models/alias", {"name": model, "alias": self.alias()})
        self.pair.send("GET", "registered-models/get", {"name": model})

    def create_version(self):
        run = self.run()
        logged = self.logged_model()
        body = {"name": self.model(), "source": self.one(["s3://bucket/a", "s3://bucket/b?x=1", f"runs:/{run}/m"])}
        if self.maybe(0.1):
            body["source"] = self.one(["/etc/passwd", "s3://b/../c", "runs:/x", "models:/x/1", f"models:/{self.model()}/1", "hdfs://h/x"])
        if body["source"].startswith("runs:") or self.maybe(0.4):
            body["run_id"] = run
        if self.maybe(0.15):
            body.update(source=f"models:/{logged}", model_id=logged)
            body.pop("run_id", None)
        if self.maybe(0.4):
            body["tags"] = self.pairs(2)
        if self.maybe(0.3):
            body["description"] = self.text()
        if self.maybe(0.2):
            body["run_link"] = "http://link"
        answers, _ = self.send("POST", "model-versions/create", body)
        if made := self.pair.made(answers, "model_version", "version"):
            self.versions[body["name"]] = int(made[0])

    def change_version(self):
        model = self.model()
        body = {"name": model, "version": self.version(model)}
        kind = self.random.randrange(8)
        if kind < 3:
            sent = {**body, "stage": self.one(STAGES[:6] if self.maybe(0.9) else STAGES), "archive_existing_versions": self.maybe(0.4)}
            self.send("POST", "model-versions/transition-stage", sent)
        elif kind == 3 and self.maybe(0.4):
            self.send("DELETE", "model-versions/delete", body)
        elif kind == 4:
            self.send("PATCH", "model-versions/update", {**body, "description": self.text()})
        elif kind == 5:
            self.send("POST", "model-versions/set-tag", {**body, "key": self.key(), "value": self.text()})
        elif kind == 6:
            self.send("DELETE", "model-versions/delete-tag", {**body, "key": self.key()})
        else:
            self.send("GET", "model-versions/get-download-uri", body)
        self.pair.send("GET", "model-versions/get", body)
        if self.maybe(0.3):
            self.pair.send("GET", "registered-models/get", {"name": body["name"]})

    def latest_versions(self):
        body = {"name": self.model()}
        if self.maybe(0.5):
            body["stages"] = self.random.sample(["None", "Staging", "Production", "archived", "Attic"], self.random.randint(0, 2))
        self.send("POST", "registered-models/get-latest-versions", body)

    def search_registry(self):
        body = {}
        if self.maybe(0.5):
            route = "registered-models/search"
            conditions = ["", "name LIKE '%1%'", "name ILIKE '%MODEL%'", "tags.k = '5'", "tags.k != '5'", "tags.lr LIKE '%x%'", "name != 'x'", "name >", "colour = 'x'"]
            orders = ["name", "name DESC", "last_updated_timestamp DESC", "timestamp", "bogus"]
            room = [1, 2, 100]
        else:
            route = "model-versions/search"
            conditions = ["", "version_number > 1", "version_number = 2", "run_id = '«run 1»'", "run_id IN ('«run 1»', '«run 2»')", "source_path LIKE 's3%'", "tags.k = '5'", "name IN ('x')", "bogus = 1"]
            orders = ["name", "version_number DESC", "creation_timestamp", "last_updated_timestamp DESC", "bogus"]
            room = [1, 3, 100]
        condition = self.one(conditions)
        body["filter"] = f"name LIKE '{self.stem}%'" + (f" AND {condition}" if condition else "")
        if self.maybe(0.4):
            # Versions may share all but name and number.
            body["order_by"] = [self.one(orders), *(["name ASC", "version_number ASC"] if "versions" in route else [])][:3]
            if "versions" in route and body["order_by"][0].split()[0] in ("name", "version_number"):
                body["order_by"] = ["name", "version_number DESC"]
        if self.maybe(0.5):
            body["max_results"] = self.one(room)
        self.paged("GET", route, body)

    def paged(self, method: str, route: str, body: dict):
        """Reads some pages, each side with its own tokens."""
        for _ in range(4):
            answers, _ = self.send(method, route, body)
            tokens = self.pair.made(answers, "next_page_token")
            if not tokens:
                return
            self.tokens += 1
            self.pair.ids[f"«token {self.tokens}»"] = tuple(tokens)
            body = {**body, "page_token": f"«token {self.tokens}»"}

    # The play

    def play(self, calls: int):
        steps = {
            self.create_experiment: 2, self.change_experiment: 4, self.search_experiments: 3,
            self.create_run: 7, self.change_run: 8, self.log: 16, self.read_history: 5, self.read_interval: 3,
            self.log_inputs: 3, self.search_runs: 10,
            self.create_logged_model: 3, self.change_logged_model: 6, self.search_logged_models: 4,
            self.create_model: 2, self.change_model: 9, self.create_version: 7, self.change_version: 12,
            self.latest_versions: 2, self.search_registry: 5,
        }  # fmt: skip
        for start in (self.create_experiment, self.create_experiment, self.create_run, self.create_run, self.create_model, self.create_version):
            start()
        first = self.pair.calls
        while self.pair.calls - first < calls:
            self.random.choices(list(steps), list(steps.values()))[0]()
        self.look_at_everything()

    def look_at_everything(self):
        for experiment in self.experiments:
            self.pair.send("GET", "experiments/get", {"experiment_id": experiment})
        self.pair.send("POST", "runs/search", {"experiment_ids": self.experiments, "run_view_type": "ALL"})
        for run in self.runs[-6:]:
            self.pair.send("GET", "runs/get", {"run_id": run})
            for key in ("acc", "loss"):
                self.pair.send("GET", "metrics/get-history", {"run_id": run, "metric_key": key})
        for model in self.models:
            self.pair.send("GET", "registered-models/get", {"name": model})
        named = {"filter": f"name LIKE '{self.stem}%'", "order_by": ["name", "version_number DESC"]}
        self.pair.send("GET", "model-versions/search", named)
        for model in self.logged:
            self.pair.send("GET", f"logged-models/{model}", {})
