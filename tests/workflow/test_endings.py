"""Runs that are asked to end, killed, or started twice: the same command finishes with the same bytes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.workflow.faults import CHECKPOINT, STUDENT, STUDENT_LOG, finishes, held, jobs_in, ran, told, wait_for
from tests.workflow.project import Project

pytestmark = pytest.mark.faults

CARD = f"{STUDENT}/card.json"
SNAKEMAKE = ("-m", "snakemake", CARD, "--cores", "2", "--configfile", "study/tiny.yaml")
HEIRLOOM = ("-m", "heirloom", "run", CARD, "--study", "study/tiny.yaml", "--cores", "2")


def log(project: Project) -> str:
    return (project.folder / STUDENT_LOG).read_text()


def kept_iterations(project: Project) -> int:
    """Iterations that the student's checkpoint holds."""
    content = torch.load(project.folder / STUDENT / CHECKPOINT, weights_only=True)["content"]
    return int(content["iteration"])


@pytest.mark.parametrize(
    ("command", "ask", "number"),
    [
        (SNAKEMAKE, os.killpg, signal.SIGTERM),
        (HEIRLOOM, os.kill, signal.SIGTERM),
        (HEIRLOOM, os.killpg, signal.SIGINT),
    ],
    ids=["the group of snakemake", "heirloom alone", "Ctrl-C"],
)
def test_a_training_asked_to_end_keeps_its_last_step(
    project: Project, command: tuple[str, ...], ask: Callable[[int, int], None], number: int
) -> None:
    """SLURM, systemd and timeout ask every process of a job; kill, docker and Kubernetes ask the first one alone."""
    before = project.digests()
    with held(project, *command) as run:
        ask(run.run.pid, number)
        wait_for(lambda: "asked to end" in log(project))
        assert run.go_on() != 0
    assert "writing a checkpoint first" in log(project)
    assert kept_iterations(project) == 1
    assert not jobs_in(project)
    finished = finishes(project.call(*command))
    assert ran(finished) == {"train_student"}
    assert "continuing" in log(project)
    assert project.digests() == before
    assert project.plan() == []


def test_a_killed_snakemake_leaves_a_lock_and_loses_nothing(project: Project) -> None:
    before = project.digests()
    with held(project, *SNAKEMAKE) as run:
        os.kill(run.run.pid, signal.SIGKILL)
        wait_for(lambda: "asked to end" in log(project))  # the guardian of the orphan
        run.go_on()
    wait_for(lambda: not jobs_in(project), seconds=30)
    refused = project.call(*SNAKEMAKE)
    assert refused.returncode != 0
    assert "--unlock" in told(refused)
    finishes(project.call(*SNAKEMAKE, "--unlock"))
    assert ran(finishes(project.call(*SNAKEMAKE))) == {"train_student"}
    assert "continuing" in log(project)
    assert project.digests() == before
    assert project.plan() == []


def test_a_second_snakemake_is_refused_and_disturbs_nothing(project: Project) -> None:
    before = project.digests()
    with held(project, *SNAKEMAKE) as run:
        for command in (SNAKEMAKE, HEIRLOOM):
            refused = project.call(*command)
            assert refused.returncode != 0
            words = "Directory cannot be locked" if command is SNAKEMAKE else "a snakemake is at work in this folder"
            assert words in told(refused)
            assert "Traceback" not in told(refused)
        assert run.go_on() == 0
    assert not Path(project.folder / STUDENT / CHECKPOINT).exists()
    assert project.digests() == before
    assert project.plan() == []
