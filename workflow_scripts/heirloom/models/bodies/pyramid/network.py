"""The feature pyramid decoder (FPD; Li et al., CVPR 2020; docs/fpd.md) around a residual network with ELU.

One body is used twice. In the first pass its features are denoised and decoded into a restored image r; in the second
it classifies r, to which the denoising term of the image itself is added.

    denoise(x) = x + s (G x) / (H W),   G_ij = sum over positions of x_i x_j,   i, j channels
    pass 1:  c2 = layer1(denoise(stem(x))), c3 = layer2(denoise(c2)), c4 = layer3(c3), c5 = layer4(c4)
             p5 = 1x1(c5), p4 = up(p5) + 1x1(c4), p3 = up(p4) + 1x1(c3), p2 = 3x3(up(p3) + 1x1(c2)),   up: bilinear
             r = three transposed convolutions of p2: 2x2 stride 2, 2x2 stride 2, 1x1
    pass 2:  z = r + s (G_x x) / (H W); the body on z, denoised after stem and layer1; pool, dropout, fc, tanh

What differs from the published code, and why:

- s is 1 / channels; published: 1. The term is cubic in x, so with s = 1 it outgrows x by the number of channels times
  the mean square, and an untrained published network overflows in evaluation at 224 pixels. With s = 1 / channels the
  term is at most the mean square of x times x (the largest eigenvalue of G is at most its trace). s is a buffer, saved
  with the weights, so that weights trained with the published one keep it (`read`).
- The pool before the head is adaptive; published: 7x7 fixed, which raises below 193 pixels. At 224 both are the same.
- r is cut to the image's sides: transposed convolutions give a multiple of 4. What is cut lies at the right and lower
  border, since position j of c2 is centred on pixel 4 j. Published code runs at multiples of 4 alone.
- ResNeXt-50 is torchvision's (grouped 3x3 convolution, 7x7 stem). The published one groups the first 1x1 convolution
  too, has a 3x3 stem of stride 1 without pool, and transposed convolutions of stride 1.
- The channels between the transposed convolutions are at most `lateral`, so that a narrow network stays narrow.
- Each pass has running statistics of its own for batch normalisation, whose scales and shifts both share. In training
  each pass is normalised by its own batch; the published network keeps one mixture of both, and so computes something
  else in evaluation than what was trained (`own_statistics: 0`).

The four parts of the paper's ablations can be left out. Front denoising is that of pass 1, back denoising that of pass
2, the image's own term included. Without restoration there is no pass 1, and so no front denoising: the body classifies
denoise(x). A head that is not bounded has no tanh.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from heirloom.models.bodies.elu_resnet.network import (
    RESNET18,
    RESNET50,
    RESNET101,
    RESNEXT50,
    EluResNet,
    Shape,
    read_own,
)
from heirloom.models.classifier import Classifier
from heirloom.models.weights import read_foreign, written_for
from heirloom.runtime.errors import ConfigError, WeightsError

Way = Literal["model", "raw", "straight-through"]

FAMILY = "fpd-"  # how the names of these bodies begin
BETWEEN = (64, 16)  # channels between the transposed convolutions, in every published network


class GramDenoising(nn.Module):
    """Adds the product of the features with their Gram matrix, scaled: x + share * (G x) / (H W).

    `share` is a buffer, 1 / channels from the start (s in the module's docstring). `straight_through`: the value stays,
    the gradient is that of the identity, as if nothing were added (BPDA; Athalye, Carlini and Wagner, ICML 2018).
    """

    share: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("share", torch.tensor(1 / channels))
        self.straight_through = False

    def forward(self, features: Tensor, onto: Tensor | None = None) -> Tensor:
        """Return features (B, C, H, W), or `onto` of that shape, plus the term of the features."""
        term = self.share * gram_product(features)
        if self.straight_through:
            term = term.detach()
        return (features if onto is None else onto) + term


def gram_product(features: Tensor) -> Tensor:
    """Return (G x) / (H W) of features (B, C, H, W), where G_ij = sum over positions of x_i x_j."""
    flat = features.flatten(2)
    gram = (flat / flat.shape[2]) @ flat.transpose(1, 2)
    product: Tensor = (gram @ flat).reshape(features.shape)
    return product


class PassNorm(nn.BatchNorm2d):
    """Batch normalisation with one scale and shift, and with running statistics of its own for pass 1.

    While `restoring` it takes and moves `restoring_mean` and `restoring_var`, else the usual ones. Its forward pass
    asks nothing of the features, so that torch.fx records it (models/replay.py), each pass with its own statistics.
    """

    restoring_mean: Tensor
    restoring_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.restoring = False
        self.register_buffer("restoring_mean", torch.zeros(channels))
        self.register_buffer("restoring_var", torch.ones(channels))

    def reset_running_stats(self) -> None:
        """Start both passes' statistics anew; torch calls it when it resets parameters, first while it builds these."""
        super().reset_running_stats()
        if "restoring_mean" in self._buffers:
            self.restoring_mean.zero_()
            self.restoring_var.fill_(1)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features (B, C, H, W), in training by the batch, else by the pass's running statistics."""
        mean, var = self.running_mean, self.running_var
        if self.restoring:
            mean, var = self.restoring_mean, self.restoring_var
        elif self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return functional.batch_norm(
            features, mean, var, self.weight, self.bias, self.training, self._share_of_batch(), self.eps
        )

    def _share_of_batch(self) -> float:
        """Return how much a batch moves running statistics; without momentum they are means over all batches."""
        if self.momentum is not None or not self.training or self.num_batches_tracked is None:
            return self.momentum or 0.0
        return 1 / (int(self.num_batches_tracked) + self.restoring)  # pass 1 comes before its batch is counted


def _with_own_statistics(module: nn.Module) -> None:
    """Put a `PassNorm` in the place of every untrained batch normalisation inside a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, PassNorm(child.num_features))
        else:
            _with_own_statistics(child)


class Decoder(nn.Module):
    """A pyramid from the last stage down to the first, and transposed convolutions from there to an image."""

    def __init__(self, channels: tuple[int, ...], *, lateral: int) -> None:
        super().__init__()
        self.lateral2, self.lateral3, self.lateral4, self.top = (
            nn.Conv2d(stage, lateral, kernel_size=1) for stage in channels
        )
        self.smooth = nn.Conv2d(lateral, lateral, kernel_size=3, padding=1)
        first, second = (min(between, lateral) for between in BETWEEN)
        self.transposed = nn.Sequential(
            nn.ConvTranspose2d(lateral, first, kernel_size=2, stride=2),
            nn.ConvTranspose2d(first, second, kernel_size=2, stride=2),
            nn.ConvTranspose2d(second, 3, kernel_size=1),
        )

    def forward(self, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor) -> Tensor:
        """Map the stages' outputs to an image (B, 3, 4 h, 4 w), c2 being (B, C, h, w)."""
        p4 = _enlarged(self.top(c5), c4) + self.lateral4(c4)
        p3 = _enlarged(p4, c3) + self.lateral3(c3)
        p2 = self.smooth(_enlarged(p3, c2) + self.lateral2(c2))
        image: Tensor = self.transposed(p2)
        return image


def _enlarged(features: Tensor, like: Tensor) -> Tensor:
    """Resize features (B, C, h, w) to another map's height and width, bilinearly."""
    return functional.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Parts:
    """The options of FPD beside the body's own.

    `lateral`: channels of the pyramid. `dropout`: percent of the pooled features. The others are switches, 0 or 1.
    Raises ConfigError for a value out of its range.
    """

    lateral: int
    front_denoising: int
    back_denoising: int
    restoration: int
    bounded: int
    own_statistics: int
    dropout: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            lowest, highest = _RANGES.get(name, (0, 1))
            if not lowest <= value <= highest:
                mend = f"choose {lowest} to {highest}"
                raise ConfigError(f"{name} cannot be {value}", where=f"body.options.{name}", mend=mend)


_RANGES = {"lateral": (1, 4096), "dropout": (0, 99)}


class FeaturePyramidDecoder(EluResNet):
    """A residual network with ELU and the parts of FPD around it; see the module's docstring.

    The restored image passes through `restored`, which is not called where there is no restoration. `bounded` may be
    changed at any time: a forward pass gives tanh of the logits while it is true, else the logits.
    """

    def __init__(self, shape: Shape, parts: Parts, *, num_classes: int, width: int) -> None:
        super().__init__(shape, num_classes=num_classes, width=width)
        front, back = parts.restoration and parts.front_denoising, parts.back_denoising
        self.bounded = bool(parts.bounded)
        if parts.restoration and parts.own_statistics:
            _with_own_statistics(self)
        self.decoder = Decoder(self.channels, lateral=parts.lateral) if parts.restoration else None
        self.restored = nn.Identity()
        self.front_stem = _denoising(width, present=front)
        self.front_layer1 = _denoising(self.channels[0], present=front)
        self.back_image = GramDenoising(3) if back else None
        self.back_stem = _denoising(width, present=back)
        self.back_layer1 = _denoising(self.channels[0], present=back)
        self.dropout = nn.Dropout(parts.dropout / 100)

    def restore(self, images: Tensor) -> Tensor:
        """Run pass 1: restore images (B, 3, H, W), as large and in the same normalised units.

        Without restoration they come back as they are.
        """
        if self.decoder is None:
            return images
        with self._restoring():
            c2 = self.layer1(self.front_stem(self.stem(images)))
            c3 = self.layer2(self.front_layer1(c2))
            c4 = self.layer3(c3)
            c5 = self.layer4(c4)
        decoded = self.decoder(c2, c3, c4, c5)
        image: Tensor = self.restored(decoded[:, :, : images.shape[2], : images.shape[3]])
        return image

    @contextmanager
    def _restoring(self) -> Iterator[None]:
        """Have batch normalisation use pass 1's statistics."""
        norms = [module for module in self.modules() if isinstance(module, PassNorm)]
        for norm in norms:
            norm.restoring = True
        try:
            yield
        finally:
            for norm in norms:
                norm.restoring = False

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to class scores (B, num_classes): in [-1, 1] if bounded, else logits."""
        hidden = self.restore(images)
        if self.back_image is not None:
            hidden = self.back_image(images, hidden)
        hidden = self.layer1(self.back_stem(self.stem(hidden)))
        hidden = self.layer4(self.layer3(self.layer2(self.back_layer1(hidden))))
        logits: Tensor = self.fc(self.dropout(self.pooled(hidden)))
        return torch.tanh(logits) if self.bounded else logits


def _denoising(channels: int, *, present: int) -> nn.Module:
    return GramDenoising(channels) if present else nn.Identity()


def resnet18(*, num_classes: int, width: int, **parts: int) -> FeaturePyramidDecoder:
    """Build FPD around a ResNet-18, which nobody published; `parts` as `Parts`, all of them."""
    return FeaturePyramidDecoder(RESNET18, Parts(**parts), num_classes=num_classes, width=width)


def resnet50(*, num_classes: int, width: int, **parts: int) -> FeaturePyramidDecoder:
    """Build FPD around a ResNet-50."""
    return FeaturePyramidDecoder(RESNET50, Parts(**parts), num_classes=num_classes, width=width)


def resnet101(*, num_classes: int, width: int, **parts: int) -> FeaturePyramidDecoder:
    """Build FPD around a ResNet-101."""
    return FeaturePyramidDecoder(RESNET101, Parts(**parts), num_classes=num_classes, width=width)


def resnext50(*, num_classes: int, width: int, **parts: int) -> FeaturePyramidDecoder:
    """Build FPD around a ResNeXt-50 32x4d."""
    return FeaturePyramidDecoder(RESNEXT50, Parts(**parts), num_classes=num_classes, width=width)


def attacked_through(model: Classifier, way: Way) -> Classifier:
    """Return what an attack takes gradients of: the model itself, or a copy that does not mask them.

    raw: a copy that gives the logits before tanh, whose gradients do not vanish. straight-through: its denoising
    moreover counts as the identity in the backward pass. A network without these parts is returned as it is.
    """
    if way == "model" or not isinstance(model.body, FeaturePyramidDecoder):
        return model
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, FeaturePyramidDecoder):
            module.bounded = False
        if isinstance(module, GramDenoising):
            module.straight_through = way == "straight-through"
    return copied


def restoration_names(body: nn.Module, *, as_published: bool) -> tuple[str, ...]:
    """Name the modules of a body that restore its image: laterals, top, smoothing and transposed convolutions.

    `as_published`: the transposed ones alone, all that the published optimiser of phase 1 was left with
    (docs/definitions.md#f2). Empty for a body without restoration.
    """
    kinds = (nn.ConvTranspose2d,) if as_published else (nn.Conv2d, nn.ConvTranspose2d)
    inside = [(name, module) for name, module in body.named_modules() if name.startswith("decoder.")]
    return tuple(name for name, module in inside if isinstance(module, kinds))


# What the published code calls the parts of this network; its groups only wrap.
_PUBLISHED = {
    "group1": "",
    "group2": "",
    "toplayer": "decoder.top",
    "latlayer1": "decoder.lateral4",
    "latlayer2": "decoder.lateral3",
    "latlayer3": "decoder.lateral2",
    "smooth3": "decoder.smooth",
    "trans_conv": "decoder.transposed",
}
_DENOISING = ("front_stem", "front_layer1", "back_image", "back_stem", "back_layer1")


def read(path: Path) -> dict[str, Tensor]:
    """Read weights of this network: those that this project wrote, or those that the published code trained.

    Published ones (repository GuanlinLee/FPD-for-Adversarial-Robustness, its resnet.py) get this network's names, the
    share 1 of their Gram terms, and their one running statistic for both passes: the network then computes what theirs
    does at 193 to 224 pixels. Below, the published code raises; an adaptive pool in place of its fixed one is assumed.
    Raises WeightsError for the published ResNeXt-50 and plain networks, which are others, for any other file, and as
    `read_foreign` does.
    """
    if written_for(path) is not None:
        return read_own(path, FAMILY)
    state = read_foreign(path)
    parts = {part for name in state for part in name.split(".")}
    if "split_transforms" in parts:
        raise WeightsError(
            "this is the published ResNeXt-50, whose weights cannot mean the same here: its stem, its grouped and its"
            " transposed convolutions are others",
            where=str(path),
            mend="train fpd-resnext50 with train_robust",
        )
    if "group1" not in parts:
        return read_own(path, FAMILY)
    if "trans_conv" not in parts:
        raise WeightsError(
            "this is a plain network of the published code: it has ReLU and none of the parts of FPD",
            where=str(path),
            mend="name the file of an enhanced network",
        )
    shares = {f"{name}.share": torch.tensor(1.0) for name in _DENOISING}
    named = {_renamed(name): value for name, value in state.items()}
    return named | shares | _for_both_passes(named)


def _for_both_passes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state's running statistics under their names in pass 1, the same tensors: who loads them copies."""
    return {
        name.replace(".running_", ".restoring_"): value
        for name, value in state.items()
        if name.endswith((".running_mean", ".running_var"))
    }


def _renamed(name: str) -> str:
    """Return this network's name of a published weight."""
    parts = (_PUBLISHED.get(part, part) for part in name.split("."))
    return ".".join(part for part in parts if part)
