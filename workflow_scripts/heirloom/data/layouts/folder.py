"""A user's own pictures: one sub-folder per class.

    <folder>/<class>/*                          no test part: made by seed
    <folder>/train/<class>/*                    the same
    <folder>/{train,test}/<class>/*             test is the test part
    <folder>/{train,val}/<class>/*              val is the test part
    <folder>/{train,val,test}/<class>/*         test is the test part, val joins the training pictures

The rule of the first two: of each class 20 % of the pictures (rounded, at least one, never all), chosen by TEST_SEED
and the pictures' names, become the test part; copies of one file stay on one side. The choice for a class does not
depend on other classes, on the order of a folder or on the place of the data set. Validation is held out of the
training pictures by the preparation, also where there is a `val`. `train`, `val` and `test` may be written in any
capitals. Pictures: JPEG, PNG, BMP, GIF, WebP, PPM, PGM, TIFF.
"""

from __future__ import annotations

from pathlib import Path

from heirloom.data import class_folders
from heirloom.data.listing import Listing, listing, pictures, subfolders
from heirloom.runtime.errors import DataError

TEST_SHARE = 0.2  # of each class, chosen by seed, where there is no test part
TEST_SEED = 0
TITLE = "folder of class folders"
TRAINING, VALIDATION, TEST = "train", "val", "test"


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the sorted names of the class folders.

    Copies of one file are one group. Raises DataError when there is no such folder, several could be it, it has one
    class only, or a test folder and no `train`; what cannot be used is among the listing's `problems`.
    """
    base = class_folders.find(root, title=TITLE, fits=_fits)
    parts = _parts(base)
    if not parts:
        return _undivided(base, base, [])
    if TRAINING not in parts:
        mend = f"name the folder of the training pictures {TRAINING}"
        raise DataError(
            f"a folder {' and '.join(sorted(parts))}, but none named {TRAINING}", where=str(base), mend=mend
        )
    problems = _beside(base, parts)
    if len(parts) == 1:
        return _undivided(parts[TRAINING], base, problems)
    return _divided(base, parts, problems)


def _fits(folder: Path) -> bool:
    """Tell whether a folder holds classes, or a part that does."""
    return class_folders.has_classes(folder) or any(map(class_folders.has_classes, _parts(folder).values()))


def _parts(folder: Path) -> dict[str, Path]:
    """Return the folders of the parts; one that holds pictures itself is a class that happens to have such a name."""
    found = (child for child in subfolders(folder) if child.name.lower() in (TRAINING, VALIDATION, TEST))
    return {child.name.lower(): child for child in found if not pictures(child, *class_folders.SUFFIXES)}


def _beside(base: Path, parts: dict[str, Path]) -> list[str]:
    """Report what lies beside the parts and would be left out."""
    others = [*(child for child in subfolders(base) if child not in parts.values())]
    others += pictures(base, *class_folders.SUFFIXES)
    return [f"{path}: lies beside {parts[TRAINING].name}, in no part with class folders" for path in others]


def _undivided(folder: Path, base: Path, problems: list[str]) -> Listing:
    """List class folders without a test part."""
    classes = class_folders.scan(folder, problems)
    labels = class_folders.number(classes, folder=folder)
    found = class_folders.undivided(classes, labels, base=base, problems=problems)
    return class_folders.hold_out(found, labels, base=base, share=TEST_SHARE, seed=TEST_SEED, problems=problems)


def _divided(base: Path, parts: dict[str, Path], problems: list[str]) -> Listing:
    """List parts of class folders; classes are those of the training part."""
    test = TEST if TEST in parts else VALIDATION
    found = {name: class_folders.scan(path, problems) for name, path in parts.items()}
    labels = class_folders.number(found[TRAINING], folder=parts[TRAINING])
    chosen = [
        sample
        for name, classes in found.items()
        for sample in class_folders.samples(
            classes, labels, base=base, part="test" if name == test else "development", problems=problems
        )
    ]
    rule = f"the user's folder {parts[test].name}"
    return listing(labels, class_folders.join_copies(chosen, problems), problems, test_split=rule)
