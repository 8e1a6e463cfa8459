"""Jobs of robust models: trained or fetched, ranked module by module, repaired, judged, attacked by suites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from heirloom.config import attack_experiments, paths, repairs, robust_models
from heirloom.config.grid import Grid
from heirloom.config.kinds import BODIES, OBJECTIVES
from heirloom.config.names import BLACK_BOX, OWN_BOX, UNREPAIRED
from heirloom.config.records import Attacked, Repaired, Robust, canonical
from heirloom.config.robust import RobustFetched, RobustTrained
from heirloom.plan.job import Job, card, cards, carried, prepared, weights
from heirloom.plan.students import attack_code, libraries_of


def robust_jobs(grid: Grid) -> Iterator[Job]:
    """Give the jobs of every robust model, what others are made from first."""
    for each in robust_models.weights(grid):
        source = grid.catalogue.robust[each.model].source
        yield _train(grid, each, source) if isinstance(source, RobustTrained) else _fetch(grid, each, source)
    yield from (_rank(grid, each) for each in repairs.ranked(grid))
    for model in repairs.repaired(grid):
        yield _finetune(grid, model)
        yield _interpolate(grid, model)
    yield from (_evaluate(grid, model) for model in repairs.judged(grid))
    yield from (_attack(grid, each) for each in attack_experiments.attacked(grid))


def _data(grid: Grid, model: str) -> str:
    """Folder of the data that a robust model knows."""
    entry = grid.catalogue.robust[model]
    return paths.data_folder(entry.dataset, entry.preparation)


def _code(grid: Grid, model: str) -> list[str]:
    """Module that builds a robust model's body."""
    return [BODIES.member(grid.catalogue.robust[model].body.name).builder]


def _names(grid: Grid, each: Robust) -> dict[str, Any]:
    return {**vars(repairs.evaluation_of(grid, each.model)), "method": UNREPAIRED, "seed": each.seed}


def _of_repair(grid: Grid, each: Repaired) -> dict[str, Any]:
    return {**_names(grid, each.start), "method": each.repair, "seed": each.seed}


def _description(grid: Grid, model: str) -> dict[str, Any]:
    entry = grid.catalogue.robust[model]
    return {"body": canonical(entry.body), "normalisation": canonical(entry.normalisation)}


def _train(grid: Grid, each: Robust, source: RobustTrained) -> Job:
    recipe, before = canonical(source), source.start
    starts = [robust_models.weights_of(grid, before, each.seed).folder] if before else []
    return Job(
        "train_robust",
        each.folder,
        card(each.folder),
        inputs={
            **prepared(_data(grid, each.model), "development"),
            "start_card": cards(starts),
            "start_weights": carried(starts, "weights.safetensors"),
        },
        settings={
            **_description(grid, each.model),
            **{key: recipe[key] for key in ("objective", "training", "judge")},
            "augmentation": grid.augmentation_of(grid.catalogue.robust[each.model].dataset),
        },
        code=[
            OBJECTIVES.module(source.objective.kind),
            *_code(grid, each.model),
        ],
        names=_names(grid, each),
        threads=source.training.threads,
    )


def _fetch(grid: Grid, each: Robust, source: RobustFetched) -> Job:
    body = grid.catalogue.robust[each.model].body
    return Job(
        "fetch_robust",
        each.folder,
        card(each.folder),
        inputs={"data_card": card(_data(grid, each.model))},
        settings={**_description(grid, each.model), "file": canonical(source)["file"]},
        code=[*_code(grid, each.model), BODIES.member(body.name).reader],
        names=_names(grid, each),
    )


def _rank(grid: Grid, each: Robust) -> Job:
    folder, settings = each.criticality_folder(grid.study.name), grid.study.criticality
    ranking = {name for name in repairs.repairs(grid) if repairs.ranks(grid, name)}
    asking = {
        name
        for name, entry in grid.study.repair_experiments.items()
        if each.model in entry.models and (entry.criticality or ranking.intersection(entry.repairs))
    }
    return Job(
        "measure_criticality",
        folder,
        f"{folder}/criticality.parquet",
        inputs={**prepared(_data(grid, each.model), "development"), **weights(each.folder, prefix="model_")},
        settings={"criticality": canonical(settings)},
        code=_code(grid, each.model),
        names=_names(grid, each),
        threads=settings.threads,
        experiments=frozenset(asking),
    )


def _finetune(grid: Grid, each: Repaired) -> Job:
    folder, model = each.finetuned_folder(grid.study.name), each.start.model
    rankings = [each.start.criticality_folder(grid.study.name)] * repairs.ranks(grid, each.repair)
    return Job(
        "finetune_module",
        folder,
        card(folder),
        inputs={
            **prepared(_data(grid, model), "development"),
            **weights(each.start.folder, prefix="model_"),
            "criticality_card": cards(rankings),
            "criticality": [f"{ranking}/criticality.parquet" for ranking in rankings],
        },
        settings={
            **repairs.finetuning(grid, model, each.repair),
            "augmentation": grid.augmentation_of(grid.catalogue.robust[model].dataset),
        },
        code=_code(grid, model),
        names=_of_repair(grid, each),
        threads=repairs.repairs(grid)[each.repair].training.threads,
    )


def _interpolate(grid: Grid, each: Repaired) -> Job:
    folder, model = each.folder(grid.study.name), each.start.model
    return Job(
        "interpolate_module",
        folder,
        card(folder),
        inputs={
            **prepared(_data(grid, model), "development"),
            **weights(each.start.folder, prefix="model_"),
            **weights(each.finetuned_folder(grid.study.name), prefix="finetuned_"),
        },
        settings={**repairs.choosing(grid, each.repair), "threads": grid.study.evaluation_threads},
        code=_code(grid, model),
        names=_of_repair(grid, each),
        threads=grid.study.evaluation_threads,
    )


def _evaluate(grid: Grid, each: Repaired) -> Job:
    study, model = grid.study, each.start.model
    folder, attacks = each.robustness_folder(study.name), repairs.attacks_of(grid, each)
    corrupted = [paths.corruption_folder(name) for name in repairs.suites_of(grid, model)]
    asking = {
        name
        for name, entry in study.repair_experiments.items()
        if model in entry.models and each.repair in (UNREPAIRED, *entry.repairs)
    }
    return Job(
        "evaluate_robust",
        folder,
        f"{folder}/predictions.parquet",
        inputs={
            **prepared(_data(grid, model), "test"),
            **weights(each.folder(study.name), prefix="model_"),
            "corruption_cards": cards(corrupted),
            "corruption_images": carried(corrupted, "images.npy"),
            "corruption_indexes": carried(corrupted, "index.parquet"),
        },
        settings={
            "attacks": {name: grid.attack_recipe(name) for name in attacks},
            "batch_size": study.evaluation_batch,
            "attack_batch_size": study.attack_batch,
            "threads": study.evaluation_threads,
        },
        code=[*attack_code(attacks.values()), *_code(grid, model)],
        libraries=libraries_of(attacks.values()),
        names=_of_repair(grid, each),
        threads=study.evaluation_threads,
        experiments=frozenset(asking),
    )


def _attack(grid: Grid, each: Attacked) -> Job:
    """Attack a model with a suite and show what comes out to those who are judged by it: itself, or others."""
    study, folder = grid.study, each.folder(grid.study.name)
    attacks, targets = attack_experiments.attacks_of(grid, each), attack_experiments.targets_of(grid, each)
    others = [] if each.box == OWN_BOX else targets
    folders = [robust_models.weights_of(grid, name, each.seed).folder for name in others]
    bodies = {module for name in (each.model, *targets) for module in _code(grid, name)}
    return Job(
        "attack_model",
        folder,
        f"{folder}/predictions.parquet",
        inputs={
            **prepared(_data(grid, each.model), "test"),
            **weights(robust_models.weights_of(grid, each.model, each.seed).folder, prefix="model_"),
            "target_cards": cards(folders),
            "target_weights": carried(folders, "weights.safetensors"),
        },
        settings={
            "attacks": {name: grid.attack_recipe(name) for name in attacks},
            "targets": targets,
            "clean": attack_experiments.judges_clean(grid, each),
            "shown": attack_experiments.pictured(grid, each),
            "batch_size": study.evaluation_batch,
            "attack_batch_size": study.attack_batch,
            "threads": study.evaluation_threads,
        },
        code=sorted({*attack_code(attacks.values()), *bodies}),
        libraries=libraries_of(attacks.values()),
        # costs have no column of suites: a suite stands where an attack would
        names={
            **vars(attack_experiments.evaluation_of(grid, each.model)),
            "method": each.model,
            "seed": each.seed,
            "attack": each.suite,
        },
        threads=study.evaluation_threads,
        experiments=frozenset(_asking(grid, each, set(attacks))),
    )


def _asking(grid: Grid, each: Attacked, attacks: set[str]) -> Iterator[str]:
    """Name the experiments that one of a job's attacks is made for, whichever suite it was first named in."""
    for name, entry in grid.study.attack_experiments.items():
        sides = {OWN_BOX: entry.models, BLACK_BOX: entry.substitutes}
        wanted = {attack for suite in entry.suites for attack in grid.catalogue.suites[suite].attacks}
        if each.model in sides[each.box] and attacks & wanted:
            yield name
