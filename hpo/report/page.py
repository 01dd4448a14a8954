"""The page: the parts of one or several studies in one self-contained file."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.errors import EnvironmentFault, UsageError
from hpo.files import write_text
from hpo.insight.audit import pooled
from hpo.insight.material import read_material
from hpo.insight.study import Insight
from hpo.layout import StudyFolder
from hpo.order import read_about
from hpo.records import now_utc
from hpo.report.charts import Chart
from hpo.report.fallback import picture
from hpo.report.foot import cost_part, failures_part, provenance_part, wrong_part
from hpo.report.luck import luck_part
from hpo.report.parts import Part
from hpo.report.result import gain_part, top_part, use_part
from hpo.report.search import (
    audit_part,
    importance_part,
    matrix_part,
    pooled_part,
    training_part,
)
from hpo.words import arrow, counts, duration, number

HERE = Path(__file__).parent
PARTS = (
    use_part,
    gain_part,
    top_part,
    luck_part,
    training_part,
    audit_part,
    importance_part,
    matrix_part,
    cost_part,
    wrong_part,
    failures_part,
    provenance_part,
)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number at the head of a study."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One study of the page."""

    key: str
    name: str
    state: str
    note: str
    """The user's own."""
    lead: str
    facts: tuple[Fact, ...]
    parts: tuple[Part, ...]
    sentences: tuple[str, ...]


def render(folders: StudyFolder | Sequence[StudyFolder]) -> str:
    """Return the report of one or several studies as HTML.

    Raises:
        UsageError: if a record is damaged.
    """
    some = [folders] if isinstance(folders, StudyFolder) else list(folders)
    return page([Insight(read_material(folder)) for folder in some])


def page(insights: Sequence[Insight]) -> str:
    """Return the report of studies that were read."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    chapters = [_chapter(insight, f"s{i}") for i, insight in enumerate(insights, start=1)]
    together: tuple[Part, ...] = ()
    if len(insights) > 1:
        together = (pooled_part(pooled([insight.audit for insight in insights])),)
    library = _inside(get_plotlyjs())
    script = _inside((HERE / "script.js").read_text(encoding="utf-8"))
    figures = _figures(chapters)
    return environment.get_template("page.html.j2").render(
        title=_title([chapter.name for chapter in chapters]),
        chapters=chapters,
        together=together,
        made=now_utc(),
        figures=Markup(inside_script({key: chart.plain() for key, chart in figures.items()})),
        stills={key: Markup(picture(chart)) for key, chart in figures.items()},
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        library=Markup(library),
        script=Markup(script),
        policy=policy(library, script),
        markup=Markup,
    )


def write_report(path: Path, html: str) -> None:
    """Write the page.

    Raises:
        UsageError: if there is no such folder, or the path is one.
    """
    if path.is_dir():
        raise UsageError(str(path), "is a folder", "name a file: -o report.html")
    if not path.parent.is_dir():
        raise UsageError(str(path), f"there is no folder {path.parent}", "make it first")
    if not os.access(path.parent, os.W_OK):
        raise EnvironmentFault(str(path.parent), "cannot be written", "name another place with -o")
    write_text(path, html)


def policy(*scripts: str) -> str:
    """Return a content policy under which these scripts run, and nothing else, from nowhere."""
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _chapter(insight: Insight, key: str) -> Chapter:
    material = insight.material
    tally = counts(material.records)
    state = f"{tally['complete']} complete, {tally['pruned']} pruned, {tally['failed']} failed"
    if material.running:
        state = f"still running: {state}"
    said = insight.conclusion
    return Chapter(
        key=key,
        name=material.name,
        state=state,
        note=read_about(material.folder, []).note,
        lead=f"{said.best} {said.gained}",
        facts=tuple(_facts(insight)),
        parts=tuple(make(insight) for make in PARTS),
        sentences=tuple(said.sentences),
    )


def _facts(insight: Insight) -> list[Fact]:
    material, found = insight.material, insight.gain
    best = material.best
    sign = arrow(material.direction)
    facts = [Fact(name=f"{material.metric} {sign}", value=number(best.value if best else None))]
    if found.gained is not None:
        note = f"default {number(found.against)}"
        facts.append(Fact(name="over the default", value=f"{found.gained:+.3g}", note=note))
    facts.append(Fact(name="trials", value=f"{len(material.records):,}"))
    if insight.audit.saved:
        facts.append(Fact(name="of epochs saved by pruning", value=f"{insight.audit.saved:.0%}"))
    if best is not None and best.run is not None:
        facts.append(Fact(name="parameters", value=f"{best.run.n_parameters:,}"))
    seconds = sum(record.seconds for record in material.records)
    facts.append(Fact(name="of training", value=duration(seconds)))
    return facts


def _figures(chapters: Sequence[Chapter]) -> dict[str, Chart]:
    return {
        f"{chapter.key}-{part.key}-{i}": chart
        for chapter in chapters
        for part in chapter.parts
        for i, chart in enumerate(part.charts)
    }


def _title(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]}: report"
    return f"{len(names)} studies: {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"


def inside_script(value: Any) -> str:
    """Return JSON for inside of a script element: no ``<`` in it can end it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(letter, code)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _inside(script: str) -> str:
    """Return a script of ours as it stands between its tags.

    Raises:
        ValueError: if it would end them: a bug of ours, or of the library's.
    """
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script cannot hold '</script' or '<!--' where it stands in a page")
    return script.replace("\r\n", "\n")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
