"""Boxes that owners publish as one XML file a picture, in the manner of PASCAL VOC (object/bndbox)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from heirloom.data.listing import Box

LARGEST = 1 << 20  # bytes of a file; published ones have some thousand
EDGES = ("xmin", "ymin", "xmax", "ymax")


def region(path: Path, name: str) -> dict[str, Box]:
    """Return the smallest box round all objects of a picture as the region `name`, in pixels of the picture.

    The numbers are taken as edges: whether an owner counts from 0 or 1 is not told. Raises ValueError that says why
    there is none.
    """
    try:
        boxes = _boxes(path)
    except FileNotFoundError as error:
        raise ValueError(f"no annotation: {path} is missing") from error
    except OSError as error:
        raise ValueError(f"no annotation: {path} cannot be read ({error})") from error
    if not boxes:
        raise ValueError(f"no annotation: {path} has no object with a box")
    left, top, right, bottom = zip(*boxes, strict=True)
    return {name: (min(left), min(top), max(right), max(bottom))}


def _boxes(path: Path) -> list[Box]:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST or b"\0" in content:
        raise ValueError(f"no annotation: {path} has more than {LARGEST} bytes, or is in UTF-16 or UTF-32")
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise ValueError(f"no annotation: {path} defines entities, which no published one does")
    try:
        # Without entities there is nothing in a file that grows, and in every encoding that is left they would show.
        found = ElementTree.fromstring(content).iterfind("object/bndbox")  # noqa: S314
        return [_box(element) for element in found]
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that is none
        raise ValueError(f"no annotation: {path} cannot be read ({error})") from error


def _box(element: ElementTree.Element) -> Box:
    left, top, right, bottom = (float(element.findtext(edge, default="")) for edge in EDGES)
    return left, top, right, bottom
