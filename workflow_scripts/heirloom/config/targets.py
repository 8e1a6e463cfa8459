"""What `snakemake experiment_NAME` makes: the part of a study that one experiment needs."""

from __future__ import annotations

from collections.abc import Iterator

from heirloom.config import attacking, repairs, robust_models
from heirloom.config.grid import Grid
from heirloom.config.names import BLACK_BOX, OWN_BOX, UNREPAIRED
from heirloom.config.records import Repaired
from heirloom.config.robust import RepairExperiment
from heirloom.config.study import Experiment


def experiment_files(grid: Grid) -> dict[str, list[str]]:
    """Predictions and measures behind each experiment, whatever its kind, by its name.

    A file that several experiments share stands with each of them: whichever is run first makes it.
    """
    study = grid.study
    students = {name: sorted(_of_students(grid, entry)) for name, entry in study.experiments.items()}
    repaired = {name: sorted(_of_repairs(grid, entry)) for name, entry in study.repair_experiments.items()}
    return students | repaired | _of_attacks(grid)


def _of_students(grid: Grid, experiment: Experiment) -> Iterator[str]:
    """Predictions of its students, attacks on them, attention and detections."""
    study, own = grid.study.name, set(grid.evaluations_of(experiment))
    for evaluation in own:
        yield f"{evaluation.folder(study)}/predictions.parquet"
        if experiment.attention is not None:
            yield f"{evaluation.attention_folder(study)}/measures.parquet"
    if grid.white_box(experiment.attacks):
        for student in grid.attacked_students:
            if student.evaluation in own and student.method in experiment.methods:
                yield f"{student.white_box_folder(study)}/predictions.parquet"
    for found in grid.detections:
        if found.evaluation in own and found.detector in experiment.detectors:
            yield f"{found.folder(study)}/measures.parquet"


def _of_repairs(grid: Grid, experiment: RepairExperiment) -> Iterator[str]:
    """Predictions of its models, repaired and not, and the criticality of their modules if anything asks for it."""
    study = grid.study.name
    ranked = experiment.criticality or any(repairs.ranks(grid, name) for name in experiment.repairs)
    for model in experiment.models:
        for seed in grid.study.seeds:
            start = robust_models.weights_of(grid, model, seed)
            for repair in (UNREPAIRED, *experiment.repairs):
                yield f"{Repaired(start, repair, seed).robustness_folder(study)}/predictions.parquet"
            if ranked:
                yield f"{start.criticality_folder(study)}/measures.parquet"


def _of_attacks(grid: Grid) -> dict[str, list[str]]:
    """Predictions under its attacks, by experiment; a job of another suite is among them where it runs one of these."""
    jobs = [(each, set(attacking.attacks_of(grid, each))) for each in attacking.attacked(grid)]
    found = {}
    for name, experiment in grid.study.attack_experiments.items():
        sides = {(OWN_BOX, model) for model in experiment.models} | {
            (BLACK_BOX, model) for model in experiment.substitutes
        }
        wanted = {attack for suite in experiment.suites for attack in grid.catalogue.suites[suite].attacks}
        found[name] = [
            f"{each.folder(grid.study.name)}/predictions.parquet"
            for each, attacks in jobs
            if (each.box, each.model) in sides and attacks & wanted
        ]
    return found
