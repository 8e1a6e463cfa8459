"""Robust criticality: how much the adversarial loss can rise when one module's weights move a little.

For a module with weights w: the maximum, over changes of w by at most eps ||w|| (Frobenius), of the loss on adversarial
examples that were crafted once, minus their loss before. It is searched for by gradient ascent with a projection after
each epoch. Source: Zhu et al., ICCV 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from heirloom.attacks.draws import uniform
from heirloom.attacks.inner import perturbed
from heirloom.attacks.pgd import attacking
from heirloom.config.robust import Criticality
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.models.replay import Forward, Held, Recording, whole
from heirloom.runtime.errors import TrainingError
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed

STEM, HEAD = "stem", "head"
# Bytes of activations held at a time. A constant and no share of the memory at hand: where the pass is cut may show in
# the last bits of the results.
BUDGET = 4 << 30


class Module(NamedTuple):
    """A module whose criticality is measured: its name below the body, "conv" or "linear", and where it stands."""

    name: str
    kind: str
    stage: str
    weight: nn.Parameter


class Standing(NamedTuple):
    """How a model stands on the adversarial examples: their mean cross-entropy, and the share it gets right."""

    loss: float
    robust_accuracy: float


class Criticalness(NamedTuple):
    """What was found of a module; `epoch`: where the loss was largest, 0 where it never exceeded the start's."""

    module: str
    kind: str
    stage: str
    parameters: int
    loss_start: float
    loss_max: float
    criticality: float
    robust_accuracy_start: float
    robust_accuracy_worst: float
    epoch: int


def modules_of(model: Classifier) -> dict[str, Module]:
    """Return every convolution and linear layer by its name below the body, in the model's order."""
    kinds = {nn.Conv2d: "conv", nn.Linear: "linear"}
    found = {}
    for name, module in model.body.named_modules():
        kind = next((kind for of, kind in kinds.items() if isinstance(module, of)), None)
        if kind is not None:
            found[name] = Module(name, kind, "", module.get_parameter("weight"))
    stages = _stages(list(found), model)
    return {name: module._replace(stage=stages[name]) for name, module in found.items()}


def _stages(names: list[str], model: Classifier) -> dict[str, str]:
    """Say where each module stands: in a stage, or in the one that follows; "stem" before the first, "head" at the end.

    A stage that consists of several blocks is named by its last (as in MobileNetV2).
    """
    found: dict[str, str] = {}
    following = HEAD
    for name in reversed(names):
        own = [stage for stage in model.spec.stages if _inside(name, stage)]
        following = own[0] if own else following
        found[name] = HEAD if name == model.spec.head else following
    stem = takewhile(lambda name: not _inside(name, model.spec.stages[0]), names)
    return found | dict.fromkeys(stem, STEM)


def _inside(name: str, stage: str) -> bool:
    return f"{name}.".startswith(f"{stage}.")


@dataclass(frozen=True, eq=False)
class Examples:
    """Adversarial examples (N, 3, H, W), crafted once for all modules, and their labels (N,), on the model's device."""

    images: Held
    labels: Tensor


def chosen_images(part: Part, settings: Criticality) -> Part:
    """Choose the images by the seed, in the part's order; a smaller choice is part of a larger."""
    order = np.random.default_rng(derive_seed(settings.seed, "criticality", "images")).permutation(len(part))
    return part.take(np.sort(order[: settings.images]))


def adversarial_examples(model: Classifier, images: Images, settings: Criticality) -> Examples:
    """Attack every image of a part once, from a random start that depends on the seed and the image's row alone.

    The model lies on the images' device and is left as it is.
    """
    found: Held | None = None
    truth = images.part.labels
    with Progress(len(truth), "crafting examples", "images") as progress:
        for first in range(0, len(truth), settings.batch_size):
            rows = np.arange(first, min(first + settings.batch_size, len(truth)))
            stored, labels = images.batch(rows)
            shown = centre(stored, images.part.crop)
            draw = uniform(shown, rows, settings.seed, "criticality")
            attacked = perturbed(model, shown, labels, settings.attack, draw=draw)
            found = Held(len(truth), attacked) if found is None else found
            found.put(first, attacked)
            progress.advance(len(rows))
    assert found is not None  # a part holds an image
    return Examples(found, torch.from_numpy(truth).to(images.device))


class Measurement:
    """Measures modules one by one; the model, on the examples' device, is left as it was, bit for bit.

    Eval mode, float32; only the measured module's weight moves and has a gradient. What comes before it is computed
    once and held in at most `budget` bytes (`replay.Recording.replay`), or, with `exact`, at every step; both give the
    same but for rounding.
    """

    def __init__(
        self,
        model: Classifier,
        examples: Examples,
        settings: Criticality,
        *,
        exact: bool = False,
        budget: int = BUDGET,
    ) -> None:
        self._model = model
        self._examples = examples
        self._settings = settings
        self._budget = budget
        self._recording = None if exact else Recording(model, examples.images)
        with attacking(model):
            batches = shuffled(examples.labels, 0, settings)
            self.start, _ = judged(whole(model, examples.images), examples.labels, batches)
        if not np.isfinite(self.start.loss):
            raise TrainingError(
                "the model's loss is no finite number before any weight ascends",
                where="its adversarial examples",
                mend="train the model anew; if it was fetched, check its file, its body and its normalisation",
            )

    def of(self, module: Module) -> Criticalness:
        """Follow the ascent of a module and keep the worst of the start and the epochs' ends, the first of equals.

        Raises TrainingError where the loss becomes no finite number.
        """
        with attacking(self._model):
            points = [self.start, *ascent(module.weight, self._forward(module), self._examples.labels, self._settings)]
        if not np.isfinite([point.loss for point in points]).all():
            raise TrainingError(
                "the loss is no finite number any more as the weights ascend",
                where=f"module {module.name}",
                mend="lower criticality.learning_rate",
            )
        epoch = max(range(len(points)), key=lambda place: points[place].loss)
        return Criticalness(
            module=module.name,
            kind=module.kind,
            stage=module.stage,
            parameters=module.weight.numel(),
            loss_start=self.start.loss,
            loss_max=points[epoch].loss,
            criticality=points[epoch].loss - self.start.loss,
            robust_accuracy_start=self.start.robust_accuracy,
            robust_accuracy_worst=points[epoch].robust_accuracy,
            epoch=epoch,
        )

    def _forward(self, module: Module) -> Forward:
        """Return the pass that the module's ascent climbs."""
        images = self._examples.images
        if self._recording is None:
            return whole(self._model, images)
        return self._recording.replay(f"body.{module.name}", images, budget=self._budget)


def ascent(weight: nn.Parameter, forward: Forward, labels: Tensor, settings: Criticality) -> list[Standing]:
    """Return how the model stands after each epoch of ascent from a weight, which is put back afterwards.

    Plain steps up the mean cross-entropy of a batch, without momentum; after each epoch the weight is projected and the
    next one goes on from there. The order of the images is the same for every module.
    """
    start = weight.detach().clone()
    weight.requires_grad_(True)
    found = []
    batches, first = shuffled(labels, 0, settings), None
    try:
        for epoch in range(settings.epochs):
            for rows in batches:
                loss = first if first is not None else functional.cross_entropy(forward(rows), labels[rows])
                (gradient,) = torch.autograd.grad(loss, weight)
                first = None
                with torch.no_grad():
                    weight.add_(gradient, alpha=settings.learning_rate)
            with torch.no_grad():
                weight.copy_(projected(weight, start, settings.epsilon))
            batches = shuffled(labels, epoch + 1, settings)
            standing, first = judged(forward, labels, batches, climbing=epoch + 1 < settings.epochs)
            found.append(standing)
    finally:
        with torch.no_grad():
            weight.copy_(start)
        weight.requires_grad_(False)
    return found


def projected(weight: Tensor, start: Tensor, epsilon: float) -> Tensor:
    """Return the nearest weight within epsilon ||start|| (Frobenius) of the start."""
    change = weight - start
    radius, length = epsilon * start.norm(), change.norm()
    return weight.clone() if length <= radius else start + change * (radius / length)


def shuffled(labels: Tensor, epoch: int, settings: Criticality) -> tuple[Tensor, ...]:
    """Return the rows of each step of an epoch, drawn by the seed; the last step takes what is left."""
    generator = np.random.default_rng(derive_seed(settings.seed, "criticality", "order", epoch))
    order = torch.from_numpy(generator.permutation(len(labels))).to(labels.device)
    return torch.split(order, settings.batch_size)


def judged(
    forward: Forward, labels: Tensor, batches: Sequence[Tensor], *, climbing: bool = False
) -> tuple[Standing, Tensor | None]:
    """Judge all examples once, batch by batch.

    `climbing`: the batches are the next epoch's. The weights are then those that its first step climbs from, so one
    pass serves both: that batch's mean loss is returned with its graph.
    """
    loss, right = torch.zeros((), dtype=torch.float64, device=labels.device), 0
    first: Tensor | None = None
    for number, rows in enumerate(batches):
        with torch.set_grad_enabled(climbing and number == 0):
            logits, truth = forward(rows), labels[rows]
            mean = functional.cross_entropy(logits, truth)
        first = mean if climbing and number == 0 else first
        loss += mean.detach().double() * len(rows)
        right += int((logits.argmax(dim=1) == truth).sum())
    return Standing(float(loss) / len(labels), right / len(labels)), first
