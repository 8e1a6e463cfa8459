"""A model cut before one of its modules computes what the whole one computes, for every registered body."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body
from heirloom.models.replay import Held, Recording, held, whole
from tests.unit import toy

# An even number: with an odd one torch 2.13 may crash in the gradient of a narrow strided convolution
# (docs/dependencies.md).
COUNT, SIDE = 6, 32
EVERYTHING = 1 << 40
NARROW = {"wide-resnet": {"depth": 10, "width": 1}}


def pictures(count=COUNT, side=SIDE):
    """Random images, channels last as those of a batch."""
    drawn = torch.rand((count, 3, side, side), generator=torch.Generator().manual_seed(0))
    return held(drawn.contiguous(memory_format=torch.channels_last))


def network(name, **options):
    narrow = NARROW.get(name, {"width": 8} if "width" in BODIES.member(name).options else {})
    options = {**narrow, **options}
    return toy.classifier(body=Body(name=name, options=options)).eval().to(memory_format=torch.channels_last)


def layers(model):
    """Names of all convolutions and linear layers."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]


class Restless(nn.Module):
    """What a recording must not stumble over: functions outside of modules, in-place sums, sizes, a skip of a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.beside = nn.Conv2d(4, 4, 1)
        self.third = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images):
        early = self.first(images)
        hidden = functional.relu(self.norm(early), inplace=True)
        found = self.second(hidden)
        found += self.beside(hidden)  # written into after `beside`, before which it is held
        found = self.relu(found)
        found = self.third(found) + early
        return self.head(functional.avg_pool2d(found, found.shape[-1]).view(found.size(0), -1))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in BODIES.names()),
        *((name, {"pooled_side": 2}) for name in ("cifar-resnet18", "wide-resnet")),
    ],
)
def test_every_body_computes_its_own_logits_from_before_any_of_its_modules(name, options):
    model, images = network(name, **options), pictures()
    recording = Recording(model, images)
    names = layers(model)
    rows = torch.tensor([4, 0, 3])
    with torch.no_grad():
        expected = whole(model, images)(rows)
        for module in [*names[:: max(1, len(names) // 4)], names[-1]]:
            found = recording.replay(module, images, budget=EVERYTHING)(rows)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


def test_a_gradient_is_the_whole_models_before_every_module():
    model, images, rows = network("resnet8-small"), pictures(), torch.arange(COUNT)
    recording = Recording(model, images)
    model.requires_grad_(False)
    for name in layers(model):
        weight = model.get_submodule(name).weight.requires_grad_()
        forwards = whole(model, images), recording.replay(name, images, budget=EVERYTHING)
        expected, found = (torch.autograd.grad(forward(rows).square().sum(), weight)[0] for forward in forwards)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        weight.requires_grad_(False)


@pytest.mark.parametrize("module", ["first", "second", "beside", "third", "head"])
def test_operations_that_write_into_what_they_take_leave_what_is_held(module):
    model, images, rows = Restless().eval(), pictures(), torch.arange(COUNT)
    forward = Recording(model, images).replay(module, images, budget=EVERYTHING)
    with torch.no_grad():
        first, again = forward(rows), forward(rows)
        assert torch.equal(first, again)
        torch.testing.assert_close(first, whole(model, images)(rows))


def test_what_comes_before_a_module_is_computed_once():
    model, images = network("resnet18-small"), pictures()
    calls = []
    for name in layers(model):
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    recording = Recording(model, images)
    calls.clear()
    forward = recording.replay("body.layer3.1.conv2", images, budget=EVERYTHING)
    before = list(calls)
    calls.clear()
    forward(torch.arange(2))
    forward(torch.arange(3))
    names = layers(model)
    place = names.index("body.layer3.1.conv2")
    assert sorted(before) == sorted(names[:place])
    assert sorted(calls) == sorted(2 * names[place:])


def test_what_is_held_fits_the_budget_or_is_the_images_alone():
    model, images = network("resnet18-small"), pictures()
    recording, rows = Recording(model, images), torch.arange(COUNT)
    expected = whole(model, images)(rows)
    module = "body.layer4.1.conv2"
    place = recording._called(module)
    kib = COUNT * 1024
    for budget in (0, 2 * kib, 6 * kib, 8 * kib, EVERYTHING):
        cut = recording._latest(place, count=COUNT, budget=budget)
        assert cut.size * COUNT <= budget
        between = [recording._cut(later) for later in range(cut.place + 1, place + 1)]
        assert all(later is None or later.size * COUNT > budget for later in between)
        torch.testing.assert_close(recording.replay(module, images, budget=budget)(rows), expected)
    places = [recording._latest(place, count=COUNT, budget=budget).place for budget in (0, 6 * kib, EVERYTHING)]
    assert places[0] == 1
    assert places == sorted(set(places))
    assert places[2] == place
    # 64 channels at 4x4 positions in float32: the shortcut, and what the second convolution takes
    assert recording._cut(place).size == 2 * 64 * 4 * 4 * 4


def test_a_module_that_is_never_called_is_refused():
    model, images = network("resnet8-small"), pictures()
    with pytest.raises(ValueError, match=r"calls no module body\.layer9"):
        Recording(model, images).replay("body.layer9", images, budget=0)


@pytest.mark.parametrize("last", [False, True])
def test_rows_come_back_as_copies_in_their_memory_format(last):
    form = torch.channels_last if last else torch.contiguous_format
    value = torch.rand(4, 3, 2, 2).contiguous(memory_format=form)
    kept = Held(4, value)
    for first in (0, 2):
        kept.put(first, value[first : first + 2])
    rows = torch.tensor([3, 1])
    taken = kept.take(rows)
    assert torch.equal(taken, value[rows])
    assert taken.is_contiguous(memory_format=form)
    taken.zero_()
    assert torch.equal(kept.take(rows), value[rows])


def test_all_cuts_of_a_small_body_agree():
    model, images, rows = network("resnet8-small"), pictures(), torch.arange(COUNT)
    recording = Recording(model, images)
    with torch.no_grad():
        logits = [recording.replay(name, images, budget=EVERYTHING)(rows) for name in layers(model)]
        for one, other in itertools.pairwise(logits):
            torch.testing.assert_close(one, other)
