"""Random YAML and what stock makes of it: one JSON line a case, `{"question": .., "answer": ..}`.

Run by the Python that holds stock DVC, with a kind (emit, parse, round), a seed and a count. The questions are those
that the example program `yaml_round` answers.
"""

import copy
import io
import json
import random
import sys
import warnings

from dvc.utils.collections import apply_diff
from dvc.utils.serialize._yaml import _dump
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

PIECES = """a|bb|path/to/file|x: y|it's|"q"|#c|-|--|é|日本|\t|\n|  | |null|true|1|1.5|0x1|~|{|}|[|]|,|&a|*b|!t|>|%|@|`|?|:|\\|
\x07|\x85|\u2028|\ufeff|\xa0|\u200b|😀|---|...|=|<<|2020-01-01|--flag=val|python|train.py|\r|$x|${a.b}|\x7f|\0|12:30|1e5|.5|
0o7|1_0|_|+1|-.inf|.NaN|yes""".replace("|\n", "|").split("|") + ["x" * 30, "y" * 100, "|"]

SCALARS = """a|foo bar|"quoted"|'single'|1|1.0|true|null|~|0x1F|1e-3|007|1_000|path/to/x|python train.py --x 1|"with: colon"|
${a.b}|.5|2020-01-01|-1|yes|'sq it''s'|+5|1.50|3.|1e5|0b101|0o17|2020-01-01T10:00:00Z""".replace("|\n", "|").split("|")
SCALARS += ["long " * 25 + "x", '"' + "dq " * 40 + '"']

KEYS = "cmd deps outs params metrics plots desc meta wdir a b c-d 'q' 1 x.y train eval prep md5 size path".split()


class Values:
    """Plain data."""

    def __init__(self, rng):
        self.rng = rng

    def text(self):
        r = self.rng
        kind = r.random()
        if kind < 0.25:
            return r.choice(PIECES)
        if kind < 0.6:
            return " ".join(r.choice(PIECES) for _ in range(r.randint(1, 40)))
        if kind < 0.8:
            return "".join(r.choice(PIECES) for _ in range(r.randint(1, 12)))
        return "".join(r.choice(["a", "b c", "\n", " ", "-", ":", "#", "'", '"', "word", "long" * 4]) for _ in range(r.randint(0, 60)))

    def scalar(self):
        r = self.rng
        kind = r.random()
        if kind < 0.65:
            return self.text()
        if kind < 0.75:
            return r.choice([None, True, False])
        if kind < 0.88:
            return r.choice([0, 1, -1, r.randint(-(10**6), 10**6), r.randint(-(2**70), 2**70)])
        return r.choice([0.0, -0.0, 1.0, r.random(), r.uniform(-1e20, 1e20), 10.0 ** r.randint(-30, 30), float("inf"), float("nan")])

    def value(self, depth):
        kind = self.rng.random()
        if depth == 0 or kind < 0.5:
            return self.scalar()
        if kind < 0.75:
            return [self.value(depth - 1) for _ in range(self.rng.randint(0, 4))]
        return {(self.scalar() if self.rng.random() < 0.5 else self.text()): self.value(depth - 1) for _ in range(self.rng.randint(0, 4))}


class Documents:
    """Files as people write them: comments, blank lines and odd indents everywhere."""

    def __init__(self, rng):
        self.rng = rng
        self.comments = 0.25
        self.anchors = []

    def document(self):
        r = self.rng
        self.anchors = []
        self.comments = r.choice([0, 0.1, 0.25, 0.5])
        text = self.lines(0) + (r.choice(["---\n", "--- # x\n"]) if r.random() < 0.05 else "") + self.mapping(0, r.randint(0, 4))
        for name in self.anchors:
            kind = r.random()
            if kind < 0.4:
                text += f"al{name}: *{name}{self.end()}\n"
            elif kind < 0.7:
                text += f"al{name}:\n  k: 1\n  <<: *{name}{self.end()}\n  z: 2\n"
        return text + self.lines(0)

    def lines(self, indent):
        r = self.rng
        if r.random() >= self.comments / 2:
            return ""
        kinds = ["", "# c", " " * r.randint(0, 6) + "# i", " " * indent + "# at indent"]
        return "\n".join(r.choice(kinds) for _ in range(r.randint(1, 3))) + "\n"

    def end(self):
        return self.rng.choice(["  # eol", " # e", "      # far"]) if self.rng.random() < self.comments else ""

    def block(self, indent):
        r = self.rng
        kinds = ["line one", "more words here", "x", "  indented", "it's", "a" * 50 + " " + "b" * 50]
        lines = [" " * indent + r.choice(kinds) if r.random() < 0.85 else "" for _ in range(r.randint(1, 5))]
        if not lines[0].strip() or lines[0].startswith(" " * (indent + 1)):
            lines[0] = " " * indent + "first"
        return r.choice(["|", ">", "|-", ">-", "|+", ">+"]) + "\n" + "\n".join(lines) + "\n"

    def flow(self, depth=2):
        r = self.rng
        kind = r.random()
        if depth == 0 or kind < 0.4:
            return r.choice(["1", "a", '"b"', "x y", "null", "true", "1.0", "path/z"])
        if kind < 0.7:
            space = r.choice(["", " "])
            return f"[{space}" + f",{space}".join(self.flow(depth - 1) for _ in range(r.randint(0, 5))) + "]"
        return "{" + ", ".join(f"k{at}: {self.flow(depth - 1)}" for at in range(r.randint(0, 4))) + "}"

    def mapping(self, indent, depth):
        r = self.rng
        inner = indent + r.choice([2, 2, 2, 4])
        text = ""
        for key in r.sample(KEYS, r.randint(1, 4)):
            text += self.lines(indent) + " " * indent + key + ":" + self.value(indent, inner, depth)
        return text

    def value(self, indent, inner, depth):
        r = self.rng
        kind = r.random()
        anchor = ""
        if r.random() < 0.05:
            anchor = f" &x{len(self.anchors)}"
            self.anchors.append(anchor[2:])
        if depth > 0 and kind < 0.25:
            return anchor + self.end() + "\n" + self.lines(inner) + self.mapping(inner, depth - 1)
        if depth > 0 and kind < 0.5:
            return anchor + self.end() + "\n" + self.lines(indent) + self.sequence(indent + r.choice([0, 0, 2, 4]), depth - 1)
        if kind < 0.55:
            return self.end() + "\n"
        if kind < 0.63:
            return f"{anchor} {self.flow()}{self.end()}\n"
        if kind < 0.7:
            return f"{anchor} {self.block(indent + 2)}"
        if kind < 0.72:
            return r.choice([" []", " {}"]) + self.end() + "\n"
        return f"{anchor} {r.choice(SCALARS)}{self.end()}\n"

    def sequence(self, indent, depth):
        r = self.rng
        text = ""
        for at in range(r.randint(1, 4)):
            text += self.lines(indent) + " " * indent + "-"
            kind = r.random()
            if depth > 0 and kind < 0.35:
                text += f" z{at}: 1\n" + self.mapping(indent + 2, depth - 1)
            elif depth > 0 and kind < 0.4:
                text += self.end() + "\n" + self.mapping(indent + 2, depth - 1)
            elif depth > 0 and kind < 0.45:
                text += " " + self.sequence(indent + 2, depth - 1).lstrip(" ")
            elif kind < 0.5:
                text += f" {self.flow()}{self.end()}\n"
            elif kind < 0.53:
                text += self.end() + "\n"
            elif kind < 0.58:
                text += " " + self.block(indent + 2)
            else:
                text += f" {r.choice(SCALARS)}{self.end()}\n"
        return text

    def changed(self, value):
        r = self.rng
        if isinstance(value, dict):
            new = {key: self.changed(inner) if r.random() < 0.5 else inner for key, inner in value.items() if r.random() > 0.1}
            if r.random() < 0.2:
                new[f"new{r.randint(0, 3)}"] = r.choice([1, "s", "multi\nline", [1, {"a": 2}], {"x": {"y": []}}, None, 1.5, True])
            return new
        if isinstance(value, list):
            new = [self.changed(inner) if r.random() < 0.4 else inner for inner in value]
            if r.random() < 0.25:
                new.append(r.choice([1, "it", "x: y", {"p": 1}]))
            elif r.random() < 0.15 and new:
                new.pop()
            return new
        if r.random() < 0.5:
            return value
        return r.choice([1, "new value", "a\nb\n", "text text", None, True, 2.5, [1], {"n": 1}, "x" * 90])


def encoded(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value).replace("nan", "NaN")}
    if isinstance(value, (list, tuple)):
        return [encoded(inner) for inner in value]
    if isinstance(value, dict):
        return {"map": [[encoded(key), encoded(inner)] for key, inner in value.items()]}
    raise TypeError(type(value))


def dumped(value):
    stream = io.StringIO()
    _dump(value, stream)
    return stream.getvalue()


def refusal(error):
    def mark(mark):
        return [mark.line + 1, mark.column + 1] if mark else None

    return {
        "ok": False,
        "context": error.context,
        "context_mark": mark(error.context_mark),
        "problem": error.problem or "",
        "problem_mark": mark(error.problem_mark),
    }


def emit_case(rng):
    value = Values(rng).value(rng.randint(0, 5))
    return {"do": "emit", "value": encoded(value)}, {"ok": True, "text": dumped(value)}


def parse_case(rng):
    text = Documents(rng).document() if rng.random() < 0.6 else dumped(Values(rng).value(3))
    for _ in range(rng.randint(0, 3)):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(["", "\n", ":", " ", "- ", "'", '"', "[", "}", "#", "\t", "&", "*", "!", "%", "@", "|"]) + text[at + rng.randint(0, 2) :]
    try:
        return {"do": "parse", "text": text}, {"ok": True, "value": encoded(YAML(typ="safe").load(text))}
    except MarkedYAMLError as error:
        return {"do": "parse", "text": text}, refusal(error)


def round_case(rng):
    documents = Documents(rng)
    question = {"do": "round", "text": documents.document()}
    try:
        document = YAML().load(question["text"]) or {}
        if rng.random() < 0.6:
            wanted = documents.changed(YAML(typ="safe").load(question["text"]) or {})
            question["value"] = encoded(wanted)
            apply_diff(copy.deepcopy(wanted), document)
        return question, {"ok": True, "text": dumped(document)}
    except MarkedYAMLError as error:
        return question, refusal(error)


def main():
    kind, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    rng = random.Random(f"{kind} {seed}")
    case = {"emit": emit_case, "parse": parse_case, "round": round_case}[kind]
    while count:
        # Stock fails otherwise (dates have no encoding here, some comments overlap): such a case shows nothing.
        try:
            question, answer = case(rng)
        except (TypeError, ValueError, AttributeError, NotImplementedError, KeyError, AssertionError, IndexError, OverflowError):
            continue
        print(json.dumps({"question": question, "answer": answer}))
        count -= 1


if __name__ == "__main__":
    main()
