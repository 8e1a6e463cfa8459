"""Decode a data set once: square uint8 arrays with an index, split into train, validation and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heirloom.config.kinds import LAYOUTS
from heirloom.config.models import Preparation
from heirloom.data import splits
from heirloom.data.listing import Listing, Sample
from heirloom.data.pictures import PictureDecoder
from heirloom.data.store import index_table, write_images
from heirloom.data.trees import describe
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import atomic_path, read_card, write_card, write_table
from heirloom.runtime.progress import Progress

NAMED = 20  # broken pictures named in a message; the rest are counted


@dataclass(frozen=True)
class Inputs:
    """The card of the raw files, which lie in `files` beside it."""

    raw: Path


@dataclass(frozen=True)
class Outputs:
    """The two parts, and the card that names them."""

    card: Path
    development_images: Path
    development_index: Path
    test_images: Path
    test_index: Path


@dataclass(frozen=True)
class _Part:
    """One part to write: its samples in order, each with its split, and what decodes them."""

    name: str
    samples: tuple[Sample, ...]
    splits: tuple[str, ...]
    decoder: PictureDecoder


def run(*, inputs: Inputs, outputs: Outputs, layout: str, preparation: Preparation, dataset: str) -> None:
    """Write uint8 images (N, size, size, 3) and an index for each part, then the card.

    Training images lie before validation images, each by identifier.
    Raises DataError that names all missing, damaged and mislabelled pictures at once; then nothing is written.
    Validation is by whole groups; no published script has one (docs/definitions.md#b19).
    """
    files = inputs.raw.parent / "files"
    raw = read_card(inputs.raw)
    with _told_of_own(files):
        listing: Listing = LAYOUTS.load(layout).read(files)
    chosen = splits.split(
        [sample for sample in listing.samples if sample.part == "development"],
        validation=preparation.validation,
        shots=preparation.shots,
        seed=preparation.split_seed,
    )
    development = _development(chosen, preparation)
    test = _test(listing, preparation)
    _refuse_empty(listing, files)
    with ExitStack() as stack:
        # Both parts keep temporary names until every picture was good.
        for path, part in ((outputs.development_images, development), (outputs.test_images, test)):
            _decode(stack.enter_context(atomic_path(path)), part)
        _refuse_problems([*listing.problems, *development.decoder.problems, *test.decoder.problems], files)
        _refuse_changes(files, raw.get("tree"))
    _write_index(outputs.development_index, development, listing.classes, files)
    _write_index(outputs.test_index, test, listing.classes, files)
    write_card(
        outputs.card,
        kind="data",
        files=_named_files(outputs),
        dataset=dataset,
        layout=layout,
        classes=list(listing.classes),
        size=preparation.size,
        crop=preparation.crop,
        preparation=preparation.model_dump(mode="json"),
        counts=_counts(development, test),
        pixel_range={part.name: [part.decoder.low, part.decoder.high] for part in (development, test)},
        departures=_departures(chosen, listing.classes),
        test_split=listing.test_split,
    )


def _development(chosen: splits.Splits, preparation: Preparation) -> _Part:
    """Put training before validation, so that each is one piece of the array."""
    names = ("train",) * len(chosen.train) + ("validation",) * len(chosen.validation)
    return _Part(
        "development", (*chosen.train, *chosen.validation), names, PictureDecoder(preparation.size, preparation.fit)
    )


def _test(listing: Listing, preparation: Preparation) -> _Part:
    """Take the test samples in the listing's order."""
    samples = tuple(sample for sample in listing.samples if sample.part == "test")
    return _Part("test", samples, ("test",) * len(samples), PictureDecoder(preparation.size, preparation.fit))


def _refuse_empty(listing: Listing, files: Path) -> None:
    """Ask for samples in both parts; where there are none, problems tell why."""
    for part in ("development", "test"):
        if not any(sample.part == part for sample in listing.samples):
            _refuse_problems(listing.problems, files)
            own = _own(files)
            mend = f"add some in {own}, delete {files.parent} and run again" if own else "unpack it again"
            raise DataError(f"the data set has no {part} picture", where=str(own or files), mend=mend)


def _decode(path: Path, part: _Part) -> None:
    """Write the images of one part."""
    with Progress(len(part.samples), f"preparing {part.name}", "pictures") as progress:

        def told() -> Iterator[NDArray[np.uint8]]:
            for image in part.decoder.decode(part.samples):
                yield image
                progress.advance()

        write_images(path, told(), count=len(part.samples))


def _refuse_problems(problems: Sequence[str], files: Path) -> None:
    """Name everything that cannot be used in one message."""
    if not problems:
        return
    shown = [f"    {problem.removeprefix(f'{files}/')}" for problem in problems[:NAMED]]
    if len(problems) > NAMED:
        shown.append(f"    and {len(problems) - NAMED} more")
    count = "1 picture" if len(problems) == 1 else f"{len(problems)} pictures"
    own = _own(files)
    mend = f"restore them from the original archive, or delete {files.parent} and run again"
    if own is not None:
        mend = f"correct or remove them in {own}, delete {files.parent} and run again"
    raise DataError(f"{count} of the data set cannot be used:", details=shown, where=str(own or files), mend=mend)


def _refuse_changes(files: Path, expected: object) -> None:
    """Compare the raw files with their card: a lost picture is noticed even where no list names it."""
    found = describe(files)
    if expected is not None and found != expected:
        own = _own(files)
        known_as = "that were in the folder when it was first looked at" if own else "that were unpacked"
        what = f"the raw files are not those {known_as}: {found['files']} files, {found['bytes']} bytes"
        mend = f"their card says otherwise: delete {files.parent} and run again"
        raise DataError(what, where=str(own or files), mend=mend)


def _own(files: Path) -> Path | None:
    """Return the user's folder that the raw files are a link to; None where archives were unpacked."""
    link = _link(files)
    return None if link is None else link.resolve()


def _link(files: Path) -> Path | None:
    """Find the link to a user's folder; no archive can bring one, since those to folders are refused."""
    entries = files.iterdir() if files.is_dir() else ()
    return next((link for link in entries if link.is_symlink() and link.is_dir()), None)


@contextmanager
def _told_of_own(files: Path) -> Iterator[None]:
    """Put a reader's refusal of a user's own folder into words about that folder, not about the link to it."""
    try:
        yield
    except DataError as error:
        link = _link(files)
        if link is None:
            raise
        own, again = str(link.resolve()), f"delete {files.parent} and run again"
        mend = error.mend if again in error.mend else f"{error.mend} (in {own}), then {again}"
        where = error.where.replace(f"{link}", own).replace(f"{files}", own)
        raise DataError(error.what, details=error.details, where=where, mend=mend) from error


def _write_index(path: Path, part: _Part, classes: Sequence[str], files: Path) -> None:
    """Write the index of one part, in the order of its images."""
    samples = part.samples
    columns: dict[str, Sequence[object]] = {
        "sample": [sample.identifier for sample in samples],
        "label": [sample.label for sample in samples],
        "class_name": [classes[sample.label] for sample in samples],
        "split": part.splits,
        "group": [sample.group for sample in samples],
        "source": [sample.path.relative_to(files).as_posix() for sample in samples],
        "width": [width for width, _ in part.decoder.sizes],
        "height": [height for _, height in part.decoder.sizes],
    }
    names = sorted({name for sample in samples for name in sample.regions})
    regions = {name: [boxes.get(name) for boxes in part.decoder.regions] for name in names}
    write_table(path, index_table(columns, regions), metadata={"kind": "data"})


def _named_files(outputs: Outputs) -> dict[str, Path]:
    """Name the files of the card by their places in its folder."""
    paths = (outputs.development_images, outputs.development_index, outputs.test_images, outputs.test_index)
    return {path.relative_to(outputs.card.parent).as_posix(): path for path in paths}


def _counts(*parts: _Part) -> dict[str, int]:
    """Count the images of each split."""
    counts = Counter(split for part in parts for split in part.splits)
    return {name: counts[name] for name in ("train", "validation", "test")}


def _departures(chosen: splits.Splits, classes: Sequence[str]) -> list[str]:
    """Say where the split is not what was asked for."""
    return [f"class {classes[label]!r} is one group only: all of it trains" for label in chosen.undivided]
