"""The file that is handed on: its JSON Schema, and reading it with nothing but Python."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

import hpo
from hpo.best import BestConfig
from hpo.schema import best_config_schema
from hpo.sections import with_later

SHIPPED = Path(hpo.__file__).parent / "schemas" / "best_config.1.json"
READER = """
import hashlib, json, sys
best = json.load(open(sys.argv[1], encoding="utf-8"))
text = json.dumps(best["config"], sort_keys=True, separators=(",", ":"), allow_nan=False)
assert hashlib.sha256(text.encode()).hexdigest() == best["config_sha256"]
assert not {"hpo", "torch", "pydantic"} & set(sys.modules)
print(best["schema"], best["metric"]["value"], best["config"]["model"]["family"])
"""


@pytest.fixture
def plain(finished) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(finished.folder.best_config.read_text())
    return found


def test_the_shipped_schema_is_that_of_the_model() -> None:
    message = "hpo schema best-config > hpo/schemas/best_config.1.json"
    assert json.loads(SHIPPED.read_text()) == best_config_schema(), message
    Draft202012Validator.check_schema(best_config_schema())


def test_the_schema_takes_what_a_study_writes(plain) -> None:
    Draft202012Validator(json.loads(SHIPPED.read_text())).validate(plain)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every section and value that the schema knows, ``config`` as a whole."""
    if path:
        yield path
    open_ended = path[-1:] == ("by_batch",) or path in (
        ("config",),
        ("metric", "others"),
        ("null_because",),
        ("data", "n"),
    )
    strategies = (("study", "sampler"), ("study", "pruner"), ("environment", "packages"))
    if isinstance(value, dict) and not (open_ended or path in strategies):
        for key, below in value.items():
            yield from leaves(below, (*path, key))


def at(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path[:-1]:
        values = values[key]
    return values


LATER = {
    ("study", "still_running"),
    ("training", "flops"),
    ("training", "latency_ms", "by_batch"),
    ("environment", "cpu_features"),
    ("reproduce", "verify"),
    ("verified",),
}
"""Keys that the first files of this schema lack."""


def test_a_file_from_before_some_keys_were_thought_of_is_read() -> None:
    file = Path(hpo.__file__).parents[1] / "results/reference/fashion-mnist/best_config.json"
    first = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator(json.loads(SHIPPED.read_text())).validate(first)
    assert BestConfig.model_validate(first).metric["value"] == first["metric"]["value"]


def test_the_keys_that_may_lack_are_written(plain) -> None:
    assert {path for path in LATER if path[-1] not in at(plain, path)} == set()


def test_no_other_key_may_lack_and_none_may_have_another_type(plain) -> None:
    schema = Draft202012Validator(json.loads(SHIPPED.read_text()))
    for path in leaves(plain):
        for change in ("remove", "retype") if path not in LATER else ("retype",):
            damaged = copy.deepcopy(plain)
            section = at(damaged, path)
            if change == "remove":
                del section[path[-1]]
            else:
                section[path[-1]] = [{"another": "type"}]
            assert not schema.is_valid(damaged), (change, path)
            with pytest.raises(ValidationError):
                BestConfig.model_validate(damaged)


def test_numbers_are_not_read_from_text(plain) -> None:
    damaged = {**plain, "metric": {**plain["metric"], "value": "0.9"}}
    with pytest.raises(ValidationError, match="valid number"):
        BestConfig.model_validate(damaged)


def test_keys_of_a_later_version_are_kept(plain) -> None:
    later = {**plain, "new": 1, "metric": {**plain["metric"], "later": {"a": [1]}}}
    Draft202012Validator(json.loads(SHIPPED.read_text())).validate(later)
    kept = BestConfig.model_validate(later).model_dump(mode="json", by_alias=True)
    assert kept == later


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret", "trials/../../x", ""])
def test_a_path_that_leaves_the_folder_is_refused(plain, path: str) -> None:
    for section, key in (("checkpoint", "path"), ("environment", "freeze_file")):
        damaged = {**plain, section: {**plain[section], key: path}}
        with pytest.raises(ValidationError, match="is no path inside of the study's folder"):
            BestConfig.model_validate(damaged)


def test_python_reads_it_without_any_package(finished) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", READER, str(finished.folder.best_config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    best = finished.outcome.best
    assert done.stderr == ""
    assert done.stdout == f"hpo.best_config/1 {best.metric['value']} mlp\n"


def test_what_was_found_out_later_stays_with_its_reasons(plain) -> None:
    seeds = {"values": [0.5], "mean": 0.5, "sd": None, "ci95": None, "seeds": [7]}
    before = copy.deepcopy(plain)
    before["metric"]["seeds"] = seeds
    before["study"]["chosen_because"] = "fresh seeds"
    before["summary"] = "with seeds"
    before["verified"] = {"outcome": "verified"}
    before["environment"]["packages"] = {"torch": "2.10.0"}
    before["environment"]["git"] = None
    reasons = {path: "one seed" for path in ("metric.seeds.sd", "metric.seeds.ci95")}
    reasons["environment.git"] = "none then"
    before["null_because"] = {**plain["null_because"], **reasons}
    found = with_later(plain, before)
    assert (found["metric"]["seeds"], found["summary"]) == (seeds, "with seeds")
    assert found["study"]["chosen_because"] == "fresh seeds"
    assert found["verified"] == {"outcome": "verified"}
    assert found["environment"] == before["environment"]  # the study was resumed elsewhere
    assert found["null_because"]["environment.git"] == "none then"
    assert found["null_because"]["metric.seeds.sd"] == "one seed"
    assert {"verified", "metric.seeds"}.isdisjoint(found["null_because"])
    assert with_later(plain, plain) == plain
