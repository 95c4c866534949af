"""Filters and orders: what stock MLflow accepts, Trackway accepts, and reads the same from it.

Each case of `filter_cases.py` goes to stock's SQL store (3.17, in this process, on a temporary
SQLite file), because the store refuses more than its parser does, and to Trackway's parser through
the example program `parse_filter`. `TRACKWAY_PARSE_FILTER` names a built one; otherwise cargo runs it.
Every known difference is listed below with its reason, and fails when it is none any more.
"""

import json
import logging
import math
import os
import pathlib
import subprocess

import pytest
from differential.filter_cases import FILTERS, ORDERS

from mlflow.entities import ViewType
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from mlflow.utils.search_logged_model_utils import parse_filter_string
from mlflow.utils.search_utils import (
    SearchExperimentsUtils,
    SearchModelUtils,
    SearchModelVersionUtils,
    SearchUtils,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Trackway accepts these, stock refuses them.
MORE = {
    "stock's SQL tokenizer takes these words for keywords, even behind a dot": [
        ("run", "metrics.from > 1"),
        ("run", "params.from = 'x'"),
        ("run", "params.in = 'x'"),
        ("run", "params.as = 'x'"),
        ("run", "params.case = 'x'"),
        ("run", "params.values = 'x'"),
        ("run", "params.using = 'x'"),
        ("run", ["metrics.from DESC"]),
    ],
    "stock's SQL tokenizer takes a dot and digits for a number": [
        ("run", "metrics.1 > 1"),
        ("run", "metrics.12a > 1"),
        ("run", "metrics.a.1 > 1"),
        ("run", ["metrics.1"]),
    ],
    "numbers as Python and others print them (1e+16)": [
        ("run", "metrics.acc > 1e+3"),
        ("run", "metrics.acc > 1.e5"),
    ],
    "stock wants exactly one blank between NOT and NULL": [
        ("run", "params.a Is  Not\tNull"),
    ],
    "stock loses the AND that may be left out between two conditions if a list is near": [
        ("run", "run_id IN ('x') run_id NOT IN ('y')"),
    ],
    "comparators in lower case are refused by stock for experiments only": [
        ("experiment", "name like 'x%'"),
        ("experiment", "name ilike 'x%'"),
        ("experiment", "tags.a like 'x%'"),
        ("experiment", "experiment_id in ('1')"),
    ],
    "quotation marks around an attribute, or a kind of key, work in stock for some entities only": [
        ("experiment", "`attribute`.name = 'x'"),
        ("experiment", "`tags`.a = 'x'"),
        ("registered_model", "`name` = 'x'"),
        ("registered_model", "\"name\" = 'x'"),
        ("registered_model", "attribute.`name` = 'x'"),
        ("registered_model", ["`name`"]),
        ("model_version", "`name` = 'x'"),
        ("model_version", "\"run_id\" = 'x'"),
        ("logged_model", "\"name\" = 'x'"),
    ],
    "the prefix of attributes works in stock in these filters, but not in the orders": [
        ("registered_model", ["attribute.name"]),
        ("logged_model", ["attributes.name"]),
    ],
    "stock forgets the aliases of times behind the prefix and answers 500": [
        ("logged_model", "attributes.creation_timestamp > 1"),
        ("logged_model", "attributes.creation_time > 1"),
    ],
    "blanks around a key of the order": [
        ("run", [" metrics.acc DESC"]),
        ("run", ["metrics.acc DESC "]),
    ],
    "IS NULL for every key; stock knows it for params and tags of runs and tags of experiments": [
        ("run", "metrics.acc IS NULL"),
        ("run", "metrics.acc IS NOT NULL"),
        ("run", "status IS NULL"),
        ("run", "start_time IS NULL"),
        ("run", "end_time IS NOT NULL"),
        ("run", "dataset.name IS NULL"),
        ("experiment", "name IS NULL"),
        ("experiment", "last_update_time IS NULL"),
        ("registered_model", "name IS NULL"),
        ("registered_model", "name IS NOT NULL"),
        ("registered_model", "tags.a IS NULL"),
        ("registered_model", "tags.a IS NOT NULL"),
        ("model_version", "name IS NULL"),
        ("model_version", "version_number IS NULL"),
        ("model_version", "tags.a IS NULL"),
        ("logged_model", "name IS NULL"),
        ("logged_model", "metrics.acc IS NULL"),
        ("logged_model", "params.a IS NULL"),
        ("logged_model", "tags.a IS NOT NULL"),
    ],
    "OR, NOT and parentheses: what users ask for beyond stock (its issue 6075)": [
        ("run", "metrics.a > 1 OR metrics.b > 1"),
        ("run", "metrics.a > 1 or params.b = 'x'"),
        ("run", "(metrics.a > 1)"),
        ("run", "(metrics.a > 1 AND metrics.b > 1)"),
        ("run", "metrics.a > 1 AND (metrics.b > 1 OR metrics.c > 1)"),
        ("run", "NOT metrics.a > 1"),
        ("run", "metrics.a > 1 AND NOT metrics.b > 1"),
        ("experiment", "name = 'x' OR name = 'y'"),
        ("experiment", "(name = 'x')"),
        ("registered_model", "name = 'x' OR name = 'y'"),
        ("model_version", "name = 'x' OR run_id = 'y'"),
        ("logged_model", "name = 'x' OR name = 'y'"),
        ("logged_model", "(name = 'x')"),
        ("run", "NOT (metrics.a > 1 OR NOT params.b = 'x') AND tags.c IS NULL"),
        ("experiment", "NOT (name = 'x' OR tags.a = 'y')"),
        ("registered_model", "(name = 'x' OR tags.a = 'y')"),
        ("model_version", "NOT (run_id = 'x')"),
        ("logged_model", "NOT (name = x OR metrics.acc > 1)"),
    ],
    "lists for every key, of numbers too; stock knows them for ids and some names": [
        ("run", "metrics.acc IN (1, 2)"),
        ("run", "params.a IN ('x')"),
        ("run", "params.a NOT IN ('x')"),
        ("run", "tags.a IN ('x')"),
        ("run", "status IN ('RUNNING', 'FAILED')"),
        ("run", "run_name IN ('x')"),
        ("run", "start_time IN (1)"),
        ("experiment", "name IN ('x')"),
        ("experiment", "name NOT IN ('x')"),
        ("experiment", "creation_time IN (1)"),
        ("experiment", "tags.a IN ('x')"),
        ("experiment", "tags.a NOT IN ('x')"),
        ("registered_model", "tags.a IN ('x')"),
        ("model_version", "source_path IN ('x')"),
        ("model_version", "version_number IN (1)"),
        ("model_version", "version_number IN ('1')"),
        ("model_version", "tags.a IN ('x')"),
        ("logged_model", "creation_timestamp IN (1)"),
        ("logged_model", "metrics.acc IN (1)"),
    ],
    "ranges, regular expressions, NOT LIKE: what users ask for beyond stock": [
        ("run", "metrics.acc BETWEEN 1 AND 2"),
        ("run", "params.a RLIKE 'x'"),
        ("run", "params.a NOT LIKE 'x'"),
        ("run", "params.a NOT ILIKE 'x'"),
        ("experiment", "name NOT LIKE 'x'"),
        ("experiment", "name RLIKE 'x'"),
        ("logged_model", "name NOT LIKE 'x'"),
        ("run", "metrics.acc NOT BETWEEN 1 AND 2 AND params.a = 'x'"),
        ("run", "params.a NOT RLIKE '^x'"),
        ("run", "dataset.name RLIKE 'x'"),
        ("model_version", "version_number BETWEEN 1 AND 3"),
        ("logged_model", "name RLIKE 'x'"),
    ],
    "stock joins a table for each condition on a metric, and SQLite joins 64 at most": [
        ("run", " AND ".join(["metrics.a > 1"] * 100)),
    ],
}

# Stock accepts these, Trackway refuses them.
LESS = {
    "a key without a name finds nothing": [
        ("run", "metrics. > 1"),
        ("run", "metrics.`` > 1"),
        ("run", 'metrics."" > 1'),
        ("run", "metrics..acc > 1"),
        ("run", "metrics.acc. > 1"),
        ("run", "metrics. acc > 1"),
        ("run", ["metrics."]),
        ("logged_model", ["metrics."]),
    ],
    "a key of which only parts are quoted: stock searches for the marks too and finds nothing": [
        ("run", "metrics.`a`.`b` > 1"),
        ("run", 'metrics."a"."b" > 1'),
        ("run", "metrics.a.`b` > 1"),
        ("run", "metrics.`a`.b > 1"),
    ],
    "not a key; stock takes these characters for a part of its name and finds nothing": [
        ("run", "metrics.[a] > 1"),
        ("run", "metrics.a[0] > 1"),
        ("run", "metrics.* > 1"),
        ("run", "metrics.f(x) > 1"),
        ("run", "metrics.acc() > 1"),
    ],
    "two quotations in a row are not one text": [
        ("run", 'params.a = "x"."y"'),
    ],
    "stock reads lists as Python does: a missing comma joins two texts, a doubled mark vanishes": [
        ("run", "run_id IN ('x' 'y')"),
        ("run", "run_id IN ('it''s')"),
        ("run", "run_id IN ('''x''')"),
        ("run", "run_id IN (u'x')"),
        ("run", "run_id IN (('x'))"),
        ("run", "run_id IN ('x', ('y'))"),
        ("run", "run_id IN ('x' # c\n)"),
        ("run", "run_id IN ('\\N{BULLET}')"),
        ("model_version", "run_id IN ('x' 'y')"),
    ],
    "digits of other scripts": [
        ("run", "metrics.a > \u0661"),
    ],
    "an empty list finds nothing; stock refuses it for every other entity": [
        ("logged_model", "name IN ()"),
    ],
    "nothing can be compared with these; stock hands them to Python's float()": [
        ("logged_model", "metrics.acc > nan"),
        ("logged_model", "metrics.acc > inf"),
        ("logged_model", "metrics.acc > 1_000"),
    ],
    "stock reads the name of a tag as the name of a model version": [
        ("model_version", ["tags.name"]),
    ],
}

# Both accept these but read them differently.
OTHERWISE = {
    "stock keeps double quotation marks as a part of the text and finds nothing": [
        ("logged_model", 'name = "x"'),
        ("logged_model", 'metrics."a b" < 1'),
    ],
}


def by_case(reasons):
    return {
        (entity, tuple(text) if isinstance(text, list) else text): reason
        for reason, cases in reasons.items()
        for entity, text in cases
    }


MORE, LESS, OTHERWISE = by_case(MORE), by_case(LESS), by_case(OTHERWISE)
CASES = list(FILTERS) + [(entity, tuple(clauses)) for entity, clauses in ORDERS]
PARSERS = {
    "run": SearchUtils,
    "experiment": SearchExperimentsUtils,
    "registered_model": SearchModelUtils,
    "model_version": SearchModelVersionUtils,
}


@pytest.fixture(scope="module")
def ours():
    """Trackway's answer to every case."""
    built = os.environ.get("TRACKWAY_PARSE_FILTER")
    cargo = "cargo run -q -p trackway-tracking --example parse_filter".split()
    questions = []
    for entity, text in CASES:
        what = {"order_by": list(text)} if isinstance(text, tuple) else {"filter": text}
        questions.append(json.dumps({"entity": entity, **what}))
    lines = subprocess.run(
        [built] if built else cargo,
        input="\n".join(questions),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    ).stdout.split("\n")
    assert len(lines) == len(CASES) + 1
    return dict(zip(CASES, map(json.loads, lines[:-1])))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    tracking = TrackingStore(f"sqlite:///{folder}/stock.db", str(folder))
    return tracking, RegistryStore(f"sqlite:///{folder}/stock.db")


def stock_search(stores, entity, text, order_by):
    tracking, registry = stores
    if entity == "run":
        tracking.search_runs(["0"], text, ViewType.ACTIVE_ONLY, 10, order_by)
    elif entity == "experiment":
        tracking.search_experiments(ViewType.ACTIVE_ONLY, 10, text, order_by)
    elif entity == "registered_model":
        registry.search_registered_models(text, 10, order_by)
    elif entity == "model_version":
        registry.search_model_versions(text, 10, order_by)
    else:
        fields = [{"field_name": name} for name in order_by]
        tracking.search_logged_models(["0"], text, order_by=fields)


def stock_reading(entity, text):
    """Stock's parsed filter in the form of `parse_filter`: [[kind, key, comparator, value]]."""
    if entity == "logged_model":
        parsed = [
            (c.entity.type.value[:-1], c.entity.key, c.op, c.value)
            for c in parse_filter_string(text)
        ]
    else:
        parsed = [
            (c["type"], c["key"], c["comparator"], c["value"])
            for c in PARSERS[entity].parse_search_filter(text)
        ]
    reading = []
    for kind, key, comparator, value in parsed:
        kind, key = stock_key(entity, kind, key)
        if kind == "metric":
            value = float(value)
            value = str(value) if math.isinf(value) else value
        elif isinstance(value, tuple):
            value = [str(element) for element in value]
        elif key == "version_number" or (entity == "experiment" and key == "experiment_id"):
            value = int(value)
        reading.append([kind, key, comparator.upper(), value])
    return reading


def stock_order_reading(entity, clauses):
    if entity == "logged_model":
        keys = [name.split(".", 1) if "." in name else ["attribute", name] for name in clauses]
        parsed = [(kind.replace("metrics", "metric"), key.strip("`"), True) for kind, key in keys]
    elif entity == "registered_model":
        read = SearchUtils.parse_order_by_for_search_registered_models
        parsed = [("attribute", *read(clause)) for clause in clauses]
    else:
        read = getattr(PARSERS[entity], f"parse_order_by_for_search_{entity}s")
        parsed = [read(clause) for clause in clauses]
    return [[*stock_key(entity, kind, key), ascending] for kind, key, ascending in parsed]


def stock_key(entity, kind, key):
    """The one name of an attribute."""
    kind = {"param": "parameter"}.get(kind, kind)
    if kind == "attribute":
        if entity == "run":
            key = SearchUtils.translate_key_alias(key)
        elif entity == "logged_model":
            key = SqlLoggedModel.ALIASES.get(key, key).removesuffix("_ms")
        elif key == "timestamp":
            key = "last_updated_timestamp"
    return [kind, key]


def shown(case):
    return f"{case[0]}-{str(case[1])[:60]!r}"


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_filter(case, stores, ours):
    entity, text = case
    is_order = isinstance(text, tuple)
    try:
        stock_search(stores, entity, "" if is_order else text, list(text) if is_order else [])
        stock_accepts = True
    except Exception:  # Stock has no one error: a mistake is a 400, a 500 or a bare ValueError.
        stock_accepts = False

    answer = ours[case]
    if case in MORE:
        assert answer["ok"] and not stock_accepts, "no difference any more"
    elif case in LESS:
        assert stock_accepts and not answer["ok"], "no difference any more"
    else:
        assert answer["ok"] == stock_accepts, answer.get("message")

    if not answer["ok"]:
        *_, caret, help_line = answer["message"].split("\n")
        assert caret.strip() == "^"
        assert help_line
    elif stock_accepts:
        if is_order:
            same = answer["order_by"] == stock_order_reading(entity, text)
        else:
            same = answer.get("comparisons") == stock_reading(entity, text)
        assert same != (case in OTHERWISE)


def test_every_listed_difference_is_a_case():
    assert set(MORE) | set(LESS) | set(OTHERWISE) <= set(CASES)


def test_there_are_enough_cases():
    assert len(set(CASES)) == len(CASES) > 500
