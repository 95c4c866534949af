"""Models with the 2.9 client: they lie among the run's artifacts, and `runs/log-model` records them."""

import setuptools  # isort: skip: before anything imports distutils, which scikit-learn's autologging trips over

import json
import uuid

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
name = f"old-model-{uuid.uuid4().hex[:8]}"
mlflow.set_experiment(f"old models {name}")

random = np.random.default_rng(3)
x = pd.DataFrame(random.normal(size=(50, 2)), columns=["a", "b"])
y = (x["a"] > 0).astype(int)
model = LogisticRegression().fit(x, y)
# Given, the client need not find out the requirements, which it does in a new Python for seconds.
quick = {"pip_requirements": ["mlflow==2.9.2"]}


class Adder(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input + 1


with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(model, "sk", registered_model_name=name, input_example=x.head(2), **quick)
    mlflow.pyfunc.log_model("py", python_model=Adder(), **quick)
run_id = run.info.run_id

assert info.model_uri == f"runs:/{run_id}/sk"
assert (mlflow.sklearn.load_model(info.model_uri).predict(x) == model.predict(x)).all()
assert (mlflow.pyfunc.load_model(f"runs:/{run_id}/sk").predict(x) == model.predict(x)).all()
assert list(mlflow.pyfunc.load_model(f"runs:/{run_id}/py").predict(pd.DataFrame({"x": [1]}))["x"]) == [2]
history = json.loads(client.get_run(run_id).data.tags["mlflow.log-model.history"])
assert [entry["artifact_path"] for entry in history] == ["sk", "py"]
assert {f.path for f in client.list_artifacts(run_id, "sk")} >= {"sk/MLmodel", "sk/model.pkl"}

version = client.get_model_version(name, "1")
assert (version.run_id, version.source) == (run_id, f"{run.info.artifact_uri}/sk")
for uri in (f"models:/{name}/1", f"models:/{name}/latest"):
    assert (mlflow.sklearn.load_model(uri).predict(x) == model.predict(x)).all()

# Autologging
mlflow.sklearn.autolog()
with mlflow.start_run() as auto:
    LogisticRegression(C=0.5).fit(x, y)
mlflow.sklearn.autolog(disable=True)
seen = client.get_run(auto.info.run_id)
assert seen.data.params["C"] == "0.5"
assert "training_accuracy_score" in seen.data.metrics
assert seen.inputs.dataset_inputs
assert (mlflow.sklearn.load_model(f"runs:/{auto.info.run_id}/model").predict(x) >= 0).all()

print("all checks hold")
