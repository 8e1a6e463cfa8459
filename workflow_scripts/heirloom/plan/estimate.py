"""What a study will take before it starts: jobs, disk, download and the models' work, from its plan alone.

Work is counted in multiply-adds. Only a rate that was measured on this machine turns it into seconds
(heirloom.plan.rates).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from heirloom.config import robust_models
from heirloom.config.costs import measure_all
from heirloom.config.resources import NEEDS
from heirloom.plan.job import Job
from heirloom.plan.plan import StudyPlan
from heirloom.plan.takes import Accountant, ArrivalOf, Takes
from heirloom.runtime.recovery import missing_files


@dataclass(frozen=True)
class Estimate:
    """What a study's missing jobs take. `total`: all its jobs by rule, in the order of the pipeline."""

    study: str
    todo: tuple[tuple[Job, Takes], ...]
    total: Mapping[str, int]

    @property
    def jobs(self) -> dict[str, int]:
        """Jobs still to run by rule, in the order of the pipeline."""
        found = Counter(job.rule for job, _ in self.todo)
        return {rule: found[rule] for rule in self.total if found[rule]}

    @property
    def unknown(self) -> list[str]:
        """What could not be counted, and why."""
        return sorted({takes.unknown for _, takes in self.todo if takes.unknown})

    @property
    def disk(self) -> int:
        """Bytes that will be written, downloads included."""
        return sum(takes.disk + takes.download for _, takes in self.todo)

    @property
    def download(self) -> int:
        """Bytes to download."""
        return sum(takes.download for _, takes in self.todo)

    @property
    def macs(self) -> float:
        """Multiply-adds of all models."""
        return sum(load.macs for _, takes in self.todo for load in takes.loads)

    @property
    def mem_mb(self) -> int:
        """Memory that the largest job asks for, MiB."""
        return max((NEEDS[job.rule].mem_mb for job, _ in self.todo), default=0)


def estimate(plan: StudyPlan, *, arrival: ArrivalOf, planned: Iterable[str] | None = None) -> Estimate:
    """Estimate what a study still takes.

    `planned`: outputs of the jobs that will run. None: what is absent, and what depends on it; jobs whose recipe or
    code changed since are then not seen. Raises ConfigError for a body that cannot be measured.
    """
    if planned is None:
        gone = set(map(str, missing_files(plan.folders, is_planned=plan.makes)))
        todo = missing(plan, exists=os.path.exists, gone=gone)
    else:
        todo = set(planned)
    grid, accountant = plan.grid, Accountant(plan.grid, arrival)
    measure_all(map(grid.body, [*grid.teacher_names, *robust_models.models(grid)]))
    return Estimate(
        study=plan.grid.study.name,
        todo=tuple((job, accountant.takes(job)) for job in plan.jobs if job.output in todo),
        total=Counter(job.rule for job in plan.jobs),
    )


def missing(plan: StudyPlan, *, exists: Callable[[str], bool], gone: Container[str] = ()) -> set[str]:
    """Return the outputs that have to be made: targets that are absent, what these need, and what needs these.

    What is `gone` though it was made is a target. Another absent file that nobody needs any more is not made.
    """
    absent = {job.output: job for job in plan.jobs if not exists(job.output)}
    users: dict[str, list[Job]] = {}
    for job in plan.jobs:
        for need in plan.needs(job):
            users.setdefault(need.output, []).append(job)
    waiting = [job for job in absent.values() if job.is_asked_for or job.output in gone]
    todo: set[str] = set()
    while waiting:
        job = waiting.pop()
        if job.output in todo:
            continue
        todo.add(job.output)
        waiting += users.get(job.output, [])
        waiting += [need for need in plan.needs(job) if need.output in absent]
    return todo
