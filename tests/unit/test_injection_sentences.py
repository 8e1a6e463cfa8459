"""What is said of injections that are compared with a baseline injection."""

from __future__ import annotations

from heirloom.reporting.injections import injection_paragraphs


def compared(injection, method, mean, baseline, **given):
    place = {"teacher": "net", "dataset": "signs", "baseline_injection": "plain", "metric": "targeted_success"}
    names = {"injection": injection, "method": method, "baseline": method, "attack": "mark", "baseline_attack": "mark"}
    difference = mean - baseline
    interval = {"low": difference - 0.02, "high": difference + 0.02, "p_value": 0.001}
    return place | names | {"mean": mean, "baseline_mean": baseline, "difference": difference} | interval | given


def test_each_injection_is_told_against_the_baseline_by_its_test():
    rows = [
        compared("half", "fine-tuning", 0.9, 0.5),
        compared("half", "teacher", 1.0, 1.0, p_value=1.0),
        compared("half", "fine-tuning", 0.8, 0.81, metric="accuracy", p_value=0.6),
    ]
    (told,) = injection_paragraphs(rows)
    assert told.startswith("On signs (net), the share that the mark trigger sends to the target, against plain: half: ")
    assert "fine-tuning 90.0 % against 50.0 % (+40.0 points, +38.0 to +42.0, p = 0.001)" in told
    assert "the teacher itself 100.0 % against 100.0 % (no detectable difference)" in told
    assert "80.0" not in told


def test_comparisons_of_methods_are_not_told_here():
    assert not injection_paragraphs([compared("plain", "fine-tuning", 0.9, 0.5)])
