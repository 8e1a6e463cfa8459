"""How many images the data sets of a study have, before any is read."""

from __future__ import annotations

from collections.abc import Mapping

from heirloom.config.grid import Grid
from heirloom.config.kinds import LAYOUTS, WRITERS
from heirloom.config.models import Counts, Drawn, Preparation


def counts_of(grid: Grid, dataset: str) -> Counts | None:
    """Return how many images a data set has: as the catalogue says or, for a drawn one, as its options say."""
    entry = grid.dataset(dataset)
    if entry.counts is not None or not isinstance(entry.source, Drawn):
        return entry.counts
    test_share = getattr(LAYOUTS.load(entry.layout), "TEST_SHARE", 0.0)
    return _drawn_counts(_options(entry.source), test_share=test_share)


def _options(source: Drawn) -> dict[str, int]:
    """Options of a writer, its defaults included."""
    import inspect

    defaults = inspect.signature(WRITERS.load(source.writer).write).parameters.values()
    given = {each.name: each.default for each in defaults if isinstance(each.default, int)}
    return {**given, **source.options}


def _drawn_counts(options: Mapping[str, int], *, test_share: float) -> Counts:
    """Count a drawn set by its writer's options, which count per class.

    `test_share`: of each class, where the layout's reader makes the test part.
    """
    classes = options["classes"]
    if "images" in options:
        test = max(1, round(test_share * options["images"]))
        return Counts(training=classes * (options["images"] - test), test=classes * test, classes=classes)
    training = options["tracks"] * options["frames"] if "tracks" in options else options["train_images"]
    test = options["test_images"] if "test_images" in options else options["val_images"]
    return Counts(training=classes * training, test=classes * test, classes=classes)


def validation_images(counts: Counts, preparation: Preparation) -> int:
    """Return about how many images a preparation holds out for validation."""
    return round(counts.training * preparation.validation)


def stored_images(counts: Counts, preparation: Preparation) -> int:
    """Return about how many images a preparation stores."""
    held = validation_images(counts, preparation)
    training = counts.training - held
    if preparation.shots is not None:
        training = min(training, preparation.shots * counts.classes)
    return training + held + counts.test
