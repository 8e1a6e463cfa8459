"""Read a robust model that somebody else trained."""

from heirloom.runtime.script import run_stage
from heirloom.stages import fetch_robust

if __name__ == "__main__":
    run_stage(fetch_robust.run, snakemake)  # noqa: F821 - Snakemake defines it
