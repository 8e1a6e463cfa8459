"""Gather what the jobs of a study took."""

from heirloom.runtime.script import run_stage
from heirloom.stages import collect_costs

if __name__ == "__main__":
    run_stage(collect_costs.run, snakemake)  # noqa: F821
