"""The plan follows the rules themselves: which files are a study's own, and the order of their repair."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from heirloom.config.grid import Grid
from heirloom.config.load import load_study
from heirloom.plan.plan import StudyPlan, plan_of
from tests.workflow.project import Job, Project, new_project

STUDIES = ("tiny", "transfer", "defences", "rift", "fpd")


@pytest.fixture(scope="module", params=STUDIES)
def planned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyPlan, list[Job]]:
    """A study that has not been run, and all its jobs."""
    file = f"study/{request.param}.yaml"
    project: Project = new_project(tmp_path_factory.mktemp("plan") / "project", file)
    study, catalogue = load_study(
        yaml.safe_load((project.folder / file).read_text()), project=project.folder, where=file
    )
    return plan_of(Grid(study, catalogue, project=project.folder)), project.plan()


def test_every_output_is_known_as_planned_and_nothing_else(planned: tuple[StudyPlan, list[Job]]) -> None:
    plan, jobs = planned
    assert {path for job in jobs for path in job.outputs if not plan.makes(Path(path))} == set()
    for name in ("tables/mine.csv", "figures/mine.png", "notes.txt", "tables/old/summary.csv"):
        assert not plan.makes(Path("results") / plan.grid.study.name / name)
    folders = {Path(path).parent for job in jobs for path in job.outputs}
    assert [folder for folder in folders if plan.makes(folder / "../../mine.txt")] == []


def test_nothing_is_made_again_before_what_it_is_made_from(planned: tuple[StudyPlan, list[Job]]) -> None:
    plan, jobs = planned
    files = sorted({Path(path) for job in jobs for path in (*job.inputs, *job.outputs) if path.startswith("results/")})
    place = {path: number for number, group in enumerate(plan.in_order(files)) for path in group}
    wrong = {
        (before, after)
        for job in jobs
        for before in job.inputs
        for after in job.outputs
        if before in place and place[before] > place[after]
    }
    assert wrong == set()


def test_what_stands_between_two_damaged_files_is_no_reason_to_make_it_again(
    planned: tuple[StudyPlan, list[Job]],
) -> None:
    """Within one run Snakemake makes everything again that lies between two files that it makes."""
    plan, jobs = planned
    makers = {path: job for job in jobs for path in job.outputs}
    wrong = {
        (before, job.outputs[0])
        for job in jobs
        for before in further_back(job, makers)
        if len(plan.in_order([Path(before), Path(job.outputs[0])])) == 1
    }
    assert wrong == set()


def further_back(job: Job, makers: dict[str, Job]) -> set[str]:
    """Files from which a job's inputs are made, directly or not."""
    behind = [makers[path] for path in job.inputs if path in makers]
    return {path for maker in behind for path in {*maker.inputs, *further_back(maker, makers)} if path in makers}
