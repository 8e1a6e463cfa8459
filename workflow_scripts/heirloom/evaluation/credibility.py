"""Whether a robust accuracy can be believed: what other attacks on the same model say of it.

The gate, for one model (method and seed) under an attack on the model itself. What it can be held against: every other
attack whose budget names the same norm and units and no larger epsilon, since whatever that one finds, this one was
allowed to find too; images that a substitute was attacked for are among them. Noise is none. Both are counted over the
images that both judged.

- Not credible: under one of these the accuracy lies below the Wilson 95 % lower bound of the accuracy under this one.
- Credible: no such thing, and among these is one that is gradient-free, stronger or adaptive, so that it could have
  been so.
- Not told (None): nothing of the kind was tried; nor is anything told of images that another model was attacked for,
  whose accuracy claims nothing of the worst change.

Stronger: it takes more steps of the attacked model's own gradient over all its starts, which checks nothing that needs
no gradient. Adaptive: it takes as many, around what masks the model's gradient (its budget says what it goes `through`;
Athalye, Carlini and Wagner, ICML 2018). Gradient-free: it or a member of its ensemble (Square, in AutoAttack) asks for
none, so masked gradients cannot stop it (Carlini et al., arXiv 1902.06705; Croce and Hein, ICML 2020); one that asks
fewer than 1,000 times, as published query attacks do, vouches for nothing (docs/definitions.md#f6), and one that asks
less often than another checks nothing that needs no gradient either. "Credible" is no proof: it says that the attacks
tried here agree.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from heirloom.config.kinds import ATTACKS, is_own
from heirloom.evaluation.metrics import CLEAN, UNJUDGED, Attack, Booleans, Labels, PredictionTable, Setting
from heirloom.evaluation.statistics import wilson

METRIC = "robust_accuracy"
LEAST_QUERIES = 1000  # of an image, below which a gradient-free attack has not really been tried
ON_ITSELF = "white-box"  # the kind of attack whose robust accuracy claims what the worst change does


def queries_of(facts: Mapping[str, Any]) -> float | None:
    """Return how often an attack that needs no gradient asks the model about an image, by its budget; else None."""
    ask = _said(facts, "queries")
    return None if ask is None else float(ask(facts))


def is_ensemble(facts: Mapping[str, Any]) -> bool:
    """Tell whether a budget is that of several attacks, one after the other."""
    return bool(_said(facts, "ENSEMBLE"))


def _said(facts: Mapping[str, Any], name: str) -> Any:
    """Return what the file of an attack says of it, by its budget; None where it says nothing."""
    kind = str(facts.get("kind"))
    return getattr(ATTACKS.load(kind), name, None) if is_own(kind) or kind in ATTACKS.names() else None


@dataclass(frozen=True)
class Power:
    """What a budget says of an attack's means: `steps` of gradient over all starts, and whether it can do without.

    `queries`: how often one that needs no gradient asks about an image; None for all others. `adaptive`: it goes around
    what masks a model's gradient.
    """

    norm: str
    units: str
    epsilon: float
    steps: int
    queries: float | None
    adaptive: bool

    @classmethod
    def of(cls, budget: str) -> Self | None:
        """Read a budget (JSON); None where it names no norm and epsilon, as a trigger's."""
        facts = json.loads(budget)
        if "norm" not in facts or "epsilon" not in facts:
            return None
        return cls(
            norm=facts["norm"],
            units=facts.get("units", "pixel"),
            epsilon=facts["epsilon"],
            steps=facts.get("steps", 0) * facts.get("restarts", 1) * facts.get("searches", 1),
            queries=queries_of(facts),
            adaptive=facts.get("through", "model") != "model",
        )

    def may_undercut(self, other: Power) -> bool:
        """Tell whether what this attack finds the other was allowed to find."""
        return (self.norm, self.units) == (other.norm, other.units) and self.epsilon <= other.epsilon

    def could_show(self, other: Power) -> bool:
        """Tell whether this attack is one by which the other can be checked."""
        if self.queries is not None:
            return self.queries >= max(LEAST_QUERIES, other.queries or 0)
        if other.queries is not None:
            return False
        return self.steps > other.steps or (self.adaptive and not other.adaptive and self.steps >= other.steps)


def credible(predictions: PredictionTable, attacks: Mapping[str, Attack]) -> dict[Setting, bool | None]:
    """Judge the robust accuracy of every model under every attack on itself, by the rule above."""
    found: dict[Setting, bool | None] = {}
    for setting in predictions.settings:
        attack = attacks.get(setting.attack)
        on_itself = attack is not None and attack.kind == ON_ITSELF and not setting.condition
        if setting.attack != CLEAN and on_itself:
            found[setting] = _judged(setting, predictions, attacks)
    return found


def all_credible(checks: Collection[bool | None]) -> bool | None:
    """Return what holds of a mean: False where one of its parts is not credible, True where all are."""
    if False in checks:
        return False
    return True if checks and None not in checks else None


def _judged(setting: Setting, predictions: PredictionTable, attacks: Mapping[str, Attack]) -> bool | None:
    """Hold one attack on one model against the others."""
    mine = Power.of(setting.budget)
    if mine is None:
        return None
    checked = False
    for other in _others(setting, predictions, attacks):
        power = Power.of(other.budget)
        if power is None or not power.may_undercut(mine):
            continue
        judged = _judged_by_both(predictions, setting, other)
        if not judged.any():
            continue
        if _undercuts(predictions.labels[judged], *(predictions.settings[each][judged] for each in (setting, other))):
            return False
        on_itself = attacks[other.attack].kind == ON_ITSELF and not other.condition
        checked |= on_itself and power.could_show(mine)
    return True if checked else None


def _others(setting: Setting, predictions: PredictionTable, attacks: Mapping[str, Attack]) -> Iterator[Setting]:
    """Yield the other attacks on the same model."""
    for other in predictions.settings:
        facts = attacks.get(other.attack)
        same = (other.method, other.seed) == (setting.method, setting.seed)
        if same and other != setting and facts is not None and facts.kind != "noise":
            yield other


def _judged_by_both(predictions: PredictionTable, *settings: Setting) -> Booleans:
    judged = np.all([predictions.settings[setting] != UNJUDGED for setting in settings], axis=0)
    return np.asarray(judged, dtype=np.bool_)


def _undercuts(labels: Labels, mine: Labels, other: Labels) -> bool:
    """Tell whether the other attack leaves fewer right than the interval of this one allows; all arrays (N,), N > 0."""
    low, _ = wilson(int((mine == labels).sum()), len(labels))
    return bool((other == labels).mean() < low)
