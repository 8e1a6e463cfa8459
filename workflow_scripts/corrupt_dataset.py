"""Corrupt a data set's test images once, for all models that are judged by them."""

from heirloom.runtime.script import run_stage
from heirloom.stages import corrupt_dataset

if __name__ == "__main__":
    run_stage(corrupt_dataset.run, snakemake)  # noqa: F821 - Snakemake defines it
