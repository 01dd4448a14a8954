"""Steps of sequences and text: their entrance as vectors, their order, and one vector of them all.

``lengths`` are how many leading steps of each row are real, ``(rows,)``, each at least 1; None
where all are.
"""

import torch
from torch import Tensor, nn

PADDING = 0
"""The token behind the end of a text."""


class Entrance(nn.Module):
    """A vector of ``width`` for every step: a dense layer on its channels, or of its token.

    Args:
        input_shape: ``(steps, channels)`` of a sequence, ``(steps,)`` of a text.
        width: of a vector.
        n_tokens: of a text, the padding counted; None for a sequence.
        padded: whether sequences end early. Their last channel is then 1 up to their end.
    """

    def __init__(
        self, input_shape: tuple[int, ...], width: int, *, n_tokens: int | None, padded: bool
    ) -> None:
        super().__init__()
        self.is_text = n_tokens is not None
        self.padded = padded
        self.vectors: nn.Module
        if n_tokens is None:
            self.vectors = nn.Linear(input_shape[-1], width)
        else:
            self.vectors = nn.Embedding(n_tokens, width, padding_idx=PADDING)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return vectors ``(rows, steps, width)`` and lengths; of text, padding is 0."""
        lengths = None
        if self.is_text or self.padded:
            real = x != PADDING if self.is_text else x[..., -1] > 0
            lengths = real.sum(1).clamp(min=1)
        return self.vectors(x), lengths


def real_steps(lengths: Tensor, n_steps: int) -> Tensor:
    """Return which of ``n_steps`` are real, ``(rows, steps)``."""
    return torch.arange(n_steps, device=lengths.device) < lengths[:, None]


def last_step(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last real step of ``(rows, steps, width)``, ``(rows, width)``."""
    if lengths is None:
        return x[:, -1]
    return x.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, x.shape[-1])).squeeze(1)


def reversed_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return ``(rows, steps, width)`` with the real steps of every row from last to first."""
    if lengths is None:
        return x.flip(1)
    places = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - places
    taken = torch.where(mirrored >= 0, mirrored, places)
    return x.gather(1, taken[..., None].expand_as(x))


def mean_of_steps(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the mean over the real steps of ``(rows, steps, width)``, ``(rows, width)``."""
    if lengths is None:
        return x.mean(1)
    return hidden(x, lengths, 0.0).sum(1) / lengths[:, None]


class Pooling(nn.Module):
    """One vector of all real steps: ``(rows, steps, width)`` to ``(rows, width)``.

    ``last`` is where the steps end, and ``attention`` adds to that the steps that it asks for:
    their mean, each weighed by how alike it is to a question made of the end (Luong et al., 2015).
    """

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.question = nn.Linear(width, width, bias=False) if kind == "attention" else None

    def forward(self, x: Tensor, lengths: Tensor | None, end: Tensor | None = None) -> Tensor:
        """Return ``(rows, width)``; ``end`` is ``(rows, width)``, by default the last real step."""
        if self.kind == "mean":
            return mean_of_steps(x, lengths)
        if self.kind == "max":
            return hidden(x, lengths, -torch.inf).amax(1)
        end = last_step(x, lengths) if end is None else end
        if self.question is None:
            return end
        scores = x @ self.question(end)[..., None] * x.shape[-1] ** -0.5
        weights = hidden(scores, lengths, -torch.inf).softmax(1)
        return end + (weights * x).sum(1)


def hidden(x: Tensor, lengths: Tensor | None, value: float) -> Tensor:
    """Return ``(rows, steps, width)`` with ``value`` in the steps that are not real."""
    if lengths is None:
        return x
    return x.masked_fill(~real_steps(lengths, x.shape[1])[..., None], value)
