"""Jobs of students: trained, selected, attacked by features, judged, looked into, attacked themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from heirloom.config import attention, paths
from heirloom.config.attacks import AttackControl, AttackSettings, OnTeacher
from heirloom.config.grid import Grid
from heirloom.config.kinds import ATTACKS, METHODS
from heirloom.config.records import Crafted, Evaluation, Slice, Student
from heirloom.config.study import Method
from heirloom.plan.job import Files, Job, card, cards, carried, prepared, weights
from heirloom.plan.teachers import body_code, trigger_code


def student_jobs(grid: Grid) -> Iterator[Job]:
    """Give the jobs of every student, what others are made from first."""
    yield from (_train(grid, student) for student in grid.students)
    yield from (_select(grid, student) for student in grid.selected_students)
    yield from (_slice(grid, each) for each in grid.slices)
    yield from (_craft(grid, each) for each in grid.crafted)
    yield from (_evaluate(grid, evaluation) for evaluation in grid.evaluations)
    yield from (_map(grid, evaluation) for evaluation in attention.mapped(grid))
    yield from (_attack(grid, student) for student in grid.attacked_students)


def libraries_of(attacks: Iterable[AttackSettings]) -> dict[str, str]:
    """Other people's code that attacks run, with its version; our own is in the digest of the code."""
    names: set[str] = {getattr(ATTACKS.load(attack.kind), "LIBRARY", "") for attack in attacks} - {""}
    return {name: version(name) for name in sorted(names)}


def attack_code(attacks: Iterable[AttackSettings]) -> list[str]:
    """Modules of some attacks."""
    return sorted({ATTACKS.module(attack.kind) for attack in attacks})


def _method_code(grid: Grid, recipe: Method, teacher: str) -> list[str]:
    """Modules that a student's recipe and body run."""
    return [METHODS.module(recipe.kind), *recipe.modules, *body_code(grid, teacher)]


def _teacher(evaluation: Evaluation) -> str:
    return paths.teacher_folder(evaluation.teacher, evaluation.injection)


def _own(student: Student) -> dict[str, Any]:
    return {**vars(student.evaluation), "method": student.method, "seed": student.seed}


def _train(grid: Grid, student: Student) -> Job:
    folder, evaluation = student.folder(grid.study.name), student.evaluation
    recipe = grid.method(student.method, evaluation.dataset)
    found = grid.detection_of(evaluation, student.method)
    detections = [found.folder(grid.study.name)] if found else []
    return Job(
        "train_student",
        folder,
        card(folder),
        inputs={
            **prepared(grid.student_data(evaluation.dataset), "development"),
            **weights(_teacher(evaluation)),
            "detection_card": cards(detections),
            "detection_reversed": carried(detections, "reversed.npy"),
        },
        settings={
            "method": grid.method_recipe(student.method, evaluation.dataset),
            "augmentation": grid.augmentation_of(evaluation.dataset),
        },
        code=_method_code(grid, recipe, evaluation.teacher),
        names=_own(student),
        threads=recipe.training.threads,
    )


def _select(grid: Grid, student: Student) -> Job:
    """Choose among the candidates by all seeds; take over the weights of the student's own."""
    study, candidates = grid.study, grid.trained_for(student.method)
    folder = student.folder(study.name)
    own = [Student(student.evaluation, name, student.seed).folder(study.name) for name in candidates]
    every = [Student(student.evaluation, name, seed).folder(study.name) for name in candidates for seed in study.seeds]
    return Job(
        "select_student",
        folder,
        card(folder),
        inputs={
            "cards": cards(every),
            "weights": carried(own, "weights.safetensors"),
            "histories": carried(own, "history.parquet"),
        },
        settings={"candidates": list(candidates), "seeds": list(study.seeds)},
        names=_own(student),
    )


def _slice(grid: Grid, each: Slice) -> Job:
    folder, evaluation = each.folder(grid.study.name), each.evaluation
    recipe = grid.method(each.method, evaluation.dataset)
    return Job(
        "slice_teacher",
        folder,
        card(folder),
        inputs={**prepared(grid.student_data(evaluation.dataset), "development"), **weights(_teacher(evaluation))},
        settings={
            "name": each.method,
            "method": grid.method_recipe(each.method, evaluation.dataset),
            "augmentation": grid.augmentation_of(evaluation.dataset),
            "seed": grid.study.seeds[0],
        },
        code=_method_code(grid, recipe, evaluation.teacher),
        names={**vars(evaluation), "method": each.method},
        threads=recipe.training.threads,
    )


def _craft(grid: Grid, each: Crafted) -> Job:
    study, evaluation = grid.study, each.evaluation
    folder, known = each.folder(study.name), grid.slice_of(each.attack)
    slices = [Slice(evaluation, known).folder(study.name)] if known else []
    return Job(
        "craft_feature_attack",
        folder,
        card(folder),
        inputs={
            **prepared(grid.student_data(evaluation.dataset), "test"),
            **weights(_teacher(evaluation)),
            "slice_card": cards(slices),
            "slice_weights": carried(slices, "weights.safetensors"),
        },
        settings={
            "attack": grid.attack_recipe(each.attack),
            "batch_size": study.attack_batch,
            "threads": study.evaluation_threads,
        },
        code=[*attack_code([grid.attack(each.attack)]), *body_code(grid, evaluation.teacher)],
        names={**vars(evaluation), "attack": each.attack},
        threads=study.evaluation_threads,
    )


def _evaluate(grid: Grid, evaluation: Evaluation) -> Job:
    folder, students = evaluation.folder(grid.study.name), grid.students_of(evaluation)
    triggers = grid.triggers_of(evaluation)
    crafted = list(grid.attacks_of(evaluation, OnTeacher))
    noise = list(grid.attacks_of(evaluation, AttackControl))
    return Job(
        "evaluate_students",
        folder,
        f"{folder}/predictions.parquet",
        inputs=_shown(grid, evaluation, students, triggers, crafted),
        settings=_conditions(grid, students, triggers, crafted, noise),
        code=_shown_code(grid, evaluation, triggers, noise),
        names=dict(vars(evaluation)),
        threads=grid.study.evaluation_threads,
        experiments=frozenset(grid.experiments_with(evaluation)),
    )


def _map(grid: Grid, evaluation: Evaluation) -> Job:
    folder, students = evaluation.attention_folder(grid.study.name), attention.students(grid, evaluation)
    triggers = attention.triggers(grid, evaluation)
    crafted = attention.attacks(grid, evaluation, OnTeacher)
    noise = attention.attacks(grid, evaluation, AttackControl)
    experiments = grid.study.experiments
    return Job(
        "map_attention",
        folder,
        f"{folder}/measures.parquet",
        inputs=_shown(grid, evaluation, students, triggers, crafted),
        settings={
            **_conditions(grid, students, triggers, crafted, noise),
            "recipe": attention.recipe(grid, evaluation),
            "sheets": attention.sheets(grid, evaluation),
        },
        code=_shown_code(grid, evaluation, triggers, noise),
        names=dict(vars(evaluation)),
        threads=grid.study.evaluation_threads,
        experiments=frozenset(name for name in grid.experiments_with(evaluation) if experiments[name].attention),
    )


def _shown(
    grid: Grid, evaluation: Evaluation, students: list[Student], triggers: list[str], crafted: list[str]
) -> Mapping[str, Files]:
    """Inputs of what judges models together: students, their teacher where it knows the classes, and what they see."""
    study = grid.study.name
    folders = [student.folder(study) for student in students]
    teachers = [_teacher(evaluation)] * grid.judges_teacher(evaluation)
    perturbations = [Crafted(evaluation, name).folder(study) for name in crafted]
    return {
        **prepared(grid.student_data(evaluation.dataset), "test"),
        "students": cards(folders),
        "student_weights": carried(folders, "weights.safetensors"),
        "teacher_card": cards(teachers),
        "teacher_weights": carried(teachers, "weights.safetensors"),
        "perturbation_cards": cards(perturbations),
        "perturbations": carried(perturbations, "perturbations.npy"),
        "triggers": grid.trigger_files(triggers),
    }


def _shown_code(grid: Grid, evaluation: Evaluation, triggers: list[str], noise: list[str]) -> list[str]:
    """Modules of the same: those of triggers and noise, which are shown as they are computed, and the body's."""
    controls = attack_code(map(grid.attack, noise))
    return [*trigger_code(grid, triggers), *controls, *body_code(grid, evaluation.teacher)]


def _conditions(
    grid: Grid, students: list[Student], triggers: list[str], crafted: list[str], noise: list[str]
) -> dict[str, Any]:
    """Settings of the same."""
    return {
        "students": [{"method": student.method, "seed": student.seed} for student in students],
        "triggers": {name: grid.trigger_recipe(name) for name in triggers},
        "feature_attacks": {name: grid.attack_recipe(name) for name in crafted},
        "noise": {name: grid.attack_recipe(name) for name in noise},
        "batch_size": grid.study.evaluation_batch,
        "threads": grid.study.evaluation_threads,
    }


def _attack(grid: Grid, student: Student) -> Job:
    study, evaluation = grid.study, student.evaluation
    folder, attacks = student.white_box_folder(study.name), grid.white_box_of(student)
    asking = {
        name
        for name in grid.experiments_with(evaluation)
        if student.method in study.experiments[name].methods and grid.white_box(study.experiments[name].attacks)
    }
    return Job(
        "attack_student",
        folder,
        f"{folder}/predictions.parquet",
        inputs={
            **prepared(grid.student_data(evaluation.dataset), "test"),
            **weights(student.folder(study.name), prefix="student_"),
        },
        settings={
            "attacks": {name: grid.attack_recipe(name) for name in attacks},
            "batch_size": study.attack_batch,
            "threads": study.evaluation_threads,
        },
        code=[*attack_code(attacks.values()), *body_code(grid, evaluation.teacher)],
        libraries=libraries_of(attacks.values()),
        names=_own(student),
        threads=study.evaluation_threads,
        experiments=frozenset(asking),
    )
