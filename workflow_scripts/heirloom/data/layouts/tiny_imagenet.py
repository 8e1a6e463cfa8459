"""Tiny-ImageNet as its owner publishes it: 200 classes of 64 x 64 pixels.

    tiny-imagenet-200/{wnids.txt,words.txt}
    tiny-imagenet-200/train/<wnid>/images/*.JPEG
    tiny-imagenet-200/val/{images/*.JPEG,val_annotations.txt}

The published test pictures have no labels: `val` is the test part, and validation is held out of `train`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from heirloom.data.listing import Listing, Sample, find_folder, is_plain_name, lines, listing, pictures

TITLE = "Tiny-ImageNet"
CLASS_LIST = "wnids.txt"
WORDS = "words.txt"
TEST_LIST = "val/val_annotations.txt"
SUFFIXES = (".jpeg", ".jpg")


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the sorted WordNet ids of wnids.txt.

    Every picture is a group of its own. Raises DataError when there is no such folder or a list is unreadable; entries
    that cannot be used are the listing's `problems`.
    """
    folder = find_folder(root, marks=(CLASS_LIST, "train", "val"), title=TITLE)
    listed = set(lines(folder / CLASS_LIST, title=TITLE))
    ids = sorted(filter(is_plain_name, listed))
    labels = {wnid: label for label, wnid in enumerate(ids)}
    problems = [f"{folder / CLASS_LIST}: {line[:80]!r} is no folder's name" for line in sorted(listed - labels.keys())]
    problems += [
        f"{path}: a training folder that {CLASS_LIST} does not name"
        for path in sorted((folder / "train").iterdir())
        if path.is_dir() and path.name not in labels and not path.name.startswith(".")
    ]
    samples = [*_training(folder / "train", labels, problems), *_test(folder, labels, problems)]
    return listing(_names(folder / WORDS, ids), samples, problems)


def _names(words: Path, ids: list[str]) -> list[str]:
    """Return the words of each WordNet id; an id without words stands for itself, equal words are told apart by ids."""
    known = dict(line.partition("\t")[::2] for line in lines(words, title=TITLE))
    names = [known.get(wnid, wnid).strip() for wnid in ids]
    return [name if names.count(name) == 1 else f"{name} ({wnid})" for name, wnid in zip(names, ids, strict=True)]


def _training(folder: Path, labels: Mapping[str, int], problems: list[str]) -> Iterator[Sample]:
    """Yield the training samples, class by class."""
    for wnid, label in labels.items():
        found = pictures(folder / wnid / "images", *SUFFIXES)
        if not found:
            problems.append(f"{folder / wnid / 'images'}: no pictures of this class")
        for path in found:
            yield Sample(path.stem, path, label, "development", path.stem)


def _test(folder: Path, labels: Mapping[str, int], problems: list[str]) -> Iterator[Sample]:
    """Yield the validation pictures, which are the test part here, and report those without an annotation."""
    unlisted = set(pictures(folder / "val" / "images", *SUFFIXES))
    for line in lines(folder / TEST_LIST, title=TITLE):
        name, wnid, *_ = [*line.split("\t"), ""]
        if not is_plain_name(name):
            problems.append(f"{folder / TEST_LIST}: {name[:80]!r} is no picture's name")
            continue
        path = folder / "val" / "images" / name
        unlisted.discard(path)
        if wnid not in labels:
            problems.append(f"{path}: its annotation says class {wnid!r}, which {CLASS_LIST} does not name")
            continue
        yield Sample(path.stem, path, labels[wnid], "test", path.stem)
    problems.extend(f"{path}: not in {Path(TEST_LIST).name}" for path in sorted(unlisted))
