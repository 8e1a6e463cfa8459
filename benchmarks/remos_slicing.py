"""ReMoS's slice of a ResNet-18: array sorts against a walk over every weight in Python.

`python -m benchmarks.remos_slicing` runs both in one process on the same weights and coverages, checks that they set
the same weights to 0, and prints what each took. It fails where they differ, or where the sorts take 2 % of the walk's
time or more.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch

from heirloom.config.models import Augmentation, Body, Normalisation
from heirloom.data.store import Part, index_table
from heirloom.models.classifier import Classifier, build_classifier, conv_weights
from heirloom.runtime.devices import compute
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import Lesson
from heirloom.transfer.plan import Assignment
from heirloom.transfer.scores.coverage.channels import Covered, coverage_scores, profile
from heirloom.transfer.slices import prune

GOAL = 0.02  # of the walk's time
Place = tuple[str, int, int, int, int]


def slice_by_sorts(model: Classifier, covered: Mapping[str, Covered], ratio: float) -> None:
    """Set the `ratio` lowest scored conv weights to 0 as a student's start does."""
    prune(model, coverage_scores(model, covered), ratio)


def slice_by_walks(model: Classifier, covered: Mapping[str, Covered], ratio: float) -> None:
    """The same weight by weight: collect every weight's figures in lists, sort these, set each chosen weight to 0."""
    places, uses, sizes = collected(model, covered)
    scores = [use - size for use, size in zip(ranked(uses), ranked(sizes), strict=True)]
    order = sorted(range(len(scores)), key=scores.__getitem__)
    weights = conv_weights(model)
    with torch.no_grad():
        for index in order[: int(ratio * len(scores))]:
            name, *place = places[index]
            weights[name][tuple(place)] = 0


def collected(model: Classifier, covered: Mapping[str, Covered]) -> tuple[list[Place], list[int], list[float]]:
    """List every conv weight's place, its two channels' coverage together and its absolute value, one by one."""
    places: list[Place] = []
    uses: list[int] = []
    sizes: list[float] = []
    for name, weight in conv_weights(model).items():
        inputs, outputs = (counts.tolist() for counts in covered[name])
        filters, width = weight.shape[:2]
        for out, kernels in enumerate(weight.tolist()):  # lists of floats: reading a tensor's items is slower still
            first = out // (filters * width // len(inputs)) * width  # of the group that the filter belongs to
            for channel, kernel in enumerate(kernels):
                for row, line in enumerate(kernel):
                    for column, value in enumerate(line):
                        places.append((name, out, channel, row, column))
                        uses.append(inputs[first + channel] + outputs[out])
                        sizes.append(abs(value))
    return places, uses, sizes


def ranked(values: Sequence[float]) -> list[int]:
    """Give each value the sum of its equals' first and last rank: twice their mean rank, a whole number."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for position in range(first, last + 1):
            ranks[order[position]] = first + last
        first = last + 1
    return ranks


def drawn_images(count: int, side: int) -> Part:
    """Draw smooth random images: what they show does not matter, that channels differ on them does."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, side // 8, side // 8, 3), dtype=np.uint8)
    images = coarse.repeat(8, axis=1).repeat(8, axis=2)
    texts = [str(row) for row in range(count)]
    columns = dict.fromkeys(("sample", "class_name", "group", "source"), texts)
    table = index_table({**columns, "label": [0] * count, "split": ["train"] * count}, {})
    return Part(images, np.arange(count), table, ("anything",), images.shape[1])


@contextmanager
def assigned(part: Part, threads: int) -> Iterator[Assignment]:
    """Give what a score is told, for a data set of one class."""
    lesson = Lesson(part, None, Augmentation(crop="none", flip=False))
    with TemporaryDirectory() as folder, compute(threads, "fp32") as resources:
        unused = Checkpoint(Path(folder), seconds=1e9, identity={})
        yield Assignment(lesson, 1, 0, resources, lambda _: unused)


def seconds_of(action: Callable[[], object]) -> float:
    """Run something once and return the wall time it took."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def sliced(
    model: Classifier,
    covered: Mapping[str, Covered],
    ratio: float,
    *,
    by: Callable[[Classifier, Mapping[str, Covered], float], None],
    repeats: int,
) -> tuple[float, Classifier]:
    """Slice copies of a model and return the median of the times, copying left out, with the last copy."""
    times = []
    for _ in range(repeats):
        copied = copy.deepcopy(model)
        times.append(seconds_of(lambda copied=copied: by(copied, covered, ratio)))  # type: ignore[misc]
    return median(times), copied


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where the slices differ or the goal is missed."""
    parser = argparse.ArgumentParser(description="ReMoS's slice by sorts and by walking over every weight")
    parser.add_argument("--body", default="resnet18", help="a body of heirloom.models.bodies")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the conv weights set to 0")
    parser.add_argument("--images", type=int, default=256, help="images of the profiling pass")
    parser.add_argument("--side", type=int, default=64, help="their side, pixels")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    given = parser.parse_args(arguments)
    model = build_classifier(Body(name=given.body), Normalisation(), classes=10, seed=0).eval()
    with assigned(drawn_images(given.images, given.side), given.threads) as assignment:
        model.to(assignment.compute.device)
        covered: dict[str, Covered] = {}
        profiling = seconds_of(lambda: covered.update(profile(model, 0.5, assignment)))
        ours, mine = sliced(model, covered, given.ratio, by=slice_by_sorts, repeats=5)
        theirs, walked = sliced(model, covered, given.ratio, by=slice_by_walks, repeats=1)
    count = sum(weight.numel() for weight in conv_weights(model).values())
    pairs = zip(conv_weights(mine).values(), conv_weights(walked).values(), strict=True)
    equal = all(torch.equal(one, other) for one, other in pairs)
    print(f"{given.body}, {count:,} conv weights, ratio {given.ratio:g}, {given.threads} threads\n")
    rows = [
        (f"profiling pass, {given.images} images of {given.side} pixels (shared)", profiling),
        ("slice by sorts (median of 5)", ours),
        ("slice weight by weight in Python (once)", theirs),
    ]
    for name, seconds in rows:
        print(f"{name:<58}{seconds:>10.2f} s")
    print(f"\nby sorts / weight by weight: {100 * ours / theirs:.2f} % (goal: under {100 * GOAL:g} %)")
    print("both set the same weights to 0" if equal else "the two slices DIFFER")
    return 0 if equal and ours < GOAL * theirs else 1


if __name__ == "__main__":
    sys.exit(main())
