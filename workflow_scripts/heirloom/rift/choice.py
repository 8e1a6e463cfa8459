"""Which modules a repair fine-tunes and at which rates: what validation images then choose among."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from heirloom.config.robust import Modules, NamedModules, RankedModules
from heirloom.models.classifier import Classifier
from heirloom.rift.criticality import Module, modules_of
from heirloom.runtime.errors import ConfigError, DataError
from heirloom.runtime.registry import known

WHOLE: tuple[str, ...] = ()  # the modules of a candidate that trains the whole model


@dataclass(frozen=True)
class Candidate:
    """One fine-tuning: its number, counted from 1, its modules' names below the body, or WHOLE, and its rate."""

    number: int
    modules: tuple[str, ...]
    learning_rate: float

    @property
    def title(self) -> str:
        """The modules in a table's cell."""
        return ", ".join(self.modules) or "all"

    @property
    def trained(self) -> tuple[str, ...] | None:
        """The modules as a phase of a training takes them."""
        return tuple(f"body.{name}" for name in self.modules) or None


@dataclass(frozen=True)
class ModuleFacts:
    """What a choice may look at: the model's modules, its head, its stages, the paper's module, the criticalities.

    `criticality` of each module by name; empty where it was not measured.
    """

    modules: Mapping[str, Module]
    head: str
    stages: tuple[str, ...]
    published: str | None
    criticality: Mapping[str, float]


def candidates(
    model: Classifier,
    modules: Modules,
    rates: Sequence[float],
    *,
    published: str | None = None,
    criticality: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """Return every set of modules that a repair tries, at every rate.

    A name must be exactly that of a convolution or a linear layer (docs/definitions.md#r4). Raises ConfigError, with
    the nearest names, for any other; for a published module where the model has none; for more modules than there are.
    Raises DataError where criticalities are missing or another model's.
    """
    ground = ModuleFacts(modules_of(model), model.spec.head, model.spec.stages, published, criticality or {})
    tried = [pair for names in _CHOICES[modules.kind](modules, ground) for pair in ((names, rate) for rate in rates)]
    return [Candidate(number, names, rate) for number, (names, rate) in enumerate(tried, start=1)]


def _exact(names: Sequence[str], ground: ModuleFacts) -> tuple[str, ...]:
    """Return modules in the model's order, each once; refuse names that are none."""
    for name in names:
        known(ground.modules, name, kind="convolution or linear layer")
    return tuple(name for name in ground.modules if name in set(names))


def _published(_: Any, ground: ModuleFacts) -> list[tuple[str, ...]]:
    if ground.published is None:
        mend = "give the robust model a published_module, or choose modules by criticality"
        raise ConfigError("no module is published for this model", where="modules: published", mend=mend)
    return [_exact([ground.published], ground)]


def _named(modules: NamedModules, ground: ModuleFacts) -> list[tuple[str, ...]]:
    return [_exact(modules.names, ground)]


def _head(_: Any, ground: ModuleFacts) -> list[tuple[str, ...]]:
    return [(ground.head,)]


def _all(_: Any, __: ModuleFacts) -> list[tuple[str, ...]]:
    return [WHOLE]


def _ranked(modules: RankedModules, ground: ModuleFacts) -> list[tuple[str, ...]]:
    """Take one end of the ranking, of the whole model or of each stage; of equals the first in the model's order."""
    if set(ground.criticality) != set(ground.modules):
        raise DataError(
            f"there are criticalities of {len(ground.criticality)} modules for the {len(ground.modules)} of this model",
            where="criticality.parquet",
            mend="measure the criticality of this model",
        )
    sign = 1 if modules.end == "lowest" else -1
    order = sorted(ground.modules, key=lambda name: sign * ground.criticality[name])
    if modules.of_each_stage:
        own = {stage: [name for name in order if ground.modules[name].stage == stage] for stage in ground.stages}
        return [(names[0],) for names in own.values()]
    if modules.top > len(order):
        raise ConfigError(f"{modules.top} modules of {len(order)}", where="modules.top", mend="lower it")
    return [_exact(order[: modules.top], ground)]


_CHOICES: Mapping[str, Callable[[Any, ModuleFacts], list[tuple[str, ...]]]] = MappingProxyType(
    {"published": _published, "named": _named, "criticality": _ranked, "head": _head, "all": _all}
)
