"""Look for a backdoor in an injected teacher by reversing a trigger for each class."""

from heirloom.runtime.script import run_stage
from heirloom.stages import detect_backdoor

if __name__ == "__main__":
    run_stage(detect_backdoor.run, snakemake)  # noqa: F821 - Snakemake defines it
