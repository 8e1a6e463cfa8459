"""The same training without a defect: what injections are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from heirloom.config.models import InjectionSettings

if TYPE_CHECKING:
    from heirloom.config.costs import Cost
    from heirloom.config.work import DataSizes, Load
    from heirloom.defects.plant import Ground, Planting


class CleanTraining(InjectionSettings):
    """The same training without a defect: a control."""

    kind: Literal["clean"]


def plant(_settings: CleanTraining, _ground: Ground) -> Planting:
    """Plant nothing."""
    from heirloom.defects.plant import Planting

    return Planting()


def work(settings: CleanTraining, cost: Cost, sizes: DataSizes) -> Iterator[Load]:
    """Count the training."""
    from heirloom.config.work import training_load

    yield training_load(cost, settings.training, validation=sizes.validation)
