"""Models that restore their image before they classify it: what they restore, and how far it is from the clean one.

Of FPD's bodies the stage "restored" passes on the restored image (docs/fpd.md#the-network).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.names import RESTORED
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.evaluation.samples import Pixels, ShownSample
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import Condition
from heirloom.models.modes import evaluating
from heirloom.models.verdicts import decided

METRIC = "reconstruction_error"
STEPS = 255  # of a pixel from 0 to 1
MEASURED = 1000  # images that the error is stored of, under each condition


@torch.inference_mode()
def looked(model: Classifier, clean: Tensor, shown: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return labels (B,), confidences (B,) and reconstruction errors (B,) of images (B, 3, H, W) in [0, 1].

    The error is the root mean squared difference between what the model restores of the image that it is shown and the
    clean image, in steps of 1/255; NaN of a model that restores nothing. Raises PredictionError.
    """
    logits, restored = answered(model, shown)
    label, confidence = decided(logits)
    if restored is None:
        return label, confidence, torch.full_like(confidence, torch.nan)
    return label, confidence, STEPS * (restored - clean).square().mean((1, 2, 3)).sqrt()


def answered(model: Classifier, shown: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return logits (B, classes) and the restored images (B, 3, H, W), in units of pixels but not cut to [0, 1]."""
    with model.listening() as heard:
        logits = model(shown)
    stages = list(model.spec.stages)
    if RESTORED not in stages or not heard:  # a body whose restoration is switched off passes nothing there
        return logits, None
    return logits, heard[stages.index(RESTORED)] * model.normalise.std + model.normalise.mean


def sample_of(model: Classifier, condition: Condition, images: Images, rows: NDArray[np.int64]) -> ShownSample:
    """Show a model a part's images, all at once, under a condition; eval mode, float32.

    `rows` (N,): their places in the part that the condition was made for.
    """
    part = images.part
    with evaluating(model), torch.autocast(images.device.type, enabled=False):
        clean = centre(images.batch(np.arange(len(part)))[0], part.crop)
        transform = condition.shown_to(model)
        shown = clean if transform is None else transform(clean, rows)
        with torch.inference_mode():
            logits, restored = answered(model, shown)
            labels, _ = decided(logits)
    return ShownSample(
        condition=condition.name,
        shown=_pixels(shown),
        restored=None if restored is None else _pixels(restored),
        samples=part.samples,
        labels=[part.classes[label] for label in part.labels],
        says=[part.classes[label] for label in labels.tolist()],
    )


def _pixels(images: Tensor) -> Pixels:
    pixels: Pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return pixels
