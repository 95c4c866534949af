"""The registry with the 2.9 client: stages, aliases, tags, search, rename, and loading in every way."""

import uuid

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
name = f"old-registry-{uuid.uuid4().hex[:8]}"
mlflow.set_experiment(f"old registry {name}")


class Constant(mlflow.pyfunc.PythonModel):
    def __init__(self, answer):
        self.answer = answer

    def predict(self, context, model_input, params=None):
        return self.answer


def refuses(call, error_code="INVALID_PARAMETER_VALUE"):
    try:
        call()
    except MlflowException as error:
        assert error.error_code == error_code, error
    else:
        raise AssertionError(f"was not refused with {error_code}")


def load(tail):
    return mlflow.pyfunc.load_model(f"models:/{name}{tail}").predict([0])


def stages():
    return {int(v.version): v.current_stage for v in client.search_model_versions(f"name = '{name}'")}


client.create_registered_model(name, tags={"owner": "ada"}, description="words")
refuses(lambda: client.create_registered_model(name), "RESOURCE_ALREADY_EXISTS")
for answer in (1, 2, 3):
    with mlflow.start_run() as run:
        mlflow.pyfunc.log_model("m", python_model=Constant(answer), pip_requirements=["mlflow==2.9.2"])
    made = mlflow.register_model(f"runs:/{run.info.run_id}/m", name)
    assert (int(made.version), made.run_id, made.current_stage) == (answer, run.info.run_id, "None")

client.transition_model_version_stage(name, "1", "Staging")
client.transition_model_version_stage(name, "2", "Production")
assert (load("/1"), load("/Staging"), load("/Production"), load("/latest")) == (1, 1, 2, 3)
client.transition_model_version_stage(name, "3", "Production", archive_existing_versions=True)
assert stages() == {1: "Staging", 2: "Archived", 3: "Production"}
assert load("/Production") == 3
assert {v.current_stage: int(v.version) for v in client.get_latest_versions(name)} == {"Staging": 1, "Archived": 2, "Production": 3}
assert [int(v.version) for v in client.get_latest_versions(name, ["Staging"])] == [1]

client.set_registered_model_alias(name, "champion", "2")
assert load("@champion") == 2
assert int(client.get_model_version_by_alias(name, "champion").version) == 2
assert client.get_registered_model(name).aliases in ({"champion": "2"}, {"champion": 2})
client.delete_registered_model_alias(name, "champion")
refuses(lambda: client.get_model_version_by_alias(name, "champion"))

client.set_registered_model_tag(name, "k", "v")
client.delete_registered_model_tag(name, "owner")
client.update_registered_model(name, "other words")
seen = client.get_registered_model(name)
assert (seen.tags, seen.description) == ({"k": "v"}, "other words")
client.set_model_version_tag(name, "1", "k", "v")
client.update_model_version(name, "1", "described")
seen = client.get_model_version(name, "1")
assert (seen.tags, seen.description, seen.status) == ({"k": "v"}, "described", "READY")
client.delete_model_version_tag(name, "1", "k")
assert client.get_model_version_download_uri(name, "1").startswith("mlflow-artifacts:/")

assert [m.name for m in client.search_registered_models(f"name = '{name}'")] == [name]
assert [int(v.version) for v in client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"])] == [3, 2, 1]
refuses(lambda: client.search_registered_models("nonsense here"))

new = name + "-renamed"
client.rename_registered_model(name, new)
refuses(lambda: client.get_registered_model(name), "RESOURCE_DOES_NOT_EXIST")
assert len(client.search_model_versions(f"name = '{new}'")) == 3
client.transition_model_version_stage(new, "3", "Archived")
client.delete_model_version(new, "3")
refuses(lambda: client.get_model_version(new, "3"), "RESOURCE_DOES_NOT_EXIST")
client.delete_registered_model(new)
refuses(lambda: client.get_registered_model(new), "RESOURCE_DOES_NOT_EXIST")

print("all checks hold")
