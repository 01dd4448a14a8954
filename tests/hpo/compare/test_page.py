import re
from html.parser import HTMLParser
from pathlib import Path

from hpo.compare import compare, page
from hpo.layout import StudyFolder

SCRIPT = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    tags.close()
    return tags


def test_the_page_says_what_the_command_says(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b", n_parameters=50)
    reseed(a, [0.91, 0.92, 0.93])
    reseed(b, [0.81, 0.83, 0.82])
    found, done = read(page([a, b])), compare([a, b])
    (verdict,) = done.verdicts
    assert verdict.sentence in found.text
    assert all(remark in found.text for remark in verdict.remarks)
    assert "a and b may be compared: they have the same data, split" in found.text
    assert "0.9200 ±0.01" in found.text
    assert [tag for tag, _ in found.tags].count("svg") == 2


def test_the_page_has_no_script_and_asks_nothing_of_the_network(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b")
    reseed(a, [0.91, 0.92, 0.93])
    reseed(b, [0.81, 0.83, 0.82])
    found = read(page([a, b]))
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "form", "a", "base"}
    assert not [
        k for _, values in found.tags for k in values if k.startswith(("on", "style", "src"))
    ]


def test_what_studies_are_called_and_contain_stays_text(make_study, tmp_path: Path) -> None:
    a = make_study("a", plugins={f"{SCRIPT}.py": "5" * 64})
    named = tmp_path / "results" / "<img src=x onerror=alert(1)>"
    make_study("b").path.rename(named)
    b = StudyFolder(named)
    text = b.study_file.read_text()
    b.study_file.write_text(text.replace("batch_size: 60", f"batch_size: '{SCRIPT}'"))
    shown = page([a, b])
    assert SCRIPT in read(shown).text
    assert "<script" not in shown
    assert "<img" not in shown


def test_of_studies_that_cannot_be_compared_the_page_says_so_and_draws_nothing(make_study) -> None:
    found = read(page([make_study("a"), make_study("b", data={"sha256": "9" * 64})]))
    assert "which study is better cannot be said" in found.text
    assert "svg" not in {tag for tag, _ in found.tags}


def test_studies_without_values_have_a_page(make_study) -> None:
    shown = page([make_study("a", (None,)), make_study("b", (None,))])
    assert "a and b: no value yet" in read(shown).text
    assert not re.search(r"\b(nan|None)\b", read(shown).text)
