"""Receipts: what each job wrote, so that a result that is gone or altered since then is noticed.

results/<study or shared>/.receipts/<16 digits of the first output's sha256>: the outputs' paths from the working
folder, each with its sha256 and its bytes. A receipt stands for a job that ended well, and stays when it runs again and
fails, for then its files are owed. It is no output of the rule, so that it may name files of which Snakemake knows
nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import CARD, read_card, read_json, sha256_of, write_json

FOLDER = ".receipts"


@dataclass(frozen=True)
class Written:
    """What a file was when it was written."""

    sha256: str
    bytes: int

    def describes(self, path: Path) -> bool:
        """Tell whether a file is still that; the size first, which finds most that are not."""
        return path.stat().st_size == self.bytes and sha256_of(path) == self.sha256


def write_receipt(receipt: Path, outputs: Sequence[Path]) -> None:
    """Note what a job's output files are now."""
    known = {path: written for card in outputs if card.name == CARD for path, written in named_by(card).items()}
    found = {path: known.get(path) or _written(path) for path in outputs if path.is_file()}
    write_json(receipt, {path.as_posix(): asdict(written) for path, written in found.items()})


def named_by(card: Path) -> dict[Path, Written]:
    """Return the files that a card names, which need not be hashed again. Raises DamagedFileError."""
    try:
        entries = read_card(card)["files"].values()
        return {card.parent / entry["file"]: Written(entry["sha256"], entry["bytes"]) for entry in entries}
    except (KeyError, TypeError) as error:
        raise DamagedFileError(card, found="an entry of its files is incomplete") from error


def _written(path: Path) -> Written:
    return Written(sha256_of(path), path.stat().st_size)


def receipts_in(folders: Iterable[Path]) -> Iterator[Mapping[Path, Written]]:
    """Yield what each receipt in some folders says; one that cannot be read says nothing."""
    for folder in folders:
        for receipt in sorted((folder / FOLDER).glob("*")):
            try:
                yield {Path(path): Written(**entry) for path, entry in read_json(receipt).items()}
            except (DamagedFileError, AttributeError, TypeError):
                continue
