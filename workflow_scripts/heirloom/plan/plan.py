"""A study unfolded once: its jobs, and what rules, targets, tables, estimates and repairs ask of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from heirloom.config import paths
from heirloom.config.grid import Grid
from heirloom.plan.data import data_jobs
from heirloom.plan.job import Job
from heirloom.plan.robust import robust_jobs
from heirloom.plan.students import student_jobs
from heirloom.plan.tables import closing_jobs
from heirloom.plan.teachers import teacher_jobs
from heirloom.runtime.errors import ConfigError

FETCHING = ("download_dataset", "fetch_teacher", "fetch_robust")  # the rules that use the network


@dataclass(frozen=True)
class StudyPlan:
    """Every job of a study, what others are made from first; `grid`: the study and its catalogues, checked."""

    grid: Grid
    jobs: tuple[Job, ...]

    def job(self, rule: str, place: str) -> Job:
        """Return one job. Raises ConfigError where the study has no such job."""
        if (rule, place) not in self._by_place:
            raise ConfigError(f"the study {self.grid.study.name} has no job {rule} for {place}", mend="name its study")
        return self._by_place[rule, place]

    def of(self, *rules: str) -> list[Job]:
        """Return the jobs of some rules, rule by rule; without any, all that compute with data and models."""
        if not rules:
            return [job for job in self.jobs if job.names]
        return [job for rule in rules for job in self._by_rule.get(rule, ())]

    def needs(self, job: Job) -> Iterator[Job]:
        """Give the jobs whose files a job reads, each once."""
        seen = {id(job)}
        for file in job.files:
            maker = self.maker(file)
            if maker is not None and id(maker) not in seen:
                seen.add(id(maker))
                yield maker

    def maker(self, file: str) -> Job | None:
        """Return the job that makes a file; None for one that no job makes.

        People keep files of their own beside tables and figures; figures of an earlier version of the study stay as
        well. A path that climbs out of a folder (`..`), as only a forged card or receipt has one, is nobody's.
        """
        if file in self._by_file or ".." in file.split("/"):
            return self._by_file.get(file)
        folder = file.rpartition("/")[0]
        while folder and folder not in self._by_folder:
            folder = folder.rpartition("/")[0]
        return self._by_folder.get(folder)

    def makes(self, path: Path) -> bool:
        """Tell whether a job makes a file, by its path from the project's folder."""
        return self.maker(path.as_posix()) is not None

    def targets(self, experiment: str) -> list[str]:
        """Return the files that one experiment asks for; one that several share stands with each of them."""
        return [job.output for job in self.jobs if experiment in job.experiments]

    @property
    def downloads(self) -> list[str]:
        """Cards of all that a study may fetch from elsewhere: once they are there, no job uses the network."""
        return [job.output for job in self.of(*FETCHING)]

    @property
    def folders(self) -> list[Path]:
        """The folders below which a study's jobs write."""
        return [Path(paths.SHARED), Path(paths.RESULTS) / self.grid.study.name]

    def in_order(self, files: Sequence[Path]) -> list[list[str]]:
        """Sort files into runs of their own, what others are made from first.

        Once the content of a damaged file is back, nothing downstream has changed; within one run Snakemake would not
        see that.
        """
        groups: dict[int, list[str]] = {}
        for file in map(str, files):
            maker = self.maker(file)
            groups.setdefault(len(self.jobs) if maker is None else self._depth(maker), []).append(file)
        return [groups[depth] for depth in sorted(groups)]

    def _depth(self, job: Job) -> int:
        """Return how many jobs lie behind a job, in the longest chain."""
        key = (job.rule, job.place)
        if key not in self._depths:
            self._depths[key] = 1 + max(map(self._depth, self.needs(job)), default=0)
        return self._depths[key]

    @cached_property
    def _depths(self) -> dict[tuple[str, str], int]:
        return {}

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str], Job]:
        return {(job.rule, job.place): job for job in self.jobs}

    @cached_property
    def _by_rule(self) -> Mapping[str, list[Job]]:
        found: dict[str, list[Job]] = {}
        for job in self.jobs:
            found.setdefault(job.rule, []).append(job)
        return found

    @cached_property
    def _by_file(self) -> Mapping[str, Job]:
        return {file: job for job in self.jobs for file in (job.output, *job.beside)}

    @cached_property
    def _by_folder(self) -> Mapping[str, Job]:
        """Jobs that have a folder to themselves."""
        return {job.place: job for job in self.jobs if job.names}


def plan_of(grid: Grid) -> StudyPlan:
    """Unfold a study."""
    jobs = (*data_jobs(grid), *teacher_jobs(grid), *student_jobs(grid), *robust_jobs(grid))
    opened = StudyPlan(grid, jobs)
    return StudyPlan(grid, (*jobs, *closing_jobs(grid, opened.of)))
