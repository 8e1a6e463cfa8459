"""What the jobs of robust models take: one method for each rule of rules/rift.smk, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from heirloom.config import paths, repairs, robust_models
from heirloom.config.attacks import AutoAttack
from heirloom.config.grid import Grid
from heirloom.config.kinds import BODIES
from heirloom.config.models import Counts
from heirloom.config.names import UNREPAIRED
from heirloom.config.records import Repaired
from heirloom.config.robust import CorruptedFiles
from heirloom.config.robust_sizes import RobustSizes
from heirloom.config.tasks import BYTES_A_WEIGHT, LATER, Task
from heirloom.config.work import (
    attack_passes,
    attacked_images,
    chosen_images,
    criticality_load,
    judging_passes,
    looking_load,
    repair_candidates,
    robust_load,
    training_load,
)

Keys = Mapping[str, Any]


class Arriving(Protocol):
    """Adds to a task what the user's folder or a download brings."""

    def __call__(self, section: str, name: str, task: Task, guess: int | None = None) -> Task:
        """Return the task with its bytes."""


class RepairPlanner:
    """Turns the robust models of a grid into tasks; `counts`: images of each data set."""

    def __init__(self, grid: Grid, counts: Mapping[str, Counts | None], arriving: Arriving, sizes: RobustSizes) -> None:
        self._grid = grid
        self._counts = counts
        self._arriving = arriving
        self._sizes = sizes

    def corrupt_dataset(self, rule: str, folder: str, keys: Keys) -> Task:
        """Corrupt the test images of a data set, once for all models."""
        suite = self._grid.catalogue.corruptions[folder.rpartition("/")[2]]
        counts = self._counts[keys["dataset"]]
        side = self._grid.dataset(suite.dataset).preparations[suite.preparation].crop
        images = chosen_images(suite.images, counts.test) if counts else 0
        raw = [suite.source.dataset] if isinstance(suite.source, CorruptedFiles) else []
        needs = (_prepared(suite.dataset, suite.preparation), *(f"{paths.raw_folder(name)}/card.json" for name in raw))
        disk = 3 * side**2 * images * len(suite.kinds) * len(suite.severities)
        return Task(rule, f"{folder}/card.json", needs=needs, disk=disk)

    def train_robust(self, rule: str, folder: str, keys: Keys) -> Task:
        """Train a robust model."""
        task = self._weights(rule, folder, keys)
        model = keys["teacher"]
        cost, _, validation = self._sizes.seen(model)
        before = robust_models.start_of(self._grid, model)
        start = [robust_models.weights_of(self._grid, before, keys["seed"]).folder] if before else []
        return replace(
            task,
            needs=(*task.needs, *(f"{folder}/card.json" for folder in start)),
            loads=(robust_load(robust_models.training(self._grid, model), cost, validation=validation),),
        )

    def fetch_robust(self, rule: str, folder: str, keys: Keys) -> Task:
        """Fetch a robust model."""
        task = self._weights(rule, folder, keys)
        arrived = self._arriving("robust", keys["teacher"], task, guess=task.disk)
        return replace(arrived, disk=arrived.disk + task.disk)

    def measure_criticality(self, rule: str, folder: str, keys: Keys) -> Task:
        """Rank the modules of a robust model."""
        cost, training, _ = self._sizes.seen(keys["teacher"])
        load = criticality_load(self._grid.study.criticality, cost, training=training)
        needs = (self._sizes.data(keys["teacher"]), self._start(keys))
        return Task(rule, f"{folder}/criticality.parquet", needs=needs, loads=(load,))

    def finetune_module(self, rule: str, folder: str, keys: Keys) -> Task:
        """Fine-tune every candidate of a repair."""
        entry = repairs.repairs(self._grid)[keys["method"]]
        cost, _, validation = self._sizes.seen(keys["teacher"])
        loads = (training_load(cost, entry.training, validation=validation),) * self._candidates(keys)
        ranking = [f"{self._repaired(keys).start.criticality_folder(self._grid.study.name)}/criticality.parquet"]
        needs = (
            self._sizes.data(keys["teacher"]),
            self._start(keys),
            *ranking * repairs.ranks(self._grid, keys["method"]),
        )
        return Task(rule, f"{folder}/card.json", needs=needs, loads=loads)

    def interpolate_module(self, rule: str, folder: str, keys: Keys) -> Task:
        """Judge every candidate and alpha of a repair on validation images."""
        entry = repairs.repairs(self._grid)[keys["method"]]
        cost, _, validation = self._sizes.seen(keys["teacher"])
        images = validation + chosen_images(entry.judge.images, validation) * judging_passes(entry.judge)
        load = looking_load(
            cost,
            images=images,
            passes=len(entry.alphas) * self._candidates(keys),
            batch=self._grid.study.evaluation_batch,
            threads=self._grid.study.evaluation_threads,
        )
        finetuned = f"{self._repaired(keys).finetuned_folder(self._grid.study.name)}/card.json"
        task = self._weights(rule, folder, keys)
        return replace(task, needs=(self._sizes.data(keys["teacher"]), self._start(keys), finetuned), loads=(load,))

    def evaluate_robust(self, rule: str, folder: str, keys: Keys) -> Task:
        """Judge a robust model on test images, clean, attacked and corrupted."""
        grid, each = self._grid, self._repaired(keys)
        cost, _, _ = self._sizes.seen(keys["teacher"])
        study = grid.study
        load = looking_load(
            cost, images=self._looks(each), passes=1, batch=study.attack_batch, threads=study.evaluation_threads
        )
        corrupted = [f"{paths.corruption_folder(name)}/card.json" for name in repairs.suites_of(grid, each.start.model)]
        later = any(isinstance(attack, AutoAttack) for attack in repairs.attacks_of(grid, each).values())
        return Task(
            rule,
            f"{folder}/predictions.parquet",
            needs=(self._sizes.data(keys["teacher"]), f"{each.folder(study.name)}/card.json", *corrupted),
            loads=(load,),
            unknown=LATER if later else "",
        )

    def _looks(self, each: Repaired) -> float:
        """Count the passes in which a model sees its test images: clean, under each attack and corruption."""
        grid, model = self._grid, each.start.model
        test = self._sizes.test(model)
        suites = [grid.catalogue.corruptions[name] for name in repairs.suites_of(grid, model)]
        shown = sum(chosen_images(suite.images, test) * len(suite.kinds) * len(suite.severities) for suite in suites)
        attacks = repairs.attacks_of(grid, each).values()
        return test + shown + sum(attacked_images(attack, test) * attack_passes(attack) for attack in attacks)

    def _weights(self, rule: str, folder: str, keys: Keys) -> Task:
        """Write a model with a head for its data set."""
        counts = self._counts[keys["dataset"]]
        weights = self._sizes.whole(keys["teacher"]).weights(counts.classes if counts else 0)
        return Task(
            rule, f"{folder}/card.json", needs=(self._sizes.data(keys["teacher"]),), disk=BYTES_A_WEIGHT * weights
        )

    def _candidates(self, keys: Keys) -> int:
        body = self._grid.catalogue.robust[keys["teacher"]].body
        return repair_candidates(repairs.repairs(self._grid)[keys["method"]], len(BODIES.member(body.name).stages))

    def _repaired(self, keys: Keys) -> Repaired:
        start = robust_models.weights_of(self._grid, keys["teacher"], keys["seed"])
        return Repaired(start, keys["method"], keys["seed"])

    def _start(self, keys: Keys) -> str:
        return f"{self._repaired({**keys, 'method': UNREPAIRED}).start.folder}/card.json"


def _prepared(dataset: str, preparation: str) -> str:
    return f"{paths.data_folder(dataset, preparation)}/card.json"
