"""A detector that scores images: the mean of each training image."""

from __future__ import annotations

from heirloom.config.models import DetectorSettings


class Brightest(DetectorSettings):
    """Flags images whose mean pixel, in [0, 1], is above the threshold that every detector has."""


def detect(model, part, settings, checkpoint):
    """Return a score for each image; the larger, the more suspect."""
    from heirloom.defences.findings import Findings

    scores = part.images.mean((1, 2, 3)) / 255
    return Findings(scope="image", scores=scores, flags=scores > settings.threshold)


def work(settings, cost, sizes, threads):
    """Count nothing: the model is never asked."""
    return ()
