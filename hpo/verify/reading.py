"""Read a best config that may have been tampered with: what is wrong with it is a finding."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpo.best import BEST_SCHEMA, BestConfig
from hpo.errors import UsageError
from hpo.reasons import SETTINGS, nulls_of
from hpo.records import config_sha256
from hpo.verify.checks import Check, differs, equal, told

OURS = ("hpo.trial/", "hpo.run/", "hpo.evaluation/", "hpo.seeds/", "hpo.fingerprint/")
RESTORE = "restore it from a copy, or remove it: the study's own command writes it anew"


def read_claimed(file: Path) -> tuple[BestConfig | None, list[Check]]:
    """Return the best config in ``file``, None if it is damaged, and the checks that show it.

    Raises:
        UsageError: if there is no such file, or it is another kind of file.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(str(file), "no such file", "name a best_config.json, or a study") from None
    except OSError as error:
        raise UsageError(str(file), str(error.strerror), "name a best_config.json") from None
    try:
        values = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_finite,
            parse_float=_finite,
        )
        json.dumps(values, ensure_ascii=False).encode("utf-8")  # refuses half a character
    except (ValueError, RecursionError) as error:
        if not data.lstrip().startswith(b"{"):
            hint = "name a best_config.json, or a study"
            raise UsageError(str(file), "is no best config", hint) from None
        return None, [differs(0, "schema", f"is damaged: no JSON ({error})", RESTORE)]
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(values, dict) or schema is None or str(schema).startswith(OURS):
        what = f"is {schema}, no {BEST_SCHEMA}" if schema else f"is no {BEST_SCHEMA}"
        raise UsageError(str(file), what, "name a best_config.json, or a study")
    return _validated(values)


def _validated(values: dict[str, Any]) -> tuple[BestConfig | None, list[Check]]:
    try:
        best = BestConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return None, [differs(0, "schema", f"{where}: {first['msg']}", RESTORE)]
    wrong = next(_unexplained(values), None)
    if wrong is not None:
        return best, [differs(0, "schema", wrong, RESTORE)]
    checks = [equal(0, "schema", f"{BEST_SCHEMA}, every null with its reason")]
    digest = config_sha256(best.config)
    if digest != best.config_sha256:
        what = f"its hash is another: {told(best.config_sha256, digest)}"
        return best, [*checks, differs(0, "config", what, RESTORE)]
    return best, [*checks, equal(0, "config", _first(digest))]


def _unexplained(values: dict[str, Any]) -> Iterator[str]:
    """Yield nulls without a reason, and reasons of values that are there."""
    described = {key: value for key, value in values.items() if key != SETTINGS}
    nulls, reasons = set(nulls_of(described)), set(values["null_because"])
    for path in sorted(nulls - reasons):
        yield f"{path} is null, and null_because does not say why"
    for path in sorted(reasons - nulls):
        yield f"null_because speaks of {path}, which is not null"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose keys come once: readers choose differently among several.

    Raises:
        ValueError: if one comes twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} comes twice")
    return found


def _finite(text: str) -> float:
    """Return a number; NaN and infinities are no JSON, and 1e999 is infinite.

    Raises:
        ValueError: if it is not finite.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _first(digest: str) -> str:
    return f"{digest[:12]}…"
