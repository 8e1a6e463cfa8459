"""What estimates know of robust models: what an image costs each, and how many images it is shown."""

from __future__ import annotations

from collections.abc import Mapping

from heirloom.config import paths
from heirloom.config.costs import Cost, cost_of
from heirloom.config.grid import Grid
from heirloom.config.models import Counts
from heirloom.config.tasks import stored_images, validation_images


class RobustSizes:
    """Answers for the robust models of a grid by name; `counts`: images of each data set."""

    def __init__(self, grid: Grid, counts: Mapping[str, Counts | None]) -> None:
        self._grid = grid
        self._counts = counts

    def whole(self, model: str) -> Cost:
        """Cost of the body at 224 pixels."""
        return cost_of(self._grid.catalogue.robust[model].body)

    def seen(self, model: str) -> tuple[Cost, int, int]:
        """Return what an image costs the model's body, and how many it is trained and validated on."""
        entry = self._grid.catalogue.robust[model]
        counts, sizes = self._counts[entry.dataset], self._grid.dataset(entry.dataset).preparations[entry.preparation]
        cost = self.whole(model).at(sizes.crop)
        if counts is None:
            return cost, 0, 0
        validation = validation_images(counts, sizes)
        return cost, stored_images(counts, sizes) - validation - counts.test, validation

    def test(self, model: str) -> int:
        """Return how many test images the model's data set has; 0 where nobody counted."""
        counts = self._counts[self._grid.catalogue.robust[model].dataset]
        return counts.test if counts else 0

    def data(self, model: str) -> str:
        """Return the card of the model's data."""
        entry = self._grid.catalogue.robust[model]
        return f"{paths.data_folder(entry.dataset, entry.preparation)}/card.json"
