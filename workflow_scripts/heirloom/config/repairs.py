"""What a study asks about robust models: which are trained, repaired and judged, and what each job is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heirloom.config import robust_models
from heirloom.config.attacks import OnModel
from heirloom.config.checks import require
from heirloom.config.kinds import CORRUPTED_LAYOUTS, is_own
from heirloom.config.names import CLEAN, UNREPAIRED
from heirloom.config.records import Evaluation, Repaired, Robust, canonical
from heirloom.config.robust import (
    CorruptedFiles,
    CorruptionSuite,
    PublishedModule,
    RankedModules,
    Repair,
    RepairExperiment,
    RobustModel,
)
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:
    from heirloom.config.grid import Grid


# -- what there is -----------------------------------------------------------------------------------------------------


def repairs(grid: Grid) -> dict[str, Repair]:
    """Repairs by name: the catalogue's, and the study's own, which take the place of the catalogue's."""
    return {**grid.catalogue.repairs, **grid.study.repairs}


def judged(grid: Grid) -> list[Repaired]:
    """Every robust model that is judged, unrepaired ones among them, each once however many experiments share it."""
    return sorted(
        {
            Repaired(robust_models.weights_of(grid, model, seed), repair, seed)
            for experiment in _experiments(grid)
            for model in experiment.models
            for repair in (UNREPAIRED, *experiment.repairs)
            for seed in grid.study.seeds
        }
    )


def repaired(grid: Grid) -> list[Repaired]:
    """Every repair of a model, sorted."""
    return [each for each in judged(grid) if each.repair != UNREPAIRED]


def ranked(grid: Grid) -> list[Robust]:
    """Every robust model whose modules are ranked by criticality: a repair needs it, or an experiment asks for it."""
    asked = {name for experiment in _experiments(grid) if experiment.criticality for name in experiment.models}
    needed = {each.start for each in repaired(grid) if ranks(grid, each.repair)}
    return sorted(needed | {each for each in robust_models.weights(grid) if each.model in asked})


def ranks(grid: Grid, repair: str) -> bool:
    """Whether a repair chooses its modules by criticality."""
    return isinstance(repairs(grid)[repair].modules, RankedModules)


def suites(grid: Grid) -> dict[str, CorruptionSuite]:
    """Corruptions of the study by name, sorted."""
    names = {name for each in judged(grid) for name in suites_of(grid, each.start.model)}
    return {name: grid.catalogue.corruptions[name] for name in sorted(names)}


def suites_of(grid: Grid, model: str) -> list[str]:
    """Corruptions that a model is judged under: of all its experiments those of its own data, sorted."""
    entry = grid.catalogue.robust[model]
    named = {name for experiment in _experiments(grid) if model in experiment.models for name in experiment.corruptions}
    return sorted(name for name in named if _data(grid.catalogue.corruptions[name]) == _data(entry))


def attacks_of(grid: Grid, each: Repaired) -> dict[str, OnModel]:
    """Attacks on a model itself, by name, sorted."""
    names = {
        name
        for experiment in _experiments(grid)
        if each.start.model in experiment.models and each.repair in (UNREPAIRED, *experiment.repairs)
        for name in experiment.attacks
    }
    return grid.white_box(names)


def attack_names(grid: Grid) -> set[str]:
    """Attacks of all experiments with robust models."""
    return {name for experiment in _experiments(grid) for name in experiment.attacks}


def published_corruptions(grid: Grid) -> set[str]:
    """Data sets that hold corrupted images of their owner's making."""
    sources = [suite.source for suite in suites(grid).values()]
    return {source.dataset for source in sources if isinstance(source, CorruptedFiles)}


def _experiments(grid: Grid) -> list[RepairExperiment]:
    return list(grid.study.repair_experiments.values())


def _data(entry: RobustModel | CorruptionSuite) -> tuple[str, str]:
    return entry.dataset, entry.preparation


# -- what a job is given -----------------------------------------------------------------------------------------------


def finetuning(grid: Grid, model: str, repair: str) -> dict[str, Any]:
    """What is fine-tuned of a model, and how, as parameters: the module that the paper chose for it by its name."""
    entry = repairs(grid)[repair]
    recipe = {name: canonical(entry)[name] for name in ("learning_rates", "modules", "statistics", "training")}
    if isinstance(entry.modules, PublishedModule):
        recipe["modules"] = {"kind": "named", "names": [grid.catalogue.robust[model].published_module]}
    return recipe


def choosing(grid: Grid, repair: str) -> dict[str, Any]:
    """How validation images choose what is kept of a fine-tuning, as parameters."""
    recipe = canonical(repairs(grid)[repair])
    return {name: recipe[name] for name in ("alphas", "judge", "tolerance")}


# -- what the tables are given -----------------------------------------------------------------------------------------


def evaluation_of(grid: Grid, model: str) -> Evaluation:
    """The place of a robust model in the tables: it stands where a teacher does."""
    return Evaluation(model, CLEAN, grid.catalogue.robust[model].dataset)


def evaluations(grid: Grid) -> list[Evaluation]:
    """Places of all robust models in the tables, sorted."""
    return sorted({evaluation_of(grid, name) for experiment in _experiments(grid) for name in experiment.models})


def description_of(grid: Grid, model: str) -> dict[str, Any]:
    """What the tables need to know of a robust model, as `Grid.description_of` says it of students."""
    named = {name: entry for name, entry in grid.study.repair_experiments.items() if model in entry.models}
    attacks = {name for entry in named.values() for name in entry.attacks}
    return {
        "attacks": {name: grid.attack_described(name) for name in sorted(attacks)},
        "control": None,
        "dataset": grid.catalogue.robust[model].dataset,
        "experiments": {name: _scope(grid, model, entry) for name, entry in sorted(named.items())},
        "injection": CLEAN,
        "teacher": model,
    }


def _scope(grid: Grid, model: str, entry: RepairExperiment) -> dict[str, Any]:
    measured = {"corruption_accuracy": bool(suites_of(grid, model)), "criticality": _is_ranked(grid, model)}
    return {
        "attack_baseline": None,
        "attacks": sorted(entry.attacks),
        "average": False,  # a model knows one data set
        "baseline": entry.baseline,
        "injection_baseline": None,
        "measures": [metric for metric, wanted in measured.items() if wanted],
        "methods": sorted({UNREPAIRED, *entry.repairs}),
    }


def _is_ranked(grid: Grid, model: str) -> bool:
    return any(each.model == model for each in ranked(grid))


def marked(grid: Grid) -> str:
    """The repair whose modules the figure of criticality marks: the first that ranks them; "" for none."""
    named = [name for experiment in _experiments(grid) for name in experiment.repairs]
    return next((name for name in named if ranks(grid, name)), "")


def recipes(grid: Grid) -> dict[str, Any]:
    """What the study uses of the catalogues, for its digest."""
    used = {each.repair for each in repaired(grid)}
    return {
        "repairs": {name: canonical(repairs(grid)[name]) for name in sorted(used)},
        "corruptions": {name: canonical(entry) for name, entry in suites(grid).items()},
    }


# -- checks ------------------------------------------------------------------------------------------------------------


def check(grid: Grid) -> None:
    """Raise ConfigError for a name that is unknown, taken, or does not fit."""
    if UNREPAIRED in repairs(grid):
        what = f'"{UNREPAIRED}" has a meaning of its own'
        raise ConfigError(what, where=f"{grid.where}, repairs", mend="choose another name")
    for name, experiment in grid.study.repair_experiments.items():
        _check_experiment(grid, f"repair_experiments.{name}", experiment)
        _check_corruptions(grid, f"repair_experiments.{name}", experiment)


def _check_experiment(grid: Grid, key: str, experiment: RepairExperiment) -> None:
    for name in experiment.repairs:
        require(grid, name, repairs(grid), "repair", f"{key}.repairs")
        for model in experiment.models:
            _check_published(grid, key, model, name)
    for name in experiment.corruptions:
        require(grid, name, grid.catalogue.corruptions, "corruption suite", f"{key}.corruptions")
        _check_source(grid, name)
    for name in experiment.attacks:
        require(grid, name, grid.catalogue.attacks, "attack", f"{key}.attacks")
        if not grid.white_box([name]):
            raise ConfigError(
                f'"{name}" attacks a teacher\'s features, and a robust model is attacked itself',
                where=f"{grid.where}, {key}.attacks",
                mend="name an attack on a model itself, of kind pgd or autoattack for instance",
            )
    if experiment.baseline not in (UNREPAIRED, *experiment.repairs):
        raise ConfigError(
            f'"{experiment.baseline}" is no repair of this experiment',
            where=f"{grid.where}, {key}.baseline",
            mend=f"one of {', '.join((UNREPAIRED, *experiment.repairs))}",
        )


def _check_source(grid: Grid, name: str) -> None:
    """Published corruptions are a data set whose layout knows them."""
    source = grid.catalogue.corruptions[name].source
    if isinstance(source, CorruptedFiles):
        known = CORRUPTED_LAYOUTS.names()
        corrupted = {
            key: entry
            for key, entry in grid.catalogue.datasets.items()
            if entry.layout in known or is_own(entry.layout)
        }
        require(grid, source.dataset, corrupted, "data set of corrupted images", f"corruptions.{name}.source.dataset")


def _check_published(grid: Grid, key: str, model: str, repair: str) -> None:
    """A repair of the published module needs a model that the paper chose one for."""
    entry = grid.catalogue.robust[model]
    if isinstance(repairs(grid)[repair].modules, PublishedModule) and entry.published_module is None:
        raise ConfigError(
            f'"{repair}" fine-tunes the published module, and none is known for "{model}"',
            where=f"{grid.where}, {key}.repairs",
            mend=f"give robust.{model} its published_module, or choose modules by criticality",
        )


def _check_corruptions(grid: Grid, key: str, experiment: RepairExperiment) -> None:
    """Every suite belongs to the data of one of the models: an idle one would be silent."""
    data = {_data(grid.catalogue.robust[model]) for model in experiment.models}
    for name in experiment.corruptions:
        suite = grid.catalogue.corruptions[name]
        if _data(suite) not in data:
            raise ConfigError(
                f'"{name}" corrupts {suite.dataset} ({suite.preparation}), which no model of the experiment knows',
                where=f"{grid.where}, {key}.corruptions",
                mend="name a suite of the models' own data and preparation",
            )
