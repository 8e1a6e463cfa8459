"""The study that the benchmark of scale draws: the same from the same seed, as large as asked, and one that plans."""

from __future__ import annotations

import platform

from benchmarks.scale import Taken, catalogue_of, first_of, python_told, shown, study_of

from heirloom.config.grid import Grid
from heirloom.config.study import Study
from heirloom.plan.plan import plan_of
from tests.workflow.project import SOURCE


def test_a_seed_draws_the_same_study_and_another_seed_another():
    assert study_of(60, 1) == study_of(60, 1)
    assert study_of(60, 1) != study_of(60, 2)


def test_a_drawn_study_is_valid_and_as_large_as_asked():
    grid = Grid(Study.model_validate(study_of(900, 0)), catalogue_of(SOURCE))
    jobs = plan_of(grid).of()
    assert 900 <= len(jobs) <= 1600
    assert {"train_student", "evaluate_students", "inject_defect"} <= {job.rule for job in jobs}


def test_a_study_so_small_that_no_students_are_drawn_has_an_experiment_to_plan():
    drawn = [study_of(1, seed) for seed in range(20)]
    assert any("experiments" not in study for study in drawn)
    assert all(first_of(study).startswith("part-") for study in drawn)


def test_the_python_is_told_with_its_speed_of_this_moment():
    name, _, speed = python_told(repeats=1).partition(", ")
    assert name == f"CPython {platform.python_version()}"
    assert 1 <= int(speed.split()[0]) < 60_000


def test_cpu_seconds_are_those_of_snakemake_and_of_what_it_started():
    taken = Taken(wall=9.0, own=2.0, started=3.0, memory=100.0, jobs=7)
    assert taken.processor == 5.0
    assert shown("plan", taken).split() == ["plan", "7", "9.0", "s", "2.0", "s", "3.0", "s", "100", "MiB"]
