"""Choose among students of several recipes the one that does best on validation images."""

from heirloom.runtime.script import run_stage
from heirloom.stages import select_student

if __name__ == "__main__":
    run_stage(select_student.run, snakemake)  # noqa: F821 - Snakemake defines it
