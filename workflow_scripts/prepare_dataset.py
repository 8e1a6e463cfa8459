"""Decode a data set once: square uint8 arrays with an index, split into train, validation and test."""

from heirloom.runtime.script import run_stage
from heirloom.stages import prepare_dataset

if __name__ == "__main__":
    run_stage(prepare_dataset.run, snakemake)  # noqa: F821
