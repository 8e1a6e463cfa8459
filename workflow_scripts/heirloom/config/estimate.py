"""What a study will take before it starts: jobs, disk, download and the models' work, from the grid alone.

Work is counted in multiply-adds. Only a rate that was measured on this machine turns it into seconds
(heirloom.config.rates).
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from heirloom.config import paths
from heirloom.config.costs import Cost, cost_of
from heirloom.config.grid import CLEAN, FIGURES, WRITERS, Evaluation, Grid
from heirloom.config.models import Counts, Drawn, Preparation, Training
from heirloom.config.resources import NEEDS
from heirloom.runtime.registry import resolve

TRAINED = 3  # forward, gradient of the activations, gradient of the weights: each about one forward pass of work
PASSES: Mapping[str, int] = MappingProxyType({"linear-probe": 1})  # methods that send no gradient through the body
BYTES_A_WEIGHT = 4
TEST_SHARE = 0.2  # of a set whose owner made no test part (docs/datasets.md)


@dataclass(frozen=True)
class Load:
    """What a job computes with a model.

    `cost`: of one image at the side the model sees. `passes`: images times passes; one that is trained on counts
    three times, one that is only looked at once. `steps`: batches, counted in the same way as thirds of a step.
    """

    cost: Cost
    passes: float
    steps: float
    precision: str
    threads: int

    @property
    def macs(self) -> float:
        """Multiply-adds."""
        return self.passes * self.cost.macs


@dataclass(frozen=True)
class Task:
    """One job: the file that shows that it is done, the files of other jobs it needs, and what it takes, in bytes.

    `unknown` says what of it could not be counted, and why; `target`, that the study asks for the output itself.
    """

    rule: str
    output: str
    needs: tuple[str, ...] = ()
    disk: int = 0
    download: int = 0
    loads: tuple[Load, ...] = ()
    unknown: str = ""
    target: bool = False

    @property
    def threads(self) -> int:
        """CPU threads the job occupies."""
        return max((load.threads for load in self.loads), default=1)


@dataclass(frozen=True)
class Estimate:
    """What a study's missing jobs take. `total`: all its jobs by rule, in the order of the pipeline."""

    study: str
    todo: tuple[Task, ...]
    total: Mapping[str, int]

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs still to run by rule, in the order of the pipeline."""
        found = Counter(task.rule for task in self.todo)
        return {rule: found[rule] for rule in self.total if found[rule]}

    @property
    def unknown(self) -> list[str]:
        """What could not be counted, and why."""
        return sorted({task.unknown for task in self.todo if task.unknown})

    @property
    def disk(self) -> int:
        """Bytes that will be written, downloads included."""
        return sum(task.disk + task.download for task in self.todo)

    @property
    def download(self) -> int:
        """Bytes to download."""
        return sum(task.download for task in self.todo)

    @property
    def macs(self) -> float:
        """Multiply-adds of all models."""
        return sum(load.macs for task in self.todo for load in task.loads)

    @property
    def mem_mb(self) -> int:
        """Memory that the largest job asks for, MiB."""
        return max((NEEDS[task.rule].mem_mb for task in self.todo), default=0)

    @property
    def wants_gpu(self) -> bool:
        """Whether a job would use a GPU."""
        return any(NEEDS[task.rule].gpu for task in self.todo)


@dataclass(frozen=True)
class Arrival:
    """How the files of a data set or teacher come: bytes written below results/ and bytes downloaded; None: unknown."""

    disk: int | None = None
    download: int | None = None


# Asked for "datasets" or "teachers" and a name; whoever knows the user's folder answers.
ArrivalOf = Callable[[str, str], Arrival]


def estimate(grid: Grid, *, arrival: ArrivalOf, planned: Iterable[str] | None = None) -> Estimate:
    """Estimate what a study still takes.

    `planned`: outputs of the jobs that will run. None: what is absent, and what depends on it; jobs whose recipe or
    code changed since are then not seen. Raises ConfigError for a body without a cost.
    """
    tasks = list(_Planner(grid, arrival).tasks())
    todo = missing(tasks, exists=os.path.exists) if planned is None else set(planned)
    return Estimate(
        study=grid.study.name,
        todo=tuple(task for task in tasks if task.output in todo),
        total=Counter(task.rule for task in tasks),
    )


def missing(tasks: Sequence[Task], *, exists: Callable[[str], bool]) -> set[str]:
    """Return the outputs that have to be made: targets that are absent, what these need, and what needs these.

    An absent file that nobody needs any more is not made, as Snakemake makes none.
    """
    absent = {task.output for task in tasks if not exists(task.output)}
    needs = {task.output: task.needs for task in tasks}
    users: dict[str, list[str]] = {}
    for task in tasks:
        for need in task.needs:
            users.setdefault(need, []).append(task.output)
    waiting = [task.output for task in tasks if task.target and task.output in absent]
    todo: set[str] = set()
    while waiting:
        output = waiting.pop()
        if output in todo:
            continue
        todo.add(output)
        waiting += users.get(output, [])
        waiting += [need for need in needs[output] if need in absent]
    return todo


def counts_of(grid: Grid, dataset: str) -> Counts | None:
    """Return how many images a data set has: as the catalogue says or, for a drawn one, as its options say."""
    entry = grid.dataset(dataset)
    if entry.counts is not None or not isinstance(entry.source, Drawn):
        return entry.counts
    return _drawn_counts(_options(entry.source))


def _options(source: Drawn) -> dict[str, int]:
    """Options of a writer, its defaults included."""
    import inspect

    defaults = inspect.signature(resolve(resolve(WRITERS)[source.writer])).parameters.values()
    given = {each.name: each.default for each in defaults if isinstance(each.default, int)}
    return {**given, **source.options}


def _drawn_counts(options: Mapping[str, int]) -> Counts:
    """Count a drawn set by its writer's options, which count per class."""
    classes = options["classes"]
    if "images" in options:
        test = max(1, round(TEST_SHARE * options["images"]))
        return Counts(training=classes * (options["images"] - test), test=classes * test, classes=classes)
    training = options["tracks"] * options["frames"] if "tracks" in options else options["train_images"]
    test = options["test_images"] if "test_images" in options else options["val_images"]
    return Counts(training=classes * training, test=classes * test, classes=classes)


def validation_images(counts: Counts, preparation: Preparation) -> int:
    """Return about how many images a preparation holds out for validation."""
    return round(counts.training * preparation.validation)


def stored_images(counts: Counts, preparation: Preparation) -> int:
    """Return about how many images a preparation stores."""
    held = validation_images(counts, preparation)
    training = counts.training - held
    if preparation.shots is not None:
        training = min(training, preparation.shots * counts.classes)
    return training + held + counts.test


def training_load(cost: Cost, recipe: Training, *, validation: int, passes: int = TRAINED) -> Load:
    """Count a training: every step, and every validation on `validation` images. `cost`: at the side a model sees."""
    every = recipe.validate_every or recipe.iterations
    seen = math.ceil(recipe.iterations / every) * validation
    return Load(
        cost=cost,
        passes=passes * recipe.iterations * recipe.batch_size + seen,
        steps=recipe.iterations + seen / 256 / TRAINED,
        precision=recipe.precision,
        threads=recipe.threads,
    )


class _Planner:
    """Turns a grid into tasks: one method for each rule of `Grid.costly_jobs`, by its name."""

    def __init__(self, grid: Grid, arrival: ArrivalOf) -> None:
        self._grid = grid
        self._arrival = arrival
        self._counts = {name: counts_of(grid, name) for name in grid.dataset_names}
        self._evaluation_inputs: dict[Evaluation, list[str]] = {}
        self._student = cache(self._student_cost)

    def tasks(self) -> Iterator[Task]:
        """Give every job, in the order of the pipeline."""
        for rule, folder, keys in self._grid.costly_jobs():
            make: Callable[[str, str, dict[str, Any]], Task] = getattr(self, f"_{rule}")
            yield make(rule, folder, keys)
        yield from self._closing()

    def _render_dataset(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        counts, source = self._counts[keys["dataset"]], self._grid.drawing(keys["dataset"])
        pixels = source.options.get("side", 48) ** 2
        return Task(rule, f"{folder}/card.json", disk=3 * pixels * (counts.training + counts.test) if counts else 0)

    def _download_dataset(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        return self._arriving("datasets", keys["dataset"], Task(rule, f"{folder}/card.json"))

    def _fetch_teacher(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        source = self._grid.fetching(keys["teacher"])
        weights = cost_of(self._grid.teacher(keys["teacher"]).body).weights(source.classes) * BYTES_A_WEIGHT
        task = self._arriving("teachers", keys["teacher"], Task(rule, f"{folder}/card.json"), guess=weights)
        return replace(task, disk=task.disk + weights)

    def _arriving(self, section: str, name: str, task: Task, guess: int | None = None) -> Task:
        """Add what the user's folder or a download brings."""
        arrival = self._arrival(section, name)
        disk = arrival.disk
        download = guess if arrival.download is None else arrival.download
        known = disk is not None and download is not None
        unknown = "" if known else f"files of {name} (size not known)"
        return replace(task, disk=disk or 0, download=download or 0, unknown=unknown)

    def _prepare_dataset(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        name, preparation = keys["dataset"], folder.rpartition("/")[2]
        counts, recipe = self._counts[name], self._grid.dataset(name).preparations[preparation]
        disk = 3 * recipe.size**2 * stored_images(counts, recipe) if counts else 0
        unknown = "" if counts else f"images of {name} (no counts in the catalogue)"
        needs = (f"{paths.raw_folder(name)}/card.json",)
        return Task(rule, f"{folder}/card.json", needs=needs, disk=disk, unknown=unknown)

    def _pretrain_teacher(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        source = self._grid.pretraining(keys["teacher"])
        task = self._training(rule, folder, keys["teacher"], source.dataset, source.preparation, source.training)
        return replace(task, needs=task.needs[:1])

    def _inject_defect(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        entry = self._grid.injection(keys["injection"])
        return self._training(rule, folder, keys["teacher"], entry.dataset, entry.preparation, entry.training)

    def _training(
        self,
        rule: str,
        folder: str,
        teacher: str,
        dataset: str,
        preparation: str,
        recipe: Training,
        *,
        passes: int = TRAINED,
    ) -> Task:
        """Train a teacher's body on a prepared data set."""
        cost, counts = cost_of(self._grid.teacher(teacher).body), self._counts[dataset]
        sizes = self._grid.dataset(dataset).preparations[preparation]
        validation = validation_images(counts, sizes) if counts else 0
        return Task(
            rule,
            f"{folder}/card.json",
            needs=(
                f"{paths.data_folder(dataset, preparation)}/card.json",
                f"{paths.teacher_folder(teacher, CLEAN)}/card.json",
            ),
            disk=BYTES_A_WEIGHT * cost.weights(counts.classes if counts else 0),
            loads=(training_load(cost.at(sizes.crop), recipe, validation=validation, passes=passes),),
        )

    def _train_student(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        evaluation = Evaluation(keys["teacher"], keys["injection"], keys["dataset"])
        card = f"{folder}/card.json"
        self._evaluation_inputs.setdefault(evaluation, []).append(card)
        like = self._student(keys["teacher"], keys["dataset"], keys["method"])
        teacher = f"{paths.teacher_folder(keys['teacher'], keys['injection'])}/card.json"
        return Task(rule, card, needs=(like.needs[0], teacher), disk=like.disk, loads=like.loads)

    def _student_cost(self, teacher: str, dataset: str, method: str) -> Task:
        """Cost a student; those that differ in injection and seed alone cost the same."""
        study = self._grid.study
        entry = study.methods[method]
        passes = PASSES.get(entry.method, TRAINED)
        return self._training(
            "train_student", "", teacher, dataset, study.preparations[dataset], entry.training, passes=passes
        )

    def _evaluate_students(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        evaluation, grid = Evaluation(**keys), self._grid
        students = self._evaluation_inputs[evaluation]
        data = f"{grid.student_data(evaluation.dataset)}/card.json"
        judged = [f"{paths.teacher_folder(evaluation.teacher, evaluation.injection)}/card.json"]
        needs = (data, *students, *judged * grid.judges_teacher(evaluation))
        return Task(rule, f"{folder}/predictions.parquet", needs=needs, loads=(self._evaluation_load(evaluation),))

    def _evaluation_load(self, evaluation: Evaluation) -> Load:
        grid = self._grid
        counts = self._counts[evaluation.dataset]
        models = len(self._evaluation_inputs[evaluation]) + grid.judges_teacher(evaluation)
        seen = (counts.test if counts else 0) * models * (1 + len(grid.triggers_of(evaluation)))
        sizes = grid.dataset(evaluation.dataset).preparations[grid.study.preparations[evaluation.dataset]]
        return Load(
            cost=cost_of(grid.teacher(evaluation.teacher).body).at(sizes.crop),
            passes=seen,
            steps=seen / grid.study.evaluation_batch / TRAINED,
            precision="fp32",
            threads=grid.study.evaluation_threads,
        )

    def _closing(self) -> Iterator[Task]:
        """Give the jobs of tables, figures and the report."""
        grid, study = self._grid, self._grid.study.name
        predictions = tuple(f"{evaluation.folder(study)}/predictions.parquet" for evaluation in grid.evaluations)
        prepared = tuple(f"{paths.data_folder(*names)}/card.json" for names in grid.prepared_data)
        tables = {name: paths.table(study, f"{name}.parquet") for name in ("measurements", "summary", "costs")}
        check = paths.table(study, "data_check.parquet")
        yield Task("check_datasets", check, needs=prepared, target=True)
        yield Task("collect_measurements", tables["measurements"], needs=predictions)
        yield Task("summarise", tables["summary"], needs=(tables["measurements"], *predictions), target=True)
        yield Task("collect_costs", tables["costs"], needs=(tables["measurements"],), target=True)
        figures = tuple(self._figures(tables["summary"]))
        yield from figures
        shown = (tables["summary"], check, tables["costs"], *(task.output for task in figures))
        yield Task("write_report", paths.report(study), needs=(*shown, *prepared, *self._teachers()), target=True)

    def _figures(self, summary: str) -> Iterator[Task]:
        grid, study = self._grid, self._grid.study.name
        trained = tuple(f"{history.rpartition('/')[0]}/card.json" for history in grid.histories)
        yield Task("draw_figures", paths.figure(study, f"{FIGURES[0]}.png"), needs=(summary, *trained), target=True)
        if grid.contact_sheets:
            sheet = paths.figure(study, f"{grid.contact_sheets[0]}.png")
            data = tuple(f"{grid.injection_data(name)}/card.json" for name in grid.defects)
            yield Task("draw_contact_sheets", sheet, needs=data, target=True)

    def _teachers(self) -> Iterator[str]:
        clean = [(name, CLEAN) for name in self._grid.teacher_names]
        yield from (f"{paths.teacher_folder(*names)}/card.json" for names in [*clean, *self._grid.infected_teachers])
