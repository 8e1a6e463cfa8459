"""Neural Cleanse: a class whose reversed trigger is too small to be chance (Wang et al., IEEE S&P 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from heirloom.config.models import BatchSize, Count, DetectorSettings, Share

if TYPE_CHECKING:
    from heirloom.config.costs import Cost
    from heirloom.config.work import DataSizes, Load
    from heirloom.data.store import Part
    from heirloom.defences.findings import Findings
    from heirloom.models.classifier import Classifier
    from heirloom.training.checkpoints import Checkpoint

WORDS = ("the largest anomaly index that {detector} finds among the classes", "index")
FEWEST = 3  # classes: of two norms neither is an outlier


class NeuralCleanse(DetectorSettings):
    """Reverses a trigger for each class and looks for a class whose trigger is much smaller than the others'.

    Wang et al., IEEE S&P 2019. The mask's norm is weighed anew as its trigger succeeds or fails, as in their code.
    """

    reverses: ClassVar[bool] = True

    kind: Literal["neural-cleanse"]
    images: Count = Field(
        1000, ge=1, description="clean training images, drawn by seed; those of a class are not sent to it"
    )
    batch_size: BatchSize = Field(32, ge=1, description="images a step of Adam")
    rounds: Count = Field(1000, ge=1, description="largest number of rounds for a class; a round shows each image once")
    learning_rate: float = Field(
        0.1, gt=0, description="of Adam, on mask and pattern before they are squeezed to [0, 1]"
    )
    norm_weight: float = Field(1e-3, gt=0, description="first weight of the mask's L1 norm, in pixels, in the loss")
    success: Share = Field(0.99, description="share of the images that a trigger must send to its class")
    patience: Count = Field(5, ge=1, description="rounds of success, or of failure, before the weight is changed")
    factor: float = Field(2.0, gt=1, description="what the weight is raised by; it is lowered by this to the power 1.5")
    threshold: float = Field(2.0, gt=0, description="anomaly index above which a class is flagged")


def detect(model: Classifier, part: Part, settings: NeuralCleanse, checkpoint: Checkpoint) -> Findings:
    """Reverse a trigger for each class and score how small it is. Raises ConfigError below 3 classes, DataError."""
    from heirloom.defences.anomaly import anomaly_indices
    from heirloom.defences.detectors.neural_cleanse.search import reverse_triggers
    from heirloom.defences.findings import Findings
    from heirloom.runtime.errors import ConfigError

    if len(part.classes) < FEWEST:
        raise ConfigError(f"{len(part.classes)} classes are too few to tell one from the others", where="detectors")
    found = reverse_triggers(model, part, settings, checkpoint)
    norms = [each.norm for each in found]
    indices = anomaly_indices(norms)
    return Findings(
        scope="class",
        scores=indices,
        flags=indices > settings.threshold,
        called="anomaly_indices",
        reversed=found,
        facts={"norms": norms, "success": [each.success for each in found]},
    )


def work(settings: NeuralCleanse, cost: Cost, sizes: DataSizes, threads: int) -> Iterator[Load]:
    """Count what reversing a trigger for each class takes at most: most classes stop early."""
    from heirloom.config.work import ATTACKED, looking_load

    images = min(settings.images, sizes.training)
    passes = sizes.classes * (ATTACKED + 1) * settings.rounds  # a round that works is looked at once more
    yield looking_load(cost, images=images, passes=passes, batch=settings.batch_size, threads=threads)
