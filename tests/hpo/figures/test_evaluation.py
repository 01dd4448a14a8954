import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from hpo.figures import FIGURES, draw
from hpo.figures.curves import steps
from hpo.figures.svg import PALETTE
from lightning_modules.evaluation.findings import Curve

SVG = "{http://www.w3.org/2000/svg}"
RESIDUALS = {
    "mean": 1.5,
    "sd": 2.0,
    "quantiles": {"0.25": -1.0, "0.75": 3.0},
    "edges": [-4.0, 0.0, 4.0],
    "counts": [2, 5],
    "pairs": [[1.0, 2.0], [3.0, 7.0]],
    "largest": [[3.0, 7.0]],
}

STEPS = [
    {"name": f"step {i}", "metrics": {"rmse": i + 2.0, "mae": i + 1.0}, "residuals": None}
    for i in range(3)
]


def words(picture: str) -> list[str]:
    """Return the texts that stand in a picture; it must be XML to be read."""
    return [one.text or "" for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_a_classification_has_four_pictures_and_a_regression_one(
    of_classes, make_evaluation
) -> None:
    assert list(draw(of_classes(["a", "b"]))) == ["confusion", "roc", "pr", "reliability"]
    assert list(draw(make_evaluation(residuals=RESIDUALS))) == ["residuals"]
    assert draw(make_evaluation()) == {}
    targets = [{"name": name, "metrics": {}, "residuals": RESIDUALS} for name in "abc"]
    assert list(draw(make_evaluation(per_target=targets))) == ["residuals"]
    steps = {"task": "forecasting", "residuals": RESIDUALS, "per_target": STEPS}
    assert list(draw(make_evaluation(**steps))) == ["residuals", "steps"]
    assert set(FIGURES) == {"confusion", "roc", "pr", "reliability", "residuals", "steps"}


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_every_picture_asks_a_question_and_answers_it(of_classes, make_evaluation, n: int) -> None:
    pictures = draw(of_classes([f"kind {i}" for i in range(n)]))
    pictures |= draw(make_evaluation(residuals=RESIDUALS))
    targets = [{"name": f"t{i}", "metrics": {}, "residuals": RESIDUALS} for i in range(n)]
    pictures["several"] = draw(make_evaluation(per_target=targets))["residuals"]
    pictures |= draw(make_evaluation(task="forecasting", per_target=STEPS * n))
    for picture in pictures.values():
        title, about, answer, *_ = words(picture)
        assert "?" in title
        assert about == "tiny, trial 3, test: 1,234 rows"
        assert answer.endswith(".")
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert root.findtext(f"{SVG}title") == title
        assert root.findtext(f"{SVG}desc") == f"{about} {answer}"


@pytest.mark.parametrize("n", [2, 3, 20, 21, 100, 300])
def test_everything_lies_inside_the_picture(of_classes, make_evaluation, n: int) -> None:
    names = [f"a very long name of a kind {i}" for i in range(n)]
    targets = [{"name": name * 4, "metrics": {}, "residuals": RESIDUALS} for name in names]
    several = draw(make_evaluation(task="forecasting", per_target=targets))
    for picture in [*draw(of_classes(names)).values(), *several.values()]:
        root = ElementTree.fromstring(picture)
        width, height = (float(root.get(key) or 0) for key in ("width", "height"))
        for one in root.iter(f"{SVG}text"):
            x, y = float(one.get("x") or -1), float(one.get("y") or -1)
            size = float(one.get("font-size") or 0)
            length = len(one.text or "") * size * 0.55
            if one.get("transform") is None:
                ends = {"start": (x, x + length), "end": (x - length, x)}.get(
                    str(one.get("text-anchor")), (x - length / 2, x + length / 2)
                )
                assert ends[0] >= 0, one.text
                assert ends[1] <= width, one.text
            assert 0 < y <= height - 4, one.text


@pytest.mark.parametrize(("n", "numbers"), [(2, True), (20, True), (21, False), (100, False)])
def test_the_cells_of_many_classes_hold_no_numbers(of_classes, n: int, numbers: bool) -> None:
    picture = draw(of_classes([f"kind {i}" for i in range(n)]))["confusion"]
    assert (words(picture).count("8") == n) is numbers
    assert ("kind 0 taken for kind 1: 2 of 10" in picture) is (n < 60)


def test_every_target_has_its_panel_up_to_eight(make_evaluation) -> None:
    targets = [{"name": f"t{i}", "metrics": {}, "residuals": RESIDUALS} for i in range(9)]
    texts = words(draw(make_evaluation(per_target=targets))["residuals"])
    assert [one for one in texts if one.startswith("t")] == [
        "tiny, trial 3, test: 1,234 rows",
        *(word for i in range(8) for word in [f"t{i}", "true"]),
    ]
    assert "8 of 9 targets, each in its own units." in texts


def test_the_errors_of_a_forecast_stand_by_step(make_evaluation) -> None:
    picture = draw(make_evaluation(task="forecasting", per_target=STEPS))["steps"]
    assert words(picture)[2] == "rmse 2 one step ahead, 4 at step 3."
    assert picture.count("<circle") == 6


def test_the_most_frequent_confusions_are_said_in_words(of_classes) -> None:
    answer = words(draw(of_classes(["cat", "dog", "cow"]))["confusion"])[2]
    expected = "cat taken for dog (2), dog taken for cow (2), cow taken for cat (2)"
    assert answer == f"Most often: {expected}."


def test_a_perfect_table_says_so(make_evaluation) -> None:
    picture = draw(make_evaluation(confusion=[[2, 0], [0, 3]], classes=["a", "b"]))["confusion"]
    assert words(picture)[2] == "No row is taken for another class."


def test_a_class_without_a_row_is_grey(make_evaluation) -> None:
    picture = draw(make_evaluation(confusion=[[2, 0], [0, 0]], classes=["a", "b"]))["confusion"]
    assert "<title>b: no rows</title>" in picture


HOSTILE = ['<script>alert("x")</script>', "a & b", "nul\x00 esc\x1b", "half \ud800", "鸢尾花" * 9]


def test_names_of_classes_cannot_break_a_picture(of_classes) -> None:
    for picture in draw(of_classes(HOSTILE)).values():
        root = ElementTree.fromstring(picture)
        tags = {one.tag.removeprefix(SVG) for one in root.iter()}
        shapes = {"rect", "text", "line", "polyline", "circle"}
        assert tags <= {"svg", "style", "title", "desc"} | shapes
        picture.encode("utf-8")
        assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"\son\w+=", picture)


@pytest.mark.parametrize("name", ["roc", "pr"])
def test_of_many_curves_the_worst_are_named(of_classes, name: str) -> None:
    few = words(draw(of_classes([f"kind {i}" for i in range(7)]))[name])
    many = words(draw(of_classes([f"kind {i}" for i in range(30)]))[name])
    assert [word for word in few if word.endswith("kind 6")]
    assert sum(bool(re.fullmatch(r"0\.6\d* {2}kind \d+", word)) for word in many) == len(PALETTE)
    assert "23 more, all higher" in many
    assert many[2].startswith("Worst: kind 0, ")


def test_precision_falls_in_steps() -> None:
    curve = Curve(name="a", x=[0.0, 0.5, 1.0], y=[1.0, 1.0, 0.5], area=0.75)
    points = steps(curve)
    assert points == [(0, 1), (0, 1), (0.5, 1), (0.5, 0.5), (1, 0.5)]
    assert sum((x2 - x1) * y1 for (x1, y1), (x2, _) in pairwise(points)) == curve.area


def test_confidence_is_held_against_accuracy_in_words(of_classes) -> None:
    answer = words(draw(of_classes(["a", "b"]))["reliability"])[2]
    told = (
        "82.5% sure on average, 43.8% right: too sure by 38.7%; expected calibration error 0.6625."
    )
    assert answer == told


def test_a_regression_says_how_far_off_it_is(make_evaluation) -> None:
    told = words(draw(make_evaluation(residuals=RESIDUALS))["residuals"])
    assert told[2] == "mean error 1.5, spread (sd) 2; half of the errors between -1 and 3."
    assert "0.5" not in told  # rows are counted in whole numbers
