"""Draw where the models of one experiment look, on images chosen by rule."""

from heirloom.runtime.script import run_stage
from heirloom.stages import draw_attention

if __name__ == "__main__":
    run_stage(draw_attention.run, snakemake)  # noqa: F821 - Snakemake defines it
