"""Bring a published data set from a user's folder or its owner's page, unpacked and unchanged."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heirloom.config.models import RemoteFile
from heirloom.data.archives import is_archive, unpack
from heirloom.data.checksums import published
from heirloom.data.fetch import cache_for, find_local, obtain, with_places
from heirloom.data.trees import describe, replaced
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import sha256_of, write_card


@dataclass(frozen=True)
class Outputs:
    """The card; the files lie in `files` beside it."""

    card: Path


def run(
    *,
    outputs: Outputs,
    files: list[RemoteFile],
    folders: list[str],
    dataset: str,
    data_root: Path | None = None,
    checksums: Path | None = None,
    instructions: dict[str, str] | None = None,
    local_paths: dict[str, dict[str, str]] | None = None,
    addresses: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    """Put a data set's files into `files` beside the card, replacing earlier ones as a whole.

    A folder of `data_root` whose name is among `folders` (the first of them that exists) is linked, not copied;
    otherwise, or when a file has a local path, all of `files` are found or downloaded, archives are unpacked and other
    files copied. `checksums` is the record of downloads that nobody published a checksum of, `instructions` tell a
    user how to get the files ("datasets.NAME"), `local_paths` where files lie and `addresses` where they can be
    downloaded (the same, then the file's name). Raises DataError that says what to put where when there is
    neither. The card names the archives with their sha256 and holds no path of this machine.
    """
    target = outputs.card.parent / "files"
    places = (local_paths or {}).get(f"datasets.{dataset}", {})
    files = with_places(files, places, (addresses or {}).get(f"datasets.{dataset}", {}))
    folder = None if places else next((found for name in folders if (found := _folder(name, data_root))), None)
    if folder is None:
        advice = (instructions or {}).get(f"datasets.{dataset}", "")
        _refuse_absent(files, folders, data_root=data_root, dataset=dataset, instructions=advice)
        cache = cache_for(outputs.card)
        archives = [obtain(file, data_root=data_root, cache=cache, record=checksums) for file in files]
    else:
        archives = []
    outputs.card.unlink(missing_ok=True)
    with replaced(target) as partial:
        if folder is not None:
            (partial / folder.name).symlink_to(folder.resolve(), target_is_directory=True)
        for archive, file in zip(archives, files if archives else [], strict=True):
            _place(archive, file, partial)
    write_card(
        outputs.card,
        kind="raw",
        files={},
        dataset=dataset,
        tree=describe(target),
        archives=[_described(archive, file) for archive, file in zip(archives, files if archives else [], strict=True)],
    )


def _folder(name: str, data_root: Path | None) -> Path | None:
    """Find a folder that already holds the data set unpacked."""
    found = find_local(name, data_root)
    return found if found is not None and found.is_dir() else None


def _refuse_absent(
    files: Sequence[RemoteFile], folders: Sequence[str], *, data_root: Path | None, dataset: str, instructions: str
) -> None:
    """Say all that is missing at once, before anything is downloaded."""
    absent = [file.name for file in files if not file.urls and not _at_hand(file, data_root)]
    if files and not absent:
        return
    ways = [f"the folder {' or '.join(folders)}"] if folders else []
    ways += [f"the files {', '.join(file.name for file in files)}"] if files else []
    place = f"in {data_root}" if data_root else "in a folder of yours, and name that folder as data_root in the study"
    what = f"the data set {dataset} is not at hand, and it cannot be downloaded"
    if absent:
        what += f": no address is known for {', '.join(absent)}"
    mend = f"put {' or '.join(ways)} {place}" + (f" ({instructions})" if instructions else "")
    raise DataError(what, where=f"data_root: {data_root or 'not given'}", mend=mend)


def _at_hand(file: RemoteFile, data_root: Path | None) -> bool:
    """Tell whether a user says where a file lies, or the user's folder holds it."""
    return file.local_path is not None or find_local(file.name, data_root) is not None


def _place(archive: Path, file: RemoteFile, folder: Path) -> None:
    """Unpack an archive and those within it; copy any other file under the catalogue's name for it."""
    if not is_archive(archive.name):
        shutil.copyfile(archive, folder / file.name)
        return
    unpack(archive, folder)
    for name in file.inner:
        inner = folder / name
        if not inner.is_file() or inner.is_symlink():
            mend = "correct `inner` in the catalogue, or get the archive again"
            raise DataError(f"{archive.name} holds no archive {name}", where=str(archive), mend=mend)
        unpack(inner, inner.parent)
        inner.unlink()


def _described(archive: Path, file: RemoteFile) -> dict[str, object]:
    """Describe an archive for the card; `verified` tells whether its owner published a checksum, which was met."""
    return {
        "name": file.name,
        "sha256": sha256_of(archive),
        "bytes": archive.stat().st_size,
        "verified": published(file),
    }
