"""Interpolate between a robust model and its fine-tuned modules, and keep the best by validation."""

from heirloom.runtime.script import run_stage
from heirloom.stages import interpolate_module

if __name__ == "__main__":
    run_stage(interpolate_module.run, snakemake)  # noqa: F821 - Snakemake defines it
