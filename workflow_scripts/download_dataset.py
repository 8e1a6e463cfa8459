"""Bring a published data set from a user's folder or its owner's page, unpacked and unchanged."""

from heirloom.runtime.script import run_stage
from heirloom.stages import download_dataset

if __name__ == "__main__":
    run_stage(download_dataset.run, snakemake)  # noqa: F821
