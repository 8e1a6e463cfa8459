"""Draw a data set in the layout of a published one."""

from heirloom.runtime.script import run_stage
from heirloom.stages import render_dataset

if __name__ == "__main__":
    run_stage(render_dataset.run, snakemake)  # noqa: F821
