"""Whether the names of a study fit together; every mistake is told with its place and the way to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from heirloom.config.attacks import AttackControl, OnTeacher
from heirloom.config.kinds import BODIES, CORRUPTED_LAYOUTS, LAYOUTS, WRITERS, Kind, is_own
from heirloom.config.load import nearest
from heirloom.config.models import (
    Drawn,
    InjectionSettings,
    Pretrained,
    Selection,
    TransferSettings,
)
from heirloom.config.names import CLEAN, MEAN, TEACHER, UNREPAIRED
from heirloom.config.study import Experiment, Injection
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:
    from heirloom.config.grid import Grid


def check_names(grid: Grid) -> None:
    """Raise ConfigError for a name that is unknown, taken, or used for two things."""
    _check_reserved(grid)
    _check_downloads(grid)
    for name, experiment in grid.study.experiments.items():
        _check_experiment(grid, f"experiments.{name}", experiment)
        _check_somebody_is_judged(grid, f"experiments.{name}", experiment)
    for name in grid.injection_names:
        _check_injection(grid, name)
    for name in grid.attack_names:
        _check_attack(grid, name)
    for name in grid.teacher_names:
        _check_teacher(grid, name)
    for teacher, injection in grid.infected_teachers:
        _check_stage(grid, teacher, injection)
    for name in grid.dataset_names:
        _check_dataset(grid, name)


def _check_reserved(grid: Grid) -> None:
    """A name that the results use for something else would mix two things up."""
    taken: dict[str, tuple[Iterable[str], set[str]]] = {
        "name": ({grid.study.name}, {"shared", "cache"}),
        "methods": (grid.methods, {TEACHER, UNREPAIRED}),
        "injections": (grid.catalogue.injections, {CLEAN}),
        "datasets": (grid.catalogue.datasets, {MEAN}),
        "attacks": (grid.catalogue.attacks, {CLEAN, *grid.catalogue.triggers}),
    }
    for key, (names, reserved) in taken.items():
        for name in sorted(reserved & set(names)):
            raise ConfigError(
                f'"{name}" has a meaning of its own', where=f"{grid.where}, {key}", mend="choose another name"
            )


def _check_downloads(grid: Grid) -> None:
    """The download cache knows files by their names: one name must not stand for two files."""
    seen: dict[str, tuple[str, tuple[str, ...]]] = {}
    for key, files in grid.remote_files.items():
        for file in files:
            first, urls = seen.setdefault(file.name, (key, file.urls)) if file.urls else (key, ())
            if urls != file.urls:
                raise ConfigError(
                    f'"{file.name}" is downloaded from other addresses for {first}',
                    where=f"catalogues, {key}",
                    mend="give both the same addresses, or one of the files another name",
                )


def require(grid: Grid, name: str, known: Mapping[str, Any] | set[str], kind: str, key: str) -> None:
    """Raise ConfigError for a name that is none of those known."""
    if name not in known:
        raise ConfigError(f'unknown {kind} "{name}"', where=f"{grid.where}, {key}", mend=nearest(name, known))


def require_component(grid: Grid, name: str, kind: Kind, key: str) -> None:
    """Raise ConfigError for a component that is none of a kind's, or lies elsewhere and cannot be had."""
    if is_own(name):
        kind.load(name)
    else:
        require(grid, name, set(kind.names()), kind.title, key)


def _check_experiment(grid: Grid, key: str, experiment: Experiment) -> None:
    catalogue, study = grid.catalogue, grid.study
    for teacher in experiment.teachers:
        require(grid, teacher, catalogue.teachers, "teacher", f"{key}.teachers")
    for injection in experiment.injections:
        require(grid, injection, {CLEAN, *catalogue.injections}, "injection", f"{key}.injections")
    for dataset in experiment.datasets:
        require(grid, dataset, catalogue.datasets, "data set", f"{key}.datasets")
        require(grid, dataset, study.preparations, "preparation for data set", "preparations")
        check_preparation(grid, dataset, study.preparations[dataset], "preparations")
    if experiment.same_data_set:
        _check_own_data_sets(grid, key, experiment)
    for method in experiment.methods:
        require(grid, method, grid.methods, "method", f"{key}.methods")
        _check_method(grid, method)
        _check_head(grid, key, experiment, method)
    for detector in experiment.detectors:
        require(grid, detector, catalogue.detectors, "detector", f"{key}.detectors")
    _check_detected(grid, key, experiment)
    for attack in experiment.attacks:
        require(grid, attack, catalogue.attacks, "attack", f"{key}.attacks")
    _check_baselines(grid, key, experiment)


def _check_baselines(grid: Grid, key: str, experiment: Experiment) -> None:
    """What others are compared with is one of the experiment's own."""
    baselines = {
        "method": (experiment.baseline, experiment.methods, "baseline"),
        "attack": (experiment.attack_baseline, experiment.attacks, "attack_baseline"),
        "injection": (experiment.injection_baseline, experiment.injections, "injection_baseline"),
    }
    for kind, (name, known, field) in baselines.items():
        if name is not None:
            require(grid, name, set(known), f"{kind} of this experiment", f"{key}.{field}")


def _check_somebody_is_judged(grid: Grid, key: str, experiment: Experiment) -> None:
    """Without methods there are no students, so each teacher has to be judged itself."""
    if experiment.methods:
        return
    for evaluation in grid.evaluations_of(experiment):
        if not grid.judges_teacher(evaluation):
            who = f'the teacher "{evaluation.teacher}" (injection {evaluation.injection})'
            raise ConfigError(
                f'no method is named, and {who} itself does not know the classes of "{evaluation.dataset}"',
                where=f"{grid.where}, {key}.methods",
                mend="name a method, or a data set whose classes the teacher's head knows (source.dataset)",
            )


def _check_method(grid: Grid, name: str) -> None:
    """A selection names trained methods; a data set's own settings name data sets."""
    entry = grid.methods[name]
    key = f"methods.{name}"
    if isinstance(entry, Selection):
        for candidate in entry.candidates:
            require(grid, candidate, set(grid.methods) - set(grid.selections), "candidate", f"{key}.candidates")
            _check_method(grid, candidate)
        _check_candidates(grid, entry, key)
        return
    for dataset in entry.per_dataset:
        require(grid, dataset, grid.catalogue.datasets, "data set", f"{key}.per_dataset")
    for recipe in (entry, *(entry.for_dataset(dataset) for dataset in entry.per_dataset)):
        if recipe.detection is not None:
            _check_reverses(grid, recipe.detection, name)


def _check_reverses(grid: Grid, detector: str, method: str) -> None:
    """A detector by which students unlearn reverses triggers."""
    detectors, key = grid.catalogue.detectors, f"methods.{method}.detector"
    require(grid, detector, detectors, "detector", key)
    if not detectors[detector].reverses:
        able = [name for name, entry in detectors.items() if entry.reverses]
        raise ConfigError(
            f'"{method}" unlearns a reversed trigger, and the detector "{detector}" ({detectors[detector].kind})'
            " reverses none",
            where=f"{grid.where}, {key}",
            mend=nearest(detector, able),
        )


def _check_head(grid: Grid, key: str, experiment: Experiment, method: str) -> None:
    """A method that keeps the teacher's own head needs one that knows the classes of every data set it is given."""
    for name in grid.trained_for(method):
        entry = grid.methods[name]
        for injection, dataset in _pairs(grid, experiment):
            if isinstance(entry, Selection) or not entry.for_dataset(dataset).keeps_head:
                continue
            if not grid.knows_classes(injection, dataset):
                raise ConfigError(
                    f'"{name}" keeps the teacher\'s own head, and after the injection "{injection}" that does not'
                    f' know the classes of "{dataset}"',
                    where=f"{grid.where}, {key}.methods",
                    mend=f'give "{name}" an experiment of its own, whose injections train on the data set and'
                    " preparation that its students learn",
                )


def _pairs(grid: Grid, experiment: Experiment) -> list[tuple[str, str]]:
    """Each injection of an experiment with each data set that its students learn."""
    return [(name, dataset) for name in experiment.injections for dataset in grid.datasets_for(name, experiment)]


def _check_detected(grid: Grid, key: str, experiment: Experiment) -> None:
    """A detector needs a teacher whose head it can be run on."""
    if experiment.detectors and not any(grid.knows_classes(*pair) for pair in _pairs(grid, experiment)):
        raise ConfigError(
            "the experiment's detectors have no teacher to look at: no injection trains on one of its data sets",
            where=f"{grid.where}, {key}.detectors",
            mend="name a data set and preparation that an injection trains on, or no detector",
        )


def _check_candidates(grid: Grid, entry: Selection, key: str) -> None:
    """Two names of one recipe would train it twice and give it two chances of being chosen."""
    for dataset in sorted({name for each in grid.study.experiments.values() for name in each.datasets}):
        seen: dict[str, str] = {}
        for candidate in entry.candidates:
            recipe = grid.method(candidate, dataset).model_dump_json(exclude={"per_dataset"})
            first = seen.setdefault(recipe, candidate)
            if first != candidate:
                raise ConfigError(
                    f'the candidates "{first}" and "{candidate}" are the same recipe on "{dataset}"',
                    where=f"{grid.where}, {key}.candidates",
                    mend="leave one of them out, or give it settings of its own",
                )


def check_preparation(grid: Grid, dataset: str, preparation: str, key: str) -> None:
    """Raise ConfigError for a data set or preparation that no catalogue has."""
    require(grid, dataset, grid.catalogue.datasets, "data set", key)
    known = grid.catalogue.datasets[dataset].preparations
    require(grid, preparation, known, f'preparation of "{dataset}"', key)


def _check_injection(grid: Grid, name: str) -> None:
    injection = grid.injection(name)
    key = f"injections.{name}"
    check_preparation(grid, injection.dataset, injection.preparation, key)
    for trigger in injection.triggers:
        require(grid, trigger, grid.catalogue.triggers, "trigger", f"{key}.trigger")
    control = injection.compared_with
    if injection.plants and control is None:
        raise ConfigError(
            f'the injection "{name}" has no control, so no rate of it could be judged',
            where=f"{grid.where}, {key}",
            mend="add an injection of kind clean with the same recipe, and name it as control",
        )
    if control is not None:
        require(grid, control, grid.catalogue.injections, "injection", f"{key}.control")
        _check_control(grid, name, injection, grid.injection(control))


def _check_control(grid: Grid, name: str, injection: Injection, control: Injection) -> None:
    """A control that differs in more than the defect would blame the defect for the difference."""
    for key in sorted(InjectionSettings.model_fields.keys() - {"kind"}):
        if getattr(injection, key) != getattr(control, key):
            raise ConfigError(
                f'"{name}" and its control "{injection.compared_with}" differ in "{key}"',
                where=f"{grid.where}, injections.{name}",
                mend=f'give both the same "{key}", so that only the defect differs',
            )
    if control.plants:
        raise ConfigError(
            f'the control "{injection.compared_with}" of "{name}" is itself a {control.kind}',
            where=f"{grid.where}, injections.{name}.control",
            mend="name an injection of kind clean",
        )


def _check_own_data_sets(grid: Grid, key: str, experiment: Experiment) -> None:
    """Where students learn the data set of their injection alone, the two lists name the same ones."""
    made = {"none" if name == CLEAN else grid.injection(name).dataset for name in experiment.injections}
    if made != set(experiment.datasets):
        raise ConfigError(
            f"the injections were made on {', '.join(sorted(made))}, the students learn"
            f" {', '.join(sorted(experiment.datasets))}",
            where=f"{grid.where}, {key}.same_data_set",
            mend="name the same data sets, or leave same_data_set out",
        )
    if experiment.injection_baseline is not None and len(made) > 1:
        raise ConfigError(
            f'"{experiment.injection_baseline}" has students on one data set alone, so not all can be compared with it',
            where=f"{grid.where}, {key}.injection_baseline",
            mend="leave it out, or make an experiment for each data set",
        )


def _check_stage(grid: Grid, teacher: str, injection: str) -> None:
    """An injection names stages that the teacher's body has."""
    named = {} if injection == CLEAN else grid.injection(injection).stages()
    stages = len(BODIES.member(grid.teacher(teacher).body.name).stages)
    for key, stage in named.items():
        if stage > stages:
            raise ConfigError(
                f'"{teacher}" has {stages} stages, but "{injection}" is planted at stage {stage}',
                where=f"{grid.where}, injections.{injection}.{key}",
                mend=f"choose a stage from 1 to {stages}",
            )


def _check_attack(grid: Grid, name: str) -> None:
    """A feature attack's control is noise of its size; the slice that it knows is a pruning method's."""
    entry, key = grid.attack(name), f"attacks.{name}"
    if not isinstance(entry, OnTeacher):
        return
    if entry.control is None:
        raise ConfigError(
            f'the attack "{name}" has no control, so no rate of it could be judged',
            where=f"{grid.where}, {key}",
            mend="name an attack of kind noise with the same units, epsilon and clip",
        )
    require(grid, entry.control, grid.catalogue.attacks, "attack", f"{key}.control")
    control = grid.attack(entry.control)
    differing = [each for each in ("units", "epsilon", "clip") if getattr(entry, each) != getattr(control, each)]
    if not isinstance(control, AttackControl) or differing:
        raise ConfigError(
            f'the control "{entry.control}" of "{name}" is no noise of the same size',
            where=f"{grid.where}, {key}.control",
            mend="name an attack of kind noise with the same units, epsilon and clip",
        )
    if entry.knows_slice_of is not None:
        kind = "pruning method of one slice for all seeds"
        require(grid, entry.knows_slice_of, _of_one_slice(grid), kind, f"{key}.knows_slice_of")


def _of_one_slice(grid: Grid) -> set[str]:
    """Name the pruning methods that slice a teacher alike for every seed.

    A score that draws, or trains from a fresh head, gives each seed a slice of its own, which no one attack could know.
    """
    methods = {name: entry for name, entry in grid.methods.items() if isinstance(entry, TransferSettings)}
    return {name for name, entry in methods.items() if entry.slices_by and not entry.slices_by.varies}


def _check_teacher(grid: Grid, name: str) -> None:
    entry = grid.teacher(name)
    require_component(grid, entry.body.name, BODIES, f"teachers.{name}.body.name")
    for option in entry.body.options:
        require(grid, option, BODIES.member(entry.body.name).options, "option", f"teachers.{name}.body.options")
    if isinstance(entry.source, Pretrained):
        check_preparation(grid, entry.source.dataset, entry.source.preparation, f"teachers.{name}")
    elif entry.source.dataset is not None:
        known = grid.catalogue.datasets
        require(grid, entry.source.dataset, known, "data set", f"teachers.{name}.source.dataset")


def _check_dataset(grid: Grid, name: str) -> None:
    entry = grid.dataset(name)
    if entry.layout not in CORRUPTED_LAYOUTS.names():
        require_component(grid, entry.layout, LAYOUTS, f"datasets.{name}.layout")
    if isinstance(entry.source, Drawn):
        require_component(grid, entry.source.writer, WRITERS, f"datasets.{name}.source.writer")
