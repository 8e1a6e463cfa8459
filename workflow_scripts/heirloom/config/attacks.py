"""What an adversary may do: every kind of attack that config/attacks.yaml can name.

Attacks on a model itself (`OnModel`) stand for the worst that a change of a stated size can do to it. Most of them
search within that size. Others look for the smallest change that changes the answer: of them an image counts that lies
within `epsilon`, as the literature counts them, and with `epsilon: null` any, as FPD's scripts count.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from heirloom.config.models import Count, Name, Ratio, Seed, Share, Steps, Strict

Interval = tuple[float, float]
Norm = Literal["Linf", "L2", "L1", "L0"]
Loss = Literal["cross-entropy", "margin"]
Through = Literal["model", "raw", "straight-through"]
Bound = Annotated[Ratio, Field(gt=0)]

SOURCE_VALUES = 3 * 64 * 64  # of an image of MNIST or SVHN as FPD resizes them


class Looks(NamedTuple):
    """How often an attack makes a model look at an image, at most: with its gradient, and without."""

    gradients: float = 0
    forwards: float = 0


class _Attack(Strict):
    """What every attack has."""

    title: str = Field("", description="name in tables and figures")
    seed: Seed = Field(0, description="seed of random starts and draws")

    def looks(self) -> Looks:
        """Count what crafting takes for one image."""
        return Looks()


class _Perturbation(_Attack):
    """What changes an image by at most epsilon: in each pixel and channel (L-inf), where it has no norm of its own."""

    units: Literal["pixel", "normalised"] = Field(
        "pixel", description="pixel: images in [0, 1]; normalised: after the teacher's first layer, as published"
    )
    epsilon: Ratio = Field(ge=0, description="largest change, in those units, such as 6/255")
    clip: Interval = Field((0.0, 1.0), description="what the changed image is clipped to, in those units")

    @model_validator(mode="after")
    def _clip_suits_the_units(self) -> Self:
        if not self.clip[0] < self.clip[1]:
            raise ValueError(f"clip must rise, from the smallest to the largest value, not {list(self.clip)}")
        if self.units == "normalised" and "clip" not in self.model_fields_set:
            raise ValueError(
                "normalised units need a clip of their own, such as [-2.2, 2.2]: images leave [0, 1] there"
            )
        return self


class _Search(_Perturbation):
    """What looks for the worst change: it needs room for one."""

    epsilon: Ratio = Field(gt=0, description="largest change, in those units, such as 6/255")


class FeatureAttack(_Search):
    """Drives the teacher's features, never the student's: crafted once for all students (METHODS 1.5)."""

    kind: Literal["feature"]
    step: Ratio = Field(gt=0, description="size of a step, in the same units")
    steps: Steps = Field(40, ge=1, description="steps of projected gradient descent from a random start")
    target: float = Field(1000.0, description="m: what the first feature is driven to")
    rest_weight: float = Field(0.1, ge=0, description="weight of the other features' mean square, driven to 0")
    knows_slice_of: Name | None = Field(
        None, description="a pruning method: the attacker drives the features of the teacher as it prunes it, too"
    )
    control: Name | None = Field(None, description="the noise of the same size that it is compared with; needed")

    def looks(self) -> Looks:
        """Count a gradient a step."""
        return Looks(gradients=self.steps)


class NoiseAttack(_Perturbation):
    """Epsilon with a random sign in every pixel and channel: the control of an attack of that size."""

    kind: Literal["noise"]


class OnModel(_Attack):
    """An attack on a model itself, whose answers it is judged by."""

    through: Through = Field(
        "model",
        description="what it is crafted on: the model; raw: its logits before an FPD head bounds them;"
        " straight-through: those, and its denoising passed as if it were the identity. A plain model has neither",
    )
    images: Count | None = Field(None, ge=1, description="test images attacked, chosen by seed; all when null")


class _InPixels(OnModel, _Search):
    """A library's attack within a ball: it knows images in [0, 1] alone."""

    @model_validator(mode="after")
    def _in_pixels(self) -> Self:
        if self.units != "pixel" or self.clip != (0.0, 1.0):
            raise ValueError(
                f"{getattr(self, 'kind', 'it')} counts in pixels and clips to [0, 1]: leave units and clip out"
            )
        return self


class _Smallest(OnModel):
    """What looks for the smallest change, in pixels: whether it found one small enough is told afterwards."""

    epsilon: Bound | None = Field(
        description="an image counts when its change is at most this; null: any counts, whatever its change"
    )


class FGSMAttack(OnModel, _Search):
    """One step of size epsilon from the clean image (Goodfellow et al., ICLR 2015)."""

    kind: Literal["fgsm"]
    norm: Literal["Linf", "L2", "L1"] = Field(
        "Linf", description="what epsilon bounds: the step follows the gradient's sign (Linf) or the gradient itself"
    )

    def looks(self) -> Looks:
        """Count one gradient, and the look that tells which clean images are right."""
        return Looks(gradients=1, forwards=1)


class BIMAttack(OnModel, _Search):
    """Steps along the gradient's sign from the clean image, without a random start (Kurakin et al., ICLR 2017)."""

    kind: Literal["bim"]
    step: Ratio = Field(gt=0, description="size of a step")
    steps: Steps = Field(10, ge=1, description="steps from the clean image")

    def looks(self) -> Looks:
        """Count a gradient a step, and the look that tells which clean images are right."""
        return Looks(gradients=self.steps, forwards=1)


class PGDAttack(OnModel, _Search):
    """Projected gradient descent on the model itself, from random starts (Madry et al., ICLR 2018)."""

    kind: Literal["pgd"]
    norm: Literal["Linf", "L2"] = Field("Linf", description="what epsilon bounds")
    step: Ratio = Field(gt=0, description="size of a step, in that norm")
    steps: Steps = Field(20, ge=1, description="steps from each start")
    start: Literal["random", "clean"] = Field(
        "random", description="clean: from the image itself, as FPD's scripts start; once, then"
    )
    restarts: Count = Field(1, ge=1, description="random starts; an image is fooled by any of them")
    worst: Literal["run"] | None = Field(
        None, description="run: of so many whole runs the one that leaves the least accuracy, as RiFT's paper counts"
    )
    loss: Loss = Field(
        "cross-entropy",
        description="what ascends; margin: the largest wrong logit less the right one, which never saturates",
    )

    def looks(self) -> Looks:
        """Count a gradient a step, and a look after every start."""
        return Looks(gradients=self.restarts * self.steps, forwards=self.restarts)

    @model_validator(mode="after")
    def _starts_differ(self) -> Self:
        if self.worst and self.restarts < 2:
            raise ValueError("worst: run chooses among several runs: set restarts to 2 or more")
        if self.start == "clean" and self.restarts > 1:
            raise ValueError("start: clean has nothing to draw, so that every restart were the same: set restarts to 1")
        return self


class AutoAttack(_InPixels):
    """The standard ensemble on the model itself (Croce and Hein, ICML 2020)."""

    kind: Literal["autoattack"]
    norm: Literal["Linf", "L2"] = Field("Linf", description="what epsilon bounds")

    def looks(self) -> Looks:
        """Count its first attack: the later ones run on what that leaves."""
        return Looks(gradients=100)


class SquareAttack(_InPixels):
    """Random squares, kept where they help: it asks for no gradient (Andriushchenko et al., ECCV 2020)."""

    kind: Literal["square"]
    norm: Literal["Linf", "L2"] = Field("Linf", description="what epsilon bounds")
    queries: Count = Field(5000, ge=1, description="how often it may ask the model about an image, each restart anew")
    restarts: Count = Field(1, ge=1, description="random starts; an image is fooled by any of them")

    def looks(self) -> Looks:
        """Count a look a query."""
        return Looks(forwards=self.restarts * self.queries + 1)


class CarliniWagner(_Smallest):
    """The margin of the logits against the change's size (Carlini and Wagner, IEEE S&P 2017).

    L2: the smallest change, the constant c found by binary search. Linf: within epsilon from the start, as FPD's
    scripts run it.
    """

    kind: Literal["carlini-wagner"]
    norm: Literal["L2", "Linf"] = Field("L2", description="what epsilon bounds")
    steps: Steps = Field(1000, ge=1, description="steps of Adam, for each constant anew")
    learning_rate: float = Field(0.01, gt=0, description="of Adam, behind the change of variables")
    confidence: float = Field(0.0, ge=0, description="kappa: margin of the logits to be reached")
    searches: Count | None = Field(None, ge=1, description="constants c tried; L2 alone, and needed there")
    constant: float | None = Field(None, gt=0, description="the first c; L2 alone, and needed there")

    def looks(self) -> Looks:
        """Count a gradient a step."""
        return Looks(gradients=self.steps * (self.searches or 1), forwards=1)

    @model_validator(mode="after")
    def _suits_the_norm(self) -> Self:
        if self.norm == "L2" and (self.searches is None or self.constant is None):
            raise ValueError("carlini-wagner in L2 searches for its constant: give searches and constant")
        if self.norm == "Linf" and (self.searches is not None or self.constant is not None or self.epsilon is None):
            raise ValueError("carlini-wagner in Linf stays within epsilon: give that, and no searches nor constant")
        return self


class DeepFool(_Smallest):
    """Steps to the nearest linearised boundary, in L2 (Moosavi-Dezfooli et al., CVPR 2016)."""

    kind: Literal["deepfool"]
    norm: Literal["L2"] = Field("L2", description="what it makes small")
    steps: Steps = Field(50, ge=1, description="steps at most; it stops where the answer changes")
    overshoot: float = Field(0.02, ge=0, description="share by which the found change is made larger")
    candidates: Count = Field(10, ge=2, description="classes whose boundaries it looks at, the likeliest")

    def looks(self) -> Looks:
        """Count a gradient a class and step, one of each before the first, and a look a step."""
        return Looks(gradients=(self.steps + 1) * self.candidates, forwards=self.steps + 1)


class SaliencyMap(_Smallest):
    """JSMA: raises two values a step towards a wrong class drawn by seed (Papernot et al., EuroS&P 2016)."""

    kind: Literal["jsma"]
    norm: Literal["L0"] = Field("L0", description="what it makes small: epsilon is a share of an image's values")
    step: Ratio = Field(1.0, gt=0, le=1, description="theta: what a value is raised by, each time it is chosen")
    share: Share = Field(0.145, gt=0, description="gamma: share of the values that may change; the paper's is .145")

    def looks(self) -> Looks:
        """Count a gradient for two values, each raised until it is 1, in an image of 64 pixels."""
        return Looks(gradients=math.ceil(self.share * SOURCE_VALUES / 2 / self.step), forwards=1)


class HopSkipJump(_Smallest):
    """Walks along the boundary, asking for answers alone (Chen, Jordan and Wainwright, IEEE S&P 2020)."""

    kind: Literal["hopskipjump"]
    norm: Literal["L2", "Linf"] = Field("L2", description="what it makes small")
    steps: Steps = Field(50, ge=1, description="steps along the boundary")
    evaluations: Count = Field(10_000, ge=1, description="answers asked for in one step, at most")
    first_evaluations: Count = Field(100, ge=1, description="in the first step; they grow with the root of the step")
    starts: Count = Field(100, ge=1, description="random images tried for one that is answered wrong")

    def looks(self) -> Looks:
        """Count the answers asked for, the halvings of a search (about 20) among them."""
        steps = range(1, self.steps + 1)
        asked = sum(min(self.evaluations, self.first_evaluations * math.sqrt(step)) for step in steps)
        return Looks(forwards=asked + 20 * self.steps + self.starts)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.first_evaluations > self.evaluations:
            raise ValueError("first_evaluations may be at most evaluations")
        return self


class ZOO(_Smallest):
    """Carlini and Wagner's attack with gradients estimated from answers (Chen et al., AISec 2017)."""

    kind: Literal["zoo"]
    norm: Literal["L2"] = Field("L2", description="what it makes small")
    steps: Steps = Field(10, ge=1, description="steps of Adam, for each constant anew")
    searches: Count = Field(1, ge=1, description="constants c tried")
    constant: float = Field(1e-3, gt=0, description="the first c")
    learning_rate: float = Field(0.01, gt=0, description="of Adam")
    confidence: float = Field(0.0, ge=0, description="kappa: margin of the logits to be reached")
    coordinates: Count = Field(128, ge=1, description="values of an image that a step moves")
    difference: float = Field(1e-4, gt=0, description="how far a value is moved to estimate its gradient")
    resize: bool = Field(True, description="search on the image brought to 32 pixels a side first, as published")

    def looks(self) -> Looks:
        """Count two answers a coordinate and step."""
        return Looks(forwards=self.searches * self.steps * (2 * self.coordinates + 1))


_WhiteBox = (
    PGDAttack
    | AutoAttack
    | FGSMAttack
    | BIMAttack
    | CarliniWagner
    | DeepFool
    | SaliencyMap
    | HopSkipJump
    | ZOO
    | SquareAttack
)

WhiteBox = Annotated[_WhiteBox, Field(discriminator="kind")]
Attack = Annotated[FeatureAttack | NoiseAttack | _WhiteBox, Field(discriminator="kind")]
