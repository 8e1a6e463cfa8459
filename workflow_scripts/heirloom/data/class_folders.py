"""What the layouts of one folder per class share: finding them, listing them, and making a test part by a rule."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from heirloom.data.listing import Listing, Sample, levels, listing, pictures, subfolders
from heirloom.data.splits import split
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import sha256_of
from heirloom.runtime.seeds import derive_seed

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
NOTES = (".txt", ".md", ".csv", ".json", ".xml", ".html", ".url", ".db", ".ini")  # what may lie beside pictures

Classes = dict[str, list[Path]]


def has_classes(folder: Path) -> bool:
    """Tell whether a folder has two sub-folders or more that hold pictures.

    One alone may be a data set with a stray picture beside its classes, to be looked into.
    """
    return sum(bool(pictures(child, *SUFFIXES)) for child in subfolders(folder)) > 1


def find(root: Path, *, title: str, fits: Callable[[Path], bool] = has_classes) -> Path:
    """Return the folder at or below `root` (three levels at most) that fits, on the first level that has one.

    Raises DataError when there is none, or when a level has several, since taking one would leave the others out.
    """
    for level in levels(root):
        found = [folder for folder in level if fits(folder)]
        if len(found) > 1:
            names = ", ".join(folder.relative_to(root).as_posix() for folder in found)
            mend = "leave one of them, or put all class folders into one folder (below train and test, if need be)"
            raise DataError(f"several folders could be the {title}: {names}", where=str(root), mend=mend)
        if found:
            return found[0]
    mend = "give a folder that holds one sub-folder of pictures for each class"
    raise DataError(f"no {title} found: no folder holds two class folders with pictures", where=str(root), mend=mend)


def scan(folder: Path, problems: list[str]) -> Classes:
    """Return the pictures of each class folder, both in sorted order.

    What would be left out silently is reported: an empty class, pictures beside or below class folders, files that are
    no picture of a known kind, two folders or pictures whose names look the same. Classes' names are in Unicode's
    composed form (NFC), in which one class has one name whatever the disk makes of it.
    """
    problems += [f"{path}: lies in no class folder" for path in pictures(folder, *SUFFIXES)]
    classes: Classes = {}
    for child in subfolders(folder):
        found, name = pictures(child, *SUFFIXES), unicodedata.normalize("NFC", child.name)
        problems += _strays(child, known=set(found))
        problems += _respelled(found)
        if not found:
            problems.append(f"{child}: no picture in this class folder")
        if name in classes:
            problems.append(f"{child}: another class folder has the same name in another Unicode spelling")
        classes.setdefault(name, found)
    return classes


def _respelled(found: Iterable[Path]) -> Iterator[str]:
    """Report pictures of a folder that have one name in two Unicode spellings."""
    seen: set[str] = set()
    for path in found:
        name = unicodedata.normalize("NFC", path.name)
        if name in seen:
            yield f"{path}: another picture has the same name in another Unicode spelling"
        seen.add(name)


def _strays(folder: Path, *, known: set[Path]) -> Iterator[str]:
    """Report what lies in a class folder and is no picture."""
    for path in sorted(folder.iterdir()):
        if path in known or path.name.startswith(".") or path.suffix.lower() in NOTES:
            continue
        yield f"{path}: {'a folder inside a class folder' if path.is_dir() else 'no picture of a known kind'}"


def samples(
    classes: Classes,
    labels: Mapping[str, int],
    *,
    base: Path,
    part: Literal["development", "test"],
    problems: list[str],
) -> Iterator[Sample]:
    """Yield a sample for each picture, named by its place below `base` in Unicode's composed form (NFC).

    Names decide which pictures are held out, so they must not depend on a disk. Reports classes that `labels` does not
    have.
    """
    for name, found in classes.items():
        if name not in labels:
            problems.append(f"{(found or [base / name])[0].parent}: a class that the training folder does not have")
            continue
        for path in found:
            identifier = unicodedata.normalize("NFC", path.relative_to(base).as_posix())
            yield Sample(identifier, path, labels[name], part, identifier)


def number(classes: Iterable[str], *, folder: Path) -> dict[str, int]:
    """Return labels, positions among the sorted names; raises DataError for fewer than two classes."""
    labels = {name: label for label, name in enumerate(sorted(classes))}
    if len(labels) < 2:
        mend = "a classifier needs two class folders or more"
        raise DataError(f"the data set has one class only: {', '.join(labels)}", where=str(folder), mend=mend)
    return labels


def undivided(classes: Classes, labels: Mapping[str, int], *, base: Path, problems: list[str]) -> list[Sample]:
    """Return all pictures as samples for training, copies of a file as one group (see `join_copies`)."""
    return join_copies(list(samples(classes, labels, base=base, part="development", problems=problems)), problems)


def join_copies(found: list[Sample], problems: list[str]) -> list[Sample]:
    """Give the samples whose files are the same, byte by byte, one group, so that no split comes between them.

    The same file in two classes is a problem: one of them is mislabelled.
    """
    joined = {sample.identifier: sample for sample in found}
    for copies in _copies(found):
        first, *others = sorted(copies, key=lambda sample: sample.identifier)
        for other in others:
            if other.label != first.label:
                problems.append(f"{other.path}: the same file as {first.identifier}, which is of another class")
            else:
                joined[other.identifier] = replace(other, group=first.group)
    return list(joined.values())


def _copies(found: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Yield the samples that share one file's content; only files of one size are read."""
    by_size: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in found:
        if sample.path.is_file():
            by_size[sample.path.stat().st_size].append(sample)
    for size, alike in by_size.items():
        by_content: defaultdict[str, list[Sample]] = defaultdict(list)
        for sample in alike if size and len(alike) > 1 else ():
            by_content[sha256_of(sample.path)].append(sample)
        yield from (copies for copies in by_content.values() if len(copies) > 1)


def hold_out(
    found: Sequence[Sample],
    labels: Mapping[str, int],
    *,
    base: Path,
    share: float,
    seed: int | None,
    problems: list[str],
) -> Listing:
    """List samples that have no test part of their own: of each class a share becomes it.

    It is chosen by `seed` or, where that is None, the last in name order: all but the first int((1 - share) * N). The
    choice depends on the seed and the names of a class's pictures alone, groups stay on one side, and at least one
    picture of each class is on either side (a class with a single one is a problem).
    """
    held = _last(found, share) if seed is None else _drawn(found, share, seed)
    whole = {sample.label for sample in found} - {sample.label for sample in found if sample.identifier in held}
    problems += [
        f"{base / name}: one picture only, which cannot both train and test"
        for name, label in labels.items()
        if label in whole
    ]
    chosen = (replace(sample, part="test") if sample.identifier in held else sample for sample in found)
    portion = f"{share:.0%} of each class"
    rule = f"the last {portion} in name order" if seed is None else f"{portion}, by seed {seed}"
    return listing(labels, chosen, problems, test_split=rule)


def _drawn(found: Sequence[Sample], share: float, seed: int) -> frozenset[str]:
    """Choose test samples by seed; returns their identifiers."""
    chosen = split(found, validation=share, shots=None, seed=derive_seed(seed, "test part")).validation
    return frozenset(sample.identifier for sample in chosen)


def _last(found: Sequence[Sample], share: float) -> frozenset[str]:
    """Choose the test samples at the end of each class, but no copy of one before them; returns their identifiers."""
    classes: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in sorted(found, key=lambda sample: sample.identifier):
        classes[sample.label].append(sample)
    held: set[str] = set()
    for ordered in classes.values():
        kept = max(1, int((1 - share) * len(ordered)))
        before = {sample.group for sample in ordered[:kept]}
        held |= {sample.identifier for sample in ordered[kept:] if sample.group not in before}
    return frozenset(held)
