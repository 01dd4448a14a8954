"""Every command of tutorials, how-to pages and explanations does what it says, with few rows."""

from pathlib import Path

import pytest

from hpo.files import parse_document
from hpo.spec import check_document
from tests.docs.typist import ROOT, Typist, blocks_of, commands_of

TUTORIALS = sorted(ROOT.glob("docs/tutorials/*.md"))
OTHERS = [*ROOT.glob("docs/how-to/*.md"), *ROOT.glob("docs/explanations/*.md")]
PAGES = [*TUTORIALS, *sorted(OTHERS)]
TYPED = [page for page in PAGES if commands_of(page)]


def test_there_is_a_tutorial_for_every_kind_of_task() -> None:
    assert len(TUTORIALS) >= 7
    assert all(len(commands_of(page)) >= 5 for page in TUTORIALS)


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_every_command_of_a_page_succeeds(page: Path, typist: Typist) -> None:
    typist.follow(page)


def test_every_study_file_that_a_page_shows_can_be_read() -> None:
    files = [one for page in TUTORIALS for one in blocks_of(page) if one.title.endswith(".yaml")]
    assert len(files) >= 2
    for one in files:
        assert check_document(parse_document(one.text, one.title)).space.parameters()
