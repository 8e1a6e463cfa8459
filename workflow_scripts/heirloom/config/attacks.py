"""What attacks have in common: each kind of attack is a file of heirloom.attacks.algorithms, on one of these classes.

Attacks on a model itself (`OnModel`) stand for the worst that a change of a stated size can do to it. Most of them
search within that size. Others look for the smallest change that changes the answer: of them an image counts that lies
within `epsilon`, as the literature counts them, and with `epsilon: null` any, as FPD's scripts count.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from heirloom.config.models import Count, Name, Ratio, Seed, Strict

Interval = tuple[float, float]
Norm = Literal["Linf", "L2", "L1", "L0"]
Loss = Literal["cross-entropy", "margin"]
Through = Literal["model", "raw", "straight-through"]
Bound = Annotated[Ratio, Field(gt=0)]

FORMER: Mapping[object, str] = MappingProxyType(
    {
        "fgsm": "kind: pgd, start: clean, steps: 1, and a step as large as epsilon",
        "bim": "kind: pgd, start: clean, and steps: 10 unless it names another number",
    }
)


class Looks(NamedTuple):
    """How often an attack makes a model look at an image, at most: with its gradient, and without."""

    gradients: float = 0
    forwards: float = 0


class AttackSettings(Strict):
    """What every attack has."""

    group: ClassVar[Literal["feature", "noise", "white-box"]]  # what the tables call it

    if TYPE_CHECKING:
        kind: str  # each its own

    title: str = Field("", description="name in tables and figures")
    seed: Seed = Field(0, description="seed of random starts and draws")

    def looks(self) -> Looks:
        """Count what crafting takes for one image."""
        return Looks()


class BoundedChange(AttackSettings):
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


class BoundedSearch(BoundedChange):
    """What looks for the worst change: it needs room for one."""

    epsilon: Ratio = Field(gt=0, description="largest change, in those units, such as 6/255")


class AttackControl(BoundedChange):
    """What a change of an attack's size does by itself, whatever the model. Its file has attack(name, settings)."""

    group = "noise"


class OnTeacher(BoundedSearch):
    """An attack on the teacher alone, crafted once for all students.

    Its file has craft(models, images, rows, settings), which returns the change of every image.
    """

    group = "feature"

    knows_slice_of: Name | None = Field(
        None, description="a pruning method: the attacker drives the features of the teacher as it prunes it, too"
    )
    control: Name | None = Field(None, description="the noise of the same size that it is compared with; needed")


class OnModel(AttackSettings):
    """An attack on a model itself, whose answers it is judged by. Its file has attack(name, settings, part).

    `uncounted`: what `looks` leaves out. `flagged`: the library warns of what makes a robust accuracy too high. Where
    it needs no gradient, the file also has queries(facts): how often it asks about an image, by what its budget says;
    and ENSEMBLE, if that is but one of several attacks.
    """

    group = "white-box"
    uncounted: ClassVar[str] = ""
    flagged: ClassVar[bool] = False

    through: Through = Field(
        "model",
        description="what it is crafted on: the model; raw: its logits before an FPD head bounds them;"
        " straight-through: those, and its denoising passed as if it were the identity. A plain model has neither",
    )
    images: Count | None = Field(None, ge=1, description="test images attacked, chosen by seed; all when null")

    def runs(self) -> list[Self]:
        """Return the runs of which the worst counts; most attacks are one run."""
        return [self]


class PixelSearch(OnModel, BoundedSearch):
    """A library's attack within a ball: it knows images in [0, 1] alone."""

    @model_validator(mode="after")
    def _in_pixels(self) -> Self:
        if self.units != "pixel" or self.clip != (0.0, 1.0):
            raise ValueError(f"{self.kind} counts in pixels and clips to [0, 1]: leave units and clip out")
        return self


class SmallestChange(OnModel):
    """What looks for the smallest change, in pixels, and asks afterwards whether that is small enough."""

    epsilon: Bound | None = Field(
        description="an image counts when its change is at most this; null: any counts, whatever its change"
    )


def refuse_former(entry: Any) -> Any:
    """Return an entry as it is; raises ValueError for a former kind, with what to write in its place."""
    kind = entry.get("kind") if isinstance(entry, Mapping) else None
    if isinstance(kind, str) and kind in FORMER:
        raise ValueError(f"kind: {kind} is now written {FORMER[kind]}")
    return entry
