"""Map where every student of one teacher, injection and data set looks, and how densely."""

from heirloom.runtime.script import run_stage
from heirloom.stages import map_attention

if __name__ == "__main__":
    run_stage(map_attention.run, snakemake)  # noqa: F821 - Snakemake defines it
