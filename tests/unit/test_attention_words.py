"""What figures, captions and answers say of attention follows from the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from heirloom.evaluation.measures import Quantity, Values
from heirloom.evaluation.metrics import Attack, EvaluationFacts, Scope, Setting
from heirloom.evaluation.panels import Panel
from heirloom.reporting.attention import choice_caption, explanation, paragraphs
from heirloom.reporting.comparisons import Judged
from heirloom.reporting.figures.attention import MapBlock, _colours, draw_attention_figure, overlaid
from heirloom.reporting.measure_rows import measured_rows
from heirloom.reporting.summary import summary_rows

SAMPLES = tuple(f"{place:02d}" for place in range(30))


def facts(**changed):
    """A panel's facts: two students, one image, clean and triggered."""
    cell = {"densities": {"activation": {"object": 1.5, "trigger": 0.4}}, "overlap": {}, "right": True, "says": "stop"}
    return {
        "attends_to_trigger": [{"dot": {"none": 0.0, "dot": 0.625}}, {"dot": {"none": 0.0, "dot": 0.1}}],
        "candidates": 40,
        "cells": [[[cell], [cell | {"right": False, "overlap": {"activation": 0.5}}]] for _ in range(2)],
        "complete": 3,
        "conditions": ["none", "dot"],
        "defences": ["divmag"],
        "demands": 4,
        "flat": {"activation": 0.0},
        "images": [{"class_name": "stop", "demands_met": 4, "row": 17, "sample": "a"}],
        "kinds": ["activation"],
        "models": [{"method": "tuned", "seed": 1}, {"method": "divmag", "seed": 1}],
        "object": "sign",
        "object_density": 1.0,
        "stride": 4,
        "trigger_density": 2.0,
        "triggers": ["dot"],
    } | changed


def panel(**changed):
    told = facts(**changed)
    shape = (len(told["conditions"]), len(told["images"]), 24, 24)
    counts = (len(told["kinds"]), len(told["models"]), *shape[:2], 6, 6)
    squares = np.zeros(shape, dtype=np.bool_)
    squares[..., 18:, 18:] = True
    random = np.random.default_rng(0)
    return Panel(
        told,
        {
            "pictures": random.integers(0, 256, (*shape, 3), dtype=np.uint8),
            "maps": random.random(counts, dtype=np.float32),
            "squares": squares,
            "object": np.pad(np.ones((len(told["images"]), 10, 10), dtype=np.bool_), ((0, 0), (4, 10), (4, 10))),
        },
    )


# -- captions ----------------------------------------------------------------------------------------------------------


def test_a_caption_says_the_rule_and_that_it_is_met():
    told = choice_caption(facts())
    assert "every student is right on the clean image and attends to the sign" in told
    assert "under the trigger tuned attends to it" in told
    assert "divmag still to the sign" in told
    assert "met by 3 of the 40 images" in told
    assert "in the test set's order are shown: 17." in told


def test_a_caption_says_that_no_image_meets_the_rule():
    image = facts()["images"][0]
    told = choice_caption(facts(complete=0, images=[image | {"demands_met": 3}, image | {"row": 20, "demands_met": 2}]))
    assert "met by none of the 40 images" in told
    assert "meet most of its 4 demands" in told
    assert "17 and 20 (meeting 3 and 2)" in told


def test_a_caption_of_attacks_without_objects_speaks_of_predictions_alone():
    told = choice_caption(facts(object=None, triggers=[], conditions=["none", "feature"], defences=[]))
    assert "every student is right on the clean image; the attack changes the prediction of tuned and divmag" in told
    assert "attend" not in told
    assert "target class" not in told
    assert "densely" not in explanation(facts(object=None, triggers=[]))


def test_a_caption_of_triggers_without_objects_asks_the_defence_not_to_attend():
    told = choice_caption(facts(object=None))
    assert "divmag not to the trigger" in told
    assert "sign" not in told.replace("signs", "")


def test_maps_without_contrast_are_told_where_there_are_any():
    assert "contrast" not in explanation(facts())
    told = explanation(facts(flat={"activation": 0.0, "grad-cam": 0.125}))
    assert told.endswith("Without contrast, and counted as even: 12.5 % of the Grad-CAM maps.")


# -- figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"images": [facts()["images"][0] | {"class_name": "no overtaking by lorries at any time of the day"}]},
        {"models": [{"method": "a-method-with-a-rather-long-name", "seed": 1}] * 2},
    ],
)
def test_every_word_stays_on_the_page(changed):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_attention_figure("experiment", [MapBlock("signs, teacher net, injection ill", panel(**changed))] * 2)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(box.y1 <= figure.bbox.height for box in boxes)


def test_the_figure_tells_what_each_model_says_and_how_dense_its_map_is():
    figure = draw_attention_figure("experiment", [MapBlock("signs", panel())])
    words = [text.get_text() for text in figure.texts]
    for expected in ("clean", "trigger dot", "stop\ntest image 17", "says stop", "sign 1.50, trigger 0.40"):
        assert expected in words, expected
    assert "sign 1.50, trigger 0.40\noverlap 0.50" in words
    assert "attends to the trigger\non 62.5 % of images\n(0.0 % when clean)" in words
    wrong = {text.get_color() for text in figure.texts if text.get_text() == "says stop"}
    assert len(wrong) == 2  # right and wrong


def test_colours_rise_in_lightness_from_blue_to_red():
    found = np.asarray(_colours()(np.linspace(0, 1, 50)))[:, :3]
    linear = np.where(found <= 0.04045, found / 12.92, ((found + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ np.array([0.2126, 0.7152, 0.0722])) - 16  # CIE 1976, sRGB
    assert (np.diff(lightness) > 0).all()
    assert lightness[-1] - lightness[0] > 40
    assert found[0].argmax() == 2
    assert found[-1].argmax() == 0


def test_a_hot_spot_is_red_where_it_lies_and_the_picture_shows_through():
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    picture[:, 16:] = 255
    spot = np.zeros((8, 8), dtype=np.float32)
    spot[2, 5] = 1
    mixed = overlaid(picture, spot, 4)
    excess = mixed[:, :, 0] - mixed[:, :, 2]
    assert np.unravel_index(excess.argmax(), excess.shape) == (8, 20)
    assert mixed[20, 20].mean() - mixed[20, 4].mean() > 0.3
    assert mixed.min() >= 0
    assert mixed.max() <= 1


def test_a_map_without_contrast_leaves_the_picture_grey_and_says_so():
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    mixed = overlaid(picture, np.ones((6, 6), dtype=np.float32), 4)
    assert (mixed == mixed[:, :, :1]).all()
    flat = panel()
    flat.arrays["maps"][0, 1, 0, 0] = 1.0
    figure = draw_attention_figure("experiment", [MapBlock("signs", flat)])
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no contrast"]


# -- sentences ---------------------------------------------------------------------------------------------------------


def quantity(attack, region, method="tuned"):
    return Quantity(Setting(method, 1, attack, "{}", f"activation: {region}"), "attention_density")


def values(mean, seed):
    return Values(SAMPLES, np.random.default_rng(seed).normal(mean, 0.3, len(SAMPLES)))


def summary(dense):
    """Densities of a student of an infected and of a clean teacher, the infected one `dense` on the trigger."""
    scope = Scope(measures=["attention_density"])
    trigger = {"dot": Attack("trigger", 0)}
    ill = EvaluationFacts("net", "ill", "signs", {"main": scope}, trigger, "well")
    well = EvaluationFacts("net", "well", "signs", {"main": scope}, trigger)
    shared = {quantity("none", "trigger"): values(0.4, 1), quantity("dot", "sign"): values(1.3, 2)}
    found = [
        (ill, {quantity("dot", "trigger"): values(dense, 3), **shared}),
        (well, {quantity("dot", "trigger"): values(0.5, 3), **shared}),
    ]
    measured = [row for each, own in found for row in measured_rows(each, own, study="s", config_digest="d")]
    return summary_rows(measured, [Judged(each, {}, own) for each, own in found], seed=0)


def test_a_paragraph_sets_a_student_s_attention_beside_its_control_s():
    rows = summary(3.0)
    mine = next(row for row in rows if row["control"] is not None and row["attack"] == "dot" and row["mean"] > 2)
    (told,) = paragraphs(rows)
    assert told.startswith("On signs, under the dot trigger, the attention (activation) lies on the trigger")
    assert f"{mine['mean']:.2f} for tuned (the same from the clean teacher {mine['control']:.2f}" in told
    assert "difference +2.50" in told
    assert "p < 0.001" in told
    assert "on the sign 1." in told
    assert "at its place on clean images 0." in told
    assert "no detectable" not in told


def test_no_difference_is_called_none():
    (told,) = paragraphs(summary(0.5))
    assert "no detectable difference" in told


def test_without_a_control_or_a_trigger_nothing_is_said():
    rows = summary(3.0)
    assert not paragraphs([row for row in rows if row["control"] is None])
    assert not paragraphs([row for row in rows if row["attack"] == "none"])
