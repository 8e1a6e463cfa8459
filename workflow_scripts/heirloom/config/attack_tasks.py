"""What the jobs of attack experiments take: one method for each rule of rules/fpd.smk, by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from heirloom.config import attacking, paths, robust_models
from heirloom.config.grid import Grid
from heirloom.config.records import Attacked
from heirloom.config.robust_sizes import RobustSizes
from heirloom.config.tasks import Task
from heirloom.config.work import Load, attack_passes, attacked_images, looking_load, uncounted

Keys = Mapping[str, Any]


class AttackPlanner:
    """Turns the attacked models of a grid into tasks."""

    def __init__(self, grid: Grid, sizes: RobustSizes) -> None:
        self._grid = grid
        self._sizes = sizes

    def attack_model(self, rule: str, folder: str, keys: Keys) -> Task:
        """Attack a model with a suite, and show what came out to all that are judged by it."""
        study = self._grid.study
        each = Attacked(folder.removeprefix(f"{paths.RESULTS}/{study.name}/").split("/")[1], *_names(keys))
        models = dict.fromkeys((each.model, *attacking.targets_of(self._grid, each)))
        cards = (f"{robust_models.weights_of(self._grid, name, each.seed).folder}/card.json" for name in models)
        attacks = attacking.attacks_of(self._grid, each).values()
        return Task(
            rule,
            f"{folder}/predictions.parquet",
            needs=(self._sizes.data(each.model), *cards),
            loads=tuple(self._loads(each)),
            unknown=uncounted(attacks),
        )

    def _loads(self, each: Attacked) -> Iterator[Load]:
        """Give what crafting takes of the attacked model, and a look at each image of all that are judged."""
        study, test = self._grid.study, self._sizes.test(each.model)
        attacks = attacking.attacks_of(self._grid, each).values()
        crafting = sum(attacked_images(attack, test) * attack_passes(attack) for attack in attacks)
        looking = sum(attacked_images(attack, test) for attack in attacks)
        looking += test if attacking.judges_clean(self._grid, each) else 0
        asked = [(each.model, crafting), *((name, looking) for name in attacking.targets_of(self._grid, each))]
        for model, images in asked:
            cost, _, _ = self._sizes.seen(model)
            yield looking_load(
                cost, images=images, passes=1, batch=study.attack_batch, threads=study.evaluation_threads
            )


def _names(keys: Keys) -> tuple[str, str, int]:
    return keys["method"], keys["attack"], keys["seed"]
