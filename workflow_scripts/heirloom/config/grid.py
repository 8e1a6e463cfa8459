"""A study expanded into its jobs: which teachers, injections, students and evaluations, and what each is given.

Rules ask the grid for inputs, parameters and threads by wildcards; nothing else knows how a study unfolds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from heirloom.config import paths
from heirloom.config.load import nearest
from heirloom.config.models import (
    Catalogue,
    Dataset,
    Drawn,
    Experiment,
    Fetched,
    Files,
    Injection,
    Pretrained,
    RemoteFile,
    Study,
    Teacher,
)
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.registry import resolve

CLEAN = "none"
TEACHER = "teacher"  # the method that the results name for a teacher itself
FIGURES = ("attack_success", "trade_off", "training_curves")  # of every study

# Registries by reference: config names their entries but needs none of the code behind them.
BODIES = "heirloom.models.bodies:BODIES"
LAYOUTS = "heirloom.data.layouts:LAYOUTS"
WRITERS = "heirloom.data.synthetic:WRITERS"


@dataclass(frozen=True, order=True)
class Evaluation:
    """All students of one teacher, injection and data set, judged together."""

    teacher: str
    injection: str
    dataset: str

    def folder(self, study: str) -> str:
        """Where its predictions lie."""
        return paths.evaluation_folder(
            study=study, teacher=self.teacher, injection=self.injection, dataset=self.dataset
        )


@dataclass(frozen=True, order=True)
class Student:
    """One student; its evaluation says where it comes from."""

    evaluation: Evaluation
    method: str
    seed: int

    def folder(self, study: str) -> str:
        """Where its weights lie."""
        origin = self.evaluation
        return paths.student_folder(
            study=study,
            teacher=origin.teacher,
            injection=origin.injection,
            dataset=origin.dataset,
            method=self.method,
            seed=self.seed,
        )


def plain(model: BaseModel) -> dict[str, Any]:
    """A model as a mapping with sorted keys and JSON values only, so that equal settings are equal parameters."""
    return dict(json.loads(json.dumps(model.model_dump(mode="json"), sort_keys=True)))


def _own(student: Student) -> dict[str, Any]:
    return {"method": student.method, "seed": student.seed}


@dataclass(frozen=True)
class Grid:
    """A study and the catalogue entries it uses; every name in it has been checked."""

    study: Study
    catalogue: Catalogue
    where: str = "study"

    def __post_init__(self) -> None:
        self._check_names()
        self._check_downloads()
        for experiment_name, experiment in self.study.experiments.items():
            self._check_experiment(f"experiments.{experiment_name}", experiment)
        for name in self.injection_names:
            self._check_injection(name)
        for name in self.teacher_names:
            self._check_teacher(name)
        for name in self.dataset_names:
            self._check_dataset(name)
        for evaluation in self.evaluations:
            self.targets_of(evaluation)

    # -- checks ------------------------------------------------------------------------------------------------------

    def _check_names(self) -> None:
        """A name that the results use for something else would mix two things up."""
        taken = {
            "name": ({self.study.name}, {"shared", "cache"}),
            "methods": (self.study.methods, {TEACHER}),
            "injections": (self.catalogue.injections, {CLEAN}),
        }
        for key, (names, reserved) in taken.items():
            for name in sorted(reserved & set(names)):
                raise ConfigError(
                    f'"{name}" has a meaning of its own', where=f"{self.where}, {key}", mend="choose another name"
                )

    def _check_downloads(self) -> None:
        """The download cache knows files by their names: one name must not stand for two files."""
        seen: dict[str, tuple[str, tuple[str, ...]]] = {}
        for key, files in self._remote_files.items():
            for file in files:
                first, urls = seen.setdefault(file.name, (key, file.urls)) if file.urls else (key, ())
                if urls != file.urls:
                    raise ConfigError(
                        f'"{file.name}" is downloaded from other addresses for {first}',
                        where=f"catalogues, {key}",
                        mend="give both the same addresses, or one of the files another name",
                    )

    def _require(self, name: str, known: Mapping[str, Any] | set[str], kind: str, key: str) -> None:
        if name not in known:
            raise ConfigError(f'unknown {kind} "{name}"', where=f"{self.where}, {key}", mend=nearest(name, known))

    def _check_experiment(self, key: str, experiment: Experiment) -> None:
        for teacher in experiment.teachers:
            self._require(teacher, self.catalogue.teachers, "teacher", f"{key}.teachers")
        for injection in experiment.injections:
            self._require(injection, {CLEAN, *self.catalogue.injections}, "injection", f"{key}.injections")
        for dataset in experiment.datasets:
            self._require(dataset, self.catalogue.datasets, "data set", f"{key}.datasets")
            self._require(dataset, self.study.preparations, "preparation for data set", "preparations")
            self._check_preparation(dataset, self.study.preparations[dataset], "preparations")
        for method in experiment.methods:
            self._require(method, self.study.methods, "method", f"{key}.methods")

    def _check_preparation(self, dataset: str, preparation: str, key: str) -> None:
        self._require(dataset, self.catalogue.datasets, "data set", key)
        known = self.catalogue.datasets[dataset].preparations
        self._require(preparation, known, f'preparation of "{dataset}"', key)

    def _check_injection(self, name: str) -> None:
        injection = self.catalogue.injections[name]
        key = f"injections.{name}"
        self._check_preparation(injection.dataset, injection.preparation, key)
        if injection.trigger is not None:
            self._require(injection.trigger, self.catalogue.triggers, "trigger", f"{key}.trigger")
        if injection.kind != "clean" and injection.control is None:
            raise ConfigError(
                f'the injection "{name}" has no control, so no rate of it could be judged',
                where=f"{self.where}, {key}",
                mend="add an injection of kind clean with the same recipe, and name it as control",
            )
        if injection.control is not None:
            self._require(injection.control, self.catalogue.injections, "injection", f"{key}.control")
            self._check_control(name, injection, self.catalogue.injections[injection.control])

    def _check_control(self, name: str, injection: Injection, control: Injection) -> None:
        """A control that differs in more than the defect would blame the defect for the difference."""
        free = {"kind", "trigger", "portion", "wrong_labels", "target", "control"}
        for key in sorted(Injection.model_fields.keys() - free):
            if getattr(injection, key) != getattr(control, key):
                raise ConfigError(
                    f'"{name}" and its control "{injection.control}" differ in "{key}"',
                    where=f"{self.where}, injections.{name}",
                    mend=f'give both the same "{key}", so that only the defect differs',
                )
        if control.kind != "clean":
            raise ConfigError(
                f'the control "{injection.control}" of "{name}" is itself a {control.kind}',
                where=f"{self.where}, injections.{name}.control",
                mend="name an injection of kind clean",
            )

    def _check_teacher(self, name: str) -> None:
        entry = self.catalogue.teachers[name]
        bodies = resolve(BODIES)
        self._require(entry.body.name, bodies, "body", f"teachers.{name}.body.name")
        for option in entry.body.options:
            self._require(option, bodies[entry.body.name].options, "option", f"teachers.{name}.body.options")
        if isinstance(entry.source, Pretrained):
            self._check_preparation(entry.source.dataset, entry.source.preparation, f"teachers.{name}")

    def _check_dataset(self, name: str) -> None:
        entry = self.catalogue.datasets[name]
        self._require(entry.layout, resolve(LAYOUTS), "layout", f"datasets.{name}.layout")
        if isinstance(entry.source, Drawn):
            self._require(entry.source.writer, resolve(WRITERS), "writer", f"datasets.{name}.source.writer")

    # -- what there is -----------------------------------------------------------------------------------------------

    def injections_of(self, experiment: Experiment) -> list[str]:
        """Injections of an experiment and the controls they are compared with."""
        controls = [self.catalogue.injections[name].control for name in experiment.injections if name != CLEAN]
        return sorted({*experiment.injections, *(name for name in controls if name)})

    @cached_property
    def students(self) -> list[Student]:
        """Every student, each once however many experiments share it."""
        return sorted(
            {
                Student(evaluation, method, seed)
                for experiment in self.study.experiments.values()
                for evaluation in self._evaluations_of(experiment)
                for method in experiment.methods
                for seed in self.study.seeds
            }
        )

    def _evaluations_of(self, experiment: Experiment) -> Iterator[Evaluation]:
        for teacher in experiment.teachers:
            for injection in self.injections_of(experiment):
                for dataset in experiment.datasets:
                    yield Evaluation(teacher, injection, dataset)

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """Every evaluation, sorted."""
        return sorted({student.evaluation for student in self.students})

    @property
    def teacher_names(self) -> list[str]:
        """Teachers of the study, sorted."""
        return sorted({evaluation.teacher for evaluation in self.evaluations})

    @property
    def injection_names(self) -> list[str]:
        """Injections of the study, controls included, without "none"."""
        experiments = self.study.experiments.values()
        return sorted({name for found in experiments for name in self.injections_of(found)} - {CLEAN})

    # -- what a job is given -----------------------------------------------------------------------------------------

    def dataset(self, name: str) -> Dataset:
        """A data set's entry."""
        return self.catalogue.datasets[name]

    def teacher(self, name: str) -> Teacher:
        """A teacher's entry."""
        return self.catalogue.teachers[name]

    def injection(self, name: str) -> Injection:
        """An injection's entry."""
        return self.catalogue.injections[name]

    def pretraining(self, teacher: str) -> Pretrained:
        """The recipe of a teacher that this pipeline trains."""
        source = self.teacher(teacher).source
        assert isinstance(source, Pretrained)
        return source

    def fetching(self, teacher: str) -> Fetched:
        """The file of a teacher that somebody else trained."""
        source = self.teacher(teacher).source
        assert isinstance(source, Fetched)
        return source

    def drawing(self, dataset: str) -> Drawn:
        """The writer of a drawn data set."""
        source = self.dataset(dataset).source
        assert isinstance(source, Drawn)
        return source

    def files(self, dataset: str) -> Files:
        """The files of a data set that has some."""
        source = self.dataset(dataset).source
        assert isinstance(source, Files)
        return source

    def names(self, section: str, kind: type[BaseModel]) -> list[str]:
        """Catalogue entries whose source is of one kind; they split a path pattern between two rules."""
        entries: Mapping[str, Any] = getattr(self.catalogue, section)
        return sorted(name for name, entry in entries.items() if isinstance(entry.source, kind))

    @property
    def instructions(self) -> dict[str, str]:
        """How to get each data set whose owner asks for a login or a form."""
        sources = {name: entry.source for name, entry in self.catalogue.datasets.items()}
        return {name: source.instructions for name, source in sources.items() if isinstance(source, Files)}

    @property
    def local_paths(self) -> dict[str, dict[str, str]]:
        """Where files lie that have a path of their own: by the entry's key, then by name."""
        placed = {
            key: {file.name: file.local_path for file in files if file.local_path}
            for key, files in self._remote_files.items()
        }
        return {key: paths for key, paths in placed.items() if paths}

    @property
    def addresses(self) -> dict[str, dict[str, list[str]]]:
        """Where files can be downloaded: by the entry's key, then by name."""
        return {key: {file.name: list(file.urls) for file in files} for key, files in self._remote_files.items()}

    @cached_property
    def _remote_files(self) -> dict[str, tuple[RemoteFile, ...]]:
        """Files of every data set and teacher that has some, by the entry's key."""
        found: dict[str, tuple[RemoteFile, ...]] = {}
        for name, dataset in self.catalogue.datasets.items():
            if isinstance(dataset.source, Files):
                found[f"datasets.{name}"] = dataset.source.files
        for name, teacher in self.catalogue.teachers.items():
            if isinstance(teacher.source, Fetched):
                found[f"teachers.{name}"] = (teacher.source.file,)
        return found

    def trigger_recipe(self, name: str) -> dict[str, Any]:
        """What a trigger does to an image: all but its title, which is for readers."""
        recipe = plain(self.catalogue.triggers[name])
        del recipe["title"]
        return recipe

    def augmentation_of(self, dataset: str) -> dict[str, Any]:
        """How a data set's training images are varied, as parameters."""
        return plain(self.dataset(dataset).augmentation)

    def pretraining_data(self, teacher: str) -> str:
        """Folder of the data a teacher is trained on."""
        source = self.pretraining(teacher)
        return paths.data_folder(source.dataset, source.preparation)

    def injection_data(self, injection: str) -> str:
        """Folder of the data an injection trains on."""
        entry = self.injection(injection)
        return paths.data_folder(entry.dataset, entry.preparation)

    def student_data(self, dataset: str) -> str:
        """Folder of the data a student learns and is judged on."""
        return paths.data_folder(dataset, self.study.preparations[dataset])

    def injection_recipe(self, injection: str) -> dict[str, Any]:
        """What an injection's training uses: not the name of its control, nor labels that it does not give."""
        entry = self.injection(injection)
        unused = {"control"} | ({"wrong_labels", "target"} if entry.kind == "clean" else set())
        unused |= {"target"} if entry.wrong_labels == "random" else set()
        return {key: value for key, value in plain(entry).items() if key not in unused}

    def triggers_in(self, injection: str) -> dict[str, dict[str, Any]]:
        """The trigger an injection plants, by name; empty for a clean one."""
        name = self.injection(injection).trigger
        return {} if name is None else {name: self.trigger_recipe(name)}

    @property
    def questions(self) -> dict[str, str]:
        """What each experiment asks."""
        return {name: experiment.question for name, experiment in sorted(self.study.experiments.items())}

    def students_of(self, evaluation: Evaluation) -> list[Student]:
        """Students judged together."""
        return self._students_by_evaluation[evaluation]

    @cached_property
    def _students_by_evaluation(self) -> dict[Evaluation, list[Student]]:
        found: dict[Evaluation, list[Student]] = {}
        for student in self.students:
            found.setdefault(student.evaluation, []).append(student)
        return found

    def judges_teacher(self, evaluation: Evaluation) -> bool:
        """Whether the injected teacher itself can be judged: its head knows the data set's classes."""
        if evaluation.injection == CLEAN:
            return False
        injection = self.injection(evaluation.injection)
        return (injection.dataset, injection.preparation) == (
            evaluation.dataset,
            self.study.preparations[evaluation.dataset],
        )

    def triggers_of(self, evaluation: Evaluation) -> list[str]:
        """Triggers shown to these students: those of every injection they are compared with."""
        return sorted(self.targets_of(evaluation))

    def targets_of(self, evaluation: Evaluation) -> dict[str, int | None]:
        """Target label of each trigger; None where the student's classes are not those the trigger was made for.

        Students of an infected teacher see the trigger it learned, those of a control the triggers of all that it is
        the control of, those of an untouched teacher the experiment's. Raises ConfigError when two injections give one
        trigger two meanings: a rate could not say which it counts.
        """
        targets: dict[str, int | None] = {}
        for experiment in self._experiments_with[evaluation]:
            for name in self._compared_with(evaluation, self.study.experiments[experiment]):
                injection = self.injection(name)
                if injection.trigger is not None:
                    target = injection.target if injection.dataset == evaluation.dataset else None
                    if targets.setdefault(injection.trigger, target) != target:
                        raise self._two_targets(injection.trigger, name)
        return targets

    def _compared_with(self, evaluation: Evaluation, experiment: Experiment) -> list[str]:
        """Injections of an experiment whose triggers say something about an evaluation."""
        names = [name for name in self.injections_of(experiment) if name != CLEAN]
        if evaluation.injection == CLEAN:
            return names
        return [name for name in names if evaluation.injection in (name, self.injection(name).control)]

    def _two_targets(self, trigger: str, injection: str) -> ConfigError:
        return ConfigError(
            f'the students of one evaluation see the trigger "{trigger}" with two different targets',
            where=f"{self.where}, injections.{injection}.trigger",
            mend="add an entry to triggers.yaml with the same picture and another name, and name it in one of them",
        )

    @cached_property
    def _experiments_with(self) -> dict[Evaluation, list[str]]:
        found: dict[Evaluation, list[str]] = {}
        for name, experiment in sorted(self.study.experiments.items()):
            for evaluation in self._evaluations_of(experiment):
                found.setdefault(evaluation, []).append(name)
        return found

    @property
    def controls(self) -> dict[str, str]:
        """The control of every infected injection of the study."""
        found = {name: self.injection(name).control for name in self.injection_names}
        return {name: control for name, control in found.items() if control}

    def description_of(self, evaluation: Evaluation) -> dict[str, Any]:
        """What the tables need to know of an evaluation, as parameters of the rules that aggregate."""
        injection = None if evaluation.injection == CLEAN else self.injection(evaluation.injection)
        return {
            "control": injection.control if injection else None,
            "dataset": evaluation.dataset,
            "experiments": {name: self._scope(name) for name in self._experiments_with[evaluation]},
            "injection": evaluation.injection,
            "targets": dict(sorted(self.targets_of(evaluation).items())),
            "teacher": evaluation.teacher,
        }

    def _scope(self, experiment: str) -> dict[str, list[str]]:
        """What an experiment asks of the evaluations that it shares with others."""
        entry = self.study.experiments[experiment]
        triggers = {self.injection(name).trigger for name in self.injections_of(entry) if name != CLEAN}
        return {"attacks": sorted(name for name in triggers if name), "methods": sorted(entry.methods)}

    @cached_property
    def digest(self) -> str:
        """sha256 of the study and the catalogue entries it uses, without where files lie; code is not in it."""
        used = {
            "study": plain(self.study) | {"data_root": None, "checkpoint_seconds": None},
            "datasets": {name: self._dataset_recipe(name) for name in self.dataset_names},
            "teachers": {name: plain(self.teacher(name)) for name in self.teacher_names},
            "injections": {name: plain(self.injection(name)) for name in self.injection_names},
            "triggers": {name: plain(entry) for name, entry in self.catalogue.triggers.items() if name in self._shown},
        }
        return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()

    def _dataset_recipe(self, name: str) -> dict[str, Any]:
        recipe = plain(self.dataset(name))
        del recipe["counts"]  # estimates alone read it
        return recipe

    @property
    def _shown(self) -> set[str]:
        return {trigger for evaluation in self.evaluations for trigger in self.triggers_of(evaluation)}

    @property
    def infected_teachers(self) -> list[tuple[str, str]]:
        """Every (teacher, injection) that students start from."""
        return sorted({(evaluation.teacher, evaluation.injection) for evaluation in self.evaluations})

    def preparations_of(self, dataset: str) -> list[str]:
        """Preparations of a data set that the study uses."""
        injections = [self.injection(name) for name in self.injection_names]
        sources = [self.teacher(name).source for name in self.teacher_names]
        users: list[Injection | Pretrained] = [*injections, *(s for s in sources if isinstance(s, Pretrained))]
        of_users = {user.preparation for user in users if user.dataset == dataset}
        of_students = {self.study.preparations[dataset]} if dataset in self.study.preparations else set()
        return sorted(of_users | of_students)

    @property
    def prepared_data(self) -> list[tuple[str, str]]:
        """Every (data set, preparation) that the study uses."""
        return [(name, preparation) for name in self.dataset_names for preparation in self.preparations_of(name)]

    def origin_of(self, dataset: str, preparation: str) -> dict[str, str]:
        """What the catalogue says of a prepared data set, for the table of data checks."""
        entry = self.dataset(dataset)
        return {"licence": entry.licence, "overlaps": entry.overlaps, "preparation": preparation}

    @property
    def folders(self) -> list[str]:
        """Every folder whose files this study makes or uses."""
        data = [
            folder
            for name in self.dataset_names
            for folder in (paths.raw_folder(name), *(paths.data_folder(name, p) for p in self.preparations_of(name)))
        ]
        clean = [paths.teacher_folder(name, CLEAN) for name in self.teacher_names]
        infected = [paths.teacher_folder(*names) for names in self.infected_teachers]
        return sorted({*data, *clean, *infected, f"{paths.RESULTS}/{self.study.name}"})

    @property
    def defects(self) -> list[str]:
        """Injections of the study that plant something."""
        return [name for name in self.injection_names if self.injection(name).kind != "clean"]

    @property
    def figures(self) -> list[str]:
        """Names of the study's figures, its contact sheets last."""
        return [*FIGURES, *self.contact_sheets]

    @property
    def contact_sheets(self) -> list[str]:
        """Name of the contact sheet of each defect."""
        return [f"contact_sheet_{name}" for name in self.defects]

    def sheet_of(self, injection: str) -> dict[str, Any]:
        """What of an injection shows in its pictures, as parameters."""
        entry = self.injection(injection)
        names = ("dataset", "portion", "seed", "target", "trigger", "wrong_labels")
        shown = {name: getattr(entry, name) for name in names}
        return {"augmentation": self.augmentation_of(entry.dataset), "injection": injection, **shown}

    @property
    def histories(self) -> dict[str, dict[str, Any]]:
        """History of every student and of every teacher after its injection, with the names it belongs to."""
        found = {
            f"{paths.teacher_folder(teacher, injection)}/history.parquet": {
                "teacher": teacher,
                "injection": injection,
                "dataset": self.injection(injection).dataset,
                "method": "teacher",
            }
            for teacher, injection in self.infected_teachers
            if injection != CLEAN
        }
        for student in self.students:
            keys = {**vars(student.evaluation), **_own(student)}
            found[f"{student.folder(self.study.name)}/history.parquet"] = keys
        return found

    @property
    def benchmarks(self) -> dict[str, dict[str, Any]]:
        """Benchmark file of every job that makes data, a model or predictions, with the names it belongs to."""
        return {
            paths.record(folder, rule, "benchmarks"): {"rule": rule, **keys}
            for rule, folder, keys in self.costly_jobs()
        }

    def costly_jobs(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Give the rule, the output folder and the names of every job but those of tables and figures."""
        for dataset in self.dataset_names:
            drawn = isinstance(self.dataset(dataset).source, Drawn)
            yield "render_dataset" if drawn else "download_dataset", paths.raw_folder(dataset), {"dataset": dataset}
            for preparation in self.preparations_of(dataset):
                yield "prepare_dataset", paths.data_folder(dataset, preparation), {"dataset": dataset}
        for teacher in self.teacher_names:
            trained = isinstance(self.teacher(teacher).source, Pretrained)
            rule = "pretrain_teacher" if trained else "fetch_teacher"
            yield rule, paths.teacher_folder(teacher, CLEAN), {"teacher": teacher, "injection": CLEAN}
        for teacher, injection in self.infected_teachers:
            if injection != CLEAN:
                keys = {"teacher": teacher, "injection": injection, "dataset": self.injection(injection).dataset}
                yield "inject_defect", paths.teacher_folder(teacher, injection), keys
        for student in self.students:
            yield "train_student", student.folder(self.study.name), {**vars(student.evaluation), **_own(student)}
        for evaluation in self.evaluations:
            yield "evaluate_students", evaluation.folder(self.study.name), dict(vars(evaluation))

    @property
    def dataset_names(self) -> list[str]:
        """Data sets of the study: of its students, its injections and its teachers."""
        of_students = {evaluation.dataset for evaluation in self.evaluations}
        of_injections = {self.injection(name).dataset for name in self.injection_names}
        sources = [self.teacher(name).source for name in self.teacher_names]
        of_teachers = {source.dataset for source in sources if isinstance(source, Pretrained)}
        return sorted(of_students | of_injections | of_teachers)
