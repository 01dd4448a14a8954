"""Our own pictures as PNG, for viewers that show no SVG: the shapes that `svg` writes, no more."""

import io
from collections.abc import Mapping
from xml.etree import ElementTree

from PIL import Image, ImageColor, ImageDraw, ImageFont

FINER = 2
"""Shapes are drawn so many times larger, and made smaller again: edges are smooth then."""
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
Canvas = ImageDraw.ImageDraw


def png_of(picture: str) -> bytes:
    """Return a picture of `hpo.figures.svg` as PNG, in its light colours; dashes become lines."""
    root = ElementTree.fromstring(picture)
    size = (int(root.attrib["width"]), int(root.attrib["height"]))
    image = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "#ffffff")
    canvas = ImageDraw.Draw(image, "RGBA")
    for shape in root:
        name = shape.tag.rpartition("}")[2]
        if name == "text":
            _text(image, canvas, shape.attrib, shape.text or "")
        elif name in _SHAPES:
            _SHAPES[name](canvas, shape.attrib)
    stream = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(stream, "PNG")
    return stream.getvalue()


def _numbers(of: Mapping[str, str], *names: str) -> list[float]:
    return [float(of[name]) * FINER for name in names]


def _rect(canvas: Canvas, of: Mapping[str, str]) -> None:
    x, y, width, height = _numbers(of, "x", "y", "width", "height")
    if width > 0 and height > 0:
        canvas.rectangle((x, y, x + width, y + height), fill=of["fill"])


def _line(canvas: Canvas, of: Mapping[str, str]) -> None:
    ends = _numbers(of, "x1", "y1", "x2", "y2")
    canvas.line(ends, fill=of["stroke"], width=_width(of))


def _polyline(canvas: Canvas, of: Mapping[str, str]) -> None:
    points = [float(part) * FINER for part in of["points"].replace(",", " ").split()]
    canvas.line(points, fill=of["stroke"], width=_width(of), joint="curve")


def _circle(canvas: Canvas, of: Mapping[str, str]) -> None:
    x, y, radius = _numbers(of, "cx", "cy", "r")
    opacity = round(255 * float(of.get("fill-opacity", "1")))
    fill = (*ImageColor.getrgb(of["fill"])[:3], opacity)
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _width(of: Mapping[str, str]) -> int:
    return max(1, round(float(of["stroke-width"]) * FINER))


_SHAPES = {"rect": _rect, "line": _line, "polyline": _polyline, "circle": _circle}


def _text(image: Image.Image, canvas: Canvas, of: Mapping[str, str], words: str) -> None:
    """Draw words on a line, or upwards where they are turned."""
    font = ImageFont.load_default(float(of["font-size"]) * FINER)
    anchor, fill = _ANCHORS[of["text-anchor"]], of["fill"]
    x, y = _numbers(of, "x", "y")
    if "transform" not in of:
        canvas.text((x, y), words, font=font, fill=fill, anchor=anchor)
        return
    length, height = round(font.getlength(words)) + 4, round(float(of["font-size"]) * FINER * 1.4)
    turned = Image.new("L", (length, height), 0)
    below = height // 4
    ImageDraw.Draw(turned).text((2, height - below), words, font=font, fill=255, anchor="ls")
    turned = turned.rotate(90, expand=True)
    before = {"start": length, "middle": length // 2, "end": 0}[of["text-anchor"]]
    corner = (round(x) - height + below, round(y) - before)
    image.paste(Image.new("RGB", turned.size, fill), corner, turned)
