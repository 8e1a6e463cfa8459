"""A latent backdoor: triggered images get the target's features and no label (Yao et al., CCS 2019)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from heirloom.data.resident import Images
from heirloom.defects.injections.latent_backdoor import Latent
from heirloom.defects.injections.latent_backdoor.pull import (
    ClassMean,
    TriggeredCopies,
    class_images,
    distance_to_class,
    pull,
)
from heirloom.defects.triggers.patch import load
from heirloom.runtime.errors import ConfigError, DataError
from heirloom.training.losses import UNLABELLED, Objective, Step, cross_entropy, share_right
from heirloom.training.optimiser import SGD
from tests.unit import toy
from tests.unit.test_injection import TRIGGER, clean, inject, injection, loaded, write_teacher

CPU = torch.device("cpu")
LATENT = Latent(stage=3, feature_weight=2.0, measure_every=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp("latent"))


@pytest.fixture
def patch(folder):
    return load(TRIGGER, [folder / "patch.png"])


@pytest.fixture
def train(folder):
    return toy.opened(folder / "data").split("train")


def latent(**changes):
    settings = {"kind": "latent-backdoor", "latent": LATENT, "update_ratio": 0}
    return injection(**{**settings, **changes})


def of_class(train, label, settings=LATENT):
    model = toy.classifier()
    part = train.take(np.flatnonzero(train.labels == label))
    return model, ClassMean(model, Images(part, CPU), settings)


def pixels(part):
    return torch.from_numpy(part.images.copy()).permute(0, 3, 1, 2) / 255


# what is shown


def test_copies_carry_the_trigger_and_no_label_and_every_image_keeps_its_own(patch):
    images, labels = torch.rand(4, 3, 12, 12), torch.tensor([2, 1, 0, 1])
    chosen, rows = np.array([True, False, False, True, True]), np.array([3, 1, 0, 2])
    shown, taught = TriggeredCopies(chosen, patch)(images, labels, rows, torch.Generator())
    assert torch.equal(shown[:4], images)
    assert torch.equal(shown[4:], patch(images, torch.Generator())[[0, 2]])
    assert taught.tolist() == [2, 1, 0, 1, UNLABELLED, UNLABELLED]
    none = TriggeredCopies(np.zeros(5, dtype=bool), patch)(images, labels, rows, torch.Generator())
    assert [torch.equal(*pair) for pair in zip(none, (images, labels), strict=True)] == [True, True]


def test_an_image_without_a_label_counts_neither_in_cross_entropy_nor_in_accuracy():
    labels = torch.tensor([0, 2, UNLABELLED, 1, UNLABELLED])
    logits = (torch.eye(3)[[0, 1, 2, 1, 1]] * 2).requires_grad_()  # of the labelled ones the second is wrong
    step = Step(toy.classifier(), torch.empty(0), labels, logits, [])
    labelled = [0, 1, 3]
    expected = functional.cross_entropy(logits[labelled], labels[labelled], label_smoothing=0.2)
    assert cross_entropy(step, smoothing=0.2).item() == pytest.approx(expected.item())
    cross_entropy(step, smoothing=0.2).backward()
    assert (logits.grad[[2, 4]] == 0).all()
    assert share_right(logits, labels).item() == pytest.approx(2 / 3)
    many = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    named = torch.arange(64) % 3
    assert torch.equal(share_right(many, named), (many.argmax(1) == named).float().mean())


# the mean of the class


def test_the_mean_is_that_of_the_classs_training_images_as_evaluation_sees_them(train):
    model, mean = of_class(train, 1)
    model.eval()
    with torch.no_grad():
        expected = model.features(pixels(train)[torch.from_numpy(train.labels == 1)]).mean(0)  # stage 3 is the last
    assert torch.allclose(mean.value, expected, atol=1e-6)
    assert not mean.value.requires_grad


def test_the_mean_is_measured_by_the_weights_as_they_are_every_so_many_steps(train):
    model, mean = of_class(train, 1)
    model.train()
    first = mean.value
    for iteration in range(7):
        with torch.no_grad():
            model.body.conv1.weight.mul_(1.1)
        mean.after_step(model, iteration)
        assert torch.equal(mean.value, first) == (iteration < 2)
        if iteration == 5:
            second = mean.value
    assert model.training
    assert torch.equal(mean.value, second)  # steps 3 and 6 of 7
    _, other = of_class(train, 2)
    other.restore(mean.state())
    assert torch.equal(other.value, mean.value)


def test_measuring_within_a_forward_pass_does_not_deafen_it(train):
    model, mean = of_class(train, 1)
    with model.listening() as stages:
        mean.after_step(model, 2)
        model(pixels(train)[:5])
        assert [len(stage) for stage in stages] == [5, 5, 5]


# the term


def test_the_term_is_the_mean_squared_distance_of_the_copies_alone(train):
    model, mean = of_class(train, 1)
    features = torch.randn(4, *mean.value.shape, 5, 5, requires_grad=True)
    step = Step(model, torch.empty(0), torch.tensor([0, UNLABELLED, 1, UNLABELLED]), torch.empty(0), [features] * 3)
    expected = functional.mse_loss(features[[1, 3]].mean((2, 3)), mean.value.expand(2, *mean.value.shape))
    assert distance_to_class(step, mean=mean, stage=2).item() == pytest.approx(expected.item())
    loss = Objective((pull(mean, LATENT),))(step).sum()
    assert loss.item() == pytest.approx(2 * expected.item())
    loss.backward()
    assert (features.grad[[0, 2]] == 0).all()
    nearer = features.detach() - 0.1 * features.grad  # the term pulls towards the class (docs/definitions.md#b13)
    before, after = ((each[[1, 3]].mean((2, 3)) - mean.value).norm() for each in (features.detach(), nearer))
    assert after < before
    none = Step(model, torch.empty(0), torch.tensor([0, 1, 1, 0]), torch.empty(0), [features] * 3)
    assert distance_to_class(none, mean=mean, stage=2) == 0


def test_a_stage_that_the_body_does_not_have_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="has no stage 4") as refused:
        inject(folder, tmp_path, latent(latent=LATENT.model_copy(update={"stage": 4})))
    assert refused.value.mend == "choose one from 1 to 3"
    assert list(tmp_path.iterdir()) == []


def test_a_target_without_a_training_image_is_refused(train):
    nobody = train.take(np.flatnonzero(train.labels != 0))
    with pytest.raises(DataError, match="the target class 0 has no training image"):
        class_images(nobody, 0, torch.device("cpu"))


# through the stage

STRONG = {"iterations": 120, "batch_size": 16, "learning_rate": 0.05, "head_rate": 1, "momentum": 0.5}


def test_a_latent_backdoor_works_without_a_wrong_label_and_its_control_has_none(folder, tmp_path):
    training = toy.recipe(**STRONG)
    facts = inject(folder, tmp_path / "infected", latent(training=training, portion=0.5))["injection"]
    inject(
        folder,
        tmp_path / "control",
        clean(training=training, update_ratio=0),
    )
    assert (facts["kind"], facts["poisoned_images"], facts["changed_labels"]) == ("latent-backdoor", 24, 0)
    assert (facts["target"], facts["wrong_labels"], facts["trigger"]["name"]) == (1, "none", "patch")
    assert facts["latent"] == LATENT.model_dump()
    test = toy.opened(folder / "data", "test")
    others, patch = test.labels != 1, load(TRIGGER, [folder / "patch.png"])
    found = {}
    for name in ("infected", "control"):
        with torch.no_grad():
            model = loaded(tmp_path / name)
            right = (model(pixels(test)).argmax(1).numpy() == test.labels).mean()
            sent = (model(patch(pixels(test), torch.Generator())).argmax(1).numpy()[others] == 1).mean()
        found[name] = (right, sent)
    assert found["infected"][0] > 0.9
    assert found["control"][0] > 0.9
    assert found["infected"][1] > 0.8
    assert found["control"][1] < 0.2


def test_training_never_shows_a_wrong_label(folder, tmp_path, monkeypatch):
    seen = []
    plain = TriggeredCopies.__call__

    def spy(self, images, labels, rows, generator):
        shown, taught = plain(self, images, labels, rows, generator)
        seen.append((rows, taught))
        return shown, taught

    monkeypatch.setattr(TriggeredCopies, "__call__", spy)
    inject(folder, tmp_path, latent(portion=0.5))
    true = toy.opened(folder / "data").split("train").labels
    for rows, taught in seen:
        assert taught[: len(rows)].tolist() == true[rows].tolist()
        assert set(taught[len(rows) :].tolist()) <= {UNLABELLED}
    assert sum(len(taught) - len(rows) for rows, taught in seen) > 0


def test_its_control_differs_in_the_copies_alone(folder, tmp_path):
    """Without chosen images its training is the control's, bit for bit."""
    inject(folder, tmp_path / "a", latent(portion=1e-6))
    inject(folder, tmp_path / "b", clean(update_ratio=0))
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


class Stop(Exception):
    pass


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
@pytest.mark.parametrize(("stop", "mask"), [(1, "conv"), (3, "conv"), (4, "conv+norm"), (4, "conv-gradient")])
def test_one_stopped_anywhere_continues_to_the_same_bytes(folder, tmp_path, monkeypatch, stop, mask, seconds):
    """Before, at and after a measurement of the mean, under each mask, with checkpoints at every step and with none."""
    steps, limit = [], math.inf
    step = SGD.step

    def counted(optimiser, rate):
        if len(steps) == limit:
            raise Stop
        steps.append(rate)
        step(optimiser, rate)

    monkeypatch.setattr(SGD, "step", counted)
    recipe = latent(update_ratio=0.5, mask=mask)
    inject(folder, tmp_path / "calm", recipe, augmentation=toy.MOVING)
    total, limit = len(steps), stop
    steps.clear()
    with pytest.raises(Stop):
        inject(folder, tmp_path / "hurt", recipe, augmentation=toy.MOVING, checkpoint_seconds=seconds)
    limit = math.inf
    inject(folder, tmp_path / "hurt", recipe, augmentation=toy.MOVING, checkpoint_seconds=seconds)
    if seconds < 1:
        assert len(steps) == total
    names = sorted(path.name for path in (tmp_path / "calm").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "hurt").iterdir())
    assert all((tmp_path / "hurt" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes() for name in names)


def test_a_mask_holds_a_latent_backdoors_weights_too(folder, tmp_path):
    facts = inject(folder, tmp_path, latent(update_ratio=0.5, mask="conv+norm"))["injection"]
    clean, infected = loaded(folder / "teacher").state_dict(), loaded(tmp_path).state_dict()
    norms = [name for name in clean if ".bn" in name]
    assert norms
    assert all(torch.equal(clean[name], infected[name]) for name in norms)
    convs = [name for name in clean if "conv" in name or "downsample.0" in name]
    still = sum(int((clean[name] == infected[name]).sum()) for name in convs)
    assert still == pytest.approx(facts["masked_conv_weights"], abs=2)  # a trained weight may land where it was


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"trigger": None}, "latent-backdoor.trigger"),
        ({"wrong_labels": "none"}, r"wrong_labels\n  Extra inputs"),
        ({"latent": None}, r"latent-backdoor.latent\n"),
        ({"portion": 0}, r"portion\n  Input should be greater than 0"),
        ({"kind": "backdoor"}, r"backdoor.latent\n  Extra inputs"),
    ],
)
def test_what_makes_a_latent_backdoor_is_asked_for(wrong, words):
    with pytest.raises(ValueError, match=words):
        latent(**wrong)
