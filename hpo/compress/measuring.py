"""Forms of a model beside each other: their room, their outputs, their time."""

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hpo.compress.files import content_of, scored
from hpo.compress.judging import Truth, change, verdict
from hpo.compress.material import Feeds, Material
from hpo.compress.outcome import Form, Latency
from hpo.compress.timing import latencies, rows_of
from hpo.predict.onnx_file import session_of
from hpo.ship.manifest import Manifest
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS

if TYPE_CHECKING:
    from onnx import ModelProto

MANY = 64
SLOWER = 1.2
"""A form that takes more than this times as long as the original is called slower."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A form before it is judged."""

    name: str
    graph: "ModelProto"
    manifest: Manifest
    """Without scores."""

    @property
    def content(self) -> bytes:
        """The bytes of its file, without scores."""
        return content_of(self.graph, self.manifest)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A form, and the bytes of its file."""

    form: Form
    content: bytes


def measured(
    original: bytes, candidates: Sequence[Candidate], material: Material, *, max_drop: float
) -> list[Measured]:
    """Return the original and its forms as they are.

    Args:
        original: the bytes of its file.
        candidates: its forms.
        material: the rows that judge.
        max_drop: how much worse the metric may be.

    Raises:
        UsageError: if onnxruntime cannot run one.
    """
    names = ["original", *(one.name for one in candidates)]
    contents = [original, *(one.content for one in candidates)]
    sessions = [session_of(*one, threads=1) for one in zip(contents, names, strict=True)]
    outputs = [outputs_of(session, material.validation) for session in sessions]
    times = [timed(sessions, material.validation[0], n_rows) for n_rows in (1, MANY)]
    forms = _forms(names, outputs, times, material.truth)
    first = _sized(forms[0], original)
    judged = [
        _judged(one, form, first, material, max_drop=max_drop)
        for one, form in zip(candidates, forms[1:], strict=True)
    ]
    return [Measured(form=first, content=original), *judged]


def _forms(
    names: Sequence[str],
    outputs: Sequence[Tensor],
    times: Sequence[Sequence[Latency]],
    truth: Truth,
) -> list[Form]:
    """Return forms without sizes and verdicts; the first is the original."""
    return [
        Form(
            name=name,
            size_bytes=0,
            gzip_bytes=0,
            one=one,
            many=many,
            value=value_of(found, truth),
            change=change(outputs[0], found, truth) if place else None,
            kept=True,
            words="the original",
            file=None,
        )
        for place, (name, found, one, many) in enumerate(zip(names, outputs, *times, strict=True))
    ]


def _judged(
    candidate: Candidate, form: Form, first: Form, material: Material, *, max_drop: float
) -> Measured:
    """Return a form with its file, which holds its own score, its sizes and its verdict."""
    truth = material.truth
    manifest = scored(candidate.manifest, form.change, truth, material.n_rows)
    content = content_of(candidate.graph, manifest)
    sized = _sized(form, content)
    sizes = (first.size_bytes, sized.size_bytes)
    said = verdict(form.change, truth, max_drop=max_drop, sizes=sizes)
    words = said.words + (pace_words(sized, first) if said.kept else "")
    return Measured(form=replace(sized, kept=said.kept, words=words), content=content)


def pace_words(form: Form, first: Form) -> str:
    """Return whether a form is slower than the original, and how much; nothing if it is not."""
    ratios = {
        "1 row": form.one.p50_ms / first.one.p50_ms,
        f"{MANY} rows": form.many.p50_ms / first.many.p50_ms,
    }
    slow = [f"{ratio:.1f}× with {rows}" for rows, ratio in ratios.items() if ratio > SLOWER]
    return f"; slower: {', '.join(slow)}" if slow else ""


def _sized(form: Form, content: bytes) -> Form:
    zipped = len(gzip.compress(content, 6, mtime=0))
    return replace(form, size_bytes=len(content), gzip_bytes=zipped)


def outputs_of(session: Any, batches: Sequence[Feeds]) -> Tensor:
    """Return what a model says of all rows."""
    return torch.from_numpy(np.concatenate([session.run(None, feeds)[0] for feeds in batches]))


def timed(sessions: Sequence[Any], feeds: Feeds, n_rows: int) -> list[Latency]:
    """Return how long each session takes for so many rows, in turns."""
    rows = rows_of(feeds, n_rows)
    return latencies([partial(session.run, None, rows) for session in sessions])


def value_of(outputs: Tensor, truth: Truth) -> float | None:
    """Return the metric; None where it, or an output, is no finite number."""
    if not bool(outputs.isfinite().all()):
        return None
    value = compute(METRICS[truth.metric], outputs, truth.targets, truth.numbers)
    return value if math.isfinite(value) else None
