"""What a family is, and the registry of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, conflict, shape

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"]
Norm = Literal["none", "batch", "layer"]
StepPooling = Literal["last", "mean", "max", "attention"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of network: its config model and the name of its builder.

    ``builder`` is ``module:name`` or a callable. A network's builder is called as ``builder(config,
    input_shape, n_outputs)``, with ``n_tokens`` and ``padded`` of its `DataFacts` by name if it
    takes sequences or text; that of a whole LightningModule (``whole``), which has its own training
    step and optimizer, as ``builder(config)``.
    """

    config: type[Settings]
    builder: str | Callable[..., Any]
    takes: tuple[str, ...] = ("features", "image")
    takes_noise: bool = False
    whole: bool = False
    ensemble: bool = False
    """Whether its network gives ``(rows, members, n_outputs)``: see `SupervisedModule`."""

    def resolve(self) -> Callable[..., Any]:
        """Return the builder itself, importing its module."""
        if not isinstance(self.builder, str):
            return self.builder
        module, name = self.builder.split(":")
        builder: Callable[..., Any] = getattr(import_module(module), name)
        return builder


FAMILIES: Registry[Family] = Registry("family")


def sizes_default(values: object, **defaults: float) -> object:
    """Fill the layer sizes of raw ``values``: each of them in ``layers``, or the ``defaults``.

    Raises:
        PydanticCustomError: if ``layers`` stands beside one of the others, which would have no
            effect.
    """
    if not isinstance(values, dict):
        return values
    given = [name for name in defaults if values.get(name) is not None]
    if values.get("layers") is None:
        return {**values, **{name: defaults[name] for name in defaults if name not in given}}
    if given:
        others = " and ".join(given)
        raise conflict(f"layers: gives every size already; remove {others}, or layers")
    return values


def optional_shape(**bounds: Any) -> Any:
    """Declare a shape field that may be left out because another one replaces it."""
    return shape(None, **bounds)


def refuse_heads(width: int, n_heads: int) -> None:
    """Check that ``n_heads`` of attention can share ``width``.

    Raises:
        PydanticCustomError: if they do not divide it.
    """
    if width % n_heads:
        what = f"{n_heads} heads cannot share a width of {width}; {n_heads} must divide it"
        raise conflict(f"n_heads: {what}")
