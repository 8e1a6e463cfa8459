"""Choose, on validation images, how far a robust model moves towards its fine-tuned twin (docs/definitions.md#rift)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from heirloom.config.robust import Judge
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.evaluation.judge import JudgedRates, judge_rates
from heirloom.models.classifier import Classifier, placed, state_copy
from heirloom.models.conditions import load_model
from heirloom.models.verdicts import named
from heirloom.models.weights import architecture_facts, save_classifier
from heirloom.rift.choice import Candidate
from heirloom.rift.interpolation import Point, choose, mixed, read_changes
from heirloom.runtime.devices import compute
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import read_card, sha256_of, verify_card, write_card, write_table
from heirloom.runtime.progress import Progress
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import DevelopmentFiles, Origin

# What evaluations ask of a model's card; a fetched model's classes have no names
_COPIED = ("dataset", "class_names", "crop")
Changes = Mapping[int, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Inputs(DevelopmentFiles):
    """The development part, the robust model, and what each candidate's fine-tuning changed of it."""

    model_card: Path
    model_weights: Path
    finetuned_card: Path
    finetuned_weights: Path


@dataclass(frozen=True)
class Outputs:
    """The repaired model, and a row for each candidate and alpha."""

    card: Path
    weights: Path
    interpolation: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    alphas: list[float],
    judge: Judge,
    tolerance: float,
    threads: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Write the repaired model: the candidate and alpha of the largest validation accuracy that keeps its robustness.

    `alphas` rise from 0 to 1; `tolerance` is the share of the attacked validation images that may be lost against
    alpha 0, the robust model itself. No test image has a say. A killed call leaves a checkpoint of what was judged,
    from which the same call continues to the same bytes. Raises DataError where nothing was held out for validation or
    the fine-tuning is another model's, DamagedFileError and WeightsError.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    validation = _validation(part, inputs.card)
    model = load_model(inputs.model_weights, inputs.model_card, part, dataset=read_card(inputs.card)["dataset"])
    tried = _candidates(inputs)
    changes = read_changes(inputs.finetuned_weights, [each.number for each in tried])
    origin = Origin(
        {"judge": judge, "alphas": repr(alphas), "threads": threads},
        inputs=[inputs.card, inputs.model_card, inputs.finetuned_card],
        code=code,
    )
    with compute(threads, "fp32") as resources:
        identity = origin.identity(resources.device.type)
        checkpoint = Checkpoint(outputs.card.parent, seconds=checkpoint_seconds, identity=identity)
        images = Images(validation, resources.device)
        points = _judged(placed(model, resources.device), changes, alphas, images, judge, checkpoint=checkpoint)
        chosen = choose(points, tolerance=tolerance, images=len(validation), attacked=_attacked(validation, judge))
        _mix(model, state_copy(model), changes[chosen.candidate], chosen.alpha)
    save_classifier(outputs.weights, model)
    write_table(outputs.interpolation, _table(points, chosen, tried), metadata={"kind": "interpolation", "version": 1})
    write_card(
        outputs.card,
        kind="repaired",
        files={path.name: path for path in (outputs.weights, outputs.interpolation)},
        **architecture_facts(model),
        **{name: value for name, value in read_card(inputs.model_card).items() if name in _COPIED},
        model=sha256_of(inputs.model_weights),
        repair=_facts(points, chosen, tried, judge=judge, tolerance=tolerance),
        device=resources.device.type,
    )
    checkpoint.remove()


def _validation(part: Part, card: Path) -> Part:
    if "validation" not in part.table.column("split").unique().to_pylist():
        raise DataError(
            "no image was held out to choose an alpha by",
            where=str(card),
            mend="give the preparation of the data set a validation share above 0",
        )
    return part.split("validation")


def _attacked(validation: Part, judge: Judge) -> int:
    """Count the images that the judge attacks."""
    return len(validation) if judge.images is None else min(len(validation), judge.images)


def _candidates(inputs: Inputs) -> list[Candidate]:
    """Read what was fine-tuned."""
    facts = verify_card(inputs.finetuned_card, inputs.finetuned_weights.name)
    if facts["model"] != sha256_of(inputs.model_weights):
        raise DataError(
            "another model was fine-tuned", where=str(inputs.finetuned_card), mend="delete it and run again"
        )
    return [Candidate(each["candidate"], tuple(each["modules"]), each["learning_rate"]) for each in facts["candidates"]]


def _judged(
    model: Classifier,
    changes: Changes,
    alphas: Sequence[float],
    images: Images,
    judge: Judge,
    *,
    checkpoint: Checkpoint,
) -> list[Point]:
    """Judge every candidate at every alpha; at 0 all are the robust model, which is judged once."""
    start = state_copy(model)
    steps = [(number, alpha) for number in changes for alpha in alphas]
    known: dict[str, list[float]] = (checkpoint.load() or {"rates": {}})["rates"]
    left = dict.fromkeys(key for key in (_key(*step) for step in steps) if key not in known)
    with Progress(len(left), "interpolating", "models") as progress:
        for number, alpha in steps:
            if _key(number, alpha) in known:
                continue
            _mix(model, start, changes[number], alpha)
            mixed = f"candidate {number}, alpha {alpha:g}"
            with named("that is interpolated", dataset=images.part.dataset, condition=mixed):
                rates = judge_rates(model, images, judge)
            known[_key(number, alpha)] = list(rates)
            if checkpoint.due():
                checkpoint.save({"rates": known})
            progress.advance(**rates._asdict())
    model.load_state_dict(start)
    return [Point(number, alpha, JudgedRates(*known[_key(number, alpha)])) for number, alpha in steps]


def _key(number: int, alpha: float) -> str:
    """Name a model that is judged."""
    return f"{number if alpha else 0} {alpha!r}"


def _mix(model: Classifier, start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], alpha: float) -> None:
    """Give a model the weights at an alpha."""
    here = {name: value.to(start[name].device) for name, value in tuned.items()}
    model.load_state_dict({**start, **mixed(start, here, alpha)})


def _table(points: Sequence[Point], chosen: Point, tried: Sequence[Candidate]) -> pa.Table:
    """Return a row for each candidate and alpha."""
    candidate = {each.number: each for each in tried}
    return pa.table(
        {
            "candidate": pa.array([point.candidate for point in points], pa.int32()),
            "modules": pa.array([candidate[point.candidate].title for point in points], pa.string()),
            "learning_rate": pa.array([candidate[point.candidate].learning_rate for point in points], pa.float64()),
            "alpha": pa.array([point.alpha for point in points], pa.float64()),
            "accuracy": pa.array([point.rates.accuracy for point in points], pa.float64()),
            "robust_accuracy": pa.array([point.rates.robust_accuracy for point in points], pa.float64()),
            "chosen": pa.array([point is chosen for point in points], pa.bool_()),
        }
    )


def _facts(
    points: Sequence[Point], chosen: Point, tried: Sequence[Candidate], *, judge: Judge, tolerance: float
) -> dict[str, Any]:
    """Say in the card what was chosen, and what validation images say before and after."""
    candidate = next(each for each in tried if each.number == chosen.candidate)
    start = next(point for point in points if point.alpha == 0)
    return {
        "candidate": candidate.number,
        "modules": list(candidate.modules),
        "learning_rate": candidate.learning_rate,
        "alpha": chosen.alpha,
        "tolerance": tolerance,
        "judge": judge.model_dump(mode="json"),
        "validation": {"before": start.rates._asdict(), "after": chosen.rates._asdict()},
    }
