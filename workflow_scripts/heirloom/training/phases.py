"""A training is a sequence of phases, each with its recipe, its objective and what acts after its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from heirloom.config.models import Training
from heirloom.models.classifier import Classifier
from heirloom.training.objectives import Term, supervised_terms

# Gives one epoch of augmented training images, batch by batch (B, 3, H, W) in [0, 1], on the training's device.
Batches = Callable[[], Iterator[Tensor]]
# The objective (scalar) of a step's batch by the weights as they are, dropout's draws included; moves batch statistics.
Loss = Callable[[], Tensor]


class StepHook:
    """Something that acts on the model around each step of the optimiser; one with a memory gives it to checkpoints.

    A hook overrides what it needs. Steps are counted from 0 in their phase.
    """

    def before_gradient(self, model: Classifier, iteration: int, loss: Loss) -> None:
        """Act on the weights, before the gradient is taken by them; put them back in `before_step`."""

    def before_step(self, model: Classifier, iteration: int) -> None:
        """Act on the gradients, before the optimiser takes them."""

    def after_step(self, model: Classifier, iteration: int) -> None:
        """Act on what the optimiser made of the model."""

    def after_phase(self, model: Classifier, batches: Batches) -> None:
        """Act once after the last step, before the last validation."""

    def state(self) -> dict[str, Tensor]:
        """Return what the hook remembers and cannot build again."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""


@dataclass(frozen=True)
class Phase:
    """One run of the optimiser from the weights the phase before left.

    `trained`: name of the one submodule that is trained. Every other weight and statistic stays bit-identical, and the
    rest of the model acts as in evaluation. None: the whole model is trained, but for `still`: submodules that act as
    in evaluation and stay bit-identical. `stage_dropout`: share of the channels that each stage drops while it is
    trained. `passes`: how many equal parts a batch goes through the model in, each with batch statistics of its own.
    Raises ValueError for several passes and a term that looks at stages, which are the last pass's.
    """

    name: str
    training: Training
    terms: tuple[Term, ...]
    hooks: tuple[StepHook, ...] = ()
    trained: str | None = None
    still: tuple[str, ...] = ()
    stage_dropout: float = 0.0
    passes: int = 1

    def __post_init__(self) -> None:
        if self.passes > 1 and any(term.needs_stages for term in self.terms):
            raise ValueError(f"phase {self.name}: a term looks at stages, which {self.passes} passes do not give")

    def prepare(self, model: Classifier) -> None:
        """Put a model into the phase's mode: what is trained in training mode and with gradients, the rest without."""
        model.stage_dropout = self.stage_dropout
        model.train(self.trained is None)
        model.requires_grad_(self.trained is None)
        if self.trained is not None:
            model.get_submodule(self.trained).train().requires_grad_(True)
        for name in self.still:
            model.get_submodule(name).eval().requires_grad_(False)


def supervised_phase(
    training: Training,
    *,
    name: str = "training",
    terms: tuple[Term, ...] = (),
    hooks: tuple[StepHook, ...] = (),
    trained: str | None = None,
    still: tuple[str, ...] = (),
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
        stage_dropout=stage_dropout,
    )
