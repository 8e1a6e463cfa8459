"""What a study asks about where models look: which evaluations are mapped, how, and what the figures show of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from heirloom.config.attacks import AttackControl, OnTeacher
from heirloom.config.costs import stage_positions
from heirloom.config.kinds import BODIES
from heirloom.config.models import Attention
from heirloom.config.records import Evaluation, Student
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:
    from heirloom.config.grid import Grid

AttackKind = TypeVar("AttackKind", OnTeacher, AttackControl)

POSITIONS = 7  # along a side, at least: a coarser map cannot tell a sign from a trigger
MEASURED = ("maps", "stage", "images", "seed")  # what two experiments that share an evaluation must agree on


def mapped(grid: Grid) -> list[Evaluation]:
    """Every evaluation whose models' attention is measured, sorted."""
    return [evaluation for evaluation in grid.evaluations if _asking(grid, evaluation)]


def figures(grid: Grid) -> dict[str, str]:
    """Name of the figure of every experiment that asks for attention, by the experiment."""
    return {name: f"attention_{name}" for name, entry in sorted(grid.study.experiments.items()) if entry.attention}


def drawn(grid: Grid, experiment: str) -> list[Evaluation]:
    """Evaluations that an experiment's figure shows: those of the injections it names, not their controls."""
    entry = grid.study.experiments[experiment]
    pairs = [(name, dataset) for name in entry.injections for dataset in grid.datasets_for(name, entry)]
    return sorted({Evaluation(teacher, *pair) for teacher in entry.teachers for pair in pairs})


def recipe(grid: Grid, evaluation: Evaluation) -> dict[str, Any]:
    """How an evaluation's attention is measured, as parameters."""
    attention = next(iter(_asking(grid, evaluation).values()))
    return {
        "images": attention.images,
        "maps": list(attention.maps),
        "seed": attention.seed,
        "stage": attention.stage,
        "named": len(_triggers(grid)) > 1,
    }


def students(grid: Grid, evaluation: Evaluation) -> list[Student]:
    """Students whose attention is measured."""
    wanted = {method for name in _asking(grid, evaluation) for method in grid.study.experiments[name].methods}
    return [student for student in grid.students_of(evaluation) if student.method in wanted]


def triggers(grid: Grid, evaluation: Evaluation) -> list[str]:
    """Triggers that these models are shown."""
    wanted = _attacks(grid, evaluation)
    return [name for name in grid.triggers_of(evaluation) if name in wanted]


def attacks(grid: Grid, evaluation: Evaluation, kind: type[AttackKind]) -> list[str]:
    """Attacks of a kind that these models are shown."""
    wanted = _attacks(grid, evaluation)
    return [name for name in grid.attacks_of(evaluation, kind) if name in wanted]


def sheets(grid: Grid, evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """What each experiment's figure shows of an evaluation, as parameters; empty for controls."""
    asking = _asking(grid, evaluation)
    return {name: _sheet(grid, evaluation, name) for name in asking if evaluation in drawn(grid, name)}


def _sheet(grid: Grid, evaluation: Evaluation, experiment: str) -> dict[str, Any]:
    """What one experiment's figure shows of an evaluation: the clean images, its triggers, its feature attacks."""
    entry = grid.study.experiments[experiment]
    attention = entry.attention
    assert attention is not None
    wanted = set(grid.attacks_in(experiment))
    shown = [name for name in triggers(grid, evaluation) if name in wanted]
    targets = {grid.targets_of(evaluation)[name] for name in shown}
    shown += [name for name in attacks(grid, evaluation, OnTeacher) if name in wanted]
    return {
        "attacks": shown,
        "count": attention.shown,
        "defences": sorted(attention.defences),
        "methods": list(attention.methods or entry.methods),
        "object_density": attention.object_density,
        "seed": grid.study.seeds[0] if attention.student is None else attention.student,
        "targets": sorted(target for target in targets if target is not None),
        "trigger_density": attention.trigger_density,
    }


def _asking(grid: Grid, evaluation: Evaluation) -> dict[str, Attention]:
    """Experiments of an evaluation that ask for attention."""
    entries = {name: grid.study.experiments[name].attention for name in grid.experiments_with(evaluation)}
    return {name: entry for name, entry in entries.items() if entry is not None}


def _attacks(grid: Grid, evaluation: Evaluation) -> set[str]:
    """Triggers and attacks of the experiments that ask."""
    return {attack for name in _asking(grid, evaluation) for attack in grid.attacks_in(name)}


def _triggers(grid: Grid) -> set[str]:
    """Triggers that any model is shown whose attention is measured."""
    return {name for evaluation in mapped(grid) for name in triggers(grid, evaluation)}


# -- checks ------------------------------------------------------------------------------------------------------------


def check(grid: Grid) -> None:
    """Raise ConfigError for attention that cannot be measured or shown; the study's names have been checked."""
    for name, entry in grid.study.experiments.items():
        if entry.attention is not None:
            _check_names(grid, name, entry.attention)
            for evaluation in drawn(grid, name):
                _check_stage(grid, name, entry.attention, evaluation)
    for evaluation in mapped(grid):
        _check_agreement(grid, evaluation)


def _check_names(grid: Grid, experiment: str, attention: Attention) -> None:
    """The figure shows the experiment's own students."""
    methods = grid.study.experiments[experiment].methods
    if not methods:
        raise ConfigError(
            "attention chooses its images by what students do, and the experiment has none",
            where=f"{grid.where}, experiments.{experiment}.attention",
            mend="name a method, or leave attention out",
        )
    shown = attention.methods or methods
    asked: dict[str, tuple[str, Sequence[object], Sequence[object]]] = {
        "methods": ("method of this experiment", attention.methods, methods),
        "defences": ("method in the figure", attention.defences, shown),
        "student": ("seed of the study", () if attention.student is None else (attention.student,), grid.study.seeds),
    }
    for key, (kind, names, known) in asked.items():
        wrong = [name for name in names if name not in known]
        if wrong:
            raise ConfigError(
                f'"{wrong[0]}" is no {kind}',
                where=f"{grid.where}, experiments.{experiment}.attention.{key}",
                mend=f"one of {', '.join(map(str, known))}",
            )


def _check_stage(grid: Grid, experiment: str, attention: Attention, evaluation: Evaluation) -> None:
    """A map needs enough positions to tell a sign from a trigger."""
    body, where = grid.teacher(evaluation.teacher).body, f"{grid.where}, experiments.{experiment}.attention.stage"
    stages = len(BODIES.member(body.name).stages)
    stage = attention.stage or stages
    if stage > stages:
        raise ConfigError(f"{body.name} has {stages} stages", where=where, mend=f"1 to {stages}, or null")
    preparation = grid.study.preparations[evaluation.dataset]
    side = grid.dataset(evaluation.dataset).preparations[preparation].crop
    positions = stage_positions(body, side)
    seen = positions[stage - 1] if stage <= len(positions) else 0  # options may leave a stage out
    if seen < POSITIONS:
        fine = [number for number, count in enumerate(positions, start=1) if count >= POSITIONS]
        other = f"; or stage: {fine[-1]}, which has {positions[fine[-1] - 1]} at {side} pixels" if fine else ""
        raise ConfigError(
            f"stage {stage} of {evaluation.teacher} sees {evaluation.dataset} as {seen} x {seen} positions: maps need"
            f" {POSITIONS} x {POSITIONS}",
            where=where,
            mend=f"a preparation with larger images{other}",
        )


def _check_agreement(grid: Grid, evaluation: Evaluation) -> None:
    """Experiments that share students share their maps."""
    asking = _asking(grid, evaluation)
    first, attention = next(iter(asking.items()))
    for name, other in asking.items():
        differing = [key for key in MEASURED if getattr(other, key) != getattr(attention, key)]
        if differing:
            raise ConfigError(
                f'"{first}" and "{name}" share students, whose attention is measured once, and differ in'
                f" {', '.join(differing)}",
                where=f"{grid.where}, experiments.{name}.attention",
                mend="give both the same",
            )
