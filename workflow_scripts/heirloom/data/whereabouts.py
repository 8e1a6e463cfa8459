"""Where the files of a data set or teacher would come from, without fetching any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heirloom.config.models import RemoteFile
from heirloom.data.fetch import find_local, find_own


@dataclass(frozen=True)
class Whereabouts:
    """`folder`: it lies unpacked in the user's folder and is linked. Else each file is in one of three lists."""

    folder: Path | None = None
    at_hand: tuple[Path, ...] = ()
    to_download: tuple[RemoteFile, ...] = ()
    absent: tuple[RemoteFile, ...] = ()

    @property
    def obtainable(self) -> bool:
        """Whether a job can get everything by itself."""
        return self.folder is not None or (not self.absent and bool(self.at_hand or self.to_download))

    @property
    def size(self) -> int | None:
        """Bytes of the files, None where one of them is not at hand."""
        if self.folder is not None:
            return 0
        return None if self.to_download or self.absent else sum(path.stat().st_size for path in self.at_hand)


def find(files: Sequence[RemoteFile], folders: Sequence[str], *, data_root: Path | None, cache: Path) -> Whereabouts:
    """Look for an unpacked folder in `data_root`, then for each file there, then in `cache`, then for its address.

    With a local path of a file no folder is looked for. The order is that of download_dataset and fetch_teacher. Raises
    DataError when `data_root` is no folder or a local path no file.
    """
    for name in [] if any(file.local_path for file in files) else folders:
        folder = find_local(name, data_root)
        if folder is not None and folder.is_dir():
            return Whereabouts(folder=folder)
    places = {file.name: _place(file, data_root, cache) for file in files}
    missing = [file for file in files if places[file.name] is None]
    return Whereabouts(
        at_hand=tuple(place for place in places.values() if place is not None),
        to_download=tuple(file for file in missing if file.urls),
        absent=tuple(file for file in missing if not file.urls),
    )


def _place(file: RemoteFile, data_root: Path | None, cache: Path) -> Path | None:
    """Return where a file lies already."""
    cached = cache / file.name
    return find_own(file, data_root) or (cached if cached.is_file() else None)
