"""Answers to batches of images in a checkpoint, so that a judgement of hours survives being killed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from heirloom.models.predictions import Answer
from heirloom.training.checkpoints import Checkpoint


@dataclass(eq=False)
class Series:
    """The answers under one condition, batch after batch (`predictions.Kept`).

    `heard` is where others put texts while a batch is answered, such as a library's warnings; they are kept with the
    batch, in `notes`, and taken out of `heard`.
    """

    owner: Answers
    heard: list[str]
    answers: list[Answer] = field(default_factory=list)
    notes: list[list[str]] = field(default_factory=list)

    def known(self) -> list[Answer]:
        """Return the answers to the first batches."""
        return list(self.answers)

    def add(self, answer: Answer) -> None:
        """Keep the answer to the next batch, in the checkpoint when that is due."""
        self.answers.append(tuple(side.cpu() for side in answer))
        self.notes.append(list(self.heard))
        self.heard.clear()
        self.owner.save_when_due()

    @property
    def sizes(self) -> list[int]:
        """How many images each batch had."""
        return [len(first) for first, *_ in self.answers]

    def plain(self) -> dict[str, Any]:
        """Return what a checkpoint holds: few large tensors, not many small ones."""
        sides = [torch.cat(side) for side in zip(*self.answers, strict=True)]
        return {"sides": sides, "sizes": self.sizes, "notes": self.notes}


class Answers:
    """All series of one judgement, by the name of their condition."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._found: dict[str, dict[str, Any]] = checkpoint.load() or {}
        self._series: dict[str, Series] = {}

    def under(self, name: str, heard: list[str]) -> Series:
        """Return the series of a condition, which begins with what a killed call left."""
        series = Series(self, heard)
        if name in self._found:
            kept = self._found[name]
            series.answers = list(zip(*(side.split(kept["sizes"]) for side in kept["sides"]), strict=True))
            series.notes = kept["notes"]
        self._series[name] = series
        return series

    def save_when_due(self) -> None:
        """Write the checkpoint if its interval has passed."""
        if self._checkpoint.due():
            unseen = {name: kept for name, kept in self._found.items() if name not in self._series}
            self._checkpoint.save(unseen | {name: series.plain() for name, series in self._series.items()})
