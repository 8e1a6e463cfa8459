"""Drawn everyday objects (see `objects`), written as the batches of CIFAR-10 for Python (Krizhevsky 2009)."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from heirloom.data.synthetic.files import check_classes
from heirloom.data.synthetic.objects import KINDS, draw_object
from heirloom.data.synthetic.scene import check_counts, stream

SIDE = 32
BATCHES = 5
PROTOCOL = 2  # of the published files
_TRAINING, _TEST, _ORDER = range(3)

Place: TypeAlias = tuple[int, int, int]  # part, class, number


def write(root: Path, *, seed: int, classes: int = 10, train_images: int = 60, test_images: int = 15) -> None:
    """Write CIFAR-10's pickles under root/cifar-10-batches-py: five training batches, a test batch, batches.meta.

    `train_images` and `test_images` count for each class; images are 32 x 32, in an order drawn by the seed. The same
    arguments give the same bytes; what is drawn for a class and number depends on the seed alone, not on how many
    others there are. Raises ValueError for a count out of range, FileExistsError if the folder exists.
    """
    check_classes(classes, len(KINDS), "drawn objects")
    check_counts(train_images=(train_images, 1), test_images=(test_images, 1))
    if classes * train_images < BATCHES:
        raise ValueError(f"{classes * train_images} training images cannot fill {BATCHES} batches")
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    training = np.array_split(_shuffled(_TRAINING, classes, train_images, seed), BATCHES)
    for number, places in enumerate(training, start=1):
        _write_batch(folder / f"data_batch_{number}", f"training batch {number} of {BATCHES}", places, seed)
    tests = _shuffled(_TEST, classes, test_images, seed)
    _write_batch(folder / "test_batch", "testing batch 1 of 1", tests, seed)
    words = [kind.word for kind in KINDS[:classes]]
    meta = {"num_cases_per_batch": len(training[0]), "label_names": words, "num_vis": 3 * SIDE * SIDE}
    _dump(folder / "batches.meta", meta)


def _shuffled(part: int, classes: int, count: int, seed: int) -> NDArray[np.int64]:
    """Return the places of a part's pictures (N, 3), in an order drawn by the seed."""
    places = np.array([(part, index, number) for index in range(classes) for number in range(count)])
    return stream(seed, _ORDER, part).permutation(places)


def _write_batch(path: Path, title: str, places: NDArray[np.int64], seed: int) -> None:
    """Draw the pictures of some places and write them as one batch."""
    wanted: list[Place] = [tuple(place) for place in places.tolist()]
    content = {
        "batch_label": title,
        "labels": [index for _, index, _ in wanted],
        "data": np.stack([_values(place, seed) for place in wanted]),
        "filenames": [f"{KINDS[index].word.replace(' ', '_')}_{number:04d}.png" for _, index, number in wanted],
    }
    _dump(path, content)


def _values(place: Place, seed: int) -> NDArray[np.uint8]:
    """Draw one picture: all red values row by row, then green, then blue."""
    image, _ = draw_object(place[1], stream(seed, *place), SIDE)
    return np.asarray(image).transpose(2, 0, 1).ravel()


def _dump(path: Path, content: Mapping[str, object]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=PROTOCOL))
