"""Train a robust model from random weights."""

from heirloom.runtime.script import run_stage
from heirloom.stages import train_robust

if __name__ == "__main__":
    run_stage(train_robust.run, snakemake)  # noqa: F821 - Snakemake defines it
