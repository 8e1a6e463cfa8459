"""Robust objectives, each against a computation of its own from its formula, and the weights that a judge keeps."""

import copy
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch.nn import functional

from heirloom.config.kinds import OBJECTIVES
from heirloom.config.robust import RobustObjective
from heirloom.config.robust_training import InnerAttack
from heirloom.evaluation.judge import JudgedRates
from heirloom.models.classifier import state_copy
from heirloom.runtime.devices import Compute, cpu_threads
from heirloom.runtime.errors import ConfigError
from heirloom.training.attacker import Attacker, Beside, InPlace, divergence, robust_plan
from heirloom.training.loop import ROBUST, Lesson, kept_row
from heirloom.training.losses import UNLABELLED, Objective, Step
from heirloom.training.objectives.awp.weights import WorstWeights
from heirloom.training.phases import StepHook, supervised_phase
from heirloom.training.schedules import schedule_of
from heirloom.training.session import lesson_of
from tests.unit import toy
from tests.unit.toy import Stop, StopAt
from tests.unit.toy import stepped as recipe
from tests.unit.toy import train_by as train

ATTACK = {"epsilon": 0.06, "step": 0.02, "steps": 3}
NAMES = ("adversarial-training", "trades", "mart", "awp", "score")
PAIRED = ("trades", "mart", "score")
CPU = Compute(device=torch.device("cpu"), threads=1, precision="fp32")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return toy.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def lesson(data) -> Lesson:
    return lesson_of(toy.opened(data), toy.STILL)


def objective(name, **settings) -> RobustObjective:
    return TypeAdapter(RobustObjective).validate_python({"kind": name, "attack": ATTACK, **settings})


def planned(name, model, training, **settings):
    described = objective(name, **settings)
    return robust_plan(described, training, Attacker(model, described.attack, CPU))


def bits(state):
    return {name: value.contiguous().view(-1).view(torch.uint8) for name, value in state.items() if value.ndim}


# formulas, in float64 and plain words


def softmax(logits):
    above = np.exp(logits - logits.max(axis=1, keepdims=True))
    return above / above.sum(axis=1, keepdims=True)


def kl(p, q):
    return (p * np.log(p / q)).sum(axis=1)


def mart_cross_entropy(p, labels):
    each = []
    for row, label in zip(p, labels, strict=True):
        rival = max(value for place, value in enumerate(row) if place != label)
        each.append(-math.log(row[label]) - math.log(1.0001 - rival))
    return np.mean(each)


def expected_terms(name, clean, attacked, labels, *, beta):
    p, q = softmax(clean), softmax(attacked)
    rows = np.arange(len(labels))
    if name == "trades":
        return [-np.log(p[rows, labels]).mean(), beta * kl(p, q).mean()]
    if name == "mart":
        return [mart_cross_entropy(q, labels), beta * (kl(p, q) * (1 - p[rows, labels])).mean()]
    one_hot = np.eye(p.shape[1])[labels]
    return [((p - one_hot) ** 2).sum(axis=1).mean(), beta * ((q - p) ** 2).sum(axis=1).mean()]


@pytest.mark.parametrize("name", PAIRED)
def test_an_objective_of_pairs_is_its_formula(name):
    random = np.random.default_rng(0)
    clean, attacked = 3 * random.standard_normal((2, 7, 4))
    labels = random.integers(0, 4, 7)
    plan = planned(name, toy.classifier(), recipe(), beta=2.5)
    logits = torch.from_numpy(np.concatenate([clean, attacked])).float().requires_grad_()
    shown = torch.cat([torch.from_numpy(labels), torch.full((7,), UNLABELLED)])
    found = Objective(plan.phase.terms)(Step(toy.classifier(), torch.empty(14, 3, 1, 1), shown, logits, []))
    assert found.tolist() == pytest.approx(expected_terms(name, clean, attacked, labels, beta=2.5), rel=1e-4)
    # the gradient reaches both halves, and is that of the formula (finite differences)
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    for half, place in ((0, (2, 1)), (1, (5, 3))):
        moved = [[clean.copy(), attacked.copy()] for _ in range(2)]
        moved[0][half][place] -= 1e-5
        moved[1][half][place] += 1e-5
        below, above = (sum(expected_terms(name, *pair, labels, beta=2.5)) for pair in moved)
        assert gradient[7 * half + place[0], place[1]].item() == pytest.approx((above - below) / 2e-5, rel=1e-2)


def test_mart_is_bounded_where_another_class_is_certain():
    plan = planned("mart", toy.classifier(), recipe())
    logits = torch.tensor([[0.0, 0, 0], [0, 200, 0]], requires_grad=True)
    found = Objective(plan.phase.terms)(
        Step(toy.classifier(), torch.empty(2, 3, 1, 1), torch.tensor([0, -100]), logits, [])
    )
    assert found[0].item() == pytest.approx(200 - math.log(1e-4), rel=1e-3)
    assert torch.autograd.grad(found.sum(), logits)[0].isfinite().all()


def test_score_spreads_smoothed_labels_over_all_classes():
    plan = planned("score", toy.classifier(), recipe(label_smoothing=0.3), beta=1.0)
    logits = torch.zeros(2, 3)
    step = Step(toy.classifier(), torch.empty(2, 3, 1, 1), torch.tensor([1, UNLABELLED]), logits, [])
    wanted = [0.1, 0.8, 0.1]
    assert Objective(plan.phase.terms)(step)[0].item() == pytest.approx(sum((1 / 3 - y) ** 2 for y in wanted))


# crafting


def crafted_by_hand(model, images, labels, draw, *, value):
    """Projected gradient ascent as the textbooks have it; `value` from the logits of both."""
    model = copy.deepcopy(model).eval()
    clean = model(images).detach()
    x = (images + (2 * draw - 1) * ATTACK["epsilon"]).clamp(0, 1)
    for _ in range(ATTACK["steps"]):
        x.requires_grad_(True)
        (gradient,) = torch.autograd.grad(value(clean, model(x), labels), x)
        x = x.detach() + ATTACK["step"] * gradient.sign()
        x = torch.max(torch.min(x, images + ATTACK["epsilon"]), images - ATTACK["epsilon"]).clamp(0, 1)
    return x


VALUES = {
    "adversarial-training": lambda _clean, moved, labels: functional.cross_entropy(moved, labels),
    "awp": lambda _clean, moved, labels: functional.cross_entropy(moved, labels),
    "mart": lambda _clean, moved, labels: functional.cross_entropy(moved, labels),
    "trades": lambda clean, moved, _labels: (
        clean.softmax(1) * (clean.softmax(1).log() - moved.softmax(1).log())
    ).sum(),
    "score": lambda clean, moved, _labels: (clean.softmax(1) - moved.softmax(1)).square().sum(),
}


@pytest.mark.parametrize("name", NAMES)
def test_images_are_attacked_by_what_the_paper_attacks_them_by(name):
    model = toy.classifier()
    model(torch.rand(8, 3, 12, 12))  # statistics that are not those of a batch
    model.train()
    images, labels = torch.rand(6, 3, 12, 12), torch.tensor([0, 1, 2, 0, 1, 2])
    before = state_copy(model)
    transform = planned(name, model, recipe()).transform
    shown, kinds = transform(images, labels, np.arange(6), torch.Generator().manual_seed(7))
    draw = torch.rand(images.shape, generator=torch.Generator().manual_seed(7))
    expected = crafted_by_hand(model, images, labels, draw, value=VALUES[name])
    attacked = shown[-6:]
    # measured: all agree; another order of sums may turn a sign
    assert ((attacked - expected).abs() < 1e-5).float().mean() >= 0.99
    assert (attacked - images).abs().max() <= ATTACK["epsilon"] + 1e-6
    if name in PAIRED:
        assert torch.equal(shown[:6], images)
        assert torch.equal(kinds, torch.cat([labels, torch.full((6,), UNLABELLED)]))
    else:
        assert torch.equal(kinds, labels)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("way", [InPlace, Beside, lambda attacker: Beside(attacker, divergence)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_crafting_follows_the_recipes_precision(way, precision):
    model, kinds = toy.classifier().train(), set()
    model.head.register_forward_hook(lambda _module, _inputs, output: kinds.add(output.dtype))
    resources = Compute(device=torch.device("cpu"), threads=1, precision=precision)
    transform = way(Attacker(model, InnerAttack(**ATTACK), resources))
    shown, _ = transform(torch.rand(4, 3, 12, 12), torch.tensor([0, 1, 2, 0]), np.arange(4), torch.Generator())
    assert kinds == {torch.bfloat16 if precision == "bf16" else torch.float32}
    assert shown.dtype == torch.float32


# whole steps


def attacked_loss(name, model, clean, attacked, labels, *, beta):
    """The objectives once more, as their authors' scripts compute them: one pass for each kind of images."""
    if name in ("adversarial-training", "awp"):
        return functional.cross_entropy(model(attacked), labels)
    p, q = model(clean).softmax(1), model(attacked).softmax(1)
    own = functional.one_hot(labels, 3).bool()
    if name == "trades":
        return functional.nll_loss(p.log(), labels) + beta * functional.kl_div(q.log(), p, reduction="batchmean")
    if name == "mart":
        boosted = -(q[own].log() + (1.0001 - q.masked_fill(own, 0).max(1).values).log()).mean()
        weighted = functional.kl_div(q.log(), p, reduction="none").sum(1) * (1 - p[own])
        return boosted + beta * weighted.mean()
    return (p - own.float()).square().sum(1).mean() + beta * (p - q).square().sum(1).mean()


def worst_nearby(model, loss, gamma):
    """Perturb a copy as the paper's equations say, and return it; its statistics are the model's."""
    proxy = copy.deepcopy(model)
    gradients = torch.autograd.grad(loss(proxy), list(proxy.parameters()))
    proxy.load_state_dict(model.state_dict())
    with torch.no_grad():
        for weight, gradient in zip(proxy.parameters(), gradients, strict=True):
            if weight.ndim > 1:
                weight += gamma * weight.norm() * gradient / gradient.norm()
    return proxy


@pytest.fixture
def one_thread():
    """Sums in one order: a change by the gradient's sign, and a perturbed weight, tell the last bits apart."""
    with cpu_threads(1):
        yield


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", NAMES)
def test_training_makes_the_steps_of_the_formula(data, tmp_path, name):
    lesson = Lesson(toy.opened(data).split("train"), None, toy.STILL)
    settings = {} if name == "adversarial-training" else {"gamma": 0.05} if name == "awp" else {"beta": 2.0}
    training = recipe(iterations=3, batch_size=24, learning_rate=0.1, milestones=(0.67,), decay=0.2)
    model = toy.classifier()
    plan, oracle, shown = planned(name, model, training, **settings), copy.deepcopy(model).train(), []

    def seen(*arguments):
        images, labels = plan.transform(*arguments)
        shown.append((arguments[0].clone(), images[-24:].clone(), arguments[1]))
        return images, labels

    history = train(model, lesson, plan._replace(transform=seen), tmp_path)
    velocities, losses = [0.0] * len(list(oracle.parameters())), []
    for iteration, (clean, attacked, labels) in enumerate(shown):

        def loss(net, clean=clean, attacked=attacked, labels=labels):
            return attacked_loss(name, net, clean, attacked, labels, beta=2.0)

        at = worst_nearby(oracle, loss, 0.05) if name == "awp" else oracle
        found = loss(at)
        losses.append(found.item())
        gradients = torch.autograd.grad(found, list(at.parameters()))
        with torch.no_grad():
            for place, (weight, gradient) in enumerate(zip(oracle.parameters(), gradients, strict=True)):
                velocities[place] = 0.9 * velocities[place] + gradient + 1e-3 * weight
                weight -= (0.1 if iteration < 2 else 0.02) * velocities[place]
        oracle.load_state_dict({**oracle.state_dict(), **dict(at.named_buffers())})
    assert [row["loss"] for row in history] == pytest.approx(losses, rel=1e-4)
    assert [row["learning_rate"] for row in history] == pytest.approx([0.1, 0.1, 0.02])
    for key, value in oracle.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value, atol=1e-4), key


def test_weights_are_perturbed_by_gamma_and_put_back_to_the_bit(lesson, tmp_path):
    model, seen = toy.classifier(), []
    with torch.no_grad():
        model.body.conv1.weight[0, 0, 0, 0] = -0.0  # its sign is a bit, too
    training = recipe(iterations=4, weight_decay=0.1)
    plan = planned("awp", model, training, gamma=0.02, start=0.5)

    class Before(StepHook):
        def before_gradient(self, model, iteration, loss):
            seen.append([state_copy(model)])

    class After(StepHook):
        def before_gradient(self, model, iteration, loss):
            seen[-1].append(state_copy(model))

        def before_step(self, model, iteration):
            seen[-1].append(state_copy(model))

    around = replace(plan.phase, hooks=(Before(), *plan.phase.hooks, After()))
    train(model, lesson, plan._replace(phase=around), tmp_path)
    assert len(seen) == 4
    for iteration, (before, perturbed, after) in enumerate(seen):
        weights = {name for name, _ in model.named_parameters()}
        assert all(torch.equal(bits(before)[name], bits(after)[name]) for name in weights if before[name].ndim)
        moved = {name for name in before if not torch.equal(before[name], perturbed[name])}
        assert moved == ({name for name in weights if before[name].ndim > 1} if iteration >= 2 else set())
        for name in moved:
            assert (perturbed[name] - before[name]).norm().item() == pytest.approx(
                0.02 * before[name].norm().item(), rel=1e-3
            )


def test_the_perturbed_weights_are_worse_than_random_ones_of_the_same_size(data):
    """The search goes up the loss: its sign is right."""
    model = toy.classifier().train()
    part = toy.opened(data).split("train")
    images, labels = torch.from_numpy(part.batch(np.arange(24))).permute(0, 3, 1, 2) / 255, torch.tensor(part.labels)
    with torch.no_grad():
        start = functional.cross_entropy(model(images), labels).item()
    hook = WorstWeights(gamma=0.02, first=0)
    hook.before_gradient(model, 0, lambda: functional.cross_entropy(model(images), labels))
    with torch.no_grad():
        assert functional.cross_entropy(model(images), labels).item() > start + 1e-3
    hook.before_step(model, 0)
    with torch.no_grad():
        assert functional.cross_entropy(model(images), labels).item() == start


def test_a_phase_of_two_passes_gives_each_half_its_own_batch_statistics(lesson, tmp_path):
    model, means = toy.classifier(), []
    hook = model.body.bn1.register_forward_pre_hook(
        lambda module, inputs: means.append((module.training, len(inputs[0])))
    )
    train(model, lesson, planned("trades", model, recipe(iterations=1)), tmp_path)
    hook.remove()
    assert [size for training, size in means if training] == [8, 8]


def test_robust_training_withstands_what_plain_training_does_not(lesson, tmp_path):
    training = recipe(iterations=60, batch_size=16)
    images = torch.from_numpy(lesson.validation.batch(np.arange(6))).permute(0, 3, 1, 2) / 255
    labels = torch.tensor(lesson.validation.labels)
    attack = Attacker(toy.classifier(), InnerAttack(epsilon=0.15, step=0.05, steps=6), CPU)
    losses = {}
    for name in ("plain", "adversarial-training", "trades"):
        model = toy.classifier()
        plan = planned(name, model, training, attack=attack.attack.model_dump()) if name != "plain" else None
        still = SimpleNamespace(transform=None, phase=supervised_phase(training))
        train(model, lesson, plan or still, tmp_path / name)
        attacked = replace(attack, model=model).attacked(images, labels, torch.Generator().manual_seed(0))
        with torch.no_grad():
            losses[name] = functional.cross_entropy(model(attacked), labels).item()
    # measured: 0.0001 and 0.53 against 1.89
    assert losses["adversarial-training"] < 0.5 * losses["plain"]
    assert losses["trades"] < 0.5 * losses["plain"]


def test_label_smoothing_is_refused_where_nobody_defined_it():
    with pytest.raises(ConfigError, match="mart has no label smoothing"):
        planned("mart", toy.classifier(), recipe(label_smoothing=0.1))


def test_every_objective_has_its_settings_and_its_plan_and_needs_no_torch_to_be_read():
    kinds = get_args(get_args(OBJECTIVES.settings())[0])
    assert [get_args(kind.model_fields["kind"].annotation)[0] for kind in kinds] == list(OBJECTIVES.names())
    assert set(OBJECTIVES.names()) >= {*NAMES, "cross-entropy", "fpd"}
    assert all(callable(OBJECTIVES.load(name).plan) for name in OBJECTIVES.names())
    code = "import sys, heirloom.config.robust; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("milestones", "expected"),
    [
        (
            (100 / 110, 105 / 110),
            {0: 1, 299: 1, 300: 0.1, 314: 0.1, 315: 0.01, 329: 0.01},
        ),  # RiFT's
        ((0.5,), {0: 1, 164: 1, 165: 0.1, 329: 0.1}),
        ((), {0: 1, 329: 1}),
    ],
)
def test_the_rate_falls_at_each_milestone(milestones, expected):
    factor = schedule_of(recipe(iterations=330, milestones=milestones))
    assert [factor(iteration, 330) for iteration in expected] == pytest.approx(list(expected.values()))


# the weights that are kept


class Scripted:
    """A judge that says what it is told and remembers what it saw."""

    def __init__(self, *rates):
        self.rates = rates
        self.seen = []

    def __call__(self, model, images):
        self.seen.append(state_copy(model))
        return JudgedRates(accuracy=0.5, robust_accuracy=self.rates[len(self.seen) - 1])


def judged(lesson, judge, folder, *, training, **options):
    model = toy.classifier()
    plan = SimpleNamespace(transform=None, phase=supervised_phase(training))
    return model, train(model, replace(lesson, judge=judge), plan, folder, **options)


@pytest.mark.parametrize(
    ("rates", "kept"), [((0.1, 0.4, 0.3), 1), ((0.4, 0.1, 0.4), 0), ((0.1, 0.2, 0.3), 2), ((0.0, 0.0, 0.0), 0)]
)
def test_the_best_robust_validation_is_kept_the_earlier_of_two(lesson, tmp_path, rates, kept):
    judge = Scripted(*rates)
    model, history = judged(lesson, judge, tmp_path, training=recipe(validate_every=2))
    assert [row[ROBUST] for row in history] == list(rates)
    assert kept_row(history)["iteration"] == 2 * (kept + 1)
    assert all(torch.equal(value, judge.seen[kept][name]) for name, value in model.state_dict().items())
    others = [state for place, state in enumerate(judge.seen) if place != kept]
    assert all(not torch.equal(state["body.conv1.weight"], model.body.conv1.weight) for state in others)
    assert not model.training


def test_rows_between_validations_have_no_robust_accuracy(lesson, tmp_path):
    _, history = judged(lesson, Scripted(0.7), tmp_path, training=recipe(iterations=40))
    assert len(history) == 20
    assert [row[ROBUST] for row in history] == [None] * 19 + [0.7]
    assert [row["validation_accuracy"] for row in history] == [None] * 19 + [0.5]


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
@pytest.mark.parametrize("seconds", [1e-9, 1e9])
def test_an_interrupted_judged_training_keeps_what_an_undisturbed_one_keeps(lesson, tmp_path, stop, seconds):
    rates = (0.2, 0.9, 0.5)
    training = recipe(validate_every=2)
    calm, expected = judged(lesson, Scripted(*rates), tmp_path / "calm", training=training)
    with pytest.raises(Stop):
        judged(lesson, Scripted(*rates), tmp_path / "hurt", training=training, seconds=seconds, hooks=(StopAt(stop),))
    done = stop // 2 if seconds < 1 else 0  # validations that the checkpoint knows
    resumed, found = judged(lesson, Scripted(*rates[done:]), tmp_path / "hurt", training=training, hooks=(StopAt(99),))
    assert found == expected
    assert kept_row(found)["iteration"] == 4
    assert all(torch.equal(value, calm.state_dict()[name]) for name, value in resumed.state_dict().items())


def test_a_training_without_a_judge_says_nothing_of_robustness_and_keeps_the_last_weights(lesson, tmp_path):
    last = {}

    class Look(StepHook):
        def after_step(self, model, iteration):
            last.update(state_copy(model))

    model, history = judged(lesson, None, tmp_path, training=recipe(validate_every=2), hooks=(Look(),))
    assert all(ROBUST not in row for row in history)
    assert kept_row(history) is history[-1]
    assert all(torch.equal(value, last[name]) for name, value in model.state_dict().items())


def test_a_judge_without_validation_images_is_refused(lesson):
    with pytest.raises(ConfigError, match="no validation image is held out"):
        replace(lesson, validation=None, judge=Scripted())


def test_a_training_that_nobody_judges_depends_on_no_attacks_code():
    code = "import sys, heirloom.stages.pretrain_teacher; sys.exit(any('.attacks' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_checkpoints_of_a_judged_training_hold_plain_tensors(lesson, tmp_path):
    judged(lesson, Scripted(0.3, 0.2, 0.1), tmp_path, training=recipe(validate_every=2))
    (path,) = tmp_path.glob(".*")
    content = torch.load(path, weights_only=True)["content"]
    assert content["best"].keys() == content["model"].keys()
    assert not torch.equal(content["best"]["body.conv1.weight"], content["model"]["body.conv1.weight"])
    json.dumps(content["history"])
