"""Judge one robust model, before or after a repair, on clean, attacked and corrupted test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from heirloom.attacks.flags import warnings
from heirloom.attacks.subjects import subjects
from heirloom.config.study import WhiteBox
from heirloom.data.store import Part, open_part
from heirloom.evaluation.answers import Answers
from heirloom.evaluation.bench import Bench
from heirloom.evaluation.corruption_suite import Suite, open_suite
from heirloom.evaluation.measures import ALL, write_measures
from heirloom.evaluation.metrics import CORRUPTION
from heirloom.models.classifier import placed
from heirloom.models.conditions import CLEAN, Condition, StudentName, load_model, write_predictions
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card, sha256_of, write_card
from heirloom.runtime.progress import Progress
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import Origin


@dataclass(frozen=True)
class Inputs:
    """The test part, the model, and suites of corrupted images of that part: three parallel lists."""

    card: Path
    images: Path
    index: Path
    model_card: Path
    model_weights: Path
    corruption_cards: list[Path] = field(default_factory=list)
    corruption_images: list[Path] = field(default_factory=list)
    corruption_indexes: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """One row per condition and image, what is measured of each image, and the card with what AutoAttack warned of."""

    card: Path
    predictions: Path
    measures: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    attacks: dict[str, WhiteBox],
    repair: str,
    seed: int,
    batch_size: int,
    attack_batch_size: int,
    threads: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Write what a robust model says of every test image: clean, under each attack on itself, and corrupted.

    Float32, eval mode, uint8 images (N, H, W, 3). `repair` ("unrepaired" before any) and `seed` name the model; an
    attack's own seed settles its draws, so all models meet the same, but for AutoAttack, whose draws also depend on the
    batch. The measures hold the share of a suite's corruptions that each image is classified right under. A killed call
    leaves a checkpoint, from which the same call continues to the same bytes: it loses the batch it was at, or
    `checkpoint_seconds` where batches are shorter. Raises DamagedFileError, DataError and WeightsError.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    suites = _suites(inputs, part)
    model = load_model(inputs.model_weights, inputs.model_card, part, dataset=read_card(inputs.card)["dataset"])
    batches = {"batch_size": batch_size, "attack_batch_size": attack_batch_size, "threads": threads}
    cards = [inputs.card, inputs.model_card, *inputs.corruption_cards]
    origin = Origin({**batches, **{f"attack {name}": attack for name, attack in attacks.items()}}, cards, code)
    asked = subjects(part, attacks)
    total = len(part) + sum(map(len, asked)) + sum(len(shown) for suite in suites for shown in suite.parts.values())
    with compute(threads, "fp32") as resources, Progress(total, "judging", "images") as progress, warnings() as heard:
        identity = origin.identity(resources.device.type)
        checkpoint = Checkpoint(outputs.card.parent, seconds=checkpoint_seconds, identity=identity)
        model = placed(model, resources.device)
        models = [(StudentName(repair, seed), model)]
        bench = Bench(model, models, resources.device, Answers(checkpoint), heard, progress)
        clean = bench.judge(CLEAN, Condition(CLEAN), part, batch_size=batch_size)
        corrupted = [_corrupted(bench, place, suite, batch_size=batch_size) for place, suite in enumerate(suites)]
        attacked = [bench.attacked(subject, batch_size=attack_batch_size) for subject in asked]
    others = [seen.table for found in (clean, *attacked) for seen in found]
    write_predictions(outputs.predictions, [*others[:1], *(each for suite in corrupted for each in suite), *others[1:]])
    write_measures(outputs.measures, [row for suite in corrupted for row in _mean_rows(suite)])
    _write_card(inputs, outputs, bench, attacks, repair=repair, seed=seed)
    checkpoint.remove()


def _suites(inputs: Inputs, part: Part) -> list[Suite]:
    """Open the suites of corrupted images."""
    files = zip(inputs.corruption_images, inputs.corruption_indexes, inputs.corruption_cards, strict=True)
    return [open_suite(images, index, card, part=part) for images, index, card in files]


def _write_card(
    inputs: Inputs, outputs: Outputs, bench: Bench, attacks: Mapping[str, WhiteBox], *, repair: str, seed: int
) -> None:
    """Vouch for what was written, and say what AutoAttack warned of."""
    write_card(
        outputs.card,
        kind="robustness",
        files={path.name: path for path in (outputs.predictions, outputs.measures)},
        repair=repair,
        seed=seed,
        model=sha256_of(inputs.model_weights),
        data=sha256_of(inputs.card),
        corruptions=list(map(sha256_of, inputs.corruption_cards)),
        autoattack_flags=bench.flags_of(attacks),
        device=bench.device.type,
    )


def _corrupted(bench: Bench, place: int, suite: Suite, *, batch_size: int) -> list[pa.Table]:
    """Return the model's predictions on each corruption of a suite."""
    shown = [
        bench.judge(f"suite {place}: {condition.variant}", condition, part, batch_size=batch_size)
        for condition, part in suite.conditions()
    ]
    return [seen.table for (seen,) in shown]


def _mean_rows(tables: Sequence[pa.Table]) -> Iterator[dict[str, Any]]:
    """Give, for each image of a suite, the share of its corruptions that it is classified right under."""
    first = tables[0]
    right = np.stack([table["prediction"].to_numpy() == table["label"].to_numpy() for table in tables])
    names = {name: first[name][0].as_py() for name in ("method", "seed", "attack", "budget")}
    shared = {**names, "condition": ALL, "metric": CORRUPTION}
    for sample, share in zip(first["sample"].to_pylist(), right.mean(axis=0).tolist(), strict=True):
        yield shared | {"sample": sample, "value": share}
