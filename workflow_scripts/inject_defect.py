"""Plant a defect in a clean teacher, or train its clean counterpart."""

from heirloom.runtime.script import run_stage
from heirloom.stages import inject_defect

if __name__ == "__main__":
    run_stage(inject_defect.run, snakemake)  # noqa: F821 - Snakemake defines it
