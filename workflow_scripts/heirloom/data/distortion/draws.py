"""Random numbers of corruptions: those of an image follow from a seed, the kind and the image's name alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from heirloom.runtime.seeds import derive_seed


class Draws:
    """A stream of random numbers for each image of a batch, float32, drawn on the CPU.

    An image meets the same numbers in any batch and at every severity, so that a harder corruption is the same one made
    stronger.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    @classmethod
    def of(cls, seed: int, kind: str, samples: Sequence[str]) -> Draws:
        """Start the streams of images, named as the data set's index names them, for one kind of corruption."""
        return cls([derive_seed(seed, "corruption", kind, sample) for sample in samples])

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw from [low, high) for every image: (B, *shape)."""
        drawn = self._each(lambda generator, _: torch.rand(shape, generator=generator))
        return drawn.mul_(high - low).add_(low)

    def normal(self, *shape: int) -> Tensor:
        """Draw from the standard normal distribution for every image: (B, *shape)."""
        return self._each(lambda generator, _: torch.randn(shape, generator=generator))

    def poisson(self, rates: Tensor) -> Tensor:
        """Draw counts of these rates (B, ...)."""
        plain = rates.cpu()
        return self._each(lambda generator, number: torch.poisson(plain[number], generator=generator))

    def _each(self, draw: Callable[[torch.Generator, int], Tensor]) -> Tensor:
        return torch.stack([draw(generator, number) for number, generator in enumerate(self._generators)])
