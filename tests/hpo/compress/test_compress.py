"""A model made smaller is a model file like any other; what is worse or no smaller is refused."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from hpo.compress.asking import Ask
from hpo.compress.compress import compress_model
from hpo.compress.files import read_original
from hpo.compress.material import Material, material_of
from hpo.compress.outcome import Compressed, Form
from hpo.ensemble.making import Ask as Members
from hpo.ensemble.making import make_ensemble
from hpo.errors import EnvironmentFault, RefusedError, UsageError
from hpo.export.export import Wanted, export
from hpo.export.rows import open_rows
from hpo.layout import StudyFolder
from hpo.local import local_config
from hpo.predict.onnx_file import OnnxPredictor
from hpo.predict.opening import open_predictor
from hpo.ship.seal import read_model
from lightning_modules.plugins import load_plugin
from tests.conftest import Command
from tests.hpo.compress.conftest import trained


def ask(model: Path, **changes: Any) -> Ask:
    return replace(Ask(model=str(model), results=model.parent), **changes)


def compressed(model: Path, **changes: Any) -> Compressed:
    return compress_model(ask(model, **changes), tell=lambda _: None)


def form(done: Compressed, name: str) -> Form:
    return next(one for one in done.forms if one.name == name)


def exported(run: Path, file: Path, *sets: str) -> Path:
    wanted = Wanted(output=file, sets=sets)
    return export(str(run), wanted, results=run.parent, say=lambda _: None).file


def material(file: Path) -> Material:
    manifest = read_original(file).manifest
    return material_of(manifest, local_config(manifest.config, file))


@pytest.fixture(scope="session")
def mlp_file(mlp_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(mlp_run, tmp_path_factory.mktemp("mlp_file") / "digits.onnx")


@pytest.fixture(scope="session")
def cnn_file(cnn_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(cnn_run, tmp_path_factory.mktemp("cnn_file") / "digits.onnx")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a network of so few weights that int8 takes more room."""
    model = {"family": "mlp", "layers": [8]}
    return trained(tmp_path_factory.mktemp("tiny") / "run", model=model)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a CSV with categories, dates and missing values, which is not where it was."""
    folder = tmp_path_factory.mktemp("table")
    draw = np.random.default_rng(0)
    age, colour = draw.normal(40, 10, 400), draw.choice(["red", "blue", ""], 400)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 300, 400), "D")
    label = np.where((age > 40) ^ (colour == "red"), "yes", "no")
    frame = pd.DataFrame({"age": age.round(2), "colour": colour, "day": day, "label": label})
    frame.loc[::17, "age"] = None
    frame.to_csv(folder / "before.csv", index=False)
    data = {"source": "csv", "path": str(folder / "before.csv"), "target": "label"}
    model = {"family": "mlp", "n_layers": 2, "width": 64}
    trained(folder / "run", task={"kind": "binary"}, data=data, model=model)
    (folder / "before.csv").rename(folder / "after.csv")
    return folder


def test_all_forms_of_a_run_are_measured_and_those_that_pass_are_kept(
    mlp_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    done = compressed(mlp_run, output=tmp_path / "out", max_drop=0.05)
    assert [one.name for one in done.forms] == [
        "original",
        "dynamic-int8",
        "static-int8",
        "fp16",
        "pruned",
    ]
    assert done.not_made == {}
    first = done.forms[0]
    assert first.file is None
    assert all(one.kept and one.size_bytes < 0.6 * first.size_bytes for one in done.forms[1:])
    assert all(one.one.p99_ms >= one.one.p50_ms > 0 for one in done.forms)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"run.{one.name}.onnx{end}" for one in done.forms[1:] for end in ("", ".md")
    )
    assert list(scratch.iterdir()) == []


def test_a_kept_file_is_sealed_and_says_how_it_was_made_and_its_own_score(
    cnn_file: Path, tmp_path: Path
) -> None:
    done = compressed(cnn_file, method="dynamic", output=tmp_path / "small.onnx", max_drop=0.05)
    file = tmp_path / "small.onnx"
    assert [one.file for one in done.kept] == [str(file)]
    assert len(read_model(file)) == form(done, "dynamic-int8").size_bytes
    before, after = (OnnxPredictor.open(path).manifest for path in (cnn_file, file))
    assert after.compressed == "dynamic-int8"
    assert (after.inputs, after.fitted, after.classes) == (
        before.inputs,
        before.fitted,
        before.classes,
    )
    assert [score.split for score in after.scores] == ["validation"]
    rows = material(cnn_file)
    found = np.concatenate(
        [OnnxPredictor.open(file).session.run(None, feeds)[0] for feeds in rows.validation]
    )
    accuracy = float((found.argmax(1) == rows.truth.targets.numpy()).mean())
    assert after.scores[0].value == pytest.approx(accuracy)
    assert after.scores[0].n_rows == len(found)
    assert after.scores[0].ci95 is not None
    text = file.with_name("small.onnx.md").read_text()
    assert "made smaller (dynamic-int8)" in text
    assert "compared with the original" in text


def test_it_is_predicted_from_like_the_original(table: Path, tmp_path: Path) -> None:
    place = f"data.path={table / 'after.csv'}"
    done = compressed(
        table / "run", output=tmp_path / "out", overrides=[place], max_drop=0.2, sparsity=0.3
    )
    assert len(done.kept) == 4
    run = open_predictor(table / "run")
    raw = pd.DataFrame(
        {
            "age": [40.5, np.nan, 30.0],
            "colour": np.array(["red", None, "never seen"], dtype=object),
            "day": pd.to_datetime(["2024-02-01", None, "2024-05-05"]),
        }
    )
    expected = run.outputs(raw)
    for one in done.kept:
        found = open_predictor(Path(str(one.file))).outputs(raw)
        assert found.shape == (3, 2)
        if one.name != "pruned":
            assert np.abs(found - expected).max() < 0.05


def test_ranges_are_seen_on_training_rows_alone(mlp_file: Path) -> None:
    rows = material(mlp_file)
    manifest = read_original(mlp_file).manifest
    config = local_config(manifest.config, mlp_file)
    data = open_rows(config, manifest.fitted, recorded=manifest.hashes)

    def images(places: Any) -> set[bytes]:
        return {np.float32(image).tobytes() for image in np.asarray(data.rows(places))}

    seen = {image.tobytes() for feeds in rows.calibration for image in feeds["images"]}
    assert len(seen) > 400
    assert seen <= images(data.places("train"))
    assert not seen & (images(data.split.validation) | images(data.split.test))
    judged = {image.tobytes() for feeds in rows.validation for image in feeds["images"]}
    assert judged == images(data.split.validation)


def test_a_form_that_is_worse_is_refused_and_nothing_is_written(
    mlp_run: Path, tmp_path: Path
) -> None:
    done = compressed(
        mlp_run, method="prune", sparsity=0.97, max_drop=0.02, output=tmp_path / "p.onnx"
    )
    assert not done.kept
    assert form(done, "pruned").words.startswith("refused: accuracy is worse by 0.")
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_is_larger_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    done = compressed(tiny_run, method="static", output=tmp_path / "s.onnx", max_drop=1)
    one = form(done, "static-int8")
    assert one.size_bytes >= done.forms[0].size_bytes
    assert one.words == "refused: larger than the original"
    assert not (tmp_path / "s.onnx").exists()


def test_of_all_forms_those_that_cannot_be_made_are_named(mlp_file: Path, tmp_path: Path) -> None:
    done = compressed(mlp_file, output=tmp_path / "out", max_drop=0.05)
    assert set(done.not_made) == {"pruned"}
    assert "best_config.json" in done.not_made["pruned"]
    assert len(done.kept) == 3


OWN = """
import torch
import hpo

@hpo.family("gated", takes=["image"])
def gated(input_shape, n_outputs, *, width: int = 64):
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 2 * width), torch.nn.GLU(),
        torch.nn.Linear(width, n_outputs),
    )
"""


@pytest.mark.usefixtures("registries")
def test_of_a_network_of_the_users_own_nothing_is_pruned_and_nothing_is_trained_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    load_plugin(str(tmp_path / "own.py"))
    run = trained(tmp_path / "run", model={"family": "gated"})
    monkeypatch.setattr("hpo.compress.making.prune", None)
    done = compressed(run, output=tmp_path / "out", max_drop=1)
    assert "gated is a network of your own" in done.not_made["pruned"]
    assert {one.name for one in done.kept} >= {"dynamic-int8", "fp16"}
    with pytest.raises(UsageError, match="--method prune: gated is a network of your own"):
        compressed(run, method="prune", output=tmp_path / "p.onnx")
    assert not (tmp_path / "p.onnx").exists()


def test_a_pruned_recurrent_network_is_smaller_and_predicts(tmp_path: Path) -> None:
    run = trained(
        tmp_path / "run",
        task={"kind": "binary"},
        data={"source": "sentences", "n_rows": 300},
        model={"family": "lstm", "width": 32},
        trainer={"max_epochs": 2, "batch_size": 32, "accelerator": "cpu"},
    )
    done = compressed(run, method="prune", max_drop=1, output=tmp_path / "p.onnx")
    first, one = done.forms
    assert one.size_bytes < 0.5 * first.size_bytes
    predictor = open_predictor(tmp_path / "p.onnx")
    assert predictor.outputs(pd.DataFrame({"text": ["it was good", "bad", None]})).shape == (3, 2)


def test_of_an_ensemble_nothing_is_pruned(copied: StudyFolder, tmp_path: Path) -> None:
    make_ensemble(copied, Members(method="mean", top=3, keep=True))
    done = compressed(copied.combined, output=tmp_path / "out")
    assert "prune one member" in done.not_made["pruned"]
    assert set(done.not_made) == {"dynamic-int8", "static-int8", "fp16", "pruned"}  # all tiny
    with pytest.raises(UsageError, match="an ensemble is several networks"):
        compressed(copied.combined, method="prune", output=tmp_path / "p.onnx")
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_drop": float("nan")}, "--max-drop: is nan"),
        ({"sparsity": 1.0}, "--sparsity: is 1.0"),
        ({"sparsity": 0.5, "method": "dynamic"}, "--sparsity: goes with --method prune"),
        ({"sparsity": 0.5}, "--sparsity: goes with --method prune"),
        ({"method": "prune"}, "--method prune: trains the network further"),
        ({"overrides": ["optimizer.lr=1"]}, "--set: optimizer.lr has no effect"),
        ({"method": "fp16", "output": Path("small.bin")}, "expected .onnx"),
        ({"method": "fp16", "output": Path("nowhere/small.onnx")}, "mkdir -p nowhere"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_refused(
    mlp_file: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        compressed(mlp_file, **changes)


def test_the_original_and_what_is_no_model_are_not_written_over(
    mlp_file: Path, tmp_path: Path
) -> None:
    before = mlp_file.read_bytes()
    with pytest.raises(UsageError, match="is the original itself"):
        compressed(mlp_file, method="fp16", output=mlp_file)
    assert mlp_file.read_bytes() == before
    (tmp_path / "precious.onnx").write_text("mine")
    with pytest.raises(UsageError, match="no model file of hpo's"):
        compressed(mlp_file, method="fp16", output=tmp_path / "precious.onnx")
    with pytest.raises(UsageError, match="is no folder"):
        compressed(mlp_file, output=tmp_path / "precious.onnx")


def test_a_file_that_is_no_sound_original_is_refused(mlp_file: Path, tmp_path: Path) -> None:
    content = bytearray(mlp_file.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bit.onnx").write_bytes(content)
    (tmp_path / "half.onnx").write_bytes(content[: len(content) // 2])
    (tmp_path / "m.pt2").write_bytes(b"PK")
    compressed(mlp_file, method="fp16", output=tmp_path / "half16.onnx", max_drop=1)
    for name, said in (
        ("bit.onnx", "is damaged"),
        ("half.onnx", "no model file of hpo's"),
        ("m.pt2", "hpo export --format onnx"),
        ("half16.onnx", r"compressed already \(fp16\)"),
        ("none.onnx", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=said):
            compressed(tmp_path / name, method="dynamic")


def test_data_out_of_reach_are_named_and_found_elsewhere(table: Path, tmp_path: Path) -> None:
    place = f"data.path={table / 'after.csv'}"
    file = exported(table / "run", tmp_path / "t.onnx", place)
    with pytest.raises(UsageError, match=r"data\.path"):
        compressed(file, method="static")
    done = compressed(file, method="static", overrides=[place], max_drop=1)
    assert [one.file for one in done.kept] == [str(tmp_path / "t.static-int8.onnx")]


def test_other_data_than_those_of_the_training_are_refused(table: Path, tmp_path: Path) -> None:
    file = exported(table / "run", tmp_path / "t.onnx", f"data.path={table / 'after.csv'}")
    lines = (table / "after.csv").read_text().splitlines()
    (tmp_path / "other.csv").write_text("\n".join(lines[:300]) + "\n")
    with pytest.raises(RefusedError, match="not the data that it was trained on"):
        compressed(file, method="fp16", overrides=[f"data.path={tmp_path / 'other.csv'}"])


def test_a_missing_package_is_named_with_its_extra(
    mlp_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.extras.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"onnx, onnxscript, onnxrun.*hpo\[export\]"):
        compressed(mlp_file)


def test_the_table_is_the_answer_and_the_exit_code_says_whether_anything_was_kept(
    mlp_file: Path, tmp_path: Path, cli: Command
) -> None:
    said = cli("compress", mlp_file, "--max-drop", "0.5", "-o", tmp_path / "out")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{mlp_file}: accuracy ↑ on 3")
    assert lines[2].split()[:3] == ["form", "bytes", "gzip"]
    assert any(f"kept as {tmp_path}" in line for line in lines)
    assert any(line.startswith("pruned") and "not made" in line for line in lines)
    assert "making fp16…" in said.err
    done = cli("compress", mlp_file, "--method", "fp16", "--json", "-o", tmp_path / "f.onnx")
    found = json.loads(done.out)
    assert found["ok"]
    assert [one["name"] for one in found["result"]["forms"]] == ["original", "fp16"]
    assert onnx.load(tmp_path / "f.onnx").doc_string == "run"


def test_nothing_kept_is_exit_code_4(tiny_run: Path, tmp_path: Path, cli: Command) -> None:
    said = cli("compress", tiny_run, "--method", "static", "-o", tmp_path / "s.onnx")
    assert said.code == 4
    assert "static-int8  refused: " in said.out
    assert "larger than the original" in said.out
    assert "nothing was written" in said.err
    assert list(tmp_path.iterdir()) == []
