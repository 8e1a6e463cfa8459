"""FPD's two phases in each iteration (Li et al., CVPR 2020, arXiv 2005.02552; docs/fpd.md#training).

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

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.robust_training import SupervisedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class FeaturePyramid(SupervisedObjective):
    """FPD's two phases in each iteration (Li et al., CVPR 2020)."""

    kind: Literal["fpd"]
    noise: float = Field(
        0.01, ge=0, description="largest uniform noise on clean images, of pixels in [0, 1]; not clipped, as published"
    )
    threshold: float | None = Field(
        gt=0,
        description="mean squared error of restored clean images, in the units of the normalised input, above which a"
        " step trains the restoration alone; below that of a constant image, so that this happens; null: never",
    )
    as_published: bool = Field(
        False,
        description="above the threshold the transposed convolutions learn alone, by mistake (docs/definitions.md#f2)",
    )
    target: Literal["clean", "adversarial"] = Field(
        "clean", description="what attacked images are restored to: the clean image, or the attacked one itself"
    )
    second_weight: float = Field(1.0, ge=0, description="weight of the restoration error in the second phase")

    @model_validator(mode="after")
    def _what_is_set_does_something(self) -> Self:
        if self.target == "adversarial" and self.attack is None:
            raise ValueError("target is for attacked images, and attack is null: name an attack, or leave target out")
        if self.as_published and self.threshold is None:
            raise ValueError("as_published is for steps above the threshold, which is null: give one, or leave it out")
        return self

    @property
    def looks(self) -> int:
        """Once more in the second phase."""
        return super().looks + 1

    @property
    def restores(self) -> bool:
        """Whether the objective is for bodies that restore images: it is."""
        return True


def plan(settings: FeaturePyramid, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of FPD; the history's train_accuracy is that of all images shown in phase 1.

    A body whose restoration was left out (the paper's FPD_R) is trained by cross-entropy alone, with the noise. Raises
    ConfigError for a body that is no FPD.
    """
    from heirloom.training.attacker import PHASE, Both, RobustPlan
    from heirloom.training.losses import supervised_terms
    from heirloom.training.objectives.fpd.restoration import restores, two_phases
    from heirloom.training.phases import Phase

    shown = Both(attacker, noise=settings.noise, target=settings.target)
    phase = Phase(PHASE, training, supervised_terms(training), passes=shown.passes)
    return RobustPlan(shown, two_phases(phase, settings, attacker.model) if restores(attacker.model) else phase)
