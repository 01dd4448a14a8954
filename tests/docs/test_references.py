"""The written references are those of the code, and name all of it."""

import re

import pytest

from docs.site import ROOT, WRITTEN
from hpo.cli import app
from lightning_modules.data.config import SOURCES
from lightning_modules.families import FAMILIES
from lightning_modules.optim import OPTIMIZERS

STUDY = (ROOT / "docs" / "reference" / "study.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_is_what_the_code_says_today(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert page == WRITTEN[name](), f"{name} is old: make docs"


def test_every_family_optimizer_and_source_is_there() -> None:
    ours = [name for name, entry in FAMILIES.items() if not entry.whole]
    assert [name for name in ours if f"\n### {name}\n" not in STUDY] == []
    sources = [name for name, entry in SOURCES.items() if entry.loader]
    assert [name for name in (*sources, *OPTIMIZERS) if f"\n| `{name}` |" not in STUDY] == []


def test_every_verb_is_there_with_its_options() -> None:
    verbs = [one.name for one in app.registered_commands]
    assert len(verbs) > 25
    assert [verb for verb in verbs if f"\n### hpo {verb}\n" not in CLI] == []
    run = CLI[CLI.index("### hpo run\n") :].split("\n### ")[0]
    assert all(f"`{option}`" in run for option in ("--trials", "--set", "--workers", "--storage"))


def test_a_bound_stands_beside_its_key() -> None:
    section = STUDY[STUDY.index("## trainer\n") :].split("\n## ")[0]
    (row,) = re.findall(r"^\| `max_epochs` \|.*$", section, re.M)
    assert row == "| `max_epochs` | whole number ≥ 1 | `20` | Passes over the training rows. |"
