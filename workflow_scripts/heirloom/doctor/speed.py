"""Measure how fast this machine trains: a few real steps of three bodies, through the pipeline's own loop."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from heirloom.config.costs import Cost, cost_of
from heirloom.config.models import Augmentation, Body, Normalisation, Training
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier, build_classifier
from heirloom.plan.rates import Rate, Rates
from heirloom.runtime.devices import Compute, Precision, compute
from heirloom.runtime.machine import has_fast_bf16, machine_name, usable_cores
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import Lesson, fit
from heirloom.training.phases import StepHook, supervised_phase

CLASSES = 10
THREADS = (1, 2)  # what recipes ask for


@dataclass(frozen=True)
class Trial:
    """One body at one size, and the steps to make: the first is not counted."""

    body: Body
    side: int
    batch: int
    steps: int

    @property
    def cost(self) -> Cost:
        """What an image costs."""
        return cost_of(self.body).at(self.side)


@dataclass
class _Stopwatch(StepHook):
    """Notes the time after each step."""

    device: torch.device
    times: list[float] = field(default_factory=list)

    def after_step(self, model: Classifier, iteration: int) -> None:  # noqa: ARG002 - every hook is called alike
        """Note the time once the step is really done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.times.append(time.perf_counter())


class _NoCheckpoint(Checkpoint):
    """Writes nothing, so that no disk is measured."""

    def save(self, content: object) -> None:
        """Do nothing."""


def measure() -> Rates:
    """Measure every precision, and on a CPU one and two threads, on the device that trainings would use.

    Takes about ten seconds on two cores. What else runs at the time slows the result down.
    """
    cores = max(1, int(usable_cores()))
    rates = [
        rate
        for precision in _precisions()
        for rate in _measured(precision, [threads for threads in THREADS if threads <= cores])
    ]
    return Rates(machine_name(), start_seconds(), tuple(rates))


def start_seconds() -> float:
    """Return the seconds until a fresh process has imported what a training needs."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", "import heirloom.stages.train_student"], check=False)
    if done.returncode:
        raise RuntimeError("a fresh process could not import the training code")
    return time.perf_counter() - begun


def _precisions() -> Sequence[Precision]:
    fast = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else has_fast_bf16()
    return ("fp32", "bf16") if fast else ("fp32",)


def _measured(precision: Precision, threads: Sequence[int]) -> Iterator[Rate]:
    on_gpu = torch.cuda.is_available()
    for count in threads[-1:] if on_gpu else threads:
        with compute(count, precision) as resources:
            points = [(trial, step_seconds(trial, resources)) for trial in _trials(resources.device)]
            yield fitted(points, device=resources.device.type, precision=precision, threads=count)


def _trials(device: torch.device) -> Sequence[Trial]:
    """Bodies that differ in what holds them up: steps, multiply-adds, memory. A GPU needs bigger ones to be busy."""
    side, batch, steps = (224, 64, 10) if device.type == "cuda" else (64, 16, 4)
    return (
        Trial(Body(name="resnet8-small", options={"width": 16, "stem_stride": 2}), 32, 64, 20),
        Trial(Body(name="resnet18"), side, batch, steps),
        Trial(Body(name="mobilenet_v2"), side, batch, steps),
    )


def step_seconds(trial: Trial, resources: Compute) -> float:
    """Return the seconds of the fastest training step on pictures of noise: others on the machine only add to it."""
    model = build_classifier(trial.body, Normalisation(), classes=CLASSES, seed=0)
    watch = _Stopwatch(resources.device)
    recipe = Training(
        iterations=trial.steps,
        batch_size=trial.batch,
        learning_rate=1e-3,
        threads=resources.threads,
        precision=resources.precision,
    )
    phase = supervised_phase(recipe, name="measuring", hooks=(watch,))
    lesson = Lesson(train=noise(trial), validation=None, augmentation=Augmentation())
    with tempfile.TemporaryDirectory() as folder:
        nothing = _NoCheckpoint(Path(folder), seconds=3600, identity={})
        fit(model, lesson, phases=(phase,), compute=resources, seed=0, checkpoint=nothing)
    return float(np.diff(watch.times).min())


def noise(trial: Trial) -> Part:
    """Return pictures of noise, as many as a batch, a little larger than what the model sees."""
    random = np.random.default_rng(0)
    size = trial.side + trial.side // 8
    pixels = random.integers(0, 256, (trial.batch, size, size, 3), dtype=np.uint8)
    labels = pa.array(np.arange(trial.batch) % CLASSES, pa.int32())
    classes = tuple(map(str, range(CLASSES)))
    return Part(pixels, np.arange(trial.batch), pa.table({"label": labels}), classes, trial.side)


def fitted(points: Sequence[tuple[Trial, float]], *, device: str, precision: str, threads: int) -> Rate:
    """Fit seconds = step + images (mac macs + activation activations), none below 0, to the relative errors."""
    from scipy.optimize import nnls

    rows = [[1.0, trial.batch * trial.cost.macs, trial.batch * trial.cost.activations] for trial, _ in points]
    seconds = np.array([seconds for _, seconds in points])
    matrix = np.array(rows) / seconds[:, None]
    scale = matrix.max(axis=0)
    solution, _ = nnls(matrix / scale, np.ones(len(points)))
    step, mac, activation = (float(value) for value in solution / scale)
    return Rate(device=device, precision=precision, threads=threads, step=step, mac=mac, activation=activation)
