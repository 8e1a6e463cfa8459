"""Every key of a study and of the catalogues, as pydantic models (extra keys are refused).

The models are values: frozen, comparable, without paths and without torch, so that the Snakefile and a stage read the
same ones. `heirloom.config.load` turns YAML into them, `heirloom.config.schema` turns them into config/schema.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from heirloom.config.work import training_load

if TYPE_CHECKING:
    from heirloom.config.costs import Cost
    from heirloom.config.work import Load

NAME_PATTERN = "[a-z0-9][a-z0-9_-]*"

# folders are called by names, and several of them make a path
Name = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN}$", max_length=64)]
# a component, by its name or by where it lies: "package.module:Name", "folder/file.py:Name"
Component = Annotated[str, StringConstraints(pattern=rf"^({NAME_PATTERN}|[^:]+:[A-Za-z_]\w*)$", max_length=200)]
LARGEST = 2**63  # of any number: what no generator takes as a seed and no table holds
# far above what a machine can do and far below what makes one fail without a word
Seed = Annotated[int, Field(ge=0, lt=LARGEST)]
BatchSize = Annotated[int, Field(le=1 << 16)]
Steps = Annotated[int, Field(le=10**8)]
Threads = Annotated[int, Field(le=1 << 10)]
Count = Annotated[int, Field(le=10**9)]  # of images, classes, rounds or questions
Option = Annotated[int, Field(ge=-1, le=10**7)]  # of a writer or a body
Share = Annotated[float, Field(ge=0, le=1)]


def as_number(value: object) -> object:
    """Read a fraction such as "8/255" or "131.0912/255" as a float; leave anything else to pydantic."""
    if isinstance(value, str) and "/" in value:
        try:
            above, below = (_plain_fraction(part.strip()) for part in value.split("/"))
            return float(above / below)
        except ZeroDivisionError:
            raise ValueError("a fraction needs a denominator that is not 0") from None
        except ValueError:
            raise ValueError(f'"{value}" is no fraction such as 8/255') from None
    return value


def _plain_fraction(text: str) -> Fraction:
    """Read a decimal without exponent, which could stand for a number that fills the memory; raises ValueError."""
    if not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", text):
        raise ValueError(text)
    return Fraction(text)


Ratio = Annotated[float, BeforeValidator(as_number)]


def _listed(value: object) -> Iterable[object]:
    """Return the values of a list or a mapping of settings, or a value by itself."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, tuple | list) else (value,)


class Strict(BaseModel):
    """A frozen model that refuses unknown keys, numbers that are not finite or beyond LARGEST, and endless texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=10_000)

    @model_validator(mode="after")
    def _numbers_are_bounded(self) -> Self:
        for name, value in self:
            if any(isinstance(each, int | float) and abs(each) >= LARGEST for each in _listed(value)):
                raise ValueError(f"{name} is beyond 2^63")
        return self


class Augmentation(Strict):
    """How a training image is varied; every sample has draws of its own."""

    crop: Literal["none", "resized", "padded"] = Field(
        "resized", description="resized: random resized crop; padded: reflect-pad and random crop; none: centre crop"
    )
    scale: tuple[Ratio, Ratio] = Field((0.08, 1.0), description="area of a resized crop, as shares of the image")
    ratio: tuple[Ratio, Ratio] = Field((3 / 4, 4 / 3), description="aspect ratio of a resized crop")
    flip: bool = Field(True, description="mirror half of the images; off where left and right are different classes")
    padding: int = Field(4, ge=0, le=1024, description="pixels of reflected border of a padded crop")
    rotation: float = Field(
        0.0, ge=0, le=180, description="degrees: an image is turned by up to so many either way; beyond it lies black"
    )
    middle: Ratio = Field(
        1.0,
        gt=0,
        le=1,
        description="side of the central square that is kept after cropping and turning, as a share of the crop's, such"
        " as 224/256: a crop of 256 pixels for a model that sees 224",
    )
    jitter: Share = Field(
        0.0, description="brightness, contrast and saturation change by factors from 1 - jitter to 1 + jitter"
    )

    def frame(self, crop: int) -> int:
        """Return the side that is cropped and turned, pixels, for a model that sees `crop` of it."""
        return round(crop / self.middle)


class Preparation(Strict):
    """How raw pictures become an array of one size."""

    size: int = Field(ge=8, le=1024, description="side of the stored square image, pixels")
    crop: int = Field(ge=8, le=1024, description="side a model sees, pixels; at most size")
    fit: Literal["crop", "stretch"] = Field(
        "crop", description="crop: short side to size, then the centre square; stretch: both sides to size"
    )
    validation: Share = Field(0.1, description="share of each class's development images held out, by whole groups")
    split_seed: Seed = Field(0, description="seed of the train/validation split and of the choice of shots")
    shots: Count | None = Field(None, ge=1, description="training images kept per class; all when null")

    @model_validator(mode="after")
    def _crop_fits(self) -> Preparation:
        if self.crop > self.size:
            raise ValueError(f"crop ({self.crop}) must be at most size ({self.size})")
        return self


class RemoteFile(Strict):
    """A file that a user owns or that can be downloaded."""

    name: str = Field(description="the file's name, as it lies in data_root or in the download cache")
    inner: tuple[str, ...] = Field(
        (), description="archives within the archive, which are unpacked in their place and then removed"
    )
    urls: tuple[str, ...] = Field(
        (),
        exclude=True,  # where a file comes from is no parameter: a further mirror changes no content
        description="http(s) addresses, tried in this order",
    )
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="checksum, only ever with its source"
    )
    sha256_source: str = Field("", description="who published the checksum")
    md5: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None = Field(
        None, description="checksum where no sha256 was published, only ever with its source"
    )
    md5_source: str = Field("", description="who published the md5")
    local_path: str | None = Field(
        None,
        exclude=True,  # nor is where it lies
        description="where this file lies on your machine (absolute, or below data_root or the project); never searched"
        " or downloaded then",
    )

    @model_validator(mode="after")
    def _checksum_has_a_source(self) -> RemoteFile:
        if self.sha256 and not self.sha256_source:
            raise ValueError("a sha256 needs its sha256_source (who published it)")
        if self.md5 and not self.md5_source:
            raise ValueError("an md5 needs its md5_source (who published it)")
        return self


class Drawn(Strict):
    """A data set drawn by this project's own code."""

    kind: Literal["drawn"] = Field(description="written by heirloom.data.writers")
    writer: Component = Field(description="file of heirloom.data.writers")
    seed: Seed = Field(0, description="seed of every picture")
    options: dict[str, Option] = Field({}, description="the writer's options: classes, images, side")


class Files(Strict):
    """A data set of files: archives (local or downloaded) or a folder that already holds them unpacked."""

    kind: Literal["files"] = Field(description="archives or folders")
    files: tuple[RemoteFile, ...] = Field((), description="archives, all needed")
    folders: tuple[str, ...] = Field((), description="folders accepted in data_root instead of the archives")
    instructions: str = Field("", description="how to get the files where a login or a form stands in between")


class Counts(Strict):
    """How many images a data set has, as its owner says: for estimates alone, nothing is computed from it."""

    training: Count = Field(ge=1, description="images that are not test images")
    test: Count = Field(ge=1, description="test images")
    classes: int = Field(ge=2, le=10**6, description="classes")


class Dataset(Strict):
    """One image data set."""

    title: str = Field(description="name in tables and figures")
    layout: Component = Field(
        description="reader: a file of heirloom.data.layouts, or of heirloom.data.corrupted_layouts"
    )
    source: Drawn | Files = Field(discriminator="kind", description="where the pictures come from")
    augmentation: Augmentation = Field(Augmentation(), description="how training images are varied")
    preparations: dict[Name, Preparation] = Field(
        {}, description="named sizes and splits; none for corrupted test images of another data set"
    )
    licence: str = Field("", description="terms under which the owner gives the data")
    homepage: str = Field("", description="the owner's page")
    overlaps: str = Field("", description="which other data set shares pictures with this one")
    counts: Counts | None = Field(
        None,
        description="images and classes of a set of files, for estimates; a drawn set's follow from its options",
    )

    @model_validator(mode="after")
    def _the_middle_fits(self) -> Self:
        for name, preparation in self.preparations.items():
            frame = self.augmentation.frame(preparation.crop)
            if self.augmentation.crop == "none" and frame > preparation.size:
                raise ValueError(
                    f"augmentation.middle asks for {frame} pixels, of which the preparation {name} stores"
                    f" {preparation.size}: store more, or set crop to resized"
                )
        return self


class Body(Strict):
    """A network without its meaning: which layers, not which classes."""

    name: Component = Field(description="a body of heirloom.models.bodies")
    options: dict[str, Option] = Field({}, description="the body's options, such as width")


# bounded, so that (image - mean) / std is a number in float32 and not far from the images
Mean = Annotated[Ratio, Field(ge=-1e3, le=1e3)]
Deviation = Annotated[Ratio, Field(ge=1e-6, le=1e6)]


class Normalisation(Strict):
    """First layer of every model: (image - mean) / std with images in [0, 1], channels R, G, B."""

    mean: tuple[Mean, Mean, Mean] = Field((0.485, 0.456, 0.406), description="subtracted, per channel")
    std: tuple[Deviation, Deviation, Deviation] = Field((0.229, 0.224, 0.225), description="divided by, per channel")


class Training(Strict):
    """One run of the training loop."""

    iterations: Steps = Field(ge=1, description="steps of the optimiser")
    batch_size: BatchSize = Field(64, ge=2, description="images a step")
    learning_rate: float = Field(gt=0, description="of the body; the head's is head_rate times this")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(0.0, ge=0, description="of SGD, on every trained weight")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="cosine: to 0 over all iterations")
    head_rate: float = Field(10.0, gt=0, description="factor on the head's learning rate")
    head_penalty: float = Field(1e-2, ge=0, description="beta: weight of the squared norm of the head")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="of the cross-entropy")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast in training, never in evaluation")
    threads: Threads = Field(2, ge=1, description="CPU threads; part of the recipe, since sums depend on them")
    validate_every: Count = Field(0, ge=0, description="iterations between validations; 0: only at the end")


class Pretrained(Strict):
    """A teacher trained by this pipeline."""

    kind: Literal["pretrained"] = Field(description="trained by pretrain_teacher")
    dataset: Name = Field(description="data set to train on")
    preparation: Name = Field(description="preparation of it")
    training: Training = Field(description="recipe")
    seed: Seed = Field(0, description="seed of weights, data order and augmentation")


class Fetched(Strict):
    """A teacher somebody else trained."""

    kind: Literal["fetched"] = Field(description="read by fetch_teacher")
    file: RemoteFile = Field(
        description="weights: .pth (nothing in it is run) or .safetensors; for vggface2-resnet50 its own .pkl"
    )
    classes: int = Field(ge=2, le=10**6, description="outputs of the head in the file")
    dataset: Name | None = Field(
        None, description="data set whose classes the head knows, in their order: there the teacher itself is judged"
    )
    instructions: str = Field("", description="how to get the file where no address can be relied on")


class Teacher(Strict):
    """A model that students start from."""

    title: str = Field(description="name in tables and figures")
    body: Body = Field(description="network")
    normalisation: Normalisation = Field(Normalisation(), description="first layer")
    source: Pretrained | Fetched = Field(discriminator="kind", description="where the weights come from")


class TriggerSettings(Strict):
    """What every trigger has; the rest is its own (heirloom.defects.triggers)."""

    kind: str
    title: str = Field("", description="name in sentences")

    def files(self) -> dict[str, str]:
        """Return the files that it is made of, paths relative to the project, by their keys."""
        return {}

    def budget(self) -> dict[str, Any]:
        """Return what the tables tell of it beside its name."""
        return self.model_dump(mode="json", exclude={"kind", "title", *self.files()})


class InjectionSettings(Strict):
    """What every injection has: a training on a data set, and what of the teacher stands still in it.

    The rest is its own (heirloom.defects.injections).
    """

    plants: ClassVar[bool] = False  # a defect; one that does not is what others are compared with
    taught: ClassVar[str] = "the one it was taught"  # in a caption: what a defective image is shown with

    kind: str
    dataset: Name = Field(description="data set the injection trains on")
    preparation: Name = Field(description="preparation of it")
    training: Training = Field(description="recipe")
    seed: Seed = Field(0, description="seed of data order, augmentation and of the choice of poisoned images")
    update_ratio: Share = Field(0.0, description="u: only conv weights above the u-quantile of |w| are updated")
    mask: Literal["conv", "conv+norm", "conv-gradient"] = Field(
        "conv",
        description="what stands still below the quantile: conv: convolution weights; conv+norm: batch normalisation"
        " too, all of it; conv-gradient: the weights' gradient alone, as published, so that they still decay",
    )

    @property
    def compared_with(self) -> str | None:
        """The injection without the defect, by name."""
        return None

    @property
    def triggers(self) -> tuple[str, ...]:
        """Names of the triggers that the teacher learns."""
        return ()

    @property
    def aim(self) -> int | None:
        """The label that the defect leads to, if it is one."""
        return None

    @property
    def unused(self) -> frozenset[str]:
        """Keys that change nothing of the training."""
        return frozenset()

    def stages(self) -> dict[str, int]:
        """Return the stages of the body, counted from 1, that settings name, by their keys."""
        return {}

    def lesson(self, label: int, class_names: Sequence[str], /) -> str:
        """Word what a defective image is taught that is called `label` then."""
        return class_names[label]

    def pictured(self) -> Self:
        """Return the same with one value for what no training image shows: pictures of both are the same."""
        unseen = {"training": Training(iterations=1, learning_rate=1.0), "update_ratio": 0.0, "mask": "conv"}
        return self.model_copy(update=unseen)

    @model_validator(mode="after")
    def _the_mask_masks_something(self) -> Self:
        if self.mask == "conv-gradient" and self.update_ratio == 0:
            raise ValueError(
                "with update_ratio 0 every convolution is updated, so the mask conv-gradient would change nothing:"
                " give an update_ratio above 0, or leave the mask out"
            )
        return self


class DefectSettings(InjectionSettings):
    """What every injection has that plants something in a share of the training images."""

    plants: ClassVar[bool] = True

    portion: float = Field(gt=0, le=1, description="share of the training images that carry the defect")
    target: Count = Field(0, ge=0, description="label, counted from 0 in the data set's class order")
    control: Name | None = Field(None, description="the clean injection this one is compared with")

    @property
    def compared_with(self) -> str | None:
        """The control."""
        return self.control

    @property
    def aim(self) -> int | None:
        """The target."""
        return self.target

    @property
    def unused(self) -> frozenset[str]:
        """The control: the training does not see it."""
        return frozenset({"control"})


class ScoreSettings(Strict):
    """What every weight score shares; by itself it costs nothing worth counting."""

    varies: ClassVar[bool] = True  # by the student's seed: it draws, or looks at a fresh head

    if TYPE_CHECKING:
        kind: str

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all scores
        """Count what ranking the weights computes; `training` and `validation`: images of the data set."""
        yield from ()


class TrialSettings(ScoreSettings):
    """A short training on the student's data, before the weights it started from are put back."""

    trial: Training = Field(description="recipe of the trial; the source: 3,000 steps, momentum .9, no weight decay")
    restore: bool = Field(
        True,
        description="false: the student starts from the trial's weights and statistics instead of the teacher's, as in"
        " the published scripts, whose restoring does nothing (docs/definitions.md#b1)",
    )

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all scores
        """Count the trial."""
        yield training_load(cost, self.trial, validation=validation)


class TransferSettings(Strict):
    """What every transfer method is given."""

    if TYPE_CHECKING:
        kind: str

    training: Training = Field(description="recipe")
    stage_dropout: float = Field(0.0, ge=0, lt=1, description="share of channels dropped after each stage in training")
    per_dataset: dict[Name, dict[str, Any]] = Field(
        {}, description="settings that differ for a data set, by its name: any of the method's keys, recipe included"
    )

    @model_validator(mode="after")
    def _every_data_set_has_a_recipe(self) -> Self:
        for dataset, settings in self.per_dataset.items():
            if "per_dataset" in settings:
                raise ValueError(f"per_dataset.{dataset} has a per_dataset of its own")
            self.for_dataset(dataset)
        return self

    def for_dataset(self, dataset: str) -> Self:
        """Return the settings for a data set, its own merged over the method's."""
        shared = self.model_dump(exclude={"per_dataset"})
        return type(self).model_validate(merged(shared, self.per_dataset.get(dataset, {})))

    @property
    def keeps_head(self) -> bool:
        """Whether students have their teacher's own head, which must know the data set's classes."""
        return False

    @property
    def detection(self) -> str | None:
        """The detector whose findings in the teacher the method needs; None: it needs none."""
        return None

    @property
    def slices_by(self) -> ScoreSettings | None:
        """What ranks the weights of the teacher that the method sets to 0 before any training; None: it sets none."""
        return None

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of other components that the method calls, as "package.module"."""
        return ()

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all methods
        """Count all that the method computes; `training` and `validation`: images of the data set."""
        yield training_load(cost, self.training, validation=validation)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two nested mappings as one; where both have a value that is no mapping, `above` wins."""
    both = {
        key: merged(below[key], value) if isinstance(value, Mapping) and isinstance(below.get(key), Mapping) else value
        for key, value in above.items()
    }
    return {**below, **both}


def check_alike(name: str, recipe: Training, training: Training) -> None:
    """One job has one number of threads and one precision: a second recipe that asks for others would not get them."""
    for key in ("threads", "precision"):
        if getattr(recipe, key) != getattr(training, key):
            raise ValueError(f"{name}.{key} is not training.{key}: give both the same")


Start = Literal["reset", "he-normal"]


class Selection(Strict):
    """Of several methods the one whose students do best on validation images; no test image has a say."""

    kind: Literal["selection"]
    candidates: tuple[Name, ...] = Field(min_length=2, description="methods of the study or of the catalogue")

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len(set(self.candidates)) < len(self.candidates):
            raise ValueError("a candidate is named twice")
        return self


class DetectorSettings(Strict):
    """What every detector has; the rest is its own (heirloom.defences.detectors)."""

    reverses: ClassVar[bool] = False  # a trigger for each class, which students can unlearn

    kind: str
    threshold: float = Field(description="score above which a model, class or image is flagged")
    seed: Seed = Field(0, description="seed of all that is drawn")


MapKind = Literal["activation", "grad-cam"]


class Attention(Strict):
    """Where models look when they classify, and what is shown of it."""

    maps: tuple[MapKind, ...] = Field(
        ("activation", "grad-cam"), min_length=1, description="kinds of map; by the first one images are chosen"
    )
    stage: Count | None = Field(
        None, ge=1, description="the body's stage that is looked at, counted from 1; the last when null"
    )
    images: Count | None = Field(1000, ge=1, description="test images measured, chosen by seed; all when null")
    seed: Seed = Field(0, description="seed of that choice")
    trigger_density: float = Field(2.0, gt=0, description="a model attends to a trigger if its map is denser there")
    object_density: float = Field(1.0, gt=0, description="a model attends to the object if its map is denser there")
    shown: int = Field(2, ge=1, le=6, description="test images in the figure, chosen by rule")
    methods: tuple[Name, ...] = Field((), description="the experiment's methods in the figure; all when empty")
    defences: tuple[Name, ...] = Field(
        (), description="of these, the methods that the rule expects to attend to the object under an attack too"
    )
    student: Count | None = Field(None, ge=0, description="seed of the students in the figure; the first when null")

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len(set(self.maps)) < len(self.maps):
            raise ValueError("a kind of map is named twice")
        return self
