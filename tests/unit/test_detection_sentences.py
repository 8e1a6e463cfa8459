"""What is said of detectors: who is flagged at the detector's own threshold, and whether for the target class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heirloom.reporting.detection import paragraphs
from heirloom.reporting.sentences import answer
from tests.unit.test_sentences import row

BRIGHTEST = Path(__file__).resolve().parents[2] / "docs/extending/brightest.py"
BUDGET = json.dumps({"kind": "neural-cleanse", "threshold": 2.0})


def score(value, control, *, condition="cleanse", **given):
    measured = {"metric": "detection_score", "attack": "none", "budget": BUDGET, "control": control, "p_value": None}
    return row("teacher", value, **{**measured, "condition": condition, "counts": (1, 1), "low": None, **given})


@pytest.mark.parametrize(
    ("value", "control", "words"),
    [
        (3.456, 1.2, "at a threshold of 2 it flags the infected teacher alone."),
        (3.4, 2.5, "it flags the clean control too."),
        (1.4, 2.5, "it flags the clean control instead."),
        (1.4, 2.0, "it flags neither."),
    ],
)
def test_a_detector_is_worded_by_its_own_threshold(value, control, words):
    (found,) = paragraphs([score(value, control)])
    assert words in found


def test_both_scores_are_told_and_whether_they_are_the_target_s():
    rows = [score(3.456, 1.2), score(3.456, 0.4, condition="cleanse:class 7")]
    (told,) = paragraphs(rows)
    assert told == (
        "On signs, the largest anomaly index that cleanse finds among the classes is 3.46 in the infected teacher,"
        " against 1.20 in its clean control: at a threshold of 2 it flags the infected teacher alone. In the infected"
        " teacher that class is the target."
    )
    (missed,) = paragraphs([rows[0], score(-0.3, 0.4, condition="cleanse:class 7")])
    assert missed.endswith("that class is not the target, whose index is -0.30.")


def test_a_detector_without_words_of_its_own_is_worded_neutrally():
    budget = json.dumps({"kind": f"{BRIGHTEST}:Brightest", "threshold": 0.5})
    rows = [score(0.7, 0.2, condition=name, budget=budget) for name in ("bright", "bright:class 7")]
    (told,) = paragraphs([rows[0], rows[1] | {"mean": 0.1}])
    assert told == (
        "On signs, the largest score that bright gives is 0.70 in the infected teacher, against 0.20 in its clean"
        " control: at a threshold of 0.5 it flags the infected teacher alone. In the infected teacher that class is not"
        " the target, whose score is 0.10."
    )


def test_another_detector_s_target_is_not_mistaken_for_one_s_own():
    rows = [
        score(3.0, 1.0),
        score(2.0, 1.0, condition="cleanse-short"),
        score(2.0, 1.0, condition="cleanse-short:class 0"),
    ]
    first, second = paragraphs(rows)
    assert "target" not in first
    assert second.endswith("that class is the target.")


def test_several_teachers_are_told_apart_and_controls_are_not_told_of():
    rows = [score(3.0, 1.0), score(4.0, 1.0, injection="other"), score(1.0, None, injection="twin")]
    found = paragraphs(rows)
    assert [text.split(" the ")[0] for text in found] == ["On signs (infected),", "On signs (other),"]


def test_the_answer_of_an_experiment_ends_with_its_detectors():
    rows = [row("teacher", 0.97), row("pruned", 0.5), score(3.0, 1.0)]
    first, last = answer(rows).splitlines()
    assert "pinwheel" in first
    assert "anomaly index" in last
    assert "anomaly" not in answer(rows[:2])
