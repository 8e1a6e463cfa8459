"""Turn the predictions of a study into rates with their counts and intervals."""

from heirloom.runtime.script import run_stage
from heirloom.stages import collect_measurements

if __name__ == "__main__":
    run_stage(collect_measurements.run, snakemake)  # noqa: F821
