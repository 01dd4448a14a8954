import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.best import BestConfig, wilson
from hpo.best_writer import BestWriter
from hpo.folder import create_folder
from hpo.layout import StudyFolder
from hpo.records import TrialRecord, read_record
from hpo.revise import revise_best
from hpo.seeds import SeedsRecord, write_seeds
from hpo.spec import StudySpec

MakeSpec = Callable[..., StudySpec]
MakeRecord = Callable[..., TrialRecord]
MakeTrial = Callable[..., TrialRecord]


@pytest.fixture
def make_trial(make_spec: MakeSpec, make_record: MakeRecord) -> MakeTrial:
    """Return a function to a record whose config is the tiny study's default one."""
    space = make_spec().space
    plain = space.resolve(space.defaults()[0].params).plain()

    def make(number: int, value: float | None, **fields: Any) -> TrialRecord:
        return make_record(number, value, config=plain, **fields)

    return make


@pytest.fixture
def writer(tmp_path: Path, make_spec: MakeSpec) -> BestWriter:
    """Return the writer of a tiny study whose folder is made."""
    spec, folder = make_spec(), StudyFolder(tmp_path)
    create_folder(folder, spec, {"data_sha256": "2" * 64, "split_sha256": "3" * 64})
    return BestWriter.of(spec, folder, metric="accuracy", direction="maximize")


STAMP = {
    "utc": "2026-11-21T00:00:00Z",
    "levels": [0, 1],
    "outcome": "verified",
    "what": "all",
    "machine": "one",
    "same_machine_class": True,
    "package": "hpo 0.1.0",
}


def described(writer: BestWriter) -> BestConfig:
    return read_record(writer.folder.best_config, BestConfig)


def write_seeds_of(folder: StudyFolder, records: list[TrialRecord], *, chosen: int) -> None:
    """Write what fresh seeds found of ``records``."""
    folder.evaluation.mkdir()
    configs = [
        {
            "trial": record.number,
            "is_default": False,
            "config_sha256": record.config_sha256,
            "search_value": record.value,
            "runs": [],
        }
        for record in records
    ]
    required = {name for name, field in SeedsRecord.model_fields.items() if field.is_required()}
    empty = dict.fromkeys(required)
    known = {"study": "tiny", "metric": "accuracy", "direction": "maximize", "seeds": []}
    times = {name: "2026-11-21T00:00:00Z" for name in empty if name.endswith("utc")}
    found = {"configs": configs, "chosen": chosen, "why": "fresh seeds"}
    write_seeds(folder, SeedsRecord.model_validate({**empty, **known, **times, **found}))


def written(writer: BestWriter) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = writer.folder.best_config.read_text()
    plain: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return plain


def test_nothing_is_written_before_a_trial_is_complete(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    assert (
        writer.write([make_trial(0, None), make_trial(1, 0.9, state="pruned")], time_s=1) is False
    )
    assert not writer.folder.best_config.exists()


def test_the_file_is_written_after_every_trial_and_says_who_is_best(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    records = [make_trial(0, 0.5, notes=["default"])]
    assert writer.write(records, time_s=1) is True
    records.append(make_trial(1, 0.25))
    assert writer.write(records, time_s=2) is False
    records.append(make_trial(2, 0.75))
    assert writer.write(records, time_s=3) is True
    plain = written(writer)
    assert plain["study"]["trial"] == 2
    assert plain["study"]["trials"] == {"complete": 3, "pruned": 0, "failed": 0}
    assert plain["metric"]["value"] == 0.75
    assert plain["metric"]["baseline"]["default_config"] == 0.5
    assert plain["study"]["budget"]["wall_seconds"] == 3
    assert plain["checkpoint"]["path"] == "trials/0002/best.ckpt"


def test_the_file_reads_back_equal(writer: BestWriter, make_trial: MakeTrial) -> None:
    records = [make_trial(0, 0.5)]
    writer.write(records, time_s=1)
    found = read_record(writer.folder.best_config, BestConfig)
    described = writer.describe(records[0], records, time_s=1, running=True)
    assert found.model_copy(update={"created_utc": ""}) == described.model_copy(
        update={"created_utc": ""}
    )


def test_an_evaluation_is_kept_while_the_same_trial_is_best(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    records = [make_trial(0, 0.5)]
    writer.write(records, time_s=1)
    evaluated = written(writer) | {"test": {"opened": 1, "value": 0.4}}
    writer.folder.best_config.write_text(json.dumps(evaluated))
    writer.write([*records, make_trial(1, 0.25)], time_s=2)
    assert written(writer)["test"] == {"opened": 1, "value": 0.4}
    assert "test.value" not in written(writer)["null_because"]
    writer.write([*records, make_trial(1, 0.75)], time_s=2)
    assert written(writer)["test"] == {"opened": 0, "value": None}
    assert "test.value" in written(writer)["null_because"]


def test_the_stamp_of_a_verification_is_kept_while_the_same_trial_is_best(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    records = [make_trial(0, 0.5)]
    writer.write(records, time_s=1)
    assert revise_best(
        writer.folder.best_config, of=described(writer), changes={"verified": STAMP}, reasons={}
    )
    assert "verified" not in written(writer)["null_because"]
    writer.write([*records, make_trial(1, 0.25)], time_s=2)
    assert written(writer)["verified"] == STAMP
    writer.write([*records, make_trial(1, 0.75)], time_s=2)
    assert written(writer)["verified"] is None
    assert "hpo verify" in written(writer)["null_because"]["verified"]


def test_the_stamp_is_of_the_weights_that_were_verified(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    writer.write([make_trial(0, 0.5)], time_s=1)
    looked_at = described(writer)
    revise_best(writer.folder.best_config, of=looked_at, changes={"verified": STAMP}, reasons={})
    checkpoint = {"path": "best.ckpt", "sha256": "f" * 64, "bytes": 3}
    writer.write([make_trial(0, 0.5, run={"checkpoint": checkpoint})], time_s=2)
    assert written(writer)["verified"] is None
    before = writer.folder.best_config.read_bytes()
    file = writer.folder.best_config
    assert not revise_best(file, of=looked_at, changes={"verified": STAMP}, reasons={})
    assert writer.folder.best_config.read_bytes() == before


def test_fresh_seeds_choose_among_the_trials_that_they_compared(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    records = [make_trial(0, 0.5), make_trial(1, 0.75)]
    write_seeds_of(writer.folder, records, chosen=0)
    writer.write(records, time_s=1)
    assert written(writer)["study"]["trial"] == 0
    records.append(make_trial(2, 0.8))
    writer.write(records, time_s=1)
    assert written(writer)["study"]["trial"] == 2


def test_the_file_says_whether_the_study_goes_on(writer: BestWriter, make_trial: MakeTrial) -> None:
    records = [make_trial(0, 0.5)]
    writer.write(records, time_s=1)
    assert written(writer)["study"]["still_running"] is True
    writer.catch_up(records, time_s=1)  # the supervisor that wrote it was killed
    assert written(writer)["study"]["still_running"] is False
    writer.folder.study_file.write_text(writer.folder.study_file.read_text() + "# larger\n")
    writer.catch_up(records, time_s=1)
    digest = hashlib.sha256(writer.folder.study_file.read_bytes()).hexdigest()
    assert written(writer)["study"]["file"]["sha256"] == digest


@pytest.mark.parametrize(
    ("value", "direction", "metric", "allowed"),
    [
        (0.9, "maximize", "accuracy", 1 / 30),
        (0.9, "maximize", "r2", 0.005),
        (54.3, "minimize", "rmse", 0.272),
        (0.0002, "minimize", "mse", 1e-6),
    ],
)
def test_another_machine_may_be_off_by_half_a_per_cent_or_by_one_row(
    writer: BestWriter,
    make_trial: MakeTrial,
    value: float,
    direction: str,
    metric: str,
    allowed: float,
) -> None:
    record = make_trial(0, value)
    other = BestWriter(**{**vars(writer), "metric": metric, "direction": direction})
    expect = other.describe(record, [record], time_s=1).expect
    assert expect["same_machine_abs"] == 0
    assert expect["other_machine_abs"] == pytest.approx(allowed, rel=0.01)


def test_an_opening_that_showed_no_value_is_kept_with_its_reason(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    records = [make_trial(0, 0.5)]
    writer.write(records, time_s=1)
    before = written(writer)
    reasons = {**before["null_because"], "test.value": "it is nan"}
    opened = {"test": {"opened": 1, "value": None}, "null_because": reasons}
    writer.folder.best_config.write_text(json.dumps(before | opened))
    writer.write([*records, make_trial(1, 0.25)], time_s=2)
    assert written(writer)["test"] == opened["test"]
    assert written(writer)["null_because"] == reasons


def test_trials_that_the_split_cannot_tell_apart_are_named(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    near = [make_trial(n, 0.9 - n / 100) for n in range(8)]
    note = writer.describe(near[0], near, time_s=1).study["rank_note"]
    expected = "trials 1, 2, 3, 4, 5 and more lie within the 95 % interval of the validation split"
    assert note == expected
    alone = writer.describe(near[0], near[:2], time_s=1).study["rank_note"]
    assert alone == "trial 1 lies within the 95 % interval of the validation split"
    far = [near[0], make_trial(1, 0.1), make_trial(2, 0.89, state="pruned")]
    assert writer.describe(far[0], far, time_s=1).study["rank_note"] is None


def test_the_interval_is_of_shares_only(writer: BestWriter, make_trial: MakeTrial) -> None:
    record = make_trial(0, 0.5)
    assert writer.describe(record, [record], time_s=1).metric["ci95_examples"] == wilson(0.5, 30)
    loss = BestWriter(**{**vars(writer), "metric": "log_loss", "direction": "minimize"})
    described = loss.describe(record, [record], time_s=1)
    assert described.metric["ci95_examples"] is None
    assert described.study["rank_note"] is None


def test_catching_up_writes_what_a_crash_kept_from_the_file(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    records = [make_trial(0, 0.5)]
    writer.catch_up(records, time_s=1)
    assert written(writer)["study"]["trial"] == 0
    before = writer.folder.best_config.read_bytes()
    writer.catch_up(records, time_s=9)
    assert writer.folder.best_config.read_bytes() == before
    writer.catch_up([*records, make_trial(1, 0.75)], time_s=9)
    assert written(writer)["study"]["trial"] == 1


def test_a_damaged_file_is_written_anew(writer: BestWriter, make_trial: MakeTrial) -> None:
    writer.folder.best_config.write_text('{"half')
    writer.catch_up([make_trial(0, 0.5)], time_s=1)
    assert written(writer)["study"]["trial"] == 0


def test_a_best_trial_without_a_run_is_a_bug_of_ours(
    writer: BestWriter, make_trial: MakeTrial
) -> None:
    failed = make_trial(0, None)
    with pytest.raises(TypeError, match="a best trial always has a run"):
        writer.describe(failed, [failed], time_s=1)


def test_a_metric_in_per_cent_is_no_share_and_stops_nothing(
    tmp_path: Path, make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    spec, folder = make_spec(), StudyFolder(tmp_path)
    create_folder(folder, spec, {"data_sha256": None, "split_sha256": None})
    writer = BestWriter.of(spec, folder, metric="val_acc", direction="maximize")
    records = [make_trial(0, 93.3), make_trial(1, 93.2)]
    described = writer.describe(records[0], records, time_s=1)
    assert described.metric["ci95_examples"] is None
    assert described.null_because["metric.ci95_examples"] == "val_acc is no share of rows"
    assert described.null_because["study.rank_note"] == "val_acc is no share of rows"
