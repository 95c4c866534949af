"""Experiments through MlflowClient and the fluent API."""

import time

import mlflow
import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException, RestException


def test_create_and_get(client, unique):
    name = unique("growth")
    before = int(time.time() * 1000)
    experiment_id = client.create_experiment(name, tags={"team": "eins", "größe": "Ü 雪"})
    found = client.get_experiment(experiment_id)
    assert (found.name, found.lifecycle_stage) == (name, "active")
    assert found.tags == {"team": "eins", "größe": "Ü 雪"}
    assert found.artifact_location == f"mlflow-artifacts:/{experiment_id}"
    assert before - 2000 <= found.creation_time <= int(time.time() * 1000) + 2000
    assert found.last_update_time >= found.creation_time
    assert client.get_experiment_by_name(name).experiment_id == experiment_id


def test_default_experiment_is_there(client):
    default = client.get_experiment("0")
    assert default.name == "Default"
    assert default.artifact_location == "mlflow-artifacts:/0"


def test_absent_experiment(client, unique):
    assert client.get_experiment_by_name(unique("nobody")) is None
    with pytest.raises(RestException) as error:
        client.get_experiment("987654321")
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_name_is_taken_also_by_a_deleted_one(client, unique):
    name = unique("twice")
    experiment_id = client.create_experiment(name)
    for _ in range(2):
        with pytest.raises(RestException, match="already exists") as error:
            client.create_experiment(name)
        assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"
        if client.get_experiment(experiment_id).lifecycle_stage == "active":
            client.delete_experiment(experiment_id)
    assert client.get_experiment_by_name(name).lifecycle_stage == "deleted"


def test_set_experiment_creates_or_finds(tracking, unique):
    name = unique("fluent")
    first = mlflow.set_experiment(name)
    again = mlflow.set_experiment(name)
    assert first.experiment_id == again.experiment_id
    with mlflow.start_run() as run:
        assert run.info.experiment_id == first.experiment_id
    assert mlflow.set_experiment(experiment_id=first.experiment_id).name == name


def test_set_experiment_refuses_a_deleted_one(client, unique):
    name = unique("gone")
    client.delete_experiment(client.create_experiment(name))
    with pytest.raises(MlflowException, match="deleted"):
        mlflow.set_experiment(name)


def test_rename_delete_restore(client, unique):
    old, new = unique("old"), unique("new")
    experiment_id = client.create_experiment(old)
    client.rename_experiment(experiment_id, new)
    assert client.get_experiment(experiment_id).name == new
    assert client.get_experiment_by_name(old) is None
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"


def test_delete_takes_the_runs_along(client, unique):
    experiment_id = client.create_experiment(unique("family"))
    run_id = client.create_run(experiment_id).info.run_id
    client.delete_experiment(experiment_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    client.restore_experiment(experiment_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"


def test_tags(client, unique):
    experiment_id = client.create_experiment(unique("tagged"))
    client.set_experiment_tag(experiment_id, "key", "one")
    client.set_experiment_tag(experiment_id, "key", "two")
    client.set_experiment_tag(experiment_id, "multi/key", "a\nb")
    assert client.get_experiment(experiment_id).tags == {"key": "two", "multi/key": "a\nb"}
    client.delete_experiment_tag(experiment_id, "key")
    assert "key" not in client.get_experiment(experiment_id).tags
    with pytest.raises(RestException):
        client.delete_experiment_tag(experiment_id, "key")


@pytest.fixture
def shelf(client, unique):
    """Three experiments of one family; the newest is deleted."""
    stem = unique("shelf")
    made = []
    for number, colour in enumerate(("red", "green", "blue")):
        made.append(client.create_experiment(f"{stem}-{number}", tags={"colour": colour, "stem": stem}))
        time.sleep(0.003)
    client.delete_experiment(made[2])
    return stem, made


@pytest.mark.parametrize(
    ("view", "expected"),
    [(ViewType.ACTIVE_ONLY, [1, 0]), (ViewType.DELETED_ONLY, [2]), (ViewType.ALL, [2, 1, 0])],
)
def test_search_by_view_newest_first(client, shelf, view, expected):
    stem, made = shelf
    found = client.search_experiments(view_type=view, filter_string=f"name LIKE '{stem}%'")
    assert [e.experiment_id for e in found] == [made[i] for i in expected]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name = '{stem}-1'", {1}),
        ("name != '{stem}-1' AND name LIKE '{stem}-%'", {0, 2}),
        ("name ILIKE '{STEM}-%'", {0, 1, 2}),
        ("name LIKE '{STEM}-%'", set()),
        ("tags.colour = 'red' AND tags.stem = '{stem}'", {0}),
        ("tags.`colour` LIKE '%e%' AND tags.\"stem\" = '{stem}'", {0, 1, 2}),
        ("tags.colour != 'red' AND tags.stem = '{stem}'", {1, 2}),
        ("attribute.name = '{stem}-0'", {0}),
        ("creation_time > 0 AND tags.stem = '{stem}'", {0, 1, 2}),
        ("creation_time < 1 AND tags.stem = '{stem}'", set()),
        ("last_update_time >= 1 AND name = '{stem}-2'", {2}),
    ],
)
def test_search_filters(client, shelf, condition, expected):
    stem, made = shelf
    condition = condition.replace("{stem}", stem).replace("{STEM}", stem.upper())
    found = client.search_experiments(view_type=ViewType.ALL, filter_string=condition)
    assert {e.experiment_id for e in found} == {made[i] for i in expected}


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (["name"], [0, 1, 2]),
        (["name DESC"], [2, 1, 0]),
        (["creation_time ASC"], [0, 1, 2]),
        (["last_update_time DESC", "name"], [2, 1, 0]),
        (["experiment_id DESC"], [2, 1, 0]),
    ],
)
def test_search_order(client, shelf, order_by, expected):
    stem, made = shelf
    found = client.search_experiments(
        view_type=ViewType.ALL, filter_string=f"tags.stem = '{stem}'", order_by=order_by
    )
    assert [e.experiment_id for e in found] == [made[i] for i in expected]


def test_search_pages(client, unique):
    stem = unique("paged")
    made = {client.create_experiment(f"{stem}-{i}") for i in range(7)}
    seen, sizes, token = [], [], None
    for _ in range(10):
        page = client.search_experiments(max_results=3, filter_string=f"name LIKE '{stem}%'", page_token=token)
        seen += [e.experiment_id for e in page]
        sizes.append(len(page))
        token = page.token
        if not token:
            break
    assert sizes == [3, 3, 1]
    assert set(seen) == made
    assert len(mlflow.search_experiments(filter_string=f"name LIKE '{stem}%'")) == 7


@pytest.mark.parametrize("condition", ["nonsense", "name ~ 'x'", "metrics.a > 1", "name = unquoted", "tags.a > 'x'"])
def test_bad_filter(client, condition):
    with pytest.raises(MlflowException) as error:
        client.search_experiments(filter_string=condition)
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"
