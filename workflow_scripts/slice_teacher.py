"""Write a teacher as a pruning method leaves it before any fine-tuning."""

from heirloom.runtime.script import run_stage
from heirloom.stages import slice_teacher

if __name__ == "__main__":
    run_stage(slice_teacher.run, snakemake)  # noqa: F821 - Snakemake defines it
