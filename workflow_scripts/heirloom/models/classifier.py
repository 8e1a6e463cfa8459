"""A classifier of images in [0, 1]: normalisation, body, and taps at the body's stages."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from heirloom.config.models import Body, Normalisation, Start
from heirloom.models.body import BodySpec, build_body, spec_of
from heirloom.models.kernels import avoid_faulty_kernels
from heirloom.runtime.seeds import derive_seed


class Normalise(nn.Module):
    """(image - mean) / std per channel; mean and std are saved with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) in [0, 1] to the units the body was trained in."""
        return (images - self.mean) / self.std


class Classifier(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to logits (B, classes).

    Forward hooks on the body's stages serve both `listening` (S_l, taken before the stage's dropout) and
    `stage_dropout`: the share of channels dropped after each stage in training mode, 0 by default. `copy.deepcopy`
    gives an independent classifier, hooks included.
    """

    def __init__(self, body: Body, normalisation: Normalisation, *, classes: int) -> None:
        super().__init__()
        self.description = body
        self.normalisation = normalisation
        self.normalise = Normalise(normalisation)
        self.body = build_body(body, classes=classes)
        avoid_faulty_kernels(self.body)
        self.stage_dropout = 0.0
        self._heard: list[Tensor] | None = None
        for stage in self.spec.stages:
            self.body.get_submodule(stage).register_forward_hook(self._at_stage)

    def _at_stage(self, module: nn.Module, _: object, output: Tensor) -> Tensor | None:
        if self._heard is not None:
            self._heard.append(output)
        if self.stage_dropout > 0 and module.training:
            return functional.dropout2d(output, self.stage_dropout)
        return None

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        if self._heard is not None:
            self._heard.clear()
        logits: Tensor = self.body(self.normalise(images))
        return logits

    @contextmanager
    def listening(self) -> Iterator[list[Tensor]]:
        """Give a list that each forward pass refills with the stages' outputs (B, C_l, H_l, W_l), first stage first.

        One within another hears for itself; the outer one then goes on.
        """
        outer, self._heard = self._heard, []
        try:
            yield self._heard
        finally:
            self._heard = outer

    def stages(self, images: Tensor) -> list[Tensor]:
        """Return the stages' outputs (B, C_l, H_l, W_l), first stage first."""
        with self.listening() as heard:
            self(images)
        return list(heard)

    def features(self, images: Tensor) -> Tensor:
        """Return the pooled penultimate features (B, F), before the head and its dropout."""
        heard: list[Tensor] = []

        def listen(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            heard.append(inputs[0])

        handle = self.body.get_submodule(self.spec.features).register_forward_pre_hook(listen)
        try:
            self(images)
        finally:
            handle.remove()
        return heard[0]

    @property
    def spec(self) -> BodySpec:
        """Names of the body's parts."""
        return spec_of(self.description)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer."""
        head = self.body.get_submodule(self.spec.head)
        assert isinstance(head, nn.Linear)
        return head

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.head.out_features

    def replace_head(self, classes: int, seed: int) -> None:
        """Put a fresh linear head for `classes` on the body; its weights (torch's own start) depend on `seed` alone."""
        old = self.head
        with seeded(derive_seed(seed, "head")):
            fresh = nn.Linear(old.in_features, classes)
        self.body.set_submodule(self.spec.head, fresh.to(old.weight.device))


def build_classifier(body: Body, normalisation: Normalisation, *, classes: int, seed: int) -> Classifier:
    """Build a classifier at a random start. Raises ConfigError for an unknown body or option."""
    model = Classifier(body, normalisation, classes=classes)
    randomise(model, seed)
    return model


def placed(model: Classifier, device: torch.device) -> Classifier:
    """Move a model to a device, its convolutions channels last, and return it."""
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def randomise(model: nn.Module, seed: int, start: Start = "reset") -> None:
    """Give every module its random start, batch-norm statistics included.

    reset: torch's own `reset_parameters`, the uniform Kaiming draw (a = sqrt 5). he-normal: the same,
    but convolutions by the normal draw of He et al. (ICCV 2015) over their outputs, as torchvision starts its ResNets.
    """
    with seeded(derive_seed(seed, "start")):
        for module in model.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            if start == "he-normal" and isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's CPU generator as seeded, then leave it as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def conv_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return every convolution's weight by its parameter name, in the model's order."""
    convolutions = {name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    return {name: weight for name, weight in model.named_parameters() if name.removesuffix(".weight") in convolutions}


def state_copy(model: nn.Module) -> dict[str, Tensor]:
    """Copy a model's parameters and buffers: a state_dict itself is a view that follows the model as it trains."""
    return copy.deepcopy({name: value.detach() for name, value in model.state_dict().items()})
