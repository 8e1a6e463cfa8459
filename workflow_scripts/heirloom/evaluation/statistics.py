"""Intervals and tests behind every number of the tables: Wilson, t, paired bootstrap, McNemar, Holm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

RESAMPLES = 2000
SEEDS_FOR_T = 3  # below this a t test over seeds says next to nothing, and test images carry the inference
_CHUNK = 1 << 22  # resampled images held at once: 32 MiB, whatever the size of the test set


@dataclass(frozen=True)
class Pair:
    """A model and its control on the same N test images, for S seeds: four arrays (S, N).

    `counted` marks the images in a rate's denominator, `hit` those in its numerator (a part of `counted`). Every row
    counts at least one image.
    """

    counted: Booleans
    hit: Booleans
    control_counted: Booleans
    control_hit: Booleans

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.counted, self.hit, self.control_counted, self.control_hit)}
        if len(shapes) != 1 or self.counted.ndim != 2:
            raise ValueError(f"a pair needs four arrays (seeds, images) of one shape, not {sorted(shapes)}")
        if not (self.counted.any(axis=1).all() and self.control_counted.any(axis=1).all()):
            raise ValueError("a rate without a single counted image cannot be compared")

    @property
    def rates(self) -> Floats:
        """The model's rate per seed (S,)."""
        return np.asarray(self.hit.sum(axis=1) / self.counted.sum(axis=1), dtype=np.float64)

    @property
    def control_rates(self) -> Floats:
        """The control's rate per seed (S,)."""
        return np.asarray(self.control_hit.sum(axis=1) / self.control_counted.sum(axis=1), dtype=np.float64)

    @property
    def differences(self) -> Floats:
        """Model minus control per seed (S,)."""
        return self.rates - self.control_rates


@dataclass(frozen=True)
class Comparison:
    """A model against its control: the control's mean, the difference with its 95 % interval, and a raw p-value.

    Rates are in [0, 1]. The p-value is None where no test is defined (`average`), and so is the interval where a single
    pair of values is all there is (`compare_values`).
    """

    control: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None


def wilson(successes: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a rate; the exact 0 or 1 belongs to it where no or every image hits.

    Raises ValueError unless 0 <= successes <= count and count > 0.
    """
    if not 0 <= successes <= count or count == 0:
        raise ValueError(f"{successes} of {count} is no rate")
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, weight = successes / count, z * z / count
    middle = rate + weight / 2
    half = z * math.sqrt(rate * (1 - rate) / count + weight / (4 * count))
    low = 0.0 if successes == 0 else max(0.0, (middle - half) / (1 + weight))
    high = 1.0 if successes == count else min(1.0, (middle + half) / (1 + weight))
    return low, high


def newcombe(first: tuple[int, int], second: tuple[int, int], level: float = 0.95) -> tuple[float, float]:
    """Return Newcombe's interval of the difference of two rates, each given as (successes, count), from Wilson's.

    It treats the two as independent, so for paired images that agree it is wider than needed, never narrower.
    Source: Newcombe 1998, Statistics in Medicine 17, 873-890, method 10.
    """
    rates = [successes / count for successes, count in (first, second)]
    (low_1, high_1), (low_2, high_2) = wilson(*first, level), wilson(*second, level)
    difference = rates[0] - rates[1]
    low = difference - math.hypot(rates[0] - low_1, high_2 - rates[1])
    high = difference + math.hypot(high_1 - rates[0], rates[1] - low_2)
    return low, high


def mean_interval(rates: Sequence[float], limits: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the interval of the unweighted mean of independent rates, from each rate's own interval.

    The distances to the limits add up as squares on either side; with Wilson's limits a rate of 0 or 1 stays uncertain,
    which the usual standard error would deny. Source: Zou and Donner 2008, Statistics in Medicine 27, 1693-1702.
    """
    mean = sum(rates) / len(rates)
    below = math.hypot(*(rate - low for rate, (low, _) in zip(rates, limits, strict=True))) / len(rates)
    above = math.hypot(*(high - rate for rate, (_, high) in zip(rates, limits, strict=True))) / len(rates)
    return mean - below, mean + above


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of the mean of at least two values (ValueError otherwise)."""
    from scipy.special import stdtrit

    mean, error = _mean_and_error(values)
    half = float(stdtrit(len(values) - 1, (1 + level) / 2)) * error
    return mean - half, mean + half


def t_test(values: Sequence[float]) -> float:
    """Return the two-sided p-value of a mean of 0 for at least two values; 1 when all are 0."""
    from scipy.special import stdtr

    mean, error = _mean_and_error(values)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(len(values) - 1, -abs(mean) / error))


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    if len(values) < 2:
        raise ValueError("an interval over seeds needs at least two seeds")
    array = np.asarray(values, dtype=np.float64)
    spread = 0.0 if (array == array[0]).all() else float(array.std(ddof=1))  # equal values differ by rounding at most
    return float(array.mean()), spread / math.sqrt(len(array))


def mcnemar_exact(b: int, c: int) -> float:
    """Return the exact two-sided p-value of McNemar's test; b and c count the pairs that differ in either direction.

    Whole numbers throughout, hence right for any counts: twice the tail of Binomial(b + c, 1/2), at most 1.
    """
    pairs, fewer = b + c, min(b, c)
    term = total = 1
    for k in range(1, fewer + 1):
        term = term * (pairs - k + 1) // k
        total += term
    return float(min(1.0, 2 * total / 2**pairs))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the order given; compared with 0.05 they keep the family's error at 5 %."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def resampled_rates(counted: Booleans, hit: Booleans, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Return the rates (resamples, M) of M models, counted and hit (M, N), under bootstrap resamples of N images.

    A resample takes the same images for all models, each with its own denominator; a rate is NaN where a resample
    holds no image that counts. Resamples are counts of images, so that all rates are two matrix products.
    """
    rng = np.random.default_rng(seed)
    # sums of ones stay whole in float32 up to 2**24 images, so no order of summation changes a digit
    indicators = np.concatenate([counted, hit]).T.astype(np.float32)
    sums = np.concatenate([weights @ indicators for weights in _resamples(rng, counted.shape[1], resamples)])
    denominators, numerators = np.split(sums.astype(np.float64), 2, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(numerators / denominators, dtype=np.float64)


def _resamples(rng: np.random.Generator, images: int, resamples: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield how often each image is drawn (rows, images), in blocks that bound the memory."""
    block = max(1, _CHUNK // images)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, images, size=(rows, images))
        drawn += np.arange(rows)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float32)


def paired_bootstrap_difference(
    pairs: Sequence[Pair], *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> list[tuple[float, float]]:
    """Return the percentile interval of each pair's difference of rates, averaged over seeds; all pairs share N images.

    Every pair sees the same resamples, so the cost is that of one. Resamples without a counted image are left out.
    """
    if not pairs:
        return []
    counted = np.concatenate([array for pair in pairs for array in (pair.counted, pair.control_counted)])
    hit = np.concatenate([array for pair in pairs for array in (pair.hit, pair.control_hit)])
    rates = resampled_rates(counted, hit, seed=seed, resamples=resamples)
    ends = np.cumsum([2 * len(pair.counted) for pair in pairs])[:-1]
    return [_interval(block, level) for block in np.split(rates, ends, axis=1)]


def _interval(rates: Floats, level: float) -> tuple[float, float]:
    """Return the interval of the mean difference; `rates` (resamples, 2 S): the model's seeds, then the control's."""
    model, control = np.split(rates, 2, axis=1)
    differences = (model - control).mean(axis=1)
    low, high = np.nanquantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare(pairs: Sequence[Pair], *, seed: int) -> list[Comparison]:
    """Compare each model with its control; all pairs share the same N test images.

    With three seeds or more: t interval and paired t test over the seeds' differences. With fewer: paired bootstrap
    over images (seeds averaged) and McNemar's exact test on the images that count for both, pooled over seeds as if two
    students' answers to one image were independent, hence a little too sure for two seeds. Where a rate is 0 or 1 no
    resample moves it and the bootstrap would claim certainty: Newcombe's interval stands in.
    """
    few = [pair for pair in pairs if len(pair.counted) < SEEDS_FOR_T]
    intervals = iter(paired_bootstrap_difference(few, seed=seed))
    return [
        _over_images(pair, next(intervals)) if len(pair.counted) < SEEDS_FOR_T else _over_seeds(pair) for pair in pairs
    ]


def average(pairs: Sequence[Pair], each: Sequence[Comparison]) -> Comparison:
    """Compare unweighted means over data sets: one pair of the same S seeds for each, and its own comparison.

    With three seeds or more: t interval and paired t test over the seeds' mean differences. With fewer a resample of
    one data set's images says nothing of another's: the data sets' intervals are combined as those of independent
    estimates (`mean_interval`), and there is no test.
    """
    differences = np.mean([pair.differences for pair in pairs], axis=0)
    control = float(np.mean([pair.control_rates for pair in pairs]))
    if len(differences) >= SEEDS_FOR_T:
        return _over_differences(differences, control)
    limits = [(part.low, part.high) for part in each if part.low is not None and part.high is not None]
    found = mean_interval([part.difference for part in each], limits)
    return Comparison(control, float(differences.mean()), *_bounded(found), p_value=None)


def compare_values(model: Floats, control: Floats) -> Comparison:
    """Compare values (S, N) of S seeds and the same N samples, in a unit of their own.

    With three seeds or more: t interval and paired t test over the seeds' mean differences. With fewer: the same over
    the samples' differences, averaged over the seeds. One seed and one sample have neither interval nor test.
    """
    differences = model - control
    units = differences.mean(axis=1 if len(differences) >= SEEDS_FOR_T else 0).tolist()
    tested = len(units) > 1
    low, high = t_interval(units) if tested else (None, None)
    p_value = t_test(units) if tested else None
    return Comparison(float(control.mean()), float(differences.mean()), low, high, p_value=p_value)


def _over_seeds(pair: Pair) -> Comparison:
    """Compare by what differs from seed to seed."""
    return _over_differences(pair.differences, float(pair.control_rates.mean()))


def _over_differences(differences: Floats, control: float) -> Comparison:
    """Compare by the differences (S,) of the seeds."""
    values = differences.tolist()
    return Comparison(control, float(differences.mean()), *_bounded(t_interval(values)), p_value=t_test(values))


def _bounded(interval: tuple[float, float]) -> tuple[float, float]:
    """Cut the interval of a difference of rates to [-1, 1]."""
    low, high = interval
    return max(-1.0, low), min(1.0, high)


def _over_images(pair: Pair, bootstrap: tuple[float, float]) -> Comparison:
    """Compare by what differs from image to image."""
    rates = np.concatenate([pair.rates, pair.control_rates])
    extreme = bool(((rates == 0) | (rates == 1)).any())
    # resampling cannot tell how sure it is of rates that no resample moves
    low, high = _mean_newcombe(pair) if extreme or bootstrap[0] == bootstrap[1] else bootstrap
    both = pair.counted & pair.control_counted
    return Comparison(
        control=float(pair.control_rates.mean()),
        difference=float(pair.differences.mean()),
        low=low,
        high=high,
        p_value=mcnemar_exact(
            int((both & pair.hit & ~pair.control_hit).sum()), int((both & ~pair.hit & pair.control_hit).sum())
        ),
    )


def _mean_newcombe(pair: Pair) -> tuple[float, float]:
    """Average Newcombe's limits over the seeds: the same images return, so seeds narrow nothing."""
    counts = [array.sum(axis=1).tolist() for array in (pair.hit, pair.counted, pair.control_hit, pair.control_counted)]
    limits = [newcombe((hit, count), (other, others)) for hit, count, other, others in zip(*counts, strict=True)]
    low, high = np.mean(limits, axis=0)
    return float(low), float(high)
