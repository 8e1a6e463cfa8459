"""The keys of a study and of the catalogues it names, as pydantic models; what they hold is in the modules beside."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from heirloom.config.attacks import Attack
from heirloom.config.models import Attention, Dataset, Detector, Injection, MethodEntry, Name, Strict, Teacher, Trigger
from heirloom.config.robust import CorruptionSuite, Criticality, Repair, RepairExperiment, RobustModel


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


class Study(Strict):
    """One study: what `snakemake` computes."""

    name: Name = Field(description="folder of its results")
    title: str = Field(description="heading of its report")
    catalogues: tuple[str, ...] = Field(
        ("config",),
        description="folders with the catalogues: datasets.yaml, methods.yaml, ...; relative to the project",
    )
    data_root: str | None = Field(None, description="folder with a user's own archives and weights")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1, description="one student each")
    preparations: dict[Name, Name] = Field({}, description="which preparation of each data set the students use")
    methods: dict[Name, MethodEntry] = Field({}, description="the study's own methods, by the name in its tables")
    repairs: dict[Name, Repair] = Field({}, description="the study's own repairs, by the name in its tables")
    experiments: dict[Name, Experiment] = Field({}, description="grids of students")
    repair_experiments: dict[Name, RepairExperiment] = Field({}, description="robust models before and after repairs")
    criticality: Criticality = Field(
        Criticality(), description="how the criticality of robust models' modules is measured"
    )
    evaluation_batch: int = Field(256, ge=1, description="images a batch when predicting")
    evaluation_threads: int = Field(2, ge=1, description="CPU threads when predicting and attacking")
    attack_batch: int = Field(
        32,
        ge=1,
        description="images a batch when attacking; at 224 pixels each takes up to 0.1 GB of activations",
    )
    checkpoint_seconds: float = Field(60.0, gt=0, description="wall time between checkpoints of a training, seconds")
    bootstrap_seed: int = Field(0, ge=0, description="seed of the paired bootstrap")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.experiments and not self.repair_experiments:
            raise ValueError("a study needs an experiment: give it experiments or repair_experiments")
        twice = sorted(self.experiments.keys() & self.repair_experiments.keys())
        if twice:
            raise ValueError(f'"{twice[0]}" names an experiment and a repair experiment: give one another name')
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
