"""Measures that are no rates: read with care, summarised and compared like rates, in units of their own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from heirloom.evaluation.measures import Quantity, Values, measures_of, read_measures, write_measures
from heirloom.evaluation.metrics import CLEAN, EvaluationFacts, PredictionTable, Scope, Setting
from heirloom.evaluation.statistics import holm
from heirloom.reporting.comparisons import Judged
from heirloom.reporting.measure_rows import baseline_rows, measured_rows
from heirloom.reporting.measure_table import compared_cells, measure_cells
from heirloom.reporting.summary import summary_rows
from heirloom.reporting.views import shown
from heirloom.runtime.errors import ConfigError, DataError

METRIC = "attention_density"
SAMPLES = tuple(f"{place:02d}" for place in range(20))
NOBODY = PredictionTable((), np.zeros(0, dtype=np.int32), {})


def row(**changed):
    names = {"method": "tuned", "seed": 1, "attack": CLEAN, "budget": "{}", "condition": "sign", "metric": METRIC}
    return names | {"sample": "00", "value": 1.5} | changed


def quantity(method="tuned", seed=1, condition="sign"):
    return Quantity(Setting(method, seed, CLEAN, "{}", condition), METRIC)


def evaluation(injection="none", *, control=None, baseline=None, measures=(METRIC,)):
    scope = Scope(baseline=baseline, measures=list(measures))
    return EvaluationFacts("net", injection, "signs", {"main": scope}, {}, control)


def summary(*found):
    """Return the summary of evaluations with their measures."""
    measured = [r for each, values in found for r in measured_rows(each, values, study="s", config_digest="d")]
    return summary_rows(measured, [Judged(each, {}, values) for each, values in found], seed=0)


def values(seed, *, mean=2.0, samples=SAMPLES):
    return Values(samples, np.random.default_rng(seed).normal(mean, 1.0, len(samples)))


# -- files -------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_sorted_by_sample(tmp_path):
    path = tmp_path / "measures.parquet"
    write_measures(path, [row(sample="01", value=2.5), row(), row(seed=2, value=-3.0)])
    found = read_measures([path])
    assert list(found) == [quantity(), quantity(seed=2)]
    assert found[quantity()].samples == ("00", "01")
    assert found[quantity()].values.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(), row(value=2.0)], "two values"),
        ([row(value=float("nan"))], "not finite"),
        ([row(metric="accuracy")], "no measure"),
    ],
)
def test_contradictory_measures_are_refused(tmp_path, rows, message):
    path = tmp_path / "measures.parquet"
    write_measures(path, rows)
    with pytest.raises(DataError, match=message):
        read_measures([path])


def test_a_sample_measured_in_two_files_is_refused(tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        write_measures(path, [row()])
    with pytest.raises(DataError, match="two values"):
        read_measures(paths)


def test_each_file_belongs_to_its_evaluation(tmp_path):
    path = tmp_path / "measures.parquet"
    write_measures(path, [row()])
    assert [len(found) for found in measures_of(3, [path], [1])] == [0, 1, 0]
    with pytest.raises(ConfigError, match="do not belong"):
        list(measures_of(1, [path], [1]))


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_measure_is_a_mean_over_samples_with_students_interval():
    found = values(3)
    (mine,) = summary((evaluation(), {quantity(): found}))
    low, high = stats.t.interval(0.95, len(SAMPLES) - 1, found.values.mean(), stats.sem(found.values))
    assert mine["mean"] == pytest.approx(found.values.mean())
    assert (mine["low"], mine["high"]) == pytest.approx((low, high))
    assert mine["counts"] == (len(SAMPLES), len(SAMPLES))


def test_a_single_sample_has_no_interval():
    (mine,) = summary((evaluation(), {quantity(): Values(("",), np.array([4.0]))}))
    assert (mine["mean"], mine["low"], mine["high"]) == (4.0, None, None)


def test_an_interval_over_seeds_is_not_cut_as_a_rates_is():
    found = {quantity(seed=seed): Values(("",), np.array([value])) for seed, value in enumerate((4.0, 9.0, 5.0))}
    (mine,) = summary((evaluation(), found))
    assert mine["mean"] == 6.0
    assert mine["low"] < 0 < 1 < mine["high"]


def test_an_experiment_that_did_not_ask_shows_no_measure():
    assert not summary((evaluation(measures=()), {quantity(): values(1)}))


def test_measures_stay_out_of_what_is_shown_of_rates():
    assert not shown(summary((evaluation(), {quantity(): values(1)})))


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_a_measure_is_compared_with_its_control_by_a_paired_t_test(seeds):
    mine = {quantity(seed=seed): values(seed, mean=2.5) for seed in range(seeds)}
    theirs = {quantity(seed=seed): values(100 + seed) for seed in range(seeds)}
    rows = summary((evaluation("ill", control="well"), mine), (evaluation("well"), theirs))
    (found,) = [r for r in rows if r["injection"] == "ill"]
    own, other = (np.stack([each.values for each in side.values()]) for side in (mine, theirs))
    axis = 1 if seeds >= 3 else 0
    oracle = stats.ttest_rel(own.mean(axis=axis), other.mean(axis=axis))
    assert found["control"] == pytest.approx(other.mean())
    assert found["difference"] == pytest.approx((own - other).mean())
    assert found["p_value"] == pytest.approx(oracle.pvalue)
    interval = oracle.confidence_interval()
    assert (found["difference_low"], found["difference_high"]) == pytest.approx((interval.low, interval.high))


def test_one_value_against_one_value_has_no_test():
    mine, theirs = ({quantity(): Values(("",), np.array([value]))} for value in (4.0, 1.0))
    rows = summary((evaluation("ill", control="well"), mine), (evaluation("well"), theirs))
    found = next(r for r in rows if r["injection"] == "ill")
    assert found["difference"] == 3.0
    assert (found["difference_low"], found["p_value"]) == (None, None)


def test_other_samples_are_not_compared():
    mine, theirs = {quantity(): values(1)}, {quantity(): values(2, samples=SAMPLES[:-1])}
    with pytest.raises(DataError, match="other samples"):
        summary((evaluation("ill", control="well"), mine), (evaluation("well"), theirs))


def test_methods_are_compared_with_the_baseline_adjusted_by_holm():
    found = {quantity(name): values(place, mean=place) for place, name in enumerate(("divmag", "magnitude", "tuned"))}
    judged = [Judged(evaluation(baseline="tuned"), {}, found)]
    rows = baseline_rows(judged, study="s")
    raw = [
        stats.ttest_rel(found[quantity(name)].values, found[quantity("tuned")].values).pvalue
        for name in ("divmag", "magnitude")
    ]
    assert [r["method"] for r in rows] == ["divmag", "magnitude"]
    assert [r["p_value"] for r in rows] == pytest.approx(holm(raw))
    names, numbers = compared_cells(rows)
    assert [cells[0] for cells in names] == ["method", "divmag", "magnitude"]
    assert all(cells[1] == "tuned" for cells in numbers[1:])


def test_the_teacher_is_no_method_to_compare_whatever_the_seeds():
    found = {quantity(name, seed=0): values(place) for place, name in enumerate(("divmag", "teacher", "tuned"))}
    rows = baseline_rows([Judged(evaluation(baseline="tuned"), {}, found)], study="s")
    assert [r["method"] for r in rows] == ["divmag"]


def test_controls_stand_beside_what_they_control_and_not_on_lines_of_their_own():
    mine, theirs = ({quantity(): Values(("",), np.array([value]))} for value in (4.0, 1.0))
    rows = summary((evaluation("ill", control="well"), mine), (evaluation("well"), theirs))
    names, numbers = measure_cells(rows)
    assert names == [["method"], ["tuned"]]
    assert numbers[1][:4] == ["4.00", "1", "1.00", "+3.00"]


def test_the_table_names_what_differs_and_writes_measures_in_their_own_units():
    found = {quantity(condition=name): Values(("",), np.array([value])) for name, value in (("a", 2.345), ("b", -1.0))}
    names, numbers = measure_cells(summary((evaluation(), found)))
    assert names == [["method", "of"], ["tuned", "a"], ["tuned", "b"]]
    assert [cells[0] for cells in numbers] == ["value", "2.35", "-1.00"]
