"""How good and how robust a model is on validation images, to choose weights, a rate or an alpha by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from heirloom.attacks.draws import uniform
from heirloom.attacks.inner import perturbed
from heirloom.config.robust import Judge
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.models.predictions import predict
from heirloom.models.verdicts import decided
from heirloom.runtime.seeds import derive_seed


class JudgedRates(NamedTuple):
    """Shares of images in [0, 1]: right when clean; right when clean and when attacked."""

    accuracy: float
    robust_accuracy: float


def judge_rates(model: Classifier, part: Images, judge: Judge, *, batch_size: int = 256) -> JudgedRates:
    """Return a model's accuracy over a part and its robust accuracy over the judge's choice of it.

    The choice and each image's random start depend on the judge's seed and the image's row alone: every model meets the
    same ones. An image that is wrong when clean counts as wrong and is not attacked, since it lies within any budget.
    Eval mode, float32; modes, flags and gradients are left as they are. Raises PredictionError.
    """
    right = predict(model, part, batch_size=batch_size).label == part.part.labels
    rows = chosen_rows(len(part.part), judge)
    standing = rows[right[rows]]
    pieces = [standing[first : first + batch_size] for first in range(0, len(standing), batch_size)]
    withstood = sum(_withstood(model, part, piece, judge) for piece in pieces)
    return JudgedRates(accuracy=float(np.mean(right)), robust_accuracy=withstood / len(rows))


def chosen_rows(count: int, judge: Judge) -> NDArray[np.int64]:
    """Return the rows, rising, that a judge attacks among `count` images; all when it names no number or more."""
    order = np.random.default_rng(derive_seed(judge.seed, "judged images")).permutation(count)
    return np.sort(order[: judge.images]).astype(np.int64)


def _withstood(model: Classifier, part: Images, rows: NDArray[np.int64], judge: Judge) -> int:
    """Count the images of some rows that the model still gets right when attacked."""
    stored, labels = part.batch(rows)
    images = centre(stored, part.part.crop)
    found = perturbed(model, images, labels, judge.attack, draw=uniform(images, rows, judge.seed, "judge"))
    with evaluating(model), torch.no_grad(), torch.autocast(part.device.type, enabled=False):
        return int((decided(model(found))[0] == labels).sum())
