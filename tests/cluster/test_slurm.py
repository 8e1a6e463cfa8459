"""The shipped SLURM profile on a real SLURM: what jobs ask for, how a killed one is sent again, and the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from heirloom.config.resources import NEEDS
from tests.cluster.slurm import GPU_MODEL, Slurm
from tests.workflow.project import SOURCE, Project, new_project

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]

PROFILE = "profiles/slurm"
RESOURCES = "workflow_scripts/heirloom/config/resources.py"
MEASUREMENTS = "results/tiny/tables/measurements.parquet"
FEW_MB = 500  # less than what Snakemake, Python and torch hold together
COLUMNS = ("JobId", "Comment", "Partition", "JobState", "TresPerJob", "NumCPUs", "MinMemoryNode", "TimeLimit")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Submitted:
    """A study that was computed through SLURM, and what the controller knows of its jobs."""

    project: Project
    rows: Sequence[Row]
    expected: Set[str]  # rules that were planned; for those of a group, the group
    node_log: str

    def sent_as(self, row: Row) -> str:
        """Rule or group of a job; wildcards, or the rules of the group, follow it in the comment."""
        return max((name for name in self.expected if f"{row['Comment']}_".startswith(f"rule_{name}_")), key=len)

    def of(self, rule: str) -> list[Row]:
        """Jobs of a rule (or group, whose rules follow its name), oldest first."""
        return [row for row in self.rows if f"{row['Comment']}_".startswith(f"rule_{rule}_")]


def small(folder: Path) -> Project:
    """The tiny study with one method and without pictures of attention: every kind of job, few of each."""
    project = new_project(folder)
    study = project.study()
    experiment = study["experiments"]["same-data-set"] | {"methods": ["fine-tuning"], "attention": None}
    methods = {"fine-tuning": study["methods"]["fine-tuning"]}
    project.change_study(methods=methods, experiments={"same-data-set": experiment})
    return project


def submit(slurm: Slurm, plugins: Path, project: Project) -> subprocess.CompletedProcess[str]:
    """Run the study through the profile as a user does; only the status is asked for sooner, and without a database."""
    environment = project.environment() | slurm.variables
    environment["PYTHONPATH"] += f":{plugins}"
    stand_in = ["--slurm-init-seconds-before-status-checks", "2", "--slurm-status-command", "squeue"]
    model = ["--set-resources", f"pretrain_teacher:gpu_model={GPU_MODEL}"]
    return subprocess.run(
        project.python(
            *("-m", "snakemake", "--workflow-profile", PROFILE, "--configfile", project.study_file),
            *stand_in,
            *model,
        ),
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3000,
        check=False,
    )


@pytest.fixture(scope="module")
def submitted(slurm: Slurm, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    """The tiny study through SLURM; its students ask for too little memory at first."""
    project = small(tmp_path_factory.mktemp("submitted") / "project")
    usual = f'"train_student": Need(gpu=1, mem_mb={NEEDS["train_student"].mem_mb}'
    project.edit(RESOURCES, usual, f'"train_student": Need(gpu=1, mem_mb={FEW_MB}')
    groups = yaml.safe_load((project.folder / PROFILE / "profile.yaml").read_text())["groups"]
    expected = {groups.get(job.rule, job.rule) for job in project.plan()}
    done = submit(slurm, plugins, project)
    rows = slurm.jobs()
    print(table(rows))
    assert done.returncode == 0, done.stdout + slurm.logs()
    return Submitted(project, rows, expected, (slurm.folder / "slurmd.log").read_text())


def table(rows: Sequence[Row]) -> str:
    """The proof, for people: what scontrol says of each job."""
    cells = [COLUMNS, *(tuple(row.get(column, "-") for column in COLUMNS) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n" + "\n".join(line.rstrip() for line in lines)


def test_exactly_the_jobs_of_rules_that_can_use_a_gpu_ask_for_one_and_run_where_there_is_one(
    submitted: Submitted,
) -> None:
    assert {submitted.sent_as(row) for row in submitted.rows} == submitted.expected
    for row in submitted.rows:
        name = submitted.sent_as(row)
        uses_gpu = name in NEEDS and NEEDS[name].gpu > 0
        named = {field: value for field, value in row.items() if "TRES" in field.upper() and "gpu" in value}
        assert bool(named) == uses_gpu, (row["Comment"], named)
        assert row["Partition"] == ("gpu" if uses_gpu else "cpu"), row["Comment"]


def test_a_gpu_job_asks_for_one_gpu_and_for_the_model_it_is_told(submitted: Submitted) -> None:
    for row in submitted.rows:
        model = f"{GPU_MODEL}:" if submitted.sent_as(row) == "pretrain_teacher" else ""
        assert row.get("TresPerJob", f"gres:gpu:{model}1") == f"gres:gpu:{model}1"


def test_a_job_asks_for_the_memory_and_time_of_its_rule(submitted: Submitted) -> None:
    for rule in ("prepare_dataset", "inject_defect"):
        need = NEEDS[rule]
        for row in submitted.of(rule):
            assert row["TimeLimit"] == f"{need.runtime // 60:02d}:{need.runtime % 60:02d}:00"
            assert row["MinMemoryNode"] in (f"{need.mem_mb}M", f"{need.mem_mb / 1024:g}G")


def test_a_job_that_is_killed_for_its_memory_is_sent_again_with_twice_as_much(submitted: Submitted) -> None:
    attempts: dict[str, list[Row]] = {}
    for row in submitted.of("train_student"):
        attempts.setdefault(row["Comment"], []).append(row)
    assert len(attempts) == 2
    for rows in attempts.values():
        assert len(rows) > 1
        assert rows[0]["MinMemoryNode"] == f"{FEW_MB}M"
        assert rows[1]["MinMemoryNode"] == f"{2 * FEW_MB}M"
        assert rows[1]["TimeLimit"] == "16:00:00"
        assert re.search(rf"\[{rows[0]['JobId']}\.\w+\] error: Exceeded job memory limit", submitted.node_log)
        assert rows[0]["JobState"] in ("FAILED", "OUT_OF_MEMORY")
        assert rows[-1]["JobState"] == "COMPLETED"


def test_the_small_jobs_at_the_end_are_one(submitted: Submitted) -> None:
    assert len(submitted.of("tables")) == 1
    assert submitted.of("summarise") == []
    assert (submitted.project.folder / "results/tiny/report.html").exists()


def test_the_measurements_are_those_of_a_local_run_byte_for_byte(submitted: Submitted, tmp_path: Path) -> None:
    local = small(tmp_path / "local")
    done = local.call("-m", "snakemake", "--cores", "2", "--configfile", local.study_file, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = (submitted.project.folder / MEASUREMENTS).read_bytes()
    assert measured == (local.folder / MEASUREMENTS).read_bytes()


def test_a_finished_study_is_finished_for_both_profiles(submitted: Submitted) -> None:
    assert submitted.project.plan() == []


def test_what_the_document_shows_of_sbatch_is_allowed_by_the_executor(plugins: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-k", "options_of_sbatch", "tests/unit/test_profiles.py"],
        cwd=SOURCE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(plugins)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
