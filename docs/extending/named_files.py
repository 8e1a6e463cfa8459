"""A layout: all pictures in one folder called `pictures`, as <part>-<class>-<number>.png."""

from __future__ import annotations


def read(root):
    """List the data set found at or below a folder; every picture is a group of its own."""
    from heirloom.data.listing import Sample, find_folder, listing, pictures

    folder = find_folder(root, marks=("pictures",), title="named files") / "pictures"
    found = [(*path.stem.split("-")[:2], path) for path in pictures(folder, ".png")]
    labels = {name: label for label, name in enumerate(sorted({name for _, name, _ in found}))}
    samples = [Sample(path.stem, path, labels[name], part, path.stem) for part, name, path in found]
    return listing(labels, samples, [])
