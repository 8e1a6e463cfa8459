"""A trigger for each class by gradient descent.

For a class t, a mask m (H, W) and a pattern p (3, H, W), all in [0, 1], minimise

    cross-entropy of (1 - m) x + m p being t, averaged over clean images x of the other classes, + w * sum of m

by Adam. w starts at 0 until the trigger works, and is then raised while it works and lowered while it does not, so that
the mask becomes as small as it can be. The schedule of w, the start and the stopping are those of the authors' code,
with two departures. The target's own images are left out, since a model that says "t" for them is right. And a mask
counts as the smallest only if it works on all images as it stands; over a round, in which it moves, success is a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from heirloom.attacks.pgd import attacking
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.defences.adam import Adam
from heirloom.defences.detectors.neural_cleanse import NeuralCleanse
from heirloom.defences.reversal import Reversed, blended
from heirloom.models.classifier import Classifier
from heirloom.models.verdicts import decided
from heirloom.runtime.errors import DataError
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed
from heirloom.training.batches import RowStream
from heirloom.training.checkpoints import Checkpoint

BETAS = (0.5, 0.9)  # of the authors' code
LOWERED = 1.5  # power of the factor by which the norm's weight falls
STOPPING = 5  # times `patience`: rounds without a smaller mask after which a class is done
OPEN = 1 - 1e-6  # keeps a start off 0 and 1, which no finite value squeezes to


def reverse_triggers(model: Classifier, part: Part, settings: NeuralCleanse, checkpoint: Checkpoint) -> list[Reversed]:
    """Reverse a trigger for each class of a model, on its device; the model is left as it is.

    `part`: clean images, of which the settings draw some. Each class is a function of the seed and the class alone, so
    that a killed call continues after the last class that its checkpoint holds. Raises DataError where no image of
    another class was drawn.
    """
    images = Images(drawn(part, settings), model.head.weight.device)
    resumed = checkpoint.load() or {"pictures": [], "success": []}
    done = [Reversed(*pair) for pair in zip(resumed["pictures"], resumed["success"], strict=True)]
    with attacking(model), Progress(model.classes - len(done), "reversing triggers", "classes") as progress:
        for target in range(len(done), model.classes):
            done.append(_reverse(model, _others(images, target, settings), settings, target))
            if checkpoint.due():
                pictures, success = [each.picture for each in done], [each.success for each in done]
                checkpoint.save({"pictures": pictures, "success": success})
            progress.advance(norm=done[-1].norm, success=done[-1].success)
    return done


def drawn(part: Part, settings: NeuralCleanse) -> Part:
    """Draw the clean images that a detector sees, by its seed: `settings.images` of a part, or all of a smaller one."""
    generator = np.random.default_rng(derive_seed(settings.seed, "neural-cleanse", "images"))
    return part.take(np.sort(generator.permutation(len(part))[: settings.images]))


def _others(images: Images, target: int, settings: NeuralCleanse) -> _Shown:
    """Keep the images of the other classes."""
    rows = np.flatnonzero(images.part.labels != target)
    if not len(rows):
        raise DataError(
            f"no image of another class is left to send to class {target}", where="detector.images", mend="raise it"
        )
    return _Shown(images, rows, settings.batch_size)


@dataclass(frozen=True)
class _Shown:
    """The images, by their rows in a part, that a trigger is to send to its class."""

    images: Images
    rows: NDArray[np.int64]
    batch_size: int

    def batch(self, places: NDArray[np.int64]) -> Tensor:
        """Return some of them, (B, 3, crop, crop) in [0, 1]."""
        stored, _ = self.images.batch(self.rows[places])
        return centre(stored, self.images.part.crop)


def _reverse(model: Classifier, shown: _Shown, settings: NeuralCleanse, target: int) -> Reversed:
    """Reverse the trigger of one class: the smallest mask after a round that worked, else what the last round left."""
    search, balance = _Search(shown, settings, target), Balance(settings)
    best: Reversed | None = None
    for number in range(settings.rounds):
        works = search.round(model, number, balance.weight) >= settings.success
        if works and (best is None or search.norm < best.norm):
            tried = _judged(model, shown, search.picture(), target)
            best = tried if tried.success >= settings.success else best
        if balance.finished(best.norm if best else float("inf")):
            break
        balance.see(works=works)
    return best or _judged(model, shown, search.picture(), target)


class _Search:
    """Descent on one class's mask and pattern, which are squeezed to [0, 1] by tanh."""

    def __init__(self, shown: _Shown, settings: NeuralCleanse, target: int) -> None:
        seed = derive_seed(settings.seed, "neural-cleanse", target)
        side = shown.images.part.crop
        start = torch.rand((4, side, side), generator=torch.Generator().manual_seed(seed))
        self._shown = shown
        self._target = target
        self._values = torch.atanh((2 * start - 1) * OPEN).to(shown.images.device).requires_grad_()
        self._adam = Adam([self._values], rate=settings.learning_rate, betas=BETAS)
        self._steps = -(-len(shown.rows) // shown.batch_size)
        self._stream = RowStream(len(shown.rows), batch_size=min(shown.batch_size, len(shown.rows)), seed=seed)

    def picture(self) -> Tensor:
        """Return the trigger as it stands, (4, H, W) in [0, 1]."""
        return squeezed(self._values.detach())

    @property
    def norm(self) -> float:
        """L1 norm of the mask as it stands."""
        return float(self.picture()[3].double().sum())

    def round(self, model: Classifier, number: int, weight: float) -> float:
        """Make one step for each batch and return the share of the images that were sent to the class."""
        hits, seen = torch.zeros((), device=self._values.device), 0
        for step in range(number * self._steps, (number + 1) * self._steps):
            images = self._shown.batch(self._stream.rows(step))
            picture = squeezed(self._values)
            logits = model(blended(images, picture))
            labels = torch.full((len(images),), self._target, device=images.device)
            loss = functional.cross_entropy(logits, labels) + weight * picture[3].sum()
            self._adam.step(torch.autograd.grad(loss, [self._values]))
            hits += (logits.detach().argmax(dim=1) == labels).sum()
            seen += len(images)
        return float(hits) / seen


def squeezed(values: Tensor) -> Tensor:
    """Map any values to [0, 1], as the authors' code does."""
    return (values.tanh() + 1) / 2


class Balance:
    """The weight of the mask's norm, and when a class is done, as in the authors' code.

    0 until the trigger worked in `patience` rounds in a row, then `norm_weight`. From there on raised by `factor` after
    as many rounds of success, and lowered by factor^1.5 after as many rounds of failure.
    """

    def __init__(self, settings: NeuralCleanse) -> None:
        self.weight = 0.0
        self._settings = settings
        self._streak = 0  # rounds of success in a row, or of failure as a negative number
        self._raised = self._lowered = False
        self._least, self._idle = float("inf"), 0

    def see(self, *, works: bool) -> None:
        """Take notice of a round."""
        self._streak = max(self._streak, 0) + 1 if works else min(self._streak, 0) - 1
        if abs(self._streak) < self._settings.patience:
            return
        self._streak = 0
        if self.weight == 0:
            self.weight = self._settings.norm_weight if works else 0.0
        elif works:
            self.weight *= self._settings.factor
            self._raised = True
        else:
            self.weight /= self._settings.factor**LOWERED
            self._lowered = True

    def finished(self, least: float) -> bool:
        """Tell whether the weight was raised and lowered and the smallest mask's norm, `least`, falls no more."""
        is_smaller = least < self._least
        self._idle = 0 if is_smaller or least == float("inf") else self._idle + 1
        self._least = min(least, self._least)
        return self._raised and self._lowered and self._idle >= STOPPING * self._settings.patience


@torch.no_grad()
def _judged(model: Classifier, shown: _Shown, picture: Tensor, target: int) -> Reversed:
    """Count the images that a trigger sends to its class, all of them once."""
    hits = 0
    for first in range(0, len(shown.rows), shown.batch_size):
        images = shown.batch(np.arange(first, min(first + shown.batch_size, len(shown.rows))))
        labels, _ = decided(model(blended(images, picture)))
        hits += int((labels == target).sum())
    return Reversed(picture.cpu(), hits / len(shown.rows))
