"""Prompts are registered models with tags of their own: what the client needs is a rule of the search."""

import mlflow
import pytest
from mlflow.exceptions import MlflowException


@pytest.fixture
def prompt(tracking, unique):
    name = unique("prompt")
    mlflow.genai.register_prompt(name=name, template="Hello {{ name }}!", commit_message="first", tags={"lang": "en"})
    return name


def test_register_and_load(prompt):
    loaded = mlflow.genai.load_prompt(prompt, version=1)
    assert loaded.template == "Hello {{ name }}!"
    assert loaded.format(name="Ada") == "Hello Ada!"
    assert loaded.commit_message == "first"
    assert loaded.tags["lang"] == "en"
    second = mlflow.genai.register_prompt(name=prompt, template="Bye {{ name }}.")
    assert second.version == 2
    assert mlflow.genai.load_prompt(f"prompts:/{prompt}/2").template == "Bye {{ name }}."


def test_chat_prompt(tracking, unique):
    messages = [{"role": "system", "content": "Be {{ tone }}."}, {"role": "user", "content": "{{ q }}"}]
    name = unique("chat")
    mlflow.genai.register_prompt(name=name, template=messages)
    assert mlflow.genai.load_prompt(name, version=1).format(tone="kind", q="?")[0]["content"] == "Be kind."


def test_long_template(tracking, unique):
    name = unique("long")
    mlflow.genai.register_prompt(name=name, template="ä" * 20000)
    assert mlflow.genai.load_prompt(name, version=1).template == "ä" * 20000


def test_aliases(prompt):
    mlflow.genai.set_prompt_alias(prompt, alias="live", version=1)
    assert mlflow.genai.load_prompt(f"prompts:/{prompt}@live").version == 1
    mlflow.genai.delete_prompt_alias(prompt, alias="live")
    with pytest.raises(MlflowException):
        mlflow.genai.load_prompt(f"prompts:/{prompt}@live")


def test_search_finds_prompts_and_models_apart(client, prompt, unique):
    model = client.create_registered_model(unique("model")).name
    assert prompt in {p.name for p in mlflow.genai.search_prompts(f"name = '{prompt}'")}
    found = {m.name for m in client.search_registered_models(max_results=1000)}
    assert model in found
    assert prompt not in found
    assert client.search_registered_models(f"name = '{prompt}'") == []


def test_a_prompt_and_a_model_share_the_names(client, prompt, unique):
    with pytest.raises(MlflowException):
        client.create_registered_model(prompt)
    model = client.create_registered_model(unique("model")).name
    with pytest.raises(MlflowException):
        mlflow.genai.register_prompt(name=model, template="x")


def test_missing_prompt(tracking, unique):
    assert mlflow.genai.load_prompt(unique("nobody"), version=1, allow_missing=True) is None
    with pytest.raises(MlflowException):
        mlflow.genai.load_prompt(unique("nobody"), version=1)


def test_tags(client, prompt):
    client.set_prompt_tag(prompt, "team", "x")
    client.set_prompt_version_tag(prompt, 1, "quality", "good")
    assert client.get_prompt(prompt).tags["team"] == "x"
    assert mlflow.genai.load_prompt(prompt, version=1).tags["quality"] == "good"
    client.delete_prompt_version_tag(prompt, 1, "quality")
    assert "quality" not in mlflow.genai.load_prompt(prompt, version=1).tags
    client.delete_prompt_tag(prompt, "team")
    assert "team" not in client.get_prompt(prompt).tags
