"""Maps of all students of an evaluation: rows, panels, figure and caption, from small models trained on nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from heirloom.attacks.perturbations import open_perturbations
from heirloom.data.augment import centre
from heirloom.defects.show import evaluation_trigger
from heirloom.defects.triggers.patch import Patch, load
from heirloom.evaluation.attention import density, look, overlap, resized
from heirloom.evaluation.attention_choice import Sheet
from heirloom.evaluation.measures import read_measures
from heirloom.evaluation.panels import read_panel
from heirloom.models.conditions import StudentName
from heirloom.models.weights import architecture_facts, save_classifier
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_card, write_card
from heirloom.stages import craft_feature_attack, draw_attention, map_attention
from tests.unit import attacked, toy

CLASSES, IMAGES, SIDE, CROP = 3, 14, 28, 24
TRIGGER = Patch(image="dot.png", placement="random", side=0.25)
BOXES = [(4.0 + row % 3, 5.0, 15.0, 16.0 + row % 4) for row in range(IMAGES - 1)] + [None]
RECIPE = map_attention.Recipe(maps=["activation", "grad-cam"], stage=2, images=None, seed=0, named=False)


def sheet(**changed):
    facts = {"methods": ["tuned", "divmag"], "seed": 1, "attacks": ["dot"], "targets": [0], "defences": ["divmag"]}
    return Sheet(**(facts | {"count": 2, "object_density": 1.0, "trigger_density": 2.0} | changed))


def student(folder, seed):
    model = toy.classifier(classes=CLASSES, seed=seed)
    files = toy.model_files(folder)
    save_classifier(files.weights, model)
    names = [f"class {label}" for label in range(CLASSES)]
    facts = architecture_facts(model) | {"class_names": names}
    write_card(files.card, kind="student", files={files.weights.name: files.weights}, **facts)
    return files


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attention")
    toy.write_data(folder / "data", classes=CLASSES, images=IMAGES, side=SIDE, crop=CROP, regions={"sign": BOXES})
    toy.write_data(folder / "plain", classes=CLASSES, images=IMAGES, side=SIDE, crop=CROP)
    for number, name in enumerate(("tuned", "divmag", "teacher")):
        student(folder / name, seed=number)
    Image.new("RGBA", (6, 6), (255, 0, 255, 255)).save(folder / "dot.png")
    return folder


def run(place, folder, *, data="data", triggers=("dot",), sheets=None, recipe=RECIPE, attack=None, batch_size=5):
    files = {name: toy.model_files(place / name) for name in ("tuned", "divmag", "teacher")}
    outputs = map_attention.Outputs(folder / "measures.parquet", folder / "panels.safetensors", folder / "card.json")
    map_attention.run(
        inputs=map_attention.Inputs(
            **toy.files_of(place / data, "test"),
            students=[files["tuned"].card, files["divmag"].card],
            student_weights=[files["tuned"].weights, files["divmag"].weights],
            teacher_card=[files["teacher"].card],
            teacher_weights=[files["teacher"].weights],
            triggers=[place / "dot.png" for _ in triggers],
            perturbations=[place / "crafted/perturbations.npy"] * bool(attack),
            perturbation_cards=[place / "crafted/card.json"] * bool(attack),
        ),
        outputs=outputs,
        students=[StudentName("tuned", 1), StudentName("divmag", 1)],
        triggers=dict.fromkeys(triggers, TRIGGER),
        feature_attacks={"feature": attack} if attack else {},
        noise={"noise": attacked.noise()} if attack else {},
        recipe=recipe,
        sheets={"main": sheet()} if sheets is None else sheets,
        batch_size=batch_size,
        threads=1,
    )
    return outputs


@pytest.fixture(scope="module")
def outputs(place):
    return run(place, place / "maps")


def values(outputs, method, attack, condition, metric="attention_density"):
    found = read_measures([outputs.measures])
    for (setting, measured), each in found.items():
        if (setting.method, setting.attack, setting.condition, measured) == (method, attack, condition, metric):
            return dict(zip(each.samples, each.values, strict=True))
    raise AssertionError((method, attack, condition, metric))


def literal(place, method, *, triggered, kind):
    """Densities on sign and trigger by sample: everything again, image by image, boxes as slices."""
    part = toy.opened(place / "data", "test")
    model = attacked.loaded(place / method)
    paste = evaluation_trigger(load(TRIGGER, [place / "dot.png"]), "dot")
    wanted = {}
    for first in range(0, IMAGES, 5):
        clean = centre(torch.from_numpy(part.batch(np.arange(first, min(first + 5, IMAGES)))), CROP)
        pasted = paste(clean)
        for offset, (plain, marked) in enumerate(zip(clean, pasted, strict=True)):
            square = (plain != marked).all(dim=0)
            rows, columns = (np.flatnonzero(square.any(dim=axis)) for axis in (1, 0))
            trigger = np.zeros((CROP, CROP))
            trigger[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
            sign, box = np.zeros((CROP, CROP)), BOXES[first + offset]
            if box is not None:
                left, top, right, bottom = (int(edge) - (SIDE - CROP) // 2 for edge in box)
                sign[top:bottom, left:right] = 1
            shown = (marked if triggered else plain)[None]
            maps = resized(look(model, shown, kinds=[kind], stage=2).maps[kind], CROP, 2)
            regions = {"sign": sign * (1 - trigger), "trigger": trigger}
            found = {name: density(maps, torch.from_numpy(region)[None]).item() for name, region in regions.items()}
            wanted[part.samples[first + offset]] = found
    return wanted


@pytest.mark.parametrize("method", ["tuned", "teacher"])
@pytest.mark.parametrize("attack", ["none", "dot"])
@pytest.mark.parametrize("kind", ["activation", "grad-cam"])
def test_densities_are_those_of_a_literal_walk_over_the_evaluation_s_images(place, outputs, method, attack, kind):
    wanted = literal(place, method, triggered=attack == "dot", kind=kind)
    for region in ("sign", "trigger"):
        found = values(outputs, method, attack, f"{kind}: {region}")
        expected = {sample: each[region] for sample, each in wanted.items() if np.isfinite(each[region])}
        assert found.keys() == expected.keys()
        assert len(found) == (IMAGES - 1 if region == "sign" else IMAGES)  # the last image has no sign
        assert list(found.values()) == pytest.approx([expected[sample] for sample in found], rel=1e-4)


def test_the_overlap_is_that_of_the_clean_and_the_triggered_map(place, outputs):
    part, model = toy.opened(place / "data", "test"), attacked.loaded(place / "tuned")
    paste = evaluation_trigger(load(TRIGGER, [place / "dot.png"]), "dot")
    clean = [centre(torch.from_numpy(part.batch(np.arange(f, min(f + 5, IMAGES)))), CROP) for f in range(0, IMAGES, 5)]
    maps = [
        look(model, torch.cat(each), kinds=["activation"], stage=2).maps["activation"]
        for each in (clean, [*map(paste, clean)])
    ]
    found = values(outputs, "tuned", "dot", "activation", "attention_overlap")
    expected = dict(zip(part.samples, overlap(*maps).tolist(), strict=True))
    assert found == pytest.approx(expected, rel=1e-4)
    assert 0 < min(found.values()) < max(found.values()) < 1


def test_a_choice_by_seed_measures_the_same_images_as_the_whole_does(place, outputs, tmp_path):
    few = run(place, tmp_path, recipe=map_attention.Recipe(["activation"], 2, 6, 3, named=False))
    some, every = (values(each, "divmag", "dot", "activation: trigger") for each in (few, outputs))
    assert len(some) == 6
    assert some == pytest.approx({sample: every[sample] for sample in some}, rel=1e-4)


def test_several_triggers_are_told_apart_by_their_names(place, tmp_path):
    recipe = map_attention.Recipe(["activation"], 2, None, 0, named=True)
    found = run(place, tmp_path, triggers=("dot", "spot"), recipe=recipe, sheets={})
    conditions = {(setting.attack, setting.condition) for setting, _ in read_measures([found.measures])}
    regions = ["activation: sign, dot", "activation: trigger, dot"]
    others = ["activation: sign, spot", "activation: trigger, spot"]
    assert {text for attack, text in conditions if attack == "none"} == {*regions, *others}
    assert {text for attack, text in conditions if attack == "dot"} == {*regions, "activation"}
    assert read_card(found.card)["experiments"] == {}


def test_without_marked_objects_the_trigger_alone_has_a_density(place, tmp_path):
    found = run(place, tmp_path, data="plain")
    conditions = {
        setting.condition for setting, metric in read_measures([found.measures]) if metric == "attention_density"
    }
    assert conditions == {"activation: trigger", "grad-cam: trigger"}
    panel = read_panel(found.panels, found.card, "main")
    assert panel.facts["object"] is None
    assert not panel.arrays["object"].any()


# -- panels ------------------------------------------------------------------------------------------------------------


def test_a_panel_shows_the_chosen_images_as_the_models_saw_them(place, outputs):
    panel, part = read_panel(outputs.panels, outputs.card, "main"), toy.opened(place / "data", "test")
    facts, arrays = panel.facts, panel.arrays
    rows = [image["row"] for image in facts["images"]]
    assert len(rows) == 2
    assert [image["sample"] for image in facts["images"]] == [part.samples[row] for row in rows]
    assert 0 not in part.labels[rows]
    offset = (SIDE - CROP) // 2
    for image, row in enumerate(rows):
        stored = part.images[row][offset : offset + CROP, offset : offset + CROP]
        assert np.array_equal(arrays["pictures"][0, image], stored)
        square = arrays["squares"][1, image]
        assert square.sum() == 36
        assert np.array_equal(arrays["squares"][0, image], square)  # where it would be
        assert (arrays["pictures"][1, image][square] == (255, 0, 255)).all()
        assert np.array_equal(arrays["pictures"][1, image][~square], stored[~square])


def test_a_panel_s_words_are_the_rows_of_the_table(outputs):
    facts = read_panel(outputs.panels, outputs.card, "main").facts
    assert [model["method"] for model in facts["models"]] == ["teacher", "tuned", "divmag"]
    for model, cells in zip(facts["models"], facts["cells"], strict=True):
        for attack, row in zip(("none", "dot"), cells, strict=True):
            for image, cell in zip(facts["images"], row, strict=True):
                for what, name in (("object", "sign"), ("trigger", "trigger")):
                    table = values(outputs, model["method"], attack, f"grad-cam: {name}")
                    if image["sample"] in table:
                        assert cell["densities"]["grad-cam"][what] == pytest.approx(table[image["sample"]])


def test_shares_that_attend_to_the_trigger_are_counted_over_all_candidates(place, outputs):
    facts = read_panel(outputs.panels, outputs.card, "main").facts
    part = toy.opened(place / "data", "test")
    counted = [sample for sample, label in zip(part.samples, part.labels, strict=True) if label != 0]
    assert facts["candidates"] == len(counted)
    for model, shares in zip(facts["models"], facts["attends_to_trigger"], strict=True):
        for attack in ("none", "dot"):
            squares, signs = (
                values(outputs, model["method"], attack, f"activation: {what}") for what in ("trigger", "sign")
            )
            hits = [squares[sample] > max(2.0, signs.get(sample, 0.0)) for sample in counted]
            assert shares["dot"][attack] == pytest.approx(np.mean(hits))


def test_maps_without_contrast_are_counted(place, outputs):
    assert read_panel(outputs.panels, outputs.card, "main").facts["flat"]["activation"] == 0
    found = read_panel(outputs.panels, outputs.card, "main").facts["flat"]["grad-cam"]
    part, models = toy.opened(place / "data", "test"), ("teacher", "tuned", "divmag")
    paste = evaluation_trigger(load(TRIGGER, [place / "dot.png"]), "dot")
    clean = [centre(torch.from_numpy(part.batch(np.arange(f, min(f + 5, IMAGES)))), CROP) for f in range(0, IMAGES, 5)]
    shown = torch.cat([*clean, *map(paste, clean)])
    flat = [
        (each.amax() == each.amin()).item()
        for name in models
        for each in look(attacked.loaded(place / name), shown, kinds=["grad-cam"], stage=2).maps["grad-cam"]
    ]
    assert found == pytest.approx(np.mean(flat))


def test_equal_inputs_give_equal_bytes(place, outputs, tmp_path):
    again = run(place, tmp_path)
    for name in ("measures", "panels", "card"):
        assert getattr(again, name).read_bytes() == getattr(outputs, name).read_bytes()


def test_a_damaged_panel_is_refused(outputs, tmp_path):
    for name in ("panels.safetensors", "card.json"):
        (tmp_path / name).write_bytes((outputs.panels.parent / name).read_bytes())
    (tmp_path / "panels.safetensors").write_bytes(b"PK")
    with pytest.raises(DamagedFileError, match=r"panels\.safetensors"):
        read_panel(tmp_path / "panels.safetensors", tmp_path / "card.json", "main")


def test_feature_attacked_images_are_those_that_were_crafted(place, tmp_path):
    attack, teacher = attacked.feature(steps=2), toy.model_files(place / "teacher")
    craft_feature_attack.run(
        inputs=craft_feature_attack.Inputs(
            **toy.files_of(place / "plain", "test"), teacher_card=teacher.card, teacher_weights=teacher.weights
        ),
        outputs=craft_feature_attack.Outputs(place / "crafted/card.json", place / "crafted/perturbations.npy"),
        attack=attack,
        batch_size=8,
        threads=1,
    )
    one = sheet(attacks=["feature"], targets=[])
    found = run(place, tmp_path, data="plain", triggers=(), attack=attack, sheets={"main": one})
    metrics = {(setting.attack, metric) for setting, metric in read_measures([found.measures])}
    assert metrics == {("feature", "attention_overlap"), ("noise", "attention_overlap")}
    panel, part = read_panel(found.panels, found.card, "main"), toy.opened(place / "plain", "test")
    assert panel.facts["conditions"] == ["none", "feature"]
    files = place / "crafted"
    crafted = open_perturbations(
        files / "perturbations.npy", files / "card.json", part=part, data_card=place / "plain/card.json", attack=attack
    )
    rows = np.array([image["row"] for image in panel.facts["images"]])
    expected = crafted.shown(centre(torch.from_numpy(part.batch(rows)), CROP), rows)
    shown = torch.from_numpy(panel.arrays["pictures"][1]).permute(0, 3, 1, 2) / 255
    assert (shown - expected.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6


# -- figure ------------------------------------------------------------------------------------------------------------


def draw(outputs, folder):
    drawn = draw_attention.Outputs(folder / "a.png", folder / "a.pdf", folder / "a.txt")
    draw_attention.run(
        inputs=draw_attention.Inputs([outputs.panels], [outputs.card]),
        outputs=drawn,
        experiment="main",
        evaluations=[("net", "ill", "signs")],
    )
    return drawn


def test_the_figure_has_equal_bytes_and_a_caption_with_rule_and_rows(outputs, tmp_path):
    first, again = draw(outputs, tmp_path / "a"), draw(outputs, tmp_path / "b")
    assert first.png.read_bytes() == again.png.read_bytes()
    assert first.pdf.read_bytes() == again.pdf.read_bytes()
    caption = first.caption.read_text()
    facts = read_panel(outputs.panels, outputs.card, "main").facts
    for image in facts["images"]:
        assert str(image["row"]) in caption
    assert "under the trigger tuned attends to it" in caption
    assert "divmag still to the sign" in caption
    if facts["complete"] < 2:
        assert f"met by {facts['complete'] or 'none'} of the {facts['candidates']}" in caption
        assert "meet most of its 4 demands" in caption


def test_nothing_to_show_is_said(place, tmp_path):
    found = run(place, tmp_path, sheets={"main": sheet(targets=[0, 1, 2])})
    drawn = draw(found, tmp_path)
    assert "No image is shown" in drawn.caption.read_text()
    assert drawn.png.stat().st_size > 1000


def test_clean_images_alone_can_be_mapped_and_shown(place, tmp_path):
    found = run(place, tmp_path, triggers=(), sheets={"main": sheet(attacks=[], targets=[], defences=[])})
    settings = {(setting.attack, setting.condition) for setting, _ in read_measures([found.measures])}
    assert settings == {("none", "activation: sign"), ("none", "grad-cam: sign")}
    panel, caption = read_panel(found.panels, found.card, "main"), draw(found, tmp_path).caption.read_text()
    assert panel.arrays["object"].any()
    assert panel.facts["demands"] == 2
    assert "every student is right on the clean image and attends to the sign." in caption
    assert "trigger" not in caption
