"""A study expanded into its jobs: which teachers, injections, students and evaluations, and what each is given.

Rules ask the grid for inputs, parameters and threads by wildcards; nothing else knows how a study unfolds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from heirloom.config import attack_experiments, attention, paths, repairs, robust_models
from heirloom.config.attacks import AttackControl, AttackSettings, OnModel, OnTeacher
from heirloom.config.checks import check_names
from heirloom.config.models import (
    Body,
    Dataset,
    Fetched,
    Files,
    Pretrained,
    RemoteFile,
    Selection,
    Teacher,
)
from heirloom.config.names import CLEAN
from heirloom.config.records import Attacked, Crafted, Detection, Evaluation, Slice, Student, canonical
from heirloom.config.robust import RobustFetched
from heirloom.config.study import Catalogue, Detector, Experiment, Injection, Method, MethodEntry, Study, Trigger
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.remember import remembered

AttackKind = TypeVar("AttackKind", OnTeacher, AttackControl)


@dataclass(frozen=True)
class Grid:
    """A study and the catalogue entries it uses; every name in it has been checked."""

    study: Study
    catalogue: Catalogue
    where: str = "study"
    project: Path = Path()  # folder of the Snakefile
    pictures: Mapping[str, str] = field(default_factory=dict)  # sha256 of the triggers' files, by path

    def __post_init__(self) -> None:
        """Check every name, once."""
        robust_models.check(self)
        repairs.check(self)
        attack_experiments.check(self)
        check_names(self)
        for evaluation in self.evaluations:
            self.targets_of(evaluation)
        attention.check(self)

    # -- what there is -----------------------------------------------------------------------------------------------

    def injections_of(self, experiment: Experiment) -> list[str]:
        """Injections of an experiment and the controls they are compared with."""
        controls = [self.injection(name).compared_with for name in experiment.injections if name != CLEAN]
        return sorted({*experiment.injections, *(name for name in controls if name)})

    @cached_property
    def judged_students(self) -> list[Student]:
        """Every student that is evaluated, each once however many experiments share it."""
        return sorted(
            {
                Student(evaluation, method, seed)
                for experiment in self.study.experiments.values()
                for evaluation in self.evaluations_of(experiment)
                for method in experiment.methods
                for seed in self.study.seeds
            }
        )

    @cached_property
    def students(self) -> list[Student]:
        """Every student that is trained: those that are evaluated, and the candidates they are selected from."""
        return sorted(
            {
                Student(student.evaluation, method, student.seed)
                for student in self.judged_students
                for method in self.trained_for(student.method)
            }
        )

    @property
    def selected_students(self) -> list[Student]:
        """Every student that is one of several candidates, chosen on validation images."""
        return [student for student in self.judged_students if student.method in self.selections]

    @property
    def selections(self) -> dict[str, Selection]:
        """Methods that select among others, by name."""
        return {name: entry for name, entry in self.methods.items() if isinstance(entry, Selection)}

    def trained_for(self, method: str) -> tuple[str, ...]:
        """Methods whose students are trained for a method's: its own, or all its candidates'."""
        entry = self.methods[method]
        return entry.candidates if isinstance(entry, Selection) else (method,)

    def evaluations_of(self, experiment: Experiment) -> Iterator[Evaluation]:
        """Evaluations of an experiment, those of controls included."""
        for teacher in experiment.teachers:
            for injection in self.injections_of(experiment):
                for dataset in self.datasets_for(injection, experiment):
                    yield Evaluation(teacher, injection, dataset)

    def datasets_for(self, injection: str, experiment: Experiment) -> tuple[str, ...]:
        """Data sets that the students of an injection learn in an experiment."""
        return (self.injection(injection).dataset,) if experiment.same_data_set else experiment.datasets

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """Every evaluation, sorted; one without students judges its teacher alone."""
        experiments = self.study.experiments.values()
        return sorted({found for experiment in experiments for found in self.evaluations_of(experiment)})

    @property
    def teacher_names(self) -> list[str]:
        """Teachers of the study, sorted."""
        return sorted({evaluation.teacher for evaluation in self.evaluations})

    @property
    def method_names(self) -> list[str]:
        """Methods of the study, candidates of its selections and slices that attackers know included."""
        judged = {student.method for student in self.judged_students}
        return sorted(judged | {student.method for student in self.students} | {each.method for each in self.slices})

    @property
    def attack_names(self) -> list[str]:
        """Attacks of the study, the noises they are compared with included."""
        of_students = {name for experiment in self.study.experiments for name in self._attack_names(experiment)}
        return sorted(of_students | repairs.attack_names(self) | attack_experiments.attack_names(self))

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

    def body(self, model: str) -> Body:
        """The network of a teacher or robust model; no two have one name."""
        entry = self.catalogue.teachers.get(model) or self.catalogue.robust[model]
        return entry.body

    def injection(self, name: str) -> Injection:
        """An injection's entry."""
        return self.catalogue.injections[name]

    @cached_property
    def methods(self) -> dict[str, MethodEntry]:
        """Methods by name: the catalogue's, and the study's own, which take the place of the catalogue's."""
        return {**self.catalogue.methods, **self.study.methods}

    @remembered
    def method(self, name: str, dataset: str) -> Method:
        """The recipe by which students of a data set are trained."""
        entry = self.methods[name]
        assert not isinstance(entry, Selection)
        return entry.for_dataset(dataset)

    @remembered
    def method_recipe(self, name: str, dataset: str) -> Mapping[str, Any]:
        """The same as parameters."""
        recipe = canonical(self.method(name, dataset))
        del recipe["per_dataset"]  # it has been applied
        return recipe

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
        """How to get each data set and teacher behind a login, a form or a changing address, by the entry's key."""
        return {key: source.instructions for key, source in self._foreign_sources.items()}

    @cached_property
    def _foreign_sources(self) -> dict[str, Files | Fetched | RobustFetched]:
        """Sources of all entries that somebody else made, by the entry's key."""
        sections = {name: getattr(self.catalogue, name) for name in ("datasets", "teachers", "robust")}
        sources = {
            f"{section}.{name}": found.source for section in sections for name, found in sections[section].items()
        }
        return {key: source for key, source in sources.items() if isinstance(source, Files | Fetched | RobustFetched)}

    @property
    def local_paths(self) -> dict[str, dict[str, str]]:
        """Where files lie that have a path of their own: by the entry's key, then by name."""
        placed = {
            key: {file.name: file.local_path for file in files if file.local_path}
            for key, files in self.remote_files.items()
        }
        return {key: paths for key, paths in placed.items() if paths}

    @property
    def addresses(self) -> dict[str, dict[str, list[str]]]:
        """Where files can be downloaded: by the entry's key, then by name."""
        return {key: {file.name: list(file.urls) for file in files} for key, files in self.remote_files.items()}

    @cached_property
    def remote_files(self) -> dict[str, tuple[RemoteFile, ...]]:
        """Files of every data set, teacher and robust model that has some, by the entry's key."""
        sources = self._foreign_sources.items()
        return {key: source.files if isinstance(source, Files) else (source.file,) for key, source in sources}

    def trigger_files(self, names: Iterable[str]) -> list[str]:
        """Paths of the triggers' files from the working folder, so that they are the same in every clone."""
        files = [file for name in names for file in self.trigger(name).files().values()]
        return [os.path.relpath(self.project / file) for file in files]

    def trigger(self, name: str) -> Trigger:
        """A trigger's entry."""
        return self.catalogue.triggers[name]

    def trigger_recipe(self, name: str) -> dict[str, Any]:
        """What a trigger does to an image: all but its title, which is for readers."""
        recipe = canonical(self.trigger(name))
        del recipe["title"]
        return recipe

    @remembered
    def augmentation_of(self, dataset: str) -> Mapping[str, Any]:
        """How a data set's training images are varied, as parameters."""
        return canonical(self.dataset(dataset).augmentation)

    def injection_data(self, injection: str) -> str:
        """Folder of the data an injection trains on."""
        entry = self.injection(injection)
        return paths.data_folder(entry.dataset, entry.preparation)

    def student_data(self, dataset: str) -> str:
        """Folder of the data a student learns and is judged on."""
        return paths.data_folder(dataset, self.study.preparations[dataset])

    def injection_recipe(self, injection: str) -> dict[str, Any]:
        """What an injection's training uses: not the name of its control."""
        entry = self.injection(injection)
        return {key: value for key, value in canonical(entry).items() if key not in entry.unused}

    def triggers_in(self, injection: str) -> dict[str, dict[str, Any]]:
        """The triggers that an injection plants, by name."""
        return {name: self.trigger_recipe(name) for name in self.injection(injection).triggers}

    @property
    def questions(self) -> dict[str, str]:
        """What each experiment asks."""
        asked = {name: entry.question for name, entry in self.study.experiments.items()}
        asked |= {name: entry.question for name, entry in self.study.repair_experiments.items()}
        asked |= {name: entry.question for name, entry in self.study.attack_experiments.items()}
        return dict(sorted(asked.items()))

    def students_of(self, evaluation: Evaluation) -> list[Student]:
        """Students judged together."""
        return self._students_by_evaluation.get(evaluation, [])

    @cached_property
    def _students_by_evaluation(self) -> dict[Evaluation, list[Student]]:
        found: dict[Evaluation, list[Student]] = {}
        for student in self.judged_students:
            found.setdefault(student.evaluation, []).append(student)
        return found

    def judges_teacher(self, evaluation: Evaluation) -> bool:
        """Whether the teacher itself can be judged: its head knows the data set's classes."""
        if evaluation.injection == CLEAN:
            return self.teacher(evaluation.teacher).source.dataset == evaluation.dataset
        return self.knows_classes(evaluation.injection, evaluation.dataset)

    def knows_classes(self, injection: str, dataset: str) -> bool:
        """Whether the head of a teacher after an injection knows a data set's classes: it was trained on it."""
        if injection == CLEAN:
            return False
        entry = self.injection(injection)
        return (entry.dataset, entry.preparation) == (dataset, self.study.preparations[dataset])

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
                target = injection.aim if injection.dataset == evaluation.dataset else None
                for trigger in injection.triggers:
                    if targets.setdefault(trigger, target) != target:
                        raise self._two_targets(trigger, name)
        return targets

    def _compared_with(self, evaluation: Evaluation, experiment: Experiment) -> list[str]:
        """Injections of an experiment whose triggers say something about an evaluation."""
        names = [name for name in self.injections_of(experiment) if name != CLEAN]
        if evaluation.injection == CLEAN:
            return names
        return [name for name in names if evaluation.injection in (name, self.injection(name).compared_with)]

    def _two_targets(self, trigger: str, injection: str) -> ConfigError:
        return ConfigError(
            f'the students of one evaluation see the trigger "{trigger}" with two different targets',
            where=f"{self.where}, injections.{injection}.trigger",
            mend="add an entry to triggers.yaml with the same picture and another name, and name it in one of them",
        )

    def experiments_with(self, evaluation: Evaluation) -> list[str]:
        """Experiments that an evaluation belongs to, sorted."""
        return self._experiments_with[evaluation]

    @cached_property
    def _experiments_with(self) -> dict[Evaluation, list[str]]:
        found: dict[Evaluation, list[str]] = {}
        for name, experiment in sorted(self.study.experiments.items()):
            for evaluation in self.evaluations_of(experiment):
                found.setdefault(evaluation, []).append(name)
        return found

    @property
    def controls(self) -> dict[str, str]:
        """The control of every infected injection of the study."""
        found = {name: self.injection(name).compared_with for name in self.injection_names}
        return {name: control for name, control in found.items() if control}

    # -- detectors ---------------------------------------------------------------------------------------------------

    def detector(self, name: str) -> Detector:
        """A detector's entry."""
        return self.catalogue.detectors[name]

    @cached_property
    def detections(self) -> list[Detection]:
        """Every detector's look at an injected teacher: those that experiments ask for or that students unlearn by."""
        needed = {
            found for student in self.students if (found := self.detection_of(student.evaluation, student.method))
        }
        return sorted({*self._measured_detections, *needed})

    @cached_property
    def _measured_detections(self) -> list[Detection]:
        """Those that the tables show."""
        return sorted(
            Detection(evaluation, name)
            for evaluation in self.evaluations
            if self.knows_classes(evaluation.injection, evaluation.dataset)
            for name in {name for found in self._experiments_with[evaluation] for name in self._detectors_in(found)}
        )

    def _detectors_in(self, experiment: str) -> tuple[str, ...]:
        return self.study.experiments[experiment].detectors

    def detection_of(self, evaluation: Evaluation, method: str) -> Detection | None:
        """What tells a method's students which trigger to unlearn; None for all other methods."""
        selects = isinstance(self.methods[method], Selection)
        detector = None if selects else self.method(method, evaluation.dataset).detection
        return None if detector is None else Detection(evaluation, detector)

    def asked_classes(self, evaluation: Evaluation) -> list[int]:
        """Labels whose scores the tables show beside the largest: the targets of the triggers shown, sorted."""
        return sorted({target for target in self.targets_of(evaluation).values() if target is not None})

    # -- attacks -----------------------------------------------------------------------------------------------------

    def attack(self, name: str) -> AttackSettings:
        """An attack's entry."""
        return self.catalogue.attacks[name]

    @remembered
    def attack_recipe(self, name: str) -> Mapping[str, Any]:
        """What an attack does to an image: not its title nor its control, which are for tables."""
        return {key: value for key, value in canonical(self.attack(name)).items() if key not in {"title", "control"}}

    def attacks_of(self, evaluation: Evaluation, kind: type[AttackKind]) -> dict[str, AttackKind]:
        """Attacks of one kind that these students see, by name, sorted."""
        found = {name: self.attack(name) for name in self._attacks_on(evaluation)}
        return {name: entry for name, entry in found.items() if isinstance(entry, kind)}

    def _attacks_on(self, evaluation: Evaluation) -> list[str]:
        """Attacks of all experiments that an evaluation belongs to, sorted."""
        return sorted({name for each in self._experiments_with[evaluation] for name in self._attack_names(each)})

    def _attack_names(self, experiment: str) -> set[str]:
        """Attacks of an experiment and the noises they are compared with."""
        named = set(self.study.experiments[experiment].attacks)
        entries = [self.attack(name) for name in named]
        controls = {entry.control for entry in entries if isinstance(entry, OnTeacher)}
        return named | {control for control in controls if control}

    @cached_property
    def crafted(self) -> list[Crafted]:
        """Every attack that is crafted once for all students of a teacher, injection and data set."""
        return sorted(
            Crafted(evaluation, name)
            for evaluation in self.evaluations
            for name in self.attacks_of(evaluation, OnTeacher)
        )

    @cached_property
    def slices(self) -> list[Slice]:
        """Every pruned teacher that an attacker knows."""
        known = {(each.evaluation, self.slice_of(each.attack)) for each in self.crafted}
        return sorted(Slice(evaluation, method) for evaluation, method in known if method)

    def slice_of(self, attack: str) -> str | None:
        """The method whose pruned teacher a feature attack drives; None where it drives the teacher itself."""
        entry = self.attack(attack)
        return entry.knows_slice_of if isinstance(entry, OnTeacher) else None

    def white_box(self, names: Iterable[str]) -> dict[str, OnModel]:
        """Those of some attacks that go at a model itself, by name, sorted."""
        found = {name: self.attack(name) for name in sorted(names)}
        return {name: entry for name, entry in found.items() if isinstance(entry, OnModel)}

    @remembered
    def white_box_of(self, student: Student) -> Mapping[str, OnModel]:
        """Attacks on a student itself, by name, sorted."""
        names = {
            name
            for experiment in self._experiments_with[student.evaluation]
            if student.method in self.study.experiments[experiment].methods
            for name in self.study.experiments[experiment].attacks
        }
        return self.white_box(names)

    @cached_property
    def attacked_students(self) -> list[Student]:
        """Every student that is attacked itself."""
        return [student for student in self.judged_students if self.white_box_of(student)]

    def description_of(self, evaluation: Evaluation) -> dict[str, Any]:
        """What the tables need to know of an evaluation, as parameters of the rules that aggregate."""
        injection = None if evaluation.injection == CLEAN else self.injection(evaluation.injection)
        return {
            "attacks": {**self._triggers_described(evaluation), **self._attacks_described(evaluation)},
            "control": injection.compared_with if injection else None,
            "dataset": evaluation.dataset,
            "experiments": {name: self._scope(name) for name in self._experiments_with[evaluation]},
            "injection": evaluation.injection,
            "teacher": evaluation.teacher,
        }

    def _triggers_described(self, evaluation: Evaluation) -> dict[str, dict[str, Any]]:
        """What the tables need to know of the triggers these students see."""
        titles = {name: self.catalogue.triggers[name].title for name in self.triggers_of(evaluation)}
        return {
            name: {"kind": "trigger", "target": target, "control": None, "title": titles[name]}
            for name, target in sorted(self.targets_of(evaluation).items())
        }

    def _attacks_described(self, evaluation: Evaluation) -> dict[str, dict[str, Any]]:
        """What the tables need to know of the attacks these students see."""
        return {name: self.attack_described(name) for name in self._attacks_on(evaluation)}

    def attack_described(self, name: str) -> dict[str, Any]:
        """What the tables need to know of an attack that is no trigger."""
        entry = self.attack(name)
        control = entry.control if isinstance(entry, OnTeacher) else None
        return {"kind": entry.group, "target": None, "control": control, "title": entry.title}

    def _scope(self, experiment: str) -> dict[str, Any]:
        """What an experiment asks of the evaluations that it shares with others."""
        entry = self.study.experiments[experiment]
        return {
            "attack_baseline": entry.attack_baseline,
            "attacks": self.attacks_in(experiment),
            "average": entry.average,
            "baseline": entry.baseline,
            "injection_baseline": entry.injection_baseline,
            "measures": self._measures_in(entry),
            "methods": sorted(entry.methods),
        }

    def attacks_in(self, experiment: str) -> list[str]:
        """Triggers and attacks of an experiment, the noises they are compared with included, sorted."""
        injections = self.injections_of(self.study.experiments[experiment])
        triggers = {trigger for name in injections if name != CLEAN for trigger in self.injection(name).triggers}
        return sorted(triggers | self._attack_names(experiment))

    def _measures_in(self, experiment: Experiment) -> list[str]:
        """What an experiment measures that is no rate: metrics of `heirloom.evaluation.measures`, sorted."""
        asked = {
            "attention_density": experiment.attention,
            "attention_overlap": experiment.attention,
            "detection_score": experiment.detectors,
        }
        return [metric for metric, wanted in asked.items() if wanted]

    @cached_property
    def digest(self) -> str:
        """sha256 of the study and the catalogue entries it uses, without where files lie; code is not in it."""
        used = {
            "study": canonical(self.study) | {"data_root": None, "checkpoint_seconds": None},
            "datasets": {name: self._dataset_recipe(name) for name in self.dataset_names},
            "teachers": {name: canonical(self.teacher(name)) for name in self.teacher_names},
            "injections": {name: canonical(self.injection(name)) for name in self.injection_names},
            "methods": {name: canonical(self.methods[name]) for name in self.method_names},
            "attacks": {name: canonical(self.attack(name)) for name in self.attack_names},
            "detectors": {each.detector: canonical(self.detector(each.detector)) for each in self.detections},
            **robust_models.recipes(self),
            **repairs.recipes(self),
            **attack_experiments.recipes(self),
            "triggers": {
                name: canonical(each) for name, each in self.catalogue.triggers.items() if name in self._shown
            },
            "pictures": dict(self.pictures),
        }
        return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()

    @property
    def trigger_names(self) -> list[str]:
        """Triggers that the study plants or shows."""
        planted = {trigger for name in self.injection_names for trigger in self.injection(name).triggers}
        return sorted(self._shown | planted)

    def _dataset_recipe(self, name: str) -> dict[str, Any]:
        recipe = canonical(self.dataset(name))
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
        of_robust = {preparation for name, preparation in robust_models.prepared_data(self) if name == dataset}
        of_students = {self.study.preparations[dataset]} if dataset in self.study.preparations else set()
        return sorted(of_users | of_robust | of_students)

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
        robust = [each.folder for each in robust_models.weights(self)]
        corrupted = [paths.corruption_folder(name) for name in repairs.suites(self)]
        return sorted({*data, *clean, *infected, *robust, *corrupted, f"{paths.RESULTS}/{self.study.name}"})

    @property
    def defects(self) -> list[str]:
        """Injections of the study that plant something."""
        return [name for name in self.injection_names if self.injection(name).plants]

    @property
    def robust_experiments(self) -> list[str]:
        """Experiments on robust models: those that repair and those that attack."""
        return [*self.study.repair_experiments, *self.study.attack_experiments]

    @property
    def ladders(self) -> dict[str, dict[str, list[str]]]:
        """Attacks from weak to strong by experiment and ladder."""
        return attack_experiments.ladders(self)

    @property
    def pictured(self) -> list[Attacked]:
        """Attacks on models themselves whose images a figure shows."""
        return attack_experiments.with_pictures(self)

    @property
    def attention_figures(self) -> dict[str, str]:
        """Name of the figure of every experiment that asks for attention, by the experiment."""
        return attention.figures(self)

    @property
    def contact_sheets(self) -> list[str]:
        """Name of the contact sheet of each defect."""
        return [f"contact_sheet_{name}" for name in self.defects]

    def sheet_of(self, injection: str) -> dict[str, Any]:
        """What of an injection shows in its pictures, as parameters."""
        entry = self.injection(injection)
        settings = {key: value for key, value in canonical(entry.pictured()).items() if key not in entry.unused}
        return {"augmentation": self.augmentation_of(entry.dataset), "name": injection, "injection": settings}

    @property
    def dataset_names(self) -> list[str]:
        """Data sets of the study: of its students, its injections and its teachers."""
        of_students = {evaluation.dataset for evaluation in self.evaluations}
        of_injections = {self.injection(name).dataset for name in self.injection_names}
        sources = [self.teacher(name).source for name in self.teacher_names]
        of_teachers = {source.dataset for source in sources if isinstance(source, Pretrained)}
        of_robust = {name for name, _ in robust_models.prepared_data(self)} | repairs.published_corruptions(self)
        return sorted(of_students | of_injections | of_teachers | of_robust)
