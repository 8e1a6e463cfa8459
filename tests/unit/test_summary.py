"""Feature attacks beside noise, methods against a baseline, means over data sets, verdicts on published numbers."""

from __future__ import annotations

import json
import math
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from heirloom.evaluation.metrics import CLEAN, Attack, EvaluationFacts, PredictionTable, Scope, Setting
from heirloom.evaluation.statistics import t_interval, wilson
from heirloom.reporting.comparisons import Judged, comparison_rows
from heirloom.reporting.summary import PublishedNumber, check_controls, summary_rows
from heirloom.reporting.tables import (
    COMPARISONS,
    SUMMARY,
    is_measured,
    measurement_rows,
    read_comparisons,
    read_summary,
    write_comparisons,
    write_rows,
    write_summary,
)
from heirloom.reporting.views import shown
from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import table_metadata
from heirloom.runtime.seeds import derive_seed

IMAGES = 120
CLASSES = 5
ATTACKS = {
    "pixel": Attack("feature", control="noise", title="in pixels"),
    "noise": Attack("noise"),
    "pgd": Attack("white-box"),
    "mark": Attack("trigger", target=0),
}
BUDGETS = {CLEAN: "{}", "pixel": '{"eps": 6, "steps": 40}', "noise": '{"eps": 6}', "pgd": '{"eps": 8}', "mark": "{}"}
LABELS = (np.arange(IMAGES) % CLASSES).astype(np.int32)
RATES = {"tuned": (0.9, 0.7), "renewed": (0.7, 0.1), "pruned": (0.85, 0.6)}  # accuracy, attack success


def student(rng, accuracy: float, success: float) -> dict[str, np.ndarray]:
    """Return one student's predictions by attack; pgd judges every third image."""
    clean = np.where(rng.random(IMAGES) < accuracy, LABELS, (LABELS + 1) % CLASSES).astype(np.int32)
    found = {CLEAN: clean}
    for name, share in {"pixel": success, "noise": 0.05, "pgd": 0.95, "mark": 0.3}.items():
        found[name] = np.where(rng.random(IMAGES) < share, (LABELS + 2) % CLASSES, clean).astype(np.int32)
    found["pgd"][np.arange(IMAGES) % 3 > 0] = -1
    return found


def predictions(seeds, *, start=0, methods=RATES, attacks=ATTACKS, budgets=BUDGETS) -> PredictionTable:
    rng = np.random.default_rng(start)
    settings = {}
    for method in methods:
        for seed in seeds:
            for attack, predicted in student(rng, *RATES[method]).items():
                if attack == CLEAN or attack in attacks:
                    settings[Setting(method, seed, attack, budgets[attack], "")] = predicted
    return PredictionTable(tuple(f"{place:03d}" for place in range(IMAGES)), LABELS, dict(sorted(settings.items())))


def evaluation(dataset="rooms", *, injection="none", control=None, baseline="tuned", average=False, names=("main",)):
    scope = Scope(baseline=baseline, average=average)
    return EvaluationFacts("net", injection, dataset, dict.fromkeys(names, scope), ATTACKS, control)


def tables(found, judged, *, seed=0, published=()):
    """Return the summary and the comparisons of evaluations with their predictions."""
    measured = [
        row
        for described, each in zip(found, judged, strict=True)
        for row in measurement_rows(described, each, study="example", config_digest="abc")
    ]
    check_controls(found, judged)
    entries = [Judged.of(described, each) for described, each in zip(found, judged, strict=True)]
    rows = summary_rows(measured, entries, seed=seed, published=published)
    return rows, comparison_rows(entries, study="example", seed=seed)


def pick(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def count(judged: PredictionTable, method: str, seed: int, attack: str):
    """Return who is counted and hit for attack success, written out image by image."""
    clean = judged.settings[Setting(method, seed, CLEAN, "{}", "")]
    attacked = judged.settings[Setting(method, seed, attack, BUDGETS[attack], "")]
    counted = [c == label and a != -1 for c, a, label in zip(clean, attacked, LABELS, strict=True)]
    hit = [yes and a != label for yes, a, label in zip(counted, attacked, LABELS, strict=True)]
    return np.array(counted), np.array(hit)


# -- noise of the same size --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["attack_success", "robust_accuracy"])
def test_the_control_of_a_feature_attack_is_the_same_student_under_noise(metric):
    rows, _ = tables([evaluation()], [predictions([1])])
    for method in RATES:
        mine = pick(rows, method=method, attack="pixel", metric=metric)
        noise = pick(rows, method=method, attack="noise", metric=metric)
        assert mine["control"] == noise["mean"]
        assert mine["difference"] == pytest.approx(mine["mean"] - noise["mean"])
        assert mine["difference_low"] < mine["difference"] < mine["difference_high"]


def test_the_test_against_noise_is_mcnemars_over_the_correct_images_adjusted_by_holm():
    judged = predictions([1])
    rows, _ = tables([evaluation()], [judged])
    raw = {}
    for method in RATES:
        (counted, hit), (also, noisy) = (count(judged, method, 1, attack) for attack in ("pixel", "noise"))
        assert (counted == also).all()  # one student, one denominator
        only, other = int((hit & ~noisy).sum()), int((noisy & ~hit).sum())
        raw[method] = stats.binomtest(min(only, other), only + other, 0.5).pvalue if only + other else 1.0
    ranked = sorted(raw, key=raw.__getitem__)
    expected, largest = {}, 0.0
    for place, method in enumerate(ranked):
        largest = expected[method] = max(largest, min(1.0, (len(ranked) - place) * raw[method]))
    for method, p_value in expected.items():
        found = pick(rows, method=method, attack="pixel", metric="attack_success")["p_value"]
        assert found == pytest.approx(p_value)


def test_noise_and_white_box_rows_have_no_control():
    rows, _ = tables([evaluation()], [predictions([1])])
    for attack in ("noise", "pgd"):
        mine = [row for row in rows if row["attack"] == attack]
        assert {row["metric"] for row in mine} == {"attack_success", "robust_accuracy"}
        for name in ("control", "difference", "difference_low", "difference_high", "p_value"):
            assert {row[name] for row in mine} == {None}


def test_a_white_box_row_counts_the_images_it_was_tried_on():
    rows, _ = tables([evaluation()], [predictions([1])])
    assert pick(rows, method="tuned", attack="pgd", metric="robust_accuracy")["counts"] == (IMAGES // 3,) * 2


def test_an_infected_student_is_compared_with_noise_under_a_feature_attack_and_with_its_control_elsewhere():
    found = [evaluation(injection="infected", control="twin"), evaluation(injection="twin")]
    rows, _ = tables(found, [predictions([1], start=1), predictions([1], start=2)])
    place = {"method": "tuned", "injection": "infected"}
    assert (
        pick(rows, **place, attack="pixel", metric="attack_success")["control"]
        == (pick(rows, **place, attack="noise", metric="attack_success")["mean"])
    )
    twin = {"method": "tuned", "injection": "twin"}
    for attack, metric in ((CLEAN, "accuracy"), ("mark", "targeted_success")):
        mine = pick(rows, **place, attack=attack, metric=metric)
        assert mine["control"] == pick(rows, **twin, attack=attack, metric=metric)["mean"]
    # the twin under a feature attack is compared with noise as well, under the trigger with nothing
    assert pick(rows, **twin, attack="pixel", metric="attack_success")["control"] is not None
    assert pick(rows, **twin, attack="mark", metric="targeted_success")["control"] is None


def test_a_student_without_noise_of_the_same_size_is_refused():
    judged = predictions([1])
    del judged.settings[Setting("pruned", 1, "noise", BUDGETS["noise"], "")]
    with pytest.raises(DataError, match='"pruned" seed 1 saw the attack "pixel" but not its control "noise"'):
        tables([evaluation()], [judged])


def test_an_attack_with_two_budgets_is_refused():
    judged = predictions([1])
    setting = Setting("pruned", 1, "pgd", BUDGETS["pgd"], "")
    judged.settings[setting._replace(budget='{"eps": 8, "version": "2"}')] = judged.settings.pop(setting)
    with pytest.raises(DataError, match='saw the attack "pgd" with two budgets'):
        tables([evaluation()], [judged])


def test_a_control_that_saw_another_budget_is_refused():
    found = [evaluation(injection="ill", control="well"), evaluation(injection="well")]
    other = predictions([1], budgets=BUDGETS | {"mark": '{"side": 2}'})
    with pytest.raises(DataError, match='saw the attack "mark" with two budgets'):
        tables(found, [predictions([1]), other])


def test_rows_say_what_their_attack_is_and_the_file_keeps_it(tmp_path):
    rows, _ = tables([evaluation()], [predictions([1])])
    kinds = {row["attack"]: (row["kind"], row["title"]) for row in rows}
    assert kinds == {
        CLEAN: ("", ""),
        "pixel": ("feature", "in pixels"),
        "noise": ("noise", ""),
        "pgd": ("white-box", ""),
        "mark": ("trigger", ""),
    }
    write_summary(tmp_path / "summary.parquet", rows, study="example")
    assert read_summary(tmp_path / "summary.parquet") == rows


# -- noise that is nobody's control ------------------------------------------------------------------------------------


def further(judged: PredictionTable, shares) -> PredictionTable:
    """Show every student further attacks, each fooling a share of its images."""
    rng = np.random.default_rng(7)
    settings = dict(judged.settings)
    for setting, clean in judged.settings.items():
        for attack, share in shares.items() if setting.attack == CLEAN else ():
            wrong = np.where(rng.random(IMAGES) < share, (LABELS + 2) % CLASSES, clean).astype(np.int32)
            settings[setting._replace(attack=attack)] = wrong
    return PredictionTable(judged.samples, judged.labels, dict(sorted(settings.items())))


def asking(attacks, *, kinds=ATTACKS, dataset="rooms", **scope) -> EvaluationFacts:
    """Describe an evaluation of an experiment that shows some of the attacks."""
    return EvaluationFacts("net", "none", dataset, {"main": Scope(attacks=attacks, **scope)}, kinds)


ALONE = ATTACKS | {"clip": Attack("noise", title="the clip alone")}


def test_a_noise_that_is_nobodys_control_is_an_attack_of_its_own(tmp_path):
    found = asking(["pixel", "noise", "clip"], kinds=ALONE, baseline="tuned")
    rows, compared = tables([found], [further(predictions([1]), {"clip": 0.2})])
    write_summary(tmp_path / "summary.parquet", rows, study="example")
    read = read_summary(tmp_path / "summary.parquet")
    assert read == rows
    assert {row["attack"] for row in rows} - {row["attack"] for row in shown(read)} == {"noise"}
    assert {row["attack"] for row in compared} == {CLEAN, "pixel", "clip"}
    mine = pick(rows, method="pruned", attack="clip", metric="attack_success")
    assert (mine["title"], mine["control"], mine["p_value"]) == ("the clip alone", None, None)


def test_whether_a_noise_is_a_control_is_asked_of_each_experiment():
    scopes = {"beside": Scope(attacks=["noise", "pixel"]), "alone": Scope(attacks=["noise"])}
    found = EvaluationFacts("net", "none", "rooms", scopes, ATTACKS)
    seen = shown(tables([found], [predictions([1])])[0])
    assert {(row["experiment"], row["attack"]) for row in seen if row["attack"] != CLEAN} == {
        ("beside", "pixel"),
        ("alone", "noise"),
    }


def test_a_summary_that_does_not_say_which_attacks_are_controls_is_refused(tmp_path):
    rows, _ = tables([evaluation()], [predictions([1])])
    facts = {"schema": "summary", "counts": [row["counts"] for row in rows], "attacks": {}}
    write_rows(tmp_path / "summary.parquet", rows, columns=SUMMARY, **facts)
    with pytest.raises(DamagedFileError, match="what its attacks are"):
        read_summary(tmp_path / "summary.parquet")


# -- against the baseline ----------------------------------------------------------------------------------------------


def test_comparisons_have_their_columns_and_a_schema_of_their_own(tmp_path):
    _, rows = tables([evaluation()], [predictions([1])])
    path = tmp_path / "comparisons.parquet"
    write_comparisons(path, rows, study="example")
    assert list(COMPARISONS) == [
        *("study", "experiment", "teacher", "injection", "baseline_injection", "dataset", "split", "method"),
        *(
            "baseline",
            "attack",
            "baseline_attack",
            "budget",
            "condition",
            "metric",
            "seeds",
            "mean",
            "baseline_mean",
            "difference",
        ),
        *("low", "high", "p_value"),
    ]
    assert read_comparisons(path) == [{name: row[name] for name in COMPARISONS} for row in rows]
    assert table_metadata(path) == {"schema": "comparisons", "version": 3, "study": "example"}


def test_every_method_is_compared_with_the_baseline_and_noise_is_no_question():
    _, rows = tables([evaluation()], [predictions([1])])
    assert {row["method"] for row in rows} == {"renewed", "pruned"}
    assert {row["baseline"] for row in rows} == {"tuned"}
    assert {(row["attack"], row["metric"]) for row in rows} == {
        (CLEAN, "accuracy"),
        ("pixel", "attack_success"),
        ("pixel", "robust_accuracy"),
        ("pgd", "attack_success"),
        ("pgd", "robust_accuracy"),
        ("mark", "targeted_success"),
        ("mark", "untargeted_success"),
    }
    assert tables([evaluation(baseline=None)], [predictions([1])])[1] == []


def test_students_of_a_control_injection_are_not_compared_with_a_baseline():
    found = [evaluation(injection="infected", control="twin"), evaluation(injection="twin")]
    _, rows = tables(found, [predictions([1], start=1), predictions([1], start=2)])
    assert {row["injection"] for row in rows} == {"infected"}


def test_one_seed_is_compared_over_images_with_each_students_own_denominator():
    judged = predictions([1])
    _, rows = tables([evaluation()], [judged], seed=3)
    row = pick(rows, method="renewed", attack="pixel", metric="attack_success")
    (counted, hit), (own, own_hit) = (count(judged, method, 1, "pixel") for method in ("renewed", "tuned"))
    assert counted.sum() != own.sum()
    assert (row["seeds"], row["mean"]) == (1, hit.sum() / counted.sum())
    assert row["baseline_mean"] == own_hit.sum() / own.sum()
    assert row["difference"] == pytest.approx(row["mean"] - row["baseline_mean"])
    # the interval, by resampling image by image
    rng = np.random.default_rng(derive_seed(3, "baseline", "rooms"))
    drawn = rng.integers(0, IMAGES, size=(2000, IMAGES))
    differences = [hit[d].sum() / counted[d].sum() - own_hit[d].sum() / own[d].sum() for d in drawn]
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])), abs=1e-12)


def test_the_test_against_the_baseline_sees_images_that_count_for_both_and_is_adjusted_over_the_metric():
    judged = predictions([1])
    _, rows = tables([evaluation()], [judged])
    raw = {}
    for attack in ("pixel", "pgd"):
        own, own_hit = count(judged, "tuned", 1, attack)
        for method in ("renewed", "pruned"):
            counted, hit = count(judged, method, 1, attack)
            only, other = ((own & counted & a & ~b).sum() for a, b in ((hit, own_hit), (own_hit, hit)))
            raw[method, attack] = stats.binomtest(int(only), int(only + other), 0.5).pvalue
    ranked = sorted(raw, key=raw.__getitem__)
    largest = 0.0
    for place, (method, attack) in enumerate(ranked):  # one family of four
        largest = max(largest, min(1.0, (4 - place) * raw[method, attack]))
        row = pick(rows, method=method, attack=attack, metric="attack_success")
        assert row["p_value"] == pytest.approx(largest)


def test_three_seeds_are_compared_by_a_paired_t_test_over_seeds():
    seeds = [1, 2, 3]
    judged = predictions(seeds)
    _, rows = tables([evaluation()], [judged])
    rates = {}
    for method in RATES:
        found = [count(judged, method, seed, "pixel") for seed in seeds]
        rates[method] = [hit.sum() / counted.sum() for counted, hit in found]
    row = pick(rows, method="pruned", attack="pixel", metric="attack_success")
    oracle = stats.ttest_rel(rates["pruned"], rates["tuned"])
    interval = oracle.confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["mean"] == pytest.approx(fmean(rates["pruned"]))
    assert row["baseline_mean"] == pytest.approx(fmean(rates["tuned"]))
    assert row["p_value"] >= oracle.pvalue  # Holm


def test_only_seeds_that_both_methods_have_are_compared():
    judged = predictions([1, 2])
    for attack in (CLEAN, *ATTACKS):
        del judged.settings[Setting("tuned", 1, attack, BUDGETS[attack], "")]
    rows, compared = tables([evaluation()], [judged])
    row = pick(compared, method="pruned", attack=CLEAN, metric="accuracy")
    assert row["seeds"] == 1
    second = (judged.settings[Setting("pruned", 2, CLEAN, "{}", "")] == LABELS).mean()
    assert row["mean"] == pytest.approx(second)
    assert pick(rows, method="pruned", attack=CLEAN, metric="accuracy")["mean"] != row["mean"]


def test_a_comparison_that_experiments_share_counts_once_for_holm():
    _, once = tables([evaluation()], [predictions([1])])
    _, twice = tables([evaluation(names=("main", "other"))], [predictions([1])])
    assert len(twice) == 2 * len(once)
    for name in ("main", "other"):
        assert [row | {"experiment": "main"} for row in twice if row["experiment"] == name] == once


# -- attacks against an attack on the same student ---------------------------------------------------------------------

AWARE = ALONE | {"aware": Attack("feature", control="noise")}


def attacks_compared(seeds=(1,), **scope):
    """Return the predictions and the comparisons of attacks with "pixel" where "aware" and "clip" are shown too."""
    judged = further(predictions(seeds), {"aware": 0.45, "clip": 0.2})
    found = asking(None, kinds=AWARE, attack_baseline="pixel", **scope)
    return judged, tables([found], [judged])[1]


def test_every_attack_is_compared_with_the_baseline_attack_on_the_same_student():
    _, rows = attacks_compared()
    assert {(row["method"], row["baseline"]) for row in rows} == {(name, name) for name in RATES}
    assert {row["baseline_attack"] for row in rows} == {"pixel"}
    assert {(row["attack"], row["metric"]) for row in rows} == {
        (attack, metric) for attack in ("aware", "clip", "pgd") for metric in ("attack_success", "robust_accuracy")
    }


def test_beside_them_methods_are_compared_under_one_attack():
    _, attacks = attacks_compared()
    _, rows = attacks_compared(baseline="tuned")
    of_methods = [row for row in rows if row["baseline"] != row["method"]]
    assert all(row["attack"] == row["baseline_attack"] for row in of_methods)
    names = [name for name in COMPARISONS if name != "p_value"]
    others = [row for row in rows if row not in of_methods]
    assert [[row[name] for name in names] for row in others] == [[row[name] for name in names] for row in attacks]
    # one family: two methods under four attacks more make p-values larger, never smaller
    pairs = [(before["p_value"], after["p_value"]) for before, after in zip(attacks, others, strict=True)]
    assert all(after >= before for before, after in pairs)
    assert any(after > before for before, after in pairs)


def test_an_attack_is_tested_on_the_images_that_the_student_gets_right_when_clean():
    judged, rows = attacks_compared()
    raw = {}
    for method in RATES:
        (counted, own_hit), (also, _) = count(judged, method, 1, "pixel"), count(judged, method, 1, "pgd")
        for attack in ("aware", "clip", "pgd"):
            clean = judged.settings[Setting(method, 1, CLEAN, "{}", "")]
            wrong = judged.settings[Setting(method, 1, attack, BUDGETS.get(attack, "{}"), "")] != LABELS
            both = also if attack == "pgd" else counted  # pgd was tried on every third image
            row = pick(rows, method=method, attack=attack, metric="attack_success")
            assert both.sum() == ((clean == LABELS) & (np.arange(IMAGES) % (3 if attack == "pgd" else 1) == 0)).sum()
            assert row["mean"] == (both & wrong).sum() / both.sum()
            assert row["baseline_mean"] == (both & own_hit).sum() / both.sum()
            assert row["low"] < row["difference"] < row["high"]
            only, other = int((both & wrong & ~own_hit).sum()), int((both & ~wrong & own_hit).sum())
            raw[method, attack] = stats.binomtest(only, only + other, 0.5).pvalue
    largest = 0.0
    for place, (method, attack) in enumerate(sorted(raw, key=raw.__getitem__)):
        largest = max(largest, min(1.0, (len(raw) - place) * raw[method, attack]))
        found = pick(rows, method=method, attack=attack, metric="attack_success")["p_value"]
        assert found == pytest.approx(largest)


def test_injections_are_compared_with_the_baseline_injection_after_the_same_method():
    shares = {"none": 0, "mild": 1, "strong": 2}
    attacks = {"mark": Attack("trigger", target=0)}
    scope = Scope(injection_baseline="mild")
    found = [EvaluationFacts("net", name, "rooms", {"main": scope}, attacks, None) for name in shares]
    judged = [predictions([1], start=start, attacks=attacks) for start in shares.values()]
    _, rows = tables(found, judged)
    assert {(row["injection"], row["baseline_injection"]) for row in rows} == {("none", "mild"), ("strong", "mild")}
    assert all(row["baseline"] == row["method"] and row["baseline_attack"] == row["attack"] for row in rows)
    mine = pick(rows, injection="strong", method="tuned", metric="targeted_success")
    rates = {}
    for name, side in zip(shares, judged, strict=True):
        clean = side.settings[Setting("tuned", 1, CLEAN, "{}", "")]
        marked = side.settings[Setting("tuned", 1, "mark", "{}", "")]
        counted = (clean == LABELS) & (LABELS != 0)
        rates[name] = (marked[counted] == 0).mean()
    assert mine["mean"] == pytest.approx(rates["strong"])
    assert mine["baseline_mean"] == pytest.approx(rates["mild"])


def test_a_control_is_not_compared_with_the_baseline_injection():
    scope = Scope(injection_baseline="mild")
    found = [
        EvaluationFacts("net", name, "rooms", {"main": scope}, ATTACKS, control)
        for name, control in (("mild", "well"), ("strong", "well"), ("well", None))
    ]
    _, rows = tables(found, [predictions([1], start=start) for start in range(3)])
    assert {row["injection"] for row in rows} == {"strong"}


def test_a_baseline_attack_that_judged_a_part_limits_the_others_to_it():
    judged = predictions([1])
    _, rows = tables([asking(None, attack_baseline="pgd")], [judged])
    row = pick(rows, method="pruned", attack="pixel", metric="attack_success")
    (_, hit), (also, own_hit) = (count(judged, "pruned", 1, attack) for attack in ("pixel", "pgd"))
    assert row["mean"] == (hit & also).sum() / also.sum()
    assert row["baseline_mean"] == own_hit.sum() / also.sum()


def test_robust_accuracy_is_compared_on_the_images_that_both_attacks_judged():
    judged, rows = attacks_compared()
    row = pick(rows, method="tuned", attack="pgd", metric="robust_accuracy")
    right = judged.settings[Setting("tuned", 1, "pixel", BUDGETS["pixel"], "")] == LABELS
    assert row["baseline_mean"] == right[::3].mean()


def test_attacks_of_a_teacher_and_of_a_control_injection_are_not_compared():
    judged = further(predictions([1]), {"aware": 0.45})
    named = {
        setting._replace(method="teacher" if setting.method == "tuned" else setting.method): predicted
        for setting, predicted in judged.settings.items()
    }
    judged = PredictionTable(judged.samples, judged.labels, dict(sorted(named.items())))
    scope = {"main": Scope(attack_baseline="pixel")}
    infected, twin = (
        EvaluationFacts("net", name, "rooms", scope, AWARE, of) for name, of in (("ill", "twin"), ("twin", None))
    )
    _, rows = tables([infected, twin], [judged, judged])
    assert {(row["injection"], row["method"]) for row in rows} == {("ill", "renewed"), ("ill", "pruned")}


def test_three_seeds_compare_attacks_by_a_paired_t_test():
    judged, rows = attacks_compared(seeds=(1, 2, 3))
    rates = {}
    for attack in ("pixel", "aware"):
        budget = BUDGETS.get(attack, "{}")
        wrong = [judged.settings[Setting("pruned", seed, attack, budget, "")] != LABELS for seed in (1, 2, 3)]
        right = [count(judged, "pruned", seed, "pixel")[0] for seed in (1, 2, 3)]
        rates[attack] = [(a & b).sum() / b.sum() for a, b in zip(wrong, right, strict=True)]
    oracle = stats.ttest_rel(rates["aware"], rates["pixel"])
    row = pick(rows, method="pruned", attack="aware", metric="attack_success")
    assert (row["low"], row["high"]) == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    assert row["p_value"] >= oracle.pvalue


# -- means over data sets ----------------------------------------------------------------------------------------------


def averaged(seeds, *, datasets=("birds", "rooms", "signs"), average=True):
    found = [evaluation(name, average=average) for name in datasets]
    judged = [predictions(seeds, start=place) for place in range(len(datasets))]
    return found, judged


def test_a_mean_over_data_sets_is_unweighted_and_over_seeds_afterwards():
    rows, _ = tables(*averaged([1, 2, 3]))
    _, judged = averaged([1, 2, 3])
    by_seed = []
    for seed in (1, 2, 3):
        rates = [count(each, "tuned", seed, "pixel") for each in judged]
        by_seed.append(sum(hit.sum() / counted.sum() for counted, hit in rates) / 3)
    row = pick(rows, dataset="mean", method="tuned", attack="pixel", metric="attack_success")
    assert (row["seeds"], row["mean"]) == (3, pytest.approx(fmean(by_seed)))
    assert row["sd"] == pytest.approx(np.std(by_seed, ddof=1))
    assert (row["low"], row["high"]) == pytest.approx(t_interval(by_seed))
    assert row["control"] is row["difference"] is row["p_value"] is None
    assert row["counts"] == tuple(
        f(sum(count(each, "tuned", s, "pixel")[0].sum() for each in judged) for s in (1, 2, 3)) for f in (min, max)
    )


def test_a_mean_of_one_seed_has_the_interval_of_independent_rates():
    found, judged = averaged([1])
    rows, _ = tables(found, judged)
    row = pick(rows, dataset="mean", method="renewed", attack="pixel", metric="attack_success")
    below, above, mean = 0.0, 0.0, 0.0
    for each in judged:
        counted, hit = count(each, "renewed", 1, "pixel")
        rate, (low, high) = hit.sum() / counted.sum(), wilson(int(hit.sum()), int(counted.sum()))
        mean, below, above = mean + rate / 3, below + (rate - low) ** 2, above + (high - rate) ** 2
    assert row["mean"] == pytest.approx(mean)
    assert row["low"] == pytest.approx(mean - math.sqrt(below) / 3)
    assert row["high"] == pytest.approx(mean + math.sqrt(above) / 3)
    assert (row["seeds"], row["sd"]) == (1, None)


def test_a_mean_needs_every_data_set():
    found, judged = averaged([1, 2])
    wrong = ((LABELS + 1) % CLASSES).astype(np.int32)
    judged[0].settings[Setting("tuned", 1, CLEAN, "{}", "")] = wrong  # no image counts for attack success
    for attack in ("pixel", "noise"):
        del judged[1].settings[Setting("pruned", 2, attack, BUDGETS[attack], "")]
        del judged[1].settings[Setting("pruned", 1, attack, BUDGETS[attack], "")]
    rows, _ = tables(found, judged)
    place = {"dataset": "mean", "attack": "pixel", "metric": "attack_success"}
    assert pick(rows, **place, method="tuned")["seeds"] == 1
    assert pick(rows, **place, method="renewed")["seeds"] == 2
    assert not [
        row for row in rows if row["dataset"] == "mean" and row["method"] == "pruned" and row["attack"] == "pixel"
    ]


def test_only_experiments_that_ask_for_it_and_have_several_data_sets_are_averaged():
    assert not [row for row in tables(*averaged([1], average=False))[0] if row["dataset"] == "mean"]
    assert not [row for row in tables(*averaged([1], datasets=("rooms",)))[0] if row["dataset"] == "mean"]


def test_a_mean_keeps_what_the_budgets_have_in_common():
    found = [evaluation(name, average=True) for name in ("birds", "rooms")]
    budgets = [BUDGETS | {"pgd": json.dumps({"eps": 8, "images": images})} for images in (40, 50)]
    judged = [predictions([1], budgets=each) for each in budgets]
    rows, _ = tables(found, judged)
    row = pick(rows, dataset="mean", method="tuned", attack="pgd", metric="attack_success")
    assert row["budget"] == '{"eps": 8}'


def test_means_change_no_other_row():
    plain, _ = tables(*averaged([1], average=False))
    rows, _ = tables(*averaged([1]))
    assert [row for row in rows if row["dataset"] != "mean"] == plain


def rates_of(judged, method: str, seeds) -> np.ndarray:
    """Return attack success (data sets, seeds) under "pixel"."""
    found = [[count(each, method, seed, "pixel") for seed in seeds] for each in judged]
    return np.array([[hit.sum() / counted.sum() for counted, hit in seeds] for seeds in found])


MEAN_OF = {"dataset": "mean", "attack": "pixel", "metric": "attack_success"}


def test_means_are_compared_by_a_t_test_over_the_seeds_mean_differences():
    seeds = [1, 2, 3, 4]
    found, judged = averaged(seeds)
    _, rows = tables(found, judged)
    pruned, tuned = (rates_of(judged, method, seeds).mean(axis=0) for method in ("pruned", "tuned"))
    oracle = stats.ttest_rel(pruned, tuned)
    row = pick(rows, **MEAN_OF, method="pruned")
    assert (row["baseline"], row["baseline_attack"], row["seeds"]) == ("tuned", "pixel", 4)
    assert (row["mean"], row["baseline_mean"]) == pytest.approx((pruned.mean(), tuned.mean()))
    assert row["difference"] == pytest.approx((pruned - tuned).mean())
    assert (row["low"], row["high"]) == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    # Holm's family is every row of the metric: two methods, pixel and pgd, three data sets and their mean
    assert oracle.pvalue <= row["p_value"] <= min(1.0, 16 * oracle.pvalue) + 1e-12
    assert pick(rows, **MEAN_OF, method="renewed")["p_value"] < 0.05


@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_below_three_seeds_the_data_sets_intervals_are_combined_and_nothing_is_tested(seeds):
    found, judged = averaged(seeds)
    _, rows = tables(found, judged)
    row = pick(rows, **MEAN_OF, method="renewed")
    each = [pick(rows, **MEAN_OF | {"dataset": name}, method="renewed") for name in ("birds", "rooms", "signs")]
    middle = fmean(part["difference"] for part in each)
    assert row["difference"] == pytest.approx(middle)
    below, above = (math.hypot(*(part["difference"] - part[end] for part in each)) / 3 for end in ("low", "high"))
    assert (row["low"], row["high"]) == pytest.approx((middle - below, middle + above))
    assert (row["p_value"], row["seeds"]) == (None, len(seeds))


def test_untested_means_leave_the_family_of_the_others_as_it_was():
    plain = tables(*averaged([1], average=False))[1]
    rows = tables(*averaged([1]))[1]
    assert [row for row in rows if row["dataset"] != "mean"] == plain
    assert [row for row in rows if row["dataset"] == "mean"]


def test_means_are_compared_over_the_seeds_that_every_data_set_has_and_only_where_all_have_some():
    found, judged = averaged([1, 2])
    for attack in ("pixel", "noise"):
        del judged[1].settings[Setting("pruned", 2, attack, BUDGETS[attack], "")]
        for seed in (1, 2):
            del judged[2].settings[Setting("renewed", seed, attack, BUDGETS[attack], "")]
    _, rows = tables(found, judged)
    row = pick(rows, **MEAN_OF, method="pruned")
    assert row["seeds"] == 1
    assert row["mean"] == pytest.approx(rates_of(judged, "pruned", [1]).mean())
    assert not [
        row for row in rows if row["dataset"] == "mean" and (row["method"], row["attack"]) == ("renewed", "pixel")
    ]


def test_a_mean_that_two_experiments_share_counts_once_and_other_data_sets_make_another():
    scope = Scope(baseline="tuned", average=True)
    seeds = [1, 2, 3]
    judged = [predictions(seeds, start=place) for place in range(3)]
    places = {"birds": ("a", "b", "c"), "rooms": ("a", "b", "c"), "signs": ("a", "b")}
    found = [
        EvaluationFacts("net", "none", name, dict.fromkeys(names, scope), ATTACKS) for name, names in places.items()
    ]
    _, rows = tables(found, judged)
    means = {name: pick(rows, **MEAN_OF, experiment=name, method="pruned") for name in "abc"}
    assert means["a"] | {"experiment": "b"} == means["b"]
    assert means["a"]["difference"] != means["c"]["difference"]
    assert means["c"]["difference"] == pytest.approx(
        (rates_of(judged[:2], "pruned", seeds) - rates_of(judged[:2], "tuned", seeds)).mean()
    )


# -- published numbers -------------------------------------------------------------------------------------------------


def number(method="tuned", value=0.5, **given) -> PublishedNumber:
    place = {"study": "example", "experiment": "main", "teacher": "net", "injection": "none", "dataset": "rooms"}
    place |= {"method": method, "attack": "pixel", "metric": "attack_success", "value": value, "source": "them [R]"}
    return PublishedNumber(**{**place, **given})


def test_a_row_stands_beside_its_published_number_with_a_verdict():
    plain = pick(tables([evaluation()], [predictions([1])])[0], method="tuned", attack="pixel", metric="attack_success")
    mean = plain["mean"]
    for value, tolerance, verdict in (
        (mean + 0.01, None, "reproduced"),
        (mean - 0.3, 0.35, "within_tolerance"),
        (mean - 0.3, 0.2, "contradicted"),
        (mean + 0.01, 0.005, "not_comparable (the interval is wider than the tolerance)"),
    ):
        rows, _ = tables([evaluation()], [predictions([1])], published=[number(value=value, tolerance=tolerance)])
        row = pick(rows, method="tuned", attack="pixel", metric="attack_success")
        assert row == plain | {"published": value, "published_source": "them [R]", "verdict": verdict}
        assert {other["verdict"] for other in rows if other is not row} == {"no_target"}


def test_an_incomparable_number_is_shown_with_its_reason():
    rows, _ = tables([evaluation()], [predictions([1])], published=[number(incomparable="another ratio")])
    row = pick(rows, method="tuned", attack="pixel", metric="attack_success")
    assert (row["published"], row["verdict"]) == (0.5, "not_comparable (another ratio)")
    assert row["mean"] is not None


def test_numbers_without_a_measurement_are_kept_at_the_end(tmp_path):
    lost = [
        number("divmag"),
        number(experiment="figure-6", attack="dlfuzz", incomparable="not implemented"),
    ]
    plain, _ = tables([evaluation()], [predictions([1])])
    rows, _ = tables([evaluation()], [predictions([1])], published=lost)
    assert rows[:-2] == plain
    assert [row["verdict"] for row in rows[-2:]] == [
        "not_comparable (nothing was measured)",
        "not_comparable (not implemented)",
    ]
    assert [(row["mean"], row["seeds"], row["published"], is_measured(row)) for row in rows[-2:]] == [
        (None, 0, 0.5, False)
    ] * 2
    assert all(map(is_measured, plain))
    write_summary(tmp_path / "summary.parquet", rows, study="example")
    assert read_summary(tmp_path / "summary.parquet") == rows


def test_a_published_mean_is_held_against_the_mean_over_the_data_sets():
    found, judged = averaged([1])
    rows, _ = tables(found, judged, published=[number(dataset="mean", value=0.7)])
    row = pick(rows, dataset="mean", method="tuned", attack="pixel", metric="attack_success")
    assert row["verdict"] == "reproduced"
    assert row["low"] <= 0.7 <= row["high"]
