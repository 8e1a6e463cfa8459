"""The estimate that is printed when a study starts; it informs, and never stops a run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from heirloom.config import paths
from heirloom.config.resources import gpus_visible
from heirloom.doctor.sources import estimate_of
from heirloom.doctor.wording import lines
from heirloom.plan.plan import StudyPlan
from heirloom.plan.rates import read_rates
from heirloom.runtime.machine import machine_name


def announce(plan: StudyPlan, *, planned: Iterable[str], cores: int | None) -> None:
    """Print the estimate of a study on stderr: jobs to run, disk, download, time on this machine.

    `planned`: outputs of the jobs that Snakemake will run. `cores` is None where the jobs are sent to other machines,
    whose speed nobody measured.
    """
    try:
        found = estimate_of(plan, planned)
        rates = read_rates(machine_name())
        texts = lines(found, rates, free=free_bytes(), cores=cores, gpus=gpus_visible())
        print("\n".join(f"heirloom: {text}" for text in texts), file=sys.stderr, flush=True)
    except Exception as error:  # whatever goes wrong here is no reason to stop a study
        print(f"heirloom: no estimate: {error}", file=sys.stderr, flush=True)


def free_bytes(folder: Path = Path(paths.RESULTS)) -> int:
    """Return the free space where the results go; the folder need not exist yet."""
    place = folder.absolute()
    existing = next(parent for parent in (place, *place.parents) if parent.exists())
    return shutil.disk_usage(existing).free
