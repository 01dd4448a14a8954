"""Predictions for image files: a folder of them, or a table that names them."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from hpo.errors import DataError
from hpo.predict.stream import predict_rows, write_predictions
from lightning_modules.config import RunConfig
from lightning_modules.data import image_input
from lightning_modules.data.config import HuggingFaceConfig
from lightning_modules.data.image_input import files_wanted
from lightning_modules.train import train


def picture(path: Path, red: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 6), (red, 0, 255 - red)).save(path)


def trained(folder: Path, **data: object) -> Path:
    """Train two epochs on images of which the redness is the class; return the run's folder."""
    train(
        RunConfig.model_validate(
            {
                "task": {"kind": "binary"},
                "data": {"size": 4, **data},
                "model": {"family": "mlp", "n_layers": 1, "width": 8, "dropout": 0.0},
                "optimizer": {"name": "adamw", "lr": 0.05},
                "trainer": {"max_epochs": 4, "batch_size": 8, "accelerator": "cpu"},
            }
        ),
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of a model of a folder of images."""
    root = tmp_path_factory.mktemp("folder")
    for i in range(40):
        picture(root / "images" / ("blue", "red")[i % 2] / f"{i}.png", 200 * (i % 2) + i)
    return trained(root / "run", source="image_folder", path=str(root / "images"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of a model of a table that names images, in the column ``file``."""
    root = tmp_path_factory.mktemp("table")
    lines = ["file,kind"]
    for i in range(40):
        picture(root / f"{i}.png", 200 * (i % 2) + i)
        lines.append(f"{i}.png,{('blue', 'red')[i % 2]}")
    (root / "t.csv").write_text("\n".join(lines))
    return trained(
        root / "run", source="image_csv", path=str(root / "t.csv"), image="file", target="kind"
    )


def test_every_image_of_a_folder_is_predicted_by_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, red in (("b.png", 250), ("a.png", 3), ("deep/=c.png", 240), (".hidden.png", 0)):
        picture(tmp_path / "new" / name, red)
    (tmp_path / "new" / "notes.txt").write_text("no image")
    names, *rows = predict_rows(folder, tmp_path / "new", probabilities=True)
    assert names == ["file", "prediction", "p_blue", "p_red"]
    assert [row[:2] for row in rows] == [
        ["a.png", "blue"],
        ["b.png", "red"],
        ["deep/=c.png", "red"],
    ]
    assert write_predictions(folder, tmp_path / "new", tmp_path / "out.csv") == 3
    with (tmp_path / "out.csv").open(newline="") as stream:
        assert [row["file"] for row in csv.DictReader(stream)] == ["a.png", "b.png", "deep/=c.png"]
    monkeypatch.setattr(image_input, "_BYTES", 1)
    again = list(predict_rows(folder, tmp_path / "new", probabilities=True))
    assert [row[:2] for row in again] == [names[:2], *(row[:2] for row in rows)]
    for one, other in zip(again[1:], rows, strict=True):  # a batch of one rounds in its own way
        assert [float(p) for p in one[2:]] == pytest.approx([float(p) for p in other[2:]])


def test_a_table_of_names_is_predicted_in_its_order(table: Path, tmp_path: Path) -> None:
    for name, red in (("x.png", 250), ("y.png", 3)):
        picture(tmp_path / name, red)
    (tmp_path / "new.csv").write_text("who;file\n1;y.png\n2;x.png\n3;y.png\n")
    names, *rows = predict_rows(table, tmp_path / "new.csv")
    assert names == ["file", "prediction"]
    assert rows == [["y.png", "blue"], ["x.png", "red"], ["y.png", "blue"]]
    picture(tmp_path / "f" / "z.png", 250)
    assert list(predict_rows(table, tmp_path / "f"))[1:] == [["z.png", "red"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fil\na.png\n", "has no column 'file' of image files; did you mean 'fil'"),
        ("file\n../secret.png\n", r"line 2: '../secret.png' leads out of the folder of the table"),
        ("file,n\na.png,1\nno.png,2\n", "line 3: there is no file 'no.png'"),
        ("file,n\n,1\n", "line 2 names no image"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_at_the_call(
    table: Path, tmp_path: Path, text: str, message: str
) -> None:
    picture(tmp_path / "secret.png", 1)
    picture(tmp_path / "data" / "a.png", 1)
    (tmp_path / "data" / "new.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        predict_rows(table, tmp_path / "data" / "new.csv")


def test_a_folder_without_images_or_with_a_link_out_of_it_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    picture(tmp_path / "outside.png", 1)
    (tmp_path / "new").mkdir()
    with pytest.raises(DataError, match=r"new: has no images; expected .png"):
        predict_rows(folder, tmp_path / "new")
    (tmp_path / "new" / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=r"link.png: is a link that leaves the folder"):
        predict_rows(folder, tmp_path / "new")


def test_an_image_that_cannot_be_decoded_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad.png: cannot be decoded"):
        list(predict_rows(folder, tmp_path))


def test_a_model_of_rows_takes_no_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = {
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "mlp", "n_layers": 1, "width": 4},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(config), run)
    with pytest.raises(DataError, match="is a folder, but the model was not trained on image fi"):
        predict_rows(run, tmp_path)


def test_a_model_of_a_data_set_of_images_takes_a_folder_too(tmp_path: Path) -> None:
    saved = {"path": "saved", "target": "y", "size": 8}
    config = HuggingFaceConfig.model_validate({**saved, "image": "picture"})
    images = files_wanted(config, tmp_path)
    assert images is not None
    assert (images.size, images.channels) == (8, "rgb")
    assert files_wanted(config, tmp_path / "rows.npy") is None
    columns = HuggingFaceConfig(path="saved", target="y")
    with pytest.raises(DataError, match="is a folder, but the model was not trained on image fi"):
        files_wanted(columns, tmp_path)
