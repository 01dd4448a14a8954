"""The alert rules are valid, speak of metrics that the service has, and fire when they should."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.files import read_document
from hpo.serve import exposition
from hpo.serve.options import Limits
from hpo.serve.tally import ROUTES
from hpo.ship.drift import ALERT, counts_of, psi, shares_of

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = read_document(FOLDER / "alerts.yml").values["groups"][0]["rules"]
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs Debian's package prometheus")


def rule(name: str) -> dict[str, Any]:
    (found,) = [one for one in RULES if one["alert"] == name]
    return found


def exported() -> set[str]:
    """Return the series that the service exports, by the names that Prometheus gives them."""
    source = Path(exposition.__file__).read_text(encoding="utf-8")
    found = set()
    for kind, name in re.findall(r"(\w+)MetricFamily\(\s*\"(\w+)\"", source):
        endings = {"Counter": ["_total"], "Gauge": [""], "Info": ["_info"]}
        found |= {name + end for end in endings.get(kind, ["_bucket", "_sum", "_count"])}
    return found | {"hpo_input_drift_psi", "hpo_prediction_drift_psi", "up"}


def promtool(*arguments: str) -> str:
    command = [str(PROMTOOL), *arguments]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_names_of_metrics_are_found() -> None:
    assert {"hpo_requests_total", "hpo_request_seconds_bucket", "hpo_ready_workers"} <= exported()
    assert "f\"hpo_{name.removesuffix('s')}_drift_psi\"" in Path(exposition.__file__).read_text()


@pytest.mark.parametrize("one", RULES, ids=lambda one: str(one["alert"]))
def test_a_rule_speaks_of_metrics_that_the_service_has(one: dict[str, Any]) -> None:
    named = set(re.findall(r"\b(?:hpo_\w+|up)\b", one["expr"]))
    assert named
    assert named <= exported()
    assert set(re.findall(r'route="([^"]+)"', one["expr"])) <= set(ROUTES)
    assert one["annotations"].keys() == {"summary", "action"}
    assert one["labels"]["severity"] in ("info", "warning", "critical")
    hints = set(re.findall(r"\bhpo_\w+", one["annotations"]["action"]))
    assert hints <= {name.removesuffix("_bucket") for name in exported()}


def test_the_limits_are_those_of_the_service() -> None:
    for name in ("HpoInputDrift", "HpoPredictionDrift"):
        assert rule(name)["expr"].endswith(f"> {ALERT}")
        assert rule(name)["for"] == "10m"
    assert rule("HpoWaiting")["expr"].endswith(f"> {Limits().queue // 2}")
    assert f"at {Limits().queue} it refuses" in rule("HpoWaiting")["annotations"]["action"]


def test_a_shifted_column_is_above_the_limit_and_an_unchanged_one_below() -> None:
    generator = np.random.default_rng(0)
    shares = shares_of("age", generator.normal(50, 10, 5000))
    limit = float(rule("HpoInputDrift")["expr"].rpartition("> ")[2])
    for mean, is_above in ((50, False), (56, True)):
        recent = generator.normal(mean, 10, 500)
        assert (psi(shares, counts_of(shares, recent)) > limit) is is_above


def test_every_rule_has_a_test_and_stands_in_the_guide() -> None:
    tests = (FOLDER / "alerts_test.yml").read_text(encoding="utf-8")
    guide = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    names = [one["alert"] for one in RULES]
    assert len(names) > 8
    assert [name for name in names if f"alertname: {name}" not in tests] == []
    assert [name for name in names if f"`{name}`" not in guide] == []


@needs_promtool
def test_promtool_takes_the_rules_and_the_configuration() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")


@needs_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
