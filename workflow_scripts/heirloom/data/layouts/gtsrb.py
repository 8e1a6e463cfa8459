"""The German Traffic Sign Recognition Benchmark as its owner publishes it.

    GTSRB/Final_Training/Images/000NN/{TTTTT_FFFFF.ppm, GT-000NN.csv}     class NN, track TTTTT, frame FFFFF
    GTSRB/Final_Test/Images/NNNNN.ppm
    GT-final_test.csv    in Final_Test/Images, in GTSRB, or beside GTSRB (where the owner's archive of it unpacks)

A track is some 30 frames of one physical sign: no split may cut it, or near-duplicates leak (docs/definitions.md#b8).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from heirloom.data.limits import read_whole
from heirloom.data.listing import (
    Listing,
    Sample,
    find_folder,
    is_plain_name,
    listing,
    pictures,
    whole_number,
)
from heirloom.runtime.errors import DataError

TRAINING = "Final_Training/Images"
TEST = "Final_Test/Images"
TEST_LIST = "GT-final_test.csv"
TEST_LIST_WITHOUT_CLASSES = "GT-final_test.test.csv"
LONGEST = 1 << 22  # bytes of a list, each row of which takes a hundred times its length; the longest has half a MiB
COLUMNS = ("Filename", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId")

# Meanings of the official class ids.
MEANINGS: Mapping[int, str] = MappingProxyType(
    dict(
        enumerate(
            (
                "20 km/h",
                "30 km/h",
                "50 km/h",
                "60 km/h",
                "70 km/h",
                "80 km/h",
                "end of 80 km/h",
                "100 km/h",
                "120 km/h",
                "no overtaking",
                "no overtaking by lorries",
                "right of way at the next crossing",
                "priority road",
                "give way",
                "stop",
                "no vehicles",
                "no lorries",
                "no entry",
                "danger",
                "bend to the left",
                "bend to the right",
                "double bend",
                "uneven road",
                "slippery road",
                "road narrows on the right",
                "road works",
                "traffic lights",
                "pedestrians",
                "children",
                "bicycles",
                "ice or snow",
                "wild animals",
                "end of all limits",
                "turn right",
                "turn left",
                "straight on",
                "straight on or right",
                "straight on or left",
                "keep right",
                "keep left",
                "roundabout",
                "end of no overtaking",
                "end of no overtaking by lorries",
            )
        )
    )
)


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the sorted class ids of its training part.

    Each sample has the region "sign". Raises DataError when there is no such folder, no list of the test classes, or a
    list without a needed column; entries that cannot be used are the listing's `problems`.
    """
    folder = find_folder(root, marks=(TRAINING, TEST), title="GTSRB")
    labels = {class_id: label for label, class_id in enumerate(_class_ids(folder / TRAINING))}
    problems: list[str] = []
    samples = [
        sample
        for class_id in labels
        for sample in _training(folder / TRAINING / f"{class_id:05d}", class_id, labels, problems)
    ]
    samples += _test(folder, labels, problems)
    return listing((MEANINGS.get(class_id, f"class {class_id}") for class_id in labels), samples, problems)


def _class_ids(folder: Path) -> list[int]:
    """Return the class ids that have a training folder, sorted."""
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    found = sorted(int(name) for name in names if re.fullmatch(r"[0-9]{5}", name))
    if not found:
        raise DataError("GTSRB's training part has no class folder", where=str(folder), mend="it holds 00000 to 00042")
    return found


def _training(folder: Path, class_id: int, labels: Mapping[int, int], problems: list[str]) -> Iterator[Sample]:
    """Yield the training samples of one class."""
    for path, row in _listed(folder, folder / f"GT-{folder.name}.csv", problems):
        if row["ClassId"] != str(class_id):
            problems.append(f"{path}: its list says class {row['ClassId']}, its folder class {class_id}")
            continue
        track = re.fullmatch(r"([0-9]+)_[0-9]+", path.stem)
        if track is None:
            problems.append(f"{path}: its name has no track number (TTTTT_FFFFF.ppm)")
            continue
        yield from _sample(path, row, labels[class_id], f"{folder.name}/{track[1]}", problems)


def _test(folder: Path, labels: Mapping[int, int], problems: list[str]) -> Iterator[Sample]:
    """Yield the test samples."""
    for path, row in _listed(folder / TEST, _test_list(folder), problems):
        class_id = whole_number(row["ClassId"])
        label = None if class_id is None else labels.get(class_id)
        if label is None:
            problems.append(f"{path}: its list says class {row['ClassId']!r}, which the training part does not have")
            continue
        yield from _sample(path, row, label, None, problems)


def _test_list(folder: Path) -> Path:
    """Find the list of the test pictures with their classes."""
    places = (folder / TEST, folder, folder.parent)
    for place in places:
        if (place / TEST_LIST).is_file():
            return place / TEST_LIST
    mend = f"put {TEST_LIST} (the owner's GTSRB_Final_Test_GT.zip) into {TEST} or beside Final_Test"
    for place in places:
        if (place / TEST_LIST_WITHOUT_CLASSES).is_file():
            what = f"{TEST_LIST_WITHOUT_CLASSES} has no classes, so it cannot stand for {TEST_LIST}"
            raise DataError(what, where=str(place), mend=mend)
    raise DataError(f"GTSRB's test pictures have no list of their classes ({TEST_LIST})", where=str(folder), mend=mend)


def _listed(folder: Path, table: Path, problems: list[str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield each row of a list with its picture; report names that lead elsewhere, and pictures that no row names."""
    unlisted = set(pictures(folder, ".ppm"))
    for row in _rows(table):
        if not is_plain_name(row["Filename"]):
            problems.append(f"{table}: {row['Filename'][:80]!r} is no picture's name")
            continue
        path = folder / row["Filename"]
        unlisted.discard(path)
        yield path, row
    problems.extend(f"{path}: not in {table.name}" for path in sorted(unlisted))


def _rows(table: Path) -> list[dict[str, str]]:
    """Read a list (semicolons, one header line); raises DataError when it is missing, too long or lacks a column."""
    mend = "unpack the data set again"
    content = read_whole(table, what="a list of GTSRB", most=LONGEST, mend=mend)
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        rows = list(csv.DictReader(text, delimiter=";", restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError("a list of GTSRB is missing or unreadable", where=str(table), mend=mend) from error
    missing = [column for column in COLUMNS if column not in (rows[0] if rows else {})]
    if missing:
        mend = f"the list needs the columns {'; '.join(COLUMNS)}, separated by semicolons, and at least one row"
        raise DataError(f"a list of GTSRB lacks {', '.join(missing)}", where=str(table), mend=mend)
    return rows


def _sample(path: Path, row: Mapping[str, str], label: int, track: str | None, problems: list[str]) -> Iterator[Sample]:
    """Build a sample from its row, or report why it cannot be: a training sample has a track, a test sample none."""
    part: Literal["development", "test"] = "test" if track is None else "development"
    identifier = f"test/{path.stem}" if track is None else f"{path.parent.name}/{path.stem}"
    try:
        x1, y1, x2, y2 = (float(row[f"Roi.{corner}"]) for corner in ("X1", "Y1", "X2", "Y2"))
    except ValueError:
        problems.append(f"{path}: its list gives a region that is no number")
        return
    yield Sample(identifier, path, label, part, track or identifier, {"sign": (x1, y1, x2, y2)})
