"""README does what it says, in the order in which it stands there, and so does the Chinese one."""

import re
from pathlib import Path

import pytest

from tests.docs.typist import ROOT, Typist, blocks_of, commands_of

README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
TABLE = "age,pressure,ward,outcome\n" + "".join(
    f"{20 + n % 60},{90 + (n * 7) % 50 if n % 9 else ''},{'abc'[n % 3]},"
    f"{'ill' if n % 60 > 25 else 'well'}\n"
    for n in range(120)
)
CHINESE_TEXT = re.compile(r"[\u4e00-\u9fff]")


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 260
    assert len(commands_of(README)) >= 15


@pytest.mark.slow
def test_every_command_of_the_readme_succeeds(typist: Typist) -> None:
    (typist.folder / "patients.csv").write_text(TABLE)
    fewer = {"run quickstart": ["--trials", "4"]}
    fewer["evaluate quickstart --seeds 5 --test"] = ["--seeds", "3"]
    typist.quick = lambda words: fewer.get(" ".join(words), [])
    typist.follow(README)
    assert (typist.folder / "digits.csv").read_text().count("\n") == 4
    assert (typist.folder / "predicted.csv").read_text().count("\n") == 121


def test_the_chinese_readme_has_the_same_blocks_in_the_same_order() -> None:
    assert blocks_of(CHINESE) == blocks_of(README)


def test_the_chinese_readme_has_the_same_links_in_the_same_order() -> None:
    english, chinese = links(README), links(CHINESE)
    assert (english[0], chinese[0]) == ("README.zh-CN.md", "README.md")
    assert chinese[1:] == english[1:]


def test_the_chinese_readme_has_the_same_sections_and_commands_in_its_text() -> None:
    sections = [prose(page).count("\n## ") for page in (README, CHINESE)]
    assert sections[0] == sections[1] >= 8
    inline = [
        sorted(set(re.findall(r"`(hpo [^`]+|--[^`]+)`", prose(p)))) for p in (README, CHINESE)
    ]
    assert inline[0] == inline[1]


def test_every_paragraph_of_the_chinese_readme_is_chinese() -> None:
    told = [part for part in prose(CHINESE).split("\n\n") if len(part) > 80]
    assert len(told) > 15
    assert [part for part in told if len(CHINESE_TEXT.findall(part)) < 10] == []
