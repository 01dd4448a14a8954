from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from hpo.figures.learning import Course, best_row, course_of, learning_figure
from hpo.records import TrialRecord

SVG = "{http://www.w3.org/2000/svg}"
MakeRecord = Callable[..., TrialRecord]


def rows(n: int = 20) -> list[dict[str, float]]:
    """Return validations of a run that is best in the middle and overfits behind it."""
    return [
        {
            "validation": i,
            "epoch": i,
            "objective": 0.9 - abs(i - n // 2) * 0.01,
            "val/loss": 1.0 + abs(i - n // 2) * 0.1,
            "train/loss": 2.0 / i,
            "train/accuracy": 0.5 + 0.02 * i,
        }
        for i in range(1, n + 1)
    ]


def course(found: list[dict[str, float]], **changes: object) -> Course:
    about = {"about": "tiny, trial 3, complete", "metric": "accuracy", "direction": "maximize"}
    return Course(rows=found, **{**about, "ended": "all epochs are trained", **changes})  # type: ignore[arg-type]


def words(picture: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_the_picture_marks_the_best_epoch_and_says_how_it_went_on() -> None:
    picture = learning_figure(course(rows()))
    title, about, value, after, *_ = words(picture)
    assert (title, about) == ("Did training go well?", "tiny, trial 3, complete")
    assert value == "accuracy 0.9 at epoch 10 of 20, the best; all epochs are trained."
    assert after == "After it the training loss fell, that of validation rose by 100%."
    names = {"validation accuracy", "training accuracy", "validation loss", "training loss"}
    assert names <= set(words(picture))
    marks = [one for one in ElementTree.fromstring(picture).iter(f"{SVG}line")]
    dashed = {one.get("x1") for one in marks if one.get("stroke-dasharray") == "3 3"}
    left = 66 + 290 * 9 / 19
    assert dashed == {f"{left:.1f}", f"{left + 290 + 84:.1f}"}


def test_a_picture_stays_small_however_long_the_run_was() -> None:
    short, long = (len(learning_figure(course(rows(n)))) for n in (20, 2000))
    assert short < 7_000
    assert long < 9_000


def test_the_last_validation_is_always_drawn() -> None:
    found = rows(101)
    found[-1]["objective"] = 0.111
    drawn = learning_figure(course(found))
    assert (
        ElementTree.fromstring(drawn)
        .findall(f"{SVG}polyline")[0]
        .get("points", "")
        .split()[-1]
        .startswith("356.0,")
    )  # the right edge


@pytest.mark.parametrize("n", [1, 2])
def test_very_short_runs_are_drawn_too(n: int) -> None:
    assert "validation accuracy" in words(learning_figure(course(rows(n))))


def test_a_module_of_the_users_own_shows_what_it_logged() -> None:
    found = [{"validation": 1, "epoch": 1, "objective": 0.5, "val_acc": 0.5, "val_loss": 2.0}]
    shown = words(learning_figure(course(found, metric="val_acc")))
    assert {"validation val_acc", "validation loss"} <= set(shown)
    assert "training loss" not in shown
    bare = [{"validation": 1, "epoch": 1, "objective": 0.5}]
    assert "validation loss" not in words(learning_figure(course(bare)))


def test_folds_are_told_apart_from_epochs() -> None:
    found = rows(3)
    shown = words(learning_figure(course(found, folds=True)))
    assert shown[0] == "How do the folds go?"
    assert shown[2] == "accuracy 0.88 , the mean of 3 folds; all epochs are trained.".replace(
        " ,", ","
    )
    assert "folds trained" in shown


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_equal_validations_that_of_the_least_loss_is_marked(direction: str) -> None:
    found = [{**row, "objective": 0.5} for row in rows()]
    assert best_row(course(found, direction=direction))["epoch"] == 10


def test_text_of_the_user_cannot_break_the_picture() -> None:
    hostile = '<script>alert("x")</script>&\x00'
    picture = learning_figure(course(rows(), about=hostile, metric=hostile, ended=hostile))
    assert {one.tag for one in ElementTree.fromstring(picture).iter()} <= {
        f"{SVG}{name}"
        for name in ("svg", "title", "desc", "style", "rect", "text", "line", "polyline", "circle")
    }
    assert "<script" not in picture


def test_a_record_says_how_its_training_ended(make_record: MakeRecord) -> None:
    def ended(**fields: object) -> str:
        record = make_record(3, **fields)
        return course_of(record, rows(), metric="accuracy", direction="maximize").ended

    assert ended() == "all epochs are trained"
    assert ended(run={"stopped_by": "pruner"}, state="pruned") == "the pruner stopped it"
    assert ended(value=None, reason="nan") == "failed: nan"
    folds = make_record(3, config={"data": {"folds": 3}})
    assert course_of(folds, rows(), metric="accuracy", direction="maximize").folds


def test_colours_turn_where_pages_are_dark_and_nothing_is_fetched() -> None:
    picture = learning_figure(course(rows()))
    style = picture[picture.index("<style>") : picture.index("</style>")]
    assert "prefers-color-scheme:dark" in style
    for colour in {one.get("fill") for one in ElementTree.fromstring(picture).iter(f"{SVG}text")}:
        assert f"[fill='{colour}']" in style
    assert picture.count("http") == 1  # the name of SVG itself
