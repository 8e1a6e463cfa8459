"""Strided 1x1 convolutions of few channels: gathered pixels against contiguous images, and what torch's kernel does.

`python -m benchmarks.strided_points` times forward and backward of both in turns, then asks a process of its own for
each number of channels whether the gradient that this torch computes for channels-last images is right on this
processor. It fails where gathering takes longer, or is wrong itself.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor, nn

from heirloom.models.kernels import avoid_faulty_kernels, check_gradients
from heirloom.runtime.errors import TrainingError

CHANNELS = (3, 4, 5, 6, 7, 8, 12, 15)
BATCH, SIDE = 64, 32
LIMIT = 60  # seconds for a check, which takes about five


def point(channels: int) -> nn.Sequential:
    """Return a strided 1x1 convolution in a model of its own."""
    return nn.Sequential(nn.Conv2d(channels, 2 * channels, kernel_size=1, stride=2, bias=False))


def seconds_of(model: nn.Module, images: Tensor) -> float:
    """Return the seconds of one pass forward and backward."""
    begun = time.perf_counter()
    model(images).sum().backward()
    return time.perf_counter() - begun


def ratio(channels: int, repeats: int) -> float:
    """Return the time of gathered pixels as a share of that of contiguous images, the median of passes in turns."""
    gathered, contiguous = point(channels), point(channels)
    avoid_faulty_kernels(gathered)
    images = torch.randn(BATCH, channels, SIDE, SIDE).requires_grad_()
    last = images.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    pairs = [(seconds_of(gathered, last), seconds_of(contiguous, images)) for _ in range(repeats)]
    return median(ours / theirs for ours, theirs in pairs)


def verdict(channels: int, threads: int, *, gathered: bool) -> str:
    """Say what a process of its own finds of a convolution's gradients."""
    child = [sys.executable, "-m", __spec__.name, "--threads", str(threads), "--check", str(channels)]
    child += ["--gathered"] if gathered else []
    try:
        ended = subprocess.run(child, capture_output=True, text=True, check=False, timeout=LIMIT)  # noqa: S603
    except subprocess.TimeoutExpired:
        return "does not end"
    if ended.returncode < 0:
        return f"ends the process ({signal.Signals(-ended.returncode).name})"
    return "right" if ended.returncode == 0 else ended.stderr.strip()


def checked(channels: int, *, gathered: bool) -> int:
    """Check the gradients of a convolution in this process; 1 where they are wrong."""
    model = point(channels)
    if gathered:
        avoid_faulty_kernels(model)
    try:
        check_gradients(model)
    except TrainingError as error:
        print(error.what, file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables; 1 where gathering is slower or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--check", type=int, metavar="CHANNELS", help=argparse.SUPPRESS)
    parser.add_argument("--gathered", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.check:
        return checked(options.check, gathered=options.gathered)
    failed = False
    print(f"torch {torch.__version__}, {options.threads} threads, {BATCH} images of {SIDE} pixels")
    for channels in CHANNELS:
        share = ratio(channels, options.repeats)
        ours, theirs = (verdict(channels, options.threads, gathered=gathered) for gathered in (True, False))
        failed |= share > 1 or ours != "right"
        print(f"{channels:3} channels: {share:.2f} of the contiguous time; gathered: {ours}; torch's own: {theirs}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
