"""A training is a sequence of phases, each with its recipe, its objective and what acts after its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from heirloom.config.models import Training
from heirloom.models.classifier import Classifier
from heirloom.training.losses import Batch, Step, Term, supervised_terms

# Gives one epoch of augmented training images, batch by batch (B, 3, H, W) in [0, 1], on the training's device.
Batches = Callable[[], Iterator[Tensor]]
# Which batch-norm layers measure statistics: those in what is trained, none, or all.
Statistics = Literal["trained", "frozen", "moving"]
# The objective (scalar) of a step's batch by the weights as they are, dropout's draws included; moves batch statistics.
Loss = Callable[[], Tensor]


class StepHook:
    """Something that acts on the model around each step of the optimiser; one with a memory gives it to checkpoints.

    A hook overrides what it needs. Steps are counted from 0 in their phase. Where an iteration has a second step, hooks
    act before the first and after the second.
    """

    def before_gradient(self, model: Classifier, iteration: int, loss: Loss) -> None:
        """Act on the weights, before the gradient is taken by them; put them back in `before_step`."""

    def before_step(self, model: Classifier, iteration: int) -> None:
        """Act on the gradients, before the optimiser takes them."""

    def after_step(self, model: Classifier, iteration: int) -> None:
        """Act on what the optimiser made of the model."""

    def after_phase(self, model: Classifier, batches: Batches) -> None:
        """Act once after the last step, before the last validation; not where validation ends a training early."""

    def state(self) -> dict[str, Tensor]:
        """Return what the hook remembers and cannot build again."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""


@dataclass(frozen=True)
class Gate:
    """Lets a step go down one term alone while that is large (FPD's restoration: docs/fpd.md#training).

    Where the term called `term`, without its weight, is above `threshold`, the submodules `trained` learn from it
    alone, and the iteration ends there. Every other weight stays bit-identical; batch statistics move, as in each
    forward pass in training mode.
    """

    term: str
    threshold: float
    trained: tuple[str, ...]


@dataclass(frozen=True)
class Second:
    """One more step of the same optimiser in the same iteration, on what the first step left.

    `shown` makes the batch of the first step's forward pass, whose graph is gone: what it takes from there it detaches.
    It goes through the model in one pass, by the weights as the first step left them, and moves no running statistics
    of batch normalisation: nobody shows the trained model images like these.
    """

    shown: Callable[[Step], Batch]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Phase:
    """One run of the optimiser from the weights the phase before left.

    `trained`: names of the submodules that are trained. Every other weight and statistic stays bit-identical, and the
    rest of the model acts as in evaluation. None: the whole model is trained, but for `still`: submodules that act as
    in evaluation and stay bit-identical. `statistics` of batch normalisation: "frozen" holds all of them, though scales
    and shifts may be trained; "moving" has all of them move and the whole model act as in training, whatever is
    trained, as RiFT's script does. `stage_dropout`: share of the channels that each stage drops while it is
    trained. `passes`: how many equal parts a batch goes through the model in, each with batch statistics of its own.
    """

    name: str
    training: Training
    terms: tuple[Term, ...]
    hooks: tuple[StepHook, ...] = ()
    trained: tuple[str, ...] | None = None
    still: tuple[str, ...] = ()
    statistics: Statistics = "trained"
    stage_dropout: float = 0.0
    passes: int = 1
    gate: Gate | None = None
    second: Second | None = None

    def prepare(self, model: Classifier) -> None:
        """Put a model into the phase's mode: what is trained in training mode and with gradients, the rest without."""
        model.stage_dropout = self.stage_dropout
        model.train(self.trained is None or self.statistics == "moving")
        model.requires_grad_(self.trained is None)
        for name in self.trained or ():
            model.get_submodule(name).train().requires_grad_(True)
        for name in self.still:
            model.get_submodule(name).eval().requires_grad_(False)
        if self.statistics == "frozen":
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()


@contextmanager
def unmoved_statistics(model: nn.Module) -> Iterator[None]:
    """Have batch normalisation in training mode use the batch's statistics and leave its running ones bit for bit."""
    norms = {module: module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)}
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in norms.items():
            norm.momentum = momentum


def supervised_phase(
    training: Training,
    *,
    name: str = "training",
    terms: tuple[Term, ...] = (),
    hooks: tuple[StepHook, ...] = (),
    trained: tuple[str, ...] | None = None,
    still: tuple[str, ...] = (),
    statistics: Statistics = "trained",
    stage_dropout: float = 0.0,
) -> Phase:
    """Return the phase that most trainings consist of: cross-entropy, the head's penalty, and a method's own terms."""
    return Phase(
        name=name,
        training=training,
        terms=(*supervised_terms(training), *terms),
        hooks=hooks,
        trained=trained,
        still=still,
        statistics=statistics,
        stage_dropout=stage_dropout,
    )
