"""Weights as VGGFace2's network has them, a pickle as its file is written, and the network as plain formulas."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

MEAN = (91.4953, 103.8827, 131.0912)  # B, G, R, of values from 0 to 255 (docs/methods.md#vggface2s-network)
STAGES = ((1, 64, 3), (2, 128, 4), (3, 256, 6), (4, 512, 3))  # number, channels within a block of width 64, blocks

Arrays = Mapping[str, NDArray[np.float32]]


def arrays_of(*, width: int = 64, classes: int = 8631, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Draw weights under the file's names; sizes of signals stay about the same from layer to layer."""
    random = np.random.default_rng(seed)
    found: dict[str, NDArray[np.float32]] = {}

    def convolution(name: str, norm: str, shape: tuple[int, ...], scale: float = 1.0) -> None:
        spread = scale * np.sqrt(2 / np.prod(shape[1:]))
        found[f"{name}.weight"] = random.normal(0, spread, shape).astype(np.float32)
        values = {"weight": (0.8, 1.2), "bias": (-0.3, 0.3), "running_mean": (-0.2, 0.2), "running_var": (0.6, 1.6)}
        for part, limits in values.items():
            found[f"{norm}.{part}"] = random.uniform(*limits, shape[0]).astype(np.float32)

    convolution("conv1", "bn1", (64, 3, 7, 7), scale=1 / 60)  # its images have values of about 60
    channels = 64
    for stage, full, blocks in STAGES:
        inner, out = full * width // 64, 4 * full
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", f"{name}.bn1", (inner, channels, 1, 1))
            convolution(f"{name}.conv2", f"{name}.bn2", (inner, inner, 3, 3))
            convolution(f"{name}.conv3", f"{name}.bn3", (out, inner, 1, 1), scale=0.3)
            if block == 0:
                convolution(f"{name}.downsample.0", f"{name}.downsample.1", (out, channels, 1, 1))
            channels = out
    found["fc.weight"] = random.normal(0, 0.05, (classes, channels)).astype(np.float32)
    found["fc.bias"] = random.normal(0, 0.05, classes).astype(np.float32)
    return found


def logits_of(arrays: Arrays, images: Tensor) -> Tensor:
    """Compute what the published network does with RGB images (N, 3, H, W) in [0, 1], in float64, line by line."""
    state = {name: torch.from_numpy(array).double() for name, array in arrays.items()}

    def convolved(hidden: Tensor, name: str, norm: str, stride: int = 1, padding: int = 0) -> Tensor:
        hidden = functional.conv2d(hidden, state[f"{name}.weight"], stride=stride, padding=padding)
        mean, variance, weight, bias = (
            state[f"{norm}.{part}"][None, :, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (hidden - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    blue_green_red = torch.stack([images[:, 2], images[:, 1], images[:, 0]], dim=1).double() * 255
    hidden = blue_green_red - torch.tensor(MEAN, dtype=torch.float64)[None, :, None, None]
    hidden = torch.relu(convolved(hidden, "conv1", "bn1", stride=2, padding=3))
    hidden = functional.max_pool2d(hidden, kernel_size=3, stride=2, padding=0, ceil_mode=True)
    for stage, _, blocks in STAGES:
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            shortcut = hidden
            if block == 0:
                shortcut = convolved(hidden, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride)
            inner = torch.relu(convolved(hidden, f"{name}.conv1", f"{name}.bn1", stride=stride))
            inner = torch.relu(convolved(inner, f"{name}.conv2", f"{name}.bn2", padding=1))
            hidden = torch.relu(convolved(inner, f"{name}.conv3", f"{name}.bn3") + shortcut)
    return hidden.mean(dim=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def of_python2(arrays: Mapping[str, NDArray[np.generic]], protocol: int) -> bytes:
    """Write a pickle by hand as Python 2 and its NumPy do: byte strings everywhere, the names of NumPy 1."""

    def text(content: bytes) -> bytes:
        if protocol == 0:
            escaped = "".join(chr(c) if 32 <= c < 127 and c not in b"'\\" else f"\\x{c:02x}" for c in content)
            return b"S'" + escaped.encode("ascii") + b"'\n"
        if len(content) < 256:
            return b"U" + bytes([len(content)]) + content
        return b"T" + struct.pack("<i", len(content)) + content

    def number(value: int) -> bytes:
        return b"I%d\n" % value if protocol == 0 else b"J" + struct.pack("<i", value)

    parts = [b"\x80\x02"] if protocol == 2 else []
    parts.append(b"(dp0\n" if protocol == 0 else b"}q\x00(")
    for name, array in arrays.items():
        shape = b"(" + b"".join(map(number, array.shape)) + b"t"
        kind = b"cnumpy\ndtype\n(" + text(array.dtype.str[1:].encode()) + number(0) + number(1) + b"tR"
        kind += b"(" + number(3) + text(array.dtype.str[:1].encode()) + b"NNN" + number(-1) * 2 + number(0) + b"tb"
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + number(0) + b"t" + text(b"b") + b"tR"
        fortran = b"I00\n" if protocol < 2 else b"\x89"
        state = b"(" + number(1) + shape + kind + fortran + text(array.tobytes()) + b"tb"
        parts += [text(name.encode()), empty, state, *([b"s"] if protocol == 0 else [])]
    return b"".join([*parts, b"." if protocol == 0 else b"u."])
