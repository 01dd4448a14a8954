"""Where the hidden units of each family stand, and how its config says that some are gone.

A network without some of its hidden units is a smaller network of the same family: it is exported,
served and trained again like any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from torch import Tensor

from hpo.compress.units import DIRECTION, QUESTION, Place, State, Units, without
from hpo.errors import UsageError
from lightning_modules.config import RunConfig

NORM = ("weight", "bias", "running_mean", "running_var")
Left = Callable[[int], int]
"""How many of so many units are left."""


@dataclass(frozen=True, kw_only=True)
class _Family:
    """How networks of a family become smaller."""

    find: Callable[[Any, State, str], list[Units]]
    """From the model's config, the state and what its names begin with."""
    sizes: Callable[[Any, Left], dict[str, Any]]
    """The fields of the model's config that change."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What makes units, and what they have besides."""

    into: Place
    beside: Sequence[Place]


def units_of(config: RunConfig, state: State) -> list[Units]:
    """Return all hidden units that can be removed.

    Args:
        config: of the network.
        state: of its module, names with their prefix.

    Raises:
        UsageError: if there are none, or the config of a user's own network cannot say so.
    """
    where, hint = "--method prune", "--method dynamic and fp16 take it"
    family = _FAMILIES.get(config.family)
    if family is None:
        what = f"{config.family} is a network of your own: its config cannot say that units of it "
        raise UsageError(where, what + "are gone", hint)
    prefix = "network.network." if any(n.startswith("network.network.") for n in state) else ""
    found = family.find(config.model, state, prefix or "network.")
    if not found:
        raise UsageError(where, "the network has no hidden units", hint)
    return found


def smaller(config: RunConfig, state: State, share: float) -> tuple[RunConfig, dict[str, Tensor]]:
    """Return config and weights with that share of each layer's units removed; one is left.

    Args:
        config: of the whole network.
        state: of its module, or of what is left of it after a smaller share.
        share: of the units that ``config`` says, below 1.

    Raises:
        UsageError: as `units_of`.
    """
    layers, plain = units_of(config, state), config.plain()
    left = _FAMILIES[config.family].sizes(
        config.model, lambda size: max(round(size * (1 - share)), 1)
    )
    found = RunConfig.model_validate({**plain, "model": {**plain["model"], **left}})
    return found, without(state, layers, found.model)


def _made(state: State, weight: str, *, norm: str = "", copies: int = 1) -> _Made:
    """Return the units that a layer puts out, with its bias and the norm behind it, if any."""
    layer, _, name = weight.rpartition(".")
    rows = Place(name=weight, axis=0, copies=copies)
    bias = Place(name=f"{layer}.{name.replace('weight', 'bias')}", axis=0, copies=copies)
    beside = [bias, *(Place(name=f"{norm}.{part}", axis=0) for part in NORM if norm)]
    there = [place for place in beside if place.name in state]
    if f"{norm}.running_var" in state:
        gain = Place(name=f"{norm}.weight", axis=0)
        return _Made(into=gain, beside=[rows, *(place for place in there if place != gain)])
    return _Made(into=rows, beside=there)


def _columns(weight: str, *, layers: int = 1, turn: int = 0) -> Place:
    """Return units that stand along the second axis, as in a layer that reads them."""
    return Place(name=weight, axis=1, layers=layers, turn=turn)


def _units(
    made: Sequence[_Made], out: Sequence[Place], size: str, number: int | None = None
) -> Units:
    beside = [place for one in made for place in one.beside]
    into = [one.into for one in made]
    return Units(into=into, out=out, beside=beside, size=size, number=number)


def _mlp(model: Any, state: State, prefix: str) -> list[Units]:
    names = [f"{prefix}blocks.{i}.0.weight" for i in range(len(model.widths))]
    return [
        _units([_made(state, name, norm=f"{prefix}blocks.{i}.1")], [_columns(reader)], "widths", i)
        for i, (name, reader) in enumerate(pairwise([*names, f"{prefix}out.weight"]))
    ]


def _cnn(model: Any, state: State, prefix: str) -> list[Units]:
    """Return channels; between the blocks stand poolings, which have no weights."""
    names = [name for name in state if name.startswith(prefix) and name.endswith(".0.weight")]
    found = []
    for i, name in enumerate(names):
        if i + 1 < len(names):
            out = _columns(names[i + 1])
        else:  # laid flat, every channel is all its pixels
            head, n_channels = state[f"{prefix}out.weight"], state[name].shape[0]
            out = Place(name=f"{prefix}out.weight", axis=1, each=head.shape[1] // n_channels)
        norm = name.removesuffix(".0.weight") + ".1"
        found.append(_units([_made(state, name, norm=norm)], [out], "channels", i))
    return found


def _inside(layer: str, narrow: str, *, copies: int = 1) -> Callable[..., list[Units]]:
    """Return a finder of the units inside blocks: dense, activation, dense.

    Args:
        layer: the name of the first dense layer, with ``{}`` for the block's number.
        narrow: that of the second.
        copies: how often the first has each unit.
    """

    def find(model: Any, state: State, prefix: str) -> list[Units]:
        found = []
        for i in range(model.n_layers):
            made = _made(state, f"{prefix}{layer.format(i)}.weight", copies=copies)
            read = _columns(f"{prefix}{narrow.format(i)}.weight")
            found.append(_units([made], [read], "hidden_width"))
        return found

    return find


def _tabm(model: Any, state: State, prefix: str) -> list[Units]:
    """Return units whose weights the members share; each has scales and biases of its own."""
    found = []
    for i in range(model.n_layers):
        own, behind = f"{prefix}blocks.{i}.0.", f"{prefix}blocks.{i + 1}.0."
        scales, last = [_columns(f"{own}scale_out")], i + 1 == model.n_layers
        found.append(
            Units(
                into=[Place(name=f"{own}weight", axis=0)],
                out=[_columns(f"{prefix}out.weight" if last else f"{behind}weight")],
                scales=scales if last else [*scales, _columns(f"{behind}scale_in")],
                beside=[Place(name=f"{own}bias", axis=0, copies=model.n_members)],
                size="width",
            )
        )
    return found


def _resnet(model: Any, state: State, prefix: str) -> list[Units]:
    """Return the channels inside each block, and those along the way that blocks add to."""
    way, readers, stage = [_made(state, f"{prefix}first.0.weight", norm=f"{prefix}first.1")], [], 0
    found = []
    for i in range(model.n_stages * model.n_blocks):
        block = f"{prefix}blocks.{i}."
        first, last = f"{block}inside.0.0.weight", f"{block}inside.1.weight"
        readers.append(_columns(first))
        if f"{block}around.0.weight" in state:  # here begins another way
            readers.append(_columns(f"{block}around.0.weight"))
            found.append(_units(way, readers, "channels", stage))
            way, readers, stage = [], [], i // model.n_blocks
            way.append(_made(state, f"{block}around.0.weight", norm=f"{block}around.1"))
        way.append(_made(state, last, norm=f"{block}inside.2"))
        inside = _made(state, first, norm=f"{block}inside.0.1")
        found.append(_units([inside], [_columns(last)], "channels", i // model.n_blocks))
    return [*found, _units(way, [*readers, _columns(f"{prefix}out.weight")], "channels", stage)]


def _recurrent(model: Any, state: State, prefix: str) -> list[Units]:
    """Return the vectors of steps, and the units of every layer in each direction."""
    sides = ("there", "back") if model.bidirectional else ("there",)
    layers = [[f"{prefix}layers.{i}.{side}." for side in sides] for i in range(model.n_layers)]
    first = [_columns(f"{own}weight_ih_l0") for own in layers[0]]
    found = [replace(_units([_vectors(state, prefix)], first, "width"), linear=True)]
    for i, layer in enumerate(layers):
        for turn, own in enumerate(layer):
            side = {"layers": len(sides), "turn": turn}
            weights = [f"{own}weight_{kind}_l0" for kind in ("ih", "hh")]
            copies = len(state[weights[1]]) // state[weights[1]].shape[1]
            if i + 1 < len(layers):
                behind = [_columns(f"{after}weight_ih_l0", **side) for after in layers[i + 1]]
            else:
                behind = _pooled(state, prefix, **side)
            made = [_made(state, weight, copies=copies) for weight in weights]
            found.append(_units(made, [_columns(weights[1]), *behind], "width"))
    return found


def _tcn(model: Any, state: State, prefix: str) -> list[Units]:
    """Return the channels inside each block, and those along the way that blocks add to."""
    blocks = [f"{prefix}blocks.{i}." for i in range(model.n_layers)]
    first, second = (
        [f"{block}{part}{DIRECTION}" for block in blocks] for part in ("first", "second")
    )
    inside = [
        _units([_made(state, into)], [_columns(out)], "width")
        for into, out in zip(first, second, strict=True)
    ]
    way = [_vectors(state, prefix), *(_made(state, name) for name in second)]
    readers = [*map(_columns, first), *_pooled(state, prefix)]
    return [*inside, _units(way, readers, "width")]


def _text_cnn(model: Any, state: State, prefix: str) -> list[Units]:
    """Return the vectors of tokens, and the filters of each kernel."""
    kernels = [f"{prefix}filters.{i}.weight" for i in range(len(model.kernels))]
    vectors = _units([_vectors(state, prefix)], [_columns(name) for name in kernels], "width")
    found = [replace(vectors, linear=True)]
    for turn, name in enumerate(kernels):
        head = _columns(f"{prefix}out.weight", layers=len(kernels), turn=turn)
        found.append(_units([_made(state, name)], [head], "n_filters"))
    return found


def _vectors(state: State, prefix: str) -> _Made:
    """Return the vectors of steps: a dense layer puts them out, or tokens have them."""
    weight = f"{prefix}entrance.vectors.weight"
    if f"{prefix}entrance.vectors.bias" in state:
        return _made(state, weight)
    return _Made(into=Place(name=weight, axis=1), beside=[])


def _pooled(state: State, prefix: str, *, layers: int = 1, turn: int = 0) -> list[Place]:
    """Return where the units of the last steps are read: by the head, and by a question of them."""
    head = _columns(f"{prefix}out.weight", layers=layers, turn=turn)
    name = f"{prefix}{QUESTION}"
    asked = [Place(name=name, axis=axis, layers=layers, turn=turn) for axis in (0, 1)]
    return [head, *(asked if name in state else [])]


def _listed(sizes: str) -> Callable[[Any, Left], dict[str, Any]]:
    """Return what lists the sizes that are left."""

    def changed(model: Any, left: Left) -> dict[str, Any]:
        others = {"n_layers", "width", "growth"} & type(model).model_fields.keys()
        listed = [left(size) for size in getattr(model, sizes)]
        return {**dict.fromkeys(others), "layers": listed}

    return changed


def _named(*names: str) -> Callable[[Any, Left], dict[str, Any]]:
    """Return what makes sizes smaller that have a name each."""
    return lambda model, left: {name: left(getattr(model, name)) for name in names}


def _factor(model: Any, left: Left) -> dict[str, Any]:
    """Return how wide every block is inside."""
    return {"hidden_factor": left(model.hidden_width) / model.width}


def _stages(model: Any, left: Left) -> dict[str, Any]:
    """Return a width with which channels change where they do now: a convolution stands there."""

    def changes(width: int) -> list[bool]:
        channels = model.model_copy(update={"width": width}).channels
        return [before != after for before, after in pairwise(channels)]

    widths = range(left(model.width), model.width + 1)
    return {"width": next(width for width in widths if changes(width) == changes(model.width))}


_WIDTH = _named("width")
_FAMILIES = {
    "mlp": _Family(find=_mlp, sizes=_listed("widths")),
    "cnn": _Family(find=_cnn, sizes=_listed("channels")),
    "resnet": _Family(find=_resnet, sizes=_stages),
    "tabm": _Family(find=_tabm, sizes=_WIDTH),
    "gru": _Family(find=_recurrent, sizes=_WIDTH),
    "lstm": _Family(find=_recurrent, sizes=_WIDTH),
    "rnn": _Family(find=_recurrent, sizes=_WIDTH),
    "tcn": _Family(find=_tcn, sizes=_WIDTH),
    "text_cnn": _Family(find=_text_cnn, sizes=_named("width", "n_filters")),
    "resnet_mlp": _Family(find=_inside("widen.{}.1", "narrow.{}"), sizes=_factor),
    "transformer": _Family(find=_inside("blocks.{}.widen.1", "blocks.{}.narrow"), sizes=_factor),
    "vit": _Family(find=_inside("blocks.{}.widen.1", "blocks.{}.narrow"), sizes=_factor),
    "ft_transformer": _Family(
        find=_inside("blocks.{}.widen.1", "blocks.{}.narrow", copies=2), sizes=_factor
    ),
}
