"""Every key of robust models, their repair and their corruptions, as pydantic models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.kinds import CORRUPTIONS, OBJECTIVES, is_own
from heirloom.config.models import (
    BatchSize,
    Body,
    Component,
    Count,
    Name,
    Normalisation,
    RemoteFile,
    Seed,
    Share,
    Strict,
    Threads,
)
from heirloom.config.robust_training import InnerAttack, ObjectiveSettings, SteppedTraining

if TYPE_CHECKING:
    RobustObjective = ObjectiveSettings
else:
    RobustObjective = OBJECTIVES.settings(ObjectiveSettings)

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# What a suite shows where it says nothing. In this order, which decides that of its conditions; whatever else there is.
STANDARD_CORRUPTIONS = (
    *("gaussian-noise", "shot-noise", "speckle-noise", "impulse-noise"),
    *("defocus-blur", "gaussian-blur", "motion-blur", "zoom-blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "saturate", "spatter"),
    *("elastic-transform", "pixelate", "jpeg-compression"),
)


class Judge(Strict):
    """How validation images judge a model while it is trained or chosen; no test image has a say."""

    attack: InnerAttack = Field(InnerAttack(), description="what the images are attacked by")
    images: Count | None = Field(None, ge=1, description="validation images attacked, chosen by seed; all when null")
    seed: Seed = Field(0, description="seed of that choice and of the attack's start")


class RobustTrained(Strict):
    """A robust model, or its plain twin, trained by this pipeline, one for each seed of a study."""

    kind: Literal["trained"] = Field(description="trained by train_robust")
    start: Name | None = Field(
        None,
        description="another robust model of the same body, normalisation and data, whose weights of the same seed"
        " training starts from; null: random weights",
    )
    objective: RobustObjective = Field(description="what is minimised")
    training: SteppedTraining = Field(description="recipe")
    judge: Judge | None = Field(
        Judge(),
        description="at each validation; the weights of the best robust accuracy are kept, or, where null, of the best"
        " clean validation accuracy; to be said where the objective attacks no image",
    )

    @model_validator(mode="after")
    def _clean_trainings_say_who_judges(self) -> Self:
        if self.objective.attack is None and "judge" not in self.model_fields_set:
            raise ValueError(
                "the objective attacks no image, so the weights of the best robust accuracy may be those that learned"
                " nothing yet: set judge to null, or to the attack that is to choose"
            )
        return self


class RobustFetched(Strict):
    """A robust model somebody else trained: every seed of a study starts from it."""

    kind: Literal["fetched"] = Field(description="read by fetch_robust")
    file: RemoteFile = Field(description="weights: .pth or .pt (nothing in it is run) or .safetensors")
    instructions: str = Field("", description="how to get the file where no address can be relied on")


class RobustModel(Strict):
    """A model that withstands small changes of its images, before any repair."""

    title: str = Field(description="name in tables and figures")
    body: Body = Field(description="network")
    normalisation: Normalisation = Field(Normalisation(), description="first layer")
    dataset: Name = Field(description="data set whose classes it knows")
    preparation: Name = Field(description="preparation of it")
    source: RobustTrained | RobustFetched = Field(discriminator="kind", description="where the weights come from")
    published_module: str | None = Field(
        None, description="the module that the paper fine-tunes, by its exact name, such as layer2.1.conv2"
    )


class Criticality(Strict):
    """How much a small change of one module's weights costs (Zhu et al., ICCV 2023, definition 3.1)."""

    attack: InnerAttack = Field(InnerAttack(), description="crafts the adversarial examples, once")
    images: Count | None = Field(None, ge=1, description="training images, chosen by seed; all when null")
    epsilon: float = Field(0.1, gt=0, description="radius of the change, relative to the norm of the module's weights")
    epochs: Count = Field(10, ge=1, description="epochs of ascent, projected after each")
    learning_rate: float = Field(1.0, gt=0, description="of the ascent, without momentum")
    batch_size: BatchSize = Field(512, ge=1, description="images a step")
    threads: Threads = Field(2, ge=1, description="CPU threads")
    seed: Seed = Field(0, description="seed of the images, of the attack's start and of their order")


class PublishedModule(Strict):
    """The one module that the paper chose for this model."""

    kind: Literal["published"]


class NamedModules(Strict):
    """Modules by name."""

    kind: Literal["named"]
    names: tuple[str, ...] = Field(min_length=1, description="exact names below the body, such as layer2.1.conv2")


class RankedModules(Strict):
    """Modules at one end of the ranking by criticality."""

    kind: Literal["criticality"]
    end: Literal["lowest", "highest"] = Field("lowest", description="which end of the ranking")
    top: Count = Field(1, ge=1, description="how many modules are fine-tuned together")
    of_each_stage: bool = Field(
        False, description="one candidate for each stage of the body, its end of the ranking; validation chooses"
    )

    @model_validator(mode="after")
    def _one_of_each_stage(self) -> Self:
        if self.of_each_stage and self.top != 1:
            raise ValueError("of_each_stage takes one module of each stage: leave top out")
        return self


class HeadModule(Strict):
    """The last linear layer."""

    kind: Literal["head"]


class AllModules(Strict):
    """The whole model."""

    kind: Literal["all"]


Modules = Annotated[
    PublishedModule | NamedModules | RankedModules | HeadModule | AllModules, Field(discriminator="kind")
]


class Repair(Strict):
    """Fine-tuning of chosen modules on clean images, then interpolation with the weights before."""

    title: str = Field("", description="name in tables and figures")
    modules: Modules = Field(description="what is fine-tuned")
    statistics: Literal["frozen", "moving"] = Field(
        "frozen",
        description="of batch normalisation: frozen: bit-identical; moving: as published, re-estimated and mixed",
    )
    training: SteppedTraining = Field(description="recipe, on clean images")
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="candidates in place of the recipe's; validation chooses"
    )
    alphas: tuple[Share, ...] = Field(
        ALPHAS, min_length=2, description="shares of the fine-tuned weights, rising from 0 to 1"
    )
    judge: Judge = Field(Judge(), description="of every alpha")
    tolerance: Share = Field(0.001, description="robust validation accuracy that may be lost against alpha 0")

    @model_validator(mode="after")
    def _alphas_span(self) -> Self:
        if list(self.alphas) != sorted(set(self.alphas)) or self.alphas[0] != 0 or self.alphas[-1] != 1:
            raise ValueError(f"alphas must rise from 0 to 1, not {list(self.alphas)}")
        return self


class Computed(Strict):
    """Corruptions by this project's own functions."""

    kind: Literal["computed"]


class CorruptedFiles(Strict):
    """Corrupted images that their owner publishes."""

    kind: Literal["files"]
    dataset: Name = Field(description="entry of datasets that holds them, such as cifar10-c")


class CorruptionSuite(Strict):
    """Test images under common corruptions (Hendrycks and Dietterich, ICLR 2019), the same for every model."""

    title: str = Field("", description="name in tables and figures")
    dataset: Name = Field(description="data set whose test images are corrupted")
    preparation: Name = Field(description="preparation of it")
    source: Computed | CorruptedFiles = Field(discriminator="kind", description="who corrupts them")
    kinds: tuple[Component, ...] = Field(STANDARD_CORRUPTIONS, min_length=1, description="corruptions")
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field((1, 2, 3, 4, 5), min_length=1)
    images: Count | None = Field(None, ge=1, description="test images, chosen by seed; all when null")
    seed: Seed = Field(0, description="seed of that choice and of the corruptions' draws")

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Self:
        known = CORRUPTIONS.names()
        unknown = sorted({kind for kind in self.kinds if not is_own(kind)} - set(known))
        if unknown:
            raise ValueError(f"there is no corruption {', '.join(unknown)}: one of {', '.join(known)}")
        return self


class RepairExperiment(Strict):
    """Robust models before and after repairs, and the question this answers."""

    question: str = Field(description="what the experiment asks, one sentence")
    models: tuple[Name, ...] = Field(min_length=1, description="entries of the robust catalogue")
    repairs: tuple[Name, ...] = Field((), description="entries of the repairs catalogue; none where models are judged")
    attacks: tuple[Name, ...] = Field((), description="entries of the attacks catalogue, on each model itself")
    corruptions: tuple[Name, ...] = Field((), description="entries of the corruptions catalogue, of the models' data")
    baseline: Name = Field("unrepaired", description="what the others are compared with: a repair, or unrepaired")
    criticality: bool = Field(False, description="whether criticality is measured though no repair ranks by it")
