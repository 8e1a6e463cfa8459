"""Measure the robust criticality of every module of a robust model."""

from heirloom.runtime.script import run_stage
from heirloom.stages import measure_criticality

if __name__ == "__main__":
    run_stage(measure_criticality.run, snakemake)  # noqa: F821 - Snakemake defines it
