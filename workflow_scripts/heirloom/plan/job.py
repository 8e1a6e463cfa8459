"""One job of a study, and what the builders of the plan say of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Files = str | Sequence[str]


class Carried(str):
    """A big file whose content a card beside it carries: its age says nothing, so Snakemake does not look at it."""

    __slots__ = ()


@dataclass(frozen=True)
class Job:
    """One job. `rule` and `place` tell it from all others.

    `place`: the folder of its outputs or, where several jobs share one, a name below it; logs are called by it.
    `output`: the file that shows that it is done; `beside`: its other files in a folder that several share. `inputs`
    and `settings`: what its stage takes, by name; settings are JSON values, and a change of one reruns the job. `code`:
    modules that it runs beside its stage's own. `libraries`: versions of other people's code that decides its results.
    `names`: where it belongs in the tables (teacher, injection, dataset, method, seed, attack); none for tables,
    figures and the report. `experiments`: those that ask for its output by name.
    """

    rule: str
    place: str
    output: str
    beside: Sequence[str] = ()
    inputs: Mapping[str, Files] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    code: Sequence[str] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    experiments: frozenset[str] = frozenset()

    @property
    def is_asked_for(self) -> bool:
        """Whether a run of the whole study asks for it, and not only other jobs: tables, figures and the report."""
        return not self.names and self.rule != "collect_measurements"

    @property
    def files(self) -> Iterator[str]:
        """Every file that it reads."""
        for files in self.inputs.values():
            yield from (files,) if isinstance(files, str) else files


def prepared(folder: str, part: str) -> dict[str, Files]:
    """Inputs that are one part of a prepared data set."""
    return {
        "card": f"{folder}/card.json",
        "images": Carried(f"{folder}/{part}/images.npy"),
        "index": Carried(f"{folder}/{part}/index.parquet"),
    }


def weights(folder: str, prefix: str = "teacher_") -> dict[str, Files]:
    """Inputs that are one trained model."""
    return {f"{prefix}card": card(folder), f"{prefix}weights": Carried(f"{folder}/weights.safetensors")}


def card(folder: str) -> str:
    """The card of a folder."""
    return f"{folder}/card.json"


def cards(folders: Iterable[str]) -> list[str]:
    """The cards of some folders."""
    return [card(folder) for folder in folders]


def carried(folders: Iterable[str], name: str) -> list[str]:
    """The big file of one name in each of some folders."""
    return [Carried(f"{folder}/{name}") for folder in folders]
