"""Train a clean teacher from random weights."""

from heirloom.runtime.script import run_stage
from heirloom.stages import pretrain_teacher

if __name__ == "__main__":
    run_stage(pretrain_teacher.run, snakemake)  # noqa: F821 - Snakemake defines it
