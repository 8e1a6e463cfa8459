"""Predict the test images with every student of one teacher, injection and data set."""

from heirloom.runtime.script import run_stage
from heirloom.stages import evaluate_students

if __name__ == "__main__":
    run_stage(evaluate_students.run, snakemake)  # noqa: F821 - Snakemake defines it
