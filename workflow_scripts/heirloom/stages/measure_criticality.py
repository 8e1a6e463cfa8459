"""Measure how much each module of a robust model can move before its robustness is lost (docs/definitions.md#rift)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from heirloom.config.names import UNREPAIRED
from heirloom.config.robust import Criticality
from heirloom.data.resident import Images
from heirloom.data.store import open_part
from heirloom.evaluation.measures import write_measures
from heirloom.models.classifier import Classifier, placed
from heirloom.models.conditions import CLEAN, load_model
from heirloom.models.kernels import check_gradients
from heirloom.rift.criticality import Criticalness, Measurement, adversarial_examples, chosen_images, modules_of
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card, sha256_of, write_card, write_table
from heirloom.runtime.progress import Progress
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import DevelopmentFiles, Origin

METRIC = "criticality"


@dataclass(frozen=True)
class Inputs(DevelopmentFiles):
    """The development part of the robust model's data set, and the model."""

    model_card: Path
    model_weights: Path


@dataclass(frozen=True)
class Outputs:
    """A row a module: all that was found, and the criticalities that the tables show; the card vouches for both."""

    card: Path
    criticality: Path
    measures: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    criticality: Criticality,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Write the criticality of every convolution and linear layer, in the model's order.

    Sees training images alone, uint8 (N, H, W, 3), centre crop; float32, in eval mode. `seed` names the model in the
    measures. A killed call leaves a checkpoint of the modules that are done, from which the same call continues to the
    same bytes; only the adversarial examples are crafted again. Raises DataError, DamagedFileError, WeightsError where
    the model's head does not know the data set's classes, and TrainingError where an ascent overflows or this
    processor's gradients are wrong.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    dataset = read_card(inputs.card)["dataset"]
    model = load_model(inputs.model_weights, inputs.model_card, part, dataset=dataset)
    origin = Origin({"criticality": criticality}, inputs=[inputs.card, inputs.model_card], code=code)
    chosen = chosen_images(part.split("train"), criticality)
    with compute(criticality.threads, "fp32") as resources:
        identity = origin.identity(resources.device.type)
        checkpoint = Checkpoint(outputs.card.parent, seconds=checkpoint_seconds, identity=identity)
        check_gradients(placed(model, resources.device))
        found = _measured(model, Images(chosen, resources.device), criticality, checkpoint=checkpoint)
    write_table(outputs.criticality, _table(found), metadata={"kind": METRIC, "version": 1})
    write_measures(outputs.measures, list(_measures(found, criticality, seed=seed)))
    write_card(
        outputs.card,
        kind=METRIC,
        files={path.name: path for path in (outputs.criticality, outputs.measures)},
        settings=criticality.model_dump(mode="json"),
        images=len(chosen),
        data=sha256_of(inputs.card),
        model=sha256_of(inputs.model_weights),
        device=resources.device.type,
    )
    checkpoint.remove()


def _measured(
    model: Classifier, images: Images, settings: Criticality, *, checkpoint: Checkpoint
) -> list[Criticalness]:
    """Measure every module that the checkpoint does not hold yet."""
    done = [Criticalness(**row) for row in (checkpoint.load() or {"rows": []})["rows"]]
    modules = list(modules_of(model).values())
    if len(done) == len(modules):
        return done
    measurement = Measurement(model, adversarial_examples(model, images, settings), settings)
    with Progress(len(modules) - len(done), METRIC, "modules") as progress:
        for module in modules[len(done) :]:
            done.append(measurement.of(module))
            if checkpoint.due():
                checkpoint.save({"rows": [row._asdict() for row in done]})
            progress.advance(criticality=done[-1].criticality)
    return done


def _table(rows: Sequence[Criticalness]) -> pa.Table:
    """Return a row for each module; columns have the types of their values."""
    return pa.table({name: [getattr(row, name) for row in rows] for name in Criticalness._fields})


def _measures(rows: Sequence[Criticalness], settings: Criticality, *, seed: int) -> Iterator[dict[str, Any]]:
    """Give the rows of the measures: the criticality of each module of this model."""
    budget = json.dumps(settings.model_dump(mode="json", exclude={"seed", "threads"}), sort_keys=True)
    shared = {"method": UNREPAIRED, "seed": seed, "attack": CLEAN, "budget": budget, "metric": METRIC, "sample": ""}
    for row in rows:
        yield shared | {"condition": row.module, "value": row.criticality}
