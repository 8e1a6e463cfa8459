"""Attack one model with a suite, or show other models what a suite crafted on a substitute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from heirloom.attacks.flags import warnings
from heirloom.attacks.search import on_substitute
from heirloom.attacks.subjects import Subject, attacked_rows, chosen_rows, subjects
from heirloom.config.names import BLACK_BOX, shown_from
from heirloom.config.study import WhiteBox
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.evaluation.answers import Answers
from heirloom.evaluation.bench import Bench, Seen
from heirloom.evaluation.measures import write_measures
from heirloom.evaluation.restoration import MEASURED, METRIC, sample_of
from heirloom.evaluation.samples import ShownSample, write_samples
from heirloom.models.classifier import Classifier, placed
from heirloom.models.conditions import CLEAN, Condition, StudentName, load_model, write_predictions
from heirloom.models.verdicts import named
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card, sha256_of, write_card
from heirloom.runtime.progress import Progress
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import Origin

_NAMED = ("method", "seed", "attack", "budget", "condition", "sample")  # what predictions and measures have in common


@dataclass(frozen=True)
class Inputs:
    """The test part, the model that is attacked and, where it is a substitute, those that are judged by it."""

    card: Path
    images: Path
    index: Path
    model_card: Path
    model_weights: Path
    target_cards: list[Path] = field(default_factory=list)
    target_weights: list[Path] = field(default_factory=list)

    def models(self, part: Part, dataset: str) -> list[Classifier]:
        """Load the attacked model, then the others; raises WeightsError for one that knows other classes."""
        weights, cards = (self.model_weights, *self.target_weights), (self.model_card, *self.target_cards)
        return [load_model(*files, part, dataset=dataset) for files in zip(weights, cards, strict=True)]


@dataclass(frozen=True)
class Outputs:
    """A row per model, condition and image; reconstruction errors; pictures; and the card, with AutoAttack's flags."""

    card: Path
    predictions: Path
    measures: Path
    pictures: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    attacks: dict[str, WhiteBox],
    box: str,
    model: str,
    targets: list[str],
    clean: bool,
    shown: dict[str, int],
    seed: int,
    batch_size: int,
    attack_batch_size: int,
    threads: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Write what models say of the images that each attack made of the clean ones, float32, in eval mode.

    `box` white-box: `model` is attacked and judged, and is the only one of `targets`. black-box: each image is crafted
    once, on `model`, whether that gets it right or wrong, and shown to all `targets`, which are parallel to the inputs'
    (condition "from-<model>"). `clean` adds clean images. Of models that restore their images, the measures hold the
    reconstruction error of up to 1,000 images under each condition (`restoring`). `shown`: of how many images the
    pictures are kept, clean and under an attack, by its name. An attack's own seed settles its draws and which images
    it is given. A killed call leaves a checkpoint, from which the same call continues to the same bytes. Raises
    DamagedFileError, DataError and WeightsError. Method: docs/fpd.md#the-attacks.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    source, *others = inputs.models(part, read_card(inputs.card)["dataset"])
    asked = subjects(part, attacks)
    if box == BLACK_BOX:
        asked = [_on_substitute(subject, model) for subject in asked]
    total = len(part) * clean + sum(map(len, asked))
    batches = {"batch_size": batch_size, "attack_batch_size": attack_batch_size, "threads": threads, "clean": clean}
    names = {"targets": ", ".join(targets)}
    settings: dict[str, BaseModel | str | int] = {f"attack {name}": attack for name, attack in attacks.items()}
    settings |= {**batches, **names}
    origin = Origin(settings, [inputs.card, inputs.model_card, *inputs.target_cards], code)
    with compute(threads, "fp32") as resources, Progress(total, "attacking", "images") as progress, warnings() as heard:
        identity = origin.identity(resources.device.type)
        checkpoint = Checkpoint(outputs.card.parent, seconds=checkpoint_seconds, identity=identity)
        source, *others = [placed(each, resources.device) for each in (source, *others)]
        students = [StudentName(name, seed) for name in targets]
        models = list(zip(students, others or [source], strict=True))
        bench = Bench(source, models, resources.device, Answers(checkpoint), heard, progress)
        found = _judged(bench, part, asked, clean=clean, batch_size=batch_size, attack_batch_size=attack_batch_size)
        pictures = list(_samples(bench, part, asked, attacks, shown))
    write_predictions(outputs.predictions, [seen.table for seens in found.values() for seen in seens])
    write_measures(outputs.measures, list(_error_rows(found, part, attacks)))
    told = write_samples(outputs.pictures, pictures)
    _write_card(inputs, outputs, bench, attacks, box=box, model=model, seed=seed, **told)
    checkpoint.remove()


def _on_substitute(subject: Subject, model: str) -> Subject:
    """Craft all runs of an attack for other models, and say through which one they went."""
    runs = (replace(on_substitute(run), variant=shown_from(model)) for run in subject.runs)
    return replace(subject, runs=tuple(runs))


def _judged(
    bench: Bench, part: Part, asked: Sequence[Subject], *, clean: bool, batch_size: int, attack_batch_size: int
) -> dict[str, list[Seen]]:
    """Return what each model says, by condition: clean images first, if they are judged."""
    found = {CLEAN: bench.judge(CLEAN, Condition(CLEAN), part, batch_size=batch_size)} if clean else {}
    return found | {subject.name: bench.attacked(subject, batch_size=attack_batch_size) for subject in asked}


def _error_rows(
    found: Mapping[str, Sequence[Seen]], part: Part, attacks: Mapping[str, WhiteBox]
) -> Iterator[dict[str, Any]]:
    """Give the reconstruction errors of the models that restore their images, of up to MEASURED images each."""
    for name, seens in found.items():
        measured = set(_measured(part, attacks.get(name)))
        for seen in seens:
            restored = np.flatnonzero(np.isfinite(seen.errors))
            rows = seen.table.select(list(_NAMED)).take(restored).to_pylist()
            for row, error in zip(rows, seen.errors[restored].tolist(), strict=True):
                if row["sample"] in measured:
                    yield row | {"metric": METRIC, "value": error}


def _measured(part: Part, attack: WhiteBox | None) -> list[str]:
    """Choose the images that errors are stored of: of those that an attack is given, the first by its seed."""
    images, seed = (None, 0) if attack is None else (attack.images, attack.seed)
    return part.take(chosen_rows(len(part), min(MEASURED, images or MEASURED), seed)).samples


def _samples(
    bench: Bench, part: Part, asked: Sequence[Subject], attacks: Mapping[str, WhiteBox], shown: Mapping[str, int]
) -> Iterator[ShownSample]:
    """Attack the images that figures show once more, from the same starts, and give them as they look to the model."""
    kept = [subject for subject in asked if subject.name in shown]
    for place, subject in enumerate(kept):
        rows = _places(len(part), attacks[subject.name], shown[subject.name])
        images = Images(subject.part.take(rows), bench.device)
        conditions = (*([Condition(CLEAN)] if place == 0 else []), subject.runs[0])
        for condition in conditions:
            with named("that is attacked", dataset=part.dataset, condition=str(condition)):
                sample = sample_of(bench.source, condition, images, rows)
            yield sample


def _places(count: int, attack: WhiteBox, shown: int) -> NDArray[np.int64]:
    """Choose some of the images that an attack is given, by its seed: their places among these."""
    given = attacked_rows(count, attack)
    return np.searchsorted(given, chosen_rows(count, min(shown, len(given)), attack.seed)).astype(np.int64)


def _write_card(
    inputs: Inputs, outputs: Outputs, bench: Bench, attacks: Mapping[str, WhiteBox], **facts: object
) -> None:
    """Vouch for what was written, and say what AutoAttack warned of."""
    write_card(
        outputs.card,
        kind="attacked",
        files={path.name: path for path in (outputs.predictions, outputs.measures, outputs.pictures)},
        data=sha256_of(inputs.card),
        weights=list(map(sha256_of, (inputs.model_weights, *inputs.target_weights))),
        autoattack_flags=bench.flags_of(attacks),
        device=bench.device.type,
        **facts,
    )
