"""The error of a forecast by how far it looks ahead."""

from collections.abc import Sequence

from hpo.figures.svg import DASHES, DIM, PALETTE, Frame, circle, document, line, path, text
from lightning_modules.evaluation.findings import TargetScores

SIZE = (820.0, 480.0)
ERRORS = ("rmse", "mae")


def steps_figure(steps: Sequence[TargetScores], about: str) -> str:
    """Return the errors of each step, in the target's units, from the next step to the last."""
    errors = {name: [one.metrics.get(name) or 0.0 for one in steps] for name in ERRORS}
    highest = max(max(values) for values in errors.values()) or 1.0
    frame = Frame(
        corner=(84, 92), size=(600, 310), x=(0.5, len(steps) + 0.5), y=(0, highest * 1.06)
    )
    parts = frame.axes("steps ahead", "error")
    for i, (name, values) in enumerate(errors.items()):
        points = [frame.at(step + 1, value) for step, value in enumerate(values)]
        y = 104 + 20 * i
        parts += [
            path(points, stroke=PALETTE[i], dash=DASHES[i]),
            *(circle(point, 3, fill=PALETTE[i]) for point in points if len(points) <= 60),
            line((704, y - 4), (728, y - 4), stroke=PALETTE[i], width=2.5, dash=DASHES[i]),
            text((735, y), name, fill=DIM),
        ]
    first, last = errors["rmse"][0], errors["rmse"][-1]
    told = f"rmse {first:.4g} one step ahead, {last:.4g} at step {len(steps)}."
    return document(SIZE, "How far ahead can the forecast be trusted?", [about, told], parts)
