"""Robust models as jobs: nothing that chooses sees a test image, one change reruns one branch, the tables hold all."""

from __future__ import annotations

from collections import Counter

import pytest

from heirloom.runtime.files import read_card, read_table
from tests.workflow.project import Project, new_project

STUDY = "study/rift.yaml"
TRAIN_OR_CHOOSE = {"train_robust", "measure_criticality", "finetune_module", "interpolate_module"}
METHODS = {"unrepaired", "ranked", "head"}


@pytest.fixture(scope="module")
def finished(finish) -> Project:
    return finish(STUDY)


@pytest.fixture
def results(finished):
    return finished.folder / "results/tiny-rift"


def test_nothing_that_trains_ranks_or_chooses_sees_a_test_file(tmp_path):
    jobs = new_project(tmp_path / "project", STUDY).plan()
    assert {job.rule for job in jobs} >= TRAIN_OR_CHOOSE
    for job in jobs:
        if job.rule in TRAIN_OR_CHOOSE:
            assert job.inputs
            assert not [path for path in job.inputs if "/test/" in path or "corruption" in path], job


def test_corrupted_images_are_made_once_for_all_models(tmp_path):
    jobs = Counter(job.rule for job in new_project(tmp_path / "project", STUDY).plan())
    assert jobs["corrupt_dataset"] == 1
    assert jobs["evaluate_robust"] == 2 * len(METHODS)
    assert jobs["train_robust"] == jobs["measure_criticality"] == 2


@pytest.mark.slow
def test_the_tables_hold_every_model_before_and_after(results):
    rows = read_table(results / "tables/measurements.parquet").to_pylist()
    assert {row["teacher"] for row in rows} == {"signs-robust"}
    assert {row["method"] for row in rows if row["metric"] == "accuracy"} == METHODS
    robust = [row for row in rows if row["metric"] == "robust_accuracy"]
    assert Counter((row["method"], row["seed"]) for row in robust) == dict.fromkeys(
        ((method, seed) for method in METHODS for seed in (1, 2)), 2
    )
    corrupted = {row["condition"]: row["count"] for row in rows if row["metric"] == "corruption_accuracy"}
    assert corrupted == {"all": 12, "gaussian-noise-3": 12, "contrast-3": 12}
    ranked = [row for row in rows if row["metric"] == "criticality"]
    assert {row["method"] for row in ranked} == {"unrepaired"}
    assert len({row["condition"] for row in ranked}) == 21


@pytest.mark.slow
def test_every_repair_is_compared_with_its_own_start_image_by_image(results):
    rows = read_table(results / "tables/comparisons.parquet").to_pylist()
    assert {row["baseline"] for row in rows} == {"unrepaired"}
    assert {row["method"] for row in rows} == METHODS - {"unrepaired"}
    assert {row["metric"] for row in rows} >= {"accuracy", "robust_accuracy", "corruption_accuracy"}
    assert {row["seeds"] for row in rows if row["metric"] == "accuracy"} == {2}


@pytest.mark.slow
def test_a_repair_fine_tunes_the_module_that_criticality_names(results):
    ranking = read_table(results / "criticality/signs-robust/seed1/criticality.parquet").to_pylist()
    lowest = min(ranking, key=lambda row: row["criticality"])["module"]
    card = read_card(results / "finetuned/signs-robust/ranked/seed1/card.json")
    assert lowest in str(card["candidates"])


@pytest.mark.slow
def test_the_report_shows_the_question_and_the_figures(results):
    page = (results / "report.html").read_text()
    assert "Does a repair cost robustness?" in page
    for name in ("criticality", "interpolation", "robustness"):
        assert (results / f"figures/{name}.png").stat().st_size > 10_000
        assert name.capitalize() in page


@pytest.mark.slow
def test_a_finished_study_has_nothing_to_do_and_a_tolerance_reruns_its_own_branch(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    assert project.rules() == set()
    project.edit("study/rift.yaml", "    alphas: [0, 0.5, 1]", "    tolerance: 0.5\n    alphas: [0, 0.5, 1]")
    jobs = Counter(job.rule for job in project.plan())
    assert jobs["interpolate_module"] == jobs["evaluate_robust"] == 2
    assert not jobs.keys() & {"train_robust", "measure_criticality", "finetune_module", "corrupt_dataset"}
