"""Fitted: all that was learned from the training rows before the network; JSON both ways."""

from lightning_modules.data.prepare import Preparation
from lightning_modules.data.target import Target
from lightning_modules.settings import Settings


class Fitted(Settings):
    """All that was fitted on training rows, and the shape of the rows it makes; JSON both ways."""

    input_shape: list[int]
    preparation: Preparation
    target: Target
