"""What the jobs of a plan take: work with models, disk and downloads, counted from the settings alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from heirloom.config import repairs, robust_models
from heirloom.config.attacks import OnModel
from heirloom.config.costs import Cost, cost_of
from heirloom.config.grid import Grid
from heirloom.config.kinds import BODIES, DETECTORS, INJECTIONS
from heirloom.config.models import Counts, Preparation
from heirloom.config.work import (
    DataSizes,
    Load,
    attack_passes,
    attacked_images,
    chosen_images,
    criticality_load,
    judging_passes,
    looking_load,
    repair_candidates,
    robust_load,
    training_load,
    uncounted,
)
from heirloom.plan.counts import counts_of, stored_images, validation_images
from heirloom.plan.job import Job

BYTES_A_WEIGHT = 4


@dataclass(frozen=True)
class Takes:
    """What one job takes: work with models, and bytes. `unknown` says what could not be counted, and why."""

    disk: int = 0
    download: int = 0
    loads: tuple[Load, ...] = ()
    unknown: str = ""

    @property
    def threads(self) -> int:
        """CPU threads the job occupies."""
        return max((load.threads for load in self.loads), default=1)


@dataclass(frozen=True)
class Arrival:
    """How the files of an entry come: bytes written below results/ and bytes downloaded; None: unknown."""

    disk: int | None = None
    download: int | None = None


# Asked for "datasets", "teachers" or "robust" and a name; whoever knows the user's folder answers.
ArrivalOf = Callable[[str, str], Arrival]


@dataclass(frozen=True)
class ImageCost:
    """What an image costs a body, at the side that the model sees, and how many images it is shown."""

    cost: Cost
    training: int
    validation: int
    test: int
    classes: int

    @property
    def sizes(self) -> DataSizes:
        """The numbers of images and classes that a component's work is counted by."""
        return DataSizes(self.training, self.validation, self.classes)


class Accountant:
    """Says what a job takes: one method for each rule whose jobs take more than their start, by its name.

    Raises ConfigError for a body that cannot be measured.
    """

    def __init__(self, grid: Grid, arrival: ArrivalOf) -> None:
        self._grid = grid
        self._arrival = arrival
        self._counts = cache(lambda name: counts_of(grid, name))
        self._seen = cache(self._look)
        self._students = cache(self._student)

    def takes(self, job: Job) -> Takes:
        """Return what a job takes."""
        method: Callable[[Job], Takes] | None = getattr(self, f"_{job.rule}", None)
        return method(job) if method else Takes()

    # -- sizes -------------------------------------------------------------------------------------------------------

    def _look(self, model: str, dataset: str, preparation: str) -> ImageCost:
        """Count for a teacher or robust model, and the data that it is shown."""
        sizes, counts = self._sizes(dataset, preparation), self._counts(dataset)
        cost = cost_of(self._grid.body(model)).at(sizes.crop)
        if counts is None:
            return ImageCost(cost, 0, 0, 0, 0)
        validation = validation_images(counts, sizes)
        training = stored_images(counts, sizes) - validation - counts.test
        return ImageCost(cost, training, validation, counts.test, counts.classes)

    def _sizes(self, dataset: str, preparation: str) -> Preparation:
        return self._grid.dataset(dataset).preparations[preparation]

    def _for_student(self, job: Job) -> ImageCost:
        dataset = job.names["dataset"]
        return self._seen(job.names["teacher"], dataset, self._grid.study.preparations[dataset])

    def _for_robust(self, model: str) -> ImageCost:
        entry = self._grid.catalogue.robust[model]
        return self._seen(model, entry.dataset, entry.preparation)

    def _weights(self, model: str, classes: int) -> int:
        """Bytes of a body with a head."""
        return cost_of(self._grid.body(model)).weights(classes) * BYTES_A_WEIGHT

    def _looking(self, cost: Cost, *, images: float, passes: float, batch: int) -> Load:
        threads = self._grid.study.evaluation_threads
        return looking_load(cost, images=images, passes=passes, batch=batch, threads=threads)

    # -- data --------------------------------------------------------------------------------------------------------

    def _render_dataset(self, job: Job) -> Takes:
        counts, options = self._counts(job.names["dataset"]), job.settings["options"]
        pixels = options.get("side", 48) ** 2
        return Takes(disk=3 * pixels * (counts.training + counts.test) if counts else 0)

    def _download_dataset(self, job: Job) -> Takes:
        return self._arriving("datasets", job.names["dataset"])

    def _arriving(self, section: str, name: str, guess: int | None = None) -> Takes:
        """Count what the user's folder or a download brings."""
        arrival = self._arrival(section, name)
        download = guess if arrival.download is None else arrival.download
        known = arrival.disk is not None and download is not None
        unknown = "" if known else f"files of {name} (size not known)"
        return Takes(disk=arrival.disk or 0, download=download or 0, unknown=unknown)

    def _prepare_dataset(self, job: Job) -> Takes:
        name = job.names["dataset"]
        counts, sizes = self._counts(name), self._sizes(name, job.names["preparation"])
        if counts is None:
            return Takes(unknown=f"images of {name} (no counts in the catalogue)")
        return Takes(disk=3 * sizes.size**2 * stored_images(counts, sizes))

    def _corrupt_dataset(self, job: Job) -> Takes:
        suite = self._grid.catalogue.corruptions[job.names["suite"]]
        counts: Counts | None = self._counts(suite.dataset)
        side = self._sizes(suite.dataset, suite.preparation).crop
        images = chosen_images(suite.images, counts.test) if counts else 0
        return Takes(disk=3 * side**2 * images * len(suite.kinds) * len(suite.severities))

    # -- teachers ----------------------------------------------------------------------------------------------------

    def _fetch_teacher(self, job: Job) -> Takes:
        teacher = job.names["teacher"]
        weights = self._weights(teacher, job.settings["classes"])
        found = self._arriving("teachers", teacher, guess=weights)
        return replace(found, disk=found.disk + weights)

    def _pretrain_teacher(self, job: Job) -> Takes:
        teacher, source = job.names["teacher"], self._grid.pretraining(job.names["teacher"])
        seen = self._seen(teacher, source.dataset, source.preparation)
        load = training_load(seen.cost, source.training, validation=seen.validation)
        return Takes(disk=self._weights(teacher, seen.classes), loads=(load,))

    def _inject_defect(self, job: Job) -> Takes:
        teacher, entry = job.names["teacher"], self._grid.injection(job.names["injection"])
        seen = self._seen(teacher, entry.dataset, entry.preparation)
        loads = INJECTIONS.load(entry.kind).work(entry, seen.cost, seen.sizes)
        return Takes(disk=self._weights(teacher, seen.classes), loads=tuple(loads))

    def _detect_backdoor(self, job: Job) -> Takes:
        seen, dataset = self._for_student(job), job.names["dataset"]
        detector = self._grid.detector(job.names["method"])
        loads = DETECTORS.load(detector.kind).work(detector, seen.cost, seen.sizes, job.threads)
        side = self._sizes(dataset, self._grid.study.preparations[dataset]).crop
        # three colours and a mask for each class
        disk = 4 * BYTES_A_WEIGHT * seen.classes * side**2 * detector.reverses
        return Takes(disk=disk, loads=tuple(loads))

    # -- students ----------------------------------------------------------------------------------------------------

    def _train_student(self, job: Job) -> Takes:
        return self._students(job.names["teacher"], job.names["dataset"], job.names["method"])

    def _student(self, teacher: str, dataset: str, method: str) -> Takes:
        """Count a student; those that differ in injection and seed alone take the same."""
        seen = self._seen(teacher, dataset, self._grid.study.preparations[dataset])
        recipe = self._grid.method(method, dataset)
        loads = recipe.work(seen.cost, training=seen.training, validation=seen.validation)
        return Takes(disk=self._weights(teacher, seen.classes), loads=tuple(loads))

    def _select_student(self, job: Job) -> Takes:
        return Takes(disk=self._weights(job.names["teacher"], self._for_student(job).classes))

    def _slice_teacher(self, job: Job) -> Takes:
        seen, recipe = self._for_student(job), self._grid.method(job.names["method"], job.names["dataset"])
        assert recipe.slices_by is not None
        loads = recipe.slices_by.work(seen.cost, training=seen.training, validation=seen.validation)
        return Takes(disk=self._weights(job.names["teacher"], seen.classes), loads=tuple(loads))

    def _craft_feature_attack(self, job: Job) -> Takes:
        seen, study, dataset = self._for_student(job), self._grid.study, job.names["dataset"]
        driven = 1 + bool(job.inputs["slice_card"])
        passes = attack_passes(self._grid.attack(job.names["attack"])) * driven
        side = self._sizes(dataset, study.preparations[dataset]).crop
        load = self._looking(seen.cost, images=seen.test, passes=passes, batch=study.attack_batch)
        return Takes(disk=3 * side**2 * seen.test, loads=(load,))

    def _evaluate_students(self, job: Job) -> Takes:
        return self._judging(job, self._for_student(job).test)

    def _map_attention(self, job: Job) -> Takes:
        return self._judging(job, chosen_images(job.settings["recipe"]["images"], self._for_student(job).test))

    def _judging(self, job: Job, images: int) -> Takes:
        """Count a look of every model at every image, clean and under each condition."""
        models = len(job.inputs["students"]) + len(job.inputs["teacher_card"])
        conditions = 1 + sum(len(job.settings[key]) for key in ("triggers", "feature_attacks", "noise"))
        batch = self._grid.study.evaluation_batch
        load = self._looking(self._for_student(job).cost, images=images, passes=models * conditions, batch=batch)
        return Takes(loads=(load,))

    def _attack_student(self, job: Job) -> Takes:
        seen, attacks = self._for_student(job), self._attacks(job)
        loads = (
            self._looking(
                seen.cost,
                images=attacked_images(attack, seen.test),
                passes=attack_passes(attack),
                batch=self._grid.study.attack_batch,
            )
            for attack in attacks
        )
        return Takes(loads=tuple(loads), unknown=uncounted(attacks))

    def _attacks(self, job: Job) -> list[OnModel]:
        return list(self._grid.white_box(job.settings["attacks"]).values())

    # -- robust models -----------------------------------------------------------------------------------------------

    def _train_robust(self, job: Job) -> Takes:
        model = job.names["teacher"]
        seen = self._for_robust(model)
        load = robust_load(robust_models.training(self._grid, model), seen.cost, validation=seen.validation)
        return Takes(disk=self._weights(model, seen.classes), loads=(load,))

    def _fetch_robust(self, job: Job) -> Takes:
        model = job.names["teacher"]
        weights = self._weights(model, self._for_robust(model).classes)
        found = self._arriving("robust", model, guess=weights)
        return replace(found, disk=found.disk + weights)

    def _measure_criticality(self, job: Job) -> Takes:
        seen = self._for_robust(job.names["teacher"])
        return Takes(loads=(criticality_load(self._grid.study.criticality, seen.cost, training=seen.training),))

    def _finetune_module(self, job: Job) -> Takes:
        seen, entry = self._for_robust(job.names["teacher"]), repairs.repairs(self._grid)[job.names["method"]]
        load = training_load(seen.cost, entry.training, validation=seen.validation)
        return Takes(loads=(load,) * self._candidates(job))

    def _candidates(self, job: Job) -> int:
        stages = BODIES.member(self._grid.body(job.names["teacher"]).name).stages
        return repair_candidates(repairs.repairs(self._grid)[job.names["method"]], len(stages))

    def _interpolate_module(self, job: Job) -> Takes:
        model, entry = job.names["teacher"], repairs.repairs(self._grid)[job.names["method"]]
        seen = self._for_robust(model)
        images = seen.validation + chosen_images(entry.judge.images, seen.validation) * judging_passes(entry.judge)
        passes = len(entry.alphas) * self._candidates(job)
        load = self._looking(seen.cost, images=images, passes=passes, batch=self._grid.study.evaluation_batch)
        return Takes(disk=self._weights(model, seen.classes), loads=(load,))

    def _evaluate_robust(self, job: Job) -> Takes:
        """Count the looks of a model at its test images: clean, under each attack and corruption."""
        seen, attacks = self._for_robust(job.names["teacher"]), self._attacks(job)
        names = repairs.suites_of(self._grid, job.names["teacher"])
        suites = [self._grid.catalogue.corruptions[name] for name in names]
        shown = sum(chosen_images(each.images, seen.test) * len(each.kinds) * len(each.severities) for each in suites)
        looks = seen.test + shown + sum(_crafted(attacks, seen.test))
        load = self._looking(seen.cost, images=looks, passes=1, batch=self._grid.study.attack_batch)
        return Takes(loads=(load,), unknown=uncounted(attacks))

    def _attack_model(self, job: Job) -> Takes:
        """Count what crafting takes of the attacked model, and a look at each image of all that are judged."""
        model, attacks, batch = job.names["method"], self._attacks(job), self._grid.study.attack_batch
        test = self._for_robust(model).test
        looks = sum(attacked_images(attack, test) for attack in attacks) + test * job.settings["clean"]
        asked = [(model, sum(_crafted(attacks, test))), *((name, looks) for name in job.settings["targets"])]
        loads = (
            self._looking(self._for_robust(name).cost, images=images, passes=1, batch=batch) for name, images in asked
        )
        return Takes(loads=tuple(loads), unknown=uncounted(attacks))


def _crafted(attacks: Iterable[OnModel], test: int) -> Iterator[float]:
    """Give the passes that crafting each attack takes."""
    yield from (attacked_images(attack, test) * attack_passes(attack) for attack in attacks)
