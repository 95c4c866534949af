"""From training to production and back: the whole life of a model, told with the plain `mlflow` client.

Three scikit-learn classifiers learn to tell benign from malignant tumours (569 patients, 30 measurements each; the
data comes with scikit-learn). Their parameters, metrics, learning curve, data and models are tracked; the models are
registered in three ways, promoted, loaded in four ways, compared, archived and deleted.

    pip install "mlflow>=3" scikit-learn
    python breast_cancer.py --tracking-uri http://127.0.0.1:5000

Every claim that the script prints has been checked before: a wrong answer of the server ends it with an error.
"""

import argparse
import json
import logging
import os
import pathlib
import tempfile
import uuid
import warnings
from dataclasses import dataclass

# The client prints a link for each run, a progress bar for each download and a warning for each use of stages.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
warnings.filterwarnings("ignore", category=FutureWarning)
warnings.filterwarnings("ignore", category=UserWarning)

import mlflow
import numpy
import pandas
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

logging.getLogger("mlflow").setLevel(logging.ERROR)


@dataclass
class Data:
    """One split of the patients. The test half is what all comparisons use."""

    train: pandas.DataFrame
    test: pandas.DataFrame
    train_target: pandas.Series
    test_target: pandas.Series


@dataclass
class Trained:
    """A classifier in memory, and where the server keeps it."""

    classifier: object
    run_id: str
    model_id: str
    model_uri: str


def load_data() -> Data:
    bunch = load_breast_cancer(as_frame=True)
    return Data(*train_test_split(bunch.data, bunch.target, test_size=0.4, random_state=7, stratify=bunch.target))


def train(title: str, classifier, params: dict, data: Data, story: str, registered_model_name: str | None = None) -> Trained:
    """One run: fits the classifier and tracks all there is to know about it."""
    with mlflow.start_run(run_name=title, tags={"story": story, "family": type(classifier).__name__}) as run:
        source = mlflow.data.from_pandas(data.train.assign(benign=data.train_target), targets="benign", name="breast-cancer")
        mlflow.log_input(source, context="training")
        mlflow.log_params(params)

        classifier.fit(data.train, data.train_target)

        if hasattr(classifier, "staged_predict_proba"):
            # One point for each tree that boosting adds: the curve that one looks at to see when to stop.
            for step, (seen, unseen) in enumerate(
                zip(classifier.staged_predict_proba(data.train), classifier.staged_predict_proba(data.test))
            ):
                losses = {"train_loss": log_loss(data.train_target, seen), "test_loss": log_loss(data.test_target, unseen)}
                mlflow.log_metrics(losses, step=step)

        chances = classifier.predict_proba(data.test)[:, 1]
        scores = {
            "accuracy": accuracy_score(data.test_target, chances > 0.5),
            "roc_auc": roc_auc_score(data.test_target, chances),
        }
        mlflow.log_metrics(scores)
        mlflow.log_dict({"scores": scores, "params": params}, "report/summary.json")
        mlflow.log_text("\n".join(data.train.columns), "report/columns.txt")

        model = mlflow.sklearn.log_model(
            classifier,
            name="model",
            signature=infer_signature(data.test, classifier.predict(data.test)),
            input_example=data.test.head(2),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
            registered_model_name=registered_model_name,
        )
        print(f"  {title:20} accuracy {scores['accuracy']:.3f}   area under the curve {scores['roc_auc']:.3f}")
        return Trained(classifier, run.info.run_id, model.model_id, model.model_uri)


def same_predictions(model_uri: str, trained: Trained, data: Data) -> None:
    """Loads a model as an application would, and holds it to the classifier that was trained here."""
    loaded = mlflow.pyfunc.load_model(model_uri)
    numpy.testing.assert_array_equal(loaded.predict(data.test), trained.classifier.predict(data.test))
    print(f"  {model_uri:42} predicts {len(data.test)} patients as the classifier in memory does")


def stages(client: MlflowClient, name: str) -> dict[int, str]:
    versions = client.search_model_versions(f"name = '{name}'")
    return {int(version.version): version.current_stage for version in sorted(versions, key=lambda v: int(v.version))}


def is_gone(ask, *args) -> bool:
    """Whether the server says that a thing does not exist. Any other error is an error."""
    try:
        ask(*args)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return True
        raise
    return False


def tell(tracking_uri: str, model_name: str) -> None:
    mlflow.set_tracking_uri(tracking_uri)
    client = MlflowClient()
    draft_name = f"{model_name}-draft"
    for name in (draft_name, model_name):
        if not is_gone(client.get_registered_model, name):
            raise SystemExit(f"The model '{name}' is registered already: delete it, or choose another --model-name.")
    mlflow.set_experiment("breast-cancer")
    story = uuid.uuid4().hex[:8]  # Keeps the runs of this story apart from those of earlier ones.
    data = load_data()

    print(f"1. Train classifiers and track them at {tracking_uri}")
    linear_params = {"C": 0.5, "max_iter": 500}
    linear = train(
        "logistic regression", make_pipeline(StandardScaler(), LogisticRegression(**linear_params)), linear_params, data, story
    )
    forest_params = {"n_estimators": 40, "max_depth": 6, "random_state": 7}
    forest = train("random forest", RandomForestClassifier(**forest_params), forest_params, data, story)

    print("2. Register them in three ways")
    client.create_registered_model(draft_name, tags={"team": "screening"}, description="Benign or malignant?")
    client.create_model_version(draft_name, source=linear.model_uri, run_id=linear.run_id, model_id=linear.model_id)
    print("  version 1: create_registered_model, then create_model_version")
    second = mlflow.register_model(forest.model_uri, draft_name, tags={"checked": "yes"})
    assert int(second.version) == 2, second
    print("  version 2: register_model")
    boosting_params = {"n_estimators": 60, "learning_rate": 0.2, "random_state": 7}
    boosting = train(
        "gradient boosting",
        GradientBoostingClassifier(**boosting_params),
        boosting_params,
        data,
        story,
        registered_model_name=draft_name,
    )
    print("  version 3: log_model(registered_model_name=...)")
    assert stages(client, draft_name) == {1: "None", 2: "None", 3: "None"}
    # Otherwise the comparisons of part 5 could not tell one version from another.
    answers = {trained.classifier.predict(data.test).tobytes() for trained in (linear, forest, boosting)}
    assert len(answers) == 3, "two classifiers predict the same for all patients"

    print("3. Describe and rename")
    client.update_registered_model(draft_name, description="Tells benign tumours from malignant ones.")
    client.update_model_version(draft_name, "3", description="Sixty trees.")
    client.set_model_version_tag(draft_name, "3", "reviewed_by", "Ada")
    client.rename_registered_model(draft_name, model_name)
    assert is_gone(client.get_registered_model, draft_name)
    model = client.get_registered_model(model_name)
    assert (model.description, model.tags) == ("Tells benign tumours from malignant ones.", {"team": "screening"})
    version = client.get_model_version(model_name, "3")
    assert (version.description, version.tags) == ("Sixty trees.", {"reviewed_by": "Ada"})
    print(f"  '{draft_name}' is now '{model.name}': {model.description}")

    print("4. Promote, and archive what was there")
    client.transition_model_version_stage(model_name, "1", "Staging")
    client.transition_model_version_stage(model_name, "1", "Production")
    client.transition_model_version_stage(model_name, "2", "Staging")
    client.transition_model_version_stage(model_name, "3", "Production", archive_existing_versions=True)
    assert stages(client, model_name) == {1: "Archived", 2: "Staging", 3: "Production"}
    client.set_registered_model_alias(model_name, "champion", "3")
    client.set_registered_model_alias(model_name, "fallback", "2")
    latest = {version.current_stage: int(version.version) for version in client.get_latest_versions(model_name)}
    assert latest == {"Archived": 1, "Staging": 2, "Production": 3}, latest
    print("  stages: " + ", ".join(f"version {number} {stage}" for number, stage in stages(client, model_name).items()))

    print("5. Load by version, stage, alias and latest")
    same_predictions(f"models:/{model_name}/1", linear, data)
    same_predictions(f"models:/{model_name}/Staging", forest, data)
    same_predictions(f"models:/{model_name}/Production", boosting, data)
    same_predictions(f"models:/{model_name}@champion", boosting, data)
    same_predictions(f"models:/{model_name}@fallback", forest, data)
    same_predictions(f"models:/{model_name}/latest", boosting, data)

    print("6. Search the runs")
    runs = mlflow.search_runs(
        filter_string=f"tags.story = '{story}' AND metrics.accuracy > 0.9", order_by=["metrics.roc_auc DESC"], output_format="list"
    )
    scores = [run.data.metrics["roc_auc"] for run in runs]
    assert len(runs) == 3 and scores == sorted(scores, reverse=True), scores
    print("  by area under the curve: " + ", ".join(run.info.run_name for run in runs))
    deep = mlflow.search_runs(
        filter_string=f"tags.story = '{story}' AND params.max_depth = '6' AND dataset.name = 'breast-cancer'", output_format="list"
    )
    assert [run.info.run_id for run in deep] == [forest.run_id]
    curve = client.get_metric_history(boosting.run_id, "test_loss")
    assert [point.step for point in curve] == list(range(boosting_params["n_estimators"]))
    best = min(curve, key=lambda point: point.value)
    print(f"  the test loss of boosting falls from {curve[0].value:.3f} to {best.value:.3f} at tree {best.step + 1} of {len(curve)}")

    print("7. Download artifacts")
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=boosting.run_id, artifact_path="report", dst_path=folder))
        names = sorted(path.name for path in report.iterdir())
        assert names == ["columns.txt", "summary.json"], names
        assert json.loads((report / "summary.json").read_text())["params"] == boosting_params
        files = pathlib.Path(mlflow.artifacts.download_artifacts(f"models:/{model_name}/3", dst_path=folder))
        assert (files / "MLmodel").is_file()
        print(f"  report: {', '.join(names)}; model: {len(list(files.iterdir()))} files")

    print("8. Archive and delete")
    client.transition_model_version_stage(model_name, "2", "Archived")
    client.delete_registered_model_alias(model_name, "fallback")
    client.delete_model_version(model_name, "1")
    assert stages(client, model_name) == {2: "Archived", 3: "Production"}
    assert is_gone(client.get_model_version, model_name, "1")
    client.transition_model_version_stage(model_name, "3", "Archived")
    client.delete_registered_model(model_name)
    assert is_gone(client.get_registered_model, model_name)
    print("  version 1 is deleted, then the whole model; its runs stay")
    assert client.get_run(boosting.run_id).info.status == "FINISHED"
    print("The story ends well.")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"),
        help="the server (default: MLFLOW_TRACKING_URI, else %(default)s)",
    )
    arguments.add_argument("--model-name", default="breast-cancer", help="the registered model's name (default: %(default)s)")
    given = arguments.parse_args()
    tell(given.tracking_uri, given.model_name)


if __name__ == "__main__":
    main()
