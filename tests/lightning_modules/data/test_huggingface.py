import io
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from lightning_modules.data import huggingface
from lightning_modules.data.config import HuggingFaceConfig
from lightning_modules.data.huggingface import load_huggingface
from lightning_modules.data.prepared import prepare_task
from lightning_modules.errors import DataError
from tests.programs import ROOT, Programs

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.skipif(find_spec("datasets") is None, reason="needs the extra huggingface")
N = 24


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (6, 5), shade).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a data set as a whole, and in splits."""
    import datasets

    folder = tmp_path_factory.mktemp("saved")
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "size": datasets.Value("float32"),
            "words": datasets.Value("string"),
            "owner": datasets.Value("string"),
            "steps": datasets.Sequence(datasets.Value("float32")),
        }
    )
    rows = {
        "picture": [{"bytes": png(10 * i), "path": None} for i in range(N)],
        "label": [i % 2 for i in range(N)],
        "size": [float(i) for i in range(N)],
        "words": [f"it says {'meow' if i % 2 == 0 else 'wow'} {i}" for i in range(N)],
        "owner": [f"owner {i // 3}" for i in range(N)],
        "steps": [[1.0] * i for i in range(N)],
    }
    whole = datasets.Dataset.from_dict(rows, features=features)
    datasets.disable_progress_bars()
    try:
        whole.save_to_disk(str(folder / "whole"))
        parts = {
            "train": whole.select(range(12)),
            "validation": whole.select(range(12, 16)),
            "test": whole.select(range(16, N)),
            "extra": whole.select(range(2)),
        }
        datasets.DatasetDict(parts).save_to_disk(str(folder / "split"))
    finally:
        datasets.enable_progress_bars()
    return folder


def config(folder: Path, name: str = "whole", **options: Any) -> HuggingFaceConfig:
    test = {"test": 0.2} if name == "whole" else {}
    return HuggingFaceConfig.model_validate(
        {"path": str(folder / name), "target": "label", **test, **options}
    )


IMAGES = {"image": "picture", "size": 4, "channels": "grey"}
COLUMNS = {"ignore": ["picture", "steps", "words"]}


def test_images_come_with_the_names_of_their_classes(saved: Path) -> None:
    raw = load_huggingface(config(saved, **IMAGES))
    assert (raw.x.shape, np.asarray(raw.x).dtype) == ((N, 1, 4, 4), np.uint8)
    assert np.asarray(raw.x)[:, 0, 0, 0].tolist() == [10 * i for i in range(N)]
    assert list(raw.y) == ["cat", "dog"] * (N // 2)
    prepared = prepare_task(config(saved, target="size", **IMAGES), task_kind="regression")
    assert (prepared.input_kind, prepared.train.x.shape[1:]) == ("image", (1, 4, 4))


def test_columns_are_a_table(saved: Path) -> None:
    raw = load_huggingface(config(saved, **COLUMNS))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x.columns) == ["size", "owner"]
    prepared = prepare_task(config(saved, **COLUMNS), task_kind="binary")
    assert (prepared.input_kind, prepared.classes) == ("features", ["cat", "dog"])


def test_a_column_of_texts_is_read_alone(saved: Path) -> None:
    raw = load_huggingface(config(saved, text="words"))
    assert np.asarray(raw.x)[1] == "it says wow 1"
    prepared = prepare_task(config(saved, text="words"), task_kind="binary")
    assert prepared.input_kind == "text"


@pytest.mark.parametrize("options", [IMAGES, COLUMNS, {"text": "words"}])
def test_train_and_validation_are_split_here_and_test_is_the_test_split(
    saved: Path, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    raw = load_huggingface(config(saved, "split", **options))
    assert raw.official_test is not None
    assert (len(raw.x), len(raw.y)) == (16, 16)
    assert [len(part) for part in raw.official_test] == [8, 8]
    assert caplog.messages == [f"{saved}/split: the splits extra are left out"]
    if options is IMAGES:
        assert np.asarray(raw.official_test[0])[0, 0, 0, 0] == 160
    prepared = prepare_task(config(saved, "split", **options), task_kind="binary", with_test=True)
    assert prepared.n_rows["test"] == 8


def test_a_share_for_the_test_is_wanted_where_there_is_no_test_split_and_only_there(
    saved: Path,
) -> None:
    with pytest.raises(DataError, match=r"has no split called test; set data.test, such as 0.2"):
        load_huggingface(config(saved, test=None, **COLUMNS))
    with pytest.raises(DataError, match=r"data.test 0.2 would have no effect; remove data.test"):
        load_huggingface(config(saved, "split", test=0.2, **COLUMNS))
    single = load_huggingface(config(saved, "split/train", test=0.2, **COLUMNS))
    assert len(single.x) == 12


def test_the_rows_of_one_group_stay_in_one_split(saved: Path) -> None:
    options = {**IMAGES, "split": "grouped", "group": "owner", "target": "size"}
    prepared = prepare_task(config(saved, **options), task_kind="regression")
    fitted = prepared.fitted.target
    owners = [
        {round(float(size)) // 3 for size in fitted.invert(rows.y.numpy())}
        for rows in (prepared.train, prepared.validation)
    ]
    assert not owners[0] & owners[1]


def changed(folder: Path) -> Path:
    """Save a data set of images that a test may change; return its folder."""
    import datasets

    features = datasets.Features({"picture": datasets.Image(), "label": datasets.Value("string")})
    rows = {
        "picture": [{"bytes": png(10 * i), "path": None} for i in range(N)],
        "label": ["ab"[i % 2] for i in range(N)],
    }
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(folder / "whole"))
    return folder


def test_an_image_of_which_only_a_path_is_kept_is_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(7))
    folder = changed(tmp_path)
    (file,) = (folder / "whole").glob("*.arrow")
    table = pa.ipc.open_stream(file.read_bytes()).read_all()
    held = table.column("picture").to_pylist()
    held[3] = {"bytes": None, "path": str(secret)}  # save_to_disk would have put the bytes there
    pictures = pa.array(held, table.schema.field("picture").type)
    table = table.set_column(0, table.schema.field("picture"), pictures)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    message = r"'picture' of row 4: cannot be decoded: its bytes are not in the data set"
    with pytest.raises(DataError, match=message):
        load_huggingface(config(folder, **IMAGES))
    raw = load_huggingface(config(folder, skip_unreadable=True, **IMAGES))
    assert np.asarray(raw.x)[2:4, 0, 0, 0].tolist() == [20, 40]
    assert list(raw.y)[2:4] == ["a", "a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "column 'picture' holds Image, no plain values; set data.image: picture"),
        ({"ignore": ["picture"]}, "column 'steps' holds List, no plain values; name it in data.ig"),
        ({"image": "pictur"}, "data.image: no column 'pictur'; did you mean 'picture'"),
        ({"image": "words"}, "column 'words' holds Value, no images; name another"),
        ({"image": "label"}, "data.image: 'label' is data.target too"),
        ({"image": "picture", "target": "lable"}, "data.target: no column 'lable'; did you mean"),
        ({"ignore": ["picture", "steps", "nothing"]}, "data.ignore: no column 'nothing'"),
    ],
)
def test_a_column_that_cannot_be_read_so_is_named(
    saved: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_huggingface(config(saved, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size: there is no data.image; remove this setting"),
        ({"skip_unreadable": True}, "skip_unreadable: there is no data.image"),
        ({"image": "picture", "text": "words"}, "text: data.image alone is read; remove this"),
        ({"image": "picture", "ignore": ["x"]}, "ignore: data.image alone is read"),
    ],
)
def test_a_setting_without_effect_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(Path(), **options)


def test_what_is_no_data_set_is_refused_and_nothing_is_fetched(saved: Path, tmp_path: Path) -> None:
    for path, message in (
        ("imdb", "imdb: there is no such folder; give the folder that save_to_disk wrote"),
        ("hf://datasets/imdb", "there is no such folder"),
        (str(tmp_path), "is no data set: .*; save it with save_to_disk"),
        (str(saved / "whole" / "state.json"), "is a file, not a folder"),
    ):
        with pytest.raises(DataError, match=message):
            load_huggingface(HuggingFaceConfig(path=path, target="y", test=0.2))


def test_splits_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    import datasets

    columns = {"x": [float(i) for i in range(6)], "label": [*"ababab"]}
    rows = datasets.Dataset.from_dict(columns)
    for name, parts, message in (
        ("a", {"test": rows}, r"has no split called train, but 'test'; name one .*a/test"),
        ("b", {"train": rows, "test": rows.remove_columns("x")}, "its splits differ in their col"),
        ("c", {"train": rows.select([])}, "has no rows; at least one row of data is needed"),
    ):
        datasets.DatasetDict(parts).save_to_disk(str(tmp_path / name))
        with pytest.raises(DataError, match=message):
            load_huggingface(config(tmp_path, name))


def test_files_outside_of_the_folder_are_never_read(tmp_path: Path) -> None:
    folder = changed(tmp_path) / "whole"
    state = json.loads((folder / "state.json").read_text())
    (data,) = state["_data_files"]
    (folder / data["filename"]).rename(tmp_path / "outside.arrow")
    (folder / "state.json").write_text(
        json.dumps({**state, "_data_files": [{"filename": "../outside.arrow"}]})
    )
    with pytest.raises(DataError, match=r"names '../outside.arrow', which is not beside it"):
        load_huggingface(config(tmp_path, **IMAGES))
    (folder / "state.json").write_text(json.dumps(state))
    (folder / data["filename"]).symlink_to(tmp_path / "outside.arrow")
    with pytest.raises(DataError, match=r"arrow is a link that leaves the folder"):
        load_huggingface(config(tmp_path, **IMAGES))
    (folder / data["filename"]).unlink()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [".."]}))
    with pytest.raises(DataError, match=r"dataset_dict.json names '..', which is not beside it"):
        load_huggingface(config(tmp_path, **IMAGES))
    (folder / "dataset_dict.json").unlink()
    (folder / "state.json").write_text("[]")
    with pytest.raises(DataError, match=r"state.json is damaged"):
        load_huggingface(config(tmp_path, **IMAGES))


def test_without_the_extra_its_name_is_said(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs datasets; pip install 'hpo\[huggingface\]'"):
        load_huggingface(config(saved, **IMAGES))


def test_nothing_is_written_to_the_home_folder_or_beside_the_data(
    saved: Path, tmp_path: Path, programs: Programs
) -> None:
    before = sorted(map(str, saved.rglob("*")))
    code = (
        "import sys\nfrom lightning_modules.data.config import HuggingFaceConfig as C\n"
        "from lightning_modules.data.huggingface import load_huggingface as load\n"
        "raw = load(C(path=sys.argv[1], target='label', image='picture', size=4, test=0.2))\n"
        "print(len(raw.x))"
    )
    given = {**os.environ, "HOME": str(tmp_path)}
    load = (saved / "whole",)
    with programs.start(*load, folder=ROOT, code=code, environment=given) as process:
        assert (process.wait(), process.out, process.err) == (0, f"{N}\n", "")
    assert list(tmp_path.rglob("*")) == []
    assert sorted(map(str, saved.rglob("*"))) == before
