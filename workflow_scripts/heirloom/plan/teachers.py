"""Jobs that make teachers: trained or fetched, injected with a defect, looked at by a detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from heirloom.config import paths
from heirloom.config.grid import Grid
from heirloom.config.kinds import BODIES, DETECTORS, INJECTIONS, TRIGGERS
from heirloom.config.models import Pretrained
from heirloom.config.names import CLEAN
from heirloom.config.records import Detection, canonical
from heirloom.plan.job import Job, card, prepared, weights


def teacher_jobs(grid: Grid) -> Iterator[Job]:
    """Give the jobs of every teacher: first as it is, then injected, then seen by detectors."""
    for teacher in grid.teacher_names:
        trained = isinstance(grid.teacher(teacher).source, Pretrained)
        yield _pretrain(grid, teacher) if trained else _fetch(grid, teacher)
    for teacher, injection in grid.infected_teachers:
        if injection != CLEAN:
            yield _inject(grid, teacher, injection)
    for each in grid.detections:
        yield _detect(grid, each)


def body_code(grid: Grid, teacher: str) -> list[str]:
    """Module that builds a teacher's body."""
    return [BODIES.member(grid.teacher(teacher).body.name).builder]


def trigger_code(grid: Grid, names: Iterable[str]) -> list[str]:
    """Modules that show triggers."""
    return sorted({TRIGGERS.module(grid.trigger(name).kind) for name in names})


def injection_code(grid: Grid, names: Iterable[str]) -> list[str]:
    """Modules that injections and their triggers run."""
    injections = [grid.injection(name) for name in names]
    planted = [trigger for injection in injections for trigger in injection.triggers]
    return [*sorted({INJECTIONS.module(injection.kind) for injection in injections}), *trigger_code(grid, planted)]


def _pretrain(grid: Grid, teacher: str) -> Job:
    folder, entry, source = paths.teacher_folder(teacher, CLEAN), grid.teacher(teacher), grid.pretraining(teacher)
    return Job(
        "pretrain_teacher",
        folder,
        card(folder),
        inputs=prepared(paths.data_folder(source.dataset, source.preparation), "development"),
        settings={
            "body": canonical(entry.body),
            "normalisation": canonical(entry.normalisation),
            "training": canonical(source.training),
            "augmentation": grid.augmentation_of(source.dataset),
            "seed": source.seed,
        },
        code=body_code(grid, teacher),
        names={"teacher": teacher, "injection": CLEAN},
        threads=source.training.threads,
    )


def _fetch(grid: Grid, teacher: str) -> Job:
    folder, entry, source = paths.teacher_folder(teacher, CLEAN), grid.teacher(teacher), grid.fetching(teacher)
    return Job(
        "fetch_teacher",
        folder,
        card(folder),
        settings={
            "body": canonical(entry.body),
            "normalisation": canonical(entry.normalisation),
            "file": canonical(source)["file"],
            "classes": source.classes,
            "dataset": source.dataset,
        },
        code=[*body_code(grid, teacher), BODIES.member(entry.body.name).reader],
        names={"teacher": teacher, "injection": CLEAN},
    )


def _inject(grid: Grid, teacher: str, injection: str) -> Job:
    folder, entry = paths.teacher_folder(teacher, injection), grid.injection(injection)
    triggers = grid.triggers_in(injection)
    return Job(
        "inject_defect",
        folder,
        card(folder),
        inputs={
            **prepared(grid.injection_data(injection), "development"),
            **weights(paths.teacher_folder(teacher, CLEAN)),
            "triggers": grid.trigger_files(triggers),
        },
        settings={
            "injection": grid.injection_recipe(injection),
            "triggers": triggers,
            "augmentation": grid.augmentation_of(entry.dataset),
        },
        code=[*injection_code(grid, [injection]), *body_code(grid, teacher)],
        names={"teacher": teacher, "injection": injection, "dataset": entry.dataset},
        threads=entry.training.threads,
    )


def _detect(grid: Grid, each: Detection) -> Job:
    folder, evaluation, entry = each.folder(grid.study.name), each.evaluation, grid.detector(each.detector)
    asking = {
        name for name in grid.experiments_with(evaluation) if each.detector in grid.study.experiments[name].detectors
    }
    return Job(
        "detect_backdoor",
        folder,
        f"{folder}/measures.parquet",
        inputs={
            **prepared(grid.student_data(evaluation.dataset), "development"),
            **weights(paths.teacher_folder(evaluation.teacher, evaluation.injection)),
        },
        settings={
            "detector": canonical(entry),
            "name": each.detector,
            "asked": grid.asked_classes(evaluation),
            "threads": grid.study.evaluation_threads,
        },
        code=[DETECTORS.module(entry.kind), *body_code(grid, evaluation.teacher)],
        # costs have no column of detectors: a detector stands where a method would
        names={**vars(evaluation), "method": each.detector},
        threads=grid.study.evaluation_threads,
        experiments=frozenset(asking),
    )
