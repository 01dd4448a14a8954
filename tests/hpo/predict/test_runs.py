"""A run, a study and a record name a model; a damaged or exchanged one is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.predict.runs import open_run
from hpo.predict.stream import predict_rows
from lightning_modules.config import RunConfig
from lightning_modules.train import train

TABLE = "age,town,y\n" + "".join(f"{i % 9},{'BC'[i % 2]},{i % 3 == 0}\n" for i in range(60))
BestConfig_ = Callable[..., Path]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on a small table."""
    folder = tmp_path_factory.mktemp("table")
    (folder / "data.csv").write_text(TABLE)
    sections = {
        "task": {"kind": "binary"},
        "data": {"source": "csv", "path": str(folder / "data.csv"), "target": "y"},
        "model": {"family": "mlp", "n_layers": 1, "width": 8},
        "trainer": {"max_epochs": 1, "batch_size": 32, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(sections), folder / "run")
    return folder / "run"


def write(folder: Path, text: str | bytes, name: str = "new.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def best_config(finished) -> BestConfig_:
    """Return a function that writes a record beside which a run lies, as a study does."""

    def make(folder: Path, run: Path, **checkpoint: object) -> Path:
        record = json.loads(finished.folder.best_config.read_text())
        digest = hashlib.sha256((run / "best.ckpt").read_bytes()).hexdigest()
        found = {"path": f"{run.name}/best.ckpt", "sha256": digest, **checkpoint}
        record["checkpoint"] |= found
        return write(folder, json.dumps(record), "best_config.json")

    return make


def test_a_record_and_its_folder_name_a_model(
    table: Path, tmp_path: Path, best_config: BestConfig_
) -> None:
    source = write(tmp_path, TABLE)
    record = best_config(table.parent, table)
    whole = [*predict_rows(table, source)]
    assert [*predict_rows(record, source)] == whole
    assert [*predict_rows(record.parent, source)] == whole


def test_a_checkpoint_that_is_not_the_recorded_one_is_refused(
    table: Path, tmp_path: Path, best_config: BestConfig_
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in ("config.json", "preparation.json", "best.ckpt"):
        (run / file).write_bytes((table / file).read_bytes())
    record = best_config(tmp_path, run)
    open_run(record)
    (run / "best.ckpt").write_bytes(b"other weights")
    with pytest.raises(UsageError, match=r"best.ckpt: is not the checkpoint that best_config.json"):
        open_run(record)
    (run / "best.ckpt").unlink()
    with pytest.raises(UsageError, match=r"best.ckpt: no such checkpoint; train it with hpo train"):
        open_run(record)


def test_a_record_without_a_checkpoint_or_a_damaged_run_is_refused(
    table: Path, tmp_path: Path, best_config: BestConfig_
) -> None:
    for wrong in ({"sha256": None}, {"path": f"../{table.parent.name}/{table.name}/best.ckpt"}):
        record = best_config(table.parent, table, **wrong)
        with pytest.raises(UsageError, match=r"best_config.json: is no such record \(checkpoint\."):
            open_run(record)
    other = tmp_path / "model.bin"
    other.write_bytes(b"\x08model")
    with pytest.raises(UsageError, match=r"model\.bin: is no model; name a study, the folder of"):
        open_run(other)
    other.unlink()
    record.unlink()
    with pytest.raises(UsageError, match=r"holds no config.json; name the folder of a run"):
        open_run(tmp_path)
    for file in ("config.json", "preparation.json", "best.ckpt"):
        (tmp_path / file).write_bytes((table / file).read_bytes())
    (tmp_path / "preparation.json").write_text('{"input_shape": [1]}')
    with pytest.raises(UsageError, match=r"preparation.json: is damaged \(.*\); train it again"):
        open_run(tmp_path)
    (tmp_path / "config.json").write_text('{"half": ')
    with pytest.raises(UsageError, match=r"config.json: is damaged"):
        open_run(tmp_path)
