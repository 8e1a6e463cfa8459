"""What the readers of published corrupted test images share.

A reader is called as read(root, kinds=..., test=..., rows=...): `kinds` as heirloom.data.corruptions names them, `test`
the whole test part that was corrupted, `rows` those of it that are wanted. It checks at once that every kind is there
and that the images are those of `test`, and returns what opens a condition: opener(kind, severity) yields uint8
(S, S, 3) for each of `rows`, in their order, S the part's crop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from heirloom.runtime.errors import DataError

if TYPE_CHECKING:
    from heirloom.data.store import Part

SEVERITIES = 5
MEND = "unpack its archives again, or leave the kind out of the suite"

Opener = Callable[[str, int], Iterator[NDArray[np.uint8]]]


def file_name(kind: str) -> str:
    """Return how the owners write a kind of corruption."""
    return kind.replace("-", "_")


def refuse_absent(absent: Sequence[str], *, title: str, root: Path) -> None:
    """Name all kinds that were not found; raises DataError when there are any."""
    if absent:
        raise DataError(f"{title} lacks {', '.join(absent)}", where=str(root), mend=MEND)


def refuse_size(found: Sequence[int], test: Part, *, title: str, where: Path) -> None:
    """Compare the size of a corrupted image (height, width) with that of the test part, of which a model sees all."""
    height, width = test.stored.shape[1:3]
    if len({tuple(found), (height, width), (test.crop, test.crop)}) > 1:
        size = " x ".join(map(str, found))
        whole = f"{height} x {width}, of which models see {test.crop} x {test.crop}"
        what = f"the images of {title} have {size} pixels, those of the test part {whole}"
        mend = "corrupt a preparation whose size and crop are theirs, or let the corruptions be computed"
        raise DataError(what, where=str(where), mend=mend)


def refuse_others(what: str, *, where: Path) -> NoReturn:
    """Say that corrupted images are not those of the test part."""
    mend = "corrupt the data set that these images were made of, with its official files, or let them be computed"
    raise DataError(what, where=str(where), mend=mend)
