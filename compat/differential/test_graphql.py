"""GraphQL as MLflow's pages send it: the same questions to stock and to ours, whose answers must be the same."""

import json

import pytest

from rest_api import Api

EXPERIMENT = """
query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetExperiment(input: $input) {
    apiError { code message }
    experiment {
      artifactLocation creationTime effectiveTraceArchivalRetention experimentId lastUpdateTime lifecycleStage name
      tags { key value }
    }
  }
}
"""

RUN_FIELDS = """
  info { runName status runUuid experimentId artifactUri endTime lifecycleStage startTime userId }
  experiment { experimentId name tags { key value } artifactLocation lifecycleStage lastUpdateTime }
  modelVersions { status version name source }
  data { metrics { key value step timestamp } params { key value } tags { key value } }
  inputs {
    datasetInputs { dataset { digest name profile schema source sourceType } tags { key value } }
    modelInputs { modelId }
  }
  outputs { modelOutputs { modelId step } }
"""

RUN = """
query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) { apiError { helpUrl code message } run { %s } }
}
""" % RUN_FIELDS

RUNS = """
query SearchRuns($data: MlflowSearchRunsInput!) {
  mlflowSearchRuns(input: $data) { apiError { helpUrl code message } runs { %s } nextPageToken }
}
""" % RUN_FIELDS

HISTORY = """
query GetMetricHistoryBulkInterval($data: MlflowGetMetricHistoryBulkIntervalInput!)
    @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetMetricHistoryBulkInterval(input: $data) {
    __typename metrics { timestamp step runId key value } apiError { code message }
  }
}
"""

ARTIFACTS = """
query L($data: MlflowListArtifactsInput!) {
  mlflowListArtifacts(input: $data) { files { path isDir fileSize } nextPageToken rootUri apiError { code message } }
}
"""

VERSIONS = """
query S($data: MlflowSearchModelVersionsInput!) {
  mlflowSearchModelVersions(input: $data) {
    modelVersions {
      name version userId currentStage description source runId status statusMessage tags { key value } runLink aliases
      modelId modelParams { name } modelMetrics { key } deploymentJobState { jobId currentTaskName }
    }
    nextPageToken apiError { code }
  }
}
"""

DATASETS = """
mutation D($data: MlflowSearchDatasetsInput!) {
  mlflowSearchDatasets(input: $data) { datasetSummaries { experimentId name digest context } apiError { code message } }
}
"""


class Asked:
    """One server with the content, whose answers are told with the server's own ids and times taken out."""

    def __init__(self, url: str, name: str):
        self.api = api = Api(url)
        made = api.post("experiments/create", {"name": name, "tags": [{"key": "a", "value": "1"}]}).ok()
        self.experiment = made["experiment_id"]
        self.run = api.run(self.experiment, run_name="one", user_id="u")
        self.bare = api.run(self.experiment, run_name="two")
        self.model = api.registered_model(f"model of {name}")
        self._log()
        seen = api.get("experiments/get", {"experiment_id": self.experiment}).ok()["experiment"]
        self.own = {
            self.run: "RUN", self.bare: "BARE", f"/{self.experiment}/": "/EXPERIMENT/",
            f'mlflow-artifacts:/{self.experiment}"': 'mlflow-artifacts:/EXPERIMENT"',
            f'"experimentId": "{self.experiment}"': '"experimentId": "EXPERIMENT"',
            str(seen["creation_time"]): "CREATED", str(seen["last_update_time"]): "UPDATED",
        }  # fmt: skip

    def _log(self) -> None:
        metrics = [{"key": "z", "value": step * 1.5, "timestamp": step, "step": step} for step in range(400)]
        metrics += [
            {"key": "nan", "value": "NaN", "timestamp": 1, "step": 0},
            {"key": "inf", "value": "Infinity", "timestamp": 1, "step": 0},
            {"key": "big step", "value": 1, "timestamp": 2**53 + 1, "step": 2**63 - 1},
        ]
        params = [{"key": "p", "value": "1"}, {"key": "empty", "value": ""}]
        self.api.post("runs/log-batch", {"run_id": self.run, "metrics": metrics, "params": params}).ok()
        datasets = [
            {
                "dataset": {"name": "d", "digest": "1", "source_type": "local", "source": "s", "schema": "{}"},
                "tags": [{"key": "mlflow.data.context", "value": "train"}],
            },
            {"dataset": {"name": "e", "digest": "2", "source_type": "t", "source": "s"}},
        ]
        self.api.post("runs/log-inputs", {"run_id": self.run, "datasets": datasets}).ok()
        self.api.post("runs/outputs", {"run_id": self.run, "models": [{"model_id": "m-1", "step": 7}]}).ok()
        self.api.version(self.model, run_id=self.run, description="x", tags=[{"key": "t", "value": "v"}])
        self.api.post("runs/update", {"run_id": self.run, "status": "FINISHED", "end_time": 5}).ok()
        root = f"/api/2.0/mlflow-artifacts/artifacts/{self.experiment}/{self.run}/artifacts"
        for path, content in {"a.txt": "hello", "d/b.json": "{}"}.items():
            assert self.api.call("PUT", f"{root}/{path}", data=content).status == 200

    def ask(self, query: str, data: dict | None = None, **more):
        variables = {"data": data} if "$data" in query else {"input": data}
        answer = self.api.post("/graphql", {"query": query, "variables": variables, **more})
        assert answer.status == 200, answer
        # One spelling, whatever the spaces and the order of keys were.
        text = json.dumps(answer.json, sort_keys=True)
        for own, word in self.own.items():
            text = text.replace(own, word)
        return in_order(json.loads(text))


# The fields of a run's latest metric. A point of a history has its run's id too.
LATEST = {"key", "value", "timestamp", "step"}


def in_order(value):
    """Lists of keys and values are dictionaries to clients: ours come in an order of ours, stock's by first writing."""
    if isinstance(value, dict):
        return {key: in_order(inner) for key, inner in value.items()}
    if isinstance(value, list):
        inner = [in_order(item) for item in value]
        pairs = all(isinstance(item, dict) and {"key", "value"} <= set(item) <= LATEST for item in inner)
        return sorted(inner, key=lambda item: item["key"]) if pairs else inner
    return value


@pytest.fixture(scope="module")
def both(stock, trackway, place):
    # Stock is one server for all places.
    name = f"asked by GraphQL, {place.name}"
    return Asked(trackway.url, name), Asked(stock.url, name)


def same(both, query, data, **more):
    """Asks both the same; `data` makes the input from the server's own ids."""
    ours, stocks = (side.ask(query, data(side), **more) for side in both)
    assert ours == stocks
    return ours


def test_an_experiment(both):
    answer = same(both, EXPERIMENT, lambda side: {"experimentId": side.experiment})
    assert answer["errors"] is None
    assert answer["data"]["mlflowGetExperiment"]["experiment"]["tags"] == [{"key": "a", "value": "1"}]


def test_no_experiment(both):
    answer = same(both, EXPERIMENT, lambda side: {"experimentId": "99999"})
    assert answer == {"data": {"mlflowGetExperiment": None}, "errors": ["No Experiment with id=99999 exists"]}


@pytest.mark.parametrize("which", ["run", "bare"])
def test_a_run(both, which):
    answer = same(both, RUN, lambda side: {"runId": getattr(side, which)})
    run = answer["data"]["mlflowGetRun"]["run"]
    assert run["info"]["endTime"] == ("5" if which == "run" else "0")
    values = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    if which == "run":
        assert values == {"z": 598.5, "nan": None, "inf": 1.7976931348623157e308, "big step": 1.0}
        assert run["modelVersions"][0]["version"] == "1"


def test_a_run_by_its_old_name(both):
    same(both, RUN, lambda side: {"runUuid": side.run})


def test_no_run(both):
    answer = same(both, RUN, lambda side: {"runId": "nope"})
    assert answer == {"data": {"mlflowGetRun": None}, "errors": ["Run with id=nope not found"]}


def test_runs(both):
    def ask(side):
        return {"experimentIds": [side.experiment], "orderBy": ["attributes.run_name"], "maxResults": 10}

    answer = same(both, RUNS, ask)
    assert [run["info"]["runName"] for run in answer["data"]["mlflowSearchRuns"]["runs"]] == ["one", "two"]
    same(both, RUNS.replace("query", "mutation"), ask)


def test_points(both):
    answer = same(both, HISTORY, lambda side: {"runIds": [side.run, side.bare], "metricKey": "z", "maxResults": 2500})
    points = answer["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert [point["step"] for point in points] == [str(step) for step in range(400)]


@pytest.mark.differs_from_stock("stock ignores maxResults, startStep and endStep in GraphQL, though not in REST")
def test_fewer_points(both):
    def steps(**data):
        side = both[0]
        answer = side.ask(HISTORY, {"runIds": [side.run], "metricKey": "z", **data})
        return [int(point["step"]) for point in answer["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"]]

    few = steps(maxResults=10)
    assert (few[0], few[-1]) == (0, 399) and 10 <= len(few) <= 12
    assert steps(startStep=10, endStep=14) == [10, 11, 12, 13, 14]


def test_no_points(both):
    same(both, HISTORY, lambda side: {"runIds": [side.run], "metricKey": "none"})


@pytest.mark.parametrize("path", [None, "d", "a.txt", "none"])
def test_artifacts(both, path):
    same(both, ARTIFACTS, lambda side: {"runId": side.run} | ({"path": path} if path else {}))


def test_artifacts_outside(both):
    answer = same(both, ARTIFACTS, lambda side: {"runId": side.run, "path": "../x"})
    assert answer == {"data": {"mlflowListArtifacts": None}, "errors": ["Invalid path"]}


def test_model_versions(both):
    answer = same(both, VERSIONS, lambda side: {"filter": f"name='{side.model}'", "maxResults": "5"})
    assert answer["data"]["mlflowSearchModelVersions"]["modelVersions"][0]["runId"] == "RUN"


def test_datasets(both):
    answer = same(both, DATASETS, lambda side: {"experimentIds": [side.experiment]})
    assert answer["data"]["mlflowSearchDatasets"]["datasetSummaries"][0]["context"] == "train"


@pytest.mark.parametrize(
    "query",
    [
        "{ __typename }",
        "{ bogus }",
        "{ ...X }",
        "{ mlflowGetRun(input: {runId: $x}) { run { info { runId } } } }",
        "{ mlflowGetExperiment(input: {experimentId: \"0\"}) { e: experiment { n: name __typename } } __typename }",
        "fragment F on MlflowExperiment { name } "
        "{ mlflowGetExperiment(input: {experimentId: \"0\"}) { experiment { ...F ... on MlflowExperiment { name } } } }",
        "fragment F on MlflowExperiment { name } { mlflowGetExperiment(input: {experimentId: \"0\"}) { ...F } }",
        "fragment F on Query { __typename } { __typename }",
        "query A { __typename } query B { __typename }",
        "{ __schema { queryType { name } } }",
        "mutation { mlflowGetRun { run { info { runId } } } }",
        "{ a { b { c { d { e { f { g { h { i { j { k } } } } } } } } } } }",
    ],
)
def test_the_language(both, query):
    same(both, query, lambda side: None)


def test_operation_names(both):
    same(both, "query A { __typename } query B { b: __typename }", lambda side: None, operationName="B")
    same(both, "query A { __typename }", lambda side: None, operationName="Wrong")


@pytest.mark.parametrize("data", [None, {"experimentId": 2}, {"experimentId": "2", "bogus": 1}, "2", []])
def test_wrong_input(both, data):
    """The sentence is the library's own."""
    for side in both:
        answer = side.ask(EXPERIMENT, data)
        assert answer["data"] is None and len(answer["errors"]) >= 1, answer
