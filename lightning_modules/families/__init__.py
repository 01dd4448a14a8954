"""The families of networks: one config model each, free of torch; importing this fills FAMILIES."""

from lightning_modules.families import (
    cnn,
    ft_transformer,
    mlp,
    recurrent,
    resnet,
    resnet_mlp,
    tabm,
    tcn,
    text_cnn,
    transformer,
    vit,
)
from lightning_modules.families.family import FAMILIES, Family

__all__ = [
    "FAMILIES",
    "Family",
    "cnn",
    "ft_transformer",
    "mlp",
    "recurrent",
    "resnet",
    "resnet_mlp",
    "tabm",
    "tcn",
    "text_cnn",
    "transformer",
    "vit",
]
