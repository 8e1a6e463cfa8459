"""FPD's errors of restored images, the gate between its phases, and what the second phase is shown."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor
from torch.nn import functional

from heirloom.config.names import RESTORED
from heirloom.models.bodies.pyramid.network import restoration_names
from heirloom.models.classifier import Classifier
from heirloom.runtime.errors import ConfigError
from heirloom.training.losses import Batch, Step, Term
from heirloom.training.objectives.fpd import FeaturePyramid
from heirloom.training.phases import Gate, Phase, Second

RESTORATION, ATTACKED = "restoration", "attacked-restoration"  # the error of clean images, and of attacked ones


def restores(model: Classifier) -> bool:
    """Tell whether a body has its restoration; raises ConfigError for one that has no place for it."""
    if model.spec.stages != (RESTORED,):
        what = f"the body {model.description.name} restores no image"
        raise ConfigError(what, where="objective", mend="choose a body of FPD, or the objective cross-entropy")
    return bool(restoration_names(model.body, as_published=False))


def two_phases(phase: Phase, settings: FeaturePyramid, model: Classifier) -> Phase:
    """Add the errors of restored images, the gate and the second phase to a phase of supervised terms."""
    again = (*phase.terms, _restoration(RESTORATION, settings.second_weight))
    return replace(
        phase,
        terms=(*phase.terms, *_restorations(phase.passes)),
        gate=_gate(settings, model),
        second=Second(partial(fed_back, passes=phase.passes), again),
    )


def _restorations(passes: int) -> tuple[Term, ...]:
    """Return phase 1's errors: of clean images, or the mean of theirs and of attacked images'."""
    names = (RESTORATION, ATTACKED)[:passes]
    return tuple(_restoration(name, 1 / passes, part=part, parts=passes) for part, name in enumerate(names))


def _restoration(name: str, weight: float, *, part: int = 0, parts: int = 1) -> Term:
    return Term(name, restoration_error, weight=weight, settings={"part": part, "parts": parts}, needs_stages=True)


def _gate(settings: FeaturePyramid, model: Classifier) -> Gate | None:
    """Return what holds all but the restoration while clean images' error is above the threshold."""
    if settings.threshold is None:
        return None
    names = restoration_names(model.body, as_published=settings.as_published)
    return Gate(RESTORATION, settings.threshold, tuple(f"body.{name}" for name in names))


def restoration_error(step: Step, *, part: int, parts: int) -> Tensor:
    """Return the mean squared error of the restored images, in the units of the model's normalised input.

    Of one of the equal parts that a batch consists of: first the clean images, then the attacked ones.
    """
    wanted = (step.images if step.wanted is None else step.wanted).chunk(parts)[part]
    return functional.mse_loss(step.stages[0].chunk(parts)[part].float(), step.model.normalise(wanted))


def fed_back(step: Step, *, passes: int) -> Batch:
    """Return phase 2's batch: what the last pass restored, as images, to be restored to the clean ones.

    `passes`: 2 where attacked images follow the clean ones; they are then the ones that are fed back.
    """
    normalise = step.model.normalise
    wanted = step.images if step.wanted is None else step.wanted
    restored = step.stages[0].detach().float().chunk(passes)[-1]
    return Batch(restored * normalise.std + normalise.mean, step.labels.chunk(passes)[-1], wanted.chunk(passes)[0])
