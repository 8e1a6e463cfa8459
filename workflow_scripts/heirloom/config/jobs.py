"""The jobs of a study that compute with data and models, and the files they leave for tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from heirloom.config import attacking, attention, paths, repairs, robust_models
from heirloom.config.grid import Grid
from heirloom.config.models import Drawn, Pretrained
from heirloom.config.names import CLEAN, TEACHER, UNREPAIRED
from heirloom.config.records import Robust, Student
from heirloom.config.robust import RobustTrained

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
    trained = [each for each in robust_models.weights(grid) if _is_trained(grid, each)]
    return found | {f"{each.folder}/history.parquet": _of_robust(grid, each) for each in trained}


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
    yield from _robust_jobs(grid)
    yield from _repair_jobs(grid)
    yield from _attacked_jobs(grid)


def _data_jobs(grid: Grid) -> Iterator[Job]:
    for dataset in grid.dataset_names:
        drawn = isinstance(grid.dataset(dataset).source, Drawn)
        yield "render_dataset" if drawn else "download_dataset", paths.raw_folder(dataset), {"dataset": dataset}
        for preparation in grid.preparations_of(dataset):
            yield "prepare_dataset", paths.data_folder(dataset, preparation), {"dataset": dataset}
    for name, suite in repairs.suites(grid).items():
        yield "corrupt_dataset", paths.corruption_folder(name), {"dataset": suite.dataset}


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


def _robust_jobs(grid: Grid) -> Iterator[Job]:
    for each in robust_models.weights(grid):
        rule = "train_robust" if _is_trained(grid, each) else "fetch_robust"
        yield rule, each.folder, _of_robust(grid, each)


def _repair_jobs(grid: Grid) -> Iterator[Job]:
    study = grid.study.name
    for each in repairs.ranked(grid):
        yield "measure_criticality", each.criticality_folder(study), _of_robust(grid, each)
    for model in repairs.repaired(grid):
        keys = _of_robust(grid, model.start) | {"method": model.repair, "seed": model.seed}
        yield "finetune_module", model.finetuned_folder(study), keys
        yield "interpolate_module", model.folder(study), keys
    for model in repairs.judged(grid):
        keys = _of_robust(grid, model.start) | {"method": model.repair, "seed": model.seed}
        yield "evaluate_robust", model.robustness_folder(study), keys


def _attacked_jobs(grid: Grid) -> Iterator[Job]:
    for each in attacking.attacked(grid):
        place = attacking.evaluation_of(grid, each.model)
        # costs have no column of suites: a suite stands where an attack would
        keys = {**vars(place), "method": each.model, "seed": each.seed, "attack": each.suite}
        yield "attack_model", each.folder(grid.study.name), keys


def _is_trained(grid: Grid, each: Robust) -> bool:
    return isinstance(grid.catalogue.robust[each.model].source, RobustTrained)


def _of_robust(grid: Grid, each: Robust) -> dict[str, Any]:
    return {**vars(repairs.evaluation_of(grid, each.model)), "method": UNREPAIRED, "seed": each.seed}
