"""Layouts of corrupted test images of other data sets, which stand beside these and are not prepared; one a file.

Each has read(root, kinds=..., test=..., rows=...), described in _published.
"""
