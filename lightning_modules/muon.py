"""Muon: orthogonal steps for hidden matrices, AdamW for everything else, in one optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import AdamW, Optimizer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""The polynomial whose repetition drives all singular values near 1 (Jordan et al., 2024)."""
N_REPEATS = 5


def matrices(network: nn.Module) -> list[nn.Parameter]:
    """Return the hidden matrices of ``network``, which Muon trains; frozen ones are left out.

    These are the weights of two dimensions of any layer, called ``weight`` or ``weight_…``, and the
    kernels of convolutions. Not among them are embeddings (`torch.nn.Embedding`, and modules that
    say so by a true ``is_embedding``), and the last layer that has any weight of two or more
    dimensions, in the order in which the network defines them: the output layer.
    """
    layers = [
        [p for name, p in module.named_parameters(recurse=False) if name.startswith("weight")]
        for module in network.modules()
        if not _is_embedding(module)
    ]
    layers = [[p for p in weights if p.ndim >= 2] for weights in layers]
    convolved = {
        id(p) for one in network.modules() if isinstance(one, _ConvNd) for p in one.parameters()
    }
    hidden = [weights for weights in layers if weights][:-1]
    return [
        p
        for weights in hidden
        for p in weights
        if p.requires_grad and (p.ndim == 2 or id(p) in convolved)
    ]


def _is_embedding(module: nn.Module) -> bool:
    own = bool(getattr(module, "is_embedding", False))
    return own or isinstance(module, nn.Embedding | nn.EmbeddingBag)


class Muon(Optimizer):
    """One optimizer of two kinds of groups, so that schedules, clipping and checkpoints see one.

    A matrix moves by its momentum with all singular values made 1 (Jordan et al., 2024), scaled
    to the size of AdamW's steps (Liu et al., 2025); a kernel ``(out, in, ...)`` as the matrix
    ``(out, in * ...)``. All other parameters are AdamW's. Weight decay is decoupled in both.

    Args:
        matrices: groups with their ``weight_decay``.
        others: groups with their ``weight_decay``, for AdamW.
        lr: of matrices, of the others.
        momentum: of matrices, Nesterov's.
        betas: of the others.
        fused: whether AdamW makes its step by one kernel.
    """

    def __init__(
        self,
        matrices: list[dict[str, Any]],
        others: list[dict[str, Any]],
        *,
        lr: tuple[float, float],
        momentum: float,
        betas: tuple[float, float],
        fused: bool = False,
    ) -> None:
        self._adamw = AdamW(others, lr=lr[1], betas=betas, fused=fused)
        groups = [{**one, "lr": lr[0], "momentum": momentum} for one in matrices]
        super().__init__([*groups, *self._adamw.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if "momentum" in group:
                self._move(group)
        # A checkpoint that was loaded has put other groups and another state in place.
        self._adamw.param_groups = [one for one in self.param_groups if "momentum" not in one]
        self._adamw.state = self.state
        self._adamw.step()
        return loss

    @torch.no_grad()
    def _move(self, group: dict[str, Any]) -> None:
        lr, momentum = group["lr"], group["momentum"]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - momentum)
            direction = p.grad.lerp(state["momentum"], momentum).flatten(1)
            size = 0.2 * max(direction.shape) ** 0.5
            p.mul_(1 - lr * group["weight_decay"])
            p.add_(orthogonal(direction).view_as(p), alpha=-lr * size)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return ``matrix``, ``(rows, columns)``, with all its singular values near 1."""
    a, b, c = NEWTON_SCHULZ
    x = matrix / matrix.norm().clamp(min=1e-7)
    x = x.T if len(matrix) > matrix.shape[1] else x
    for _ in range(N_REPEATS):
        square: Tensor = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    out: Tensor = x.T if len(matrix) > matrix.shape[1] else x
    return out
