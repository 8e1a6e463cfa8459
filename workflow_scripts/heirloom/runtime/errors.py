"""Errors that a user can mend: each says what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

# What a terminal obeys, or no log can hold: names of foreign files are shown in messages.
_ESCAPES: Mapping[int, str] = MappingProxyType(
    {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
)
_SHOWN = 8


def some(names: Sequence[str]) -> str:
    """List the first of many names in a message, and count the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


class HeirloomError(Exception):
    """An error whose text is enough to mend it, so it is shown without a traceback.

    `what` is one sentence, `where` names the file, key or member it concerns, `mend` says what to do. Control
    characters, which names of foreign files may hold, are shown as escapes.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.mend:
            lines.append(f"  to mend: {self.mend}")
        return "\n".join(lines).translate(_ESCAPES).encode("utf-8", "backslashreplace").decode("utf-8")


class ConfigError(HeirloomError):
    """A study, a catalogue or a stage's arguments hold a wrong key or value."""


class DataError(HeirloomError):
    """A data set, an archive or an image is missing or is not what its layout promises."""


class WeightsError(HeirloomError):
    """A weight file cannot be trusted or does not fit its model."""


class TrainingError(HeirloomError):
    """A training cannot go on, for instance because its loss is no number any more."""


class PredictionError(HeirloomError):
    """A model answers images with something that is no number, of which no prediction can be made."""


class StorageError(HeirloomError):
    """A file cannot be written: no space, no permission, a failing disk."""


class DamagedFileError(HeirloomError):
    """A file that Heirloom wrote is no longer what was written.

    `found` tells what gave it away, for instance "10 bytes instead of 12".
    """

    def __init__(self, path: Path | str, *, found: str = "") -> None:
        super().__init__(f"{path} is damaged: delete it and run again", where=found)
