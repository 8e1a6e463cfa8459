"""A prepared data set and models small enough to train in a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import nn

from heirloom.config.models import Augmentation, Body, Normalisation, Training
from heirloom.config.robust_training import SteppedTraining
from heirloom.config.study import Method
from heirloom.data.store import Box, Part, index_table, open_part, write_part
from heirloom.models.classifier import Classifier, build_classifier
from heirloom.runtime.devices import compute
from heirloom.runtime.files import write_card
from heirloom.training.attacker import RobustPlan
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import Lesson, Row, fit
from heirloom.training.phases import Phase, StepHook
from heirloom.training.session import DevelopmentFiles, ModelFiles, Origin, lesson_of, open_session
from heirloom.transfer.plan import Assignment

BODY = Body(name="resnet8-small", options={"width": 4})
STILL = Augmentation(crop="none", flip=False)
MOVING = Augmentation(crop="padded", padding=2)


SHORT: Mapping[str, object] = {
    "iterations": 6,
    "batch_size": 8,
    "learning_rate": 0.05,
    "weight_decay": 1e-3,
    "threads": 1,
}


def recipe(**changes: object) -> Training:
    """A short training on one thread."""
    return Training.model_validate({**SHORT, **changes})


def stepped(**changes: object) -> SteppedTraining:
    """A short training of a robust model on one thread."""
    return SteppedTraining.model_validate({**SHORT, **changes})


NEEDED: Mapping[str, Mapping[str, object]] = {
    "delta": {"feature_weight": 0.5},
    "delta-r": {"feature_weight": 0.5},
    "l2-sp": {"strength": 0.1},
    "pruning": {"ratio": 0.2, "score": {"kind": "magnitude"}},
    "unlearning": {"detector": "cleanse"},
    "renofeation": {"feature_weight": 0.5, "average_every": 2},
}


def method(name: str, **settings: object) -> Method:
    """A short transfer by a method; pruning takes the fifth with the smallest weights unless told otherwise."""
    training = recipe(weight_decay=0) if name == "l2-sp" else recipe()
    averaging = {"averaging": recipe(schedule="constant")} if name == "renofeation" else {}
    adapter: TypeAdapter[Method] = TypeAdapter(Method)
    return adapter.validate_python(
        {"kind": name, "training": training, **averaging, **NEEDED.get(name, {}), **settings}
    )


def classifier(*, classes: int = 3, seed: int = 0, body: Body = BODY) -> Classifier:
    """A small network at a random start."""
    return build_classifier(body, Normalisation(), classes=classes, seed=seed)


def write_data(
    folder: Path,
    *,
    classes: int = 3,
    images: int = 30,
    side: int = 12,
    validation: float = 0.2,
    pictures: NDArray[np.integer] | None = None,
    crop: int | None = None,
    regions: Mapping[str, list[Box | None]] | None = None,
) -> Path:
    """Write a prepared data set and return its folder; its classes differ in brightness unless `pictures` shows each.

    `pictures`: (classes, side, side, 3) in [0, 255]; noise of 30 levels is added to them. `regions`: boxes by name, one
    an image, the same in both parts.
    """
    random = np.random.default_rng(0)
    labels = np.arange(images) % classes
    levels = 40 + 170 * labels[:, None, None, None] // max(1, classes - 1) if pictures is None else pictures[labels]
    for part, others in (("development", "validation"), ("test", "test")):
        pixels = np.clip(levels + random.integers(-30, 30, (images, side, side, 3)), 0, 255).astype(np.uint8)
        held = round(images * validation) if part == "development" else images
        columns = {
            "sample": [f"{part}-{row}" for row in range(images)],
            "label": labels.tolist(),
            "class_name": [f"class {label}" for label in labels],
            "split": ["train"] * (images - held) + [others] * held,
            "group": [str(row) for row in range(images)],
            "source": ["drawn"] * images,
        }
        write_part(folder / part, list(pixels), index_table(columns, regions or {}))
    names = [f"{part}/{file}" for part in ("development", "test") for file in ("images.npy", "index.parquet")]
    card = {
        "dataset": "toy",
        "classes": [f"class {label}" for label in range(classes)],
        "size": side,
        "crop": crop or side,
    }
    write_card(folder / "card.json", kind="data", files={name: folder / name for name in names}, **card)
    return folder


def files_of(folder: Path, part: str = "development") -> dict[str, Path]:
    """Name the files of one part as stages take them."""
    return {
        "card": folder / "card.json",
        "images": folder / part / "images.npy",
        "index": folder / part / "index.parquet",
    }


def development(folder: Path) -> DevelopmentFiles:
    """The development part as a stage's inputs."""
    return DevelopmentFiles(**files_of(folder))


def opened(folder: Path, part: str = "development") -> Part:
    """Open one part."""
    files = files_of(folder, part)
    return open_part(files["images"], files["index"], files["card"])


def model_files(folder: Path) -> ModelFiles:
    """Name the files of a model in a folder."""
    return ModelFiles(folder / "card.json", folder / "weights.safetensors", folder / "history.parquet")


@contextmanager
def assigned(part: Part, *, augmentation: Augmentation = STILL, seed: int = 0) -> Iterator[Assignment]:
    """What a student is to learn of a development part, on one thread."""
    origin = Origin({}, inputs=[], code="code")
    with (
        TemporaryDirectory() as folder,
        open_session(model_files(Path(folder)), recipe(), origin=origin, seed=seed, checkpoint_seconds=1e9) as session,
    ):
        yield Assignment(lesson_of(part, augmentation), len(part.classes), seed, session.compute, session.checkpoint)


class Stop(Exception):
    """How `StopAt` ends a training."""


class StopAt(StepHook):
    """Ends a training after the step of a number, before the checkpoint that may follow it."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_step(self, model: Classifier, iteration: int) -> None:
        """Raise Stop if it is that step."""
        if iteration == self.iteration:
            raise Stop


def train(
    model: Classifier,
    lesson: Lesson,
    phases: Sequence[Phase],
    folder: Path,
    *,
    seed: int = 3,
    seconds: float = 1e9,
    precision: str = "fp32",
    identity: object = "x",
) -> list[Row]:
    """Train on one thread as stages do; checkpoints of that identity lie in the folder."""
    checkpoint = Checkpoint(folder, seconds=seconds, identity={"of": identity})
    with compute(1, precision) as resources:
        return fit(model, lesson, phases=phases, compute=resources, seed=seed, checkpoint=checkpoint)


def train_by(
    model: Classifier,
    lesson: Lesson,
    plan: RobustPlan,
    folder: Path,
    *,
    hooks: tuple[StepHook, ...] = (),
    seconds: float = 1e9,
    precision: str = "fp32",
) -> list[Row]:
    """Train by a robust plan, with further hooks."""
    phase = replace(plan.phase, hooks=(*plan.phase.hooks, *hooks))
    taught = replace(lesson, transform=plan.transform)
    return train(model, taught, (phase,), folder, seconds=seconds, precision=precision)


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two models have the same weights and statistics, bit for bit."""
    mine, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def put_back(model: nn.Module, buffers: Mapping[str, torch.Tensor]) -> None:
    """Set the running statistics of batch normalisation to what they were; how many batches it saw stays."""
    for name, value in model.named_buffers():
        if not name.endswith("num_batches_tracked"):
            value.copy_(buffers[name])
