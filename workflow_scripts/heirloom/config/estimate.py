"""What a study will take before it starts: jobs, disk, download and the models' work, from the grid alone.

Work is counted in multiply-adds. Only a rate that was measured on this machine turns it into seconds
(heirloom.config.rates).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from heirloom.config import attacking, attention, paths, repairs, robust_models
from heirloom.config.attack_tasks import AttackPlanner
from heirloom.config.attacks import AutoAttack, FeatureAttack, NoiseAttack
from heirloom.config.costs import Cost, cost_of, measure_all
from heirloom.config.grid import FIGURES, Grid
from heirloom.config.jobs import costly_jobs, histories
from heirloom.config.made import planned_files, results_of
from heirloom.config.models import Pruning
from heirloom.config.names import CLEAN
from heirloom.config.records import Crafted, Evaluation, Slice, Student
from heirloom.config.repair_tasks import RepairPlanner
from heirloom.config.resources import NEEDS
from heirloom.config.robust_sizes import RobustSizes
from heirloom.config.tabled import tabled
from heirloom.config.tasks import BYTES_A_WEIGHT, LATER, Task, counts_of, stored_images, validation_images
from heirloom.config.work import (
    Load,
    attack_passes,
    attacked_images,
    detection_load,
    injection_loads,
    looking_load,
    method_loads,
    score_loads,
    training_load,
)
from heirloom.runtime.repair import missing_files


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
    code changed since are then not seen. Raises ConfigError for a body that cannot be measured.
    """
    tasks = list(_Planner(grid, arrival).tasks())
    gone = {str(path) for path in missing_files(results_of(grid.study.name), is_planned=planned_files(grid))}
    todo = missing(tasks, exists=os.path.exists, gone=gone) if planned is None else set(planned)
    return Estimate(
        study=grid.study.name,
        todo=tuple(task for task in tasks if task.output in todo),
        total=Counter(task.rule for task in tasks),
    )


def missing(tasks: Sequence[Task], *, exists: Callable[[str], bool], gone: Container[str] = ()) -> set[str]:
    """Return the outputs that have to be made: targets that are absent, what these need, and what needs these.

    What is `gone` though it was made is a target. Another absent file that nobody needs any more is not made.
    """
    absent = {task.output for task in tasks if not exists(task.output)}
    needs = {task.output: task.needs for task in tasks}
    users: dict[str, list[str]] = {}
    for task in tasks:
        for need in task.needs:
            users.setdefault(need, []).append(task.output)
    waiting = [task.output for task in tasks if task.output in absent and (task.target or task.output in gone)]
    todo: set[str] = set()
    while waiting:
        output = waiting.pop()
        if output in todo:
            continue
        todo.add(output)
        waiting += users.get(output, [])
        waiting += [need for need in needs[output] if need in absent]
    return todo


class _Planner:
    """Turns a grid into tasks: one method for each rule of `jobs.costly_jobs`, by its name."""

    def __init__(self, grid: Grid, arrival: ArrivalOf) -> None:
        self._grid = grid
        self._arrival = arrival
        bodies = [grid.teacher(name).body for name in grid.teacher_names]
        measure_all([*bodies, *(entry.body for entry in robust_models.models(grid).values())])
        self._counts = {name: counts_of(grid, name) for name in grid.dataset_names}
        self._students: dict[Evaluation, dict[str, list[str]]] = {}  # cards by method
        self._crafted: dict[Evaluation, list[str]] = {}
        self._student = cache(self._student_cost)
        sizes = RobustSizes(grid, self._counts)
        self._others = (RepairPlanner(grid, self._counts, self._arriving, sizes), AttackPlanner(grid, sizes))

    def tasks(self) -> Iterator[Task]:
        """Give every job, in the order of the pipeline."""
        for rule, folder, keys in costly_jobs(self._grid):
            yield self._method(rule)(rule, folder, keys)
        yield from self._closing()

    def _method(self, rule: str) -> Callable[[str, str, dict[str, Any]], Task]:
        """Return what plans a rule's jobs: a method here, or of those who plan robust models."""
        candidates = [(self, f"_{rule}"), *((planner, rule) for planner in self._others)]
        owner, name = next((owner, name) for owner, name in candidates if hasattr(owner, name))
        method: Callable[[str, str, dict[str, Any]], Task] = getattr(owner, name)
        return method

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
        teacher, source = keys["teacher"], self._grid.pretraining(keys["teacher"])
        task = self._model(rule, folder, teacher, source.dataset, source.preparation)
        cost, _, validation = self._seen(teacher, source.dataset, source.preparation)
        loads = (training_load(cost, source.training, validation=validation),)
        return replace(task, needs=task.needs[:1], loads=loads)

    def _inject_defect(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        teacher, entry = keys["teacher"], self._grid.injection(keys["injection"])
        counts = self._counts[entry.dataset]
        cost, training, validation = self._seen(teacher, entry.dataset, entry.preparation)
        classes = counts.classes if counts else 0
        loads = injection_loads(entry, cost, training=training, validation=validation, classes=classes)
        task = self._model(rule, folder, teacher, entry.dataset, entry.preparation)
        return replace(task, loads=tuple(loads))

    def _model(self, rule: str, folder: str, teacher: str, dataset: str, preparation: str) -> Task:
        """Write a model with a teacher's body and a head for a data set."""
        counts = self._counts[dataset]
        return Task(
            rule,
            f"{folder}/card.json",
            needs=(
                f"{paths.data_folder(dataset, preparation)}/card.json",
                f"{paths.teacher_folder(teacher, CLEAN)}/card.json",
            ),
            disk=BYTES_A_WEIGHT * cost_of(self._grid.teacher(teacher).body).weights(counts.classes if counts else 0),
        )

    def _seen(self, teacher: str, dataset: str, preparation: str) -> tuple[Cost, int, int]:
        """Return what an image costs a teacher's body, and how many a student is trained and validated on."""
        counts, sizes = self._counts[dataset], self._grid.dataset(dataset).preparations[preparation]
        cost = cost_of(self._grid.teacher(teacher).body).at(sizes.crop)
        if counts is None:
            return cost, 0, 0
        validation = validation_images(counts, sizes)
        return cost, stored_images(counts, sizes) - validation - counts.test, validation

    def _detect_backdoor(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        grid, evaluation = self._grid, _evaluation(keys)
        counts, (_, side) = self._counts[evaluation.dataset], self._test_images(evaluation)
        classes = counts.classes if counts else 0
        preparation = grid.study.preparations[evaluation.dataset]
        cost, training, _ = self._seen(evaluation.teacher, evaluation.dataset, preparation)
        threads = grid.study.evaluation_threads
        load = detection_load(grid.detector(keys["method"]), cost, training=training, classes=classes, threads=threads)
        needs = (f"{grid.student_data(evaluation.dataset)}/card.json", self._teacher_of(keys))
        disk = 4 * BYTES_A_WEIGHT * classes * side**2  # three colours and a mask for each class
        return Task(rule, f"{folder}/measures.parquet", needs=needs, disk=disk, loads=(load,))

    def _train_student(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        evaluation, card = _evaluation(keys), f"{folder}/card.json"
        self._students.setdefault(evaluation, {}).setdefault(keys["method"], []).append(card)
        like = self._student(keys["teacher"], keys["dataset"], keys["method"])
        teacher = f"{paths.teacher_folder(keys['teacher'], keys['injection'])}/card.json"
        detected = self._grid.detection_of(evaluation, keys["method"])
        found = (f"{detected.folder(self._grid.study.name)}/measures.parquet",) if detected else ()
        return Task(rule, card, needs=(like.needs[0], teacher, *found), disk=like.disk, loads=like.loads)

    def _student_cost(self, teacher: str, dataset: str, method: str) -> Task:
        """Cost a student; those that differ in injection and seed alone cost the same."""
        grid, preparation = self._grid, self._grid.study.preparations[dataset]
        task = self._model("train_student", "", teacher, dataset, preparation)
        cost, training, validation = self._seen(teacher, dataset, preparation)
        loads = method_loads(grid.method(method, dataset), cost, training=training, validation=validation)
        return replace(task, loads=tuple(loads))

    def _select_student(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        evaluation, card = _evaluation(keys), f"{folder}/card.json"
        trained = self._students[evaluation]
        needs = tuple(card for name in self._grid.trained_for(keys["method"]) for card in trained[name])
        self._students[evaluation].setdefault(keys["method"], []).append(card)
        like = self._model(
            rule, folder, keys["teacher"], keys["dataset"], self._grid.study.preparations[keys["dataset"]]
        )
        return replace(like, needs=needs)

    def _slice_teacher(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        teacher, dataset = keys["teacher"], keys["dataset"]
        preparation = self._grid.study.preparations[dataset]
        task = self._model(rule, folder, teacher, dataset, preparation)
        cost, training, validation = self._seen(teacher, dataset, preparation)
        recipe = self._grid.method(keys["method"], dataset)
        assert isinstance(recipe, Pruning)
        loads = score_loads(recipe.score, cost, training=training, validation=validation)
        return replace(task, needs=(task.needs[0], self._teacher_of(keys)), loads=tuple(loads))

    def _teacher_of(self, keys: dict[str, Any]) -> str:
        return f"{paths.teacher_folder(keys['teacher'], keys['injection'])}/card.json"

    def _craft_feature_attack(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        grid, evaluation, attack = self._grid, _evaluation(keys), keys["attack"]
        known = grid.slice_of(attack)
        slices = [f"{Slice(evaluation, known).folder(grid.study.name)}/card.json"] if known else []
        card = f"{folder}/card.json"
        self._crafted.setdefault(evaluation, []).append(card)
        images, side = self._test_images(evaluation)
        passes = attack_passes(grid.attack(attack)) * (1 + len(slices))
        load = self._looking(evaluation, images=images, passes=passes, batch=grid.study.attack_batch)
        data = f"{grid.student_data(evaluation.dataset)}/card.json"
        return Task(rule, card, needs=(data, self._teacher_of(keys), *slices), disk=3 * side**2 * images, loads=(load,))

    def _test_images(self, evaluation: Evaluation) -> tuple[int, int]:
        """Return how many test images a data set has, and the side that a model sees."""
        counts = self._counts[evaluation.dataset]
        preparation = self._grid.study.preparations[evaluation.dataset]
        side = self._grid.dataset(evaluation.dataset).preparations[preparation].crop
        return counts.test if counts else 0, side

    def _looking(self, evaluation: Evaluation, *, images: float, passes: float, batch: int) -> Load:
        """Count what sees test images without training."""
        _, side = self._test_images(evaluation)
        cost = cost_of(self._grid.teacher(evaluation.teacher).body).at(side)
        threads = self._grid.study.evaluation_threads
        return looking_load(cost, images=images, passes=passes, batch=batch, threads=threads)

    def _evaluate_students(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        evaluation, grid = Evaluation(**keys), self._grid
        judged = self._judged(evaluation)
        data = f"{grid.student_data(evaluation.dataset)}/card.json"
        teacher = [self._teacher_of(keys)] * grid.judges_teacher(evaluation)
        conditions: int = 1 + len(grid.triggers_of(evaluation))
        conditions += len(grid.attacks_of(evaluation, FeatureAttack)) + len(grid.attacks_of(evaluation, NoiseAttack))
        images, _ = self._test_images(evaluation)
        load = self._looking(
            evaluation,
            images=images,
            passes=(len(judged) + len(teacher)) * conditions,
            batch=grid.study.evaluation_batch,
        )
        needs = (data, *judged, *self._crafted.get(evaluation, ()), *teacher)
        return Task(rule, f"{folder}/predictions.parquet", needs=needs, loads=(load,))

    def _judged(self, evaluation: Evaluation) -> list[str]:
        """Return the cards of the students that are evaluated together."""
        names = sorted({student.method for student in self._grid.students_of(evaluation)})
        return [card for name in names for card in self._students[evaluation][name]]

    def _map_attention(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        evaluation, grid = Evaluation(**keys), self._grid
        own = attention.students(grid, evaluation)
        cards = [f"{student.folder(grid.study.name)}/card.json" for student in own]
        teacher = [self._teacher_of(keys)] * grid.judges_teacher(evaluation)
        attacks = attention.attacks(grid, evaluation, FeatureAttack)
        crafted = [f"{Crafted(evaluation, name).folder(grid.study.name)}/card.json" for name in attacks]
        conditions = 1 + len(attention.triggers(grid, evaluation)) + len(attacks)
        conditions += len(attention.attacks(grid, evaluation, NoiseAttack))
        test, _ = self._test_images(evaluation)
        load = self._looking(
            evaluation,
            images=min(test, attention.recipe(grid, evaluation)["images"] or test),
            passes=(len(cards) + len(teacher)) * conditions,
            batch=grid.study.evaluation_batch,
        )
        data = f"{grid.student_data(evaluation.dataset)}/card.json"
        return Task(rule, f"{folder}/measures.parquet", needs=(data, *cards, *teacher, *crafted), loads=(load,))

    def _attack_student(self, rule: str, folder: str, keys: dict[str, Any]) -> Task:
        grid, evaluation = self._grid, _evaluation(keys)
        student = Student(evaluation, keys["method"], keys["seed"])
        test, _ = self._test_images(evaluation)
        attacks = grid.white_box_of(student).values()
        loads = (
            self._looking(
                evaluation,
                images=attacked_images(attack, test),
                passes=attack_passes(attack),
                batch=grid.study.attack_batch,
            )
            for attack in attacks
        )
        later = any(isinstance(attack, AutoAttack) for attack in attacks)
        return Task(
            rule,
            f"{folder}/predictions.parquet",
            needs=(
                f"{student.folder(grid.study.name)}/card.json",
                f"{grid.student_data(evaluation.dataset)}/card.json",
            ),
            loads=tuple(loads),
            unknown=LATER if later else "",
        )

    def _closing(self) -> Iterator[Task]:
        """Give the jobs of tables, figures and the report."""
        grid, study = self._grid, self._grid.study.name
        judged = tabled(grid)
        measured = (*judged.predictions, *judged.measures)
        prepared = tuple(f"{paths.data_folder(*names)}/card.json" for names in grid.prepared_data)
        tables = {name: paths.table(study, f"{name}.parquet") for name in ("measurements", "summary", "costs")}
        check = paths.table(study, "data_check.parquet")
        yield Task("check_datasets", check, needs=prepared, target=True)
        yield Task("collect_measurements", tables["measurements"], needs=measured)
        yield Task("summarise", tables["summary"], needs=(tables["measurements"], *measured), target=True)
        yield Task("collect_costs", tables["costs"], needs=(tables["measurements"],), target=True)
        figures = tuple(self._figures(tables["summary"]))
        yield from figures
        shown = (tables["summary"], check, tables["costs"], *(task.output for task in figures))
        yield Task("write_report", paths.report(study), needs=(*shown, *prepared, *self._teachers()), target=True)

    def _figures(self, summary: str) -> Iterator[Task]:
        grid, study = self._grid, self._grid.study.name
        trained = tuple(f"{history.rpartition('/')[0]}/card.json" for history in histories(grid))
        yield Task("draw_figures", paths.figure(study, f"{FIGURES[0]}.png"), needs=(summary, *trained), target=True)
        for experiment, name in attention.figures(grid).items():
            maps = tuple(
                f"{each.attention_folder(study)}/measures.parquet" for each in attention.drawn(grid, experiment)
            )
            yield Task("draw_attention", paths.figure(study, f"{name}.png"), needs=maps, target=True)
        if repairs.figures(grid):
            drawn = paths.figure(study, f"{repairs.WAYS[0]}.png")
            yield Task("draw_rift", drawn, needs=tuple(self._repaired()), target=True)
        if pictured := attacking.with_pictures(grid):
            kept = tuple(f"{each.folder(study)}/predictions.parquet" for each in pictured)
            drawn = paths.figure(study, f"{attacking.PICTURES}.png")
            yield Task("draw_restored", drawn, needs=kept, target=True)
        if grid.contact_sheets:
            sheet = paths.figure(study, f"{grid.contact_sheets[0]}.png")
            data = tuple(f"{grid.injection_data(name)}/card.json" for name in grid.defects)
            yield Task("draw_contact_sheets", sheet, needs=data, target=True)

    def _repaired(self) -> Iterator[str]:
        """Give the files of robust models that figures show."""
        grid, study = self._grid, self._grid.study.name
        yield from (f"{each.criticality_folder(study)}/criticality.parquet" for each in repairs.ranked(grid))
        yield from (f"{each.folder(study)}/card.json" for each in repairs.repaired(grid))

    def _teachers(self) -> Iterator[str]:
        clean = [(name, CLEAN) for name in self._grid.teacher_names]
        yield from (f"{paths.teacher_folder(*names)}/card.json" for names in [*clean, *self._grid.infected_teachers])


def _evaluation(keys: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation that a job belongs to."""
    return Evaluation(keys["teacher"], keys["injection"], keys["dataset"])
