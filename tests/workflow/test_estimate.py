"""The estimate counts the jobs that Snakemake plans, and is printed once, when something starts."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from heirloom.config.load import read_yaml
from heirloom.config.workflow import open_grid
from heirloom.plan.estimate import estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.takes import Arrival

STUDENT = "results/tiny/students/tiny-objects/signs-clean/signs/fine-tuning/seed1/card.json"


def estimated(project):
    """Jobs by rule, by what exists in a project's folder."""
    before = Path.cwd()
    os.chdir(project.folder)
    try:
        file = Path("study/tiny.yaml")
        grid = open_grid(read_yaml(file), config_files=[file], project=project.folder)
        return estimate(plan_of(grid), arrival=lambda *_: Arrival(0, 0)).jobs
    finally:
        os.chdir(before)


def planned(project):
    return dict(Counter(job.rule for job in project.plan()))


def announced(output):
    return re.findall(r"^heirloom: +jobs +(.+)$", output, re.MULTILINE)


def test_all_jobs_of_a_fresh_study_are_counted(fresh):
    assert estimated(fresh) == planned(fresh)
    assert len(planned(fresh)) > 10


def test_nothing_is_left_of_a_finished_study(finished):
    assert estimated(finished) == planned(finished) == {}


@pytest.mark.parametrize(
    "gone", ["results/tiny/figures/attack_success.png", STUDENT, "results/tiny/tables/summary.parquet"]
)
def test_what_an_absent_file_takes_is_counted(project, gone):
    (project.folder / gone).unlink()
    assert estimated(project) == planned(project)


def test_a_chain_of_absent_files_is_counted(project):
    for gone in (STUDENT, "results/tiny/tables/summary.parquet", "results/shared/data/signs/tiny/card.json"):
        (project.folder / gone).unlink()
    assert estimated(project) == planned(project)


def test_a_plan_alone_announces_nothing(fresh):
    found = fresh.snakemake("-n")
    assert "estimate" not in found.stdout + found.stderr


def test_a_start_announces_what_snakemake_plans_and_nothing_when_nothing_is_to_do(project):
    project.edit("workflow_scripts/heirloom/stages/summarise.py", "def run(", "A_LINE = 1\n\n\ndef run(")
    assert announced(project.snakemake().stderr) == ["3 to run of 23 (1 summarise, 1 draw_figures, 1 write_report)"]
    assert "estimate" not in project.snakemake().stderr


def test_a_run_that_repairs_announces_once(project):
    table = project.folder / "results/tiny/tables/measurements.parquet"
    table.write_bytes(table.read_bytes()[:50])
    figure = project.folder / "results/tiny/figures/attack_success.png"
    figure.unlink()
    project.edit("study/tiny.yaml", "Does the trigger survive?", "Is the trigger still there?")
    done = project.heirloom("run")
    assert done.returncode == 0, done.stderr
    assert len(announced(done.stderr)) == 1
    assert figure.is_file()
