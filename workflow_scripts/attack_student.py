"""Attack one student through its own gradients, on test images chosen by seed."""

from heirloom.runtime.script import run_stage
from heirloom.stages import attack_student

if __name__ == "__main__":
    run_stage(attack_student.run, snakemake)  # noqa: F821 - Snakemake defines it
