"""Judge one robust model, before or after a repair, on clean, attacked and corrupted test images."""

from heirloom.runtime.script import run_stage
from heirloom.stages import evaluate_robust

if __name__ == "__main__":
    run_stage(evaluate_robust.run, snakemake)  # noqa: F821 - Snakemake defines it
