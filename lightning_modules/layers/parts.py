"""Activations and norms by name."""

from torch import nn

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def activation(name: str) -> nn.Module:
    """Return the activation of that name."""
    return _ACTIVATIONS[name]()


def feature_norm(name: str, width: int) -> nn.Module:
    """Return a norm over ``(rows, width)``."""
    if name == "batch":
        return nn.BatchNorm1d(width)
    return nn.LayerNorm(width) if name == "layer" else nn.Identity()


def image_norm(name: str, channels: int) -> nn.Module:
    """Return a norm over ``(rows, channels, height, width)``; ``layer`` is over all but rows."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(1, channels) if name == "layer" else nn.Identity()
