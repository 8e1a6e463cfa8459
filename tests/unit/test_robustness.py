"""Sentences about attacks that want a student wrong, and about methods against a baseline, say what the tests say."""

from __future__ import annotations

import pytest

from heirloom.reporting.robustness import short_parts
from heirloom.reporting.sentences import answer, answers, short_answer
from heirloom.reporting.wording import verdicts
from tests.unit.test_sentences import TEACHER, printed, row

NO_CONTROL = dict.fromkeys(("control", "difference", "difference_low", "difference_high", "p_value"))


def attacked(method: str, mean: float, *, noise: float | None = 0.031, **given):
    """Return a student's attack success under a feature attack, beside noise."""
    values = {"metric": "attack_success", "attack": "feature-pixel", "kind": "feature", "injection": "none"}
    values |= {"dataset": "rooms", "control": noise, "difference": None if noise is None else mean - noise}
    return row(method, mean, **{**values, **({} if noise is not None else NO_CONTROL), **given})


def accurate(method: str, mean: float, **given):
    """Return a student's accuracy."""
    values = {"metric": "accuracy", "attack": "none", "injection": "none", "dataset": "rooms", **NO_CONTROL}
    return row(method, mean, **{**values, **given})


def noise(method: str, mean: float, **given):
    return attacked(method, mean, noise=None, attack="noise-pixel", kind="noise", **given)


def against(method: str, metric: str, mean: float, baseline: float, **given):
    """Return a comparison with fine-tuning, detectable unless said otherwise."""
    difference = mean - baseline
    place = {"study": "s", "experiment": "main", "teacher": "net", "injection": "none", "dataset": "rooms"}
    return {
        **place,
        "baseline_injection": "none",
        "split": "test",
        "method": method,
        "baseline": "fine-tuning",
        "attack": "none" if metric == "accuracy" else "feature-pixel",
        "baseline_attack": "none" if metric == "accuracy" else given.get("attack", "feature-pixel"),
        "budget": "",
        "condition": "",
        "metric": metric,
        "seeds": 1,
        "mean": mean,
        "baseline_mean": baseline,
        "difference": difference,
        "low": difference - 0.03,
        "high": difference + 0.02,
        "p_value": 0.0001,
        **given,
    }


ROWS = [
    *(accurate(name, mean) for name, mean in (("fine-tuning", 0.812), ("renofeation", 0.691), ("delta", 0.82))),
    *(noise(name, 0.03) for name in ("fine-tuning", "renofeation", "delta")),
    attacked("fine-tuning", 0.621),
    attacked("renofeation", 0.08, noise=0.025, p_value=0.4),
    attacked("delta", 0.83, noise=0.04),
]
COMPARISONS = [
    against("renofeation", "accuracy", 0.691, 0.812, p_value=0.002),
    against("renofeation", "attack_success", 0.08, 0.621),
    against("delta", "accuracy", 0.82, 0.812, p_value=0.6),
    against("delta", "attack_success", 0.83, 0.621),
]


def test_the_baseline_comes_first_and_every_change_stands_beside_its_price():
    assert answer(ROWS, COMPARISONS) == (
        "On rooms, of the images that a student classifies correctly when clean, the feature-pixel attack fools it on"
        " 62.1 % after fine-tuning (95 % interval 60.1-63.1, n = 239; noise of the same size: 3.1 %; accuracy 81.2 %)."
        " Against fine-tuning, attack success falls after renofeation to 8.0 % (-54.1 points, -57.1 to -52.1,"
        " p < 0.001; noise 2.5 %, no detectable difference; accuracy 69.1 %, -12.1 points, -15.1 to -10.1, p = 0.002);"
        " it rises after delta to 83.0 % (+20.9 points, +17.9 to +22.9, p < 0.001; noise 4.0 %;"
        " accuracy 82.0 %, no detectable difference)."
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "attack success falls after renofeation to 8.0 % (-54.1 points"),
        ({"p_value": 0.05}, "attack success shows no detectable difference after renofeation, 8.0 % (noise"),
        ({"high": 0.01}, "attack success shows no detectable difference after renofeation, 8.0 %"),
        ({"difference": 0.2, "low": 0.1, "high": 0.3}, "attack success rises after renofeation to 8.0 % (+20.0 points"),
    ],
)
def test_falls_and_rises_are_worded_by_the_test_alone(given, words):
    compared = [COMPARISONS[0], COMPARISONS[1] | given]
    found = answer([row for row in ROWS if row["method"] != "delta"], compared)
    assert f"Against fine-tuning, {words}" in found
    assert "accuracy 69.1 %, -12.1 points" in found


def test_without_a_baseline_students_are_listed_with_noise_and_accuracy():
    assert answer(ROWS) == (
        "On rooms, of the images that a student classifies correctly when clean, the feature-pixel attack fools it on"
        " these shares (95 % intervals): after delta 83.0 % (81.0-84.0, n = 239; noise 4.0 %; accuracy 82.0 %);"
        " after fine-tuning 62.1 % (60.1-63.1, n = 239; noise 3.1 %; accuracy 81.2 %);"
        " after renofeation 8.0 % (6.0-9.0, n = 239; noise 2.5 %, no detectable difference; accuracy 69.1 %)."
    )


def test_a_white_box_attack_has_no_noise_beside_it_and_shows_its_own_count():
    rows = [
        accurate("delta", 0.8),
        attacked("delta", 0.99, noise=None, attack="pgd", kind="white-box", counts=(40, 40)),
    ]
    found = answer(rows)
    assert "the pgd attack fools it on these shares" in found
    assert "after delta 99.0 % (97.0-100.0, n = 40; accuracy 80.0 %)" in found
    assert "noise" not in found


MEANS = [each | {"dataset": "mean", **NO_CONTROL} for each in ROWS if each["method"] != "delta"]


def test_means_over_data_sets_are_told_last_by_their_own_test():
    compared = [each | {"dataset": "mean"} for each in COMPARISONS if each["method"] != "delta"]
    paragraphs = answer(MEANS + ROWS, COMPARISONS + compared).splitlines()
    assert len(paragraphs) == 2
    assert paragraphs[1] == (
        "On average over the data sets, of the images that a student classifies correctly when clean, the feature-pixel"
        " attack fools it on 62.1 % after fine-tuning (95 % interval 60.1-63.1, n = 239; accuracy 81.2 %). Against"
        " fine-tuning, attack success falls after renofeation to 8.0 % (-54.1 points, -57.1 to -52.1, p < 0.001;"
        " accuracy 69.1 %, -12.1 points, -15.1 to -10.1, p = 0.002)."
    )


def test_means_without_a_test_show_their_difference_and_claim_nothing():
    compared = [each | {"dataset": "mean", "p_value": None} for each in COMPARISONS if each["method"] != "delta"]
    told = answer(MEANS, compared)
    assert told.endswith(
        " Against fine-tuning, attack success has no test below three seeds: after renofeation 8.0 % (-54.1 points,"
        " -57.1 to -52.1; accuracy 69.1 %, -12.1 points, -15.1 to -10.1)."
    )
    assert "falls" not in told
    assert "detectable" not in told


def test_a_short_answer_counts_data_sets_and_not_their_mean_again():
    compared = [each | {"dataset": "mean", "p_value": None} for each in COMPARISONS]
    assert short_answer(ROWS + MEANS, COMPARISONS + compared) == short_answer(ROWS, COMPARISONS)


# -- attacks against an attack -----------------------------------------------------------------------------------------


def aware(method: str, mean: float, other: float, **given):
    """Return a comparison of feature-slice-aware with feature-pixel on one student."""
    names = {"baseline": method, "attack": "feature-slice-aware", "baseline_attack": "feature-pixel"}
    return against(method, "attack_success", mean, other) | names | given


SLICED = [
    *ROWS,
    *(
        attacked(name, mean, attack="feature-slice-aware")
        for name, mean in (("fine-tuning", 0.6), ("renofeation", 0.2))
    ),
]
ATTACKS_COMPARED = [
    aware("fine-tuning", 0.6, 0.621, low=-0.05, high=0.01, p_value=0.4),
    aware("renofeation", 0.2, 0.08),
    aware("renofeation", 0.7, 0.9) | {"metric": "robust_accuracy"},
]


def test_attacks_are_compared_on_the_same_student_in_a_sentence_of_their_own():
    *others, last = answer(SLICED, COMPARISONS + ATTACKS_COMPARED).splitlines()
    assert "\n".join(others) == answer(SLICED, COMPARISONS)
    assert last == (
        "On rooms, after renofeation the attack feature-slice-aware fools the student on 20.0 % (18.0-21.0, n = 239),"
        " against 8.0 % under feature-pixel (+12.0 points, +9.0 to +14.0, p < 0.001); after fine-tuning 60.0 %"
        " (58.0-61.0, n = 239), against 62.1 % (no detectable difference)."
    )


def test_a_rate_over_fewer_images_than_the_attacks_own_says_so():
    few = [aware("renofeation", 0.25, 0.08)]
    assert "fools the student on 25.0 % of what both judged, against 8.0 % under feature-pixel" in answer(SLICED, few)


def test_comparisons_of_attacks_are_not_taken_for_those_of_methods():
    assert answer(SLICED, ATTACKS_COMPARED).startswith(answer(SLICED))
    assert "Against" not in answer(SLICED, ATTACKS_COMPARED)


def test_a_short_answer_counts_attacks_that_do_more_or_less():
    short = short_answer(SLICED, COMPARISONS + ATTACKS_COMPARED)
    assert short.startswith(short_answer(SLICED, COMPARISONS).removesuffix("."))
    assert short.endswith(
        "; attack success: of 2 comparisons with feature-pixel on the same student, in 1 it rises (renofeation 20.0 %"
        " against 8.0 %) and in 1 no detectable difference."
    )


# -- noise alone -------------------------------------------------------------------------------------------------------


def test_a_noise_that_is_nobodys_control_has_a_paragraph_and_a_table(tmp_path):
    clip = {"attack": "clip-alone", "kind": "noise", "aside": False, "title": "the clip alone"}
    rows = [*ROWS, *(attacked(name, 0.2, noise=None, **clip) for name in ("fine-tuning", "renofeation"))]
    first, second = answer(rows).splitlines()
    assert first.startswith("On rooms, of the images that a student classifies correctly when clean, the clip-alone")
    assert "after fine-tuning 20.0 % (18.0-21.0, n = 239; accuracy 81.2 %)" in first
    assert second == answer(ROWS)
    text = printed(tmp_path, rows)
    assert "teacher net, data set rooms, attack clip-alone (the clip alone)" in text
    assert "noise-pixel" not in text


def test_an_infected_teacher_is_told_apart_from_its_students():
    found = answer([*ROWS, attacked("teacher", 0.7)], COMPARISONS)
    assert found.endswith("Not tested against it: in the teacher itself 70.0 % (68.0-71.0, n = 239; noise 3.1 %).")


def test_teachers_are_named_where_there_are_several():
    other = [each | {"teacher": "other"} for each in ROWS]
    starts = [paragraph.split(",")[0] for paragraph in answer(ROWS + other).splitlines()]
    assert starts == ["On rooms (net)", "On rooms (other)"]


def test_a_trigger_keeps_its_answer_and_gains_the_comparison_with_the_baseline():
    rows = [TEACHER, row("fine-tuning", 0.81), row("re-training", 0.04, difference=0.01, p_value=0.6)]
    place = {"injection": "infected", "baseline_injection": "infected", "dataset": "signs"}
    compared = [
        against("re-training", "targeted_success", 0.04, 0.81, attack="pinwheel", **place),
        against("re-training", "accuracy", 0.9, 0.8, **place),
    ]
    assert answer(rows, compared) == answer(rows) + (
        " Against fine-tuning, the share sent to the target falls after re-training to 4.0 % (-77.0 points,"
        " -80.0 to -75.0, p < 0.001; accuracy 90.0 %, +10.0 points, +7.0 to +12.0, p < 0.001)."
    )
    short = short_answer(rows, compared)
    assert short.startswith(short_answer(rows).removesuffix("."))
    assert short.endswith(
        "; sent to the target: of the one comparison with fine-tuning, it falls (re-training 4.0 % against 81.0 %,"
        " accuracy 90.0 % against 80.0 %)."
    )


def test_a_trigger_and_a_feature_attack_in_one_experiment_have_a_paragraph_each():
    paragraphs = answer([TEACHER, row("fine-tuning", 0.81), *ROWS]).splitlines()
    assert ["trigger" in paragraph for paragraph in paragraphs] == [True, False]


def test_accuracies_beside_a_feature_attack_are_no_answer_of_their_own():
    assert "classify" not in answer(ROWS).replace("classifies", "")
    assert len(answer(ROWS).splitlines()) == 1


def test_comparisons_of_other_experiments_stay_out():
    other = [each | {"experiment": "other"} for each in COMPARISONS]
    assert answers(ROWS, other)["main"] == answer(ROWS)


def test_numbers_that_were_only_published_answer_nothing():
    published = attacked("remos", 0.1) | {"mean": None, "budget": None, "published": 0.1, "counts": (0, 0)}
    assert answer([*ROWS, published]) == answer(ROWS)
    assert answers([published | {"experiment": "figure-6"}]) == {}


# -- one sentence ------------------------------------------------------------------------------------------------------


def test_a_short_answer_counts_what_falls_and_rises_and_names_the_largest():
    assert short_answer(ROWS, COMPARISONS) == (
        "Attack success: of 2 comparisons with fine-tuning, in 1 it falls (renofeation 8.0 % against 62.1 %,"
        " accuracy 69.1 % against 81.2 %) and in 1 it rises (delta 83.0 % against 62.1 %, accuracy 82.0 % against"
        " 81.2 %)."
    )


def test_a_short_answer_names_three_of_a_kind_from_the_largest_change():
    names = ["m4", "m3", "m2", "m1", "m0"]  # the last falls least, whatever its name
    rows = [attacked(name, 0.1 + place / 20) for place, name in enumerate(names)]
    compared = [against(name, "attack_success", 0.1 + place / 20, 0.6) for place, name in enumerate(names)]
    found = short_answer([attacked("fine-tuning", 0.6), *rows], compared)
    assert found == (
        "Attack success: of 5 comparisons with fine-tuning, in all it falls (m4 10.0 % against 60.0 %;"
        " m3 15.0 % against 60.0 %; m2 20.0 % against 60.0 %; 2 more)."
    )


def test_a_short_answer_without_a_baseline_counts_what_exceeds_noise():
    assert short_answer(ROWS) == (
        "Attack success: above that of noise of the same size in 2 of 3 cases (delta 83.0 % against 4.0 %;"
        " fine-tuning 62.1 % against 3.1 %)."
    )
    less = [attacked("delta", 0.01, noise=0.2)]  # the attack does less than noise: detectable, but above it is not
    assert short_answer(less).endswith("in 0 of 1 cases.")


def test_a_white_box_attack_alone_is_compared_with_nothing():
    rows = [attacked("delta", 0.99, noise=None, attack="pgd", kind="white-box")]
    assert short_answer(rows) == "No model was compared with a control."
    assert short_parts(rows, []) == []


def test_what_varies_is_named():
    other = [each | {"dataset": "birds"} for each in ROWS]
    compared = COMPARISONS + [each | {"dataset": "birds"} for each in COMPARISONS]
    assert "(renofeation, rooms: 8.0 % against 62.1 %" in short_answer(ROWS + other, compared)


# -- the terminal ------------------------------------------------------------------------------------------------------


def test_the_terminal_shows_noise_in_a_column_and_has_no_table_of_noise(tmp_path):
    robust = [each | {"metric": "robust_accuracy", "mean": 0.3} for each in ROWS if each["metric"] == "attack_success"]
    titled = [each | {"title": "six of 255"} if each["kind"] == "feature" else each for each in ROWS + robust]
    text = printed(tmp_path, titled, comparisons=COMPARISONS)
    assert "teacher net, data set rooms, attack feature-pixel (six of 255)" in text
    assert "noise-pixel" not in text
    lines = text.splitlines()
    head = next(line for line in lines if line.startswith("method"))
    assert [name.strip() for name in head.split("  ") if name.strip()] == [
        # no column of injections: nothing was done to any teacher
        *("method", "accuracy, %", "attack success, %", "robust accuracy, %", "noise, %; p"),
    ]
    assert next(line for line in lines if line.startswith("renofeation")).endswith(" 2.5 p=0.400")
    assert next(line for line in lines if line.startswith("fine-tuning")).endswith(" 3.1 p<0.001")
    assert "Against fine-tuning, attack success falls after renofeation" in " ".join(lines)
    assert max(map(len, lines)) <= 110
    assert text.isascii()


def test_the_terminal_counts_verdicts(tmp_path):
    told = [
        attacked("fine-tuning", 0.6, published=0.61, verdict="reproduced"),
        attacked("delta", 0.6, published=0.5, verdict="contradicted"),
        attacked("remos", 0.6, published=0.5, verdict="contradicted"),
        attacked("divmag", 0.6, published=0.5, verdict="not_comparable (ratio)"),
    ]
    words = "Published numbers: 1 reproduced, 2 contradicted, 1 not comparable."
    assert words in printed(tmp_path, told)
    assert verdicts(ROWS) == ""
