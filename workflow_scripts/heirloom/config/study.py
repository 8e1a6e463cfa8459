"""The keys of a study and of the catalogues it names, as pydantic models; what they hold is in the modules beside."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from heirloom.config.attacks import AttackControl, AttackSettings, OnModel, OnTeacher, refuse_former
from heirloom.config.kinds import ATTACKS, DETECTORS, FIELD, INJECTIONS, METHODS, TRIGGERS
from heirloom.config.models import (
    Attention,
    BatchSize,
    Count,
    Dataset,
    DetectorSettings,
    InjectionSettings,
    Name,
    Seed,
    Selection,
    Strict,
    Teacher,
    Threads,
    TransferSettings,
    TriggerSettings,
)
from heirloom.config.robust import CorruptionSuite, Criticality, Repair, RepairExperiment, RobustModel

USUAL_TRIGGER = "patch"  # of an entry that names no kind


def _of_a_kind(entry: object) -> object:
    """Name the kind of a trigger's entry that names none."""
    return {FIELD: USUAL_TRIGGER, **entry} if isinstance(entry, Mapping) else entry


if TYPE_CHECKING:
    Trigger = TriggerSettings
    Injection = InjectionSettings
    Detector = DetectorSettings
    Attack = AttackSettings
    ControlAttack = AttackControl
    TeacherAttack = OnTeacher
    WhiteBox = OnModel
    Method = TransferSettings
    MethodEntry = TransferSettings | Selection
else:
    Trigger = Annotated[TRIGGERS.settings(TriggerSettings), BeforeValidator(_of_a_kind)]
    Injection = INJECTIONS.settings(InjectionSettings)
    Detector = DETECTORS.settings(DetectorSettings)
    Attack = Annotated[ATTACKS.settings(AttackSettings), BeforeValidator(refuse_former)]
    ControlAttack = ATTACKS.settings(AttackControl)
    TeacherAttack = ATTACKS.settings(OnTeacher)
    WhiteBox = ATTACKS.settings(OnModel)
    Method = METHODS.settings(TransferSettings)
    MethodEntry = METHODS.settings(TransferSettings, Selection)


class Experiment(Strict):
    """A grid of students and the question it answers."""

    question: str = Field(description="what the experiment asks, one sentence")
    teachers: tuple[Name, ...] = Field(min_length=1, description="entries of the teachers catalogue")
    injections: tuple[Name, ...] = Field(min_length=1, description='entries of the injections catalogue, or "none"')
    datasets: tuple[Name, ...] = Field(min_length=1, description="data sets the students learn")
    methods: tuple[Name, ...] = Field(
        description="entries of this study's methods or the catalogue's; none where teachers alone are judged"
    )
    attacks: tuple[Name, ...] = Field(
        (), description="entries of the attacks catalogue; the triggers of the injections are shown without being named"
    )
    baseline: Name | None = Field(None, description="one of the methods: the one that all others are compared with")
    attack_baseline: Name | None = Field(
        None, description="one of the attacks: the one that all others are compared with, on the same student"
    )
    injection_baseline: Name | None = Field(
        None, description="one of the injections: the one that all others are compared with, by the same method"
    )
    average: bool = Field(False, description="whether rates are also averaged over the data sets (data set mean)")
    same_data_set: bool = Field(
        False, description="whether each injection's students learn the data set it was made on alone"
    )
    attention: Attention | None = Field(
        None, description="where models look, and what is shown of it; not measured if null"
    )
    detectors: tuple[Name, ...] = Field(
        (),
        description="entries of the detectors catalogue, run on each injected teacher whose head knows the classes",
    )


class AttackSuite(Strict):
    """Attacks that are run together, in one job for each model and seed."""

    title: str = Field("", description="name for readers")
    attacks: tuple[Name, ...] = Field(
        min_length=1, description="entries of the attacks catalogue, on models themselves"
    )


class AttackExperiment(Strict):
    """Models under suites of attacks, on themselves and from substitutes, and the question this answers."""

    question: str = Field(description="what the experiment asks, one sentence")
    models: tuple[Name, ...] = Field(
        min_length=1, description="entries of the robust catalogue that know one data set and preparation"
    )
    baseline: Name | None = Field(None, description="one of the models: the one that all others are compared with")
    suites: tuple[Name, ...] = Field(min_length=1, description="entries of the suites catalogue")
    attack_baseline: Name | None = Field(
        None, description="one of the suites' attacks: the one that all others are compared with, on the same model"
    )
    substitutes: tuple[Name, ...] = Field(
        (), description="entries of the robust catalogue: what the suites craft on each is shown to all other models"
    )
    ladders: dict[Name, Annotated[tuple[Name, ...], Field(min_length=2)]] = Field(
        {}, description="attacks of the suites from weak to strong, by the name of what grows; the figure draws each"
    )
    pictures: tuple[Name, ...] = Field(
        (), description="attacks of the suites whose images the picture grid shows, beside what models restore of them"
    )
    shown: Count = Field(3, ge=1, description="test images in that grid, chosen by the attacks' seeds")


class Study(Strict):
    """One study: what `snakemake` computes."""

    name: Name = Field(description="folder of its results")
    title: str = Field(description="heading of its report")
    catalogues: tuple[str, ...] = Field(
        ("config",),
        description="folders with the catalogues: datasets.yaml, methods.yaml, ...; relative to the project",
    )
    data_root: str | None = Field(None, description="folder with a user's own archives and weights")
    seeds: tuple[Seed, ...] = Field(min_length=1, description="one student each")
    preparations: dict[Name, Name] = Field({}, description="which preparation of each data set the students use")
    methods: dict[Name, MethodEntry] = Field({}, description="the study's own methods, by the name in its tables")
    repairs: dict[Name, Repair] = Field({}, description="the study's own repairs, by the name in its tables")
    experiments: dict[Name, Experiment] = Field({}, description="grids of students")
    repair_experiments: dict[Name, RepairExperiment] = Field({}, description="robust models before and after repairs")
    attack_experiments: dict[Name, AttackExperiment] = Field({}, description="models under suites of attacks")
    criticality: Criticality = Field(
        Criticality(), description="how the criticality of robust models' modules is measured"
    )
    evaluation_batch: BatchSize = Field(256, ge=1, description="images a batch when predicting")
    evaluation_threads: Threads = Field(2, ge=1, description="CPU threads when predicting and attacking")
    attack_batch: BatchSize = Field(
        32,
        ge=1,
        description="images a batch when attacking; at 224 pixels each takes up to 0.1 GB of activations",
    )
    checkpoint_seconds: float = Field(60.0, gt=0, description="wall time between checkpoints of a training, seconds")
    bootstrap_seed: Seed = Field(0, description="seed of the paired bootstrap")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        kinds: dict[str, Mapping[str, object]] = {
            "an experiment": self.experiments,
            "a repair experiment": self.repair_experiments,
            "an attack experiment": self.attack_experiments,
        }
        if not any(kinds.values()):
            raise ValueError(
                "a study needs an experiment: give it experiments, repair_experiments or attack_experiments"
            )
        for (first, mine), (second, others) in combinations(kinds.items(), 2):
            for name in sorted(mine.keys() & others.keys()):
                raise ValueError(f'"{name}" names {first} and {second}: give one another name')
        return self


class Catalogue(Strict):
    """Everything a study may name; one entry means the same thing in every study."""

    datasets: dict[Name, Dataset] = Field({})
    teachers: dict[Name, Teacher] = Field({})
    triggers: dict[Name, Trigger] = Field({})
    injections: dict[Name, Injection] = Field({})
    methods: dict[Name, MethodEntry] = Field({})
    attacks: dict[Name, Attack] = Field({})
    detectors: dict[Name, Detector] = Field({})
    robust: dict[Name, RobustModel] = Field({})
    repairs: dict[Name, Repair] = Field({})
    corruptions: dict[Name, CorruptionSuite] = Field({})
    suites: dict[Name, AttackSuite] = Field({})
