"""Draw a data set in the layout of a published one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.data.synthetic import WRITERS
from heirloom.data.trees import content_digest, describe, replaced
from heirloom.runtime.files import write_card
from heirloom.runtime.registry import known, resolve


@dataclass(frozen=True)
class Outputs:
    """The card; the drawn files lie in `files` beside it."""

    card: Path


def run(*, outputs: Outputs, writer: str, seed: int, options: dict[str, int]) -> None:
    """Let a writer of heirloom.data.synthetic.WRITERS draw its data set, replacing an earlier one as a whole.

    The card holds a digest of all names and contents, so it changes exactly when a picture does.
    """
    write = resolve(known(WRITERS, writer, kind="writer"))
    files = outputs.card.parent / "files"
    outputs.card.unlink(missing_ok=True)
    with replaced(files) as folder:
        write(folder, seed=seed, **options)
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
