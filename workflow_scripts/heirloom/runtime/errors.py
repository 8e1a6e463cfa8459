"""Errors that a user can mend: each says what is wrong, where, and what to do about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

# What a terminal obeys, what turns the direction of a line, and what ends it: nothing that a file's name may do.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # letters of Persian and Indic words, and parts of emoji, are joined or kept apart by them


def plain(text: str) -> str:
    """Return a text on one line, its control and format characters and what UTF-8 cannot hold shown as escapes."""
    return "".join(_escape(sign) if _is_obeyed(sign) else sign for sign in text)


def _is_obeyed(sign: str) -> bool:
    return unicodedata.category(sign) in _OBEYED and sign not in _JOINERS


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


_SHOWN = 8


def some(names: Sequence[str]) -> str:
    """List the first of many names in a message, and count the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


class HeirloomError(Exception):
    """An error whose text is enough to mend it, so it is shown without a traceback.

    `what` is one sentence, `details` are lines below it, `where` names the file, key or member it concerns, `mend` says
    what to do. Names of foreign files may be in all of them, so each stays on one line (`plain`).
    """

    def __init__(self, what: str, *, details: Sequence[str] = (), where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.details = tuple(details)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        lines = [self.what, *self.details]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.mend:
            lines.append(f"  to mend: {self.mend}")
        return "\n".join(map(plain, lines))


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
