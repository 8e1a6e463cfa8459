"""Summarise a study over seeds and compare each model with its control."""

from heirloom.runtime.script import run_stage
from heirloom.stages import summarise

if __name__ == "__main__":
    run_stage(summarise.run, snakemake)  # noqa: F821
