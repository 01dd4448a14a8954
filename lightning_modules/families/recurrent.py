"""The recurrent networks for sequences and text: plain, with memory cells, with gates."""

from typing import Literal

from lightning_modules.families.family import FAMILIES, Family, StepPooling
from lightning_modules.settings import Settings, number, shape


class RecurrentConfig(Settings):
    """What the recurrent networks have in common."""

    n_layers: int = shape(1, ge=1, le=16)
    width: int = shape(64, ge=1)
    bidirectional: bool = shape(True)
    pooling: StepPooling = shape("attention")
    dropout: float = number(0.1, ge=0, lt=1)


class RnnConfig(RecurrentConfig):
    """Recurrent network for sequences and text: each step sees the state that the last one left.

    A dense layer, or an embedding of tokens, to ``width``; ``n_layers`` recurrences of ``width``
    units, a second one from the end if ``bidirectional``; ``dropout`` of the same units at all
    steps between them (Gal and Ghahramani, 2016). ``pooling`` makes one vector of the steps
    (``attention``: the last one, and those that it asks for; Luong et al., 2015); then dropout and
    a dense output layer. Padding has no effect. Elman, 1990, the recurrence orthogonal at first (Le
    et al., 2015).
    """

    family: Literal["rnn"] = "rnn"
    activation: Literal["tanh", "relu"] = shape("tanh")


class LstmConfig(RecurrentConfig):
    """Long short-term memory for sequences and text: a recurrent network with memory cells.

    Layers as those of ``rnn``. Hochreiter and Schmidhuber, 1997, with forget gates (Gers et al.,
    2000) that are open at first (Jozefowicz et al., 2015).
    """

    family: Literal["lstm"] = "lstm"


class GruConfig(RecurrentConfig):
    """Gated recurrent units for sequences and text: gates as in ``lstm``, no cells, fewer weights.

    Layers as those of ``rnn``. Cho et al., 2014.
    """

    family: Literal["gru"] = "gru"


for _name, _config in (("rnn", RnnConfig), ("lstm", LstmConfig), ("gru", GruConfig)):
    FAMILIES.register(_name)(
        Family(
            config=_config,
            builder="lightning_modules.networks.recurrent:build_recurrent",
            takes=("sequence", "text"),
            takes_noise=True,
        )
    )
