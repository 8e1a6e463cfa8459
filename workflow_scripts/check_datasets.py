"""Look at every prepared data set of a study before anything is concluded from it: one table of what they hold."""

from heirloom.runtime.script import run_stage
from heirloom.stages import check_datasets

if __name__ == "__main__":
    run_stage(check_datasets.run, snakemake)  # noqa: F821
