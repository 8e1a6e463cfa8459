"""Jobs that make data: drawn or fetched pictures, prepared arrays, corrupted test images."""

from __future__ import annotations

from collections.abc import Iterator

from heirloom.config import paths, repairs
from heirloom.config.grid import Grid
from heirloom.config.kinds import CORRUPTED_LAYOUTS, CORRUPTIONS, LAYOUTS, WRITERS
from heirloom.config.models import Drawn
from heirloom.config.records import canonical
from heirloom.config.robust import CorruptedFiles
from heirloom.plan.job import Job, card, prepared


def data_jobs(grid: Grid) -> Iterator[Job]:
    """Give the jobs of every data set and suite of corruptions."""
    for dataset in grid.dataset_names:
        yield _raw(grid, dataset)
        for preparation in grid.preparations_of(dataset):
            yield _prepare(grid, dataset, preparation)
    for suite in repairs.suites(grid):
        yield _corrupt(grid, suite)


def _raw(grid: Grid, dataset: str) -> Job:
    """Draw a data set, or fetch it."""
    folder, source = paths.raw_folder(dataset), grid.dataset(dataset).source
    recipe, names = canonical(source), {"dataset": dataset}
    if isinstance(source, Drawn):
        settings = {key: recipe[key] for key in ("writer", "seed", "options")}
        code = [WRITERS.module(source.writer)]
        return Job("render_dataset", folder, card(folder), settings=settings, code=code, names=names)
    settings = {key: recipe[key] for key in ("files", "folders")}
    return Job("download_dataset", folder, card(folder), settings=settings, names=names)


def _prepare(grid: Grid, dataset: str, preparation: str) -> Job:
    """Decode a data set."""
    folder, entry = paths.data_folder(dataset, preparation), grid.dataset(dataset)
    return Job(
        "prepare_dataset",
        folder,
        card(folder),
        inputs={"raw": card(paths.raw_folder(dataset))},
        settings={"layout": entry.layout, "preparation": canonical(entry.preparations[preparation])},
        code=[LAYOUTS.module(entry.layout)],
        names={"dataset": dataset, "preparation": preparation},
    )


def _corrupt(grid: Grid, name: str) -> Job:
    """Corrupt the test images of a data set, or take those that their owner corrupted."""
    folder, suite = paths.corruption_folder(name), grid.catalogue.corruptions[name]
    recipe = canonical(suite)
    del recipe["title"]
    if isinstance(suite.source, CorruptedFiles):
        raw, layout = [card(paths.raw_folder(suite.source.dataset))], grid.dataset(suite.source.dataset).layout
        code = [CORRUPTED_LAYOUTS.module(layout)]
    else:
        raw, layout = [], ""
        code = [CORRUPTIONS.module(kind) for kind in suite.kinds]
    return Job(
        "corrupt_dataset",
        folder,
        card(folder),
        inputs={**prepared(paths.data_folder(suite.dataset, suite.preparation), "test"), "raw": raw},
        settings={"suite": recipe, "layout": layout},
        code=code,
        names={"dataset": suite.dataset, "suite": name},
    )
