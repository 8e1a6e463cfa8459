"""Numbers that others published, by the study and experiment they are held against (config/published.yaml)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.load import parse, read_yaml
from heirloom.config.models import Name, Share, Strict
from heirloom.config.study import Study
from heirloom.runtime.errors import ConfigError

FILE = "published.yaml"
CLEAN = "none"
ALL = "all"  # the condition of the mean over all corruptions
MEAN = "mean"  # the data set of rates averaged over data sets

Percent = Annotated[float, Field(ge=0, le=100)]
Pair = tuple[Percent | None, Percent | None]
Triple = tuple[Percent | None, Percent | None, Percent | None]
Metric = Literal["attack_success", "targeted_success", "untargeted_success", "robust_accuracy"]
AnyMetric = Literal["accuracy", "corruption_accuracy"] | Metric
# How a number was read: in the authors' readme or artifact, in the paper, in its abstract; computed from these
Tag = Literal["R", "P", "A", "C"]


class Tolerance(Strict):
    """How far a measured mean may lie from a published number and still agree with it: the larger of the two."""

    points: Percent = Field(0.0, description="percentage points")
    share: Share = Field(0.0, description="of the published number")

    def of(self, value: float) -> float:
        """Return the tolerance of a published rate in [0, 1]."""
        return max(self.points / 100, self.share * value)


class PublishedTable(Strict):
    """One table or figure: in percent, by teacher, data set and method, accuracy and one or two other numbers."""

    source: str = Field(description="where the numbers stand")
    tag: Tag = Field(description="how the source was read: R readme or artifact, P paper, A abstract, C computed")
    tags: dict[Name, Tag] = Field({}, description="data sets whose numbers were read otherwise")
    injection: Name = Field(CLEAN, description="what was done to the teacher")
    attack: Name = Field(description="the attack of the second numbers")
    metric: Metric = Field("attack_success", description="what the second numbers are")
    mean_of: tuple[Name, ...] = Field((), description='data sets that the numbers of the data set "mean" are over')
    tolerance: dict[AnyMetric, Tolerance] = Field({}, description="by metric")
    tolerance_reason: str = Field("", description="why this tolerance")
    incomparable: str = Field("", description="why none of these numbers can be held against a measurement")
    incomparable_methods: dict[Name, str] = Field({}, description="methods of which this is so, each with the reason")
    incomparable_metrics: dict[AnyMetric, str] = Field(
        {}, description="metrics of which this is so, each with the reason"
    )
    values: dict[Name, dict[Name, dict[Name, Pair | Triple]]] = Field(
        description="teacher: data set: method: [accuracy, attack success], or [accuracy, mean accuracy under"
        " corruptions, robust accuracy]; null where nothing is published"
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.tolerance and not self.tolerance_reason:
            raise ValueError("a tolerance needs its tolerance_reason")
        if any(MEAN in datasets for datasets in self.values.values()) and not self.mean_of:
            raise ValueError('numbers of the data set "mean" need mean_of')
        return self

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the numbers as plain rows without study and experiment, rates in [0, 1]."""
        for teacher, datasets in self.values.items():
            for dataset, methods in datasets.items():
                for method, numbers in methods.items():
                    place = {"teacher": teacher, "injection": self.injection, "dataset": dataset, "method": method}
                    for shown, percent in self._told(numbers):
                        yield place | shown | self._judged_by(place, shown["metric"], percent)

    def _told(self, numbers: Pair | Triple) -> Iterator[tuple[dict[str, str], float]]:
        """Yield the numbers of one model, each with what was shown to it and the metric."""
        clean = {"attack": CLEAN, "condition": "", "metric": "accuracy"}
        corrupted = {"attack": CLEAN, "condition": ALL, "metric": "corruption_accuracy"}
        attacked = {"attack": self.attack, "condition": "", "metric": self.metric}
        named = (clean, corrupted, attacked) if len(numbers) == 3 else (clean, attacked)
        for shown, percent in zip(named, numbers, strict=True):
            if percent is not None:
                yield shown, percent

    def _judged_by(self, place: dict[str, str], metric: str, percent: float) -> dict[str, Any]:
        """Return a number with its source and what it is held to."""
        value = round(percent / 100, 6)
        tolerance = self.tolerance.get(metric)  # type: ignore[call-overload]
        of_metric = self.incomparable_metrics.get(metric, "")  # type: ignore[call-overload]
        reasons = (self.incomparable, self.incomparable_methods.get(place["method"], ""), of_metric)
        return {
            "value": value,
            "source": f"{self.source} [{self.tags.get(place['dataset'], self.tag)}]",
            "tolerance": tolerance.of(value) if tolerance else None,
            "incomparable": next(filter(None, reasons), ""),
        }


class Published(Strict):
    """All published numbers."""

    studies: dict[Name, dict[Name, tuple[PublishedTable, ...]]] = Field(description="study: experiment: tables")

    @model_validator(mode="after")
    def _each_number_once(self) -> Self:
        for study in self.studies:
            keys = ("experiment", "teacher", "injection", "dataset", "method", "attack", "condition", "metric")
            found = Counter(tuple(row[key] for key in keys if row[key]) for row in self.rows(study))
            twice = sorted(", ".join(key) for key, times in found.items() if times > 1)
            if twice:
                raise ValueError(f"{study} has two numbers for {twice[0]}")
        return self

    def rows(self, study: str) -> Iterator[dict[str, Any]]:
        """Yield the numbers of a study as plain rows."""
        for experiment, tables in self.studies.get(study, {}).items():
            for table in tables:
                for row in table.rows():
                    yield {"study": study, "experiment": experiment} | row


def load_published(path: Path) -> Published:
    """Read a file of published numbers. Raises ConfigError that lists every mistake."""
    return parse(Published, read_yaml(path), where=str(path))


def published_for(study: Study, project: Path = Path()) -> list[dict[str, Any]]:
    """Return the published numbers of a study as plain rows (`reporting.summary.PublishedNumber`), rates in [0, 1].

    They come from published.yaml of the study's catalogues, where there is one. A mean over other data sets than the
    study's experiment has is not comparable. Raises ConfigError.
    """
    paths = [project / folder / FILE for folder in study.catalogues]
    found = [load_published(path) for path in paths if path.is_file()]
    entered = [study.name in published.studies for published in found]
    if sum(entered) > 1:
        raise ConfigError(
            f'two files have published numbers of "{study.name}"',
            where=", ".join(str(path) for path in paths),
            mend="keep one of them",
        )
    return [row for published in found for row in _of_study(published, study)]


def _of_study(published: Published, study: Study) -> Iterator[dict[str, Any]]:
    """Yield the rows of a study, those that its data sets make incomparable with the reason."""
    tables = published.studies.get(study.name, {})
    means = {name: {dataset for table in found for dataset in table.mean_of} for name, found in tables.items()}
    for row in published.rows(study.name):
        experiment = study.experiments.get(row["experiment"])
        other = experiment is not None and set(experiment.datasets) != means[row["experiment"]]
        if row["dataset"] == MEAN and other and not row["incomparable"]:
            row = row | {"incomparable": "the published mean is over other data sets"}
        yield row
