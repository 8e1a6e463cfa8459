"""Write a study's report."""

from heirloom.runtime.script import run_stage
from heirloom.stages import write_report

if __name__ == "__main__":
    run_stage(write_report.run, snakemake)  # noqa: F821
