"""Attacks of ART, the Adversarial Robustness Toolbox (1.20): DeepFool, JSMA, HopSkipJump and ZOO.

ART works on numpy arrays and draws from numpy's global generator, or from one that it seeds from the system. Here it is
given the start, the target or the seed of each image, so that an image's draws depend on its row and the attack's seed
alone. What it does differently from the papers stands with each attack and in docs/fpd.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heirloom.attacks.compat import art
from heirloom.attacks.crafting import Batch, condition, near
from heirloom.config.attacks import ZOO, DeepFool, HopSkipJump, SaliencyMap
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier
from heirloom.runtime.seeds import derive_seed

LIBRARY = "adversarial-robustness-toolbox"
_ASKED_AT_ONCE = 128  # images a forward pass


def deepfool(name: str, attack: DeepFool, part: Part) -> Condition:
    """Step to the nearest linearised boundary. It draws nothing at random."""
    return condition(name, attack, part, partial(_deepfool, attack=attack), library=LIBRARY)


def jsma(name: str, attack: SaliencyMap, part: Part) -> Condition:
    """Raise values towards a wrong class, another one for each image.

    ART ranks values by the gradient of that class alone, where the paper weighs it against the other classes'.
    """
    return condition(name, attack, part, partial(_jsma, attack=attack), library=LIBRARY)


def hopskipjump(name: str, attack: HopSkipJump, part: Part) -> Condition:
    """Walk along the boundary from a random image that the model answers otherwise."""
    return condition(name, attack, part, partial(_hopskipjump, attack=attack), library=LIBRARY)


def zoo(name: str, attack: ZOO, part: Part) -> Condition:
    """Estimate the gradients of some values at a time from the model's logits.

    ART clips the change itself to [0, 1], so that it only ever raises values.
    """
    return condition(name, attack, part, partial(_zoo, attack=attack), library=LIBRARY)


def _deepfool(source: Classifier, batch: Batch, *, attack: DeepFool) -> Tensor:
    method = art("attacks.evasion").DeepFool(
        _estimator(source, batch.images),
        max_iter=attack.steps,
        epsilon=attack.overshoot,
        nb_grads=attack.candidates,
        batch_size=len(batch.images),
        verbose=False,
    )
    # of some classes alone ART takes the likeliest of all images together, and holds a gradient of each
    together = len(batch.images) if source.classes <= attack.candidates else 1
    found = torch.cat([_like(piece, method.generate(_array(piece))) for piece in _pieces(batch.images, together)])
    return near(batch.images, found, norm="L2", epsilon=attack.epsilon)


def _jsma(source: Classifier, batch: Batch, *, attack: SaliencyMap) -> Tensor:
    method = art("attacks.evasion").SaliencyMapMethod(
        _estimator(source, batch.images),
        theta=attack.step,
        gamma=attack.share,
        batch_size=len(batch.images),
        verbose=False,
    )
    targets = _wrong_classes(batch, source.classes, attack.seed)
    found = _like(batch.images, method.generate(_array(batch.images), targets))
    return near(batch.images, found, norm="L0", epsilon=attack.epsilon)


def _wrong_classes(batch: Batch, classes: int, seed: int) -> NDArray[np.int64]:
    """Draw a class other than its own for each image: (B,)."""
    draws = [np.random.default_rng(derive_seed(seed, "jsma", int(row))).integers(1, classes) for row in batch.rows]
    return (batch.labels.cpu().numpy() + np.array(draws)) % classes


def _hopskipjump(source: Classifier, batch: Batch, *, attack: HopSkipJump) -> Tensor:
    method = art("attacks.evasion").HopSkipJump(
        _estimator(source, batch.images),
        norm=2 if attack.norm == "L2" else np.inf,
        max_iter=attack.steps,
        max_eval=attack.evaluations,
        init_eval=attack.first_evaluations,
        verbose=False,
    )
    found = batch.images.clone()
    for place, image, label in _each(batch, attack.seed, "hopskipjump"):
        start = _wrong_image(source, image, label, attack)
        if start is not None:
            made = method.generate(_array(image), _array(label), x_adv_init=_array(start))
            found[place] = _like(image, made)
    return near(batch.images, found, norm=attack.norm, epsilon=attack.epsilon)


def _wrong_image(source: Classifier, image: Tensor, label: Tensor, attack: HopSkipJump) -> Tensor | None:
    """Draw images like (1, 3, H, W) from numpy's global generator until the model answers one otherwise.

    ART would draw them from a generator that nobody can seed. None: it answered them all alike.
    """
    for _ in range(attack.starts):
        drawn = _like(image, np.random.uniform(size=tuple(image.shape)))  # noqa: NPY002 - seeded by _each
        with torch.no_grad():
            if source(drawn).argmax(dim=1) != label:
                return drawn
    return None


def _zoo(source: Classifier, batch: Batch, *, attack: ZOO) -> Tensor:
    found = batch.images.clone()
    for place, image, label in _each(batch, attack.seed, "zoo"):
        # one image at a time, with an attack of its own: in a batch ART 1.20 moves the first image alone, and what it
        # learnt of one image stays for the next
        method = art("attacks.evasion").ZooAttack(
            _estimator(source, image),
            confidence=attack.confidence,
            learning_rate=attack.learning_rate,
            max_iter=attack.steps,
            binary_search_steps=attack.searches,
            initial_const=attack.constant,
            use_resize=attack.resize,
            use_importance=attack.resize,
            nb_parallel=attack.coordinates,
            variable_h=attack.difference,
            batch_size=1,
            verbose=False,
        )
        found[place] = _like(image, method.generate(_array(image), _array(label)))
    return near(batch.images, found, norm="L2", epsilon=attack.epsilon)


def _estimator(source: Classifier, images: Tensor) -> Any:
    """Return a network as ART knows one, for images like these (B, 3, H, W)."""
    estimator = art("estimators.classification").PyTorchClassifier(
        model=source,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=source.classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if images.is_cuda else "cpu",
    )
    # its own asks image by image where an attack has batches of one, and refuses the float64 that HopSkipJump hands it
    estimator.predict = lambda shown, **_batches: _answers(source, _like(images, shown))
    return estimator


def _answers(source: Classifier, images: Tensor) -> NDArray[np.float32]:
    """Return the logits (B, classes) of images (B, 3, H, W)."""
    with torch.no_grad():
        return _array(torch.cat([source(piece) for piece in _pieces(images, _ASKED_AT_ONCE)]))


def _pieces(images: Tensor, size: int) -> Iterator[Tensor]:
    for first in range(0, len(images), size):
        yield images[first : first + size]


def _each(batch: Batch, seed: int, purpose: str) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Give each image's place, the image (1, 3, H, W) and its label (1,), numpy's global generator seeded for it."""
    for place, row in enumerate(batch.rows):
        np.random.seed(derive_seed(seed, purpose, int(row)) % 2**32)  # noqa: NPY002 - ART draws from this one
        yield place, batch.images[place : place + 1], batch.labels[place : place + 1]


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().contiguous().cpu().numpy()
    return array


def _like(images: Tensor, array: NDArray[Any]) -> Tensor:
    """Bring an array of ART's to where images are, float32."""
    return torch.from_numpy(np.asarray(array)).to(images)
