import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from heirloom.attacks.subjects import attacked_rows
from heirloom.config.records import canonical
from heirloom.config.resources import NEEDS
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.defects.triggers.patch import Patch
from heirloom.models.conditions import StudentName
from heirloom.models.weights import load_classifier
from heirloom.runtime.errors import DataError, WeightsError
from heirloom.runtime.files import read_card, read_table, table_metadata, write_card
from heirloom.runtime.script import arguments_of
from heirloom.stages import attack_student, craft_feature_attack, evaluate_students
from tests.unit import attacked, toy

FEATURE = attacked.feature()
NOISE = attacked.noise()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, a teacher and two students that know them, and a trigger's picture."""
    folder = tmp_path_factory.mktemp("stages")
    for seed in (0, 1, 2):
        attacked.train(folder, seed=seed)
    Image.fromarray(np.full((4, 4, 4), 255, np.uint8)).save(folder / "white.png")
    craft(folder, folder / "crafted")
    return folder


def craft(folder, out, *, attack=FEATURE, batch_size=25, known=()):
    files = toy.model_files(folder / "model-0")
    slices = [toy.model_files(folder / name) for name in known]
    craft_feature_attack.run(
        inputs=craft_feature_attack.Inputs(
            **toy.files_of(folder / "data", "test"),
            teacher_card=files.card,
            teacher_weights=files.weights,
            slice_card=[each.card for each in slices],
            slice_weights=[each.weights for each in slices],
        ),
        outputs=craft_feature_attack.Outputs(out / "card.json", out / "perturbations.npy"),
        attack=attack,
        batch_size=batch_size,
        threads=1,
    )
    return out


def evaluate(folder, out, *, feature=FEATURE, crafted="crafted"):
    teacher = toy.model_files(folder / "model-0")
    students = [toy.model_files(folder / f"model-{seed}") for seed in (1, 2)]
    evaluate_students.run(
        inputs=evaluate_students.Inputs(
            **toy.files_of(folder / "data", "test"),
            students=[files.card for files in students],
            student_weights=[files.weights for files in students],
            teacher_card=[teacher.card],
            teacher_weights=[teacher.weights],
            triggers=[folder / "white.png"],
            perturbations=[folder / crafted / "perturbations.npy"],
            perturbation_cards=[folder / crafted / "card.json"],
        ),
        outputs=evaluate_students.Outputs(out),
        students=[StudentName("fine-tuning", seed) for seed in (1, 2)],
        triggers={"patch": Patch(image="white.png", side=0.25)},
        feature_attacks={"feature": feature},
        noise={"noise": NOISE, "clip": attacked.noise(**attacked.PUBLISHED, epsilon=0)},
        batch_size=7,
        threads=1,
    )
    return read_table(out)


def attack(folder, out, attacks, *, seed=1):
    files = toy.model_files(folder / f"model-{seed}")
    attack_student.run(
        inputs=attack_student.Inputs(
            **toy.files_of(folder / "data", "test"), student_card=files.card, student_weights=files.weights
        ),
        outputs=attack_student.Outputs(out),
        attacks=attacks,
        method="fine-tuning",
        seed=seed,
        batch_size=16,
        threads=1,
    )
    return read_table(out)


def accuracies(table):
    """Share of right rows by model and condition."""
    rows = table.to_pandas()
    right = rows["prediction"] == rows["label"]
    return right.groupby([rows["method"], rows["seed"], rows["attack"]]).mean().to_dict()


def test_students_fall_for_what_was_crafted_on_their_teacher_and_not_for_noise(folder, tmp_path):
    table = evaluate(folder, tmp_path / "predictions.parquet")
    found = accuracies(table)
    models = [("fine-tuning", 1), ("fine-tuning", 2), ("teacher", 0)]
    conditions = ["clip", "feature", "noise", "none", "patch"]
    assert list(found) == [(*model, name) for model in models for name in conditions]
    for model in models:
        assert found[*model, "none"] == 1
        assert found[*model, "noise"] >= 0.95
        assert found[*model, "clip"] >= 0.95
        assert found[*model, "feature"] <= found[*model, "noise"] - 0.1
    budgets = dict(zip(table["attack"].to_pylist(), map(json.loads, table["budget"].to_pylist()), strict=True))
    assert budgets["none"] == {}
    assert budgets["patch"] == {"placement": "bottom-right", "side": 0.25}
    assert (budgets["feature"]["epsilon"], budgets["feature"]["steps"]) == (0.12, 15)
    assert (budgets["clip"]["units"], budgets["clip"]["epsilon"]) == ("normalised", 0)
    assert set(table["condition"].to_pylist()) == {""}


def test_every_model_is_shown_the_same_attacked_images(folder, tmp_path, monkeypatch):
    shown = {}
    plain_predict = evaluate_students.judged.__globals__["predict"]

    def spy(model, images, *, transform, **settings):
        def told(clean, rows):
            seen = clean if transform is None else transform(clean, rows)
            shown.setdefault(id(model), []).append(seen.sum().item())
            return seen

        return plain_predict(model, images, transform=told, **settings)

    monkeypatch.setitem(evaluate_students.judged.__globals__, "predict", spy)
    evaluate(folder, tmp_path / "predictions.parquet")
    first, *others = shown.values()
    assert len(others) == 2
    assert all(first == other for other in others)


def test_crafting_and_evaluating_again_give_the_same_bytes(folder, tmp_path):
    again = craft(folder, tmp_path / "again")
    for name in ("card.json", "perturbations.npy"):
        assert (again / name).read_bytes() == (folder / "crafted" / name).read_bytes()
    for name in ("one", "two"):
        evaluate(folder, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_crafting_tells_its_progress(folder, tmp_path, caplog):
    with caplog.at_level("INFO"):
        craft(folder, tmp_path / "crafted")
    assert "crafting: 60/60 images" in caplog.text


def test_perturbations_of_another_attack_are_refused_before_any_model_is_read(folder, tmp_path):
    out = tmp_path / "predictions.parquet"
    with pytest.raises(DataError, match="another attack") as refused:
        evaluate(folder, out, feature=attacked.feature(epsilon=0.09))
    assert "delete the folder and run again" in str(refused.value)
    assert not out.exists()


def test_an_attacker_who_knows_the_slice_drives_its_features_too(folder, tmp_path):
    knowing = FEATURE.model_copy(update={"knows_slice_of": "remos"})
    with pytest.raises(WeightsError, match="knows the slice of remos, given is that of no method"):
        craft(folder, tmp_path / "refused", attack=knowing)
    sliced = folder / "sliced"
    sliced.mkdir()
    weights = sliced / "weights.safetensors"
    weights.write_bytes((folder / "model-1" / weights.name).read_bytes())
    facts = {name: value for name, value in read_card(folder / "model-1" / "card.json").items() if name != "files"}
    write_card(sliced / "card.json", files={weights.name: weights}, **facts, slice="remos")
    with pytest.raises(WeightsError, match="knows the slice of no method, given is that of remos"):
        craft(folder, tmp_path / "refused", known=["sliced"])
    assert not (tmp_path / "refused").exists()
    crafts = [craft(folder, tmp_path / "both", attack=knowing, known=["sliced"]), folder / "crafted"]
    shown = [np.load(out / "perturbations.npy").astype(np.float32) for out in crafts]
    part = toy.opened(folder / "data", "test")
    images = centre(Images(part, torch.device("cpu")).batch(np.arange(len(part)))[0], part.crop)
    slice_model = load_classifier(sliced / "weights.safetensors", sliced / "card.json")
    driven = [
        slice_model.features(images + torch.from_numpy(levels).permute(0, 3, 1, 2) * FEATURE.epsilon / 127)[:, 0].mean()
        for levels in shown
    ]
    assert driven[0] > driven[1]  # the slice's first feature goes further up when the attacker knows it


def test_white_box_attacks_write_the_columns_of_evaluations_for_the_attacked_images(folder, tmp_path):
    attacks = {"pgd-40": attacked.pgd(images=40), "pgd-all": attacked.pgd(), "aa": attacked.autoattack(images=12)}
    table = attack(folder, tmp_path / "attacked.parquet", attacks)
    evaluated = evaluate(folder, tmp_path / "evaluated.parquet")
    assert table.schema == evaluated.schema
    metadata = [table_metadata(tmp_path / name) for name in ("attacked.parquet", "evaluated.parquet")]
    assert metadata[0] == metadata[1]
    rows = table.to_pandas()
    assert rows.groupby("attack").size().to_dict() == {"aa": 12, "pgd-40": 40, "pgd-all": 60}
    assert set(zip(rows["method"], rows["seed"], strict=True)) == {("fine-tuning", 1)}
    part = toy.opened(folder / "data", "test")
    known = dict(zip(part.samples, part.labels.tolist(), strict=True))
    assert all(known[sample] == label for sample, label in zip(rows["sample"], rows["label"], strict=True))
    found = accuracies(table)
    assert found["fine-tuning", 1, "aa"] <= found["fine-tuning", 1, "pgd-all"] <= 0.5


def test_equal_seeds_choose_equal_images_for_every_student_and_smaller_choices_from_larger(folder, tmp_path):
    samples = {}
    for seed in (1, 2):
        attacks = {str(count): attacked.pgd(steps=1, images=count) for count in (9, 20)}
        rows = attack(folder, tmp_path / "attacked.parquet", attacks, seed=seed).to_pandas()
        samples[seed] = {name: list(group) for name, group in rows.groupby("attack")["sample"]}
    assert samples[1] == samples[2]
    assert set(samples[1]["9"]) < set(samples[1]["20"])
    rows = [attacked_rows(60, attacked.pgd(images=20, seed=seed)).tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    assert rows[0] == sorted(set(rows[0]))
    assert len(attacked_rows(60, attacked.pgd(images=100))) == 60


def test_attacking_again_gives_the_same_bytes(folder, tmp_path):
    for name in ("one", "two"):
        attack(folder, tmp_path / name, {"pgd": attacked.pgd(epsilon=0.03), "aa": attacked.autoattack(images=5)})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def rule(run, **params):
    """What Snakemake would hand to a stage."""
    return SimpleNamespace(rule=run.__module__, input={}, output={}, params=params, wildcards={}, threads=1, config={})


@pytest.mark.parametrize("stage", [craft_feature_attack, attack_student, evaluate_students])
def test_attacks_reach_the_stages_as_plain_parameters(stage):
    published = canonical(attacked.feature(**attacked.PUBLISHED))
    names = ("card", "images", "index")
    given = {
        craft_feature_attack: (("teacher_card", "teacher_weights"), {"attack": published}),
        attack_student: (
            ("student_card", "student_weights"),
            {
                "attacks": {"p": canonical(attacked.pgd()), "a": canonical(attacked.autoattack())},
                "method": "m",
                "seed": "3",
            },
        ),
        evaluate_students: (
            ("perturbations", "perturbation_cards", "students", "student_weights"),
            {"feature_attacks": {"f": published}, "noise": {"n": canonical(NOISE)}, "students": [], "triggers": {}},
        ),
    }
    files, params = given[stage]
    snakemake = rule(stage.run, **params, batch_size=8, threads=1, code="0")
    snakemake.input = {name: name for name in (*names, *files)}
    snakemake.output = {name: name for name in stage.Outputs.__dataclass_fields__}
    arguments = arguments_of(stage.run, snakemake)
    if stage is craft_feature_attack:
        assert arguments["attack"] == attacked.feature(**attacked.PUBLISHED)
    if stage is attack_student:
        assert arguments["attacks"] == {"p": attacked.pgd(), "a": attacked.autoattack()}
        assert arguments["seed"] == 3
    if stage is evaluate_students:
        assert arguments["feature_attacks"] == {"f": attacked.feature(**attacked.PUBLISHED)}
        assert arguments["noise"] == {"n": NOISE}
        assert [path.name for path in arguments["inputs"].perturbations] == ["perturbations"]


def test_both_rules_say_what_they_need():
    assert {"craft_feature_attack", "attack_student"} <= NEEDS.keys()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: attacked.noise(units="normalised"), "a clip of their own"),
        (lambda: attacked.noise(clip=(1, 0)), "clip must rise"),
        (lambda: attacked.feature(epsilon=0), "greater than 0"),
        (lambda: attacked.pgd(epsilon="0/255"), "greater than 0"),
        (lambda: attacked.autoattack(**attacked.PUBLISHED), "counts in pixels"),
    ],
)
def test_attacks_that_mean_nothing_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        wrong()
