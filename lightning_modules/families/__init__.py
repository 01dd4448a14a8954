"""The families of networks: one config model each, free of torch; importing this fills FAMILIES."""

from lightning_modules.families import cnn, ft_transformer, mlp, resnet, resnet_mlp, tabm, vit
from lightning_modules.families.family import FAMILIES, Family

__all__ = [
    "FAMILIES",
    "Family",
    "cnn",
    "ft_transformer",
    "mlp",
    "resnet",
    "resnet_mlp",
    "tabm",
    "vit",
]
