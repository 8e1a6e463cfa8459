"""Trained small networks worth attacking, and attacks of a size that tells on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from heirloom.attacks.algorithms.autoattack import AutoAttack
from heirloom.attacks.algorithms.feature import FeatureAttack
from heirloom.attacks.algorithms.noise import NoiseAttack
from heirloom.attacks.algorithms.pgd import PGDAttack
from heirloom.config.models import Body
from heirloom.data.augment import centre
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.models.weights import load_classifier
from heirloom.stages import pretrain_teacher
from tests.unit import toy

CLASSES = 5
BODY = Body(name="resnet8-small", options={"width": 8})
PUBLISHED = {"units": "normalised", "clip": (-2.2, 2.2)}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread: more only wait for each other on networks this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(folder: Path, *, seed: int = 0, iterations: int = 60) -> Path:
    """Write data of five faint patterns and a network that knows them, and return the network's folder."""
    if not (folder / "data").exists():
        patterns = np.random.default_rng(1).choice([-1, 1], (CLASSES, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
        # a white and a black corner, where a clip in normalised units moves pixels
        pictures = 128 + 24 * patterns
        pictures[:, :4, :4], pictures[:, -4:, -4:] = 255, 0
        toy.write_data(folder / "data", classes=CLASSES, images=60, side=16, pictures=pictures)
    out = folder / f"model-{seed}"
    pretrain_teacher.run(
        inputs=toy.development(folder / "data"),
        outputs=toy.model_files(out),
        body=BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(iterations=iterations, learning_rate=0.05),
        augmentation=toy.STILL,
        seed=seed,
        code="code",
    )
    return out


def loaded(folder: Path) -> Classifier:
    """The network of a folder."""
    files = toy.model_files(folder)
    return load_classifier(files.weights, files.card)


def batch(part: Part, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The first images of a part, (B, 3, H, W) in [0, 1], and their labels."""
    stored = torch.from_numpy(part.images[:count].copy())
    return centre(stored, part.crop), torch.from_numpy(part.labels[:count].copy())


def feature(**changes: object) -> FeatureAttack:
    """The published attack, in pixels and large enough for brightness."""
    settings = {"kind": "feature", "epsilon": 0.12, "step": 0.012, "steps": 15, "control": "noise"}
    return FeatureAttack.model_validate({**settings, **changes})


def noise(**changes: object) -> NoiseAttack:
    """Noise of the same size."""
    return NoiseAttack.model_validate({"kind": "noise", "epsilon": 0.12, **changes})


def pgd(**changes: object) -> PGDAttack:
    """A short search on the model itself."""
    return PGDAttack.model_validate({"kind": "pgd", "epsilon": 0.06, "step": 0.015, "steps": 8, **changes})


def autoattack(**changes: object) -> AutoAttack:
    """The ensemble within the same ball."""
    return AutoAttack.model_validate({"kind": "autoattack", "epsilon": 0.06, **changes})


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let AutoAttack's parts take a tenth of their steps, and Square a hundredth: enough to draw and to fool some."""
    from pyautoattack.autopgd_base import APGDAttack
    from pyautoattack.fab_base import FABAttack
    from pyautoattack.square import SquareAttack

    for part, steps, hurried in (
        (APGDAttack, "n_iter", 10),
        (FABAttack, "n_iter", 10),
        (SquareAttack, "n_queries", 50),
    ):

        def perturb(self, *images, plain=part.perturb, steps=steps, hurried=hurried):  # type: ignore[no-untyped-def]
            setattr(self, steps, hurried)
            return plain(self, *images)

        monkeypatch.setattr(part, "perturb", perturb)
