"""Draw what each defect of a study looks like."""

from heirloom.runtime.script import run_stage
from heirloom.stages import draw_contact_sheets

if __name__ == "__main__":
    run_stage(draw_contact_sheets.run, snakemake)  # noqa: F821
