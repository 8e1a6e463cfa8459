"""Attacking a model with a suite: what is written of it, of others through a substitute, and what a kill costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from heirloom.attacks.subjects import chosen_rows, subjects
from heirloom.config import kinds
from heirloom.config.attacks import OnModel
from heirloom.config.load import parse, read_yaml
from heirloom.config.models import Body
from heirloom.config.study import Catalogue
from heirloom.evaluation import bench, restoration
from heirloom.evaluation.measures import read_measures
from heirloom.evaluation.restoration import answered, looked
from heirloom.evaluation.samples import read_samples
from heirloom.models.weights import architecture_facts, save_classifier
from heirloom.runtime.errors import DamagedFileError, WeightsError
from heirloom.runtime.files import read_card, read_table, write_card
from heirloom.stages import attack_model, draw_restored
from tests.unit import attacked, toy

PROJECT = Path(__file__).resolve().parents[2]
STRONG = attacked.pgd(epsilon=0.06, step=0.02, steps=4)
SOME = attacked.pgd(epsilon=0.03, step=0.03, steps=1, images=12)
ATTACKS = {"some": SOME, "strong": STRONG}
PYRAMID = Body(name="fpd-resnet18", options={"width": 4, "lateral": 8, "dropout": 0})


def write_model(folder: Path, body: Body, classes: int) -> Path:
    """Write a network at a random start that says it knows the data of `attacked.train`."""
    model, files = toy.classifier(classes=classes, body=body), toy.model_files(folder)
    save_classifier(files.weights, model)
    names = [f"class {label}" for label in range(classes)]
    facts = {**architecture_facts(model), "class_names": names, "dataset": "toy"}
    write_card(files.card, kind="robust", files={files.weights.name: files.weights}, **facts)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """Data, two networks that know them, and one that restores its images."""
    folder = tmp_path_factory.mktemp("attacked")
    with attacked.one_thread():
        for seed in (0, 1):
            attacked.train(folder, seed=seed)
        write_model(folder / "fpd", PYRAMID, attacked.CLASSES)
        yield folder


def attack(folder, out, *, source="model-0", targets=(), attacks=ATTACKS, clean=True, shown=None, **given):
    """Run the stage: on the source itself or, with targets, on these through it."""
    files = toy.model_files(folder / source)
    others = [toy.model_files(folder / name) for name in targets]
    attack_model.run(
        inputs=attack_model.Inputs(
            **toy.files_of(folder / "data", "test"),
            model_card=files.card,
            model_weights=files.weights,
            target_cards=[each.card for each in others],
            target_weights=[each.weights for each in others],
        ),
        outputs=attack_model.Outputs(*(out / name for name in NAMES)),
        attacks=attacks,
        box="black-box" if targets else "white-box",
        model=source,
        targets=list(targets) or [source],
        clean=clean,
        shown=shown or {},
        seed=3,
        batch_size=25,
        attack_batch_size=10,
        threads=1,
        code="code",
        **given,
    )
    return out


NAMES = ("card.json", "predictions.parquet", "measures.parquet", "pictures.safetensors")


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def right(rows):
    return float((rows["prediction"] == rows["label"]).mean())


def test_a_model_is_judged_clean_and_under_each_attack_of_the_suite(folder, tmp_path):
    out = attack(folder, tmp_path / "out")
    rows = read_table(out / "predictions.parquet").to_pandas()
    assert rows.groupby(["method", "seed", "attack", "condition"]).size().to_dict() == {
        ("model-0", 3, "none", ""): 60,
        ("model-0", 3, "some", ""): 12,
        ("model-0", 3, "strong", ""): 60,
    }
    assert right(rows[rows["attack"] == "none"]) > 0.9 > 0.5 > right(rows[rows["attack"] == "strong"])
    assert json.loads(rows[rows["attack"] == "strong"]["budget"].iloc[0])["epsilon"] == 0.06
    assert sorted(contents(out)) == sorted(NAMES)
    assert read_measures([out / "measures.parquet"]) == {}  # it restores nothing


def test_clean_images_are_left_to_the_job_that_judges_them(folder, tmp_path):
    rows = read_table(attack(folder, tmp_path / "out", clean=False) / "predictions.parquet").to_pandas()
    assert set(rows["attack"]) == {"some", "strong"}


def test_what_a_substitute_gave_is_crafted_once_and_shown_to_all(folder, tmp_path, monkeypatch):
    own = read_table(attack(folder, tmp_path / "own") / "predictions.parquet").to_pandas()
    crafted = []
    plain = bench.looked

    def seen(model, clean, shown):
        crafted.append(shown.clone())
        return plain(model, clean, shown)

    monkeypatch.setattr(bench, "looked", seen)
    out = attack(folder, tmp_path / "others", targets=("model-1", "model-0"), clean=False)
    rows = read_table(out / "predictions.parquet").to_pandas()
    assert set(rows["condition"]) == {"from-model-0"}
    for first, second in zip(crafted[::2], crafted[1::2], strict=True):
        assert torch.equal(first, second)
    # shown to the substitute itself, they are what its own white-box attack gave
    mine = rows[rows["method"] == "model-0"].drop(columns="condition").reset_index(drop=True)
    white = own[own["attack"] != "none"].assign(method="model-0").drop(columns="condition").reset_index(drop=True)
    assert mine.equals(white)
    by_model = rows[rows["attack"] == "strong"].groupby("method").apply(right, include_groups=False)
    assert by_model["model-0"] < by_model["model-1"]  # another network is fooled less


def test_what_a_substitute_gets_wrong_is_attacked_for_the_others_too(folder, tmp_path, monkeypatch):
    moved = []
    plain = bench.looked

    def seen(model, clean, shown):
        moved.extend((clean != shown).flatten(1).any(dim=1).tolist())
        return plain(model, clean, shown)

    monkeypatch.setattr(bench, "looked", seen)
    own = attack(folder, tmp_path / "own", source="fpd", attacks={"strong": STRONG})
    rows = read_table(own / "predictions.parquet").to_pandas()
    wrong = (rows["prediction"] != rows["label"])[rows["attack"] == "none"]
    assert wrong.mean() > 0.5  # it was never trained
    assert not any(np.array(moved[len(wrong) :])[wrong])
    moved.clear()
    attack(folder, tmp_path / "others", source="fpd", targets=("model-0",), attacks={"strong": STRONG}, clean=False)
    assert len(moved) == len(wrong)
    assert all(moved)


def test_a_model_that_restores_has_an_error_for_each_of_its_images(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(attack_model, "MEASURED", 10)
    out = attack(folder, tmp_path / "out", source="fpd")
    found = {quantity.setting.attack: values for quantity, values in read_measures([out / "measures.parquet"]).items()}
    assert {name: values.count for name, values in found.items()} == {"none": 10, "some": 10, "strong": 10}
    part = toy.opened(folder / "data", "test")
    rows = chosen_rows(len(part), 10, 0)
    assert set(found["none"].samples) == set(part.take(rows).samples)
    model = attacked.loaded(folder / "fpd").eval()
    images, _ = attacked.batch(part.take(rows))
    with torch.no_grad():
        restored = model.stages(images)[0] * torch.tensor(model.normalisation.std).view(3, 1, 1)
        restored += torch.tensor(model.normalisation.mean).view(3, 1, 1)
    expected = 255 * ((restored - images) ** 2).mean((1, 2, 3)).sqrt()
    by_sample = dict(zip(part.take(rows).samples, expected.tolist(), strict=True))
    assert dict(zip(found["none"].samples, found["none"].values, strict=True)) == pytest.approx(by_sample, rel=1e-4)


def test_a_body_whose_restoration_is_switched_off_has_no_error():
    body = Body(name="fpd-resnet18", options={**PYRAMID.options, "restoration": 0, "front_denoising": 0})
    model, images = toy.classifier(body=body).eval(), torch.rand(2, 3, 16, 16)
    logits, restored = answered(model, images)
    assert restored is None
    _, _, errors = looked(model, images, images)
    assert torch.isnan(errors).all()
    assert logits.shape == (2, 3)


def test_a_killed_job_continues_to_the_same_bytes_and_shows_no_batch_again(folder, tmp_path, monkeypatch):
    class Looks:
        def __init__(self, at=None):
            self.count, self.at = 0, at
            monkeypatch.setattr(bench, "looked", self)

        def __call__(self, model, clean, shown):
            if self.count == self.at:
                raise KeyboardInterrupt
            self.count += 1
            return restoration.looked(model, clean, shown)

    settings = {"source": "fpd", "shown": {"some": 2}, "checkpoint_seconds": 0}
    whole_looks = Looks()
    whole = contents(attack(folder, tmp_path / "whole", **settings))
    for killed in (1, 4, 8):
        out = tmp_path / f"killed-{killed}"
        Looks(at=killed)
        with pytest.raises(KeyboardInterrupt):
            attack(folder, out, **settings)
        assert list(contents(out)) == [".checkpoint.pt"]
        left = Looks()
        attack(folder, out, **settings)
        assert left.count == whole_looks.count - killed
        assert contents(out) == whole


def test_pictures_are_kept_clean_and_attacked_as_the_model_sees_them(folder, tmp_path):
    out = attack(folder, tmp_path / "out", shown={"some": 3, "strong": 3})
    clean, some, strong = read_samples(out / "pictures.safetensors", out / "card.json")
    assert [each.condition for each in (clean, some, strong)] == ["none", "some", "strong"]
    part = toy.opened(folder / "data", "test")
    chosen = part.take(chosen_rows(len(part), 3, 0))
    assert clean.samples == chosen.samples
    assert np.array_equal(clean.shown, chosen.images)
    assert clean.says == clean.labels  # the network knows them, so that each is attacked
    for found, epsilon in ((some, 0.03), (strong, 0.06)):
        moved = np.abs(found.shown.astype(int) - clean.shown)
        assert 0 < moved.max() <= epsilon * 255 + 1
    assert [each.restored for each in (clean, some, strong)] == [None, None, None]
    restoring = attack(folder, tmp_path / "restoring", source="fpd", shown={"some": 3})
    restored = [each.restored for each in read_samples(restoring / "pictures.safetensors", restoring / "card.json")]
    assert [each.shape for each in restored] == [clean.shown.shape] * 2


def test_pictures_are_of_the_images_that_the_tables_count(folder, tmp_path, monkeypatch):
    judged = {}
    plain = bench.looked

    def seen(model, clean, shown):
        judged.setdefault("shown", []).append(shown)
        return plain(model, clean, shown)

    monkeypatch.setattr(bench, "looked", seen)
    out = attack(folder, tmp_path / "out", attacks={"some": SOME}, clean=False, shown={"some": 3})
    part = toy.opened(folder / "data", "test")
    rows = np.searchsorted(chosen_rows(len(part), SOME.images, 0), chosen_rows(len(part), 3, 0))
    assert rows.tolist() != [0, 1, 2]  # or their starts were the same anyhow
    expected = torch.cat(judged["shown"])[rows].mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    _, some = read_samples(out / "pictures.safetensors", out / "card.json")
    assert np.array_equal(some.shown, expected)


def test_the_figure_of_pictures_is_the_same_twice_and_refuses_other_files(folder, tmp_path):
    kept = [attack(folder, tmp_path / name, source=name, shown={"some": 2}) for name in ("fpd", "model-0")]

    def drawn(name):
        outputs = draw_restored.Outputs(tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
        inputs = draw_restored.Inputs(
            [out / "card.json" for out in kept], [out / "pictures.safetensors" for out in kept]
        )
        draw_restored.run(inputs=inputs, outputs=outputs, models=["fpd", "plain"])
        return [path.read_bytes() for path in vars(outputs).values()]

    assert drawn("a") == drawn("b")
    (kept[0] / "pictures.safetensors").write_bytes(b"no pictures")
    with pytest.raises(DamagedFileError):
        drawn("c")


def test_a_model_of_other_classes_is_refused(folder, tmp_path):
    write_model(tmp_path / "others" / "wrong", PYRAMID, 3)
    (tmp_path / "others" / "data").symlink_to(folder / "data")
    with pytest.raises(WeightsError):
        attack(tmp_path / "others", tmp_path / "out", source="wrong")


def test_the_card_says_what_was_attacked(folder, tmp_path):
    out = attack(folder, tmp_path / "out", targets=("model-1",), clean=False)
    card = read_card(out / "card.json")
    assert (card["kind"], card["box"], card["model"], card["seed"]) == ("attacked", "black-box", "model-0", 3)
    assert len(card["weights"]) == 2
    assert card["pictures"] == []


def test_an_attack_names_the_library_that_its_budget_names(folder):
    part = toy.opened(folder / "data", "test")
    entries = read_yaml(PROJECT / "config/attacks.yaml")
    attacks = {name: entry for name, entry in parse(Catalogue, {"attacks": entries}, where="a").attacks.items()
               if isinstance(entry, OnModel)}  # fmt: skip
    for subject in subjects(part, attacks):
        attack, library = attacks[subject.name], json.loads(subject.runs[0].budget)["library"]
        own = attack.kind == "carlini-wagner" and attack.norm == "Linf"
        named = getattr(kinds.ATTACKS.load(attack.kind), "LIBRARY", "heirloom")
        assert library == ("heirloom" if own else named), subject.name
