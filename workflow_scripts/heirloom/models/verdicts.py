"""What a model decides about images: every prediction is made of logits here, and only of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.runtime.errors import PredictionError, WeightsError

TRIED = 4  # pictures of noise that a foreign model is shown


def decided(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels (B,) and confidences (B,), softmax probabilities, of logits (B, classes).

    Raises PredictionError where a logit is no finite number: the largest of such logits would be a label like any other
    in the tables. `named` says whose logits they are.
    """
    odd = int((~torch.isfinite(logits)).any(dim=1).sum())
    if odd:
        what = f"the model answers {odd} of {len(logits)} images with logits that are no finite numbers"
        mend = (
            "nothing of it is written. Train the model anew with a lower learning rate, or, if it was fetched, get its"
            " file again and check the body and the normalisation that the catalogue names for it"
        )
        raise PredictionError(what, mend=mend)
    confidence, label = logits.softmax(dim=1).max(dim=1)
    return label, confidence


@contextmanager
def named(model: str, *, dataset: str, condition: str) -> Iterator[None]:
    """Say in a PredictionError from the body which model, data set and condition it is about; inner names count."""
    try:
        yield
    except PredictionError as error:
        if error.where:
            raise
        where = f"model {model}, data set {dataset or 'of no name'}, condition {condition}"
        raise PredictionError(error.what, where=where, mend=error.mend) from error


def try_out(model: Classifier, side: int, *, where: str) -> None:
    """Show a model, just loaded from somebody else's file, pictures of noise in [0, 1] of `side` pixels.

    Raises WeightsError where it answers with what is no finite number, such as weights that are finite but overflow.
    """
    noise = torch.rand((TRIED, 3, side, side), generator=torch.Generator().manual_seed(0))
    try:
        with evaluating(model), torch.inference_mode():
            decided(model(noise))
    except PredictionError as error:
        raise WeightsError(
            f"{model.description.name} with these weights answers noise with logits that are no finite numbers",
            where=where,
            mend="get the file again, and check the body and the normalisation that the catalogue names for it",
        ) from error
