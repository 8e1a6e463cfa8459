"""Data sets of the project's own, each in the layout of a published one; one writer a file, named as `writer:` in YAML.

Each has write(root, *, seed, ...), whose further parameters are its options with their defaults.
"""
