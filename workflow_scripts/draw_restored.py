"""Draw test images clean and attacked, beside what models restored of them."""

from heirloom.runtime.script import run_stage
from heirloom.stages import draw_restored

if __name__ == "__main__":
    run_stage(draw_restored.run, snakemake)  # noqa: F821 - Snakemake defines it
