"""The training loop: every training of every study runs through `fit`.

Each random draw (order of images, augmentation, dropout) is a function of the seed, the phase and the iteration. So a
resumed training draws what an undisturbed one draws, and a checkpoint holds no state of a generator.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heirloom.config.models import Augmentation, Training
from heirloom.config.robust_training import SteppedTraining
from heirloom.data.augment import augment
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier, placed, state_copy
from heirloom.models.kernels import check_gradients
from heirloom.models.predictions import accuracy
from heirloom.runtime.devices import Compute
from heirloom.runtime.errors import ConfigError, PredictionError, TrainingError, some
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed
from heirloom.training.batches import RowStream
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.losses import Batch, Objective, Step, share_right
from heirloom.training.meters import MEND_DIVERGED, Meter
from heirloom.training.optimiser import Optimiser, optimiser_of
from heirloom.training.phases import Phase, unmoved_statistics
from heirloom.training.schedules import Watch, schedule_of

if TYPE_CHECKING:
    from heirloom.evaluation.judge import JudgedRates  # a training that nobody judges depends on no attack's code

logger = logging.getLogger(__name__)

# transform(images, labels, rows, generator) -> (images, labels) or a Batch, after augmentation and before
# normalisation: images (B, 3, crop, crop) in [0, 1], labels (B,), rows (B,) their places in the training part. It may
# return further images; one without a label is called objectives.UNLABELLED.
BatchTransform = Callable[[Tensor, Tensor, NDArray[np.int64], torch.Generator], tuple[Tensor, Tensor] | Batch]
# Rates of a model on the validation images.
Judging = Callable[[Classifier, Images], "JudgedRates"]
Row = dict[str, Any]

CLEAN = "validation_accuracy"
ROBUST = "robust_validation_accuracy"
_ROWS_A_PHASE = 20  # rows of history where the recipe does not ask for validations in between


@dataclass(frozen=True)
class Lesson:
    """What a model is trained on: images, how they vary, and what is done to them.

    `validation` may be None: then no validation accuracy is measured. `judge` measures robust accuracy beside it, and
    the weights of the best are kept; without one the last weights are, or with `keep_best` those of the best validation
    accuracy. Raises ConfigError where images are to choose that are not there.
    """

    train: Part
    validation: Part | None
    augmentation: Augmentation
    transform: BatchTransform | None = None
    judge: Judging | None = None
    keep_best: bool = False

    def __post_init__(self) -> None:
        if (self.judge is not None or self.keep_best) and self.validation is None:
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
    and where the lesson has a judge robust_validation_accuracy or None. A phase with a second step adds second_loss_*
    (means over the second steps, None where none was made), one with a gate gated_steps (how many iterations since the
    last row it ended). Then the model is left with the weights of the row that `kept_row` names. Raises TrainingError
    when the loss, a weight at the end or an answer to validation images is no finite number, or this processor's
    gradients are wrong, and ConfigError where validation is waited for and there is none.
    """
    check_gradients(placed(model, compute.device))
    resumed = checkpoint.load()
    history: list[Row] = resumed["history"] if resumed else []
    best = _Best(resumed["best"] if resumed else None, keep_best=lesson.keep_best)
    shown = _Shown(lesson, compute.device)
    for number, phase in enumerate(phases):
        if resumed and number < resumed["phase"]:
            continue
        run = _Run(model, shown, phase, compute=compute, seed=derive_seed(seed, phase.name))
        if resumed and number == resumed["phase"]:
            run.restore(resumed, history)
        _run_phase(run, history, best, checkpoint, number=number)
        _check_finite(model, phase)
    if best.state is not None:
        model.load_state_dict(best.state)
    model.eval()
    return history


def _check_finite(model: Classifier, phase: Phase) -> None:
    """Refuse what the last steps of a phase left if it is no model: no later loss would tell. Raises TrainingError."""
    odd = [name for name, value in model.state_dict().items() if not torch.isfinite(value).all()]
    if odd:
        what = f"the training ends with weights that are no finite numbers: {some(odd)}"
        raise TrainingError(what, where=f"phase {phase.name}", mend=MEND_DIVERGED)


def kept_row(history: Sequence[Row], *, keep_best: bool = False) -> Row:
    """Return the row of the weights that a training leaves: of the best robust validation accuracy, else the last.

    `keep_best`: where no judge measured any, that of the best validation accuracy. The earlier one of two that are as
    good. Published trainings are kept by their test accuracy (R2 and F5 in docs/definitions.md).
    """
    return _best_row(history, ROBUST) or (_best_row(history, CLEAN) if keep_best else None) or history[-1]


def _best_row(history: Sequence[Row], column: str) -> Row | None:
    """Return the first row with the largest value of a column; None where no row has one."""
    measured = [row for row in history if row.get(column) is not None]
    return max(measured, key=lambda row: float(row[column]), default=None)


class _Best:
    """The weights and statistics of the best validation so far; None while none has chosen any."""

    def __init__(self, state: dict[str, Tensor] | None, *, keep_best: bool) -> None:
        self.state = state
        self._keep_best = keep_best

    def consider(self, model: Classifier, history: Sequence[Row]) -> None:
        """Take the model as it is if the newest row is the one to keep."""
        newest = history[-1]
        chooses = newest.get(ROBUST) is not None or (self._keep_best and newest[CLEAN] is not None)
        if chooses and kept_row(history, keep_best=self._keep_best) is newest:
            self.state = state_copy(model)


class _Shown:
    """A lesson with its images at hand on the device of the training."""

    def __init__(self, lesson: Lesson, device: torch.device) -> None:
        self.lesson = lesson
        self.train = Images(lesson.train, device)
        self.validation = Images(lesson.validation, device) if lesson.validation else None

    def batch(self, rows: NDArray[np.int64], generator: torch.Generator) -> Batch:
        """Return augmented images (B, 3, crop, crop), channels_last, and labels (B,) of some rows."""
        lesson = self.lesson
        stored, labels = self.train.batch(rows)
        batch = Batch(augment(stored, lesson.augmentation, lesson.train.crop, generator), labels)
        if lesson.transform is not None:
            batch = Batch(*lesson.transform(batch.images, labels, rows, generator))
        return batch._replace(images=batch.images.contiguous(memory_format=torch.channels_last))


def _run_phase(run: _Run, history: list[Row], best: _Best, checkpoint: Checkpoint, *, number: int) -> None:
    """Make the steps of one phase that are still to be made, with history and checkpoints."""
    total = run.phase.training.iterations
    left = total - run.iteration
    listening: AbstractContextManager[list[Tensor]] = run.model.listening() if run.needs_stages else nullcontext([])
    with listening as stages, Progress(left, run.phase.name, "iterations") as progress:
        while not run.is_over:
            run.step(stages)
            if run.iteration == total:
                run.close()
            if run.iteration == total or run.iteration % _row_interval(run.phase) == 0:
                history.append(run.row())
                best.consider(run.model, history)
                run.watch(history[-1])
            if run.is_over or checkpoint.due():
                checkpoint.save(run.content() | {"phase": number, "history": history, "best": best.state})
            progress.advance(1, **run.figures(history))
    if run.iteration < total:
        logger.info("%s ends at iteration %d of %d: validation gets no better", run.phase.name, run.iteration, total)


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
        self._second = Objective(phase.second.terms) if phase.second else None
        self._schedule = schedule_of(recipe)
        self._watch = _watch(recipe, shown)
        self._optimiser = _optimiser(model, phase)
        self._gated = _gated_weights(model, phase)
        self._meter = Meter(
            self._objective.names,
            phase=phase.name,
            second=self._second.names if self._second else (),
            gated=phase.gate is not None,
        )
        self._generator = torch.Generator()  # on the CPU: a GPU then sees the crops and flips a CPU sees

    @property
    def is_over(self) -> bool:
        """Whether no step is left to make."""
        return self.iteration == self.phase.training.iterations or self._watch.has_ended

    @property
    def needs_stages(self) -> bool:
        """Whether an objective or a second step looks at the stages' outputs."""
        return self._objective.needs_stages or self._second is not None

    @property
    def rate(self) -> float:
        """The body's learning rate at the step that comes next."""
        return self._rate_at(self.iteration)

    def _rate_at(self, iteration: int) -> float:
        """Return the body's learning rate at a step, by the validations so far."""
        recipe = self.phase.training
        return recipe.learning_rate * self._schedule(iteration, recipe.iterations) * self._watch.factor

    def watch(self, row: Row) -> None:
        """Let the rate and the end follow from a row's validation, if it has one."""
        accuracy = row.get(ROBUST, row[CLEAN])
        if accuracy is not None:
            self._watch.see(accuracy)

    def step(self, stages: Sequence[Tensor]) -> None:
        """Make one iteration: a step of the optimiser, or two; `stages` is refilled by the model's forward pass."""
        self._generator.manual_seed(derive_seed(self._seed, "augment", self.iteration))
        batch = self._shown.batch(self._rows.rows(self.iteration), self._generator)
        for hook in self.phase.hooks:
            hook.before_gradient(self.model, self.iteration, lambda: self._first(batch, stages)[0].sum())
        terms, step = self._first(batch, stages)
        gated = self._descend(terms)
        second = None if gated else self._step_again(step, stages)
        for hook in self.phase.hooks:
            hook.after_step(self.model, self.iteration)
        right = share_right(step.logits.detach(), step.labels)
        self._meter.add(self.iteration, self.rate, terms, right, second=second, gated=gated)
        self.iteration += 1

    def _first(self, batch: Batch, stages: Sequence[Tensor]) -> tuple[Tensor, Step]:
        """Return the terms of the first step (T,), and what they looked at."""
        return self._look(self._objective, batch, stages, draw="step", passes=self.phase.passes)

    def _look(
        self, objective: Objective, batch: Batch, stages: Sequence[Tensor], *, draw: str, passes: int
    ) -> tuple[Tensor, Step]:
        """Return the terms of an objective (T,) for a batch, and what they looked at."""
        torch.manual_seed(derive_seed(self._seed, draw, self.iteration))  # dropout's draws
        with self._compute.autocast():
            logits, heard = self._passed(batch.images, stages, passes=passes)
            step = Step(self.model, batch.images, batch.labels, logits.float(), heard, batch.wanted)
            return objective(step), step

    def _passed(self, images: Tensor, stages: Sequence[Tensor], *, passes: int) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the logits (B, K) of a batch in so many passes, and the stages' outputs if anybody listens."""
        if passes == 1:
            return self.model(images), stages
        parts = [(self.model(part), list(stages)) for part in images.chunk(passes)]
        heard = zip(*(outputs for _, outputs in parts), strict=True)
        return torch.cat([logits for logits, _ in parts]), [torch.cat(outputs) for outputs in heard]

    def _descend(self, terms: Tensor) -> bool:
        """Make a step down the terms' sum, or down one of them alone; tell whether the gate asked for the latter."""
        large = self._large(terms)
        self._optimiser.zero_grad()
        if large is None:
            torch.autograd.backward(terms.sum())
        else:
            torch.autograd.backward(large, inputs=self._gated)
        for hook in self.phase.hooks:
            hook.before_step(self.model, self.iteration)
        self._move()
        return large is not None

    def _large(self, terms: Tensor) -> Tensor | None:
        """Return the term that lies above the gate's threshold, without its weight; None where it does not."""
        gate = self.phase.gate
        if gate is None:
            return None
        place = self._objective.names.index(gate.term)
        term = terms[place] / self._objective.weights[place]
        return term if term.item() > gate.threshold else None

    def _move(self) -> None:
        """Let the optimiser take the gradients, clipped as the recipe says."""
        recipe = self.phase.training
        if isinstance(recipe, SteppedTraining) and recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self._optimiser.step(self.rate)

    def _step_again(self, first: Step, stages: Sequence[Tensor]) -> Tensor | None:
        """Make the iteration's second step and return its terms; None where the phase has none."""
        if self.phase.second is None or self._second is None:
            return None
        batch = self.phase.second.shown(first)
        with unmoved_statistics(self.model):
            terms, _ = self._look(self._second, batch, stages, draw="second step", passes=1)
        self._optimiser.zero_grad()
        torch.autograd.backward(terms.sum())
        self._move()
        return terms

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
            batch = self._shown.batch(stream.rows(number), self._generator)
            torch.manual_seed(derive_seed(seed, "step", number))  # dropout's draws
            yield batch.images

    def row(self) -> Row:
        """Return a row of history for the steps since the last one, with a validation if it is time for one."""
        recipe = self.phase.training
        every = recipe.validate_every
        is_time = self.iteration == recipe.iterations or (every > 0 and self.iteration % every == 0)
        figures = self._meter.row()
        last = self._rate_at(self.iteration - 1)
        head = {"phase": self.phase.name, "iteration": self.iteration, "learning_rate": last}
        return {**head, **figures, **self._validated(is_time=is_time)}

    def _validated(self, *, is_time: bool) -> Row:
        """Return a row's validation columns; raises TrainingError where the model answers with what is no number."""
        try:
            return self._rates(is_time=is_time)
        except PredictionError as error:
            what = f"validation after iteration {self.iteration}: {error.what}"
            raise TrainingError(what, where=f"phase {self.phase.name}", mend=MEND_DIVERGED) from error

    def _rates(self, *, is_time: bool) -> Row:
        """Let the model answer the validation images if it is time."""
        judge, validation = self._shown.lesson.judge, self._shown.validation if is_time else None
        if judge is None:
            return {CLEAN: accuracy(self.model, validation) if validation else None}
        rates = judge(self.model, validation) if validation else None
        return {
            CLEAN: rates.accuracy if rates else None,
            ROBUST: rates.robust_accuracy if rates else None,
        }

    def figures(self, history: Sequence[Row]) -> dict[str, float]:
        """Return what the progress line shows."""
        shown = {name: history[-1].get(name) for name in ("loss", CLEAN, "gated_steps")} if history else {}
        return {name: value for name, value in shown.items() if value is not None}

    def content(self) -> dict[str, Any]:
        """Return what `restore` needs; no diverged model is ever saved, since reading the meter finds it."""
        return {
            "iteration": self.iteration,
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state(),
            "hooks": [dict(hook.state()) for hook in self.phase.hooks],
            "meter": self._meter.state(),
        }

    def restore(self, content: dict[str, Any], history: Sequence[Row]) -> None:
        """Continue from what `content` returned, and from the rows of history that this phase left."""
        self.iteration = content["iteration"]
        self.model.load_state_dict(content["model"])
        self._optimiser.restore(content["optimiser"])
        for hook, state in zip(self.phase.hooks, content["hooks"], strict=True):
            hook.restore(state)
        self._meter.restore(content["meter"])
        for row in history:
            if row["phase"] == self.phase.name:
                self.watch(row)


def _watch(recipe: Training, shown: _Shown) -> Watch:
    """Return what watches a phase's validations; raises ConfigError where it would wait for none."""
    watch = Watch(recipe)
    if watch.is_needed and shown.validation is None:
        raise ConfigError(
            "no validation image is held out, by which the rate or the end of the training could be decided",
            mend="give the preparation a validation share, or choose another schedule and no patience",
        )
    return watch


def _gated_weights(model: Classifier, phase: Phase) -> list[Tensor]:
    """Return the weights that learn while a phase's gate holds the others."""
    modules = map(model.get_submodule, phase.gate.trained if phase.gate else ())
    return [weight for module in modules for weight in module.parameters() if weight.requires_grad]


def _optimiser(model: Classifier, phase: Phase) -> Optimiser:
    """Build the recipe's optimiser, in which the head learns `head_rate` times as fast as the body."""
    recipe = phase.training
    head = list(model.head.parameters())
    own = set(head)
    body = [weight for weight in model.parameters() if weight not in own]
    return optimiser_of(recipe, [(body, 1.0), (head, recipe.head_rate)])
