from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.kinds import ragged
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.data.target import ClassTarget
from lightning_modules.packaged.columns import RawColumns
from lightning_modules.packaged.rows import preparation_of


def _packaged(preparation: Any, raw: dict[str, np.ndarray]) -> np.ndarray:
    fitted = Fitted(
        input_shape=[1], preparation=preparation, target=ClassTarget(classes=["a", "b"])
    )
    module = preparation_of(fitted, RawColumns())
    found: np.ndarray = module({name: torch.from_numpy(x) for name, x in raw.items()}).numpy()
    return found


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_scaled_as_numpy_scales_them(scale: str, dtype: type) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 5)).astype(dtype)
    preparation = fit_preparation(images, PrepareConfig.model_validate({"scale": scale}))
    found = _packaged(preparation, {"images": images.astype(np.float32)})
    np.testing.assert_array_equal(found, preparation.apply(images))


@pytest.mark.parametrize("difference", [0, 1, 3])
@pytest.mark.parametrize("length", [None, 4, 12])
@pytest.mark.parametrize("scale", ["standard", "robust", "none"])
def test_sequences_of_any_length_are_cut_filled_up_and_scaled_as_numpy_does(
    difference: int, length: int | None, scale: str
) -> None:
    drawn = np.random.default_rng(0)
    lengths = drawn.integers(4, 11, 25)
    rows = [drawn.normal(3.0, 2.0, (n, 2)) for n in lengths]
    rows[3][1, 0], rows[5][0] = np.nan, 1e308
    rows[5][1] = -1e308  # their difference is more than float64 holds
    x = ragged(rows)
    settings = {"difference": difference, "length": length, "scale": scale}
    preparation: Any = fit_preparation(x, PrepareConfig.model_validate(settings))
    n_steps = preparation.length + difference
    padded = np.full((25, n_steps, 2), np.nan)  # what is behind the end has no effect
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row[:n_steps]
    found = _packaged(preparation, {"sequences": padded, "lengths": lengths})
    np.testing.assert_array_equal(found, preparation.apply(x))


def test_sequences_of_one_length_have_no_lengths() -> None:
    x = np.random.default_rng(0).normal(size=(9, 6, 2))
    preparation = fit_preparation(x, PrepareConfig(difference=1))
    found = _packaged(preparation, {"sequences": x})
    np.testing.assert_array_equal(found, preparation.apply(x))
