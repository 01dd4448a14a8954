from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hpo.figures.svg import Frame, around, document, printable, text, tick, ticks
from hpo.words import short


@given(st.text(alphabet=st.characters()))
def test_any_text_can_stand_in_a_picture(words: str) -> None:
    picture = document((10, 10), "a", ["b"], [text((0, 0), words)])
    root = ElementTree.fromstring(picture.encode("utf-8"))
    assert len(list(root)) == 7  # style, title, desc, ground, three texts
    assert "<" not in printable(words)


@given(st.text(), st.integers(2, 30))
def test_a_name_is_cut_to_its_cells(name: str, cells: int) -> None:
    cut = short(name, cells)
    assert cut == name or (cell_len(cut) <= cells and cut.endswith("…"))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_evenly_spaced_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 7
    room = width * 1e-6
    assert all(low - room <= value <= low + width + room for value in found)
    gaps = [b - a for a, b in pairwise(found)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), rel=1e-6, abs=1e-6 * abs(low) + 1e-9)
    assert len({tick(value) for value in ticks(0, width)}) == len(ticks(0, width))


def test_a_frame_turns_values_into_places() -> None:
    frame = Frame(corner=(10, 20), size=(100, 50), x=(0, 2), y=(-1, 1))
    assert (frame.at(0, -1), frame.at(2, 1), frame.at(1, 0)) == ((10, 70), (110, 20), (60, 45))


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(0, 10, (-0.4, 10.4)), (4, 4, (2, 6)), (0, 0, (-1, 1)), (-4, -4, (-6, -2))],
)
def test_there_is_room_around_values(low: float, high: float, ends: tuple[float, float]) -> None:
    assert around(low, high) == ends


def test_a_long_answer_widens_the_picture() -> None:
    picture = document((100, 100), "Why?", ["x" * 200], [])
    assert float(ElementTree.fromstring(picture).get("width") or 0) > 1000
