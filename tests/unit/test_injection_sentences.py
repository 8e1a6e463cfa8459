"""What is said of injections that are compared with a baseline injection."""

from __future__ import annotations

from heirloom.reporting.injections import injection_paragraphs


def compared(injection, method, mean, baseline, **given):
    place = {"teacher": "net", "dataset": "signs", "baseline_injection": "plain", "metric": "targeted_success"}
    names = {"injection": injection, "method": method, "baseline": method, "attack": "mark", "baseline_attack": "mark"}
    names |= {"condition": ""}
    difference = mean - baseline
    interval = {"low": difference - 0.02, "high": difference + 0.02, "p_value": 0.001}
    return place | names | {"mean": mean, "baseline_mean": baseline, "difference": difference} | interval | given


def control(injection, rate):
    names = {"teacher": "net", "dataset": "signs", "injection": injection, "method": "fine-tuning", "attack": "mark"}
    return names | {"condition": "", "metric": "targeted_success", "control": rate}


def test_each_injection_is_told_against_the_baseline_by_its_test():
    rows = [
        compared("half", "fine-tuning", 0.9, 0.5),
        compared("half", "teacher", 1.0, 1.0, p_value=1.0),
        compared("half", "fine-tuning", 0.8, 0.81, metric="accuracy", attack="none", p_value=0.6),
    ]
    (told,) = injection_paragraphs(rows, [control("half", 0.02), control("plain", 0.01)])
    assert told.startswith("On signs (net), the share that the mark trigger sends to the target, against plain: half: ")
    assert "fine-tuning 90.0 % against 50.0 % (controls 2.0 % and 1.0 %; +40.0 points, +38.0 to +42.0" in told
    assert "the teacher itself 100.0 % against 100.0 % (no detectable difference)" in told
    assert "80.0" not in told
    assert told.endswith("the tests say nothing of another training of it.")


def test_injections_with_triggers_of_their_own_are_told_apart():
    rows = [
        compared("a", "fine-tuning", 0.9, 0.1),
        compared("b", "fine-tuning", 0.8, 0.2, attack="check", baseline_attack="check"),
        compared("c", "fine-tuning", 0.7, 0.6, attack="none", baseline_attack="none", metric="accuracy"),
        compared("b", "fine-tuning", 0.75, 0.6, attack="none", baseline_attack="none", metric="accuracy"),
    ]
    check, mark, accuracy = injection_paragraphs(rows, [])
    found = [
        [words in told for words in (f"the {name} trigger", "a: fine-tuning", "b: fine-tuning", "c: fine-tuning")]
        for told, name in ((check, "check"), (mark, "mark"), (accuracy, "no"))
    ]
    assert found == [[True, False, True, False], [True, True, False, False], [False, False, False, True]]


def test_comparisons_of_methods_are_not_told_here():
    assert not injection_paragraphs([compared("plain", "fine-tuning", 0.9, 0.5)], [])
