"""Combined: several packaged networks as one module."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lightning_modules.packaged.agreeing import LEAST, SHARED_VOTE
from lightning_modules.packaged.numbers import doubles
from lightning_modules.packaged.packaged import Packaged
from lightning_modules.task import NUMBERS


class Combined(nn.Module):
    """Several networks on the same raw rows, each with its own preparation, and what they agree on.

    Computed in float64 and rounded to float32 at the end.

    Args:
        members: the networks, of one kind of task.
        method: ``mean``, ``weighted`` and ``greedy`` add up what they say by their weights,
            ``vote`` counts them, ``stack`` adds up its logarithms by their weights.
        weights: one of each member.
        intercepts: of a stack, of each class, label or target.
    """

    def __init__(
        self,
        members: Sequence[Packaged],
        *,
        method: str,
        weights: Sequence[float],
        intercepts: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.method, self.kind = method, members[0].kind
        self.register_buffer("weights", doubles(weights))
        self.register_buffer("intercepts", doubles(list(intercepts or [0.0])))

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return what `Packaged` does: of one network, here of all of them."""
        parts = torch.stack([member(raw) for member in self.members]).to(torch.float64)
        if self.method == "vote":
            return self._vote(parts).to(torch.float32)
        if self.method == "stack":
            return self._stack(parts).to(torch.float32)
        return self._weigh(parts).to(torch.float32)

    def _weigh(self, parts: Tensor) -> Tensor:
        weights = self.get_buffer("weights").view(-1, *[1] * (parts.ndim - 1))
        return (weights * parts).sum(0)

    def _vote(self, parts: Tensor) -> Tensor:
        n_members = len(self.members)
        if self.kind in NUMBERS:
            ordered = parts.sort(0).values
            return (ordered[(n_members - 1) // 2] + ordered[n_members // 2]) / 2.0
        if self.kind == "multilabel":
            votes = (parts > 0.5).to(torch.float64).sum(0)
        else:
            chosen = parts.argmax(-1)[..., None] == torch.arange(parts.shape[-1])
            votes = chosen.to(torch.float64).sum(0)
        return (votes + SHARED_VOTE * parts.mean(0)) / (n_members + SHARED_VOTE)

    def _stack(self, parts: Tensor) -> Tensor:
        added = self.get_buffer("intercepts")
        if self.kind in NUMBERS:
            scores = self._weigh(parts)
            return scores + (added if scores.ndim == 2 else added[0])
        logs = parts.clamp(min=LEAST).log()
        if self.kind == "multilabel":
            return (self._weigh(logs - (1.0 - parts).clamp(min=LEAST).log()) + added).sigmoid()
        return (self._weigh(logs) + added).softmax(-1)
