"""What an evaluation leaves in ``evaluation/``, and how it is read back; no torch."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hpo.errors import UsageError
from lightning_modules.evaluation.findings import Findings

EVALUATION_SCHEMA = "hpo.evaluation/1"
LOST = "move it away: the count of the openings before is lost"


class Opening(BaseModel):
    """One look at the test split."""

    model_config = ConfigDict(frozen=True, extra="allow")

    utc: str
    trial: int
    metrics: dict[str, float | None]


class Evaluation(BaseModel):
    """``evaluation/validation.json`` or ``test.json``: what the best config came to there."""

    model_config = ConfigDict(frozen=True)

    study: str
    trial: int
    split: str
    fold_of: int | None = Field(None, exclude_if=lambda n: n is None)
    """Of so many folds the first, whose network this is, and whose rows these are."""
    metric: str
    """The objective."""
    direction: str
    seed: int
    """Of the resamples."""
    config_sha256: str
    checkpoint_sha256: str
    created_utc: str
    figures: dict[str, str]
    """The pictures beside the file, by what they show."""
    findings: Findings
    openings: list[Opening]
    """Every opening of the test split so far, this one included; empty for validation."""

    @property
    def value(self) -> float | None:
        """The objective on this split."""
        return self.findings.metrics[self.metric]

    @property
    def opened(self) -> int:
        """How often the test split has been opened, this time included; 0 for validation."""
        return len(self.openings)

    def plain(self) -> dict[str, Any]:
        """Return the file's content: the findings stand beside everything else."""
        found = self.findings.plain()
        reasons: dict[str, str] = found.pop("null_because")
        if self.value is None:
            reasons = {"value": reasons[f"metrics.{self.metric}"], **reasons}
        head = self.model_dump(mode="json", exclude={"findings", "openings"})
        return {
            "schema": EVALUATION_SCHEMA,
            **head,
            "value": self.value,
            **found,
            "null_because": reasons,
            "opened": self.opened,
            "openings": [opening.model_dump(mode="json") for opening in self.openings],
        }


def read_evaluation(path: Path) -> Evaluation:
    """Read what `Evaluation.plain` wrote.

    Raises:
        UsageError: if the file is missing or damaged.
    """
    values = _read(path)
    found = {key: values.get(key) for key in Findings.model_fields}
    reasons = {k: v for k, v in (found["null_because"] or {}).items() if k != "value"}
    try:
        findings = Findings.model_validate({**found, "null_because": reasons})
        head = {key: values[key] for key in Evaluation.model_fields if key in values}
        return Evaluation.model_validate({**head, "findings": findings})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(str(path), f"is damaged ({where}: {first['msg']})", LOST) from None


def read_openings(path: Path) -> list[Opening]:
    """Return every opening of the test split that the file holds; none if there is no file.

    Raises:
        UsageError: if the file is damaged: an opening more would look like the first.
    """
    return list(read_evaluation(path).openings) if path.exists() else []


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(str(path), "no such file", "hpo evaluate STUDY writes it") from None
    except ValueError as error:
        raise UsageError(str(path), f"is damaged ({error})", LOST) from None
    if not isinstance(values, dict) or values.get("schema") != EVALUATION_SCHEMA:
        raise UsageError(str(path), f"is no {EVALUATION_SCHEMA}", LOST)
    return values
