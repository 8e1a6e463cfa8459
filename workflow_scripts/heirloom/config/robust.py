"""Every key of robust models, their repair and their corruptions, as pydantic models (METHODS 3)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.kinds import CORRUPTIONS
from heirloom.config.models import (
    BatchSize,
    Body,
    Count,
    Name,
    Normalisation,
    Ratio,
    RemoteFile,
    Seed,
    Share,
    Steps,
    Strict,
    Threads,
    Training,
)

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# What a suite shows where it says nothing. In this order, which decides that of its conditions; whatever else there is.
STANDARD_CORRUPTIONS = (
    *("gaussian-noise", "shot-noise", "speckle-noise", "impulse-noise"),
    *("defocus-blur", "gaussian-blur", "motion-blur", "zoom-blur"),
    *("snow", "frost", "fog", "brightness", "contrast", "saturate", "spatter"),
    *("elastic-transform", "pixelate", "jpeg-compression"),
)


class SteppedTraining(Training):
    """A training whose rate may also fall in steps, or when validation says so, as robust models are trained.

    What validation says is the accuracy that chooses the weights: robust where a judge attacks, else clean (METHODS 3,
    4).
    """

    optimiser: Literal["sgd", "adam", "adamax"] = Field(
        "sgd", description="what makes a step; momentum is sgd's, weight_decay is added to the gradient by all"
    )
    clip: float | None = Field(None, gt=0, description="largest norm of all gradients together; null: any")
    schedule: Literal["cosine", "constant", "steps", "plateau"] = Field(  # type: ignore[assignment]
        "steps",
        description="steps: times `decay` at each of `milestones`; plateau: the same whenever more than"
        " `plateau_patience` validations have brought no better one; cosine: to 0 over all iterations",
    )
    milestones: tuple[Annotated[Ratio, Field(gt=0, lt=1)], ...] = Field(
        (), description="where the rate falls, as shares of the iterations, rising, such as 100/110"
    )
    decay: float = Field(0.1, gt=0, lt=1, description="what the rate is multiplied by there")
    plateau_patience: Count = Field(10, ge=0, description="validations without a better one that the rate survives")
    patience: Count | None = Field(
        None, ge=1, description="validations without a better one that end the training; null: none do"
    )
    head_rate: float = Field(1.0, gt=0, description="factor on the head's learning rate")
    head_penalty: float = Field(0.0, ge=0, description="beta: weight of the squared norm of the head")

    @model_validator(mode="after")
    def _milestones_rise(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must rise, not {list(self.milestones)}")
        if self.milestones and self.schedule != "steps":
            raise ValueError(f"milestones are for the schedule steps, not for {self.schedule}: leave them out")
        return self

    @model_validator(mode="after")
    def _validations_are_there_to_wait_for(self) -> Self:
        if (self.schedule == "plateau" or self.patience is not None) and not self.validate_every:
            raise ValueError("the schedule plateau and patience count validations: set validate_every")
        return self

    @model_validator(mode="after")
    def _a_rate_that_falls_is_used(self) -> Self:
        if self.schedule == "plateau" and self.patience is not None and self.patience < self.plateau_patience + 2:
            raise ValueError(
                f"patience {self.patience} ends the training before a rate falls that survives {self.plateau_patience}"
                " validations: make plateau_patience at least 2 smaller, or choose the schedule constant"
            )
        return self


class InnerAttack(Strict):
    """Projected gradient descent as trainings and selections use it: one start, L-inf, images in [0, 1].

    One step of epsilon's size from the image itself is the fast gradient sign method (FGSM).
    """

    epsilon: Ratio = Field(8 / 255, gt=0, description="largest change of a pixel and channel, such as 8/255")
    step: Ratio = Field(2 / 255, gt=0, description="size of a step; the published script wrote 2/225 by mistake")
    steps: Steps = Field(10, ge=1, description="steps from the start")
    random_start: bool = Field(True, description="anywhere in the ball; false: the image itself, as in FGSM")


class _Objective(Strict):
    attack: InnerAttack = Field(InnerAttack(), description="what training images are changed by")


class AdversarialTraining(_Objective):
    """Cross-entropy of attacked images (Madry et al., ICLR 2018)."""

    objective: Literal["adversarial-training"]


class Trades(_Objective):
    """Cross-entropy of clean images and the divergence of attacked ones from them (Zhang et al., ICML 2019)."""

    objective: Literal["trades"]
    beta: float = Field(6.0, gt=0, description="weight of the divergence")


class Mart(_Objective):
    """Boosted cross-entropy of attacked images, a divergence weighed by misclassification (Wang et al., ICLR 2020)."""

    objective: Literal["mart"]
    beta: float = Field(5.0, gt=0, description="weight of the divergence")


class WeightPerturbation(_Objective):
    """Adversarial training against the worst nearby weights (Wu, Xia and Wang, NeurIPS 2020)."""

    objective: Literal["awp"]
    gamma: float = Field(0.005, gt=0, description="size of the change of each layer's weights, relative to their norm")
    start: Share = Field(0.0, description="share of the iterations before weights are perturbed")


class Score(_Objective):
    """Squared errors in place of cross-entropy and divergence (Pang et al., ICML 2022)."""

    objective: Literal["score"]
    beta: float = Field(4.0, gt=0, description="weight of the distance between clean and attacked predictions")


class _Supervised(Strict):
    """Cross-entropy of clean images, or the mean of clean and attacked ones' (METHODS 4)."""

    attack: InnerAttack | None = Field(
        None,
        description="what the images beside the clean ones are changed by, against the model's own predictions and"
        " not the labels they are trained with; null: none are attacked",
    )


class CrossEntropy(_Supervised):
    """What plain networks are trained by: the twins of FPD."""

    objective: Literal["cross-entropy"]


class FeaturePyramid(_Supervised):
    """FPD's two phases in each iteration (Li et al., CVPR 2020; METHODS 4)."""

    objective: Literal["fpd"]
    noise: float = Field(
        0.01, ge=0, description="largest uniform noise on clean images, of pixels in [0, 1]; not clipped, as published"
    )
    threshold: float | None = Field(
        gt=0,
        description="mean squared error of restored clean images, in the units of the normalised input, above which a"
        " step trains the restoration alone; below that of a constant image, so that this happens; null: never",
    )
    as_published: bool = Field(
        False, description="above the threshold the transposed convolutions learn alone, by mistake (PUBLISHED F2)"
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


RobustObjective = Annotated[
    AdversarialTraining | Trades | Mart | WeightPerturbation | Score | CrossEntropy | FeaturePyramid,
    Field(discriminator="objective"),
]


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
    """How much a small change of one module's weights costs: METHODS 3 step 2 (Zhu et al., ICCV 2023)."""

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
    """Fine-tuning of chosen modules on clean images, then interpolation with the weights before (METHODS 3)."""

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
    kinds: tuple[Name, ...] = Field(STANDARD_CORRUPTIONS, min_length=1, description="corruptions")
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field((1, 2, 3, 4, 5), min_length=1)
    images: Count | None = Field(None, ge=1, description="test images, chosen by seed; all when null")
    seed: Seed = Field(0, description="seed of that choice and of the corruptions' draws")

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Self:
        known = CORRUPTIONS.names()
        unknown = sorted(set(self.kinds) - set(known))
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
