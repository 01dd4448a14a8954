import re

import pytest

from hpo.compare import compare
from hpo.compare.figures import differences_figure, searches_figure


def texts(svg: str | None) -> list[str]:
    assert svg is not None
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_every_interval_has_its_row_and_the_answer_is_in_words(make_study, reseed) -> None:
    folders = [make_study(name) for name in "abc"]
    for folder, values in zip(folders, ([0.91, 0.92, 0.93], [0.92, 0.93, 0.91]), strict=False):
        reseed(folder, values)
    said = texts(differences_figure(compare(folders)))
    assert "How large are the differences?" in said
    assert "A winner is named in 0 of 1: there the interval leaves 0 out." in said
    assert "a – b" in said
    assert "a – c" not in said
    assert "difference in accuracy ↑" in said


def test_without_an_interval_there_is_no_picture_of_differences(make_study) -> None:
    assert differences_figure(compare([make_study("a"), make_study("b", (0.8, 0.95))])) is None


@pytest.mark.parametrize(
    ("at", "words", "budget"),
    [
        ("trials", "trials ended", "2 trials"),
        ("epochs", "epochs", "4 epochs"),
        ("seconds", "seconds of training", "2.0s"),
    ],
)
def test_the_searches_are_drawn_against_what_they_spent(make_study, at, words, budget) -> None:
    done = compare([make_study("a", (0.5, 0.7, 0.6, 0.9)), make_study("b")], at=at)
    figure = searches_figure(done)
    said = texts(figure)
    assert words in said
    assert f"The dashed line is the equal budget: {budget}." in said
    assert {"a", "b"} <= set(said)
    # Where a better value came: three times and twice.
    assert figure is not None
    assert figure.count("<circle") == 5


def test_a_search_without_a_value_draws_nothing(make_study) -> None:
    assert searches_figure(compare([make_study("a", (None,)), make_study("b", (None,))])) is None
    one = texts(searches_figure(compare([make_study("c", (None, 0.7)), make_study("d", (None,))])))
    assert {"c", "d"} <= set(one)
