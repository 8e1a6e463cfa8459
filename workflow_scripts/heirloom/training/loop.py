"""The training loop: every training of every study runs through `fit`.

Each random draw (order of images, augmentation, dropout) is a function of the seed, the phase and the iteration. So a
resumed training draws what an undisturbed one draws, and a checkpoint holds no state of a generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.models import Augmentation
from heirloom.data.augment import augment
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.evaluation.predictions import accuracy
from heirloom.models.classifier import Classifier, placed, state_copy
from heirloom.runtime.devices import Compute
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed
from heirloom.training.batches import RowStream
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.meters import Meter
from heirloom.training.objectives import Objective, Step, share_right
from heirloom.training.optimiser import SGD
from heirloom.training.phases import Phase
from heirloom.training.schedules import schedule_of

if TYPE_CHECKING:
    from heirloom.evaluation.judging import Rates  # a training that nobody judges depends on no attack's code

# transform(images, labels, rows, generator) -> (images, labels), after augmentation and before normalisation:
# images (B, 3, crop, crop) in [0, 1], labels (B,), rows (B,) their places in the training part. It may return further
# images; one without a label is called objectives.UNLABELLED.
BatchTransform = Callable[[Tensor, Tensor, NDArray[np.int64], torch.Generator], tuple[Tensor, Tensor]]
# Rates of a model on the validation images.
Judging = Callable[[Classifier, Images], "Rates"]
Row = dict[str, Any]

ROBUST = "robust_validation_accuracy"
_ROWS_A_PHASE = 20  # rows of history where the recipe does not ask for validations in between


@dataclass(frozen=True)
class Lesson:
    """What a model is trained on: images, how they vary, and what is done to them.

    `validation` may be None: then no validation accuracy is measured. `judge` measures robust accuracy beside it, and
    the weights of the best are kept; without one the last weights are. Raises ConfigError for a judge without images.
    """

    train: Part
    validation: Part | None
    augmentation: Augmentation
    transform: BatchTransform | None = None
    judge: Judging | None = None

    def __post_init__(self) -> None:
        if self.judge is not None and self.validation is None:
            raise ConfigError(
                "no validation image is held out, by which the weights to keep could be chosen",
                mend="give the preparation a validation share",
            )


def fit(
    model: Classifier, lesson: Lesson, *, phases: Sequence[Phase], compute: Compute, seed: int, checkpoint: Checkpoint
) -> list[Row]:
    """Train a model in place and return its history, continuing from the checkpoint if there is one.

    The model is left on the compute's device in eval mode; the checkpoint is left for the caller to remove once the
    outputs are written. A row of history: phase, iteration (counted from 1), learning_rate (the body's), loss, loss_*
    for each weighted term, train_accuracy (means since the last row, augmented images), validation_accuracy or None,
    and where the lesson has a judge robust_validation_accuracy or None. Then the model is left with the weights of the
    row that `kept_row` names. Raises TrainingError when the loss is no finite number.
    """
    placed(model, compute.device)
    resumed = checkpoint.load()
    history: list[Row] = resumed["history"] if resumed else []
    best = _Best(resumed["best"] if resumed else None)
    shown = _Shown(lesson, compute.device)
    for number, phase in enumerate(phases):
        if resumed and number < resumed["phase"]:
            continue
        run = _Run(model, shown, phase, compute=compute, seed=derive_seed(seed, phase.name))
        if resumed and number == resumed["phase"]:
            run.restore(resumed)
        _run_phase(run, history, best, checkpoint, number=number)
    if best.state is not None:
        model.load_state_dict(best.state)
    model.eval()
    return history


def kept_row(history: Sequence[Row]) -> Row:
    """Return the row of the weights that a training leaves: of the best robust validation accuracy, else the last.

    The earlier one of two that are as good. Published trainings are kept by their test accuracy (PUBLISHED R2).
    """
    judged = [row for row in history if row.get(ROBUST) is not None]
    return max(judged, key=lambda row: float(row[ROBUST])) if judged else history[-1]


class _Best:
    """The weights and statistics of the best validation so far; None while no judge has measured any."""

    def __init__(self, state: dict[str, Tensor] | None) -> None:
        self.state = state

    def consider(self, model: Classifier, history: Sequence[Row]) -> None:
        """Take the model as it is if the newest row is the one to keep."""
        if history[-1].get(ROBUST) is not None and kept_row(history) is history[-1]:
            self.state = state_copy(model)


class _Shown:
    """A lesson with its images at hand on the device of the training."""

    def __init__(self, lesson: Lesson, device: torch.device) -> None:
        self.lesson = lesson
        self.train = Images(lesson.train, device)
        self.validation = Images(lesson.validation, device) if lesson.validation else None

    def batch(self, rows: NDArray[np.int64], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return augmented images (B, 3, crop, crop) in [0, 1], channels_last, and labels (B,) of some rows."""
        lesson = self.lesson
        stored, labels = self.train.batch(rows)
        images = augment(stored, lesson.augmentation, lesson.train.crop, generator)
        if lesson.transform is not None:
            images, labels = lesson.transform(images, labels, rows, generator)
        return images.contiguous(memory_format=torch.channels_last), labels


def _run_phase(run: _Run, history: list[Row], best: _Best, checkpoint: Checkpoint, *, number: int) -> None:
    """Make the steps of one phase that are still to be made, with history and checkpoints."""
    total = run.phase.training.iterations
    left = total - run.iteration
    listening: AbstractContextManager[list[Tensor]] = run.model.listening() if run.needs_stages else nullcontext([])
    with listening as stages, Progress(left, run.phase.name, "iterations") as progress:
        while run.iteration < total:
            run.step(stages)
            done = run.iteration == total
            if done:
                run.close()
            if done or run.iteration % _row_interval(run.phase) == 0:
                history.append(run.row())
                best.consider(run.model, history)
            if done or checkpoint.due():
                checkpoint.save(run.content() | {"phase": number, "history": history, "best": best.state})
            progress.advance(1, **run.figures(history))


def _row_interval(phase: Phase) -> int:
    """Iterations between two rows of history."""
    return phase.training.validate_every or max(1, phase.training.iterations // _ROWS_A_PHASE)


class _Run:
    """One phase in progress: the model, its optimiser, and how many steps have been made."""

    def __init__(self, model: Classifier, shown: _Shown, phase: Phase, *, compute: Compute, seed: int) -> None:
        recipe = phase.training
        self.model = model
        self.phase = phase
        self.iteration = 0
        self._shown = shown
        self._compute = compute
        phase.prepare(model)  # before the optimiser, which takes up what has gradients
        self._seed = seed
        self._rows = RowStream(len(shown.lesson.train), batch_size=recipe.batch_size, seed=seed)
        self._objective = Objective(phase.terms)
        self._schedule = schedule_of(recipe)
        self._optimiser = _optimiser(model, phase)
        self._meter = Meter(self._objective.names, phase=phase.name)
        self._generator = torch.Generator()  # on the CPU: a GPU then sees the crops and flips a CPU sees

    @property
    def needs_stages(self) -> bool:
        """Whether the objective looks at the stages' outputs."""
        return self._objective.needs_stages

    @property
    def rate(self) -> float:
        """The body's learning rate at the step that comes next."""
        recipe = self.phase.training
        return recipe.learning_rate * self._schedule(self.iteration, recipe.iterations)

    def step(self, stages: Sequence[Tensor]) -> None:
        """Make one step of the optimiser; `stages` is refilled by the model's forward pass."""
        self._generator.manual_seed(derive_seed(self._seed, "augment", self.iteration))
        images, labels = self._shown.batch(self._rows.rows(self.iteration), self._generator)
        for hook in self.phase.hooks:
            hook.before_gradient(self.model, self.iteration, lambda: self._terms(images, labels, stages)[0].sum())
        terms, logits = self._terms(images, labels, stages)
        self._optimiser.zero_grad()
        torch.autograd.backward(terms.sum())
        for hook in self.phase.hooks:
            hook.before_step(self.model, self.iteration)
        self._optimiser.step(self.rate)
        for hook in self.phase.hooks:
            hook.after_step(self.model, self.iteration)
        self._meter.add(self.iteration, self.rate, terms, share_right(logits.detach(), labels))
        self.iteration += 1

    def _terms(self, images: Tensor, labels: Tensor, stages: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the terms of the objective (T,) for a batch, and its logits (B, K)."""
        torch.manual_seed(derive_seed(self._seed, "step", self.iteration))  # dropout's draws
        with self._compute.autocast():
            logits = self._logits(images).float()
            return self._objective(Step(self.model, images, labels, logits, stages)), logits

    def _logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of a batch, in the phase's number of passes."""
        if self.phase.passes == 1:
            whole: Tensor = self.model(images)
            return whole
        return torch.cat([self.model(part) for part in images.chunk(self.phase.passes)])

    def close(self) -> None:
        """Let the hooks act after the last step."""
        for hook in self.phase.hooks:
            hook.after_phase(self.model, self._epoch)

    def _epoch(self) -> Iterator[Tensor]:
        """Give one epoch of augmented training images; its order and draws are none of the steps'."""
        recipe = self.phase.training
        seed = derive_seed(self._seed, "closing")
        stream = RowStream(len(self._shown.lesson.train), batch_size=recipe.batch_size, seed=seed)
        for number in range(math.ceil(len(self._shown.lesson.train) / recipe.batch_size)):
            self._generator.manual_seed(derive_seed(seed, "augment", number))
            images, _ = self._shown.batch(stream.rows(number), self._generator)
            torch.manual_seed(derive_seed(seed, "step", number))  # dropout's draws
            yield images

    def row(self) -> Row:
        """Return a row of history for the steps since the last one, with a validation if it is time for one."""
        recipe = self.phase.training
        every = recipe.validate_every
        is_time = self.iteration == recipe.iterations or (every > 0 and self.iteration % every == 0)
        figures = self._meter.row()
        last = recipe.learning_rate * self._schedule(self.iteration - 1, recipe.iterations)
        head = {"phase": self.phase.name, "iteration": self.iteration, "learning_rate": last}
        return {**head, **figures, **self._validated(is_time=is_time)}

    def _validated(self, *, is_time: bool) -> Row:
        """Return a row's validation columns."""
        judge, validation = self._shown.lesson.judge, self._shown.validation if is_time else None
        if judge is None:
            return {"validation_accuracy": accuracy(self.model, validation) if validation else None}
        rates = judge(self.model, validation) if validation else None
        return {
            "validation_accuracy": rates.accuracy if rates else None,
            ROBUST: rates.robust_accuracy if rates else None,
        }

    def figures(self, history: Sequence[Row]) -> dict[str, float]:
        """Return what the progress line shows."""
        shown = {name: history[-1][name] for name in ("loss", "validation_accuracy")} if history else {}
        return {name: value for name, value in shown.items() if value is not None}

    def content(self) -> dict[str, Any]:
        """Return what `restore` needs; no diverged model is ever saved, since reading the meter finds it."""
        self._meter.read()
        return {
            "iteration": self.iteration,
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state(),
            "hooks": [dict(hook.state()) for hook in self.phase.hooks],
            "sums": self._meter.sums,
            "steps": self._meter.steps,
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Continue from what `content` returned."""
        self.iteration = content["iteration"]
        self.model.load_state_dict(content["model"])
        self._optimiser.restore(content["optimiser"])
        for hook, state in zip(self.phase.hooks, content["hooks"], strict=True):
            hook.restore(state)
        self._meter.sums, self._meter.steps = content["sums"], content["steps"]


def _optimiser(model: Classifier, phase: Phase) -> SGD:
    """Build SGD in which the head learns `head_rate` times as fast as the body."""
    recipe = phase.training
    head = list(model.head.parameters())
    own = set(head)
    body = [weight for weight in model.parameters() if weight not in own]
    groups = [(body, 1.0), (head, recipe.head_rate)]
    return SGD(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
