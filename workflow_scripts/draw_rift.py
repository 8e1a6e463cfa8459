"""Draw the criticality of modules, and the way from robust models to fine-tuned ones."""

from heirloom.runtime.script import run_stage
from heirloom.stages import draw_rift

if __name__ == "__main__":
    run_stage(draw_rift.run, snakemake)  # noqa: F821 - Snakemake defines it
