"""The GraphQL queries that MLflow's own web page sends."""

import pytest

PAGE = """
query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) @component(name: "ExperimentSharedQuery") {
  mlflowGetExperiment(input: $input) {
    apiError { code message }
    experiment { artifactLocation creationTime experimentId lastUpdateTime lifecycleStage name tags { key value __typename } __typename }
    __typename
  }
}
"""

RUN = """
query GetRun($data: MlflowGetRunInput!) {
  mlflowGetRun(input: $data) {
    apiError { code message }
    run {
      info { runName status runUuid experimentId artifactUri endTime lifecycleStage startTime userId }
      data { metrics { key value step timestamp } params { key value } tags { key value } }
      inputs { datasetInputs { dataset { digest name profile schema source sourceType } tags { key value } } modelInputs { modelId } }
      outputs { modelOutputs { modelId step } }
      experiment { experimentId name tags { key value } }
      modelVersions { status version name source }
    }
  }
}
"""


def ask(api, query, variables, operation=None):
    body = {"query": query, "variables": variables}
    if operation:
        body["operationName"] = operation
    return api.post("/graphql", body)


def test_experiment(api, unique):
    name = unique("graph")
    experiment_id = api.experiment(name, tags=[{"key": "k", "value": "v"}])
    answer = ask(api, PAGE.replace('@component(name: "ExperimentSharedQuery") ', ""), {"input": {"experimentId": experiment_id}}, "MlflowGetExperimentQuery").ok()
    found = answer["data"]["mlflowGetExperiment"]
    assert answer.get("errors") is None
    assert found["apiError"] is None
    experiment = found["experiment"]
    assert (experiment["name"], experiment["experimentId"], experiment["lifecycleStage"]) == (name, experiment_id, "active")
    assert isinstance(experiment["creationTime"], str)
    assert [(t["key"], t["value"]) for t in experiment["tags"]] == [("k", "v")]


def test_absent_experiment(api):
    answer = ask(api, "query Q($input: MlflowGetExperimentInput!) { mlflowGetExperiment(input: $input) { experiment { name } } }", {"input": {"experimentId": "987654321"}}).ok()
    assert answer["data"] == {"mlflowGetExperiment": None}
    assert "987654321" in str(answer["errors"])


def test_run(api, unique):
    experiment_id = api.experiment(unique("graph"))
    run_id = api.run(experiment_id, run_name="r", start_time=77)
    api.post("runs/log-batch", {"run_id": run_id, "metrics": [{"key": "m", "value": 1.5, "timestamp": 2**40, "step": 3}], "params": [{"key": "p", "value": "v"}]}).ok()
    name = api.registered_model()
    api.version(name, source=f"runs:/{run_id}/m", run_id=run_id)
    answer = ask(api, RUN, {"data": {"runId": run_id}}, "GetRun").ok()
    assert answer.get("errors") is None
    run = answer["data"]["mlflowGetRun"]["run"]
    assert (run["info"]["runName"], run["info"]["startTime"], run["info"]["runUuid"]) == ("r", "77", run_id)
    assert run["data"]["metrics"] == [{"key": "m", "value": 1.5, "step": "3", "timestamp": str(2**40)}]
    assert run["data"]["params"] == [{"key": "p", "value": "v"}]
    assert run["experiment"]["experimentId"] == experiment_id
    assert [(v["name"], v["version"]) for v in run["modelVersions"]] == [(name, "1")]


def test_histories(api):
    run_id = api.run()
    metrics = [{"key": "m", "value": i, "timestamp": i, "step": i} for i in range(5)]
    api.post("runs/log-batch", {"run_id": run_id, "metrics": metrics}).ok()
    query = """query H($data: MlflowGetMetricHistoryBulkIntervalInput!) {
      mlflowGetMetricHistoryBulkInterval(input: $data) { __typename metrics { timestamp step runId key value } apiError { code message } } }"""
    answer = ask(api, query, {"data": {"runIds": [run_id], "metricKey": "m", "startStep": None, "endStep": None, "maxResults": 320}}).ok()
    rows = answer["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert [(r["step"], r["value"], r["runId"]) for r in rows] == [(str(i), float(i), run_id) for i in range(5)]


def test_runs(api):
    experiment_id = api.experiment()
    run_id = api.run(experiment_id)
    query = """mutation S($data: MlflowSearchRunsInput!) { mlflowSearchRuns(input: $data) { runs { info { runId } } apiError { code message } } }"""
    answer = ask(api, query, {"data": {"experimentIds": [experiment_id]}}).ok()
    assert [r["info"]["runId"] for r in answer["data"]["mlflowSearchRuns"]["runs"]] == [run_id]


def test_artifacts(api):
    run_id = api.run()
    query = """query L($data: MlflowListArtifactsInput!) { mlflowListArtifacts(input: $data) { rootUri files { path isDir fileSize } apiError { code message } } }"""
    answer = ask(api, query, {"data": {"runId": run_id}}).ok()
    assert answer["data"]["mlflowListArtifacts"]["rootUri"] == api.get_run(run_id)["info"]["artifact_uri"]


def test_versions(api):
    name = api.registered_model()
    api.version(name)
    query = """query V($data: MlflowSearchModelVersionsInput!) { mlflowSearchModelVersions(input: $data) { modelVersions { name version status currentStage } apiError { code message } } }"""
    answer = ask(api, query, {"data": {"filter": f"name = '{name}'"}}).ok()
    found = answer["data"]["mlflowSearchModelVersions"]["modelVersions"]
    assert [(v["name"], v["version"], v["status"]) for v in found] == [(name, "1", "READY")]


def test_fragments_aliases_and_inline_arguments(api, unique):
    name = unique("frag")
    experiment_id = api.experiment(name)
    query = f"""
      query {{ first: mlflowGetExperiment(input: {{experimentId: "{experiment_id}"}}) {{ experiment {{ ...names }} }} }}
      fragment names on MlflowExperiment {{ title: name }}"""
    assert ask(api, query, {}).ok()["data"] == {"first": {"experiment": {"title": name}}}


@pytest.mark.differs_from_stock("stock answers 500 to a query that it cannot parse")
@pytest.mark.parametrize("query", ["", "{", "nonsense", "query { nothing }", "query Q($x: Int!) { __typename", "{ mlflowGetExperiment }", "{" * 3000])
def test_bad_queries(api, query):
    answer = ask(api, query, {})
    assert answer.status < 500, answer
    if answer.status == 200:
        assert answer.json["errors"], answer


@pytest.mark.differs_from_stock("stock answers 500 to a body that is no object")
@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"query": 5}', "null"])
def test_bad_bodies(api, text):
    answer = api.post_text("/graphql", text)
    assert 400 <= answer.status < 500 or answer.json.get("errors"), answer


def test_a_query_that_would_cost_too_much(api):
    """CVE-2025-0453: many copies of one costly field in one request."""
    many = "\n".join(f'a{i}: mlflowGetExperiment(input: {{experimentId: "0"}}) {{ experiment {{ name }} }}' for i in range(3000))
    answer = ask(api, "query {" + many + "}", {})
    assert answer.status < 500, answer
    if answer.status == 200:
        assert answer.json.get("errors"), "3000 copies were served"
