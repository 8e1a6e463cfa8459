"""One job as an estimate sees it, and how many images the data sets behind it have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heirloom.config.grid import Grid
from heirloom.config.models import Counts, Drawn, Preparation
from heirloom.config.names import TEST_SHARES, WRITERS
from heirloom.config.work import Load
from heirloom.runtime.registry import resolve

BYTES_A_WEIGHT = 4


@dataclass(frozen=True)
class Task:
    """One job: the file that shows that it is done, the files of other jobs it needs, and what it takes, in bytes.

    `unknown` says what of it could not be counted, and why; `target`, that the study asks for the output itself.
    """

    rule: str
    output: str
    needs: tuple[str, ...] = ()
    disk: int = 0
    download: int = 0
    loads: tuple[Load, ...] = ()
    unknown: str = ""
    target: bool = False

    @property
    def threads(self) -> int:
        """CPU threads the job occupies."""
        return max((load.threads for load in self.loads), default=1)


def counts_of(grid: Grid, dataset: str) -> Counts | None:
    """Return how many images a data set has: as the catalogue says or, for a drawn one, as its options say."""
    entry = grid.dataset(dataset)
    if entry.counts is not None or not isinstance(entry.source, Drawn):
        return entry.counts
    return _drawn_counts(_options(entry.source), test_share=resolve(TEST_SHARES).get(entry.layout, 0.0))


def _options(source: Drawn) -> dict[str, int]:
    """Options of a writer, its defaults included."""
    import inspect

    defaults = inspect.signature(resolve(resolve(WRITERS)[source.writer])).parameters.values()
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
