"""Level 0: one byte anywhere, and the file that it is in is named. No torch."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import UsageError
from hpo.layout import StudyFolder
from hpo.verify.checks import Verification
from hpo.verify.verify import verify_best

Change = Callable[[dict[str, Any]], None]


def verify(folder: StudyFolder | Path, level: int = 0) -> Verification:
    place = folder.path if isinstance(folder, StudyFolder) else folder
    return verify_best(place, level=level)


def flip(path: Path, place: int | bytes = 0) -> None:
    """Change one byte of a file: at a place, or the first of some bytes in it."""
    content = bytearray(path.read_bytes())
    index = content.index(place) if isinstance(place, bytes) else place
    content[index] ^= 1
    path.write_bytes(bytes(content))


def rewrite(path: Path, change: Change) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_a_study_as_it_was_left_is_verified(copied: StudyFolder) -> None:
    done = verify(copied)
    assert (done.outcome, done.exit_code, done.levels) == ("verified", 0, [0])
    assert [check.name for check in done.checks] == [
        "schema",
        "config",
        "study file",
        "packages",
        "checkpoint",
        "record",
        "best trial",
        "settings",
    ]
    assert {check.outcome for check in done.checks} == {"equal"}


def test_one_byte_of_any_file_is_seen_and_the_file_is_named(copied: StudyFolder) -> None:
    best = json.loads(copied.best_config.read_text())
    trial = f"trials/{best['study']['trial']:04d}"
    value = repr(best["metric"]["value"]).encode()
    places = {
        "study.yaml": ("study file", 0),
        "environment.txt": ("packages", 7),
        f"{trial}/best.ckpt": ("checkpoint", 1000),
        f"{trial}/result.json": ("record", value),
        f"{trial}/curve.csv": ("curve", repr(best["metric"]["others"]["loss"]).encode()),
        "fingerprint.json": ("study", best["study"]["uuid"].encode()),
    }
    for name, (check, place) in places.items():
        before = (copied.path / name).read_bytes()
        flip(copied.path / name, place)
        done = verify(copied)
        first = done.first_difference
        assert first is not None, name
        assert (first.name, done.exit_code) == (check, 4), name
        assert Path(name).name in first.what or check == "study"
        (copied.path / name).write_bytes(before)
    assert verify(copied).exit_code == 0


@pytest.mark.parametrize("key", ["lr", "width", "seed", "max_epochs", "name"])
def test_one_byte_of_the_config_is_named(copied: StudyFolder, key: str) -> None:
    text = copied.best_config.read_bytes()
    start = text.index(f'"{key}": '.encode()) + len(key) + 4
    flip(copied.best_config, start + 1 if text[start : start + 1] == b'"' else start)
    done = verify(copied)
    assert done.first_difference is not None
    assert (done.first_difference.name, done.exit_code) == ("config", 4)
    assert "its hash is another: expected" in done.first_difference.what


def test_every_byte_of_the_config_counts(copied: StudyFolder) -> None:
    text = copied.best_config.read_bytes()
    start, end = text.index(b'"config": '), text.index(b'"config_sha256"')
    for place in range(start, end, 7):
        if text[place : place + 1].isspace():  # between the values: it says nothing
            continue
        flip(copied.best_config, place)
        done = verify(copied)
        assert done.exit_code == 4, text[place - 20 : place + 20]
        copied.best_config.write_bytes(text)


CLAIMS: dict[str, Change] = {
    "metric.value": lambda best: best["metric"].update(value=0.99),
    "metric.epoch": lambda best: best["metric"].update(epoch=2.5),
    "metric.others.loss": lambda best: best["metric"]["others"].update(loss=0.01),
    "metric.baseline.default_config": lambda best: best["metric"]["baseline"].update(
        default_config=0.1
    ),
    "training.n_parameters": lambda best: best["training"].update(n_parameters=1),
    "data.split_sha256": lambda best: best["data"].update(split_sha256="0" * 64),
    "seeds.trial": lambda best: best["seeds"].update(trial=5),
    "searched": lambda best: best.update(searched=[]),
    "study.trials.failed": lambda best: best["study"]["trials"].update(failed=0),
    "environment.device": lambda best: best["environment"].update(device="cuda:0"),
}


@pytest.mark.parametrize("path", CLAIMS)
def test_a_claim_that_the_records_do_not_bear_out_is_named(copied: StudyFolder, path: str) -> None:
    rewrite(copied.best_config, CLAIMS[path])
    first = verify(copied).first_difference
    assert first is not None
    assert first.what.startswith(f"{path} is ")
    assert " say" in first.what


def test_a_config_and_its_hash_changed_together_are_not_the_trials(copied: StudyFolder) -> None:
    from hpo.records import config_sha256

    def forge(best: dict[str, Any]) -> None:
        best["config"]["optimizer"]["lr"] = 0.5
        best["config_sha256"] = config_sha256(best["config"])

    rewrite(copied.best_config, forge)
    first = verify(copied).first_difference
    assert first is not None
    assert first.what.startswith("config.optimizer.lr is 0.5, but trials/")


def test_a_config_that_the_search_did_not_sample_is_named(copied: StudyFolder) -> None:
    """All records agree; the parameters that Optuna was told give another config."""
    trial = copied.trial(json.loads(copied.best_config.read_text())["study"]["trial"])
    rewrite(trial / "result.json", lambda record: record["params"].update({"model.width": 5}))
    first = verify(copied).first_difference
    assert first is not None
    assert first.name == "settings"
    assert first.what.startswith("model.width: study.yaml and the trial's parameters expected 5")


def test_a_better_trial_is_named(copied: StudyFolder, finished) -> None:
    best = finished.outcome.best.study["trial"]
    other = next(r.number for r in finished.records if r.has_rank and r.number != best)
    rewrite(copied.trial(other) / "result.json", lambda record: record["run"].update(value=0.999))
    first = verify(copied).first_difference
    assert first is not None
    assert (first.name, first.what[:24]) == ("best trial", f"trial {other} is better: 0.999")


DAMAGE = {
    "half of it": lambda text: text[: len(text) // 2],
    "no UTF-8": lambda text: text.replace(b'"summary": "', b'"summary": "\xff'),
    "a key twice": lambda text: text.replace(b'"searched"', b'"summary": "other", "searched"'),
    "NaN": lambda text: text.replace(b'"opened": 0', b'"opened": NaN'),
    "an infinite number": lambda text: text.replace(b'"opened": 0', b'"opened": 1e999'),
    "half a character": lambda text: text.replace(b'"summary": "', b'"summary": "\\ud800'),
    "no end of depth": lambda text: text.replace(b'"searched": [', b'"searched": ' + b"[" * 99999),
    "a key lacks": lambda text: text.replace(b'"uuid"', b'"uuie"'),
    "the schema": lambda text: text.replace(b"hpo.best_config/1", b"hpo.best_confih/1"),
    "a path outside": lambda text: text.replace(b'"trials/', b'"/rials/'),
    "no reason": lambda text: text.replace(b'"verified": "', b'"verifiee": "'),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_says_so_and_is_not_written_to(copied: StudyFolder, how: str) -> None:
    copied.best_config.write_bytes(DAMAGE[how](copied.best_config.read_bytes()))
    before = copied.best_config.read_bytes()
    done = verify(copied, level=1)
    assert done.first_difference is not None
    assert (done.first_difference.name, done.exit_code, done.levels) == ("schema", 4, [0])
    assert copied.best_config.read_bytes() == before


def test_another_kind_of_file_is_the_users_mistake(copied: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "other.json").write_text('{"a": 1}')
    for file, what in {
        copied.trial(0) / "result.json": r"is hpo.trial/1, no hpo.best_config/1",
        copied.study_file: r"is no best config",
        tmp_path / "list.json": r"is no hpo.best_config/1",
        tmp_path / "other.json": r"is no hpo.best_config/1",
        tmp_path / "nothing.json": r"no such file",
    }.items():
        with pytest.raises(UsageError, match=what):
            verify_best(file)
    with pytest.raises(UsageError, match=r"no study 'tinny'.*did you mean 'tiny'"):
        verify_best("tinny", results=copied.path.parent)
    with pytest.raises(UsageError, match="there is no level 4; 0 schema and hashes; 1"):
        verify_best(copied.path, level=4)


def test_a_moved_results_folder_is_verified(copied: StudyFolder, tmp_path: Path) -> None:
    shutil.move(copied.path.parent, tmp_path / "elsewhere")
    assert verify(tmp_path / "elsewhere" / "tiny").exit_code == 0


def test_a_copy_without_its_folder_is_verified_as_far_as_can_be(
    copied: StudyFolder, tmp_path: Path
) -> None:
    alone = tmp_path / "alone" / "best.json"
    alone.parent.mkdir()
    shutil.copy(copied.best_config, alone)
    done = verify(alone)
    assert (done.outcome, done.exit_code) == ("incomplete", 2)
    assert [check.name for check in done.checks if check.outcome == "equal"] == ["schema", "config"]
    assert [check.name for check in done.unchecked] == [
        "study file",
        "packages",
        "checkpoint",
        "record",
    ]
    assert "keep best_config.json in its study's folder" in done.unchecked[0].hint
    for text in (b"0.0", b'"lr": 0.0'):  # of the summary, and of the config
        before = alone.read_bytes()
        flip(alone, before.index(text) + len(text) - 1)
        assert verify(alone).exit_code == 4
        alone.write_bytes(before)


def test_a_file_in_another_studys_folder_is_of_another_study(copied: StudyFolder) -> None:
    rewrite(copied.fingerprint, lambda values: values.update(uuid="other"))
    first = verify(copied).first_difference
    assert first is not None
    assert first.what.startswith("the file is of another study: expected other, found ")


def test_a_checkpoint_that_is_gone_is_no_difference(copied: StudyFolder) -> None:
    (copied.path / json.loads(copied.best_config.read_text())["checkpoint"]["path"]).unlink()
    done = verify(copied)
    assert (done.exit_code, [check.name for check in done.unchecked]) == (2, ["checkpoint"])
    assert "hpo verify --level 2 compares it" in done.unchecked[0].hint
