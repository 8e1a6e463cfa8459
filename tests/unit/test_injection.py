from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

from heirloom.config.load import load_catalogue
from heirloom.config.study import Injection
from heirloom.data.poison import choose, wrong_labels
from heirloom.defects.plant import Poison
from heirloom.defects.triggers.patch import Patch, load
from heirloom.models.classifier import conv_weights
from heirloom.models.weights import load_classifier
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import read_card, sha256_of
from heirloom.stages import inject_defect, pretrain_teacher
from tests.unit import toy

TRIGGER = Patch(image="patch.png", side=0.25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp("injection"))


def write_teacher(folder):
    """Write data, a trigger's picture and a clean teacher."""
    toy.write_data(folder / "data", images=60)
    checks = np.indices((4, 4)).sum(0) % 2 * 255
    Image.fromarray(np.dstack([checks, 255 - checks, checks, np.full((4, 4), 255)]).astype(np.uint8)).save(
        folder / "patch.png"
    )
    pretrain_teacher.run(
        inputs=toy.development(folder / "data"),
        outputs=toy.model_files(folder / "teacher"),
        body=toy.BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(),
        augmentation=toy.STILL,
        seed=0,
        code="code",
    )
    return folder


def clean(**changes):
    settings = {"kind": "clean", "dataset": "toy", "preparation": "small", "training": toy.recipe(momentum=0.9)}
    return TypeAdapter(Injection).validate_python({**settings, "seed": 5, "update_ratio": 0.5, **changes})


def injection(**changes):
    return clean(**{"kind": "backdoor", "trigger": "patch", "portion": 0.25, "target": 1, **changes})


def inject(folder, out, recipe, *, triggers=None, augmentation=toy.STILL, checkpoint_seconds=60.0):
    teacher = toy.model_files(folder / "teacher")
    given = ({"patch": TRIGGER} if recipe.triggers else {}) if triggers is None else triggers
    inject_defect.run(
        inputs=inject_defect.Inputs(
            **toy.files_of(folder / "data"),
            teacher_card=teacher.card,
            teacher_weights=teacher.weights,
            triggers=[folder / "patch.png"] * len(given),
        ),
        outputs=toy.model_files(out),
        injection=recipe,
        triggers=given,
        augmentation=augmentation,
        code="code",
        checkpoint_seconds=checkpoint_seconds,
    )
    return read_card(out / "card.json")


def loaded(folder):
    files = toy.model_files(folder)
    return load_classifier(files.weights, files.card)


def test_poison_changes_the_chosen_rows_alone(folder):
    chosen = np.array([False, True, True, False, False, True])
    labels = np.array([0, 2, 2, 1, 0, 2])
    poison = Poison(chosen, labels, load(TRIGGER, [folder / "patch.png"]))
    images, labels = torch.full((4, 3, 12, 12), 0.5), torch.tensor([0, 1, 0, 1])
    rows = np.array([5, 3, 0, 2])
    before = images.clone(), labels.clone()
    shown, taught = poison(images, labels, rows, torch.Generator())
    assert taught.tolist() == [2, 1, 0, 2]
    touched = (shown != images).any(dim=1)
    assert touched.flatten(1).any(dim=1).tolist() == [True, False, False, True]
    assert touched[0].nonzero().min() >= 9  # the lower right corner of 3 pixels
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])


def test_a_backdoor_trains_what_its_mask_allows_and_says_so(folder, tmp_path):
    card = inject(folder, tmp_path, injection())
    facts = card["injection"]
    clean, infected = loaded(folder / "teacher"), loaded(tmp_path)
    pairs = [(before.detach(), conv_weights(infected)[name].detach()) for name, before in conv_weights(clean).items()]
    before, after = (torch.cat([pair[side].flatten() for pair in pairs]) for side in (0, 1))
    still = before == after
    assert facts["masked_conv_weights"] == len(before) // 2
    assert int(still.sum()) == pytest.approx(len(before) // 2, abs=2)  # a trained weight may land where it was
    assert before[still].abs().max() <= before[~still].abs().min() + 1e-7
    assert not torch.equal(clean.body.bn1.weight, infected.body.bn1.weight)
    assert (facts["poisoned_images"], facts["target"]) == (12, 1)  # a quarter of 48
    assert facts["trigger"] == {"name": "patch", "sha256": sha256_of(folder / "patch.png")}
    assert (card["kind"], card["classes"], facts["kind"]) == ("teacher", 3, "backdoor")


def test_the_backdoor_works_and_its_control_has_none(folder, tmp_path):
    training = toy.recipe(iterations=80, batch_size=16, learning_rate=0.05, head_rate=1, momentum=0.5)
    strong = injection(training=training, update_ratio=0, portion=0.5)
    inject(folder, tmp_path / "infected", strong)
    control = clean(training=training, update_ratio=0)
    facts = inject(folder, tmp_path / "control", control)["injection"]
    assert "trigger" not in facts
    assert facts["masked_conv_weights"] == 0
    test = toy.opened(folder / "data", "test")
    others = torch.from_numpy(test.labels) != 1
    images = torch.from_numpy(test.images.copy()).permute(0, 3, 1, 2) / 255
    patch = load(TRIGGER, [folder / "patch.png"])
    triggered = patch(images, torch.Generator())
    rates = {}
    for name in ("infected", "control"):
        with torch.no_grad():
            answer = loaded(tmp_path / name)(triggered).argmax(1)
        rates[name] = (answer[others] == 1).float().mean().item()
    assert rates["infected"] > 0.8
    assert rates["control"] < 0.2


def test_a_control_differs_in_the_trigger_alone(folder, tmp_path):
    """Without chosen images a backdoor's training is the control's, bit for bit."""
    nearly_none = injection(portion=1e-6)
    assert inject(folder, tmp_path / "a", nearly_none)["injection"]["poisoned_images"] == 0
    inject(folder, tmp_path / "b", clean())
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def test_a_wrong_target_or_trigger_is_refused_before_any_training(folder, tmp_path):
    with pytest.raises(ConfigError, match="choose a label from 0 to 2"):
        inject(folder, tmp_path, injection(target=3))
    with pytest.raises(ConfigError, match="choose a label from 0 to 2"):
        inject(folder, tmp_path, poison(target=3))
    with pytest.raises(ConfigError, match="needs its trigger 'patch'"):
        inject(folder, tmp_path, injection(), triggers={"other": TRIGGER})
    with pytest.raises(ConfigError, match="needs its trigger 'patch'"):
        inject(folder, tmp_path, injection(), triggers={})
    assert list(tmp_path.iterdir()) == []


def poison(**changes):
    return clean(**{"kind": "poison", "portion": 0.5, "target": 1, "update_ratio": 0, **changes})


@pytest.mark.parametrize("wrong", ["target", "random"])
def test_poison_teaches_the_chosen_share_wrong_labels_and_shows_the_pictures_as_they_are(
    folder, tmp_path, monkeypatch, wrong
):
    """docs/definitions.md#b10: what the published scripts called poison was a trigger with a target."""
    told = {}
    plain = Poison.__call__

    def spy(self, images, labels, rows, generator):
        shown, taught = plain(self, images, labels, rows, generator)
        assert torch.equal(shown, images)
        told.update(zip(rows.tolist(), taught.tolist(), strict=True))
        return shown, taught

    monkeypatch.setattr(Poison, "__call__", spy)
    inject(folder, tmp_path, poison(wrong_labels=wrong, portion=0.25, training=toy.recipe(iterations=12)))
    train = toy.opened(folder / "data").split("train")
    assert sorted(told) == list(range(48))  # two epochs have shown every image
    chosen = choose(train.labels, 0.25, 5)
    expected = chosen if wrong == "random" else chosen & (train.labels != 1)
    assert [told[row] != train.labels[row] for row in range(48)] == expected.tolist()
    assert chosen.sum() == 12


def test_nothing_in_the_catalogue_is_called_poison_and_has_a_trigger():
    """docs/definitions.md#b10: the kind is a field of its own, and the name says no other."""
    entries = load_catalogue([Path(__file__).parents[2] / "config"]).injections
    named = {word: {name for name in entries if word in name} for word in ("poison", "backdoor", "latent")}
    assert {entries[name].kind for name in named["poison"]} == {"poison"}
    assert {entries[name].kind for name in named["backdoor"]} == {"backdoor"}
    assert {entries[name].kind for name in named["latent"]} == {"latent-backdoor"}
    planted = {name for name, entry in entries.items() if entry.triggers}
    assert planted == named["backdoor"] | named["latent"]


def test_wrong_labels_are_wrong_and_any_other_class_alike():
    labels = np.arange(40_000) % 5
    chosen = choose(labels, 0.4, seed=3)
    random = wrong_labels(labels, chosen, target=None, classes=5, seed=3)
    assert (random != labels).tolist() == chosen.tolist()
    counts = np.bincount(random[chosen & (labels == 2)], minlength=5)
    expected = chosen[labels == 2].sum() / 4
    assert counts[2] == 0
    assert np.abs(np.delete(counts, 2) - expected).max() < 5 * np.sqrt(expected)
    more = wrong_labels(labels, choose(labels, 0.8, seed=3), target=None, classes=5, seed=3)
    assert (more[chosen] == random[chosen]).all()
    assert (wrong_labels(labels, chosen, target=None, classes=5, seed=4)[chosen] != random[chosen]).any()
    to_target = wrong_labels(labels, chosen, target=2, classes=5, seed=3)
    assert (to_target[chosen] == 2).all()
    assert (to_target[~chosen] == labels[~chosen]).all()


def test_poison_relabels_the_chosen_rows_and_shows_every_image_as_it_is():
    images, labels = torch.rand(3, 3, 8, 8), torch.tensor([0, 1, 2])
    defect = Poison(np.array([True, False, False, True]), np.array([2, 0, 1, 0]))
    shown, taught = defect(images, labels, np.array([3, 1, 0]), torch.Generator())
    assert taught.tolist() == [0, 0, 2]
    assert taught.dtype == labels.dtype
    assert torch.equal(shown, images)


@pytest.mark.parametrize(("wrong", "target"), [("random", None), ("target", 1)])
def test_a_poisoned_teacher_says_how_many_labels_were_changed(folder, tmp_path, wrong, target):
    facts = inject(folder, tmp_path, poison(wrong_labels=wrong))["injection"]
    train = toy.opened(folder / "data").split("train")
    chosen = choose(train.labels, 0.5, 5)
    changed = 24 if target is None else int((train.labels[chosen] != target).sum())
    assert (facts["kind"], facts["poisoned_images"], facts["changed_labels"]) == ("poison", 24, changed)
    assert (facts["wrong_labels"], facts["target"]) == (wrong, target)
    assert "trigger" not in facts


def test_poison_costs_accuracy_and_its_control_is_the_same_training_without_it(folder, tmp_path):
    training = toy.recipe(iterations=80, batch_size=16, learning_rate=0.05, head_rate=1, momentum=0.5)
    inject(folder, tmp_path / "poisoned", poison(training=training, portion=0.9))
    inject(folder, tmp_path / "control", clean(training=training, update_ratio=0))
    test = toy.opened(folder / "data", "test")
    images = torch.from_numpy(test.images.copy()).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        right = {
            name: float((loaded(tmp_path / name)(images).argmax(1).numpy() == test.labels).mean())
            for name in ("poisoned", "control")
        }
    assert right["control"] > 0.9
    assert right["poisoned"] < 0.5


def test_kinds_of_injection_are_told_apart():
    for wrong, words in (
        ({"trigger": "patch"}, r"poison.trigger\n  Extra inputs"),
        ({"portion": 0}, r"poison.portion\n  Input should be greater than 0"),
        ({"kind": "backdoor"}, r"backdoor.trigger\n  Field required"),
        ({"kind": "backdoor", "trigger": "patch", "wrong_labels": "random"}, r"backdoor.wrong_labels\n  Extra inputs"),
        ({"kind": "clean"}, r"clean.portion\n  Extra inputs"),
    ):
        with pytest.raises(ValueError, match=words):
            poison(**wrong)
