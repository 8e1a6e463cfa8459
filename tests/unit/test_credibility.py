"""Whether a robust accuracy can be believed is told by what other attacks on the same model leave."""

from __future__ import annotations

import json

import numpy as np
import pytest

from heirloom.evaluation.credibility import all_credible, credible
from heirloom.evaluation.metrics import CLEAN, Attack, EvaluationFacts, PredictionTable, Scope, Setting
from heirloom.evaluation.statistics import wilson
from heirloom.reporting.comparisons import Judged
from heirloom.reporting.summary import summary_rows
from heirloom.reporting.tables import measurement_rows

IMAGES = 200
LABELS = np.zeros(IMAGES, dtype=np.int32)
PGD_10 = {"kind": "pgd", "steps": 10, "restarts": 1}
PGD_20 = {"kind": "pgd", "steps": 20, "restarts": 1}
WORST_OF_3 = {"kind": "pgd", "steps": 10, "restarts": 3}
AUTO = {"kind": "autoattack"}
FEATURE = {"kind": "feature", "steps": 40}


def judged(right: int, *, first: int = 0) -> np.ndarray:
    """Return predictions of which the first `right` are right; the images before `first` were not judged."""
    found = np.where(np.arange(IMAGES) < right, 0, 1).astype(np.int32)
    found[:first] = -1
    return found


def checked(shown, *, seed=1, **kinds):
    """Return what the gate says by attack; `shown` maps an attack to its means, epsilon and predictions."""
    settings = {Setting("m", seed, CLEAN, "{}", ""): judged(IMAGES)}
    for name, (means, epsilon, predicted) in shown.items():
        budget = json.dumps({"norm": "Linf", "units": "pixel", "epsilon": epsilon, **means})
        settings[Setting("m", seed, name, budget, "")] = predicted
    predictions = PredictionTable(tuple(f"{place:03d}" for place in range(IMAGES)), LABELS, settings)
    attacks = {name: Attack(kinds.get(name, "white-box")) for name in shown}
    return {setting.attack: found for setting, found in credible(predictions, attacks).items()}


def test_an_attack_that_autoattack_undercuts_by_more_than_its_interval_is_not_credible():
    found = checked({"pgd": (PGD_10, 0.03, judged(100)), "auto": (AUTO, 0.03, judged(60))})
    assert found == {"pgd": False, "auto": None}


def test_an_attack_that_autoattack_undercuts_within_its_interval_is_credible():
    low, _ = wilson(100, IMAGES)
    inside = int(np.ceil(low * IMAGES))
    for left, expected in ((inside, True), (inside - 1, False)):
        found = checked({"pgd": (PGD_10, 0.03, judged(100)), "auto": (AUTO, 0.03, judged(left))})
        assert found["pgd"] is expected


def test_with_nothing_stronger_nothing_is_told():
    assert checked({"pgd": (PGD_10, 0.03, judged(100))}) == {"pgd": None}
    assert checked({"pgd": (PGD_20, 0.03, judged(100)), "less": (PGD_10, 0.03, judged(101))})["pgd"] is None


@pytest.mark.parametrize("stronger", [PGD_20, WORST_OF_3])
def test_more_steps_over_all_starts_are_stronger(stronger):
    found = checked({"pgd": (PGD_10, 0.03, judged(100)), "more": (stronger, 0.03, judged(99))})
    assert found == {"pgd": True, "more": None}


def test_even_a_weaker_attack_that_undercuts_shows_that_something_is_wrong():
    found = checked({"auto": (AUTO, 0.03, judged(100)), "pgd": (PGD_10, 0.03, judged(60))})
    assert found == {"auto": False, "pgd": True}  # nothing undercuts pgd, and auto could have


@pytest.mark.parametrize(
    ("other", "expected"), [((AUTO, 0.02), False), ((AUTO, 0.04), None), (({**AUTO, "norm": "L2"}, 0.03), None),
                            (({**AUTO, "units": "normalised"}, 0.03), None)]
)  # fmt: skip
def test_only_the_same_norm_and_units_and_no_larger_epsilon_count(other, expected):
    means, epsilon = other
    found = checked({"pgd": (PGD_10, 0.03, judged(100)), "auto": (means, epsilon, judged(20))})
    assert found["pgd"] is expected


def test_both_are_counted_over_the_images_that_both_judged():
    # auto judged the last 100 images alone, which pgd leaves all wrong: no difference there
    alike = checked({"pgd": (PGD_10, 0.03, judged(100)), "auto": (AUTO, 0.03, judged(0, first=100))})
    assert alike["pgd"] is True
    # of the images from 50 on pgd leaves a third right, auto none
    less = checked({"pgd": (PGD_10, 0.03, judged(100)), "auto": (AUTO, 0.03, judged(0, first=50))})
    assert less["pgd"] is False
    apart = judged(100)
    apart[100:] = -1
    assert checked({"pgd": (PGD_10, 0.03, apart), "auto": (AUTO, 0.03, judged(0, first=100))})["pgd"] is None


def test_an_attack_from_elsewhere_may_undercut_but_checks_nothing_and_noise_does_neither():
    kinds = {"far": "feature", "noise": "noise"}
    shown = {"pgd": (PGD_10, 0.03, judged(100)), "noise": ({"kind": "noise"}, 0.03, judged(10))}
    assert checked({**shown, "far": (FEATURE, 0.03, judged(180))}, **kinds) == {"pgd": None}
    assert checked({**shown, "far": (FEATURE, 0.03, judged(20))}, **kinds) == {"pgd": False}


def test_other_models_say_nothing():
    budget = json.dumps({"norm": "Linf", "units": "pixel", "epsilon": 0.03, **AUTO})
    pgd = json.dumps({"norm": "Linf", "units": "pixel", "epsilon": 0.03, **PGD_10})
    settings = {Setting("m", 1, "pgd", pgd, ""): judged(100), Setting("m", 2, "auto", budget, ""): judged(0),
                Setting("n", 1, "auto", budget, ""): judged(0)}  # fmt: skip
    predictions = PredictionTable(tuple(map(str, range(IMAGES))), LABELS, settings)
    attacks = {"pgd": Attack("white-box"), "auto": Attack("white-box")}
    assert credible(predictions, attacks)[Setting("m", 1, "pgd", pgd, "")] is None


@pytest.mark.parametrize(
    ("checks", "whole"),
    [
        *(([True, True], True), ([True, False], False), ([None, False], False)),
        *(([True, None], None), ([None], None), ([], None)),
    ],
)
def test_a_mean_is_credible_where_all_of_it_is(checks, whole):
    assert all_credible(checks) is whole


def test_the_tables_say_it_of_robust_accuracy_alone_and_of_all_seeds():
    budgets = {name: json.dumps({"norm": "Linf", "units": "pixel", "epsilon": 0.03, **means})
               for name, means in (("pgd", PGD_10), ("auto", AUTO))}  # fmt: skip
    settings = {}
    for seed, left in ((1, 99), (2, 60)):
        settings[Setting("m", seed, CLEAN, "{}", "")] = judged(150)
        settings[Setting("m", seed, "auto", budgets["auto"], "")] = judged(left)
        settings[Setting("m", seed, "pgd", budgets["pgd"], "")] = judged(100)
    predictions = PredictionTable(
        tuple(f"{place:03d}" for place in range(IMAGES)), LABELS, dict(sorted(settings.items()))
    )
    evaluation = EvaluationFacts("net", "none", "d", {"e": Scope()}, dict.fromkeys(budgets, Attack("white-box")))
    rows = measurement_rows(evaluation, predictions, study="s", config_digest="c")
    told = {(row["seed"], row["attack"], row["metric"]): row["credible"] for row in rows}
    assert (told[1, "pgd", "robust_accuracy"], told[2, "pgd", "robust_accuracy"]) == (True, False)
    assert {found for (_, _, metric), found in told.items() if metric != "robust_accuracy"} == {None}
    summary = summary_rows(rows, [Judged.of(evaluation, predictions)], seed=0)
    whole = {row["attack"]: row["credible"] for row in summary if row["metric"] == "robust_accuracy"}
    assert whole == {"pgd": False, "auto": None}


# -- FPD's attacks -----------------------------------------------------------------------------------------------------

RAW = {"kind": "pgd", "steps": 10, "restarts": 1, "through": "raw"}


def test_an_adaptive_attack_of_as_many_steps_checks_one_through_the_model_and_not_the_reverse():
    found = checked({"pgd": (PGD_10, 0.03, judged(100)), "raw": (RAW, 0.03, judged(99))})
    assert found == {"pgd": True, "raw": None}
    fewer = {**RAW, "steps": 9}
    assert checked({"pgd": (PGD_10, 0.03, judged(100)), "raw": (fewer, 0.03, judged(99))})["pgd"] is None


def test_an_adaptive_attack_that_undercuts_makes_the_other_not_credible():
    assert checked({"pgd": (PGD_10, 0.03, judged(180)), "raw": (RAW, 0.03, judged(5))})["pgd"] is False


def test_one_step_is_weaker_than_ten():
    once = {"kind": "pgd", "steps": 1, "start": "clean"}
    found = checked({"fgsm": (once, 0.03, judged(100)), "pgd": (PGD_10, 0.03, judged(99))})
    assert found == {"fgsm": True, "pgd": None}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"kind": "square", "queries": 5000}, True),
        ({"kind": "square", "queries": 100}, None),
        ({"kind": "hopskipjump", "steps": 50, "first_evaluations": 100}, True),
        ({"kind": "hopskipjump", "steps": 1, "first_evaluations": 100}, None),
        ({"kind": "zoo", "searches": 1, "steps": 3, "coordinates": 128}, None),
    ],
)
def test_a_gradient_free_attack_that_hardly_asks_vouches_for_nothing(asked, expected):
    assert checked({"pgd": (PGD_20, 0.03, judged(100)), "free": (asked, 0.03, judged(100))})["pgd"] is expected


def test_a_gradient_free_attack_is_checked_by_one_that_asks_no_less_often():
    few, many = {"kind": "square", "queries": 1000}, {"kind": "square", "queries": 2000}
    found = checked({"few": (few, 0.03, judged(100)), "many": (many, 0.03, judged(100))})
    assert found == {"few": True, "many": None}
    assert checked({"auto": (AUTO, 0.03, judged(100)), "few": (few, 0.03, judged(100))}) == {"auto": None, "few": True}


def test_images_of_a_substitute_undercut_but_claim_and_vouch_for_nothing():
    def found(left):
        budget = json.dumps({"norm": "Linf", "epsilon": 0.03, **PGD_20})
        weak = json.dumps({"norm": "Linf", "epsilon": 0.03, **PGD_10})
        settings = {
            Setting("m", 1, CLEAN, "{}", ""): judged(IMAGES),
            Setting("m", 1, "pgd-10", weak, ""): judged(100),
            Setting("m", 1, "pgd-20", budget, "from-other"): judged(left),
        }
        predictions = PredictionTable(tuple(f"{place:03d}" for place in range(IMAGES)), LABELS, settings)
        kinds = {name: Attack("white-box") for name in ("pgd-10", "pgd-20")}
        return {(each.attack, each.condition): said for each, said in credible(predictions, kinds).items()}

    assert found(5) == {("pgd-10", ""): False}
    assert found(100) == {("pgd-10", ""): None}
