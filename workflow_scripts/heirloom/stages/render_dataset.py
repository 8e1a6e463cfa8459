"""Draw a data set in the layout of a published one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from heirloom.config.kinds import WRITERS
from heirloom.data.trees import content_digest, describe, replaced
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import write_card
from heirloom.runtime.registry import known


@dataclass(frozen=True)
class Outputs:
    """The card; the drawn files lie in `files` beside it."""

    card: Path


def run(*, outputs: Outputs, writer: str, seed: int, options: dict[str, int]) -> None:
    """Let a writer of heirloom.data.writers write its data set, replacing an earlier one as a whole.

    The card holds a digest of all names and contents, so it changes exactly when a picture does. Raises ConfigError for
    an option or a value that the writer does not take.
    """
    write = WRITERS.load(writer).write
    _check_options(write, options, writer=writer)
    files = outputs.card.parent / "files"
    outputs.card.unlink(missing_ok=True)
    with replaced(files) as folder:
        try:
            write(folder, seed=seed, **options)
        except ValueError as error:
            raise ConfigError(str(error), where=f"source.options {options}", mend="correct the option") from error
    write_card(
        outputs.card,
        kind="raw",
        files={},
        tree=describe(files),
        content=content_digest(files),
        writer=writer,
        seed=seed,
        options=options,
    )


def _check_options(write: Callable[..., None], options: Mapping[str, int], *, writer: str) -> None:
    """Refuse what the writer has no parameter for."""
    taken = {name: name for name in inspect.signature(write).parameters if name not in {"root", "seed"}}
    for option in options:
        known(taken, option, kind=f"option of the writer {writer}")
