"""Optimisers, clipping, rates and ends that follow validation, second steps and gates of the training loop."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from heirloom.config.robust_training import SteppedTraining
from heirloom.evaluation.judge import JudgedRates
from heirloom.models.classifier import state_copy
from heirloom.runtime.errors import ConfigError
from heirloom.training import loop
from heirloom.training.loop import CLEAN, ROBUST, Lesson, kept_row
from heirloom.training.losses import Batch, Term, supervised_terms
from heirloom.training.meters import Meter
from heirloom.training.optimiser import OPTIMISERS, optimiser_of
from heirloom.training.phases import Gate, Phase, Second, supervised_phase
from heirloom.training.schedules import Watch, schedule_of
from heirloom.training.session import history_table, lesson_of
from tests.unit import toy
from tests.unit.toy import Stop, StopAt, same

TORCHS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamax": torch.optim.Adamax}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return toy.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def lesson(data) -> Lesson:
    return lesson_of(toy.opened(data), toy.STILL)


def recipe(**changes) -> SteppedTraining:
    return toy.stepped(**{"learning_rate": 0.01, "weight_decay": 0, **changes})


def train(model, lesson, phase, folder, *, seconds=1e9, stop=999):
    return toy.train(model, lesson, (replace(phase, hooks=(StopAt(stop),)),), folder, seconds=seconds)


# optimisers


@pytest.mark.parametrize(
    ("name", "momentum", "weight_decay"),
    [("adam", 0, 0.1), ("adamax", 0, 0.1), ("sgd", 0, 0), ("sgd", 0, 0.1), ("sgd", 0.9, 0), ("sgd", 0.9, 0.1)],
)
def test_an_optimiser_is_torchs_bit_for_bit_and_goes_on_so_when_restored(name, momentum, weight_decay, tmp_path):
    model = toy.classifier()
    oracle = copy.deepcopy(model)
    split = lambda net: [(list(net.body.layer1.parameters()), 1.0), (list(net.body.fc.parameters()), 10.0)]  # noqa: E731
    training = recipe(optimiser=name, momentum=momentum, weight_decay=weight_decay)
    ours = optimiser_of(training, split(model))
    groups = [{"params": weights, "lr": factor} for weights, factor in split(oracle)]
    momenta = {"momentum": momentum} if name == "sgd" else {}
    theirs = TORCHS[name](groups, weight_decay=weight_decay, foreach=True, **momenta)
    for step in range(5):
        images = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(step))
        for net in (model, oracle):
            net.zero_grad()
            net(images).square().sum().backward()
        for group, factor in zip(theirs.param_groups, (1.0, 10.0), strict=True):
            group["lr"] = 0.01 / (step + 1) * factor
        ours.step(0.01 / (step + 1))
        theirs.step()
        if step == 1:  # as a checkpoint keeps it
            torch.save(ours.state(), tmp_path / "state")
            ours = optimiser_of(training, split(model))
            ours.restore(torch.load(tmp_path / "state", weights_only=True))
    for one, other in zip(model.parameters(), oracle.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=0 if name == "sgd" else 1e-7)


@pytest.mark.parametrize("name", TORCHS)
def test_a_parameter_without_gradient_stays_whatever_the_optimiser(name):
    weight, still, frozen = (nn.Parameter(torch.ones(2), requires_grad=kind) for kind in (True, True, False))
    optimiser = optimiser_of(recipe(optimiser=name, weight_decay=0.1), [([weight, still, frozen], 1.0), ([], 2.0)])
    weight.grad = torch.ones(2)
    optimiser.step(0.5)
    assert (weight < 1).all()
    assert still.tolist() == frozen.tolist() == [1, 1]
    optimiser.zero_grad()
    assert weight.grad is None


def test_every_optimiser_of_the_settings_is_in_the_registry():
    settings = SteppedTraining.model_json_schema()["properties"]["optimiser"]["enum"]
    assert set(settings) == OPTIMISERS.keys() == TORCHS.keys()


def by_hand(model, training, images, labels, *, steps):
    """A few plain steps of the whole training set, as torch's tutorials write them."""
    model.train()
    optimiser = TORCHS[training.optimiser](model.parameters(), lr=training.learning_rate)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        if training.clip:
            nn.utils.clip_grad_norm_(model.parameters(), training.clip)
        optimiser.step()
    return model


@pytest.mark.parametrize(("name", "clip"), [("adam", None), ("adamax", None), ("sgd", 0.5), ("sgd", None)])
def test_training_makes_the_steps_of_plain_torch(data, tmp_path, name, clip):
    still = Lesson(toy.opened(data).split("train"), None, toy.STILL)
    training = recipe(optimiser=name, clip=clip, iterations=3, batch_size=24, momentum=0.0)
    model = toy.classifier()
    oracle = copy.deepcopy(model)
    train(model, still, supervised_phase(training), tmp_path)
    images = torch.from_numpy(still.train.batch(np.arange(24))).permute(0, 3, 1, 2) / 255
    by_hand(oracle, training, images, torch.from_numpy(still.train.labels), steps=3)
    for key, value in oracle.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value, atol=1e-4), key


def test_clipping_shortens_a_long_gradient_and_leaves_a_short_one(lesson, tmp_path):
    moved = {}
    for clip in (None, 1e6, 1e-3):
        model = toy.classifier()
        start = state_copy(model)["body.conv1.weight"]
        phase = supervised_phase(recipe(iterations=1, clip=clip, learning_rate=1.0, momentum=0))
        train(model, lesson, phase, tmp_path / str(clip))
        moved[clip] = (model.state_dict()["body.conv1.weight"] - start).norm().item()
    assert moved[1e6] == moved[None]
    assert 0 < moved[1e-3] < 1e-3


# rates and ends that follow validation


def test_a_rate_that_waits_for_validation_falls_as_torchs_does():
    random = np.random.default_rng(0)
    for patience in (0, 1, 3):
        watch = Watch(recipe(schedule="plateau", plateau_patience=patience, decay=0.5, validate_every=1))
        optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, mode="max", factor=0.5, patience=patience, threshold=0, eps=0
        )
        for accuracy in np.round(np.minimum(np.arange(40) / 30, 0.6) + random.normal(0, 0.1, 40), 1):
            watch.see(accuracy)
            oracle.step(accuracy)
            assert watch.factor == pytest.approx(optimiser.param_groups[0]["lr"])
        assert watch.factor < 0.5  # else this asks little


@pytest.mark.parametrize(
    ("accuracies", "end"),
    [((0.1, 0.2, 0.2, 0.1, 0.9), 4), ((0.5, 0.4, 0.6, 0.5, 0.7), None), ((0.5, 0.4, 0.3), 3), ((0.3,), None)],
)
def test_a_training_ends_at_the_validation_that_makes_patience_of_them(accuracies, end):
    watch = Watch(recipe(patience=2, validate_every=1))
    ends = []
    for place, accuracy in enumerate(accuracies, start=1):
        watch.see(accuracy)
        ends += [place] * watch.has_ended
    assert (ends[0] if ends else None) == end


def test_waiting_for_validations_that_never_come_is_refused(lesson, tmp_path):
    for settings in ({"patience": 3}, {"schedule": "plateau"}):
        with pytest.raises(ValueError, match="set validate_every"):
            recipe(**settings)
        blind = Lesson(lesson.train, None, lesson.augmentation)
        with pytest.raises(ConfigError, match="no validation image is held out"):
            train(toy.classifier(), blind, supervised_phase(recipe(validate_every=2, **settings)), tmp_path)
    assert schedule_of(recipe(schedule="plateau", validate_every=1))(5, 6) == 1


class Scripted:
    """Says what it is told, validation after validation, and remembers the weights it was asked about."""

    def __init__(self, *accuracies):
        self.accuracies = accuracies
        self.seen = []

    def __call__(self, model, images):
        self.seen.append(state_copy(model))
        return self.accuracies[len(self.seen) - 1]


def test_validation_lowers_the_rate_ends_the_training_and_chooses_the_weights(lesson, tmp_path, monkeypatch):
    accuracy = Scripted(0.1, 0.4, 0.4, 0.3, 0.2, 0.9)
    monkeypatch.setattr(loop, "accuracy", accuracy)
    settings = {"schedule": "plateau", "plateau_patience": 1, "patience": 3, "validate_every": 2}
    model, phase = toy.classifier(), supervised_phase(recipe(iterations=20, learning_rate=0.1, **settings))
    history = train(model, replace(lesson, keep_best=True), phase, tmp_path)
    assert [row["iteration"] for row in history] == [2, 4, 6, 8, 10]
    # two validations without a better one after the best: one more than the rate survives
    assert [row["learning_rate"] for row in history] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01])
    assert kept_row(history, keep_best=True)["iteration"] == 4
    assert all(torch.equal(value, accuracy.seen[1][name]) for name, value in model.state_dict().items())
    assert not torch.equal(accuracy.seen[4]["body.conv1.weight"], model.body.conv1.weight)


def test_where_a_judge_attacks_it_is_his_accuracy_that_is_waited_for(lesson, tmp_path):
    robust = iter([0.5, 0.4, 0.4, 0.9])
    judge = lambda _model, _images: JudgedRates(accuracy=next(rising), robust_accuracy=next(robust))  # noqa: E731
    rising = iter([0.1, 0.2, 0.3, 0.4])
    phase = supervised_phase(recipe(iterations=8, patience=2, validate_every=2))
    history = train(toy.classifier(), replace(lesson, judge=judge, keep_best=True), phase, tmp_path)
    assert [row[ROBUST] for row in history] == [0.5, 0.4, 0.4]
    assert kept_row(history, keep_best=True) is history[0]


def test_the_best_validation_accuracy_is_kept_where_it_is_asked_for_alone(lesson, tmp_path, monkeypatch):
    for keep_best in (True, False):
        accuracy = Scripted(0.2, 0.7, 0.7)
        monkeypatch.setattr(loop, "accuracy", accuracy)
        model, phase = toy.classifier(), supervised_phase(recipe(validate_every=2))
        history = train(model, replace(lesson, keep_best=keep_best), phase, tmp_path / str(keep_best))
        kept = accuracy.seen[1 if keep_best else 2]
        assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
        assert kept_row(history, keep_best=keep_best)["iteration"] == (4 if keep_best else 6)
    with pytest.raises(ConfigError, match="no validation image is held out"):
        replace(lesson, validation=None, keep_best=True)


def rising_and_flat(model, _images):
    """An accuracy by the steps that the model has been trained for: a resumed training finds the same one."""
    best = (0.1, 0.3, 0.3, 0.2, 0.3, 0.5, 0.4, 0.4, 0.3, 0.6)
    steps = int(model.body.bn1.num_batches_tracked)
    return best[steps - 1] if steps <= len(best) else 0.6


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamax"])
@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_a_training_interrupted_on_a_plateau_ends_as_an_undisturbed_one(
    lesson, tmp_path, monkeypatch, optimiser, seconds
):
    monkeypatch.setattr(loop, "accuracy", rising_and_flat)
    settings = {"schedule": "plateau", "plateau_patience": 1, "decay": 0.5, "patience": 5, "validate_every": 1}
    phase = supervised_phase(recipe(iterations=60, optimiser=optimiser, clip=2.0, **settings))
    chooses, calm = replace(lesson, keep_best=True), toy.classifier()
    expected = train(calm, chooses, phase, tmp_path / "calm")
    assert len(expected) == 15  # five validations after the best one
    assert expected[-1]["learning_rate"] == pytest.approx(0.01 / 2**4)
    for stop in (1, 4, 12, 14):
        folder = tmp_path / f"hurt{stop}"
        with pytest.raises(Stop):
            train(toy.classifier(), chooses, phase, folder, seconds=seconds, stop=stop)
        resumed = toy.classifier()
        torch.manual_seed(stop)
        assert train(resumed, chooses, phase, folder, seconds=seconds) == expected
        assert same(resumed, calm)


def test_a_training_killed_after_its_early_end_makes_no_further_step(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "accuracy", lambda _model, _images: 0.5)
    phase = supervised_phase(recipe(iterations=60, patience=2, validate_every=1))
    once, again = toy.classifier(), toy.classifier()
    expected = train(once, lesson, phase, tmp_path)
    assert len(expected) == 3
    assert train(again, lesson, phase, tmp_path, stop=3) == expected
    assert same(once, again)


# second steps, gates, and stages in several passes


def brightness(step):
    """A term that looks at the first stage."""
    return step.stages[0].square().mean()


def darker(step):
    """A second batch that depends on the first step's stages."""
    share = step.stages[0].detach().float().mean(dim=(1, 2, 3))[:, None, None, None].sigmoid()
    return Batch(step.images * share, step.labels)


def two_steps(training, *, threshold=None, passes=1):
    terms = (*supervised_terms(training), Term("brightness", brightness, weight=2.0, needs_stages=True))
    gate = Gate("brightness", threshold, ("body.conv1", "body.layer1")) if threshold else None
    return Phase("two", training, terms, passes=passes, gate=gate, second=Second(darker, supervised_terms(training)))


def heard(model, images):
    """The first stage's output and the logits, by a hook of our own."""
    kept = []
    handle = model.body.layer1.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    logits = model(images)
    handle.remove()
    return kept[0], logits


def test_a_second_step_is_made_by_the_same_optimiser_on_what_the_first_left(data, tmp_path):
    still = Lesson(toy.opened(data).split("train"), None, toy.STILL)
    training = recipe(iterations=3, batch_size=24, optimiser="adam", clip=1.0, validate_every=1)
    model = toy.classifier()
    oracle = copy.deepcopy(model).train()
    history = train(model, still, two_steps(training), tmp_path)
    images = torch.from_numpy(still.train.batch(np.arange(24))).permute(0, 3, 1, 2) / 255
    labels = torch.from_numpy(still.train.labels)
    optimiser = torch.optim.Adam(oracle.parameters(), lr=0.01)
    seconds = []
    for _ in range(3):
        stage, logits = heard(oracle, images)
        optimiser.zero_grad()
        (nn.functional.cross_entropy(logits, labels) + 2 * stage.square().mean()).backward()
        nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        optimiser.step()
        again = images * stage.detach().mean(dim=(1, 2, 3))[:, None, None, None].sigmoid()
        moved = {name: value.clone() for name, value in oracle.named_buffers()}
        loss = nn.functional.cross_entropy(oracle(again), labels)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(oracle.parameters(), 1.0)
        optimiser.step()
        toy.put_back(oracle, moved)
        seconds.append(loss.item())
    assert [row["second_loss_cross_entropy"] for row in history] == pytest.approx(seconds, rel=1e-3)
    for key, value in oracle.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value, atol=1e-3), key


def test_a_gate_holds_every_weight_it_does_not_name_bit_for_bit(lesson, tmp_path):
    model = toy.classifier()
    start = state_copy(model)
    training = recipe(optimiser="adam", weight_decay=0.1)
    (row, *_) = train(model, lesson, two_steps(training, threshold=1e-6), tmp_path)[-1:]
    weights = dict(model.named_parameters())
    moved = {name for name in weights if not torch.equal(weights[name], start[name])}
    assert moved == {name for name in weights if name.startswith(("body.conv1.", "body.layer1."))}
    assert row["gated_steps"] == 1  # of the one iteration since the row before
    assert row["second_loss_cross_entropy"] is None


@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_an_interrupted_training_of_two_steps_and_a_gate_ends_as_an_undisturbed_one(lesson, tmp_path, seconds):
    training = recipe(iterations=16, optimiser="adam", learning_rate=0.03, validate_every=8)
    trial = train(toy.classifier(), lesson, two_steps(recipe(iterations=1)), tmp_path / "trial")
    phase = two_steps(training, threshold=0.9 * trial[0]["loss_brightness"] / 2)  # without its weight
    calm = toy.classifier()
    expected = train(calm, lesson, phase, tmp_path / "calm")
    assert 0 < sum(row["gated_steps"] for row in expected) < 16  # held, then open; else this asks little
    for stop in (0, 5, 10, 15):
        folder = tmp_path / f"hurt{stop}"
        with pytest.raises(Stop):
            train(toy.classifier(), lesson, phase, folder, seconds=seconds, stop=stop)
        resumed = toy.classifier()
        assert train(resumed, lesson, phase, folder, seconds=seconds) == expected
        assert same(resumed, calm)
    assert history_table(expected)["gated_steps"].to_pylist() == [row["gated_steps"] for row in expected]


def test_a_term_sees_the_stages_of_every_pass(lesson, tmp_path):
    model, shapes = toy.classifier(), []
    oracle = copy.deepcopy(model).train()
    seen = []

    def transform(images, labels, _rows, _generator):
        seen.append(images)
        return torch.cat([images, 1 - images]), torch.cat([labels, labels])

    phase = replace(two_steps(recipe(iterations=1), passes=2), second=None)
    hook = model.body.layer1.register_forward_hook(lambda module, _, out: shapes.append((module.training, len(out))))
    history = train(model, replace(lesson, transform=transform), phase, tmp_path)
    hook.remove()
    assert [size for training, size in shapes if training] == [8, 8]
    with torch.no_grad():  # each pass with batch statistics of its own
        parts = [heard(oracle, part)[0] for part in (seen[0], 1 - seen[0])]
    assert history[0]["loss_brightness"] == pytest.approx(2 * torch.cat(parts).square().mean().item(), rel=1e-4)


def test_means_of_second_steps_are_over_those_that_were_made():
    meter = Meter(["a"], phase="p", second=["b-c"], gated=True)
    for place, second in enumerate((None, 3.0, None, 5.0)):
        after = None if second is None else torch.tensor([second])
        meter.add(place, 0.1, torch.tensor([2.0]), torch.tensor(1.0), second=after, gated=second is None)
    row = meter.row()
    assert row == {"loss": 2.0, "loss_a": 2.0, "second_loss_b_c": 4.0, "train_accuracy": 1.0, "gated_steps": 2}


def test_a_training_without_them_has_no_column_of_second_steps_or_gates(lesson, tmp_path):
    (row, *_) = train(toy.classifier(), lesson, supervised_phase(recipe(iterations=1)), tmp_path)
    columns = ["phase", "iteration", "learning_rate", "loss", "loss_cross_entropy", "train_accuracy", CLEAN]
    assert list(row) == columns
