"""Stochastic weight averaging as a hook of the training loop (Izmailov et al., UAI 2018)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, update_bn

from heirloom.models.classifier import Classifier
from heirloom.training.phases import Batches, StepHook


class WeightAveraging(StepHook):
    """Averages the weights every so many steps and puts the average into the model after the last one.

    The first average is taken after the first step: 30,000 steps and every 500 make 60, as many as in the source.
    Batch-norm statistics are then computed anew over one epoch of training images, in training mode, as `update_bn`
    does: dropout acts as it did when the weights were trained.
    """

    def __init__(self, model: Classifier, *, every: int) -> None:
        self._every = every
        self._average = AveragedModel(model)

    def after_step(self, model: Classifier, iteration: int) -> None:
        """Take the weights into the average when it is time."""
        if iteration % self._every == 0:
            self._average.to(next(model.parameters()).device)
            self._average.update_parameters(model)

    def after_phase(self, model: Classifier, batches: Batches) -> None:
        """Replace the weights by their average and measure the batch-norm statistics again."""
        model.load_state_dict(self._average.module.state_dict())
        update_bn(batches(), model)

    def state(self) -> dict[str, Tensor]:
        """Return the average and how many weights it holds."""
        return dict(self._average.state_dict())

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self._average.load_state_dict(dict(state))
