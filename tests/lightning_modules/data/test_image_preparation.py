import numpy as np
import pytest

from lightning_modules.data import image_preparation
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.image_preparation import ImagePreparation, fit_images
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 5), dtype=np.uint8)


def test_each_channel_is_standardised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_preparation, "_CHUNK", 2)
    preparation = fit_preparation(IMAGES, PrepareConfig())
    assert isinstance(preparation, ImagePreparation)
    np.testing.assert_allclose(preparation.mean, IMAGES.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(preparation.sd, IMAGES.std(axis=(0, 2, 3)))
    scaled = preparation.apply(IMAGES)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, atol=1e-6)


def test_minmax_brings_each_channel_between_0_and_1() -> None:
    scaled = fit_images(IMAGES, "minmax").apply(IMAGES)
    assert scaled.min(axis=(0, 2, 3)).tolist() == [0, 0, 0]
    assert scaled.max(axis=(0, 2, 3)).tolist() == [1, 1, 1]


def test_scale_none_only_changes_the_type() -> None:
    np.testing.assert_array_equal(
        fit_images(IMAGES, "none").apply(IMAGES), IMAGES.astype(np.float32)
    )


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
@pytest.mark.parametrize(
    "images", [np.full((3, 1, 2, 2), 7), np.eye(4).reshape(4, 1, 2, 2) * 1e308]
)
def test_constant_and_huge_pixels_stay_finite(images: np.ndarray, scale: str) -> None:
    preparation = fit_preparation(images, PrepareConfig.model_validate({"scale": scale}))
    assert isinstance(preparation, ImagePreparation)
    assert np.isfinite(preparation.apply(images)).all()


def test_a_preparation_is_json_both_ways() -> None:
    preparation = fit_images(IMAGES, "standard")
    assert ImagePreparation.model_validate_json(preparation.model_dump_json()) == preparation


def test_other_shapes_and_pixels_are_refused() -> None:
    preparation = fit_images(IMAGES, "standard")
    for other in (IMAGES[:, :1], IMAGES[:, 0]):
        with pytest.raises(DataError, match=r"images have shape .*; expected \(rows, 3, height"):
            preparation.apply(other)
    wrong = IMAGES.astype(float)
    wrong[4, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="image 5 has a pixel that is NaN or infinite"):
        preparation.apply(wrong)
