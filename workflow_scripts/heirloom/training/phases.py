"""A training is a sequence of phases, each with its recipe, its objective and what acts after its steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from heirloom.config.models import Training
from heirloom.models.classifier import Classifier
from heirloom.training.objectives import Term, supervised_terms


class StepHook(ABC):
    """Something that acts on the model after each step of the optimiser; one with a memory gives it to checkpoints."""

    @abstractmethod
    def after_step(self, model: Classifier, iteration: int) -> None:
        """Act after step `iteration`, counted from 0 in its phase."""

    def state(self) -> dict[str, Tensor]:
        """Return what the hook remembers and cannot build again."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 - most hooks remember nothing
        """Take back what `state` returned."""


@dataclass(frozen=True)
class Phase:
    """One run of the optimiser from the weights the phase before left.

    `trained`: name of the one submodule that is trained. Every other weight and statistic stays bit-identical, and the
    rest of the model acts as in evaluation. None: the whole model is trained.
    """

    name: str
    training: Training
    terms: tuple[Term, ...]
    hooks: tuple[StepHook, ...] = ()
    trained: str | None = None

    def prepare(self, model: Classifier) -> None:
        """Put a model into the phase's mode: what is trained in training mode and with gradients, the rest without."""
        model.train(self.trained is None)
        model.requires_grad_(self.trained is None)
        if self.trained is not None:
            model.get_submodule(self.trained).train().requires_grad_(True)


def supervised_phase(
    training: Training, *, name: str = "training", hooks: tuple[StepHook, ...] = (), trained: str | None = None
) -> Phase:
    """Return the phase that most trainings consist of: cross-entropy and the head's penalty."""
    return Phase(name=name, training=training, terms=supervised_terms(training), hooks=hooks, trained=trained)
