import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hpo
from hpo import Study
from hpo.errors import EnvironmentFault, UsageError
from hpo.files import read_document
from hpo.records import read_trials
from hpo.trials import export, form, select, table_of, trials_frame, write_csv

DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)


def csv_of(records) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    write_csv(table_of(records), stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_a_row_has_state_objective_metrics_costs_parameters_and_seed(make_record) -> None:
    record = make_record(3, 0.75, params={"optimizer.lr": 0.1, "model": "mlp"}, notes=["default"])
    (row,) = table_of([record]).rows()
    assert (row["trial"], row["state"], row["objective"], row["reason"]) == (
        3,
        "complete",
        0.75,
        None,
    )
    assert row["val/accuracy"] == 0.5
    assert (row["epochs_run"], row["n_parameters"], row["latency_ms"]) == (2.0, 100, 0.01)
    assert (row["optimizer.lr"], row["model"], row["seed"]) == (0.1, "mlp", 3)
    assert (row["config_sha256"], row["notes"]) == ("0" * 64, "default")
    assert list(row)[:4] == ["trial", "state", "reason", "objective"]


def test_a_parameter_that_a_trial_has_not_is_empty(make_record) -> None:
    records = [make_record(0, params={"a": 1}), make_record(1, params={"b": "x"})]
    first, second = table_of(records).rows()
    assert (first["a"], first["b"], second["a"], second["b"]) == (1, None, None, "x")
    assert [row["a"] for row in csv_of(records)] == ["1", ""]


def test_a_failed_trial_has_its_reason_and_no_costs_of_a_run(make_record) -> None:
    records = [make_record(0, None, reason="oom", what="out of memory\nin layer 3")]
    (row,) = table_of(records).rows()
    assert (row["state"], row["reason"], row["objective"]) == ("failed", "oom", None)
    assert (row["n_parameters"], row["seconds"]) == (None, 1.0)
    assert csv_of(records)[0]["what"] == "out of memory\nin layer 3"


def test_what_the_constraints_were_held_against_is_a_column(make_record) -> None:
    (row,) = table_of([make_record(0, measured={"latency_ms": 3.0}, violation=0.5)]).rows()
    assert (row["measured.latency_ms"], row["latency_ms"], row["violation"]) == (3.0, 0.01, 0.5)


def test_a_parameter_that_is_called_like_a_column_takes_nothing_away(make_record) -> None:
    (row,) = table_of([make_record(5, params={"seed": 9, "state": "=x", "trial": 1})]).rows()
    assert (row["seed"], row["param.seed"]) == (5, 9)
    assert (row["trial"], row["param.trial"], row["param.state"]) == (5, 1, "=x")


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://x")', "+1", "-1+1", "@SUM(A1)", "\t=1", "\r="]
)
def test_no_text_is_a_formula_and_numbers_stay_numbers(make_record, text: str) -> None:
    record = make_record(0, -0.5, params={text: text, "lr": -1e-3}, what=text, notes=[text])
    (row,) = csv_of([record])
    cells = [*row, row["what"], row["notes"], row["'" + text]]
    assert not [cell for cell in cells if cell.startswith(DANGEROUS)]
    assert row["what"] == "'" + text
    assert (row["objective"], row["lr"]) == ("-0.5", "-0.001")


@given(TEXTS, st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60))
def test_csv_comes_back_as_it_was(make_record, text: str, real: float, whole: int) -> None:
    params = {"text": text or None, "real": real, "whole": whole, "truth": True}
    (row,) = csv_of([make_record(0, params=params)])
    back = row["text"][1:] if row["text"].lstrip("'").startswith(DANGEROUS) else row["text"]
    assert back == text
    assert (float(row["real"]), int(row["whole"]), row["truth"]) == (real, whole, "True")


def test_of_many_only_the_best_or_those_of_a_state_are_selected(make_record) -> None:
    records = [
        make_record(0, 0.5),
        make_record(1, 0.9, state="pruned"),
        make_record(2, 0.7),
        make_record(3, None),
        make_record(4, 0.8, same_as=2),
    ]
    numbers = lambda **asked: [r.number for r in select(records, **asked)]  # noqa: E731
    assert numbers() == [0, 1, 2, 3, 4]
    assert numbers(states=("pruned", "failed")) == [1, 3]
    assert numbers(top=5, direction="maximize") == [2, 0]
    assert numbers(top=1, direction="minimize") == [0]
    assert numbers(top=1, direction="maximize", states=("pruned",)) == [1]


def test_columns_have_types_in_parquet(make_record, tmp_path) -> None:
    params = [
        {"whole": 1, "mixed": 1, "real": 1, "truth": True, "text": "=a"},
        {"mixed": "x", "real": 0.5, "none": None},
    ]
    records = [make_record(n, params=one) for n, one in enumerate(params)]
    export(table_of(records), "parquet", tmp_path / "t.parquet")
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert {name: types[name] for name in ("whole", "mixed", "real", "truth", "text", "none")} == {
        "whole": "int64",
        "mixed": "string",
        "real": "double",
        "truth": "bool",
        "text": "string",
        "none": "string",
    }
    assert (types["trial"], types["started_utc"]) == ("int64", "timestamp[ms, tz=UTC]")
    first, second = table.to_pylist()
    assert (first["text"], first["mixed"], second["mixed"]) == ("=a", "1", "x")
    assert (second["whole"], second["truth"]) == (None, None)


def test_a_study_without_trials_is_an_empty_table(tmp_path) -> None:
    for name in ("csv", "json", "parquet"):
        export(table_of([]), name, tmp_path / f"t.{name}")
    assert (tmp_path / "t.csv").read_text().startswith("trial,state,reason,objective,best_epoch")
    assert json.loads((tmp_path / "t.json").read_text()) == []
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 0


def test_a_frame_has_a_row_for_every_trial_and_proper_types(finished) -> None:
    frame = trials_frame(finished.folder.path)
    assert frame["trial"].tolist() == list(range(7))
    assert frame["objective"].tolist()[0] == finished.records[0].value
    assert frame["objective"].isna().sum() == 1
    kinds = {name: str(frame[name].dtype) for name in ("trial", "model.width", "state")}
    assert kinds == {"trial": "Int64", "model.width": "Int64", "state": "string"}
    assert str(frame["started_utc"].dtype).endswith("UTC]")
    assert frame["optimizer.adamw.lr"].min() > 0
    study = Study(space=read_document(finished.folder.study_file).values, results=finished.results)
    assert study.trials().equals(frame)
    assert hpo.trials_frame is trials_frame


def test_a_frame_of_nothing_says_so(tmp_path) -> None:
    with pytest.raises(UsageError, match="holds no study"):
        trials_frame(tmp_path)


def test_the_form_is_asked_for_or_told_by_the_file() -> None:
    plain = {"csv": False, "parquet": False, "as_json": False}
    assert form(None, **plain) is None
    assert form(None, **{**plain, "csv": True}) == "csv"
    assert form(Path("a.PARQUET"), **plain) == "parquet"
    assert form(Path("a.txt"), **{**plain, "as_json": True}) == "json"
    with pytest.raises(UsageError, match="exclude each other"):
        form(None, csv=True, parquet=True, as_json=False)
    with pytest.raises(UsageError, match="no terminal shows Parquet"):
        form(None, **{**plain, "parquet": True})
    with pytest.raises(UsageError, match=r"t\.xlsx: its ending does not say .*\.csv, \.parquet"):
        form(Path("t.xlsx"), **plain)


def test_parquet_without_pyarrow_names_the_extra(make_record, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hpo.extras.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'hpo\[parquet\]'"):
        export(table_of([make_record()]), "parquet", tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_the_users_mistake(make_record, tmp_path) -> None:
    with pytest.raises(UsageError, match="No such file or directory; name another"):
        export(table_of([make_record()]), "csv", tmp_path / "gone" / "t.csv")


def test_the_command_line_shows_a_table_of_80_columns(cli, finished, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = cli("trials", "tiny", "--results", finished.results)
    lines = said.out.splitlines()
    assert lines[0].split() == ["trial", "accuracy", "epoch", "time", "what"]
    assert len(lines) == 8
    assert max(map(len, lines)) <= 80
    assert said.err == "next: hpo trials tiny -o trials.csv     every column\n"
    top = cli("trials", "tiny", "--top", 1, "--results", finished.results).out.splitlines()
    assert len(top) == 2
    failed = cli("trials", "tiny", "--state", "failed", "--results", finished.results)
    assert len(failed.out.splitlines()) == 2
    wrong = cli("trials", "tiny", "--state", "faild", "--results", finished.results)
    assert (wrong.code, "did you mean 'failed'" in wrong.err) == (2, True)


def test_the_command_line_writes_the_same_to_standard_output_and_file(
    cli, finished, tmp_path
) -> None:
    place = ("--results", finished.results)
    rows = list(csv.DictReader(io.StringIO(cli("trials", "tiny", "--csv", *place).out)))
    assert [row["trial"] for row in rows] == [str(n) for n in range(7)]
    told = json.loads(cli("trials", "tiny", "--json", *place).out)
    assert (told["command"], len(told["result"])) == ("trials", 7)
    for name in ("a.csv", "a.json", "a.parquet"):
        said = cli("trials", "tiny", "-o", tmp_path / name, *place)
        assert (said.code, said.out, said.err) == (0, f"{tmp_path / name}\n", "")
    assert json.loads((tmp_path / "a.json").read_text()) == told["result"]
    written = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert list(csv.DictReader(io.StringIO(written, newline=""))) == rows
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert frame["objective"].tolist()[:1] == [told["result"][0]["objective"]]


def test_every_number_of_the_table_is_that_of_the_record(finished) -> None:
    rows = table_of(finished.records).rows()
    for record, row in zip(read_trials(finished.folder), rows, strict=True):
        assert row["objective"] == record.value
        if record.run is not None:
            assert {k: v for k, v in row.items() if k in record.run.metrics} == record.run.metrics


def test_many_trials_are_cut_in_the_terminal(make_record) -> None:
    from hpo.terminal.tables import trial_table_lines

    config = {"model": {"family": "mlp"}, "optimizer": {"name": "sgd", "lr": 0.1}}
    records = [make_record(n, what="\x1b[2J", config=config) for n in range(1_234)]
    lines = trial_table_lines(records, 80)
    assert (len(lines), lines[-1]) == (22, "… and 1,214 more")
    assert "\x1b" not in "".join(lines)
    assert len(trial_table_lines(records, 80, whole=True)) == 1_235
    assert trial_table_lines([], 80)[0].split() == ["trial", "objective", "epoch", "time", "what"]
