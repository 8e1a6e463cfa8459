"""Read a clean teacher that somebody else trained."""

from heirloom.runtime.script import run_stage
from heirloom.stages import fetch_teacher

if __name__ == "__main__":
    run_stage(fetch_teacher.run, snakemake)  # noqa: F821 - Snakemake defines it
