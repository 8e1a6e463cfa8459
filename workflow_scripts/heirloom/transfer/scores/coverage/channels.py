"""On how many images the channels of each convolution are active, and the ranks that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from heirloom.models.classifier import Classifier, conv_weights
from heirloom.models.ranks import shared_ranks
from heirloom.transfer.plan import Assignment
from heirloom.transfer.walk import batches, probe


class Covered(NamedTuple):
    """On how many images each channel of a convolution is active: its inputs, int64 (C_in,), and outputs (C_out,)."""

    inputs: Tensor
    outputs: Tensor


def profile(student: Classifier, threshold: float, assignment: Assignment) -> dict[str, Covered]:
    """Count, for every convolution by its weight's parameter name, the training images that its channels are active on.

    A channel is active on an image when its mean over space exceeds `threshold`, after the whole tensor (C, H, W) was
    scaled to [0, 1] by its own minimum and maximum; a constant tensor has no active channel. Input channels are those
    of the tensor that enters the convolution, output channels those of what it puts out, before normalisation.
    """
    model = probe(student)
    with torch.no_grad(), _counting(model, threshold) as covered:
        for images, _ in batches(assignment, "coverage"):
            model(images)
    return {name: Covered(inputs.cpu(), outputs.cpu()) for name, (inputs, outputs) in covered.items()}


@contextmanager
def _counting(model: nn.Module, threshold: float) -> Iterator[dict[str, Covered]]:
    """Give the counts that each forward pass of the model raises; they alone are kept, on the model's device."""
    layers = {f"{name}.weight": layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    covered: dict[str, Covered] = {}
    handles = []
    for name, layer in layers.items():
        counts = (torch.zeros(size, dtype=torch.int64) for size in (layer.in_channels, layer.out_channels))
        covered[name] = Covered(*(count.to(layer.weight.device) for count in counts))
        handles.append(layer.register_forward_hook(_counter(covered[name], threshold)))
    try:
        yield covered
    finally:
        for handle in handles:
            handle.remove()


def _counter(covered: Covered, threshold: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    """Return a forward hook that counts the images of a batch on which a layer's channels are active."""

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        covered.inputs.add_(active(inputs[0], threshold).sum(0))
        covered.outputs.add_(active(output, threshold).sum(0))

    return count


def active(maps: Tensor, threshold: float) -> Tensor:
    """Tell which channels of maps (B, C, H, W) are active: bool (B, C)."""
    low, high = maps.amin((1, 2, 3)), maps.amax((1, 2, 3))
    span = high - low
    # The mean of the scaled map is the scaled mean, which spares a copy of every activation
    scaled = (maps.mean((2, 3)) - low[:, None]) / span.where(span > 0, 1)[:, None]
    return scaled > threshold


def coverage_scores(student: Classifier, covered: Mapping[str, Covered]) -> dict[str, Tensor]:
    """Return rank of (coverage in + coverage out) minus rank of |w|, all conv weights ranked together.

    int32, of each weight's shape, by parameter name. Equal values share the mean of their ranks, and what is returned
    is twice the difference, so that it is a whole number; it ranks the same.
    """
    weights = {name: weight.detach().cpu() for name, weight in conv_weights(student).items()}
    uses = _use_ranks(weights, covered)
    sizes = _size_ranks(weights)
    return {name: uses[name][:, :, None, None] - sizes[name] for name in weights}


def _use_ranks(weights: Mapping[str, Tensor], covered: Mapping[str, Covered]) -> dict[str, Tensor]:
    """Return the ranks of coverage in + coverage out, one per kernel (O, I): a kernel's weights have the same."""
    uses = {name: _uses(covered[name], weight.shape) for name, weight in weights.items()}
    areas = [torch.full((use.numel(),), weights[name][0, 0].numel()) for name, use in uses.items()]
    ranks = shared_ranks(torch.cat([use.flatten() for use in uses.values()]), torch.cat(areas))
    return _split(ranks, uses)


def _uses(covered: Covered, shape: torch.Size) -> Tensor:
    """Return coverage in + coverage out of each kernel (O, I); a grouped convolution's I counts within o's group."""
    filters, width = shape[:2]
    groups = len(covered.inputs) // width
    inputs = covered.inputs.view(groups, width).repeat_interleave(filters // groups, dim=0)
    return inputs + covered.outputs[:, None]


def _size_ranks(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the ranks of |w|, of each weight's shape."""
    sizes = torch.cat([weight.flatten() for weight in weights.values()]).abs()
    # The bits of floats that are not negative are integers in the same order, which sort five times as fast
    return _split(shared_ranks(sizes.view(torch.int32)), weights)


def _split(values: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut one long tensor into parts of the given shapes."""
    parts = torch.split(values, [tensor.numel() for tensor in like.values()])
    return {name: part.view(tensor.shape) for (name, tensor), part in zip(like.items(), parts, strict=True)}
