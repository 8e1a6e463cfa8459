import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from heirloom.attacks.algorithms.feature import craft
from heirloom.attacks.perturbations import LEVELS, Perturbations, open_perturbations, quantised, write_perturbations
from heirloom.attacks.units import Units, perturbed
from heirloom.config.models import Normalisation
from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import read_card, sha256_of, write_card
from tests.unit import attacked, toy

CPU = torch.device("cpu")
ATTACKS = {
    "pixels": attacked.feature(epsilon=0.08),
    "behind the first layer": attacked.feature(**attacked.PUBLISHED, epsilon=0.25, step=0.025),
    "as published": attacked.feature(**attacked.PUBLISHED, epsilon=0.1, step=0.01, steps=40),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data and two networks that know them."""
    folder = tmp_path_factory.mktemp("storage")
    for seed in (0, 1):
        attacked.train(folder, seed=seed)
    with attacked.one_thread():
        yield folder


def crafted_by(folder, attack):
    """The test part, the network, and what it was crafted into in float32."""
    part, model = toy.opened(folder / "data", "test"), attacked.loaded(folder / "model-0")
    images, _ = attacked.batch(part)
    return part, model, images, craft([model], images, np.arange(len(part)), attack)


def write(folder, out, *, attack, levels, part):
    write_perturbations(
        out / "perturbations.npy",
        out / "card.json",
        [levels[:40], levels[40:]],
        part=part,
        data_card=folder / "data" / "card.json",
        attack=attack,
        model=attacked.loaded(folder / "model-0"),
        weights=folder / "model-0" / "weights.safetensors",
    )
    return out


@pytest.fixture(scope="module")
def stored(folder):
    """Perturbations on disk."""
    attack = ATTACKS["as published"]
    part, _, _, change = crafted_by(folder, attack)
    return write(folder, folder / "stored", attack=attack, levels=quantised(change, attack.epsilon), part=part)


def reopened(folder, stored, *, attack=ATTACKS["as published"], part=None, data=None):
    return open_perturbations(
        stored / "perturbations.npy",
        stored / "card.json",
        part=part or toy.opened(folder / "data", "test"),
        data_card=data or folder / "data" / "card.json",
        attack=attack,
    )


def test_rounding_moves_a_change_by_half_a_level_at_most_and_keeps_the_largest():
    change = torch.linspace(-0.1, 0.1, 2 * 3 * 5 * 5).view(2, 3, 5, 5)
    levels = quantised(change, 0.1)
    assert (levels.dtype, levels.shape) == (np.int8, (2, 5, 5, 3))
    back = torch.from_numpy(levels).permute(0, 3, 1, 2) * (0.1 / LEVELS)
    assert (back - change).abs().max() <= 0.1 / LEVELS / 2 + 1e-8
    assert (levels.min(), levels.max()) == (-LEVELS, LEVELS)
    beyond = quantised(torch.tensor([-0.44, -0.1004, 0.1004, 0.3]).view(1, 1, 2, 2), 0.1)
    assert beyond.flatten().tolist() == [-LEVELS, -LEVELS, LEVELS, LEVELS]


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_shown_from_a_byte_per_value_is_what_was_crafted(folder, name):
    attack = ATTACKS[name]
    part, model, images, change = crafted_by(folder, attack)
    units = Units.of(attack, model.normalisation, CPU)
    stored = Perturbations(quantised(change, attack.epsilon), attack, model.normalisation)
    found = units.points(stored.shown(images, np.arange(len(part))))
    expected = (units.points(images) + change).clamp(*attack.clip)
    assert (found - expected).abs().max() <= attack.epsilon / LEVELS / 2 + 2e-6


def test_the_clip_gives_back_what_it_moved_beyond_epsilon(folder):
    attack = ATTACKS["as published"]
    part, model, images, change = crafted_by(folder, attack)
    beyond = change < -attack.epsilon - 1e-6
    assert beyond.float().mean() > 0.01  # the white corner, in green and blue
    stored = Perturbations(quantised(change, attack.epsilon), attack, model.normalisation)
    found = model.normalise(stored.shown(images, np.arange(len(part))))
    assert (found[beyond] - 2.2).abs().max() <= 1e-6


@pytest.mark.parametrize("name", ["pixels", "behind the first layer"])
def test_rounding_leaves_the_effect_of_an_attack_unchanged(folder, name):
    attack = ATTACKS[name]
    part, model, images, change = crafted_by(folder, attack)
    exact = perturbed(images, change, attack, Units.of(attack, model.normalisation, CPU))
    rounded = Perturbations(quantised(change, attack.epsilon), attack, model.normalisation).shown(
        images, np.arange(len(part))
    )
    for judge in (model, attacked.loaded(folder / "model-1")):
        with torch.no_grad():
            clean, attacked_with, stored = (judge(shown).softmax(1) for shown in (images, exact, rounded))
        effect, of_rounding = (clean - attacked_with).abs(), (attacked_with - stored).abs()
        assert effect.max() >= 0.1
        assert of_rounding.mean() <= 0.01 * effect.mean()
        assert of_rounding.max() <= 0.02 * effect.max()


def test_the_card_names_the_attack_the_weights_and_the_images(folder, stored):
    card = read_card(stored / "card.json")
    assert card["kind"] == "perturbations"
    assert card["files"]["perturbations.npy"]["sha256"] == sha256_of(stored / "perturbations.npy")
    assert card["data"] == sha256_of(folder / "data" / "card.json")
    assert card["teacher"] == sha256_of(folder / "model-0" / "weights.safetensors")
    assert (card["images"], card["crop"]) == (60, 16)
    assert card["scale"] == pytest.approx(0.1 / 127)
    assert json.loads(card["budget"])["epsilon"] == card["attack"]["epsilon"] == 0.1
    assert Normalisation.model_validate(card["normalisation"]) == Normalisation()


def test_a_byte_per_value_lies_on_disk_and_is_mapped(folder, stored):
    perturbations = reopened(folder, stored)
    assert isinstance(perturbations.levels, np.memmap)
    assert not perturbations.levels.flags.writeable
    size = (stored / "perturbations.npy").stat().st_size
    assert size - 60 * 16 * 16 * 3 <= 128  # the head of the file


def test_rows_find_their_own_images_in_any_batch(folder, stored):
    perturbations = reopened(folder, stored)
    images, _ = attacked.batch(toy.opened(folder / "data", "test"))
    whole = perturbations.shown(images, np.arange(60))
    rows = np.array([41, 3, 59])
    assert torch.equal(perturbations.shown(images[rows], rows), whole[rows])
    assert whole.is_contiguous(memory_format=torch.channels_last)


def test_too_few_images_leave_no_file(folder, tmp_path):
    attack = ATTACKS["as published"]
    part = toy.opened(folder / "data", "test")
    with pytest.raises(ValueError, match="59 images for 60 rows"):
        write(folder, tmp_path, attack=attack, levels=np.zeros((59, 16, 16, 3), np.int8), part=part)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_refused(folder, stored, tmp_path):
    for name in ("card.json", "perturbations.npy"):
        (tmp_path / name).write_bytes((stored / name).read_bytes())
    content = bytearray((tmp_path / "perturbations.npy").read_bytes())
    content[-1] ^= 1
    (tmp_path / "perturbations.npy").write_bytes(content)
    with pytest.raises(DamagedFileError, match="delete it and run again"):
        reopened(folder, tmp_path)


def test_a_card_without_its_facts_is_refused(folder, stored, tmp_path):
    facts = {name: value for name, value in read_card(stored / "card.json").items() if name != "data"}
    (tmp_path / "card.json").write_text(json.dumps(facts))
    (tmp_path / "perturbations.npy").write_bytes((stored / "perturbations.npy").read_bytes())
    with pytest.raises(DamagedFileError, match="delete it and run again") as refused:
        reopened(folder, tmp_path)
    assert "no data" in str(refused.value)


def test_an_array_of_another_shape_is_refused(folder, stored, tmp_path):
    np.save(tmp_path / "perturbations.npy", np.zeros((60, 8, 8, 3), np.int8))
    facts = {name: value for name, value in read_card(stored / "card.json").items() if name not in {"kind", "files"}}
    files = {"perturbations.npy": tmp_path / "perturbations.npy"}
    write_card(tmp_path / "card.json", kind="perturbations", files=files, **facts)
    with pytest.raises(DamagedFileError) as refused:
        reopened(folder, tmp_path)
    assert "(60, 8, 8, 3) instead of int8 (60, 16, 16, 3)" in str(refused.value)


@pytest.mark.parametrize("change", ["data", "images", "attack"])
def test_perturbations_of_something_else_are_refused_with_how_to_mend_it(folder, stored, tmp_path, change):
    part, data, attack = toy.opened(folder / "data", "test"), folder / "data" / "card.json", ATTACKS["as published"]
    if change == "data":
        data = tmp_path / "card.json"
        data.write_text((folder / "data" / "card.json").read_text() + "\n")
    elif change == "images":
        part = part.take(np.arange(59))
    else:
        attack = attack.model_copy(update={"steps": 41})
    with pytest.raises(DataError, match="other images or by another attack") as refused:
        reopened(folder, stored, part=part, data=data, attack=attack)
    assert "craft_feature_attack makes it anew" in refused.value.mend
    assert str(stored / "card.json") in refused.value.where


def test_a_title_is_no_part_of_an_attack_and_a_release_makes_none_stale(folder, stored, monkeypatch):
    monkeypatch.setattr("heirloom.attacks.budget.version", lambda _library: "99")
    attack = ATTACKS["as published"].model_copy(update={"title": "another word", "control": "other"})
    assert reopened(folder, stored, attack=attack).attack == attack


def test_showing_perturbations_needs_no_attack_library():
    code = "import sys, heirloom.stages.evaluate_students; print({'advertorch', 'pyautoattack'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"set()\n"
