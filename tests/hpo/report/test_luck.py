"""What fresh seeds and evaluations add to the page."""

import pytest

from hpo.evaluations import Evaluation
from hpo.files import write_json
from hpo.insight import Insight, read_material
from hpo.report import render
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord, write_seeds
from hpo.statistics import mean_interval, paired
from lightning_modules.evaluation.findings import ClassScores, Findings
from tests.hpo.report.reading import Page

EVIL = "<img src=x onerror=alert(1)>"


def config(trial: int, values: list[float | None], *, search: float) -> SeededConfig:
    runs = [
        SeedRun(
            seed=seed,
            value=value,
            test=None,
            failed=None if value is not None else EVIL,
            folder=f"evaluation/seeds/{trial:04d}-{seed}",
            checkpoint_sha256=None,
        )
        for seed, value in enumerate(values)
    ]
    return SeededConfig(
        trial=trial, is_default=trial == 0, config_sha256="0" * 64, search_value=search, runs=runs
    )


@pytest.fixture
def seeded(trial, write_study):
    """A study in which fresh seeds chose trial 1, though the search had put trial 2 first."""
    records = [trial(0, 0.5), trial(1, 0.8), trial(2, 0.81)]
    folder = write_study(records)
    best = {"study": {"trial": 1}, "metric": {"name": "accuracy", "direction": "maximize"}}
    write_json(folder.best_config, best)
    folder.evaluation.mkdir()
    one, other = [0.79, 0.80, 0.81], [0.50, 0.53, 0.50]
    record = SeedsRecord.model_validate(
        {
            "study": "tiny",
            "metric": "accuracy",
            "direction": "maximize",
            "seeds": [0, 1, 2],
            "configs": [
                config(1, one, search=0.8),
                config(2, [0.7, None, 0.72], search=0.81),
                config(0, other, search=0.5),
            ],
            "chosen": 1,
            "why": "trial 1 has the best mean",
            "gain": paired(one, other),
            "gain_test": paired([0.8, 0.81, 0.79], [0.6, 0.6, 0.6]),
            "worth": mean_interval(one),
            "optimism": mean_interval([0.01, 0.0, -0.01]),
            "as_of_utc": "2026-11-21T00:00:00Z",
            "created_utc": "2026-11-21T00:00:00Z",
        }
    )
    write_seeds(folder, record)
    return folder


def test_the_config_that_seeds_chose_is_the_one_to_use(seeded) -> None:
    insight = Insight(read_material(seeded))
    assert insight.material.best is not None
    assert insight.material.best.number == 1
    assert insight.conclusion.best.startswith("Use trial 1")
    assert "over 3 seeds" in insight.conclusion.best
    assert insight.gain.gained == pytest.approx(0.29)
    assert insight.gain.span is not None
    assert "0.29 better than the default config (0.5100; 95 %" in insight.conclusion.gained
    assert "3 paired seeds" in insight.conclusion.gained
    assert "on the test split +0.2 [+0.1752, +0.2248]" in insight.luck.sentence
    assert "real, not luck" in insight.luck.sentence


def test_every_seed_is_in_the_figure_and_its_data(seeded) -> None:
    page = Page(render(seeded))
    assert page.wrong == []
    rows = page.table("seeds.csv")
    assert len(rows) == 9
    assert [row["failed"] for row in rows if row["failed"]] == [EVIL]
    traces = page.figures["s1-luck-0"]["data"]
    drawn = [x for trace in traces if trace["name"] == "a seed" for x in trace["x"]]
    assert sorted(drawn) == [0.5, 0.5, 0.53, 0.7, 0.72, 0.79, 0.8, 0.81]
    assert "trial 1 has the best mean" in page.text


def evaluation(trial: int) -> Evaluation:
    names = ["a", EVIL]
    classes = [
        ClassScores(name=name, rows=5, found=5, precision=0.8, recall=0.8, f1=0.8) for name in names
    ]
    findings = Findings(
        task="multiclass", n_rows=10, metrics={"accuracy": 0.8, "f1": None},
        ci95={"accuracy": [0.5, 0.95], "f1": None}, resamples=1000, classes=names,
        per_class=classes, confusion=[[4, 1], [1, 4]], roc=None, pr=None, reliability=None,
        residuals=None, null_because={"metrics.f1": "no rows", "ci95.f1": "no rows"},
    )  # fmt: skip
    return Evaluation(
        study="tiny", trial=trial, split="test", metric="accuracy", direction="maximize", seed=0,
        config_sha256="0" * 64, checkpoint_sha256="1" * 64, created_utc="2026-11-21T00:00:00Z",
        figures={}, findings=findings,
        openings=[{"utc": "2026-11-21T00:00:00Z", "trial": trial, "metrics": {}}],
    )  # fmt: skip


def test_an_evaluation_of_the_best_shows_where_it_is_wrong(seeded) -> None:
    write_json(seeded.evaluated("test"), evaluation(1).plain())
    page = Page(render(seeded))
    assert page.wrong == []
    said = "accuracy 0.8000 on the test split of 10 rows [0.5000, 0.9500]; opened 1 time."
    assert said in page.text
    assert EVIL in page.text
    assert not any(tag == "img" for tag, _ in page.tags)
    assert [row["metric"] for row in page.table("metrics.csv")] == ["accuracy", "f1"]


def test_an_evaluation_of_another_trial_is_not_taken_for_that_of_the_best(seeded) -> None:
    write_json(seeded.evaluated("test"), evaluation(2).plain())
    text = Page(render(seeded)).text
    assert "has not been evaluated; the last evaluation is of trial 2" in text
    assert "hpo evaluate tiny --test" in text


def test_a_message_loses_the_places_of_the_machine(trial, write_study) -> None:
    what = "no such file: /home/somebody/data/a.csv"
    page = Page(render(write_study([trial(0, None, reason="error", what=what)])))
    assert "no such file: a.csv" in page.text
    assert "somebody" not in str(page.words) + str(page.table("failures.csv"))
