"""Tiny-ImageNet-C as its owners publish it (Hendrycks and Dietterich, ICLR 2019).

    Tiny-ImageNet-C/<kind>/<severity>/<wnid>/<name of the validation picture>

The four kinds that the owners call extra come as an archive of their own; its folder may have another name. Pictures
are matched with the validation pictures of Tiny-ImageNet, its test part here, by their files' names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heirloom.data.corrupted_layouts._published import (
    MEND,
    Opener,
    file_name,
    refuse_absent,
    refuse_others,
    refuse_size,
)
from heirloom.data.listing import levels, pictures, subfolders
from heirloom.data.pictures import UNREADABLE, bombs_are_errors, open_picture
from heirloom.runtime.errors import DataError

if TYPE_CHECKING:
    from heirloom.data.store import Part

TITLE = "Tiny-ImageNet-C"
SUFFIXES = (".jpeg", ".jpg", ".png")


def read(root: Path, *, kinds: Sequence[str], test: Part, rows: NDArray[np.integer]) -> Opener:
    """Open the pictures at or below `root` (see `_published`), each when it is asked for.

    Raises DataError when a kind is missing and, when a condition is opened, for pictures that are missing, of another
    class than in the test part, of another size, or unreadable.
    """
    folders = {folder.name: folder for level in levels(root) for folder in level if _holds_severities(folder)}
    wanted = {kind: file_name(kind) for kind in kinds}
    refuse_absent([name for name in wanted.values() if name not in folders], title=TITLE, root=root)
    chosen = test.take(rows)

    def opened(kind: str, severity: int) -> Iterator[NDArray[np.uint8]]:
        folder = folders[wanted[kind]] / str(severity)
        found = _pictures(folder, len(test.classes))
        paths = [
            _matched(found, PurePosixPath(s).name, int(y), folder)
            for s, y in zip(chosen.sources, chosen.labels, strict=True)
        ]
        return (_decoded(path, test) for path in paths)

    return opened


def _holds_severities(folder: Path) -> bool:
    return any(child.name in {"1", "2", "3", "4", "5"} for child in subfolders(folder))


def _pictures(folder: Path, classes: int) -> Mapping[str, tuple[int, Path]]:
    """Return label and path of each picture of a condition by its name; labels are positions among sorted folders."""
    found = subfolders(folder)
    if len(found) != classes:
        refuse_others(f"{len(found)} folders of classes, but the test part has {classes} classes", where=folder)
    return {path.name: (label, path) for label, each in enumerate(found) for path in pictures(each, *SUFFIXES)}


def _matched(found: Mapping[str, tuple[int, Path]], name: str, label: int, folder: Path) -> Path:
    """Return the corrupted picture of a test picture."""
    if name not in found:
        refuse_others(f"there is no corrupted picture of {name}", where=folder)
    its, path = found[name]
    if its != label:
        refuse_others(f"{name} is of the class {its} there, of {label} in the test part", where=path)
    return path


def _decoded(path: Path, test: Part) -> NDArray[np.uint8]:
    """Read one picture."""
    try:
        with bombs_are_errors(), open_picture(path) as opened:
            refuse_size((opened.height, opened.width), test, title=TITLE, where=path)
            return np.asarray(opened.convert("RGB"))
    except UNREADABLE as error:
        raise DataError(f"a corrupted picture cannot be read: {error}", where=str(path), mend=MEND) from error
