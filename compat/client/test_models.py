"""log_model and load_model of three flavours, logged models, autologging."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from places import EVERYWHERE

pytestmark = pytest.mark.places(*EVERYWHERE)

# Given, the client need not find out the requirements, which it does in a new Python for seconds.
QUICK = {"pip_requirements": ["mlflow"]}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(7)
    x = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
    return x, (x["a"] + x["b"] > 0).astype(int)


@pytest.fixture(scope="module")
def fitted(data):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(*data)


class Adder(mlflow.pyfunc.PythonModel):
    def __init__(self, amount):
        self.amount = amount

    def predict(self, context, model_input, params=None):
        return model_input + self.amount


def test_sklearn(experiment, client, data, fitted):
    with mlflow.start_run() as active:
        mlflow.log_metric("before", 0.5)
        info = mlflow.sklearn.log_model(fitted, name="line", input_example=data[0].head(2))
        mlflow.log_metric("after", 0.75, model_id=info.model_id)
    assert info.model_uri == f"models:/{info.model_id}"
    for uri in (info.model_uri, f"runs:/{active.info.run_id}/line"):
        loaded = mlflow.sklearn.load_model(uri)
        assert (loaded.predict(data[0]) == fitted.predict(data[0])).all()
    assert (mlflow.pyfunc.load_model(info.model_uri).predict(data[0]) == fitted.predict(data[0])).all()

    model = mlflow.get_logged_model(info.model_id)
    assert (model.name, model.status, model.source_run_id) == ("line", "READY", active.info.run_id)
    assert model.experiment_id == experiment
    assert model.artifact_location == f"mlflow-artifacts:/{experiment}/models/{info.model_id}/artifacts"
    assert {m.key: m.value for m in model.metrics} == {"before": 0.5, "after": 0.75}
    outputs = client.get_run(active.info.run_id).outputs.model_outputs
    assert [(o.model_id, o.step) for o in outputs] == [(info.model_id, 0)]
    names = {f.path.rsplit("/")[-1] for f in client.list_logged_model_artifacts(info.model_id)}
    assert {"MLmodel", "conda.yaml", "requirements.txt"} <= names


def test_xgboost(experiment, data):
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(*data)
    with mlflow.start_run():
        info = mlflow.xgboost.log_model(model, name="boosted", **QUICK)
    loaded = mlflow.xgboost.load_model(info.model_uri)
    assert (loaded.predict(data[0]) == model.predict(data[0])).all()


def test_pyfunc(experiment):
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="adder", python_model=Adder(5), **QUICK)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert list(loaded.predict(pd.DataFrame({"x": [1, 2]}))["x"]) == [6, 7]


def test_log_model_registers(experiment, client, data, fitted, unique):
    name = unique("registered")
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(fitted, name="line", registered_model_name=name, **QUICK)
        mlflow.sklearn.log_model(fitted, name="line", registered_model_name=name, **QUICK)
    assert int(info.registered_model_version) == 1
    version = client.get_model_version(name, 1)
    assert (version.run_id, version.status) == (active.info.run_id, "READY")
    assert version.source == info.model_uri
    versions = client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"])
    assert [int(v.version) for v in versions] == [1, 2]
    loaded = mlflow.sklearn.load_model(f"models:/{name}/1")
    assert (loaded.predict(data[0]) == fitted.predict(data[0])).all()
    tag = mlflow.get_logged_model(info.model_id).tags["mlflow.modelVersions"]
    assert name in tag


def test_model_without_a_run(experiment, fitted):
    info = mlflow.sklearn.log_model(fitted, name="free", model_type="agent", params={"k": "v"}, **QUICK)
    model = mlflow.get_logged_model(info.model_id)
    assert (model.model_type, model.params, model.source_run_id or None) == ("agent", {"k": "v"}, None)


def test_life_of_a_logged_model(experiment, client):
    model = mlflow.initialize_logged_model(name="net", params={"p": "1"}, tags={"a": "1"}, model_type="deep")
    assert model.status == "PENDING"
    assert model.model_id.startswith("m-") and len(model.model_id) == 34
    ready = mlflow.finalize_logged_model(model.model_id, "READY")
    assert ready.status == "READY"
    assert ready.last_updated_timestamp >= model.creation_timestamp
    mlflow.set_logged_model_tags(model.model_id, {"a": "2", "b": "3"})
    mlflow.delete_logged_model_tag(model.model_id, "b")
    with pytest.raises(MlflowException):
        mlflow.delete_logged_model_tag(model.model_id, "b")
    mlflow.log_model_params({"q": "2"}, model.model_id)
    seen = mlflow.get_logged_model(model.model_id)
    assert {k: v for k, v in seen.tags.items() if not k.startswith("mlflow.")} == {"a": "2"}
    assert seen.params == {"p": "1", "q": "2"}
    client.delete_logged_model(model.model_id)
    with pytest.raises(MlflowException) as error:
        mlflow.get_logged_model(model.model_id)
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert client.search_logged_models([experiment]) == []


def test_failed_model(experiment):
    model = mlflow.create_external_model(name="elsewhere")
    assert model.status == "READY"
    failed = mlflow.finalize_logged_model(model.model_id, "FAILED")
    assert failed.status == "FAILED"


def test_many_params(experiment):
    """The client sends the first hundred with the model and the rest afterwards."""
    params = {f"p{i}": str(i) for i in range(250)}
    model = mlflow.initialize_logged_model(name="wide", params=params)
    assert mlflow.get_logged_model(model.model_id).params == params


@pytest.fixture
def fleet(experiment, client):
    made = {}
    with mlflow.start_run() as active:
        for index, name in enumerate(("ant", "bee", "cat")):
            model = mlflow.initialize_logged_model(
                name=name, params={"size": str(index)}, tags={"legs": str(6 - 2 * (index // 2))}, model_type="animal"
            )
            mlflow.log_metric("score", index / 2, model_id=model.model_id)
            made[name] = model.model_id
        mlflow.finalize_logged_model(made["bee"], "READY")
    return experiment, active.info.run_id, made


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, "ant bee cat"),
        ("name = 'bee'", "bee"),
        ("name != 'bee'", "ant cat"),
        ("name LIKE '%a%'", "ant cat"),
        ("name ILIKE 'B%'", "bee"),
        ("params.size = '2'", "cat"),
        ("tags.legs = '6'", "ant bee"),
        ("metrics.score > 0.25", "bee cat"),
        ("metrics.score >= 0 AND tags.legs = '4'", "cat"),
        ("model_type = 'animal'", "ant bee cat"),
        ("model_id = '{ant}'", "ant"),
        ("source_run_id = '{run}'", "ant bee cat"),
        ("creation_timestamp > 0", "ant bee cat"),
        ("name IN ('ant', 'cat')", "ant cat"),
    ],
)
def test_search_logged_models(client, fleet, condition, expected):
    experiment_id, run_id, made = fleet
    condition = condition and condition.format(run=run_id, **made)
    found = client.search_logged_models([experiment_id], filter_string=condition)
    assert sorted(m.name for m in found) == expected.split()


def test_order_and_pages_of_logged_models(client, fleet):
    experiment_id, _, _ = fleet
    order = [{"field_name": "metrics.score", "ascending": False}]
    found = client.search_logged_models([experiment_id], order_by=order)
    assert [m.name for m in found] == ["cat", "bee", "ant"]
    order = [{"field_name": "name", "ascending": True}]
    first = client.search_logged_models([experiment_id], order_by=order, max_results=2)
    rest = client.search_logged_models([experiment_id], order_by=order, max_results=2, page_token=first.token)
    assert [m.name for m in [*first, *rest]] == ["ant", "bee", "cat"]
    assert not rest.token
    assert len(client.search_logged_models([experiment_id])) == 3
    assert set(mlflow.search_logged_models([experiment_id])["name"]) == {"ant", "bee", "cat"}


def test_models_as_input_and_output(experiment, client):
    from mlflow.entities import LoggedModelInput, LoggedModelOutput

    first, second = (mlflow.initialize_logged_model(name=n).model_id for n in ("base", "tuned"))
    with mlflow.start_run() as active:
        pass
    client.log_inputs(active.info.run_id, models=[LoggedModelInput(first)])
    client.log_outputs(active.info.run_id, models=[LoggedModelOutput(second, step=7)])
    run = client.get_run(active.info.run_id)
    assert [m.model_id for m in run.inputs.model_inputs] == [first]
    assert [(m.model_id, m.step) for m in run.outputs.model_outputs] == [(second, 7)]


def test_autolog_sklearn(experiment, client, data):
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog(log_datasets=True)
    try:
        with mlflow.start_run() as active:
            model = LogisticRegression(C=0.5).fit(*data)
            model.score(*data)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = client.get_run(active.info.run_id)
    assert run.data.params["C"] == "0.5"
    assert run.data.metrics["training_accuracy_score"] > 0.8
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    assert run.inputs.dataset_inputs
    files = {f.path for f in client.list_artifacts(active.info.run_id)}
    assert "training_confusion_matrix.png" in files
    (output,) = run.outputs.model_outputs
    loaded = mlflow.sklearn.load_model(f"models:/{output.model_id}")
    assert (loaded.predict(data[0]) == model.predict(data[0])).all()
    assert {m.key for m in mlflow.get_logged_model(output.model_id).metrics} >= {"training_accuracy_score"}


def test_autolog_xgboost(experiment, client, data):
    import xgboost

    mlflow.xgboost.autolog()
    try:
        with mlflow.start_run() as active:
            matrix = xgboost.DMatrix(data[0], label=data[1])
            xgboost.train(
                {"max_depth": 2, "objective": "binary:logistic"}, matrix, num_boost_round=4, evals=[(matrix, "train")]
            )
    finally:
        mlflow.xgboost.autolog(disable=True)
    run = client.get_run(active.info.run_id)
    assert run.data.params["max_depth"] == "2"
    assert len(client.get_metric_history(active.info.run_id, "train-logloss")) == 4
    assert "feature_importance_weight.json" in {f.path for f in client.list_artifacts(active.info.run_id)}
    assert len(run.outputs.model_outputs) == 1


def test_child_runs_of_a_grid_search(experiment, client, data):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    mlflow.sklearn.autolog(max_tuning_runs=3, log_models=False, log_datasets=False)
    try:
        with mlflow.start_run() as active:
            GridSearchCV(LogisticRegression(), {"C": [0.1, 1, 10]}, cv=2).fit(*data)
    finally:
        mlflow.sklearn.autolog(disable=True)
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{active.info.run_id}'")
    assert {r.data.params["C"] for r in children} == {"0.1", "1", "10"}
    assert client.get_run(active.info.run_id).data.params["best_C"] in {"0.1", "1", "10"}
