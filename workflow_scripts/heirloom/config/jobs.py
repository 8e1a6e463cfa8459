"""The jobs of a study that compute with data and models, and the files they leave for tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from heirloom.config import attention, paths
from heirloom.config.grid import Grid
from heirloom.config.models import Drawn, Pretrained
from heirloom.config.names import CLEAN, TEACHER
from heirloom.config.records import Student

Job = tuple[str, str, dict[str, Any]]  # rule, output folder, the names it belongs to


def histories(grid: Grid) -> dict[str, dict[str, Any]]:
    """History of every student and of every teacher after its injection, with the names it belongs to."""
    found = {
        f"{paths.teacher_folder(teacher, injection)}/history.parquet": {
            "teacher": teacher,
            "injection": injection,
            "dataset": grid.injection(injection).dataset,
            "method": TEACHER,
        }
        for teacher, injection in grid.infected_teachers
        if injection != CLEAN
    }
    for student in grid.students:
        keys = {**vars(student.evaluation), **_own(student)}
        found[f"{student.folder(grid.study.name)}/history.parquet"] = keys
    return found


def benchmarks(grid: Grid) -> dict[str, dict[str, Any]]:
    """Benchmark file of every job that makes data, a model or predictions, with the names it belongs to."""
    return {
        paths.record(folder, rule, "benchmarks"): {"rule": rule, **keys} for rule, folder, keys in costly_jobs(grid)
    }


def costly_jobs(grid: Grid) -> Iterator[Job]:
    """Give the rule, the output folder and the names of every job but those of tables and figures."""
    yield from _data_jobs(grid)
    yield from _teacher_jobs(grid)
    yield from _detection_jobs(grid)
    yield from _student_jobs(grid)
    yield from _attack_jobs(grid)


def _data_jobs(grid: Grid) -> Iterator[Job]:
    for dataset in grid.dataset_names:
        drawn = isinstance(grid.dataset(dataset).source, Drawn)
        yield "render_dataset" if drawn else "download_dataset", paths.raw_folder(dataset), {"dataset": dataset}
        for preparation in grid.preparations_of(dataset):
            yield "prepare_dataset", paths.data_folder(dataset, preparation), {"dataset": dataset}


def _teacher_jobs(grid: Grid) -> Iterator[Job]:
    for teacher in grid.teacher_names:
        trained = isinstance(grid.teacher(teacher).source, Pretrained)
        rule = "pretrain_teacher" if trained else "fetch_teacher"
        yield rule, paths.teacher_folder(teacher, CLEAN), {"teacher": teacher, "injection": CLEAN}
    for teacher, injection in grid.infected_teachers:
        if injection != CLEAN:
            keys = {"teacher": teacher, "injection": injection, "dataset": grid.injection(injection).dataset}
            yield "inject_defect", paths.teacher_folder(teacher, injection), keys


def _detection_jobs(grid: Grid) -> Iterator[Job]:
    for each in grid.detections:
        # costs have no column of detectors: a detector stands where a method would
        yield "detect_backdoor", each.folder(grid.study.name), {**vars(each.evaluation), "method": each.detector}


def _student_jobs(grid: Grid) -> Iterator[Job]:
    for rule, students in (("train_student", grid.students), ("select_student", grid.selected_students)):
        for student in students:
            yield rule, student.folder(grid.study.name), {**vars(student.evaluation), **_own(student)}


def _attack_jobs(grid: Grid) -> Iterator[Job]:
    study = grid.study.name
    for each in grid.slices:
        yield "slice_teacher", each.folder(study), {**vars(each.evaluation), "method": each.method}
    for crafted in grid.crafted:
        keys = {**vars(crafted.evaluation), "attack": crafted.attack}
        yield "craft_feature_attack", crafted.folder(study), keys
    for evaluation in grid.evaluations:
        yield "evaluate_students", evaluation.folder(study), dict(vars(evaluation))
    for evaluation in attention.mapped(grid):
        yield "map_attention", evaluation.attention_folder(study), dict(vars(evaluation))
    for student in grid.attacked_students:
        yield "attack_student", student.white_box_folder(study), {**vars(student.evaluation), **_own(student)}


def _own(student: Student) -> dict[str, Any]:
    return {"method": student.method, "seed": student.seed}
