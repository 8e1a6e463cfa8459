"""FPD's two phases in each iteration (Li et al., CVPR 2020, arXiv 2005.02552; METHODS 4).

    phase 1    r, s = f_w(x + u), u uniform in [-e, e];   l2 = MSE(r, x)
               l2 > T: the restoration learns from l2 alone, and the iteration ends
               else:   min_w  CE(s, y) + l2
    phase 2    r', s' = f_w(r), r detached;   min_w  CE(s', y) + weight MSE(r', x)

r is the restored image. Errors are in the units of the normalised input: of pixels in [0, 1] where the normalisation
has mean 0 and deviation 1, as the published scripts have it for MNIST and SVHN. Adversarial training shows attacked
images x' beside the clean ones: (clean + attacked) / 2 in phase 1; phase 2 then sees the restored x' alone.

Settled by the published code (GuanlinLee/FPD-for-Adversarial-Robustness, train.py and adv_train.py): l2 is of the clean
images alone where it is held against T; no phase 2 above T; phase 2 restores to the clean image, whatever phase 1's
target is; noise is not clipped; clean and attacked images go through the network one after the other, each with batch
statistics of their own. Its adversarial training has no noise, and SVHN's no T: settings here.

Departures: one optimiser makes all three kinds of step, where the published one of l2 alone keeps moments of its own;
gradients are clipped over what the step moves; the predictions that are attacked are made in eval mode, as the attacks
are; images are attacked in iterations that then end above T, too; attacks begin with the first iteration, where MNIST's
script waits for ten epochs (train those first, and start from them); phase 2 does not reach back into phase 1's graph,
whose weights have changed by then, and moves no running statistics of batch normalisation.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor
from torch.nn import functional

from heirloom.config.names import RESTORED
from heirloom.config.robust import FeaturePyramid, SteppedTraining
from heirloom.models.bodies.pyramid.network import restoration_names
from heirloom.models.classifier import Classifier
from heirloom.runtime.errors import ConfigError
from heirloom.training.objectives import Batch, Step, Term, supervised_terms
from heirloom.training.phases import Gate, Phase, Second
from heirloom.training.robust.crafting import PHASE, Attacker, Both, Plan

RESTORATION, ATTACKED = "restoration", "attacked-restoration"  # the error of clean images, and of attacked ones


def plan(objective: FeaturePyramid, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of FPD; the history's train_accuracy is that of all images shown in phase 1.

    A body whose restoration was left out (the paper's FPD_R) is trained by cross-entropy alone, with the noise. Raises
    ConfigError for a body that is no FPD.
    """
    shown = Both(attacker, noise=objective.noise, target=objective.target)
    supervised = supervised_terms(training)
    phase = Phase(PHASE, training, supervised, passes=shown.passes)
    if not _restores(attacker.model):
        return Plan(shown, phase)
    again = (*supervised, _restoration(RESTORATION, objective.second_weight))
    return Plan(
        shown,
        replace(
            phase,
            terms=(*supervised, *_restorations(shown.passes)),
            gate=_gate(objective, attacker.model),
            second=Second(partial(fed_back, passes=shown.passes), again),
        ),
    )


def _restores(model: Classifier) -> bool:
    """Tell whether a body has its restoration; raises ConfigError for one that has no place for it."""
    if model.spec.stages != (RESTORED,):
        what = f"the body {model.description.name} restores no image"
        raise ConfigError(what, where="objective", mend="choose a body of FPD, or the objective cross-entropy")
    return bool(restoration_names(model.body, as_published=False))


def _restorations(passes: int) -> tuple[Term, ...]:
    """Return phase 1's errors: of clean images, or the mean of theirs and of attacked images'."""
    names = (RESTORATION, ATTACKED)[:passes]
    return tuple(_restoration(name, 1 / passes, part=part, parts=passes) for part, name in enumerate(names))


def _restoration(name: str, weight: float, *, part: int = 0, parts: int = 1) -> Term:
    return Term(name, weight=weight, settings={"part": part, "parts": parts}, needs_stages=True)


def _gate(objective: FeaturePyramid, model: Classifier) -> Gate | None:
    """Return what holds all but the restoration while clean images' error is above the threshold."""
    if objective.threshold is None:
        return None
    names = restoration_names(model.body, as_published=objective.as_published)
    return Gate(RESTORATION, objective.threshold, tuple(f"body.{name}" for name in names))


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
