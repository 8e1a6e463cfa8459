"""VGGFace2 as its owners publish it: loosely cut faces of 9,131 people.

    VGGFace2/train/n000002/0001_01.jpg     <number of the person>/<picture>_<face in it>; 8,631 people
    VGGFace2/test/...                      500 other people, whom no network that is offered knows: left alone
    VGGFace2/identity_meta.csv             (or meta/) Class_ID, Name, Sample_Num, Flag (1: training), Gender

The owners' test people are none of the training people: their protocol compares faces. Top-1 can only be measured on
training people, and their networks were trained on all pictures of these. So the test part made here, TEST_PICTURES of
each person by TEST_SEED, shows whether a network, its normalisation and the order of its classes were put together
rightly. It says nothing of people or pictures that the network has not seen.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from heirloom.data.listing import Box, Listing, Sample, find_folder, lines, listing, pictures, subfolders
from heirloom.data.splits import split
from heirloom.runtime.errors import DataError
from heirloom.runtime.seeds import derive_seed

TITLE = "VGGFace2"
TRAINING = "train"
PEOPLE_LIST = "identity_meta.csv"
PLACES = (".", "meta")  # of the list, beside the training folder
TEST_SEED = 2
TEST_PICTURES = 2
PERSON = re.compile(r"n[0-9]{6}")
_NO_REGIONS: Mapping[str, Box] = MappingProxyType({})  # one for millions of samples


def read(root: Path) -> Listing:
    """List the training people found at or below `root`; labels are their positions in the owners' list.

    The networks that are offered count people so. Every picture is a group of its own. Raises DataError when there is
    no such folder or no list of two training people or more; people and pictures that cannot be used are the listing's
    `problems`.
    """
    folder = find_folder(root, marks=(TRAINING,), title=TITLE)
    table = _people_list(folder)
    problems: list[str] = []
    people = dict(_training_people(table, problems))
    if len(people) < 2:
        mend = "put the owners' list there: Class_ID, Name, Sample_Num, Flag, Gender"
        raise DataError(f"the list of {TITLE} names no two training people", where=str(table), mend=mend)
    labels = {person: label for label, person in enumerate(people)}
    problems += [
        f"{path}: a training folder of a person that {PEOPLE_LIST} does not name as one"
        for path in subfolders(folder / TRAINING)
        if path.name not in labels
    ]
    found = list(_samples(folder / TRAINING, labels, problems))
    chosen = split(found, validation=0, shots=TEST_PICTURES, seed=derive_seed(TEST_SEED, "test part")).train
    held = {sample.identifier for sample in chosen}
    parts = (replace(sample, part="test") if sample.identifier in held else sample for sample in found)
    rule = f"{TEST_PICTURES} training pictures of each person, by seed {TEST_SEED}; the owners' networks have seen them"
    return listing(_told_apart(people), parts, problems, test_split=rule)


def _people_list(folder: Path) -> Path:
    """Find the owners' list beside the training folder."""
    places = [folder / place / PEOPLE_LIST for place in PLACES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        mend = f"put {PEOPLE_LIST}, from the owners' archive of lists, beside {TRAINING}"
        raise DataError(f"no list of the people of {TITLE} found", where=str(folder), mend=mend)
    return found


def _training_people(table: Path, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield number and name of each training person, in the list's order; blanks follow its commas."""
    seen: set[str] = set()
    for number, row in _rows(table):
        match [field.strip() for field in row]:
            case ["Class_ID", *_]:
                continue
            case [person, name, _, "0" | "1" as flag, *_] if PERSON.fullmatch(person) and person not in seen:
                seen.add(person)
                if flag == "1":
                    yield person, name
            case _:
                problems.append(f"{table}: line {number} is no further person: {', '.join(row)[:80]!r}")


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of the list with their lines' numbers; raises DataError for a list with an endless field."""
    rows = csv.reader(lines(table, title=TITLE), skipinitialspace=True)
    try:
        yield from ((rows.line_num, row) for row in rows)
    except csv.Error as error:
        mend = "put the owners' list there again"
        raise DataError(f"the list of {TITLE} cannot be read: {error}", where=str(table), mend=mend) from error


def _told_apart(people: Mapping[str, str]) -> list[str]:
    """Return names; equal ones are told apart by numbers."""
    names = list(people.values())
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    return [f"{name} ({person})" if name in repeated else name for person, name in people.items()]


def _samples(folder: Path, labels: Mapping[str, int], problems: list[str]) -> Iterator[Sample]:
    """Yield the pictures of each training person, all for training as yet."""
    for person, label in labels.items():
        found = pictures(folder / person, ".jpg", ".jpeg")
        if len(found) <= TEST_PICTURES:
            problems.append(f"{folder / person}: {len(found)} pictures, and {TEST_PICTURES} are held out")
        for path in found:
            identifier = f"{person}/{path.name}"
            yield Sample(identifier, path, label, "development", identifier, _NO_REGIONS)
