"""Boxes that owners publish as one XML file a picture, in the manner of PASCAL VOC (object/bndbox)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from heirloom.data.layouts.listing import Box

EDGES = ("xmin", "ymin", "xmax", "ymax")


def region(path: Path, name: str) -> dict[str, Box]:
    """Return the smallest box round all objects of a picture as the region `name`, in pixels of the picture.

    The numbers are taken as edges: whether an owner counts from 0 or 1 is not told. Raises ValueError that says why
    there is none.
    """
    if not path.is_file():
        raise ValueError(f"no annotation: {path} is missing")
    boxes = _boxes(path)
    if not boxes:
        raise ValueError(f"no annotation: {path} has no object with a box")
    left, top, right, bottom = zip(*boxes, strict=True)
    return {name: (min(left), min(top), max(right), max(bottom))}


def _boxes(path: Path) -> list[Box]:
    content = path.read_bytes()
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise ValueError(f"no annotation: {path} defines entities, which no published one does")
    try:
        # without entities there is nothing in a file that grows
        found = ElementTree.fromstring(content).iterfind("object/bndbox")  # noqa: S314
        return [_box(element) for element in found]
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"no annotation: {path} cannot be read ({error})") from error


def _box(element: ElementTree.Element) -> Box:
    left, top, right, bottom = (float(element.findtext(edge, default="")) for edge in EDGES)
    return left, top, right, bottom
