"""Attack one model with a suite, or show other models what a suite crafted on a substitute."""

from heirloom.runtime.script import run_stage
from heirloom.stages import attack_model

if __name__ == "__main__":
    run_stage(attack_model.run, snakemake)  # noqa: F821 - Snakemake defines it
