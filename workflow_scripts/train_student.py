"""Train one student by one transfer method from a clean or infected teacher."""

from heirloom.runtime.script import run_stage
from heirloom.stages import train_student

if __name__ == "__main__":
    run_stage(train_student.run, snakemake)  # noqa: F821 - Snakemake defines it
