"""The model registry through MlflowClient: models, versions, stages, aliases, tags, search, sources."""

import time

import mlflow
import pytest
from mlflow.exceptions import MlflowException

pytestmark = pytest.mark.filterwarnings("ignore")


def refuses(call, error_code="INVALID_PARAMETER_VALUE"):
    with pytest.raises(MlflowException) as error:
        call()
    assert error.value.error_code == error_code, error.value


def names(found):
    return [m.name for m in found]


@pytest.fixture
def model(client, unique):
    return client.create_registered_model(unique("model"), tags={"owner": "ada"}, description="first words").name


@pytest.fixture
def versions(client, model):
    """Three versions; their numbers are strings in some clients and ints in others."""
    for number in (1, 2, 3):
        client.create_model_version(model, f"s3://bucket/{model}/{number}", tags={"n": str(number)})
        time.sleep(0.003)
    return model


def stages(client, name):
    return {int(v.version): v.current_stage for v in client.search_model_versions(f"name = '{name}'")}


def test_registered_model(client, unique):
    name = unique("Bild erkennung")
    before = int(time.time() * 1000)
    made = client.create_registered_model(name, tags={"a": "1"}, description="Größe ≥ 1")
    for seen in (made, client.get_registered_model(name)):
        assert (seen.name, seen.tags, seen.description) == (name, {"a": "1"}, "Größe ≥ 1")
        assert before - 2000 < seen.creation_timestamp <= seen.last_updated_timestamp
    assert client.get_registered_model(name).latest_versions == []
    client.update_registered_model(name, "second words")
    assert client.get_registered_model(name).description == "second words"
    refuses(lambda: client.create_registered_model(name), "RESOURCE_ALREADY_EXISTS")
    client.delete_registered_model(name)
    refuses(lambda: client.get_registered_model(name), "RESOURCE_DOES_NOT_EXIST")
    refuses(lambda: client.delete_registered_model(name), "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("name", ["", "a/b", "a:b", None])
def test_bad_names(client, name):
    refuses(lambda: client.create_registered_model(name))


def test_rename_moves_everything(client, versions, unique):
    new = unique("renamed")
    client.set_registered_model_alias(versions, "champion", "2")
    client.set_model_version_tag(versions, "1", "k", "v")
    client.transition_model_version_stage(versions, "3", "Production")
    client.rename_registered_model(versions, new)
    assert client.get_registered_model(new).name == new
    refuses(lambda: client.get_registered_model(versions), "RESOURCE_DOES_NOT_EXIST")
    assert client.get_registered_model(new).tags == {"owner": "ada"}
    assert client.get_model_version(new, "1").tags == {"n": "1", "k": "v"}
    assert int(client.get_model_version_by_alias(new, "champion").version) == 2
    assert stages(client, new) == {1: "None", 2: "None", 3: "Production"}
    taken = client.create_registered_model(unique("taken")).name
    refuses(lambda: client.rename_registered_model(new, taken), "RESOURCE_ALREADY_EXISTS")
    refuses(lambda: client.rename_registered_model(versions, unique("x")), "RESOURCE_DOES_NOT_EXIST")


def test_tags_of_a_model(client, model):
    client.set_registered_model_tag(model, "owner", "grace")
    client.set_registered_model_tag(model, "n", 5)
    assert client.get_registered_model(model).tags == {"owner": "grace", "n": "5"}
    client.delete_registered_model_tag(model, "owner")
    client.delete_registered_model_tag(model, "never there")
    assert client.get_registered_model(model).tags == {"n": "5"}


def test_version(client, model):
    run_id = "0123456789abcdef0123456789abcdef"
    made = client.create_model_version(model, "s3://bucket/x", run_id=run_id, tags={"t": "v"}, description="d", run_link="http://l/1")
    assert (made.name, int(made.version), made.source, made.run_id) == (model, 1, "s3://bucket/x", run_id)
    assert (made.status, made.current_stage, made.description, made.run_link) == ("READY", "None", "d", "http://l/1")
    seen = client.get_model_version(model, "1")
    assert (seen.tags, seen.aliases, seen.description) == ({"t": "v"}, [], "d")
    client.update_model_version(model, "1", "other words")
    assert client.get_model_version(model, "1").description == "other words"
    assert client.get_model_version_download_uri(model, "1") == "s3://bucket/x"
    refuses(lambda: client.get_model_version(model, "2"), "RESOURCE_DOES_NOT_EXIST")
    refuses(lambda: client.create_model_version("no such model", "s3://b/x"), "RESOURCE_DOES_NOT_EXIST")


def test_tags_of_a_version(client, versions):
    client.set_model_version_tag(versions, "2", "n", "zwei")
    client.set_model_version_tag(versions, "2", "x", "")
    assert client.get_model_version(versions, "2").tags == {"n": "zwei", "x": ""}
    client.delete_model_version_tag(versions, "2", "n")
    client.delete_model_version_tag(versions, "2", "n")
    assert client.get_model_version(versions, "2").tags == {"x": ""}
    assert client.get_model_version(versions, "1").tags == {"n": "1"}
    refuses(lambda: client.set_model_version_tag(versions, "9", "a", "b"), "RESOURCE_DOES_NOT_EXIST")


def test_numbers_are_not_used_twice(client, versions):
    client.delete_model_version(versions, "3")
    refuses(lambda: client.get_model_version(versions, "3"), "RESOURCE_DOES_NOT_EXIST")
    refuses(lambda: client.delete_model_version(versions, "3"), "RESOURCE_DOES_NOT_EXIST")
    assert int(client.create_model_version(versions, "s3://b/y").version) == 4
    client.delete_registered_model(versions)
    client.create_registered_model(versions)
    assert client.search_model_versions(f"name = '{versions}'") == []
    assert int(client.create_model_version(versions, "s3://b/y").version) == 1


def test_stages(client, versions):
    client.transition_model_version_stage(versions, "1", "Staging")
    client.transition_model_version_stage(versions, "2", "production")
    assert stages(client, versions) == {1: "Staging", 2: "Production", 3: "None"}
    client.transition_model_version_stage(versions, "3", "Production")
    assert stages(client, versions) == {1: "Staging", 2: "Production", 3: "Production"}
    moved = client.transition_model_version_stage(versions, "1", "Production", archive_existing_versions=True)
    assert moved.current_stage == "Production"
    assert stages(client, versions) == {1: "Production", 2: "Archived", 3: "Archived"}
    client.transition_model_version_stage(versions, "1", "Archived")
    client.transition_model_version_stage(versions, "2", "None")
    assert stages(client, versions) == {1: "Archived", 2: "None", 3: "Archived"}
    refuses(lambda: client.transition_model_version_stage(versions, "1", "Museum"))
    refuses(lambda: client.transition_model_version_stage(versions, "9", "Staging"), "RESOURCE_DOES_NOT_EXIST")


def test_archiving_takes_one_moment(client, versions):
    client.transition_model_version_stage(versions, "1", "Staging")
    client.transition_model_version_stage(versions, "2", "Staging", archive_existing_versions=True)
    first, second = (client.get_model_version(versions, n) for n in "12")
    assert first.last_updated_timestamp == second.last_updated_timestamp
    assert client.get_registered_model(versions).last_updated_timestamp >= second.last_updated_timestamp


@pytest.mark.differs_from_stock("stock answers 500 to archive_existing_versions with Archived or None")
@pytest.mark.parametrize("stage", ["Archived", "None"])
def test_archiving_needs_an_active_stage(client, versions, stage):
    refuses(lambda: client.transition_model_version_stage(versions, "1", stage, archive_existing_versions=True))


def test_latest_versions(client, versions):
    client.transition_model_version_stage(versions, "1", "Production")
    client.transition_model_version_stage(versions, "2", "Production")
    latest = client.get_latest_versions(versions)
    assert {v.current_stage: int(v.version) for v in latest} == {"Production": 2, "None": 3}
    assert [int(v.version) for v in client.get_latest_versions(versions, ["Production"])] == [2]
    assert [int(v.version) for v in client.get_latest_versions(versions, ["production", "Staging"])] == [2]
    assert client.get_latest_versions(versions, ["Archived"]) == []
    refuses(lambda: client.get_latest_versions(versions, ["Museum"]))
    refuses(lambda: client.get_latest_versions("no such model"), "RESOURCE_DOES_NOT_EXIST")
    listed = client.get_registered_model(versions).latest_versions
    assert {v.current_stage: int(v.version) for v in listed} == {"Production": 2, "None": 3}


def test_aliases(client, versions):
    client.set_registered_model_alias(versions, "champion", "1")
    client.set_registered_model_alias(versions, "best-so_far", "1")
    client.set_registered_model_alias(versions, "12", "2")
    assert int(client.get_model_version_by_alias(versions, "champion").version) == 1
    client.set_registered_model_alias(versions, "champion", "3")
    assert int(client.get_model_version_by_alias(versions, "champion").version) == 3
    aliases = {k: int(v) for k, v in client.get_registered_model(versions).aliases.items()}
    assert aliases == {"champion": 3, "best-so_far": 1, "12": 2}
    assert client.get_model_version(versions, "1").aliases == ["best-so_far"]
    client.delete_registered_model_alias(versions, "champion")
    client.delete_registered_model_alias(versions, "champion")
    refuses(lambda: client.get_model_version_by_alias(versions, "champion"))
    refuses(lambda: client.get_model_version_by_alias("no such model", "champion"), "RESOURCE_DOES_NOT_EXIST")
    client.delete_model_version(versions, "1")
    refuses(lambda: client.get_model_version_by_alias(versions, "best-so_far"))
    refuses(lambda: client.set_registered_model_alias(versions, "a", "9"), "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V23", "", "a b", "a/b", "ä!", "x" * 256])
def test_bad_aliases(client, versions, alias):
    refuses(lambda: client.set_registered_model_alias(versions, alias, "1"))


@pytest.fixture
def shelf(client, unique):
    stem = unique("shelf")
    for index, colour in enumerate(("red", "green", "blue")):
        name = f"{stem}-{'abc'[index]}"
        client.create_registered_model(name, tags={"colour": colour, "stem": stem})
        for number in range(index + 1):
            client.create_model_version(
                name, f"s3://{stem}/{number}", run_id=f"{index}{number}" * 16, tags={"stem": stem, "parity": str(number % 2)}
            )
            time.sleep(0.003)
    return stem


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name = '{stem}-a'", "a"),
        ("name LIKE '{stem}%'", "a b c"),
        ("name ILIKE '{STEM}%'", "a b c"),
        ("name LIKE '{STEM}%'", ""),
        ("name != '{stem}-a' AND name LIKE '{stem}%'", "b c"),
        ("tags.colour = 'red' AND tags.stem = '{stem}'", "a"),
        ("tags.`colour` LIKE '%e%' AND tag.stem = '{stem}'", "a b c"),
        ("tags.colour != 'red' AND tags.stem = '{stem}'", "b c"),
        ("name LIKE '{stem}%' AND tags.missing != 'x'", ""),
        ("name IN ('{stem}-a', '{stem}-c', 'x')", "a c"),
    ],
)
def test_search_models(client, shelf, condition, expected):
    condition = condition.replace("{stem}", shelf).replace("{STEM}", shelf.upper())
    assert names(client.search_registered_models(condition)) == [f"{shelf}-{c}" for c in expected.split()]


def test_order_and_pages_of_models(client, shelf):
    condition = f"name LIKE '{shelf}%'"
    assert names(client.search_registered_models(condition, order_by=["name DESC"])) == [f"{shelf}-{c}" for c in "cba"]
    by_time = client.search_registered_models(condition, order_by=["last_updated_timestamp DESC"])
    assert names(by_time) == [f"{shelf}-{c}" for c in "cba"]
    first = client.search_registered_models(condition, max_results=2)
    rest = client.search_registered_models(condition, max_results=2, page_token=first.token)
    assert names([*first, *rest]) == [f"{shelf}-{c}" for c in "abc"]
    assert not rest.token
    with_versions = client.search_registered_models(f"name = '{shelf}-c'")[0]
    assert [int(v.version) for v in with_versions.latest_versions] == [3]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name = '{stem}-c'", "c1 c2 c3"),
        ("name LIKE '{stem}%'", "a1 b1 b2 c1 c2 c3"),
        ("name ILIKE '{stem}%' AND tags.parity = '1'", "b2 c2"),
        ("name IN ('{stem}-a', '{stem}-b')", "a1 b1 b2"),
        ("version_number = 2 AND tags.stem = '{stem}'", "b2 c2"),
        ("version_number > 1 AND tags.stem = '{stem}'", "b2 c2 c3"),
        ("run_id = '{run}' AND tags.stem = '{stem}'", "b2"),
        ("run_id IN ('{run}') AND name LIKE '{stem}%'", "b2"),
        ("source_path = 's3://{stem}/0'", "a1 b1 c1"),
        ("source_path LIKE '%/2' AND tags.stem = '{stem}'", "c3"),
    ],
)
def test_search_versions(client, shelf, condition, expected):
    found = client.search_model_versions(condition.format(stem=shelf, run="11" * 16))
    assert sorted(f"{v.name[-1]}{v.version}" for v in found) == expected.split()


def test_order_and_pages_of_versions(client, shelf):
    condition = f"name LIKE '{shelf}%'"

    def tell(found):
        return " ".join(f"{v.name[-1]}{v.version}" for v in found)

    assert tell(client.search_model_versions(condition)) == "c3 c2 c1 b2 b1 a1"
    assert tell(client.search_model_versions(condition, order_by=["name", "version_number DESC"])) == "a1 b2 b1 c3 c2 c1"
    assert tell(client.search_model_versions(condition, order_by=["creation_timestamp ASC"])) == "a1 b1 b2 c1 c2 c3"
    first = client.search_model_versions(condition, max_results=4)
    rest = client.search_model_versions(condition, max_results=4, page_token=first.token)
    assert tell([*first, *rest]) == "c3 c2 c1 b2 b1 a1"
    assert not rest.token


@pytest.mark.parametrize(
    "condition", ["nothing = 'x'", "name > 'x'", "name = x", "tags.a > 'x'", "version_number = 'x'", "name LIKE", "name = 'a' OR"]
)
def test_bad_filters(client, condition):
    refuses(lambda: client.search_model_versions(condition))


@pytest.mark.parametrize("condition", ["nothing = 'x'", "name > 'x'", "run_id = 'x'", "name IN 'a'"])
def test_bad_filters_of_models(client, condition):
    refuses(lambda: client.search_registered_models(condition))


def test_register_model_from_a_run(client, experiment, unique):
    name = unique("from run")
    with mlflow.start_run() as active:
        mlflow.log_text("x", "model/MLmodel")
    uri = f"runs:/{active.info.run_id}/model"
    version = mlflow.register_model(uri, name, tags={"how": "register_model"})
    assert (int(version.version), version.run_id) == (1, active.info.run_id)
    assert version.source == f"mlflow-artifacts:/{experiment}/{active.info.run_id}/artifacts/model"
    assert client.get_model_version(name, "1").tags == {"how": "register_model"}
    local = mlflow.artifacts.download_artifacts(f"models:/{name}/1")
    assert open(f"{local}/MLmodel").read() == "x"


def test_load_in_every_way(client, experiment, unique):
    name = unique("loaded")

    class Constant(mlflow.pyfunc.PythonModel):
        def __init__(self, answer):
            self.answer = answer

        def predict(self, context, model_input, params=None):
            return self.answer

    with mlflow.start_run():
        for answer in (1, 2, 3):
            mlflow.pyfunc.log_model(
                name="constant", python_model=Constant(answer), registered_model_name=name, pip_requirements=["mlflow"]
            )
    client.transition_model_version_stage(name, "1", "Staging")
    client.transition_model_version_stage(name, "2", "Production")
    client.set_registered_model_alias(name, "champion", "2")
    for tail, answer in [("/1", 1), ("/2", 2), ("/latest", 3), ("/Staging", 1), ("/production", 2), ("@champion", 2)]:
        assert mlflow.pyfunc.load_model(f"models:/{name}{tail}").predict([0]) == answer, tail
    with pytest.raises(MlflowException):
        mlflow.pyfunc.load_model(f"models:/{name}/9")
    with pytest.raises(MlflowException):
        mlflow.pyfunc.load_model(f"models:/{name}/Archived")
    with pytest.raises(MlflowException):
        mlflow.pyfunc.load_model(f"models:/{name}@nobody")


def test_copy_a_version(client, versions, unique):
    target = unique("copy")
    copied = client.copy_model_version(f"models:/{versions}/2", target)
    assert (copied.name, int(copied.version)) == (target, 1)
    assert copied.source == f"models:/{versions}/2"
    assert client.get_model_version_download_uri(target, "1") == f"s3://bucket/{versions}/2"


@pytest.mark.parametrize(
    "source",
    ["s3://bucket/key", "s3://b/x?y=1", "gs://bucket/key", "dbfs:/x/y", "wasbs://c@a.blob/x"],
)
def test_sources_that_are_fine(client, model, source):
    assert client.create_model_version(model, source).source == source


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "file:///etc",
        "file://localhost/etc",
        "./relative",
        "relative/path",
        "s3://bucket/../other",
        "s3://bucket/%2e%2e/other",
        "s3://bucket/%252e%252e/other",
        "http://127.0.0.1/x",
        "https://example.com/model",
        "mlflow-artifacts:/1/abc/artifacts/model",
        "mlflow-artifacts://host/x/../y",
        "runs:/0123456789abcdef0123456789abcdef/model",
        "mlflow-artifacts:/x%00y",
        "ftp://host/../x",
        "hdfs://host/x",
    ],
)
def test_sources_that_are_refused(client, model, source):
    refuses(lambda: client.create_model_version(model, source))


def test_source_must_lie_in_its_run(client, experiment, model):
    with mlflow.start_run() as one:
        pass
    with mlflow.start_run() as two:
        pass
    root = one.info.artifact_uri
    good = client.create_model_version(model, f"{root}/model", run_id=one.info.run_id)
    assert good.source == f"{root}/model"
    refuses(lambda: client.create_model_version(model, f"{root}/model", run_id=two.info.run_id))
    refuses(lambda: client.create_model_version(model, f"{root}/model"))
    refuses(lambda: client.create_model_version(model, f"{root}/../../x", run_id=one.info.run_id))
    refuses(lambda: client.create_model_version(model, f"{root}2/model", run_id=one.info.run_id))
    refuses(lambda: client.create_model_version(model, f"runs:/{one.info.run_id}/m", run_id=two.info.run_id))


def test_filter_by_stageless_search_everything(client, versions):
    """Without a filter, all versions of all models come back, in pages."""
    found = client.search_model_versions(max_results=10000)
    assert {int(v.version) for v in found if v.name == versions} == {1, 2, 3}
