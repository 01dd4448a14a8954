"""What `hpo evaluate --seeds` says of its numbers."""

from pathlib import Path

from hpo.layout import StudyFolder
from hpo.reseed.evaluation import Reseeded
from hpo.reseed.judging import judged
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord
from hpo.statistics import Interval
from hpo.terminal.seeded import next_lines, seeded_lines


def _config(trial: int, values: list[float | None], search: float) -> SeededConfig:
    runs = [
        SeedRun(
            seed=seed,
            value=value,
            test=None,
            failed=None if value is not None else "nan: the loss is not finite",
            folder=f"evaluation/seeds/{trial:04d}-{seed}",
            checkpoint_sha256=None,
        )
        for seed, value in enumerate(values)
    ]
    return SeededConfig(
        trial=trial, is_default=trial == 0, config_sha256="", search_value=search, runs=runs
    )


def _record(*configs: SeededConfig, direction: str = "maximize") -> SeedsRecord:
    return judged(
        configs,
        study="tiny",
        objective=("accuracy", direction),
        seeds=range(len(configs[0].runs)),
        as_of_utc="",
    )


def _lines(record: SeedsRecord, *, before: int, opened: int | None = None) -> str:
    done = Reseeded(
        folder=StudyFolder(Path("results/tiny")),
        record=record,
        best_before=before,
        trained=4,
        ended=4,
        total=4,
        kept_bytes=1_500_000,
        opened=opened,
    )
    return "\n".join(seeded_lines(done, record))


CLEAR = (_config(7, [0.95, 0.96, 0.94], 0.97), _config(0, [0.81, 0.83, 0.82], 0.83))


def test_a_gain_beyond_chance_and_optimism_are_told_in_words() -> None:
    text = _lines(_record(*CLEAR), before=7)
    assert "trial 7 is better than the default by 0.1300 [0.1" in text
    assert "paired over 3 seeds: more than the luck of seeds" in text
    assert "its search value 0.9700 was 0.0200 [-0.0048, 0.0448] optimistic" in text
    assert "best_config.json stays trial 7:\n  trial 7 has the best mean" in text
    assert "kept: 4 runs, 1.5 MB in results/tiny/evaluation/seeds" in text


def test_a_gain_that_chance_could_make_is_no_gain() -> None:
    near = _config(0, [0.96, 0.94, 0.92], 0.9)
    text = _lines(_record(CLEAR[0], near), before=7)
    assert "paired over 3 seeds: the luck of seeds alone could do that" in text


def test_of_an_error_less_is_better_and_words_have_no_minus() -> None:
    low, high = _config(7, [0.41, 0.42, 0.40], 0.38), _config(0, [0.61, 0.63, 0.62], 0.6)
    text = _lines(_record(low, high, direction="minimize"), before=7)
    assert "trial 7 is better than the default by 0.2100 [0.1" in text
    assert "its search value 0.3800 was 0.0300 [0.0" in text
    assert "accuracy ↓" in text


def test_another_choice_is_told_with_the_one_before() -> None:
    lucky = _config(3, [0.90, 0.91, 0.92], 0.99)
    text = _lines(_record(lucky, *CLEAR), before=3)
    assert "best_config.json is trial 7 now; it was trial 3:" in text
    assert "trial 3, the best of the search with 0.9900, has 0.9100" in text


def test_a_default_that_wins_is_told_by_what_the_others_lose() -> None:
    record = _record(_config(7, [0.5, 0.51, 0.52], 0.6), CLEAR[1])
    tested = record.model_copy(update={"gain_test": record.gain})
    text = _lines(tested, before=7, opened=1)
    assert "the best other config is worse than the default by 0.3100" in text
    assert "opened once, the best other config is worse than the default by 0.3100" in text
    assert "\nthe default's search value 0.8300 was 0.0100 [-0.0148, 0.0348] optimistic\n" in text


def test_what_luck_made_of_the_choice_is_told() -> None:
    close = (_config(7, [0.90, 0.90, 0.99], 0.97), _config(3, [0.92, 0.92, 0.92], 0.95))
    text = _lines(_record(*close), before=7)
    assert "trial 7 counts as 0.9067" in text


def test_a_run_that_failed_is_named_with_its_reason_and_place() -> None:
    text = _lines(_record(CLEAR[0], _config(0, [0.8, None, 0.8], 0.8)), before=7)
    assert "✗ trial 0 seed 1: nan: the loss is not finite (evaluation/seeds/0000-1)" in text


def test_one_seed_tells_nothing_of_luck() -> None:
    text = _lines(_record(_config(7, [0.95], 0.97), _config(0, [0.8], 0.8)), before=7)
    assert "(one seed: no interval)" in text
    assert "better than the default by 0.1500: one seed tells no luck from merit" in text


def test_the_test_split_is_told_with_and_without_the_chance_in_its_rows() -> None:
    gain = Interval(mean=0.03, sd=0.01, low=0.02, high=0.04, n=3)
    record = _record(*CLEAR)
    tested = record.model_copy(
        update={
            "gain_test": record.gain,
            "gain_test_rows": Interval(**{**vars(gain), "low": -0.01, "high": 0.07}),
        }
    )
    text = _lines(tested, before=7, opened=2)
    assert "on the test split, opened 2 times by now, it is better than the default by" in text
    assert "  for rows never seen: +0.0300 [-0.0100, +0.0700] with the chance in the" in text


def test_the_next_command_opens_the_test_split_until_it_was() -> None:
    assert next_lines(_record(*CLEAR), " --results there", " --plugin own.py")[0].startswith(
        "next: hpo evaluate tiny --seeds 3 --test --results there --plugin own.py  "
    )
