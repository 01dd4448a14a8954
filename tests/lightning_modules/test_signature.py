from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest
from pydantic import ValidationError

from lightning_modules.errors import PluginError
from lightning_modules.settings import Settings
from lightning_modules.signature import arguments_of, config_of, plain_type


def config(function: Callable[..., Any]) -> type[Settings]:
    return config_of(function, tag="family", name="Net")


class Net:
    """A network. With more to say."""

    def __init__(
        self,
        width: int,
        rate: float = 0.1,
        *args: int,
        kind: Literal["a", "b"] = "a",
        sizes: tuple[int, ...] = (1, 2),
        folder: Path = Path("data"),
        clip: float | None = None,
        loss: Callable[[], int] = int,
        guessed=True,
        **kwargs: Any,
    ) -> None: ...


def test_the_arguments_of_a_class_are_the_fields_of_its_config() -> None:
    fields = set(config(Net).model_fields)
    assert fields == {"family", "width", "rate", "kind", "sizes", "folder", "clip", "guessed"}


def test_a_config_has_the_defaults_of_the_signature() -> None:
    assert config(Net).model_validate({"width": 3}).model_dump() == {
        "family": "Net",
        "width": 3,
        "rate": 0.1,
        "kind": "a",
        "sizes": [1, 2],
        "folder": "data",
        "clip": None,
        "guessed": True,
    }


def test_an_argument_without_default_is_required() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        config(Net).model_validate({})


@pytest.mark.parametrize(
    "wrong", [{"width": 0.5}, {"kind": "c"}, {"clip": "x"}, {"guessed": 1}, {"sizes": [0.5]}]
)
def test_a_value_of_another_type_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(Net).model_validate({"width": 3, **wrong})


def test_a_config_gives_the_arguments_back_in_the_types_of_the_signature() -> None:
    settings = config(Net).model_validate({"width": 3, "sizes": [4], "folder": "other"})
    assert arguments_of(Net, settings, tag="family") == {
        "width": 3,
        "rate": 0.1,
        "kind": "a",
        "sizes": (4,),
        "folder": Path("other"),
        "clip": None,
        "guessed": True,
    }


def test_a_function_has_a_config_too() -> None:
    def build(width: int = 2) -> int:
        return width

    settings = config(build).model_validate({"width": 5})
    assert build(**arguments_of(build, settings, tag="family")) == 5


def test_a_class_without_arguments_has_only_its_name() -> None:
    class Bare: ...

    assert config(Bare)().model_dump() == {"family": "Net"}


def test_the_tag_holds_one_name() -> None:
    with pytest.raises(ValidationError, match="'Net'"):
        config(Net).model_validate({"family": "Other", "width": 1})


def test_the_docstring_is_the_first_line_of_the_source() -> None:
    def silent(width: int = 1) -> None: ...

    assert config(Net).__doc__ == "A network. With more to say."
    assert config(silent).__doc__ == "From a plugin."


def test_an_argument_may_be_called_like_a_method_of_pydantic() -> None:
    def build(copy: int = 1, json: str = "a") -> None: ...

    settings = config(build).model_validate({"copy": 2})
    assert arguments_of(build, settings, tag="family") == {"copy": 2, "json": "a"}


def test_the_fields_of_a_base_come_along() -> None:
    class Base(Settings):
        share: float = 0.2

    def load(path: str) -> None: ...

    model = config_of(load, tag="source", name="mine", base=Base)
    settings = model.model_validate({"path": "a"})
    assert settings.model_dump() == {"share": 0.2, "source": "mine", "path": "a"}
    assert arguments_of(load, settings, tag="source") == {"path": "a"}


def test_an_argument_called_like_the_tag_is_refused() -> None:
    def build(family: str = "x") -> None: ...

    text = r"^Net\(.*build\): argument 'family' has a meaning here; rename it$"
    with pytest.raises(PluginError, match=text):
        config(build)


def test_an_argument_called_like_a_field_of_the_base_is_refused() -> None:
    class Base(Settings):
        share: float = 0.2

    def load(share: float = 0.5) -> None: ...

    with pytest.raises(PluginError, match="argument 'share' has a meaning here; rename it"):
        config_of(load, tag="source", name="mine", base=Base)


def test_a_required_argument_that_no_file_can_hold_is_refused() -> None:
    def build(loss: Callable[[], int]) -> None: ...

    text = "argument 'loss' of type .* cannot stand in a file; give it a default, or a plain type"
    with pytest.raises(PluginError, match=text):
        config(build)


def test_an_argument_with_neither_type_nor_default_is_refused() -> None:
    def build(width) -> None: ...  # type: ignore[no-untyped-def]

    text = "argument 'width' has neither a type nor a default; annotate it: width: int"
    with pytest.raises(PluginError, match=text):
        config(build)


def test_a_type_that_is_nowhere_defined_is_refused() -> None:
    def build(width: "Nowhere" = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(PluginError, match=r"its signature cannot be read \(name 'Nowhere' is not"):
        config(build)


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (int, int),
        (bool, bool),
        (Path, str),
        (Literal["a", 1], Literal["a", 1]),
        (list, list[Any]),
        (tuple, list[Any]),
        (list[int], list[int]),
        (tuple[int, ...], list[int]),
        (tuple[int, int], list[int]),
        (tuple[int, str], None),
        (list[Callable[[], int]], None),
        (int | None, int | None),
        (Optional[Path], str | None),  # noqa: UP045
        (Union[int, float], int | float),  # noqa: UP007
        (Callable[[], int] | None, None),
        (int | Callable[[], int], None),
        (list[int] | None, list[int] | None),
        (dict[str, int], None),
        (Sequence[int], None),
        (object, None),
    ],
)
def test_a_type_is_plain_where_a_file_can_hold_it(kind: Any, plain: Any) -> None:
    assert plain_type(kind) == plain
