"""Attacked models as jobs: nothing that trains sees a test image, substitutes craft once, the tables hold all."""

from __future__ import annotations

from collections import Counter

import pytest

from heirloom.runtime.files import read_card, read_table
from tests.workflow.project import Project, new_project

STUDY = "study/fpd.yaml"
MODELS = {"signs-plain", "signs-fpd", "signs-fpd-at"}
SEEDS = ("1", "2")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The jobs of the study where nothing has been computed."""
    return new_project(tmp_path_factory.mktemp("planned") / "project", STUDY).plan()


@pytest.fixture(scope="module")
def finished(finish) -> Project:
    return finish(STUDY)


@pytest.fixture
def results(finished):
    return finished.folder / "results/tiny-fpd"


def test_no_training_sees_a_test_file(planned):
    trained = [job for job in planned if job.rule == "train_robust"]
    assert {job.wildcards["model"] for job in trained} == MODELS
    for job in trained:
        assert job.inputs
        assert not [path for path in job.inputs if "/test/" in path or "attacked" in path], job


def test_a_model_starts_from_the_weights_of_the_same_seed(planned):
    starts = {
        job.wildcards["seed"]: [path for path in job.inputs if "/robust/" in path]
        for job in planned
        if job.rule == "train_robust" and job.wildcards["model"] == "signs-fpd-at"
    }
    assert starts == {
        seed: [f"results/shared/robust/signs-fpd/seed{seed}/{name}" for name in ("card.json", "weights.safetensors")]
        for seed in SEEDS
    }


def test_each_model_meets_each_suite_in_one_job_and_a_substitute_crafts_once_for_all(planned):
    attacked = [job for job in planned if job.rule == "attack_model"]
    boxes = Counter((job.wildcards["box"], job.wildcards["model"], job.wildcards["suite"]) for job in attacked)
    own = {("white-box", model, suite): 2 for model in MODELS for suite in ("weak", "adaptive")}
    assert boxes == own | {("black-box", "signs-plain", "weak"): 2}
    (shown,) = [job for job in attacked if job.wildcards["box"] == "black-box" and job.wildcards["seed"] == "1"]
    folders = {path.split("/")[3] for path in shown.inputs if "/robust/" in path}
    assert folders == MODELS


def test_the_full_study_plans_every_model_suite_and_seed(tmp_path):
    project = new_project(tmp_path / "project", "config/studies/fpd.yaml")
    jobs = project.plan()
    counted = Counter(job.rule for job in jobs)
    trained = {job.wildcards["model"] for job in jobs if job.rule == "train_robust"}
    assert counted["train_robust"] == 3 * len(trained) == 99
    assert {name.split("-")[0] for name in trained} == {"mnist", "svhn", "caltech101", "caltech256"}
    assert counted["download_dataset"] == 4
    boxes = Counter(job.wildcards["box"] for job in jobs if job.rule == "attack_model")
    assert boxes["black-box"] == 3 * 8  # three substitutes of MNIST and SVHN each, one of each Caltech set
    assert not [path for job in jobs if job.rule == "train_robust" for path in job.inputs if "/test/" in path]


@pytest.mark.slow
def test_the_tables_hold_every_model_under_every_attack_once(results):
    rows = read_table(results / "tables/measurements.parquet").to_pylist()
    assert {(row["teacher"], row["injection"]) for row in rows} == {("none", "none")}
    robust = [row for row in rows if row["metric"] == "robust_accuracy" and row["experiment"] == "defended"]
    found = Counter((row["method"], row["attack"], row["condition"]) for row in robust)
    assert found == {(model, attack, ""): 2 for model in MODELS for attack in ("fgsm", "pgd", "pgd-raw", "square")}
    shown = [row for row in rows if row["experiment"] == "transferred" and row["condition"]]
    assert {(row["method"], row["attack"], row["condition"]) for row in shown} == {
        (model, attack, "from-signs-plain") for model in MODELS - {"signs-plain"} for attack in ("fgsm", "pgd")
    }
    assert {row["count"] for row in robust if row["attack"] == "pgd-raw"} == {10}
    assert all(row["credible"] is None for row in shown)


@pytest.mark.slow
def test_only_models_that_restore_have_an_error_of_restoration(results):
    rows = read_table(results / "tables/measurements.parquet").to_pylist()
    errors = [row for row in rows if row["metric"] == "reconstruction_error"]
    assert {row["method"] for row in errors} == {"signs-fpd", "signs-fpd-at"}
    assert {row["attack"] for row in errors} == {"none", "fgsm", "pgd", "pgd-raw", "square"}
    assert all(0 < row["value"] < 10_000 for row in errors)


@pytest.mark.slow
def test_every_model_is_compared_with_the_plain_one_attack_by_attack(results):
    rows = read_table(results / "tables/comparisons.parquet").to_pylist()
    models = [row for row in rows if row["baseline"] != row["method"]]
    assert {row["baseline"] for row in models} == {"signs-plain"}
    assert {row["method"] for row in models} == MODELS - {"signs-plain"}
    attacks = [row for row in rows if row["baseline_attack"] != row["attack"]]
    assert {row["baseline_attack"] for row in attacks} == {"fgsm"}
    assert {row["attack"] for row in attacks} == {"pgd", "pgd-raw", "square"}
    summary = read_table(results / "tables/summary.parquet").to_pylist()
    assert {row["verdict"] for row in summary} == {"no_target"}


@pytest.mark.slow
def test_the_report_shows_the_questions_and_the_figures(results):
    page = (results / "report.html").read_text()
    assert "Does a pyramid withstand what its plain twin does not?" in page
    for name in ("robustness", "strength", "restored"):
        assert (results / f"figures/{name}.png").stat().st_size > 10_000
        assert name.capitalize() in page


@pytest.mark.slow
def test_the_card_keeps_the_pictures_that_the_figure_shows(results):
    card = read_card(results / "attacked/white-box/signs-fpd/weak/seed1/card.json")
    assert [each["condition"] for each in card["pictures"]] == ["none", "fgsm"]
    assert all(len(each["samples"]) == 2 and each["restores"] for each in card["pictures"])
    assert read_card(results / "attacked/black-box/signs-plain/weak/seed1/card.json")["pictures"] == []


@pytest.mark.slow
def test_a_finished_study_has_nothing_to_do_and_an_attack_reruns_its_own_suite(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    assert project.rules() == set()
    project.edit("study/attacks.yaml", "pgd-raw: {kind: pgd, epsilon: 8/255", "pgd-raw: {kind: pgd, epsilon: 6/255")
    jobs = project.plan()
    attacked = [job for job in jobs if job.rule == "attack_model"]
    assert {(job.wildcards["box"], job.wildcards["suite"]) for job in attacked} == {("white-box", "adaptive")}
    assert len(attacked) == len(MODELS) * 2
    assert "train_robust" not in {job.rule for job in jobs}


@pytest.mark.slow
def test_a_new_experiment_with_the_same_suites_attacks_nothing_again(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    asked = project.study()["attack_experiments"]
    again = {"question": "Again?", "models": ["signs-fpd"], "suites": ["adaptive"]}
    project.change_study(attack_experiments=asked | {"again": again})
    assert not project.rules() & {"train_robust", "attack_model"}
