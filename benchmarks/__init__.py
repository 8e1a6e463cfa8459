"""Measurements of this project's code against straightforward versions of the same."""
