import io

import pytest
from PIL import Image

from hpo.figures import draw
from hpo.figures.raster import png_of
from hpo.figures.svg import circle, document, line, path, rect, text

RESIDUALS = {
    "mean": 1.5,
    "sd": 2.0,
    "quantiles": {"0.25": -1.0, "0.75": 3.0},
    "edges": [-4.0, 0.0, 4.0],
    "counts": [2, 5],
    "pairs": [[1.0, 2.0], [3.0, 7.0]],
    "largest": [[3.0, 7.0]],
}


def opened(picture: str) -> Image.Image:
    return Image.open(io.BytesIO(png_of(picture))).convert("RGB")


def test_shapes_are_where_they_were_drawn() -> None:
    shapes = [
        rect((100, 100), (40, 40), fill="#ff0000"),
        line((200, 100), (200, 200), stroke="#00ff00", width=6),
        path([(300, 100), (340, 100)], stroke="#0000ff", width=6),
        circle((400, 120), 10, fill="#ff00ff"),
    ]
    image = opened(document((500, 300), "a?", ["b"], shapes))
    assert image.size == (500, 300)
    for at, colour in {
        (120, 120): (255, 0, 0),
        (200, 150): (0, 255, 0),
        (320, 100): (0, 0, 255),
        (400, 120): (255, 0, 255),
        (450, 250): (254, 254, 254),
    }.items():
        assert image.getpixel(at) == colour


@pytest.mark.parametrize("turn", [0, -90])
@pytest.mark.parametrize("anchor", ["start", "middle", "end"])
def test_words_stand_on_the_side_of_their_anchor(turn: float, anchor: str) -> None:
    words = text((250, 150), "HHHHHHHHHH", size=12, anchor=anchor, turn=turn, fill="#ff0000")
    image = opened(document((500, 300), "", [""], [words]))
    red = [
        (x, y)
        for x in range(500)
        for y in range(300)
        if image.getpixel((x, y))[0] > image.getpixel((x, y))[1] + 100  # type: ignore[index]
    ]
    along = [150 - y if turn else x - 250 for x, y in red]
    across = [x - 250 if turn else y - 150 for x, y in red]
    length = max(along) - min(along)
    assert length > 60
    start = {"start": 0, "middle": -length / 2, "end": -length}[anchor]
    assert min(along) == pytest.approx(start, abs=4)
    assert min(across) == pytest.approx(-8.5, abs=3)
    assert max(across) == pytest.approx(0, abs=3)


def test_every_picture_of_an_evaluation_can_be_shown(of_classes, make_evaluation) -> None:
    pictures = draw(of_classes(["a<b", "中文", "c"])) | draw(make_evaluation(residuals=RESIDUALS))
    for picture in pictures.values():
        image = opened(picture)
        assert len(image.getcolors(maxcolors=1_000_000) or []) > 3
