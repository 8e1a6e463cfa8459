"""The attack inside a training, a selection or a criticality: projected gradient descent from one start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from heirloom.attacks.pgd import LInf, ascend, attacking
from heirloom.config.robust_training import InnerAttack

# Logits (B, K) float32 of attacked images and their labels (B,) to what the attack makes large, a value an image (B,).
ImageLoss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each image (B,), as Madry et al. (ICLR 2018) attack it."""
    return functional.cross_entropy(logits, labels, reduction="none")


def perturbed(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: InnerAttack,
    *,
    draw: Tensor,
    objective: ImageLoss = cross_entropy,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Tensor:
    """Return attacked images (B, 3, H, W), in [0, 1] and within epsilon of `images`, which are float32 in [0, 1].

    `labels` (B,) are what `objective` is given beside the logits. `draw` (B, 3, H, W), uniform in [0, 1), is the random
    start, where the attack has one. The model acts in eval mode: its batch statistics neither serve the attack nor move
    (Pang et al., ICLR 2021). Its modes, flags and gradients are left as they are. It computes in float32, whatever
    surrounds the call, unless a training hands over the `autocast` of its own precision; what judges a model never
    does.
    """
    geometry = LInf(epsilon=attack.epsilon, step=attack.step, clip=(0.0, 1.0))

    def of_points(points: Tensor) -> Tensor:
        with autocast():
            logits = model(points)
        return objective(logits.float(), labels)

    start = geometry.start(draw) if attack.random_start else None
    with attacking(model):
        change = ascend(of_points, images, geometry, steps=attack.steps, change=start)
    with torch.no_grad():
        return (images + change).clamp(0, 1)
