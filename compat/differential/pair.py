"""Sends one call to stock MLflow and to Trackway and compares the answers field by field.

Ids that the servers make up differ, so calls name things by symbols such as `«run 3»`, which a correspondence table
turns into each server's own id, and ids in answers are turned back into symbols before the comparison.
"""

import dataclasses
import json
import re
import time
from typing import Any

from differential.known_differences import KNOWN
from rest_api import Answer, Api

SYMBOL = re.compile(r"«[^»]+»")
ID = re.compile(r"m-[0-9a-f]{32}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
PROXY_ROOT = re.compile(r"^mlflow-artifacts:/(\d+)(?=/|$)")
MADE_UP_NAME = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")

NAMES_A_FAULT = re.compile(r"Missing value for|Invalid value |must be an integer|must not be empty|cannot be empty")

# Times that the servers take from their own clocks: they have to be about now.
CLOCK = {
    "creation_time", "last_update_time", "creation_timestamp", "last_updated_timestamp",
    "creation_timestamp_ms", "last_updated_timestamp_ms",
}  # fmt: skip
MADE_AND_CHANGED = [
    ("creation_time", "last_update_time"),
    ("creation_timestamp", "last_updated_timestamp"),
    ("creation_timestamp_ms", "last_updated_timestamp_ms"),
]
# Lists whose order means nothing. Metrics have an order in histories, none in a run's data.
UNORDERED = {"tags", "params", "aliases", "latest_versions", "dataset_inputs", "model_inputs", "model_outputs"}


@dataclasses.dataclass
class Call:
    method: str
    route: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.route} {json.dumps(self.body, ensure_ascii=False)}"


@dataclasses.dataclass
class Mismatch:
    call: Call
    where: str
    stock: Answer
    ours: Answer

    def __str__(self) -> str:
        room = 900 if self.stock.status >= 400 or self.ours.status >= 400 else 300
        stock, ours = (f"{a.status} {' '.join(a.text.split())[:room]}" for a in (self.stock, self.ours))
        return f"{self.call}\n    differs: {self.where}\n    stock: {stock}\n    ours:  {ours}"


class Pair:
    def __init__(self, stock_url: str, ours_url: str):
        self.sides = (Api(stock_url), Api(ours_url))
        self.ids: dict[str, tuple[str, str]] = {}
        self.symbols: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.experiments: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.mismatches: list[Mismatch] = []
        self.known: list[tuple[Call, str]] = []
        self.calls = 0

    def name(self, symbol: str, stock_id: str, our_id: str) -> str:
        """Notes that this id of stock's and that of ours are the same thing."""
        symbol = f"«{symbol}»"
        self.ids[symbol] = (stock_id, our_id)
        tables = self.experiments if stock_id.isdigit() else self.symbols
        for side, made in enumerate((stock_id, our_id)):
            tables[side][made] = symbol
        return symbol

    def spell(self, value, side: int):
        """The call as it goes to one side: symbols become that side's ids."""
        if isinstance(value, str):
            return SYMBOL.sub(lambda found: self.ids.get(found[0], (found[0],) * 2)[side], value)
        if isinstance(value, list):
            return [self.spell(item, side) for item in value]
        if isinstance(value, dict):
            return {key: self.spell(item, side) for key, item in value.items()}
        return value

    def send(
        self, method: str, route: str, body: dict | None = None, makes: tuple[str, ...] = ()
    ) -> tuple[tuple[Answer, Answer], str | None]:
        """Sends a call to both and compares. `makes` is a symbol and the path to the new id in the answers: with it
        the symbol comes back too, if both made something."""
        call = Call(method, route, body or {})
        self.calls += 1
        answers = []
        for side, api in enumerate(self.sides):
            spelled, path = self.spell(call.body, side), self.spell(route, side)
            answers.append(api.get(path, spelled) if method == "GET" else api.call(method, path, json=spelled))
        stock, ours = answers
        symbol = None
        if makes and (made := self.made(answers, *makes[1:])):
            symbol = self.name(makes[0], *made)
        if where := self.compare(call, stock, ours):
            for known in KNOWN:
                if known.applies(call, stock, ours, where):
                    self.known.append((call, known.reason))
                    break
            else:
                self.mismatches.append(Mismatch(call, where, stock, ours))
        return (stock, ours), symbol

    def made(self, answers, *path: str) -> list[str] | None:
        """The texts at one place of both answers, if both are successes."""
        found = []
        for answer in answers:
            value = answer.json if answer.status == 200 else {}
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            if not isinstance(value, str) or not value:
                return None
            found.append(value)
        return found

    def compare(self, call: Call, stock: Answer, ours: Answer) -> str | None:
        """Says where two answers differ, or None."""
        if stock.status != ours.status:
            return f"status {stock.status} and {ours.status}"
        if stock.status >= 400:
            try:
                codes = stock.error_code, ours.error_code
            except AssertionError:
                return "an error that is no JSON"
            if codes[0] != codes[1]:
                return f"error_code {codes[0]} and {codes[1]}"
            told = re.match(r"(Missing value for required parameter '[^']+'|Invalid value .* for parameter '[^']+')", stock.message)
            # Of two faults in one call, each server may name another one.
            if told and told[0] not in ours.message and not NAMES_A_FAULT.search(ours.message):
                return f"message {stock.message!r} and {ours.message!r}"
            return None
        try:
            left, right = (self.normal(answer.json, side, call.route) for side, answer in enumerate((stock, ours)))
        except AssertionError as error:
            return str(error)
        return difference(left, right)

    def normal(self, value, side: int, key: str = "", parent: str = ""):
        if isinstance(value, dict):
            value = dict(value)
            times = {name: value[name] for name in CLOCK & value.keys()}
            now = time.time() * 1000
            for name, moment in times.items():
                value[name] = "about now" if isinstance(moment, int) and abs(moment - now) < 3_600_000 else moment
            for made, changed in MADE_AND_CHANGED:
                if made in times and changed in times:
                    value[changed] = "when made" if times[made] == times[changed] else "later"
            if value.get("key") == "mlflow.modelVersions":
                value["value"] = json.loads(value["value"])  # how the text is spaced says nothing
            return {name: self.normal(item, side, name, key) for name, item in value.items()}
        if isinstance(value, list):
            items = [self.normal(item, side, key, parent) for item in value]
            if key in UNORDERED or (key == "metrics" and parent == "data") or parent.endswith("get-latest-versions"):
                items.sort(key=lambda item: (str(item.get("version", "")) if isinstance(item, dict) else "", json.dumps(item, sort_keys=True)))
            return items
        if isinstance(value, str):
            if key == "next_page_token":
                return "a token" if value else ""
            if key == "experiment_id":
                return self.experiments[side].get(value, value)
            if MADE_UP_NAME.fullmatch(value):
                return "a made-up name"
            value = PROXY_ROOT.sub(lambda found: f"mlflow-artifacts:/{self.experiments[side].get(found[1], found[1])}", value)
            return ID.sub(lambda found: self.symbols[side].get(found[0], found[0]), value)
        return value


def difference(left, right, path: str = "") -> str | None:
    """The first place where two JSON values differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(k for k in right if k not in left)]:
            here = f"{path}.{key}" if path else key
            if key not in right:
                return f"{here}: {left[key]!r} and nothing"
            if key not in left:
                return f"{here}: nothing and {right[key]!r}"
            if found := difference(left[key], right[key], here):
                return found
        return None
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return f"{path}: {len(left)} and {len(right)} entries"
        for index, (one, other) in enumerate(zip(left, right)):
            if found := difference(one, other, f"{path}[{index}]"):
                return found
        return None
    if type(left) is not type(right) and not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
        return f"{path}: {left!r} and {right!r}"
    if isinstance(left, bool) != isinstance(right, bool) or left != right:
        return f"{path}: {left!r} and {right!r}"
    return None
