"""Intervals and tests, against scipy's and literal definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from heirloom.evaluation.statistics import (
    Pair,
    average,
    compare,
    holm,
    mcnemar_exact,
    mean_interval,
    newcombe,
    paired_bootstrap_difference,
    resampled_rates,
    t_interval,
    t_test,
    wilson,
)


def pair_of(counted, hit, control_counted, control_hit) -> Pair:
    arrays = [np.atleast_2d(np.asarray(array, dtype=bool)) for array in (counted, hit, control_counted, control_hit)]
    return Pair(*arrays)


def random_pair(seed: int, *, images: int = 300, seeds: int = 1, shares=(0.8, 0.6, 0.7, 0.3)) -> Pair:
    rng = np.random.default_rng(seed)
    counted, control_counted = (rng.random((seeds, images)) < share for share in shares[::2])
    hit = counted & (rng.random((seeds, images)) < shares[1])
    control_hit = control_counted & (rng.random((seeds, images)) < shares[3])
    return Pair(counted, hit, control_counted, control_hit)


# -- one rate ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7), (97, 100), (12345, 26032)])
@pytest.mark.parametrize("level", [0.95, 0.9])
def test_wilson_is_scipys(successes, count, level):
    oracle = stats.binomtest(successes, count).proportion_ci(confidence_level=level, method="wilson")
    assert wilson(successes, count, level) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_wilson_holds_the_extremes_exactly():
    assert wilson(0, 30)[0] == 0.0
    assert wilson(30, 30)[1] == 1.0


@pytest.mark.parametrize(("successes", "count"), [(0, 0), (2, 1), (-1, 4)])
def test_wilson_refuses_what_is_no_rate(successes, count):
    with pytest.raises(ValueError, match="no rate"):
        wilson(successes, count)


def test_wilson_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    for truth in (0.05, 0.5, 0.9):
        drawn = rng.binomial(120, truth, size=4000)
        covered = np.mean([low <= truth <= high for low, high in (wilson(int(hits), 120) for hits in drawn)])
        assert 0.93 <= covered <= 0.975


def test_the_interval_of_a_mean_of_rates_adds_squares_of_distances():
    """By hand: rates 0.5 and 0.2, each limit's distance squared, summed, rooted, halved."""
    low, high = mean_interval([0.5, 0.2], [(0.2, 0.6), (0.16, 0.44)])
    assert low == pytest.approx(0.35 - math.sqrt(0.3**2 + 0.04**2) / 2)
    assert high == pytest.approx(0.35 + math.sqrt(0.1**2 + 0.24**2) / 2)


def test_the_interval_of_one_rate_is_its_own_and_rates_of_zero_stay_uncertain():
    assert mean_interval([0.4], [(0.3, 0.55)]) == pytest.approx((0.3, 0.55))
    low, high = mean_interval([0.0, 0.0], [wilson(0, 50)] * 2)
    assert low == 0
    assert 0 < high < wilson(0, 50)[1]


def test_the_interval_of_a_mean_of_rates_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(2)
    truths = np.array([0.05, 0.4, 0.9])
    drawn = rng.binomial(80, truths, size=(3000, 3))
    covered = 0
    for hits in drawn.tolist():
        low, high = mean_interval([hit / 80 for hit in hits], [wilson(hit, 80) for hit in hits])
        covered += low <= truths.mean() <= high
    assert 0.93 <= covered / len(drawn) <= 0.975


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_t_interval_and_test_are_scipys():
    values = [0.61, 0.55, 0.7, 0.66]
    oracle = stats.ttest_1samp(values, 0)
    interval = oracle.confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert t_test(values) == pytest.approx(oracle.pvalue, rel=1e-9)


def test_equal_seeds_give_no_nan():
    assert t_interval([0.1, 0.1, 0.1]) == pytest.approx((0.1, 0.1))
    assert t_test([0.0, 0.0, 0.0]) == 1.0
    assert t_test([0.1, 0.1, 0.1]) == 0.0


def test_one_seed_has_no_t_interval():
    with pytest.raises(ValueError, match="two seeds"):
        t_interval([0.5])


# -- pairs of images ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (0, 5), (5, 5), (3, 12), (40, 61), (900, 1100)])
def test_mcnemar_is_the_exact_binomial_test(b, c):
    oracle = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(oracle, rel=1e-9)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


def test_mcnemar_stays_a_number_for_large_counts():
    assert mcnemar_exact(0, 20000) == 0.0
    assert mcnemar_exact(10000, 10000) == 1.0


def test_holm_is_its_definition():
    p_values = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04]
    order = np.argsort(p_values, kind="stable")
    for place, value in enumerate(p_values):
        rank = int(np.flatnonzero(order == place)[0])
        steps = [(len(p_values) - k) * p_values[order[k]] for k in range(rank + 1)]
        assert holm(p_values)[place] == pytest.approx(min(1.0, max(steps))), value
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(5)
    for _ in range(50):
        p_values = (rng.random(8) ** 3).tolist()
        rejected = set()
        for step, place in enumerate(sorted(range(8), key=p_values.__getitem__)):
            if p_values[place] > 0.05 / (8 - step):
                break
            rejected.add(place)
        assert {place for place, value in enumerate(holm(p_values)) if value <= 0.05} == rejected


def test_newcombe_is_its_published_example():
    """Newcombe 1998, table II, example (a), method 10: 56/70 - 48/80 has the limits 0.0524 and 0.3339."""
    assert newcombe((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=1e-4)


# -- bootstrap ---------------------------------------------------------------------------------------------------------


def test_bootstrap_of_full_denominators_is_scipys_paired_bootstrap():
    pair = random_pair(3, shares=(1.1, 0.6, 1.1, 0.4))
    low, high = paired_bootstrap_difference([pair], seed=1, resamples=6000)[0]
    oracle = stats.bootstrap(
        (pair.hit[0].astype(float), pair.control_hit[0].astype(float)),
        lambda mine, other, axis: mine.mean(axis=axis) - other.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=6000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.006)


def test_bootstrap_is_the_plain_loop_over_resampled_images():
    pair = random_pair(4, images=40, seeds=2)
    rng = np.random.default_rng(9)
    differences = []
    for _ in range(1500):
        drawn = rng.integers(0, 40, 40)
        rates = [
            (pair.hit[k, drawn].sum() / pair.counted[k, drawn].sum())
            - (pair.control_hit[k, drawn].sum() / pair.control_counted[k, drawn].sum())
            for k in range(2)
        ]
        differences.append(np.mean(rates))
    found = paired_bootstrap_difference([pair], seed=9, resamples=1500)[0]
    assert found == pytest.approx(np.quantile(differences, [0.025, 0.975]).tolist(), abs=1e-12)  # the same draws


def test_both_models_of_a_pair_see_the_same_resamples():
    counted = np.ones((1, 200), dtype=bool)
    hit = np.random.default_rng(0).random((1, 200)) < 0.5
    twin = Pair(counted, hit, counted, hit)
    assert paired_bootstrap_difference([twin], seed=0) == [(0.0, 0.0)]


def test_every_model_is_divided_by_its_own_denominator():
    counted = np.arange(100)[None] < 50
    pair = Pair(counted, counted, ~counted, np.zeros_like(counted))
    rates = resampled_rates(
        np.concatenate([pair.counted, pair.control_counted]), np.concatenate([pair.hit, pair.control_hit]), seed=0
    )
    assert (rates[:, 0] == 1).all()
    assert (rates[:, 1] == 0).all()


def test_a_pairs_interval_does_not_depend_on_its_company():
    pairs = [random_pair(seed) for seed in (1, 2, 3)]
    together = paired_bootstrap_difference(pairs, seed=7)
    assert [paired_bootstrap_difference([pair], seed=7)[0] for pair in pairs] == together
    assert paired_bootstrap_difference(pairs, seed=8) != together
    assert paired_bootstrap_difference([], seed=7) == []


def test_blocks_of_resamples_change_nothing(monkeypatch):
    pair = random_pair(1, images=50)
    whole = paired_bootstrap_difference([pair], seed=3)
    monkeypatch.setattr("heirloom.evaluation.statistics._CHUNK", 350)
    assert paired_bootstrap_difference([pair], seed=3) == whole


def test_resamples_without_a_counted_image_are_left_out():
    counted = np.arange(30)[None] < 1
    full = np.ones((1, 30), dtype=bool)
    hit = np.random.default_rng(1).random((1, 30)) < 0.5
    low, high = paired_bootstrap_difference([Pair(counted, counted, full, hit)], seed=0)[0]
    assert 0 < low < high < 1
    assert not math.isnan(low)


def test_the_paired_interval_covers_the_true_difference():
    rng = np.random.default_rng(12)
    covered = 0
    for trial in range(200):
        images = rng.random((1, 150))
        full = np.ones((1, 150), dtype=bool)
        pair = Pair(full, images < 0.6, full, (images < 0.45) ^ (rng.random((1, 150)) < 0.05))
        low, high = paired_bootstrap_difference([pair], seed=trial, resamples=400)[0]
        covered += low <= 0.6 - (0.45 * 0.95 + 0.55 * 0.05) <= high
    assert 180 <= covered <= 199


# -- comparisons -------------------------------------------------------------------------------------------------------


def test_one_seed_is_compared_over_its_images():
    #          both   both   both   mine   control
    pair = pair_of([1, 1, 1, 1, 0], [1, 1, 0, 1, 0], [1, 1, 1, 0, 1], [0, 1, 0, 0, 1])
    found = compare([pair], seed=0)[0]
    assert found.control == 0.5
    assert found.difference == 0.75 - 0.5
    assert found.p_value == mcnemar_exact(1, 0)  # of the three that count for both, one differs
    assert found.low < found.difference < found.high


def test_two_seeds_pool_their_pairs():
    pair = random_pair(6, seeds=2)
    both = pair.counted & pair.control_counted
    b, c = int((both & pair.hit & ~pair.control_hit).sum()), int((both & ~pair.hit & pair.control_hit).sum())
    found = compare([pair], seed=0)[0]
    assert found.p_value == mcnemar_exact(b, c)
    assert (found.low, found.high) == paired_bootstrap_difference([pair], seed=0)[0]
    assert found.difference == pytest.approx(np.mean(pair.differences))


def test_three_seeds_are_compared_over_seeds():
    pair = random_pair(6, seeds=3)
    found = compare([pair], seed=0)[0]
    oracle = stats.ttest_rel(pair.rates, pair.control_rates)
    interval = oracle.confidence_interval(0.95)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx((max(-1, interval.low), min(1, interval.high)))


def test_means_over_data_sets_are_compared_over_seeds_from_three_on_and_untested_below():
    many, few = ([random_pair(start, seeds=seeds) for start in range(4)] for seeds in (3, 2))
    found = average(many, compare(many, seed=0))
    oracle = stats.ttest_1samp(np.mean([pair.differences for pair in many], axis=0), 0)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert found.control == pytest.approx(np.mean([pair.control_rates.mean() for pair in many]))
    parts = compare(few, seed=0)
    found = average(few, parts)
    assert found.p_value is None
    assert found.high - found.low < min(part.high - part.low for part in parts)


def test_an_untested_mean_difference_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        pairs = []
        for truth in (0.2, 0.5, 0.7):
            full = np.ones((1, 80), dtype=bool)
            pairs.append(Pair(full, rng.random((1, 80)) < truth, full, rng.random((1, 80)) < truth - 0.1))
        found = average(pairs, compare(pairs, seed=1))
        hits += found.low <= 0.1 <= found.high
    assert 0.91 <= hits / 200 <= 0.99


def test_comparisons_keep_their_order_whatever_their_seeds():
    pairs = [random_pair(1), random_pair(2, seeds=3), random_pair(3, seeds=2)]
    assert compare(pairs, seed=4) == [compare([pair], seed=4)[0] for pair in pairs]


def test_a_rate_of_one_claims_no_certainty():
    full = np.ones((1, 100), dtype=bool)
    pair = Pair(full, full, full, ~full)
    found = compare([pair], seed=0)[0]
    assert found.difference == 1.0
    assert (found.low, found.high) == newcombe((100, 100), (0, 100))
    assert found.low < 0.97


def test_models_that_agree_on_every_image_claim_no_certainty():
    counted = np.ones((1, 100), dtype=bool)
    hit = (np.arange(100) % 5 > 0)[None]
    same = compare([Pair(counted, hit, counted, hit)], seed=0)[0]
    assert same.difference == 0
    assert same.low < 0 < same.high
    assert same.p_value == 1


def test_a_pair_needs_images_that_count():
    with pytest.raises(ValueError, match="counted image"):
        pair_of([0, 0], [0, 0], [1, 1], [0, 1])
    with pytest.raises(ValueError, match="one shape"):
        Pair(*(np.ones((1, size), dtype=bool) for size in (2, 2, 3, 3)))
