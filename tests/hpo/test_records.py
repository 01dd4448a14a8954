import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import UsageError
from hpo.layout import StudyFolder
from hpo.records import (
    TrialRecord,
    attributes_of,
    config_sha256,
    ranked,
    read_record,
    read_trials,
    write_leaderboard,
    write_trial,
)
from lightning_modules.config import RunConfig
from lightning_modules.result import RunResult

MakeRecord = Callable[..., TrialRecord]


def written(folder: StudyFolder, *records: TrialRecord) -> None:
    for record in records:
        folder.trial(record.number).mkdir(parents=True)
        write_trial(folder, record)


def rows(folder: StudyFolder) -> list[dict[str, str]]:
    with folder.leaderboard.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_record_reads_back_equal(tmp_path: Path, make_record: MakeRecord) -> None:
    folder = StudyFolder(tmp_path)
    failed = make_record(1, None, reason="nan", what="non-finite loss", notes=["default"])
    done = make_record(2, 0.25, params={"a": 1, "b": "x", "c": None, "d": True, "e": 0.1})
    written(folder, failed, done)
    assert read_trials(folder) == [failed, done]


def test_a_record_says_its_schema_under_that_name(tmp_path: Path, make_record: MakeRecord) -> None:
    folder = StudyFolder(tmp_path)
    written(folder, make_record())
    plain = json.loads((folder.trial(0) / "result.json").read_text())
    assert plain["schema"] == "hpo.trial/1"
    assert "schema_name" not in plain


def test_a_folder_without_result_is_no_record(tmp_path: Path, make_record: MakeRecord) -> None:
    folder = StudyFolder(tmp_path)
    folder.trial(0).mkdir(parents=True)
    written(folder, make_record(1))
    assert [record.number for record in read_trials(folder)] == [1]


def test_keys_of_a_later_version_are_kept(tmp_path: Path, make_record: MakeRecord) -> None:
    path = tmp_path / "result.json"
    plain = make_record().model_dump(mode="json", by_alias=True)
    path.write_text(json.dumps({**plain, "later": [1]}))
    assert read_record(path, TrialRecord).model_dump()["later"] == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; check the path"),
        (b"{", "is damaged: no JSON; hpo doctor --repair mends the study"),
        (b"", "is damaged: no JSON; hpo doctor --repair mends the study"),
        (b"\xff\xfe", "is damaged: no JSON; hpo doctor --repair mends"),
        (b"{}", r"is no such record \(study: Field required\); run the study again"),
        (b"[]", r"is no such record \(: "),
        (b'{"schema": "hpo.trial/9"}', r"is no such record \(schema: Input should be 'hpo.trial/1"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "result.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_record(path, TrialRecord)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_record_with_nan_is_not_written(tmp_path: Path, make_record: MakeRecord) -> None:
    folder = StudyFolder(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        written(folder, make_record(seconds=math.nan))
    assert read_trials(folder) == []


def test_the_value_of_a_failed_trial_is_none(make_record: MakeRecord) -> None:
    assert make_record(0, None).value is None
    assert make_record(0, 0.25).value == 0.25


@pytest.mark.parametrize(("direction", "order"), [("maximize", [2, 0, 1]), ("minimize", [1, 0, 2])])
def test_complete_trials_rank_by_value(
    make_record: MakeRecord, direction: str, order: list[int]
) -> None:
    records = [make_record(0, 0.5), make_record(1, 0.1), make_record(2, 0.9)]
    assert [record.number for record in ranked(records, direction)] == order


def test_pruned_and_failed_trials_rank_last(make_record: MakeRecord) -> None:
    records = [
        make_record(0, None),
        make_record(1, 0.9, state="pruned"),
        make_record(2, 0.1),
        make_record(3, 0.95, state="pruned"),
    ]
    assert [record.number for record in ranked(records, "maximize")] == [2, 3, 1, 0]


def test_ties_go_to_the_smaller_network_then_to_the_lower_number(make_record: MakeRecord) -> None:
    sizes = [50, 10, 10, 70]
    records = [make_record(n, 0.5, run={"n_parameters": size}) for n, size in enumerate(sizes)]
    assert [record.number for record in ranked(records[::-1], "maximize")] == [1, 2, 0, 3]
    assert [record.number for record in ranked(records[::-1], "minimize")] == [1, 2, 0, 3]


@given(order=st.permutations(range(6)))
def test_the_ranking_does_not_depend_on_the_order_of_the_records(
    make_record: MakeRecord, order: list[int]
) -> None:
    records = [make_record(n, [0.5, 0.5, None, 0.1, 0.9, None][n]) for n in range(6)]
    shuffled = [records[n] for n in order]
    assert ranked(shuffled, "maximize") == ranked(records, "maximize")


def test_the_leaderboard_has_every_trial_best_first(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    folder = StudyFolder(tmp_path)
    records = [
        make_record(0, 0.5, params={"lr": 0.1}, notes=["default"]),
        make_record(1, None, reason="nan", params={"width": 8}),
        make_record(2, 0.75, params={"lr": 0.1, "width": 4}),
        make_record(3, 0.9, state="pruned", params={}),
    ]
    write_leaderboard(folder, records, direction="maximize", metric="accuracy")
    table = rows(folder)
    assert [row["trial"] for row in table] == ["2", "0", "3", "1"]
    assert [row["rank"] for row in table] == ["1", "2", "", ""]
    assert [row["accuracy"] for row in table] == ["0.75", "0.5", "0.9", ""]
    assert [row["reason"] for row in table] == ["", "", "", "nan"]
    assert [(row["lr"], row["width"]) for row in table] == [
        ("0.1", "4"),
        ("0.1", ""),
        ("", ""),
        ("", "8"),
    ]
    assert table[1]["notes"] == "default"
    assert table[0]["n_parameters"] == "100"


def test_a_value_in_the_leaderboard_reads_back_as_the_same_number(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    folder = StudyFolder(tmp_path)
    value = 0.1 + 0.2
    record = make_record(0, value, params={"lr": value})
    write_leaderboard(folder, [record], direction="maximize", metric="m")
    assert float(rows(folder)[0]["m"]) == value
    assert float(rows(folder)[0]["lr"]) == value


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x", "@A1", "\tx"])
def test_no_cell_of_the_leaderboard_is_a_formula(
    tmp_path: Path, make_record: MakeRecord, text: str
) -> None:
    folder = StudyFolder(tmp_path)
    record = make_record(params={"choice": text}, notes=[text])
    write_leaderboard(folder, [record], direction="maximize", metric="m")
    assert rows(folder)[0]["choice"] == "'" + text
    assert rows(folder)[0]["notes"] == "'" + text


def test_a_negative_number_stays_a_number_in_the_leaderboard(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    folder = StudyFolder(tmp_path)
    record = make_record(value=-1.5, params={"shift": -2})
    write_leaderboard(folder, [record], direction="minimize", metric="m")
    assert (rows(folder)[0]["m"], rows(folder)[0]["shift"]) == ("-1.5", "-2")


def test_the_hash_of_a_config_is_the_run_configs_own() -> None:
    config = RunConfig.model_validate(
        {"task": {"kind": "binary"}, "data": {"source": "iris"}, "model": {"family": "mlp"}}
    )
    assert config_sha256(config.plain()) == config.sha256()


def test_the_hash_of_a_config_knows_no_order_and_no_nan() -> None:
    assert config_sha256({"a": 1, "b": 2}) == config_sha256({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        config_sha256({"a": math.nan})


def test_a_record_of_before_costs_were_measured_is_still_read(make_record: MakeRecord) -> None:
    record = make_record(1)
    assert record.run is not None
    plain = record.run.plain()
    for name in ("flops", "latency", "train_seconds", "samples_per_second", "null_because"):
        del plain[name]
    assert RunResult.model_validate(plain) == record.run
    attributes = attributes_of(record)
    assert attributes["flops"] is attributes["latency_ms_64"] is None


def test_what_a_trial_costs_are_attributes_in_numbers(make_record: MakeRecord) -> None:
    run = {
        "flops": 1000,
        "latency": {"1": 0.5, "64": 2.5},
        "latency_ms": 0.5,
        "train_seconds": 4.0,
        "samples_per_second": 250.0,
    }
    shown = attributes_of(make_record(1, run=run))
    axes = ("n_parameters", "flops", "latency_ms", "latency_ms_64", "samples_per_second", "seconds")
    assert [shown[name] for name in axes] == [100, 1000, 0.5, 2.5, 250.0, 1.0]
    assert shown["train_seconds"] == 4.0
