import subprocess
import sys

import pytest

from lightning_modules.families import FAMILIES, Family
from lightning_modules.families.family import optional_shape, sizes_default
from lightning_modules.networks.mlp import build_mlp
from lightning_modules.settings import Settings


def test_a_builder_is_found_by_its_name() -> None:
    assert FAMILIES["mlp"].resolve() is build_mlp


def test_a_builder_may_be_the_function_itself() -> None:
    assert Family(config=Settings, builder=build_mlp).resolve() is build_mlp


def test_sizes_are_filled_in_where_they_are_not_given() -> None:
    assert sizes_default({"width": 3}, n_layers=2, width=8) == {"width": 3, "n_layers": 2}
    assert sizes_default({"width": None}, n_layers=2, width=8) == {"width": 8, "n_layers": 2}


def test_layers_replace_the_other_sizes() -> None:
    assert sizes_default({"layers": [3]}, n_layers=2, width=8) == {"layers": [3]}


def test_layers_beside_other_sizes_are_refused() -> None:
    text = "layers: gives every size already; remove n_layers and width, or layers"
    with pytest.raises(ValueError, match=text):
        sizes_default({"layers": [3], "n_layers": 1, "width": 3}, n_layers=2, width=8)


def test_values_that_are_no_mapping_are_left_to_pydantic() -> None:
    assert sizes_default("mlp", n_layers=2) == "mlp"


def test_an_optional_shape_is_a_shape_that_may_be_missing() -> None:
    class Sized(Settings):
        width: int | None = optional_shape(ge=1)

    assert Sized().width is None
    assert Sized.model_fields["width"].json_schema_extra == {"role": "shape"}


def test_families_are_listed_without_torch() -> None:
    code = "import sys, lightning_modules.families; print('torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"
