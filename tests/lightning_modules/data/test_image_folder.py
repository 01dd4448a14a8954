import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from lightning_modules.data.config import ImageFolderConfig
from lightning_modules.data.decoding import SUFFIXES
from lightning_modules.data.frames import Array
from lightning_modules.data.image_folder import list_images, load_image_folder
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.raw import load
from lightning_modules.errors import DataError


def picture(path: Path, color: object = (255, 0, 0), size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "RGB" if isinstance(color, tuple) and len(color) == 3 else "RGBA"
    Image.new(mode if isinstance(color, tuple) else "L", size, color).save(path)  # type: ignore[arg-type]
    return path


def classes(folder: Path, n: int = 3, **options: int | str | bool) -> ImageFolderConfig:
    for i in range(n):
        picture(folder / "red" / f"{i}.png", (255, 0, i))
        picture(folder / "blue" / f"{i}.png", (i, 0, 255))
    return ImageFolderConfig.model_validate({"path": str(folder), "size": 4, **options})


def pixel(folder: Path, path: Path, **options: int | str) -> Array:
    """Return the first pixel of ``path`` as the source reads it, one value per channel."""
    config = ImageFolderConfig.model_validate({"path": str(folder), "size": 4, **options})
    row = [image for _, image in list_images(str(folder))].index(path)
    return np.asarray(load_image_folder(config).x)[row, :, 0, 0]


def test_each_sub_folder_is_a_class_and_files_come_in_sorted_order(tmp_path: Path) -> None:
    raw = load_image_folder(classes(tmp_path))
    assert raw.x.shape == (6, 3, 4, 4)
    assert raw.x.dtype == np.uint8
    assert list(raw.y) == ["blue"] * 3 + ["red"] * 3
    assert np.asarray(raw.x)[0, :, 0, 0].tolist() == [0, 0, 255]
    names = [path.name for _, path in list_images(str(tmp_path))]
    assert names == ["0.png", "1.png", "2.png"] * 2


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    raw = load_image_folder(classes(tmp_path, channels="grey"))
    assert raw.x.shape == (6, 1, 4, 4)
    assert np.asarray(raw.x)[-1, 0, 0, 0] == 76  # 0.299 * 255


def test_images_become_tensors_of_a_task(tmp_path: Path) -> None:
    prepared = prepare_task(classes(tmp_path, n=5), task_kind="binary")
    assert prepared.input_kind == "image"
    assert prepared.train.x.shape == (6, 3, 4, 4)
    assert prepared.classes == ["blue", "red"]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG"])
def test_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = picture(tmp_path / "a" / f"x{suffix}", (0, 255, 0))
    assert np.abs(pixel(tmp_path, path).astype(int) - [0, 255, 0]).max() <= 2


def test_shrinking_averages_instead_of_skipping_pixels(tmp_path: Path) -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    (tmp_path / "a").mkdir()
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a" / "x.png")
    assert abs(int(pixel(tmp_path, tmp_path / "a" / "x.png", channels="grey")[0]) - 127) <= 4


def test_transparent_parts_become_white_and_photos_stand_upright(tmp_path: Path) -> None:
    clear = picture(tmp_path / "a" / "clear.png", (9, 9, 9, 0))
    assert pixel(tmp_path, clear).tolist() == [255, 255, 255]
    photo = Image.fromarray(np.array([[0] * 8, [0] * 8, [255] * 8, [255] * 8], np.uint8))
    exif = Image.Exif()
    exif[274] = 3  # upside down
    photo.save(tmp_path / "a" / "photo.png", exif=exif)
    assert pixel(tmp_path, tmp_path / "a" / "photo.png").tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_down(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "deep.png"
    Image.fromarray(np.full((8, 8), 128 * 256, np.uint16)).save(path)
    assert pixel(tmp_path, path).tolist() == [128, 128, 128]


def test_hidden_files_and_other_files_are_left_out(tmp_path: Path) -> None:
    config = classes(tmp_path)
    (tmp_path / "red" / "._0.png").write_text("not an image")
    (tmp_path / "red" / "notes.txt").write_text("notes")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.md").write_text("readme")
    assert len(load_image_folder(config).x) == 6


def test_a_missing_folder_a_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no: there is no such folder; give the folder that has"):
        list_images(str(tmp_path / "no"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: is a file, not a folder"):
        list_images(str(tmp_path / "file"))
    with pytest.raises(DataError, match="has no class folders; one sub-folder per class"):
        list_images(str(tmp_path))


def test_a_class_folder_without_images_is_named(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "green").mkdir()
    with pytest.raises(DataError, match=r"green: has no images; expected .png, .jpg"):
        list_images(str(tmp_path))


def test_a_folder_of_splits_is_told_from_a_folder_of_classes(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    with pytest.raises(DataError, match=r"it holds folders such as 'blue': is .*train the folder"):
        list_images(str(tmp_path))


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "x.png")
    with pytest.raises(DataError, match="one class only: 'a'"):
        load(ImageFolderConfig(path=str(tmp_path)), task_kind="multiclass")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "bad.png: cannot be decoded: it is none of PNG, JPEG"),
        (b"GIF89a", "cannot be decoded: .*; replace or remove it, or set data.skip_unreadable"),
        (b"<svg/>", "it is none of PNG, JPEG, BMP, GIF, WEBP; replace or remove it"),
    ],
)
def test_an_image_that_cannot_be_decoded_is_named(
    tmp_path: Path, data: bytes, message: str
) -> None:
    config = classes(tmp_path)
    (tmp_path / "red" / "bad.png").write_bytes(data)
    with pytest.raises(DataError, match=message):
        load_image_folder(config)


def test_an_image_that_is_cut_off_is_named(tmp_path: Path) -> None:
    config = classes(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "red" / "cut.png")
    data = (tmp_path / "red" / "cut.png").read_bytes()
    (tmp_path / "red" / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cut.png: cannot be decoded: .*truncated"):
        load_image_folder(config)


def test_images_that_cannot_be_decoded_are_left_out_and_counted_if_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = load_image_folder(classes(tmp_path))
    for name in ("00", "2x"):
        (tmp_path / "red" / f"{name}.png").write_bytes(b"no image")
    config = classes(tmp_path, skip_unreadable=True)
    raw = load_image_folder(config)
    assert np.array_equal(raw.x, whole.x)
    assert list(raw.y) == list(whole.y)
    (warning,) = caplog.messages
    assert warning.startswith("2 of 8 images cannot be decoded and are left out; the first is ")
    assert warning.endswith("00.png")
    assert load_image_folder(classes(tmp_path / "b", skip_unreadable=True)).x.shape[0] == 6


def test_a_folder_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "a.png").write_bytes(b"no image")
    config = ImageFolderConfig(path=str(tmp_path), skip_unreadable=True)
    with pytest.raises(DataError, match=r"a.png: cannot be decoded, nor can any other"):
        load_image_folder(config)


def test_an_image_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = classes(tmp_path)
    for limit in (63, 31):  # a warning of pillow's, an error of pillow's
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"0.png: cannot be decoded: Image size \(64 pixels\)"):
            load_image_folder(config)


def test_links_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    outside = picture(tmp_path / "outside" / "secret.png")
    classes(tmp_path / "data")
    (tmp_path / "data" / "red" / "same.png").symlink_to(tmp_path / "data" / "blue" / "0.png")
    assert len(list_images(str(tmp_path / "data"))) == 7
    (tmp_path / "data" / "red" / "link.png").symlink_to(outside)
    with pytest.raises(DataError, match=r"link.png: is a link that leaves the folder; put the"):
        list_images(str(tmp_path / "data"))
    (tmp_path / "data" / "red" / "link.png").unlink()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match=r"linked: is a link that leaves the folder"):
        list_images(str(tmp_path / "data"))


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path)

    def refuse(path: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        list_images(str(tmp_path))


@pytest.mark.parametrize(("key", "value"), [("size", 3), ("size", 513), ("channels", "cmyk")])
def test_sizes_and_channels_have_bounds(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        ImageFolderConfig.model_validate({"path": "x", key: value})
