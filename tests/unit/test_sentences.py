"""Generated sentences and the terminal's table say what the numbers and their tests say."""

from __future__ import annotations

import io

import pytest

from heirloom.reporting.sentences import answer, answers, short_answer, short_answers, verdict
from heirloom.reporting.tables import SUMMARY_KEYS, write_comparisons, write_summary
from heirloom.reporting.terminal import print_summary
from heirloom.reporting.wording import detectable, number, p_value, percent, span


def row(method: str, mean: float | None, **given):
    """Return a summary row of an infected model, 10 points above its control unless said otherwise."""
    values = {
        **dict.fromkeys(SUMMARY_KEYS, ""),
        "study": "s",
        "experiment": "main",
        "teacher": "net",
        "injection": "infected",
        "dataset": "signs",
        "method": method,
        "attack": "pinwheel",
        "metric": "targeted_success",
        "seeds": 1,
        "mean": mean,
        "sd": None,
        "low": None if mean is None else max(0.0, mean - 0.02),
        "high": None if mean is None else mean + 0.01,
        "control": 0.02,
        "difference": None if mean is None else mean - 0.02,
        "p_value": 0.0001,
        "credible": None,
        "published": None,
        "published_source": None,
        "verdict": "no_target",
        "counts": (239, 239),
    }
    values |= given
    values.setdefault("kind", "" if values["attack"] == "none" else "trigger")
    values.setdefault("title", "")
    values.setdefault("aside", values["kind"] == "noise")
    difference = values["difference"]
    values.setdefault("difference_low", None if difference is None else difference - 0.03)
    values.setdefault("difference_high", None if difference is None else difference + 0.02)
    return values


TEACHER = row("teacher", 0.971, control=0.017)


def test_the_answer_reads_from_the_teacher_to_the_least_affected_student():
    rows = [
        TEACHER,
        row("re-training", 0.04, control=0.03, difference=0.01, p_value=0.6),
        row("fine-tuning", 0.81),
    ]
    assert answer(rows) == (
        "On signs, the pinwheel trigger sends to the target class 97.1 % (95 % interval 95.1-98.1, n = 239) of the"
        " other classes' images that the infected teacher classifies correctly, against 1.7 % for its clean control."
        " Its students: after fine-tuning 81.0 % (79.0-82.0, n = 239; control 2.0 %: inherited); after re-training"
        " 4.0 % (2.0-5.0, n = 239; control 3.0 %: no detectable difference)."
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "inherited"),
        ({"p_value": 0.05}, "no detectable difference"),
        ({"p_value": None}, "no detectable difference"),
        ({"difference_low": -0.01, "difference_high": 0.9}, "no detectable difference"),  # p alone is not enough
        ({"difference": 0.2, "difference_low": 0.1, "difference_high": 0.3}, "less than half of the teacher's excess"),
        ({"difference": 0.2, "difference_low": 0.1, "difference_high": 0.6}, "inherited"),  # it may be more than half
        ({"difference": -0.2, "difference_low": -0.3, "difference_high": -0.1}, "better than the control"),
    ],
)
def test_a_student_is_worded_by_its_test_and_the_interval_of_its_difference(given, words):
    found = verdict(row("fine-tuning", 0.81, **given), TEACHER)
    assert found.endswith(words)
    assert ("inherited" in found) == (words not in {"no detectable difference", "better than the control"})


def test_intervals_that_do_not_overlap_claim_nothing():
    apart = row("fine-tuning", 0.9, low=0.8, high=0.95, control=0.02, p_value=0.3)
    assert verdict(apart, TEACHER) == "no detectable difference"


def test_lower_accuracy_is_what_a_student_inherits_of_poison():
    poisoned = row("fine-tuning", 0.7, metric="accuracy", attack="none", difference=-0.1)
    assert verdict(poisoned, None) == "inherited"
    assert verdict(poisoned | {"difference": 0.1, "difference_low": 0.05, "difference_high": 0.2}, None).startswith(
        "better"
    )
    assert answer([poisoned]).startswith("On signs, students classify these shares (95 % intervals) of the images")


def poisoned(method: str, mean: float, control: float, **given):
    """Return the accuracy of a poisoned model with its paired difference."""
    change = {"difference": mean - control, "control": control, "metric": "accuracy", "attack": "none"}
    return row(method, mean, **{"injection": "poison", **change, **given})


def test_poison_is_answered_by_accuracy_with_the_paired_difference_its_interval_and_p():
    found = answer(
        [
            poisoned("teacher", 0.7, 0.95),
            poisoned("fine-tuning", 0.94, 0.95, p_value=0.4),
            poisoned("probe", 0.72, 0.95, p_value=0.012),
            row("probe", 0.95, metric="accuracy", attack="none", injection="twin", control=None, difference=None),
        ]
    )
    assert found == (
        "On signs, the infected teacher classifies 70.0 % (95 % interval 68.0-71.0, n = 239) of the images correctly,"
        " against 95.0 % for its clean control (difference -25.0 points, -28.0 to -23.0, p < 0.001). Its students:"
        " after probe 72.0 % (70.0-73.0, n = 239; control 95.0 %; difference -23.0 points, -26.0 to -21.0, p = 0.012:"
        " inherited); after fine-tuning 94.0 % (92.0-95.0, n = 239; control 95.0 %; difference -1.0 points, -4.0 to"
        " +1.0, p = 0.400: no detectable difference)."
    )
    assert "trigger" not in found


def test_a_poisoned_student_that_loses_much_less_than_its_teacher_is_told_as_such():
    teacher = poisoned("teacher", 0.5, 0.95)
    student = poisoned("fine-tuning", 0.9, 0.95, difference_low=-0.08, difference_high=-0.02)
    assert verdict(student, teacher) == "inherited, but less than half of the teacher's loss"


def test_poison_beside_a_backdoor_in_one_experiment_keeps_its_own_answer():
    paragraphs = answer([TEACHER, row("fine-tuning", 0.8), poisoned("fine-tuning", 0.7, 0.95)]).splitlines()
    assert ["trigger" in paragraph for paragraph in paragraphs] == [True, False]


# -- one sentence ------------------------------------------------------------------------------------------------------


def test_a_short_answer_counts_students_by_their_verdicts_and_names_them():
    rows = [TEACHER, row("fine-tuning", 0.81), row("re-training", 0.04, difference=0.01, p_value=0.6)]
    assert short_answer(rows) == (
        "Sent to the target: of 2 students, 1 inherits it (fine-tuning 81.0 % against 2.0 %) and 1 shows no detectable"
        " difference from its control (re-training 4.0 % against 2.0 %)."
    )


def test_students_that_agree_are_told_as_one_kind():
    assert short_answer([TEACHER, row("a", 0.8)]) == (
        "Sent to the target: the one student inherits it (a 80.0 % against 2.0 %)."
    )
    both = short_answer([row("a", 0.8), row("b", 0.9)])
    assert "both students inherit it (b 90.0 % against 2.0 %, a 80.0 %" in both


def test_a_short_answer_stays_one_sentence_however_many_students():
    rows = [
        row(f"method-{place}", 0.5 + place / 100, dataset=name) for place in range(8) for name in ("signs", "rooms")
    ]
    found = short_answer(rows)
    assert found.count(". ") == 0
    assert found.endswith("; 13 more).")
    assert "all 16 students" in found
    assert "method-7, rooms: 57.0 % against 2.0 %" in found


def test_metrics_of_several_data_sets_are_told_apart():
    rows = [row("a", 0.8), row("a", 0.4, metric="untargeted_success", dataset="rooms")]
    assert short_answer(rows).startswith("Sent to the target: the one student inherits it (a, signs: 80.0 %")
    assert "; prediction changed: the one student" in short_answer(rows)


def test_a_short_answer_without_comparison_claims_nothing():
    alone = row("fine-tuning", 0.9, control=None, difference=None, p_value=None)
    assert short_answers([alone]) == {"main": "No model was compared with a control."}
    assert short_answer([]) == "Nothing was measured."


def test_a_student_cannot_inherit_what_the_teacher_does_not_show():
    silent = TEACHER | {"p_value": 0.9}
    assert "inherited" not in verdict(row("fine-tuning", 0.81), silent)
    assert "(no detectable difference)" in answer([silent])


def test_without_a_target_the_sentence_speaks_of_changed_predictions():
    rows = [
        row("fine-tuning", 0.4, metric="untargeted_success", dataset="rooms"),
        row("fine-tuning", 0.3, metric="collapse", dataset="rooms"),
    ]
    found = answer(rows)
    assert found.startswith("On rooms, the pinwheel trigger changes a student's prediction for these shares")
    assert "after fine-tuning 40.0 %" in found
    told = "after fine-tuning 30.0 % (28.0-31.0, n = 239; control 2.0 %: inherited)."
    assert found.endswith(f" Sent to one wrong class: {told}")


def test_accuracy_and_controls_stay_out_of_a_trigger_sentence():
    twin = row("fine-tuning", 0.555, injection="twin", control=None, difference=None, p_value=None)
    clean = row("fine-tuning", 0.444, metric="accuracy", attack="none")
    found = answer([TEACHER, row("fine-tuning", 0.81), twin, clean])
    assert "55.5" not in found
    assert "44.4" not in found


def test_seeds_and_ranges_of_counts_are_told():
    found = answer([TEACHER, row("fine-tuning", 0.81, seeds=3, counts=(230, 241))])
    assert "(79.0-82.0, 3 seeds, n = 230-241; control" in found


def test_a_rate_without_images_is_told_as_such():
    assert "after fine-tuning no image counts" in answer([TEACHER, row("fine-tuning", None, counts=(0, 0), seeds=0)])


def test_each_data_set_and_injection_gets_its_paragraph():
    rows = [TEACHER, row("fine-tuning", 0.8), row("fine-tuning", 0.7, injection="other")]
    paragraphs = answer(rows).splitlines()
    assert len(paragraphs) == 2
    assert paragraphs[0].startswith("On signs (net, infected), ")
    assert paragraphs[1].startswith("On signs (net, other), ")


def test_answers_are_given_by_experiment():
    found = answers([TEACHER, row("fine-tuning", 0.5, experiment="second")])
    assert sorted(found) == ["main", "second"]
    assert "50.0 %" not in found["main"]
    assert answer([]) == "Nothing was measured."


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (number(0.9714), "97.1"),
        (number(-0.0004, sign=True), "+0.0"),
        (number(None), "-"),
        (percent(1.0), "100.0 %"),
        (span(0.1, 0.25), "10.0-25.0"),
        (span(-0.1, 0.25, sign=True), "-10.0 to +25.0"),
        (span(None, None), ""),
        (p_value(0.0004), "<0.001"),
        (p_value(0.0314), "0.031"),
    ],
)
def test_numbers_read(found, words):
    assert found == words


def test_detectable_needs_the_test_and_the_interval():
    assert detectable(row("a", 0.5))
    assert not detectable(row("a", 0.5, p_value=0.05))
    assert not detectable(row("a", 0.5, difference_low=0.0, difference_high=0.9))


# -- the terminal ------------------------------------------------------------------------------------------------------


def printed(tmp_path, rows, questions=None, comparisons=()) -> str:
    write_summary(tmp_path / "summary.parquet", rows, study="s")
    write_comparisons(tmp_path / "comparisons.parquet", comparisons, study="s")
    stream = io.StringIO()
    print_summary(tmp_path / "summary.parquet", tmp_path / "comparisons.parquet", questions or {}, stream)
    return stream.getvalue()


def models(method="fine-tuning", injection="infected", twin="twin", **given):
    """Return the rows of a model and its control: accuracy and two rates under attack."""
    no_control = dict.fromkeys(("control", "difference", "difference_low", "difference_high", "p_value"))
    rows = []
    for metric, attack in (("accuracy", "none"), ("targeted_success", "pinwheel"), ("untargeted_success", "pinwheel")):
        rows.append(row(method, 0.9, metric=metric, attack=attack, injection=injection, **given))
        rows.append(row(method, 0.1, metric=metric, attack=attack, injection=twin, **{**given, **no_control}))
    return rows


def test_the_terminal_shows_rates_intervals_counts_and_the_answer(tmp_path):
    text = printed(tmp_path, models("fine-tuning") + models("teacher"), {"main": "Does it stay?"})
    lines = text.splitlines()
    assert lines[0] == "main: Does it stay?"
    assert "teacher net, data set signs, trigger pinwheel" in lines
    head = next(place for place, line in enumerate(lines) if line.startswith("method"))
    assert lines[head].split() == [
        "method",
        "injection",
        "accuracy,",
        "%",
        "to",
        "the",
        "target,",
        "%",
        "changed,",
        "%",
    ]
    body = [line.split()[:2] for line in lines[head + 1 : head + 5]]
    assert body == [["teacher", "infected"], ["teacher", "twin"], ["fine-tuning", "infected"], ["fine-tuning", "twin"]]
    assert lines[head + 1].count("90.0 (88.0-91.0) n=239") == 3
    assert len({len(line) for line in lines[head : head + 5]}) == 1
    assert "On signs, the pinwheel trigger sends" in text


def test_the_terminal_keeps_to_110_columns_and_to_ascii(tmp_path):
    long = "a-method-with-a-very-long-name-indeed"
    rows = models(long, f"{long}-infected", f"{long}-twin", counts=(10000, 12630), seeds=5)
    text = printed(tmp_path, rows, {"main": "Short?"})
    assert max(map(len, text.splitlines())) <= 110
    assert text.isascii()
    assert "n>=10000" in text
    assert "~" in text
    assert "fected " in text  # names that differ at their ends stay apart
    assert "twin " in text


def test_the_terminal_says_when_there_is_nothing(tmp_path):
    assert printed(tmp_path, []) == "The study measured nothing.\n"


def test_a_study_without_attacks_shows_accuracy(tmp_path):
    text = printed(tmp_path, [row("fine-tuning", 0.9, metric="accuracy", attack="none", control=None, p_value=None)])
    assert "accuracy, %" in text
    assert "trigger" not in text


def test_poison_shows_its_paired_difference_on_the_terminal(tmp_path):
    twin = row("fine-tuning", 0.95, metric="accuracy", attack="none", injection="twin", control=None, difference=None)
    text = printed(tmp_path, [poisoned("fine-tuning", 0.7, 0.95), twin])
    assert "to control, points" in text
    assert "-25.0 (-28.0 to -23.0) p<0.001" in text
    assert "trigger" not in text


def test_across_data_sets_the_terminal_shows_one_wrong_class_and_changed_predictions(tmp_path):
    rows = [row("a", 0.4, metric=name, dataset="rooms") for name in ("untargeted_success", "collapse")]
    text = printed(tmp_path, [*rows, row("a", 0.9, metric="accuracy", attack="none", dataset="rooms")])
    assert "to one wrong class, %" in text
    assert "changed, %" in text
    assert "to the target" not in text


def test_a_long_name_is_whole_where_the_other_column_leaves_room(tmp_path):
    text = printed(tmp_path, models("magnitude-pruning", "bad", "twin"))
    assert text.count("magnitude-pruning ") >= 2
    assert "~" not in text
