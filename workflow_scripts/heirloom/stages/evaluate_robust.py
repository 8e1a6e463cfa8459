"""Judge one robust model, before or after a repair, on clean, attacked and corrupted test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from heirloom.attacks.flags import Warned, flags, warnings
from heirloom.attacks.subjects import Subject, subjects, worst
from heirloom.config.attacks import WhiteBox
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.evaluation.answers import Answers, Series
from heirloom.evaluation.conditions import CLEAN, Condition, StudentName, judged, load_model, write_predictions
from heirloom.evaluation.corrupted import Suite, open_suite
from heirloom.evaluation.measures import ALL, write_measures
from heirloom.evaluation.metrics import CORRUPTION
from heirloom.models.classifier import Classifier, placed
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
    `checkpoint_seconds` where batches are shorter. Raises DamagedFileError, DataError and WeightsError. METHODS 3.
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
        bench = _Bench(StudentName(repair, seed), model, resources.device, Answers(checkpoint), heard, progress)
        clean = bench.judge(CLEAN, Condition(CLEAN), part, batch_size=batch_size)
        corrupted = [bench.corrupted(place, suite, batch_size=batch_size) for place, suite in enumerate(suites)]
        attacked = [bench.attacked(subject, batch_size=attack_batch_size) for subject in asked]
    write_predictions(outputs.predictions, [clean, *(table for suite in corrupted for table in suite), *attacked])
    write_measures(outputs.measures, [row for suite in corrupted for row in _mean_rows(suite)])
    _write_card(inputs, outputs, bench, attacks)
    checkpoint.remove()


def _suites(inputs: Inputs, part: Part) -> list[Suite]:
    """Open the suites of corrupted images."""
    files = zip(inputs.corruption_images, inputs.corruption_indexes, inputs.corruption_cards, strict=True)
    return [open_suite(images, index, card, part=part) for images, index, card in files]


def _write_card(inputs: Inputs, outputs: Outputs, bench: _Bench, attacks: Mapping[str, WhiteBox]) -> None:
    """Vouch for what was written, and say what AutoAttack warned of."""
    warned = {name: bench.warned(name) for name, attack in sorted(attacks.items()) if attack.kind == "autoattack"}
    write_card(
        outputs.card,
        kind="robustness",
        files={path.name: path for path in (outputs.predictions, outputs.measures)},
        repair=bench.name.method,
        seed=bench.name.seed,
        model=sha256_of(inputs.model_weights),
        data=sha256_of(inputs.card),
        corruptions=list(map(sha256_of, inputs.corruption_cards)),
        autoattack_flags={name: flags(found) for name, found in warned.items()},
        device=bench.device.type,
    )


@dataclass(eq=False)
class _Bench:
    """Where one model is judged; `heard` is what libraries warn of meanwhile, `series` what was kept, by its key."""

    name: StudentName
    model: Classifier
    device: torch.device
    answers: Answers
    heard: list[str]
    progress: Progress
    series: dict[str, Series] = field(default_factory=dict)

    def judge(self, key: str, condition: Condition, part: Part, *, batch_size: int) -> pa.Table:
        """Return the model's predictions under one condition; `key` names it among all."""
        kept = self.series[key] = self.answers.under(key, self.heard)
        images = Images(part, self.device)
        return judged(
            self.name, self.model, condition, images, batch_size=batch_size, progress=self.progress, kept=kept
        )

    def corrupted(self, place: int, suite: Suite, *, batch_size: int) -> list[pa.Table]:
        """Return the predictions on each corruption of a suite."""
        return [
            self.judge(f"suite {place}: {condition.variant}", condition, part, batch_size=batch_size)
            for condition, part in suite.conditions()
        ]

    def attacked(self, subject: Subject, *, batch_size: int) -> pa.Table:
        """Return the predictions under an attack, of its worst run."""
        keys = _run_keys(subject.name, len(subject.runs))
        runs = zip(keys, subject.runs, strict=True)
        return worst([self.judge(key, run, subject.part, batch_size=batch_size) for key, run in runs])

    def warned(self, attack: str) -> list[Warned]:
        """Return what was warned of under an attack of one run, batch by batch."""
        (key,) = _run_keys(attack, 1)
        series = self.series[key]
        return [Warned(*found) for found in zip(series.sizes, series.notes, strict=True)]


def _run_keys(attack: str, runs: int) -> list[str]:
    return [f"attack {attack}: run {run}" for run in range(runs)]


def _mean_rows(tables: Sequence[pa.Table]) -> Iterator[dict[str, Any]]:
    """Give, for each image of a suite, the share of its corruptions that it is classified right under."""
    first = tables[0]
    right = np.stack([table["prediction"].to_numpy() == table["label"].to_numpy() for table in tables])
    names = {name: first[name][0].as_py() for name in ("method", "seed", "attack", "budget")}
    shared = {**names, "condition": ALL, "metric": CORRUPTION}
    for sample, share in zip(first["sample"].to_pylist(), right.mean(axis=0).tolist(), strict=True):
        yield shared | {"sample": sample, "value": share}
