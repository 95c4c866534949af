"""YAML: what stock reads, writes and rewrites, ours does byte for byte.

Stock's half comes from `yaml_stock.py` in the environment of stock DVC; ours from the example program `yaml_round`.
`TRACKWAY_YAML_ROUND` names a built one; otherwise cargo runs it.
"""

import json
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
COUNT = 1000


def same(answer):
    """Floats by value: both sides write them in their own way."""
    if isinstance(answer, dict):
        return {key: repr(float(value)) if key == "float" else same(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [same(value) for value in answer]
    return answer


@pytest.mark.parametrize("kind", ["emit", "parse", "round"])
def test_random(kind, dvc_python, pytestconfig, tmp_path):
    differ = []
    asked = 0
    for seed in range(max(1, pytestconfig.getoption("--dvc-seeds") // 3)):
        stock = subprocess.run(
            [dvc_python, "-P", str(HERE / "yaml_stock.py"), kind, str(seed), str(COUNT)],
            capture_output=True, text=True, encoding="utf-8", check=True, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "0"},
        ).stdout
        cases = [json.loads(line) for line in stock.split("\n")[:-1]]
        built = os.environ.get("TRACKWAY_YAML_ROUND")
        ours = subprocess.run(
            [built] if built else "cargo run -q -p trackway-yaml --example yaml_round".split(),
            input="".join(json.dumps(case["question"]) + "\n" for case in cases),
            capture_output=True, text=True, encoding="utf-8", check=True, cwd=HERE,
        ).stdout
        answers = [json.loads(line) for line in ours.split("\n")[:-1]]
        assert len(answers) == len(cases) == COUNT
        asked += len(cases)
        for case, answer in zip(cases, answers):
            if kind == "round":
                answer.pop("value", None)
            if same(answer) != same(case["answer"]):
                differ.append((case["question"], case["answer"], answer))
    if differ:
        question, stock, ours = min(differ, key=lambda case: len(json.dumps(case[0])))
        pytest.fail(f"{len(differ)} of {asked} differ, for one\n{json.dumps(question)}\nstock: {stock}\nours:  {ours}\n")
