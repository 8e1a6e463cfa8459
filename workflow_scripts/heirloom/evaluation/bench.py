"""Where models are judged under one condition after another, and every answer survives a kill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.flags import Warned, flags
from heirloom.attacks.subjects import Subject, worst
from heirloom.config.attacks import OnModel
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.evaluation.answers import Answers, Series
from heirloom.evaluation.restoration import looked
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import Condition, StudentName, table_of
from heirloom.models.modes import evaluating
from heirloom.models.predictions import Answer, Predictions, asked
from heirloom.models.verdicts import named
from heirloom.runtime.progress import Progress


@dataclass(frozen=True, eq=False)
class Seen:
    """What one model says of a part's images under one condition: a row each, and its reconstruction errors (N,)."""

    table: pa.Table
    errors: NDArray[np.float32]


@dataclass(eq=False)
class Bench:
    """Models that are shown the same images, which attacks make through `source`, one of them or a substitute.

    `heard` is what libraries warn of meanwhile, `series` what was kept, by its key.
    """

    source: Classifier
    models: Sequence[tuple[StudentName, Classifier]]
    device: torch.device
    answers: Answers
    heard: list[str]
    progress: Progress
    series: dict[str, Series] = field(default_factory=dict)

    def judge(self, key: str, condition: Condition, part: Part, *, batch_size: int) -> list[Seen]:
        """Return what each model says under one condition; `key` names it among all. Float32, eval mode.

        Raises PredictionError, which names model, data set and condition, where one answers with what is no number.
        """
        kept = self.series[key] = self.answers.under(key, self.heard)
        with ExitStack() as modes:
            for model in (self.source, *(model for _, model in self.models)):
                modes.enter_context(evaluating(model))
            modes.enter_context(named("that is attacked", dataset=part.dataset, condition=str(condition)))
            sides = asked(
                lambda clean, shown: self._look(clean, shown, condition, part),
                Images(part, self.device),
                batch_size=batch_size,
                transform=condition.shown_to(self.source),
                progress=self.progress,
                kept=kept,
            )
        labels, confidences, errors = (side.numpy() for side in sides)
        return [
            Seen(
                table_of(name, condition, part, Predictions(labels[:, place].astype(np.int32), confidences[:, place])),
                errors[:, place],
            )
            for place, (name, _) in enumerate(self.models)
        ]

    def _look(self, clean: Tensor, shown: Tensor, condition: Condition, part: Part) -> Answer:
        """Return labels, confidences and errors (B, models) of a batch."""
        found = []
        for name, model in self.models:
            with named(str(name), dataset=part.dataset, condition=str(condition)):
                found.append(looked(model, clean, shown))
        return tuple(torch.stack(side, dim=1) for side in zip(*found, strict=True))

    def attacked(self, subject: Subject, *, batch_size: int) -> list[Seen]:
        """Return what each model says under an attack, in the run that is the worst for it."""
        keys = _run_keys(subject.name, len(subject.runs))
        runs = [
            self.judge(key, run, subject.part, batch_size=batch_size)
            for key, run in zip(keys, subject.runs, strict=True)
        ]
        return [_worst(mine) for mine in zip(*runs, strict=True)]

    def flags_of(self, attacks: Mapping[str, OnModel]) -> dict[str, list[dict[str, object]]]:
        """Return what libraries warned of, by name, of those of some attacks whose library does."""
        names = sorted(name for name, attack in attacks.items() if attack.flagged)
        return {name: flags(self._warned(name)) for name in names}

    def _warned(self, attack: str) -> list[Warned]:
        """Return what was warned of under an attack of one run, batch by batch."""
        (key,) = _run_keys(attack, 1)
        series = self.series[key]
        return [Warned(*found) for found in zip(series.sizes, series.notes, strict=True)]


def _worst(runs: Sequence[Seen]) -> Seen:
    """Return the run that leaves the fewest images right."""
    chosen = worst([run.table for run in runs])
    return next(run for run in runs if run.table is chosen)


def _run_keys(attack: str, runs: int) -> list[str]:
    return [f"attack {attack}: run {run}" for run in range(runs)]
