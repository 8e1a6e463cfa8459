"""Fine-tune chosen modules of a robust model on clean images, a candidate at a time (docs/definitions.md#rift)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from heirloom.config.models import Augmentation
from heirloom.config.robust import Modules
from heirloom.config.robust_training import SteppedTraining
from heirloom.data.store import open_part
from heirloom.models.classifier import Classifier, state_copy
from heirloom.models.conditions import load_model
from heirloom.rift.choice import Candidate, candidates
from heirloom.rift.interpolation import changed, write_changes
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import read_card, read_table, sha256_of, verify_card, write_card, write_table
from heirloom.training.loop import Lesson, Row, fit
from heirloom.training.phases import Statistics, supervised_phase
from heirloom.training.session import (
    DevelopmentFiles,
    ModelFiles,
    Origin,
    Session,
    history_table,
    lesson_of,
    open_session,
)


@dataclass(frozen=True)
class Inputs(DevelopmentFiles):
    """The development part, the robust model, and its criticality where modules are chosen by it."""

    model_card: Path
    model_weights: Path
    criticality_card: list[Path] = field(default_factory=list)
    criticality: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Tuned:
    """A candidate after its fine-tuning: the tensors that it changed, and its history."""

    candidate: Candidate
    changes: Mapping[str, Tensor]
    history: Sequence[Row]


def run(
    *,
    inputs: Inputs,
    outputs: ModelFiles,
    modules: Modules,
    statistics: Statistics,
    training: SteppedTraining,
    learning_rates: list[float],
    augmentation: Augmentation,
    seed: int,
    code: str,
    published_module: str | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train every candidate, each set of modules at each rate, and write what it changed, its history, and the card.

    `learning_rates` take the place of the recipe's rate; none leaves that one. With `statistics` "frozen" every other
    weight and every batch-norm statistic and counter stays bit-identical; "moving" is the published script, in which
    all statistics move (docs/definitions.md#r3). All candidates see the same images in the same order. A killed call
    leaves a checkpoint for each candidate, from which the same call continues to the same bytes. Raises ConfigError
    (modules), DataError (criticality), DamagedFileError, WeightsError and TrainingError.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    dataset = read_card(inputs.card)["dataset"]
    model = load_model(inputs.model_weights, inputs.model_card, part, dataset=dataset)
    rates = learning_rates or [training.learning_rate]
    tried = candidates(model, modules, rates, published=published_module, criticality=_criticality(inputs))
    origin = Origin(
        # in the order of the candidates, which is what their numbers mean
        {"training": training, "augmentation": augmentation, "statistics": statistics, "candidates": repr(tried)},
        inputs=[inputs.card, inputs.model_card],
        code=code,
    )
    with open_session(outputs, training, origin=origin, seed=seed, checkpoint_seconds=checkpoint_seconds) as session:
        lesson = lesson_of(part, augmentation)
        tuned = [_tuned(session, model, lesson, each, training, statistics) for each in tried]
        _write(
            session, tuned, training=training, statistics=statistics, model=sha256_of(inputs.model_weights), seed=seed
        )


def _criticality(inputs: Inputs) -> dict[str, float] | None:
    """Read the criticality of each module; None where no file was given."""
    for card, table in zip(inputs.criticality_card, inputs.criticality, strict=True):
        if verify_card(card, table.name).get("model") != sha256_of(inputs.model_weights):
            raise DataError(
                "these criticalities were measured on another model", where=str(card), mend="delete it and run again"
            )
        rows = read_table(table)
        return dict(zip(rows["module"].to_pylist(), rows["criticality"].to_pylist(), strict=True))
    return None


def _tuned(
    session: Session,
    start: Classifier,
    lesson: Lesson,
    candidate: Candidate,
    training: SteppedTraining,
    statistics: Statistics,
) -> Tuned:
    """Fine-tune a copy of the robust model."""
    model = copy.deepcopy(start)
    recipe = training.model_copy(update={"learning_rate": candidate.learning_rate})
    phase = supervised_phase(recipe, name="fine-tuning", trained=candidate.trained, statistics=statistics)
    checkpoint = session.checkpoint(f"candidate-{candidate.number}")
    history = fit(model, lesson, phases=(phase,), compute=session.compute, seed=session.seed, checkpoint=checkpoint)
    return Tuned(candidate, changed(state_copy(start), model.state_dict()), history)


def _write(
    session: Session,
    tuned: Sequence[Tuned],
    *,
    training: SteppedTraining,
    statistics: Statistics,
    model: str,
    seed: int,
) -> None:
    """Write what was found; the card comes last."""
    outputs = session.outputs
    write_changes(outputs.weights, {each.candidate.number: each.changes for each in tuned})
    write_table(outputs.history, _history(tuned), metadata={"kind": "history"})
    write_card(
        outputs.card,
        kind="fine-tuning",
        files={path.name: path for path in (outputs.weights, outputs.history)},
        candidates=[_facts(each) for each in tuned],
        training=training.model_dump(mode="json"),
        statistics=statistics,
        seed=seed,
        model=model,
        device=session.compute.device.type,
    )


def _facts(tuned: Tuned) -> dict[str, Any]:
    """Say in the card what a candidate is and what it changed."""
    return {
        "candidate": tuned.candidate.number,
        "modules": list(tuned.candidate.modules),
        "learning_rate": tuned.candidate.learning_rate,
        "changed": sorted(tuned.changes),
        "validation_accuracy": tuned.history[-1]["validation_accuracy"],
    }


def _history(tuned: Sequence[Tuned]) -> pa.Table:
    """Join the histories, with a column that says whose a row is."""
    numbers = [each.candidate.number for each in tuned for _ in each.history]
    table = history_table([row for each in tuned for row in each.history])
    return table.add_column(0, "candidate", pa.array(numbers, pa.int32()))
