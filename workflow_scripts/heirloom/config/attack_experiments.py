"""What a study asks by attacking models: which suites each one meets, from its own gradients or a substitute's.

A white-box job attacks one model with one suite. A black-box job crafts a suite on one substitute and shows the images
to all models that its experiments name. An attack that several suites of a model share is run once, by the first of
them in the catalogue's order; the first suite also judges the clean images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from heirloom.config.attacks import OnModel
from heirloom.config.checks import require
from heirloom.config.kinds import BODIES
from heirloom.config.names import BLACK_BOX, CLEAN, OWN_BOX, RESTORED, shown_from
from heirloom.config.records import Attacked, Evaluation, canonical
from heirloom.config.study import AttackExperiment, AttackSuite
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:
    from heirloom.config.grid import Grid

MEASURE = "reconstruction_error"

# -- what there is -----------------------------------------------------------------------------------------------------


def experiments(grid: Grid) -> dict[str, AttackExperiment]:
    """Attack experiments by name, in the order of the study's file."""
    return grid.study.attack_experiments


def suites_of(grid: Grid, box: str, model: str) -> list[str]:
    """Suites that a model is attacked with, or that are crafted on it for others, in the catalogue's order."""
    named = {
        suite
        for experiment in experiments(grid).values()
        if model in (experiment.models if box == OWN_BOX else experiment.substitutes)
        for suite in experiment.suites
    }
    return [suite for suite in grid.catalogue.suites if suite in named]


def attacked(grid: Grid) -> list[Attacked]:
    """Every job that attacks, sorted: each model with its suites, and each substitute for the other models."""
    return sorted(each for each in _asked(grid) if attacks_of(grid, each) and targets_of(grid, each))


def _asked(grid: Grid) -> set[Attacked]:
    return {
        Attacked(box, model, suite, seed)
        for experiment in experiments(grid).values()
        for box, models in ((OWN_BOX, experiment.models), (BLACK_BOX, experiment.substitutes))
        for model in models
        for suite in experiment.suites
        for seed in grid.study.seeds
    }


def attacks_of(grid: Grid, each: Attacked) -> dict[str, OnModel]:
    """Attacks that a job runs, by name, sorted: those of its suite that no earlier suite of the model has."""
    suites = suites_of(grid, each.box, each.model)
    earlier = {name for suite in suites[: suites.index(each.suite)] for name in _attacks_in(grid, [suite])}
    return grid.white_box(name for name in _attacks_in(grid, [each.suite]) if name not in earlier)


def judges_clean(grid: Grid, each: Attacked) -> bool:
    """Whether a job also judges its model on clean images: the first one of the model itself."""
    return each.box == OWN_BOX and suites_of(grid, each.box, each.model)[0] == each.suite


def targets_of(grid: Grid, each: Attacked) -> list[str]:
    """Models that are shown what a job crafts: the model itself, or all others that experiments judge by it, sorted."""
    if each.box == OWN_BOX:
        return [each.model]
    judged = {
        name
        for experiment in experiments(grid).values()
        if each.model in experiment.substitutes
        for name in experiment.models
    }
    return sorted(judged - {each.model})


def pictured(grid: Grid, each: Attacked) -> dict[str, int]:
    """How many test images a job keeps for figures, as they are under each of its attacks that experiments show."""
    if each.box == BLACK_BOX:
        return {}
    wanted = {
        name: experiment.shown
        for experiment in experiments(grid).values()
        if each.model in experiment.models
        for name in experiment.pictures
    }
    return {name: wanted[name] for name in attacks_of(grid, each) if name in wanted}


def attack_names(grid: Grid) -> set[str]:
    """Attacks of all experiments."""
    return {name for experiment in experiments(grid).values() for name in _attacks_in(grid, experiment.suites)}


def restores(grid: Grid, model: str) -> bool:
    """Whether a model restores its image before it classifies it."""
    body = grid.catalogue.robust[model].body
    return RESTORED in BODIES.member(body.name).stages and bool(body.options.get("restoration", 1))


def _attacks_in(grid: Grid, suites: Sequence[str]) -> list[str]:
    """Attacks of some suites, each once, in their order."""
    return list(dict.fromkeys(name for suite in suites for name in grid.catalogue.suites[suite].attacks))


# -- what the tables are given -----------------------------------------------------------------------------------------


def evaluation_of(grid: Grid, model: str) -> Evaluation:
    """The place of a model in the tables: beside all others that know its data, for none has a teacher."""
    return Evaluation(CLEAN, CLEAN, grid.catalogue.robust[model].dataset)


def evaluations(grid: Grid) -> list[Evaluation]:
    """Places of all attacked models in the tables, sorted."""
    return sorted({evaluation_of(grid, name) for each in experiments(grid).values() for name in each.models})


def description_of(grid: Grid, place: Evaluation) -> dict[str, Any]:
    """What the tables need to know of a data set's models, as `Grid.description_of` says it of students."""
    named = {
        name: entry
        for name, entry in experiments(grid).items()
        if evaluation_of(grid, entry.models[0]).dataset == place.dataset
    }
    attacks = {name for entry in named.values() for name in _attacks_in(grid, entry.suites)}
    return {
        "attacks": {name: grid.attack_described(name) for name in sorted(attacks)},
        "control": None,
        "dataset": place.dataset,
        "experiments": {name: _scope(grid, entry) for name, entry in sorted(named.items())},
        "injection": CLEAN,
        "teacher": CLEAN,
    }


def _scope(grid: Grid, entry: AttackExperiment) -> dict[str, Any]:
    return {
        "attack_baseline": entry.attack_baseline,
        "attacks": sorted(_attacks_in(grid, entry.suites)),
        "average": False,
        "baseline": entry.baseline,
        "conditions": ["", *(shown_from(name) for name in sorted(entry.substitutes))],
        "injection_baseline": None,
        "measures": [MEASURE] if any(restores(grid, name) for name in entry.models) else [],
        "methods": sorted(entry.models),
    }


def ladders(grid: Grid) -> dict[str, dict[str, list[str]]]:
    """Attacks from weak to strong by experiment and ladder, as the figure of strength draws them."""
    found = {name: entry.ladders for name, entry in experiments(grid).items() if entry.ladders}
    return {name: {key: list(steps) for key, steps in entry.items()} for name, entry in sorted(found.items())}


def with_pictures(grid: Grid) -> list[Attacked]:
    """Jobs whose pictures a figure shows: those of the first seed, model by model in the experiments' order."""
    models = list(dict.fromkeys(name for entry in experiments(grid).values() for name in entry.models))
    seed = grid.study.seeds[0]
    kept = [each for each in attacked(grid) if each.seed == seed and pictured(grid, each)]
    return sorted(kept, key=lambda each: (models.index(each.model), each.suite))


def recipes(grid: Grid) -> dict[str, Any]:
    """What the study uses of the catalogue, for its digest."""
    names = {suite for entry in experiments(grid).values() for suite in entry.suites}
    return {"suites": {name: canonical(grid.catalogue.suites[name]) for name in sorted(names)}}


# -- checks ------------------------------------------------------------------------------------------------------------


def check(grid: Grid) -> None:
    """Raise ConfigError for a name that is unknown or does not fit; the models' own are checked elsewhere."""
    for name, experiment in experiments(grid).items():
        key = f"attack_experiments.{name}"
        _check_data(grid, key, experiment)
        for suite in experiment.suites:
            require(grid, suite, grid.catalogue.suites, "suite", f"{key}.suites")
            _check_suite(grid, suite, grid.catalogue.suites[suite])
        _check_own(grid, key, experiment)
    _check_preparations(grid)


def _check_data(grid: Grid, key: str, experiment: AttackExperiment) -> None:
    """All models of an experiment are shown the same images."""
    first, *others = (*experiment.models, *experiment.substitutes)
    for name in others:
        if _data(grid, name) != _data(grid, first):
            kind = "substitutes" if name in experiment.substitutes else "models"
            raise ConfigError(
                f'"{name}" knows {" at ".join(_data(grid, name))}, and "{first}" {" at ".join(_data(grid, first))}',
                where=f"{grid.where}, {key}.{kind}",
                mend="give each data set and preparation an experiment of its own",
            )


def _data(grid: Grid, model: str) -> tuple[str, str]:
    entry = grid.catalogue.robust[model]
    return entry.dataset, entry.preparation


def _check_preparations(grid: Grid) -> None:
    """The tables set all models of a data set side by side, so they are shown the same images."""
    seen: dict[str, str] = {}
    for name, experiment in experiments(grid).items():
        dataset, preparation = _data(grid, experiment.models[0])
        first = seen.setdefault(dataset, preparation)
        if first != preparation:
            raise ConfigError(
                f'attack experiments show "{dataset}" at {first} and at {preparation}, and no table tells them apart',
                where=f"{grid.where}, attack_experiments.{name}.models",
                mend="name models of one preparation, or make two studies",
            )


def _check_suite(grid: Grid, name: str, suite: AttackSuite) -> None:
    """A suite attacks models themselves."""
    for attack in suite.attacks:
        require(grid, attack, grid.catalogue.attacks, "attack", f"suites.{name}.attacks")
        if not grid.white_box([attack]):
            raise ConfigError(
                f'"{attack}" is no attack on a model itself, and suites hold no other',
                where=f"catalogues, suites.{name}.attacks",
                mend="name an attack on a model itself, of kind pgd or autoattack for instance",
            )


def _check_own(grid: Grid, key: str, experiment: AttackExperiment) -> None:
    """Baselines, pictures and ladders are made of the experiment's own models and attacks."""
    attacks = set(_attacks_in(grid, experiment.suites))
    if experiment.baseline is not None:
        require(grid, experiment.baseline, set(experiment.models), "model of this experiment", f"{key}.baseline")
    named: Mapping[str, tuple[str, ...]] = {
        "attack_baseline": (experiment.attack_baseline,) if experiment.attack_baseline else (),
        "pictures": experiment.pictures,
        **{f"ladders.{name}": steps for name, steps in experiment.ladders.items()},
    }
    for field, names in named.items():
        for name in names:
            require(grid, name, attacks, "attack of this experiment's suites", f"{key}.{field}")
    if len({grid.attack(name).seed for name in experiment.pictures}) > 1:
        raise ConfigError(
            "the attacks whose pictures are shown choose their images by different seeds",
            where=f"{grid.where}, {key}.pictures",
            mend="name attacks of one seed, so that the pictures stand below each other",
        )
