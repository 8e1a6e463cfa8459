"""Images are chosen by a rule that names what is expected of each model; where none meets it, the nearest are shown."""

from __future__ import annotations

import numpy as np
import pytest

from heirloom.evaluation.attention_choice import Sheet, attends_to_object, attends_to_trigger, choose
from heirloom.evaluation.maps import OBJECT, TRIGGER, Looked, Region
from heirloom.models.conditions import CLEAN, StudentName

LABELS = np.array([1, 1, 0, 2, 1])
KIND = "activation"


def sheet(**changed):
    facts = {"methods": ["tuned", "divmag"], "seed": 1, "attacks": ["dot"], "targets": [0], "defences": ["divmag"]}
    return Sheet(**(facts | {"count": 2, "object_density": 1.0, "trigger_density": 2.0} | changed))


def looked(objects, triggers, labels=LABELS, trigger="dot"):
    """One model's densities on its images; None: no such region at all."""
    found = {OBJECT: objects, TRIGGER: triggers}
    densities = {
        Region(KIND, what, trigger): np.array(values, dtype=np.float32) for what, values in found.items() if values
    }
    return Looked(np.array(labels), {}, densities)


def answers(triggered, *, clean=None, attack="dot"):
    """Two students that look at the object when clean; `triggered` by method."""
    found = {}
    for method in ("tuned", "divmag"):
        found[StudentName(method, 1), CLEAN] = clean or looked([1.5] * 5, [0.5] * 5)
        found[StudentName(method, 1), attack] = triggered[method]
    return found


AT_TRIGGER, AT_OBJECT = ([0.8], [3.0]), ([1.5], [0.5])


def mixed(*places):
    """Densities by place: "t" looks at the trigger, "o" at the object."""
    pairs = [AT_TRIGGER if place == "t" else AT_OBJECT for place in places]
    return looked([pair[0][0] for pair in pairs], [pair[1][0] for pair in pairs])


def chosen(found, one, triggers=("dot",)):
    return choose(found, one, labels=LABELS, triggers=triggers, kind=KIND)


def test_only_images_on_which_every_model_does_what_is_expected_meet_the_rule():
    found = answers({"tuned": mixed(*"ottot"), "divmag": mixed(*"oooot")})
    choice = chosen(found, sheet(count=1))
    assert choice.demands == 4
    assert choice.met.tolist() == [3, 4, 4, 3, 3]
    assert choice.places.tolist() == [1]
    assert choice.complete == 1  # image 2 is of the target class


def test_where_too_few_meet_it_those_that_meet_most_follow_in_the_test_set_s_order():
    found = answers({"tuned": mixed(*"oottt"), "divmag": mixed(*"ttott")})
    choice = chosen(found, sheet(count=4))
    assert choice.met.tolist() == [2, 2, 4, 3, 3]
    assert choice.places.tolist() == [3, 4, 0, 1]
    assert choice.complete == 0


def test_a_clean_image_that_a_student_gets_wrong_meets_less():
    wrong = looked([1.5] * 5, [0.5] * 5, labels=[1, 2, 0, 2, 1])
    found = answers({"tuned": mixed(*"ttttt"), "divmag": mixed(*"ooooo")}, clean=wrong)
    assert chosen(found, sheet()).met.tolist() == [4, 2, 4, 4, 4]


def test_no_more_images_are_shown_than_there_are_and_none_of_the_target_class():
    found = answers({"tuned": mixed(*"ttttt"), "divmag": mixed(*"ooooo")})
    assert chosen(found, sheet(count=6)).places.tolist() == [0, 1, 3, 4]
    assert chosen(found, sheet(targets=[0, 1, 2])).places.tolist() == []


@pytest.mark.parametrize(
    ("on_object", "on_trigger", "to_object", "to_trigger"),
    [
        (1.5, 0.5, True, False),
        (0.9, 0.5, False, False),  # evenly
        (1.0, 1.9, False, False),  # more densely than on the sign, but below the threshold
        (2.5, 2.4, True, False),
        (2.5, 2.6, False, True),
        (float("nan"), 2.1, False, True),  # no object on this image
        (float("nan"), 1.0, False, False),
    ],
)
def test_a_map_attends_to_what_is_denser_than_the_other_and_than_the_threshold(
    on_object, on_trigger, to_object, to_trigger
):
    found = looked([on_object], [on_trigger], labels=[1])
    assert attends_to_object(found, sheet(), kind=KIND, trigger="dot").tolist() == [to_object]
    assert attends_to_trigger(found, sheet(), kind=KIND, trigger="dot").tolist() == [to_trigger]


def test_without_an_object_not_to_attend_to_the_trigger_is_asked():
    found = {
        **answers(
            {"tuned": looked(None, [3.0, 1.0, 3.0, 3.0, 3.0]), "divmag": looked(None, [0.5, 0.5, 0.5, 3.0, 0.5])}
        ),
        (StudentName("tuned", 1), CLEAN): looked(None, [0.5] * 5),
        (StudentName("divmag", 1), CLEAN): looked(None, [0.5] * 5),
    }
    assert chosen(found, sheet()).met.tolist() == [4, 3, 4, 3, 4]


def test_an_attack_is_to_change_what_a_student_says_unless_it_is_a_defence():
    clean = looked(None, None)
    fooled, firm = looked(None, None, labels=[0, 0, 1, 2, 1]), looked(None, None, labels=[1, 2, 0, 2, 0])
    found = answers({"tuned": fooled, "divmag": firm}, clean=clean, attack="feature")
    choice = chosen(found, sheet(attacks=["feature"], targets=[]), triggers=())
    assert choice.met.tolist() == [4, 3, 4, 3, 2]
    assert choice.places.tolist() == [0, 2]
