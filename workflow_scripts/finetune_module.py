"""Fine-tune chosen modules of a robust model on clean images."""

from heirloom.runtime.script import run_stage
from heirloom.stages import finetune_module

if __name__ == "__main__":
    run_stage(finetune_module.run, snakemake)  # noqa: F821 - Snakemake defines it
