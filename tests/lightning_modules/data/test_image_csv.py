import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from lightning_modules.data.cache import stamp
from lightning_modules.data.config import ImageCsvConfig
from lightning_modules.data.image_csv import load_image_csv
from lightning_modules.data.prepared import prepare_task
from lightning_modules.errors import DataError


def table(folder: Path, n: int = 12, **options: Any) -> ImageCsvConfig:
    """Write images and the table that names them; return its config."""
    (folder / "pics").mkdir(parents=True, exist_ok=True)
    lines = ["file,kind,size,weight,patient"]
    for i in range(n):
        Image.new("RGB", (9, 7), (20 * i, 0, 0)).save(folder / "pics" / f"{i}.png")
        lines.append(f"pics/{i}.png,{'ab'[i % 2]},{i},{-2 * i},{i // 3}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    given = {"path": str(folder / "t.csv"), "image": "file", "target": "kind", "size": 4}
    return ImageCsvConfig.model_validate({**given, **options})


def test_images_come_in_the_order_of_the_rows_with_their_targets(tmp_path: Path) -> None:
    raw = load_image_csv(table(tmp_path))
    assert (raw.x.shape, np.asarray(raw.x).dtype) == ((12, 3, 4, 4), np.uint8)
    assert np.asarray(raw.x)[:, 0, 0, 0].tolist() == [20 * i for i in range(12)]
    assert list(raw.y) == list("ab" * 6)


def test_one_number_and_several_can_be_predicted_of_images(tmp_path: Path) -> None:
    one = prepare_task(table(tmp_path, target="size"), task_kind="regression")
    assert (one.input_kind, one.train.x.shape[1:], one.train.y.ndim) == ("image", (3, 4, 4), 1)
    two = prepare_task(table(tmp_path, target=["size", "weight"]), task_kind="regression")
    assert two.train.y.shape == (one.n_rows["train"], 2)


def test_the_images_of_one_group_stay_in_one_split(tmp_path: Path) -> None:
    config = table(tmp_path, target="size", split="grouped", group="patient", test=None)
    prepared = prepare_task(config, task_kind="regression")
    fitted = prepared.fitted.target
    sizes = [
        {round(float(size)) // 3 for size in fitted.invert(rows.y.numpy())}
        for rows in (prepared.train, prepared.validation)
    ]
    assert not sizes[0] & sizes[1]
    with pytest.raises(ValidationError, match="group: missing; name the column for split: grouped"):
        table(tmp_path, split="grouped")
    with pytest.raises(ValidationError, match="group: has no effect without split: grouped"):
        table(tmp_path, group="patient")


@pytest.mark.parametrize("name", ["../secret.png", "pics/../../secret.png", "link.png", "{}"])
def test_a_table_shows_no_file_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (4, 4)).save(secret)
    config = table(tmp_path / "data")
    (tmp_path / "data" / "link.png").symlink_to(secret)
    name = name.format(secret)
    with (tmp_path / "data" / "t.csv").open("a") as file:
        file.write(f"{name},a,1,1,1\n")
    with pytest.raises(DataError, match=r"line 14: '.*png' leads out of the folder of the table"):
        load_image_csv(config)


def test_an_absolute_name_inside_the_folder_and_a_link_inside_it_are_read(tmp_path: Path) -> None:
    config = table(tmp_path)
    (tmp_path / "link.png").symlink_to(tmp_path / "pics" / "3.png")
    with (tmp_path / "t.csv").open("a") as file:
        file.write(f"{tmp_path}/pics/2.png,a,1,1,1\nlink.png,b,1,1,1\n")
    raw = load_image_csv(config)
    assert np.asarray(raw.x)[12:, 0, 0, 0].tolist() == [40, 60]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "line 14 names no image; complete it, or remove the row"),
        ("pics/99.png", "line 14: there is no file 'pics/99.png'; looked in /"),
        ("pics", "line 14: there is no file 'pics'"),
        ("x" * 300, "line 14: there is no file 'xxx"),
        ("t.csv", "t.csv: cannot be decoded: it is none of PNG, JPEG"),
    ],
)
def test_a_row_without_its_image_is_named(tmp_path: Path, name: str, message: str) -> None:
    config = table(tmp_path)
    with (tmp_path / "t.csv").open("a") as file:
        file.write(f"{name},a,1,1,1\n")
    with pytest.raises(DataError, match=message):
        load_image_csv(config)


def test_columns_are_looked_for_by_the_settings_that_name_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.image: no column 'fil'; did you mean 'file'"):
        load_image_csv(table(tmp_path, image="fil"))
    with pytest.raises(DataError, match=r"data.image: 'kind' is data.target too"):
        load_image_csv(table(tmp_path, image="kind"))


def test_rows_whose_image_cannot_be_decoded_are_left_out_if_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = table(tmp_path, skip_unreadable=True, target="size", split="grouped", group="patient")
    (tmp_path / "pics" / "4.png").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        raw = load_image_csv(config)
    assert np.asarray(raw.y).tolist() == [i for i in range(12) if i != 4]
    assert raw.groups is not None
    assert (len(raw.x), len(raw.groups)) == (11, 11)
    assert raw.place(4) == "line 7"
    assert caplog.messages == [
        f"1 of 12 images cannot be decoded and are left out; the first is {tmp_path}/pics/4.png"
    ]


def test_an_image_that_changed_makes_the_data_others(tmp_path: Path) -> None:
    config = table(tmp_path)
    before = stamp(config)
    assert stamp(config) == before
    Image.new("RGB", (30, 30), (1, 2, 3)).save(tmp_path / "pics" / "5.png")
    assert stamp(config) != before
