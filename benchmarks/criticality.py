"""Criticality of every module of a CIFAR ResNet-18: what comes before a module cached, against the whole model.

`python -m benchmarks.criticality` runs three versions in one process on the same model, images and order of steps,
checks that they find the same criticalities, and prints what each took. Two recompute the whole model at every step:
one lets every weight have a gradient, the other the module's alone, as the published script does. It fails where they
differ, or where the first takes less than twice this project's time.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from heirloom.config.models import Body, Normalisation
from heirloom.config.robust import Criticality
from heirloom.models.classifier import Classifier, build_classifier, placed
from heirloom.models.replay import held
from heirloom.rift.criticality import Examples, Measurement, modules_of, shuffled
from heirloom.runtime.devices import compute

GOAL = 2.0  # times this project's time
TOLERANCE = 1e-5  # of the loss, relative where it exceeds 1
CLASSES, SIDE = 10, 32
Found = dict[str, float]


def cached(model: Classifier, examples: Examples, settings: Criticality) -> Found:
    """Measure as the pipeline does."""
    measurement = Measurement(model, examples, settings)
    return {name: measurement.of(module).loss_max for name, module in modules_of(model).items()}


def straightforward(model: Classifier, examples: Examples, settings: Criticality, *, every: bool) -> Found:
    """The same with a copy of the model for each module; `every` weight of it gets a gradient, or that module's."""
    images = examples.images.take(torch.arange(len(examples.labels), device=examples.labels.device))
    start = judged(model, images, examples.labels, settings)
    found = {}
    for name in modules_of(model):
        own = copy.deepcopy(model).requires_grad_(every)
        weight = own.body.get_submodule(name).get_parameter("weight").requires_grad_(True)
        found[name] = max(start, *risen(own, weight, images, examples.labels, settings))
    return found


def risen(model: nn.Module, weight: nn.Parameter, images: Tensor, labels: Tensor, settings: Criticality) -> list[float]:
    """Climb from a weight and return the loss after each epoch."""
    start = weight.detach().clone()
    losses = []
    for epoch in range(settings.epochs):
        for rows in shuffled(labels, epoch, settings):
            model.zero_grad()
            functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            with torch.no_grad():
                weight += settings.learning_rate * weight.grad
        with torch.no_grad():
            change = weight - start
            weight.copy_(start + change * min(1.0, float(settings.epsilon * start.norm() / change.norm())))
        losses.append(judged(model, images, labels, settings))
    return losses


@torch.no_grad()
def judged(model: nn.Module, images: Tensor, labels: Tensor, settings: Criticality) -> float:
    """Return the mean loss of all images."""
    pairs = zip(images.split(settings.batch_size), labels.split(settings.batch_size), strict=True)
    total = sum(float(functional.cross_entropy(model(some), theirs, reduction="sum")) for some, theirs in pairs)
    return total / len(labels)


def drawn(count: int, width: int, device: torch.device) -> tuple[Classifier, Examples]:
    """Draw a model, its statistics measured once, and images: what they show does not matter."""
    model = build_classifier(
        Body(name="resnet18-small", options={"width": width}), Normalisation(), classes=CLASSES, seed=0
    )
    placed(model, device)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((count, 3, SIDE, SIDE), generator=generator).to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (count,), generator=generator).to(device)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    return model.eval(), Examples(held(images), labels)


class Taken(NamedTuple):
    """Seconds by the clock, and of all CPU threads together, which other load on the machine lengthens less."""

    wall: float
    processor: float


def timed(action: Callable[[], Found]) -> tuple[Taken, Found]:
    """Run a version once and return what it took, and what it found."""
    begun = time.perf_counter(), time.process_time()
    found = action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Taken(time.perf_counter() - begun[0], time.process_time() - begun[1]), found


def same(one: Found, other: Found) -> bool:
    """Tell whether two versions found the same losses."""
    return one.keys() == other.keys() and all(
        abs(one[name] - other[name]) <= TOLERANCE * max(1.0, one[name]) for name in one
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where the versions differ or the goal is missed."""
    parser = argparse.ArgumentParser(description="Criticality with a cache and with the whole model at every step")
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage; 64 is the paper's network")
    parser.add_argument("--images", type=int, default=64, help="adversarial examples")
    parser.add_argument("--batch-size", type=int, default=64, help="images a step")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of ascent")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    given = parser.parse_args(arguments)
    settings = Criticality(epochs=given.epochs, batch_size=given.batch_size)
    with compute(given.threads, "fp32") as resources:
        model, examples = drawn(given.images, given.width, resources.device)
        cached(model, examples, settings.model_copy(update={"epochs": 1}))  # the first use of each kernel is slower
        ours, mine = timed(lambda: cached(model, examples, settings))
        module, published = timed(lambda: straightforward(model, examples, settings, every=False))
        every, plain = timed(lambda: straightforward(model, examples, settings, every=True))
    steps = -(-given.images // given.batch_size)
    print(f"ResNet-18 of width {given.width}, {len(mine)} modules, {given.images} images of {SIDE} pixels,")
    print(f"{given.epochs} epochs of {steps} steps, {resources.device}, {given.threads} threads\n")
    print(f"{'':<58}{'wall':>10}{'':>10}{'CPU':>10}")
    rows = [
        ("what comes before the module cached", ours),
        ("whole model, gradient of the module alone (as published)", module),
        ("whole model, every gradient", every),
    ]
    for name, taken in rows:
        shares = (taken.wall / ours.wall, taken.processor / ours.processor)
        print(f"{name:<58}{taken.wall:>8.1f} s{shares[0]:>8.2f} x{taken.processor:>9.1f} s{shares[1]:>8.2f} x")
    equal = same(mine, published) and same(mine, plain)
    print("\nall found the same criticalities" if equal else "\nthe criticalities DIFFER")
    return 0 if equal and every.wall >= GOAL * ours.wall else 1


if __name__ == "__main__":
    sys.exit(main())
