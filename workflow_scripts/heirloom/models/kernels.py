"""Convolutions that a processor's kernels compute wrongly: computed another way, and checked before they are relied on.

oneDNN's gradient of a strided 1x1 convolution first gathers the pixels that the stride keeps. For channels-last images
of fewer channels than a block (8 with AVX2, 16 with AVX-512) it gathers past the end of its buffer: the process dies,
or the gradient of the weights is wrong by more than its own size (oneDNN issue 6035; torch 2.13.0, 2.14.1 and 2.15.0
have the fault). Gathering the pixels before an unstrided convolution is the same sum, and runs another kernel.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from heirloom.runtime.errors import TrainingError

BLOCK = 16  # channels of oneDNN's largest block: one rule for every processor, so that all compute the same sums
TOLERANCE = 1e-3  # of a gradient's norm; float32 is off by 1e-6, the fault by 0.3 and more
MEND = "set ONEDNN_MAX_CPU_ISA=AVX in the environment (slower, other kernels), then run again"
_IMAGES = 8  # with fewer images or pixels than these the fault shows on fewer layers
_SIDE, _SIDE_OF_WIDE, _WIDE = 16, 8, 64  # pixels; those of layers of many channels, as in a network


def avoid_faulty_kernels(model: nn.Module) -> None:
    """Make a model's narrow strided 1x1 convolutions gather their pixels first; parameters and names stay."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and _is_faulty(module):
            module.register_forward_pre_hook(partial(_gather, module.stride))
            module.stride = (1, 1)


def _is_faulty(module: nn.Conv2d) -> bool:
    is_strided_point = module.kernel_size == (1, 1) and module.stride != (1, 1) and module.padding in ("valid", (0, 0))
    return is_strided_point and module.in_channels // module.groups < BLOCK


def _gather(stride: tuple[int, ...], _: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Keep the pixels (B, C, H, W) that a stride keeps."""
    return inputs[0][:, :, :: stride[0], :: stride[1]]


def check_gradients(model: nn.Module) -> None:
    """Compare one small gradient of each kind of convolution in a model with float64's, in both memory layouts.

    On the model's device, with the threads that are set. Takes about as long as a training step. Raises TrainingError
    for a gradient that is off by more than TOLERANCE of its norm.
    """
    for name, module in _kinds(model):
        for layout, memory_format in _LAYOUTS.items():
            off = _deviation(module, memory_format)
            if not off <= TOLERANCE:
                raise TrainingError(
                    f"this processor's gradient of {name} is off by {off:.0%} ({layout})",
                    where=f"{module}, {module.weight.device}, threads: {torch.get_num_threads()}",
                    mend=MEND,
                )


_LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def _kinds(model: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the first convolution of each kind, with its name."""
    found = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and (kind := _kind(module)) not in found:
            found.add(kind)
            yield name, module


def _kind(module: nn.Conv2d) -> tuple[object, ...]:
    shape = (module.in_channels, module.out_channels, module.kernel_size, module.groups)
    return (*shape, module.stride, module.padding, module.dilation)


def _deviation(module: nn.Conv2d, memory_format: torch.memory_format) -> float:
    """Return how far float32's gradient of the weights is from float64's, as a share of the latter's norm."""
    span = max(kernel * step for kernel, step in zip(module.kernel_size, module.dilation, strict=True))
    side = max(span, _SIDE if module.in_channels <= _WIDE else _SIDE_OF_WIDE)
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(_IMAGES, module.in_channels, side, side, generator=draws).to(module.weight.device)
    true = _gradient(module, images.double(), torch.contiguous_format)
    found = _gradient(module, images.float(), memory_format)
    return float((found.double() - true).norm() / true.norm())


def _gradient(module: nn.Conv2d, images: Tensor, memory_format: torch.memory_format) -> Tensor:
    """Return the gradient of the weights for some weighted sum of a convolution's outputs."""
    convolution = copy.deepcopy(module).to(dtype=images.dtype)  # deepcopy keeps the way the model computes it
    weight = convolution.weight.detach().contiguous(memory_format=memory_format).requires_grad_()
    convolution.weight = nn.Parameter(weight)
    outputs = convolution(images.contiguous(memory_format=memory_format))
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype, device=outputs.device)
    (gradient,) = torch.autograd.grad((outputs * weights.view_as(outputs)).sum(), convolution.weight)
    return gradient
