"""Killed and damaged runs: the same command finishes, with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.workflow.faults import STUDENT, STUDENT_LOG, jobs_in, started, wait_for

LONGER = "training: {iterations: 150, batch_size: 16, learning_rate: 0.011, threads: 1}"
USUAL = "training: {iterations: 15, batch_size: 16, learning_rate: 0.01, threads: 1}"


def wait_for_checkpoint(project):
    wait_for((project.folder / STUDENT / ".checkpoint.pt").exists)


def student_log(project):
    return (project.folder / STUDENT_LOG).read_text()


@pytest.fixture
def longer(project):
    """A finished study whose fine-tuned students have to be trained anew, with many checkpoints."""
    project.edit("study/tiny.yaml", USUAL, LONGER)
    project.change_study(checkpoint_seconds=0.05)
    return project


def test_a_killed_training_continues_to_the_same_bytes(longer, tmp_path):
    calm = longer.copy(tmp_path / "calm")
    assert calm.snakemake(f"{STUDENT}/card.json").returncode == 0
    run = started(longer, "-m", "snakemake", f"{STUDENT}/card.json", "--cores", "1", "--configfile", "study/tiny.yaml")
    wait_for_checkpoint(longer)
    for job in jobs_in(longer):
        job.kill()
    assert run.wait(60) != 0
    assert not (longer.folder / STUDENT / "weights.safetensors").exists()
    done = longer.snakemake(f"{STUDENT}/card.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "continuing" in student_log(longer)
    assert "continuing" not in student_log(calm)
    for name in ("weights.safetensors", "history.parquet", "card.json"):
        assert (longer.folder / STUDENT / name).read_bytes() == (calm.folder / STUDENT / name).read_bytes()
    assert not (longer.folder / STUDENT / ".checkpoint.pt").exists()


@pytest.mark.faults
def test_a_killed_run_takes_its_jobs_along_and_the_same_command_finishes(longer, tmp_path):
    calm = longer.copy(tmp_path / "calm")
    assert calm.heirloom("run").returncode == 0
    run = started(longer, "-m", "heirloom", "run", "--study", "study/tiny.yaml", "--cores", "2")
    wait_for_checkpoint(longer)
    for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children()]:
        process.send_signal(signal.SIGKILL)
    run.wait(10)
    wait_for(lambda: not jobs_in(longer), seconds=10)
    done = longer.heirloom("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert longer.digests() == calm.digests()
    assert longer.plan() == []


@pytest.mark.faults
def test_after_snakemake_alone_was_killed_the_same_command_finishes(longer):
    """As the kernel does where memory runs out: what `make results` started is gone, and Snakemake's own lock stays."""
    run = started(longer, "-m", "heirloom", "run", f"{STUDENT}/card.json", "--study", "study/tiny.yaml", "--cores", "2")
    wait_for_checkpoint(longer)
    psutil.Process(run.pid).children()[0].kill()
    assert run.wait(30) != 0
    wait_for(lambda: not jobs_in(longer), seconds=10)
    assert list((longer.folder / ".snakemake/locks").iterdir())
    done = longer.heirloom("run", f"{STUDENT}/card.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "continuing" in student_log(longer)


def test_two_runs_at_once_are_refused_with_words(longer):
    first = started(longer, "-m", "heirloom", "run", "--study", "study/tiny.yaml", "--cores", "2")
    wait_for((longer.folder / "results/.locks/run.started").exists)
    second = longer.heirloom("run")
    assert second.returncode == 1
    assert "another run holds" in second.stderr
    assert first.wait(120) == 0


def test_a_stage_stops_at_a_damaged_input_and_says_what_to_do(project):
    images = project.folder / "results/shared/data/signs/tiny/development/images.npy"
    os.truncate(images, images.stat().st_size - 1)
    project.edit("study/tiny.yaml", "learning_rate: 0.05", "learning_rate: 0.04")
    stopped = project.snakemake()
    assert stopped.returncode != 0
    assert "images.npy is damaged: delete it and run again" in stopped.stdout + stopped.stderr
    assert (project.folder / STUDENT / "weights.safetensors").exists()


def test_a_missing_picture_stops_its_job_and_is_named(project):
    raw = project.folder / "results/shared/data/signs/raw/files"
    victim = sorted(raw.rglob("*.ppm"))[0]
    victim.unlink()
    project.edit(
        "study/datasets.yaml", "tiny: {size: 26, crop: 24, fit: stretch", "tiny: {size: 27, crop: 24, fit: stretch"
    )
    stopped = project.snakemake("--keep-going")
    assert stopped.returncode != 0
    assert victim.name in stopped.stdout + stopped.stderr
    assert not list((project.folder / "results/shared/data/signs/tiny").rglob(".*partial"))
