"""The confusion table as a picture: 2 classes, or 100."""

from collections.abc import Sequence
from itertools import pairwise

from rich.cells import cell_len

from hpo.figures.svg import DIM, ON_PALE, Point, document, line, rect, text
from hpo.words import short

TITLE = "Which classes are taken for which?"
MOST_NUMBERS = 20
"""Classes up to which the cells hold their numbers."""
SHADES = ((222, 235, 247), (107, 174, 214), (8, 48, 107))
"""From the palest blue, which one row in a thousand has; white is none."""
EMPTY = "#f0f0f0"
"""The row of a class without a row in the split."""
Table = Sequence[Sequence[int]]


def confusion_figure(table: Table, classes: Sequence[str], about: str) -> str:
    """Return the picture.

    Args:
        table: rows of each class (first index) taken for each class (second).
        classes: their names.
        about: of what, for the line below the title.
    """
    n = len(classes)
    cell = max(4.0, min(104.0, (520 if n <= MOST_NUMBERS else 860) / n))
    font = min(12.0, max(7.5, cell * 0.85))
    names = [short(name) for name in classes]
    widest = max(map(cell_len, names)) * font * 0.58
    level = widest <= cell - 4
    corner, side = (58 + max(widest, 30), 112.0), n * cell
    left, top = corner
    bottom = top + side + (30 if level else 20 + widest)
    parts = [part for row in range(n) for part in _row(table, classes, row, corner, cell)]
    parts += [
        *_outline(corner, side),
        *_labels(names, corner, cell, font, level=level),
        text((left + side / 2, bottom + 16), "predicted class", anchor="middle"),
        text((24, top + side / 2), "true class", anchor="middle", turn=-90),
        *_key((left + side + 26, top)),
    ]
    size = (max(left + side + 130, 640.0), max(bottom + 36, top + 190))
    return document(size, TITLE, [about, _worst(table, classes)], parts)


def _labels(
    names: Sequence[str], corner: Point, cell: float, font: float, *, level: bool
) -> list[str]:
    """Return the names beside and below the table; of small cells, every second or third."""
    left, top = corner
    below = top + len(names) * cell
    parts = []
    for i in range(0, len(names), max(1, round(9.5 / cell))):
        middle = (i + 0.5) * cell
        at = (left - 7, top + middle + font * 0.35)
        parts.append(text(at, names[i], size=font, anchor="end"))
        if level:
            at = (left + middle, below + 18)
            parts.append(text(at, names[i], size=font, anchor="middle"))
        else:
            at = (left + middle + font * 0.35, below + 8)
            parts.append(text(at, names[i], size=font, anchor="end", turn=-90))
    return parts


def _row(table: Table, classes: Sequence[str], row: int, corner: Point, cell: float) -> list[str]:
    """Return the cells of one true class; empty ones stay white."""
    left, top = corner
    total, n = sum(table[row]), len(classes)
    y = top + row * cell
    if not total:
        return [rect((left, y), (n * cell, cell), fill=EMPTY, hint=f"{classes[row]}: no rows")]
    parts = []
    for column, count in enumerate(table[row]):
        if not count:
            continue
        share, x = count / total, left + column * cell
        hint = f"{classes[row]} taken for {classes[column]}: {count} of {total}"
        if n <= 3 * MOST_NUMBERS:
            parts.append(rect((x, y), (cell, cell), fill=shade(share), hint=hint))
        else:
            parts.append(rect((x, y), (cell, cell), fill=shade(share)))
        if n <= MOST_NUMBERS:
            fill = "#ffffff" if share > 0.5 else ON_PALE
            font = min(13.0, cell * 0.42, cell / len(str(count)) * 1.5)
            at = (x + cell / 2, y + cell / 2 + font * 0.35)
            parts.append(text(at, str(count), size=round(font, 1), anchor="middle", fill=fill))
    return parts


def _outline(corner: Point, side: float) -> list[str]:
    left, top = corner
    right, bottom = left + side, top + side
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return [line(start, end, stroke=DIM) for start, end in pairwise(corners)]


def _key(corner: Point) -> list[str]:
    """Return what the colours mean."""
    left, top = corner
    steps = 24
    parts = [text((left, top + 8), "of its class", size=11, fill=DIM)]
    for i in range(steps):
        share = 1 - i / (steps - 1)
        parts.append(rect((left, top + 18 + i * 5), (14, 5.4), fill=shade(share)))
    for share in (1.0, 0.5, 0.0):
        y = top + 18 + (1 - share) * steps * 5
        parts.append(text((left + 20, y + 4), f"{share:.0%}", size=11, fill=DIM))
    return parts


def shade(share: float) -> str:
    """Return the colour of a share: from pale to dark blue.

    >>> shade(0), shade(1)
    ('#deebf7', '#08306b')
    """
    place = min(max(share, 0.0), 1.0) * (len(SHADES) - 1)
    lower = min(int(place), len(SHADES) - 2)
    pairs = zip(SHADES[lower], SHADES[lower + 1], strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - lower)):02x}" for a, b in pairs)


def _worst(table: Table, classes: Sequence[str]) -> str:
    """Return the most frequent confusions in words."""
    pairs = [
        (count, row, column)
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    if not pairs:
        return "No row is taken for another class."
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    told = [
        f"{short(classes[r])} taken for {short(classes[c])} ({count})" for count, r, c in pairs[:3]
    ]
    return f"Most often: {', '.join(told)}."
