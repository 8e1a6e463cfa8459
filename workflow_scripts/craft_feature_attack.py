"""Craft the feature attack on a teacher, once for all students it will be shown to."""

from heirloom.runtime.script import run_stage
from heirloom.stages import craft_feature_attack

if __name__ == "__main__":
    run_stage(craft_feature_attack.run, snakemake)  # noqa: F821 - Snakemake defines it
