"""What an injection's mask holds, and what the published one did not (docs/definitions.md#b12)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from heirloom.config.kinds import Kind
from heirloom.config.models import Body, Training
from heirloom.defects.injections.clean import CleanTraining
from heirloom.models.body import BodySpec
from heirloom.models.classifier import state_copy
from heirloom.runtime.devices import compute
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.constraints import MASKS, constraint, conv_mask
from heirloom.training.loop import fit
from heirloom.training.optimiser import SGD
from heirloom.training.phases import supervised_phase
from heirloom.training.session import lesson_of
from tests.unit import toy

MANY = 2000  # steps


class Tiny(nn.Module):
    """One convolution, its batch normalisation, pool and head: a step takes little more than a millisecond."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, kernel_size=3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, images):
        return self.fc(self.norm(self.conv1(images)).relu().mean((2, 3)))


@pytest.fixture(autouse=True)
def _tiny_body(monkeypatch):
    spec = BodySpec("tests.unit.test_masks:Tiny", stages=("norm",), features="fc", head="fc")
    member = Kind.member
    monkeypatch.setattr(Kind, "member", lambda kind, name: spec if name == "tiny" else member(kind, name))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy.write_data(tmp_path_factory.mktemp("data"), side=6)


@pytest.fixture
def trained(data, tmp_path):
    """Train the tiny network under a mask; return it before and after, and which conv weights the mask lets train."""

    def train(mask: str, recipe: Training, *, ratio: float = 0.7):
        model = toy.classifier(body=Body(name="tiny"))
        with torch.no_grad():
            model.body.conv1.weight[0, 0, 0, 0] = -0.0  # its sign is a bit, too
        before, trainable = state_copy(model), conv_mask(model, ratio)["body.conv1.weight"]
        held = constraint(mask, model, ratio)
        phase = supervised_phase(recipe, hooks=(held.hook,), still=held.still)
        with compute(1, "fp32") as resources:
            checkpoint = Checkpoint(tmp_path, seconds=1e9, identity={"of": mask})
            lesson = lesson_of(toy.opened(data), toy.STILL)
            fit(model, lesson, phases=(phase,), compute=resources, seed=3, checkpoint=checkpoint)
        checkpoint.remove()
        assert held.masked == int((~trainable).sum())
        return before, model.state_dict(), trainable

    return train


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.int32) if tensor.is_floating_point() else tensor


def same(before, after, name: str) -> bool:
    return torch.equal(bits(before[name]), bits(after[name]))


HARSH = {"iterations": MANY, "batch_size": 4, "momentum": 0.9, "weight_decay": 0.1, "learning_rate": 0.01}
NORM = [f"body.norm.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]


@pytest.mark.parametrize("mask", ["conv", "conv+norm"])
def test_what_a_mask_freezes_is_bit_identical_after_thousands_of_steps(trained, mask):
    before, after, trainable = trained(mask, toy.recipe(**HARSH))
    name = "body.conv1.weight"
    assert torch.equal(bits(before[name])[~trainable], bits(after[name])[~trainable])
    assert (before[name] != after[name])[trainable].all()
    assert [same(before, after, each) for each in NORM] == [mask == "conv+norm"] * len(NORM)
    assert not same(before, after, "body.fc.weight")
    assert not same(before, after, "body.fc.bias")


@pytest.mark.parametrize(("momentum", "schedule"), [(0.0, "constant"), (0.9, "cosine")])
def test_a_masked_gradient_alone_lets_weights_decay_as_the_formula_says(trained, momentum, schedule):
    """docs/definitions.md#b12, kept as the mask conv-gradient: v <- m v + d w;  w <- w - r v, here in float64."""
    recipe = toy.recipe(**HARSH | {"momentum": momentum, "schedule": schedule, "weight_decay": 0.01})
    before, after, trainable = trained("conv-gradient", recipe)
    weight, velocity = 1.0, 0.0
    for step in range(MANY):
        rate = 0.01 * (0.5 * (1 + math.cos(math.pi * step / MANY)) if schedule == "cosine" else 1)
        velocity = momentum * velocity + 0.01 * weight
        weight -= rate * velocity
    assert weight < 0.9
    name, masked = "body.conv1.weight", ~trainable
    masked[0, 0, 0, 0] = False  # it is 0
    assert torch.allclose(after[name][masked] / before[name][masked], torch.tensor(weight), rtol=1e-4)
    assert not any(same(before, after, each) for each in NORM)


def test_without_decay_and_momentum_a_masked_gradient_freezes_and_touches_nothing_else(trained):
    plain = toy.recipe(iterations=1, momentum=0, weight_decay=0)
    before, after, trainable = trained("conv-gradient", plain)
    _, unmasked, _ = trained("conv", plain, ratio=0.0)
    name = "body.conv1.weight"
    assert torch.equal(after[name][~trainable], before[name][~trainable])
    assert torch.equal(after[name][trainable], unmasked[name][trainable])
    assert same(after, unmasked, "body.fc.weight")


def test_the_published_script_moved_its_frozen_weights_by_half_a_percent():
    """docs/definitions.md#b12: 10,000 steps at a rate of 5e-3 and a decay of 1e-4 leave 0.99487 of a weight."""
    weight = nn.Parameter(torch.linspace(0.01, 0.1, 50))
    start = weight.detach().clone()
    optimiser = SGD([([weight], 1.0)], momentum=0, weight_decay=1e-4)
    weight.grad = torch.zeros(50)
    for _ in range(10_000):
        optimiser.step(5e-3)
    ratio = weight.detach() / start
    assert ratio.mean().item() == pytest.approx((1 - 5e-3 * 1e-4) ** 10_000, abs=1e-4)
    assert ratio.min() < 0.99487 < ratio.max()  # rounding spreads them


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_that_holds_nothing_at_a_ratio_of_0_is_refused_there(mask):
    settings = {"kind": "clean", "dataset": "signs", "preparation": "small", "training": toy.recipe()}
    assert CleanTraining(**settings, mask=mask, update_ratio=0.1).mask == mask
    held = constraint(mask, toy.classifier(), 0.0)
    assert held.masked == 0
    if mask != "conv-gradient":  # the one holds nothing by definition, the other holds batch normalisation
        assert CleanTraining(**settings, mask=mask).update_ratio == 0
        assert bool(held.still) == (mask == "conv+norm")
        return
    with pytest.raises(ValueError, match="give an update_ratio above 0, or leave the mask out"):
        CleanTraining(**settings, mask=mask)
