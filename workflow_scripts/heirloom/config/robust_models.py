"""The robust models of a study, whoever asks for them: which are trained or fetched, and what each is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from heirloom.config.checks import check_preparation, require, require_component
from heirloom.config.kinds import BODIES
from heirloom.config.names import CLEAN, RESTORED, TEACHER, UNREPAIRED
from heirloom.config.records import Robust, canonical
from heirloom.config.robust import RobustFetched, RobustModel, RobustTrained
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:
    from heirloom.config.grid import Grid


def models(grid: Grid) -> dict[str, RobustModel]:
    """Robust models of the study by name, those that others start from included, sorted."""
    names = {name for _, asked in _named(grid) for name in asked}
    names |= {before for name in names for before in _before(grid, name)}
    return {name: grid.catalogue.robust[name] for name in sorted(names)}


def _named(grid: Grid) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the models that experiments name, each group with its key."""
    for name, repair in grid.study.repair_experiments.items():
        yield f"repair_experiments.{name}.models", repair.models
    for name, attack in grid.study.attack_experiments.items():
        yield f"attack_experiments.{name}.models", attack.models
        yield f"attack_experiments.{name}.substitutes", attack.substitutes


def _before(grid: Grid, model: str) -> Iterator[str]:
    """Give the model that a model starts from, then the one that this starts from, and so on."""
    name = start_of(grid, model)
    while name is not None:
        yield name
        name = start_of(grid, name)


def start_of(grid: Grid, model: str) -> str | None:
    """The robust model whose weights a model's training begins with; None where it begins at random."""
    source = grid.catalogue.robust[model].source
    return source.start if isinstance(source, RobustTrained) else None


def weights_of(grid: Grid, model: str, seed: int) -> Robust:
    """The model that a seed of the study stands for: one for all seeds where somebody else trained it."""
    fetched = isinstance(grid.catalogue.robust[model].source, RobustFetched)
    return Robust(model, 0 if fetched else seed)


def weights(grid: Grid) -> list[Robust]:
    """Every robust model before any repair, for every seed, sorted."""
    return sorted({weights_of(grid, name, seed) for name in models(grid) for seed in grid.study.seeds})


def prepared_data(grid: Grid) -> set[tuple[str, str]]:
    """Every (data set, preparation) that robust models know."""
    return {(entry.dataset, entry.preparation) for entry in models(grid).values()}


def training(grid: Grid, model: str) -> RobustTrained:
    """The recipe of a robust model that this pipeline trains."""
    source = grid.catalogue.robust[model].source
    assert isinstance(source, RobustTrained)
    return source


def fetching(grid: Grid, model: str) -> RobustFetched:
    """The file of a robust model that somebody else trained."""
    source = grid.catalogue.robust[model].source
    assert isinstance(source, RobustFetched)
    return source


def recipes(grid: Grid) -> dict[str, Any]:
    """What the study uses of the catalogue, for its digest."""
    return {"robust": {name: canonical(entry) for name, entry in models(grid).items()}}


# -- checks ------------------------------------------------------------------------------------------------------------


def check(grid: Grid) -> None:
    """Raise ConfigError for a model that is unknown, is named as something else, or cannot start."""
    for key, names in _named(grid):
        for name in names:
            require(grid, name, grid.catalogue.robust, "robust model", key)
            _check_starts(grid, name)
    for name, entry in models(grid).items():
        _check_model(grid, name, entry)


def _check_starts(grid: Grid, model: str) -> None:
    """Every model on the way back to a random start is trained here, knows the same data and has the same body."""
    seen = [model]
    while (before := start_of(grid, seen[-1])) is not None:
        key = f"robust.{seen[-1]}.source.start"
        require(grid, before, grid.catalogue.robust, "robust model", key)
        if before in seen:
            circle = " from ".join([*seen[seen.index(before) :], before])
            raise _unfit(f"{circle}: a circle that nothing can be trained in", key)
        _check_pair(grid, seen[-1], before, key)
        seen.append(before)


def _check_pair(grid: Grid, model: str, before: str, key: str) -> None:
    """A model takes over the weights of another for the same seed: the two differ in training alone."""
    mine, other = grid.catalogue.robust[model], grid.catalogue.robust[before]
    if isinstance(other.source, RobustFetched):
        raise _unfit(f'"{model}" starts from "{before}", which is fetched and not trained here', key)
    for name in ("body", "normalisation", "dataset", "preparation"):
        if getattr(mine, name) != getattr(other, name):
            raise _unfit(f'"{model}" starts from "{before}", and the two differ in "{name}"', key)


def _unfit(what: str, key: str) -> ConfigError:
    mend = "name a trained model of the same body, normalisation, data set and preparation, or leave start out"
    return ConfigError(what, where=f"catalogues, {key}", mend=mend)


def _check_model(grid: Grid, name: str, entry: RobustModel) -> None:
    """A robust model is no teacher, and its body and data are known."""
    if name in grid.catalogue.teachers or name in {CLEAN, TEACHER, UNREPAIRED}:
        who = "a teacher too" if name in grid.catalogue.teachers else "a word with a meaning of its own"
        raise ConfigError(
            f'"{name}" is {who}, and the tables name both in one column',
            where=f"catalogues, robust.{name}",
            mend="give one of them another name",
        )
    require_component(grid, entry.body.name, BODIES, f"robust.{name}.body.name")
    if isinstance(entry.source, RobustTrained) and entry.source.objective.restores:
        _check_restores(name, entry)
    check_preparation(grid, entry.dataset, entry.preparation, f"robust.{name}.dataset")


def _check_restores(name: str, entry: RobustModel) -> None:
    """FPD's objective trains a body that has a place for its restored image."""
    if RESTORED not in BODIES.member(entry.body.name).stages:
        raise ConfigError(
            f"the body {entry.body.name} restores no image, which the objective fpd is about",
            where=f"catalogues, robust.{name}.source.objective",
            mend="choose a body of FPD, such as fpd-resnet18, or the objective cross-entropy",
        )
