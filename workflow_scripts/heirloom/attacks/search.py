"""What all attacks on a model itself share: whose answers count, which images are searched, and what is put back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.budget import OWN, budget_of
from heirloom.attacks.pgd import attacking
from heirloom.config.attacks import Norm, OnModel, Through
from heirloom.data.store import Part
from heirloom.models.bodies.pyramid.network import attacked_through
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import Condition
from heirloom.models.verdicts import decided
from heirloom.runtime.devices import relaxed


@dataclass(frozen=True, eq=False)
class SearchBatch:
    """Images to attack (B, 3, H, W) in [0, 1], their labels (B,), their rows (B,) in the part, and which start this is.

    Starts are counted from 0; only attacks with restarts have more than one.
    """

    images: Tensor
    labels: Tensor
    rows: NDArray[np.int64]
    start: int = 0

    def take(self, places: Tensor, start: int) -> SearchBatch:
        """Return the images at some places, for one start."""
        return SearchBatch(self.images[places], self.labels[places], self.rows[places.cpu().numpy()], start)


# Attacked images (B, 3, H, W) of a batch, crafted on a classifier in eval mode whose parameters take no gradient.
Search = Callable[[Classifier, SearchBatch], Tensor]


def condition(
    name: str,
    attack: OnModel,
    part: Part,
    search: Search,
    *,
    library: str = OWN,
    starts: int = 1,
    whole: bool = False,
    **facts: object,
) -> Condition:
    """Return an attack on whichever model looks at a part's images, as a condition.

    `library` is the package whose code the search calls; `facts` are what its budget says besides the settings; the
    rest is `Crafting`'s.
    """
    crafting = partial(
        Crafting,
        labels=part.labels,
        through=attack.through,
        search=search,
        starts=starts,
        whole=whole,
        foreign=library != OWN,
    )
    return Condition(name, budget_of(attack, library=library, **facts), crafting)


def on_substitute(made: Condition) -> Condition:
    """Return an attack (`condition`) that is crafted on a substitute and shown to other models."""
    return replace(made, transform=partial(_for_others, made=made))


def _for_others(model: Classifier, *, made: Condition) -> Crafting:
    crafting = made.shown_to(model)
    assert isinstance(crafting, Crafting)
    return replace(crafting, for_others=True)


@dataclass(frozen=True, eq=False)
class Crafting:
    """Gives each image as the first start that fools the model left it, or the last one.

    The answers are `model`'s; the search sees the network that `through` makes of it. A clean image that the model gets
    wrong is shown as it is: it lies within any budget. `labels`: int (N,), by row. `whole`: the search is given the
    images that are wrong, too, and leaves them alone. `for_others`: others than `model` are shown what it gives, and
    may get right what `model` gets wrong, so every image is searched. `foreign`: the search is a library's. It is given
    a copy of the network and may use what has no deterministic version: on CUDA, and there alone, two runs may differ
    in few images.
    """

    model: Classifier
    _: KW_ONLY
    labels: NDArray[np.int64]
    through: Through
    search: Search
    starts: int = 1
    whole: bool = False
    for_others: bool = False
    foreign: bool = False

    @cached_property
    def source(self) -> Classifier:
        """The network that the attack is crafted on."""
        source = attacked_through(self.model, self.through)
        if not self.foreign:
            return source
        # pyautoattack and advertorch flatten by view(), which a channels_last layout refuses; ART clears gradients
        contiguous: Classifier = copy.deepcopy(source).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return contiguous

    def __call__(self, images: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the attacked images (B, 3, H, W) of clean ones and their rows (B,)."""
        truth = torch.from_numpy(self.labels[rows]).to(images.device)
        batch = SearchBatch(images.contiguous() if self.foreign else images, truth, rows)
        lent = _lent(images.device) if self.foreign else nullcontext()
        with attacking(self.model), attacking(self.source), lent:
            return self.search(self.source, batch) if self.whole else self._fooled(batch)

    def _fooled(self, batch: SearchBatch) -> Tensor:
        """Search from one start after the other, each for the images that are still right."""
        found = batch.images.clone()
        asked = torch.ones_like(batch.labels) if self.for_others else self._right(found, batch.labels)
        left = asked.nonzero().flatten()
        for start in range(self.starts):
            if not len(left):
                break
            found[left] = self.search(self.source, batch.take(left, start))
            left = left[self._right(found[left], batch.labels[left])]
        return found

    def _right(self, images: Tensor, labels: Tensor) -> Tensor:
        """Tell which images the model classifies correctly: bool (B,)."""
        with torch.no_grad():
            return decided(self.model(images))[0] == labels


@contextmanager
def _lent(device: torch.device) -> Iterator[None]:
    """Let a library compute as it likes; torch's and numpy's global generators are as before afterwards."""
    drawn = np.random.get_state()  # noqa: NPY002 - ART draws from this one
    try:
        with relaxed(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(drawn)  # noqa: NPY002


def near(clean: Tensor, found: Tensor, *, norm: Norm, epsilon: float | None) -> Tensor:
    """Return what was found where its change is at most epsilon, and clean images elsewhere; all (B, 3, H, W).

    So are attacks counted that look for the smallest change. Without an epsilon every change is small enough.
    """
    if epsilon is None:
        return found
    return torch.where((sizes(found - clean, norm) <= epsilon).view(-1, 1, 1, 1), found, clean)


def sizes(change: Tensor, norm: Norm) -> Tensor:
    """Measure changes (B, 3, H, W): (B,), in L0 the share of the values that differ from 0."""
    flat = change.flatten(1)
    if norm == "L0":
        return (flat != 0).float().mean(dim=1)
    orders = {"L1": 1, "L2": 2, "Linf": torch.inf}
    measured: Tensor = torch.linalg.vector_norm(flat, ord=orders[norm], dim=1)
    return measured
