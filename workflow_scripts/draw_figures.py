"""Draw a study's summary."""

from heirloom.runtime.script import run_stage
from heirloom.stages import draw_figures

if __name__ == "__main__":
    run_stage(draw_figures.run, snakemake)  # noqa: F821
