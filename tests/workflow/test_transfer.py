"""Attacks, slices and selections as jobs: what is computed once, what a further student costs, what is written."""

from __future__ import annotations

from collections import Counter

import pytest

from heirloom.runtime.files import read_card, read_table
from tests.workflow.project import Project, new_project

STUDY = "study/transfer.yaml"
TRAIN_OR_SELECT = {"pretrain_teacher", "train_student", "select_student", "slice_teacher"}
PLACE = "tiny-objects/none/signs"


@pytest.fixture(scope="module")
def finished(finish) -> Project:
    return finish(STUDY)


@pytest.fixture
def results(finished):
    return finished.folder / "results/tiny-transfer"


def jobs_of(project):
    return Counter(job.rule for job in project.plan())


def test_an_attack_is_crafted_once_however_many_students_see_it(tmp_path):
    fresh = new_project(tmp_path / "project", STUDY)
    few = jobs_of(fresh)
    fresh.change_study(seeds=[1, 2, 3, 4, 5])
    many = jobs_of(fresh)
    assert many["train_student"] == 5 * 3 > few["train_student"] == 2 * 3
    assert few["craft_feature_attack"] == many["craft_feature_attack"] == 2
    assert few["slice_teacher"] == many["slice_teacher"] == 1
    assert (few["attack_student"], many["attack_student"]) == (2, 5)


def test_nothing_that_trains_selects_or_slices_sees_a_test_file(tmp_path):
    jobs = [job for job in new_project(tmp_path / "project", STUDY).plan() if job.rule in TRAIN_OR_SELECT]
    assert {job.rule for job in jobs} == TRAIN_OR_SELECT
    assert all(job.inputs for job in jobs)
    assert not [path for job in jobs for path in job.inputs if "/test/" in path]


def test_a_finished_study_has_nothing_to_do_and_a_further_student_crafts_nothing(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    assert project.rules() == set()
    study = project.study()
    study["experiments"]["attacked"]["methods"] += ["slow"]
    project.change_study(**study)
    found = jobs_of(project)
    assert found["evaluate_students"] == 1
    assert not found.keys() & {"train_student", "craft_feature_attack", "slice_teacher", "attack_student"}


def test_a_line_of_one_score_concerns_its_own_students_and_slices_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    project.append("workflow_scripts/heirloom/transfer/scores/coverage/__init__.py", "\nEDITED = 1\n")
    trained = {job.wildcards.get("method") for job in project.plan() if job.rule in {"train_student", "slice_teacher"}}
    assert trained == {"remos"}


def test_a_line_of_an_attack_concerns_what_it_attacks_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    project.append("workflow_scripts/heirloom/attacks/algorithms/pgd.py", "\nEDITED = 1\n")
    assert {"attack_student", "collect_measurements"} <= project.rules()
    assert not project.rules() & {"train_student", "craft_feature_attack", "evaluate_students"}


def test_every_student_is_judged_under_every_condition_on_the_same_images(results):
    table = read_table(results / f"evaluations/{PLACE}/predictions.parquet").to_pylist()
    counts = Counter((row["method"], row["seed"], row["attack"]) for row in table)
    conditions = ("feature", "noise", "none", "slice-aware")
    expected = {(m, s, a) for m in ("fine-tuning", "remos", "chosen") for s in (1, 2) for a in conditions}
    assert counts.keys() == expected
    assert set(counts.values()) == {24}


def test_an_attack_on_a_student_takes_its_share_of_the_images(results):
    rows = read_table(results / f"white_box/{PLACE}/fine-tuning/seed1/predictions.parquet").to_pylist()
    assert {(row["method"], row["seed"], row["attack"]) for row in rows} == {("fine-tuning", 1, "pgd")}
    assert len(rows) == 10


def test_the_attacker_who_knows_the_slice_drives_another_model(results):
    card = read_card(results / f"slices/{PLACE}/remos/card.json")
    recipe = card["recipe"]
    assert (card["slice"], recipe["score"]["kind"], recipe["ratio"]) == ("remos", "coverage", 0.1)
    assert card["zero_conv_weights"] > 0
    cards = [read_card(results / f"attacks/{PLACE}/{name}/card.json") for name in ("feature", "slice-aware")]
    assert cards[0]["files"]["perturbations.npy"]["sha256"] != cards[1]["files"]["perturbations.npy"]["sha256"]


def test_a_selection_is_one_candidate_for_all_seeds(results):
    chosen = [read_card(results / f"students/{PLACE}/chosen/seed{seed}/card.json") for seed in (1, 2)]
    assert chosen[0]["selection"] == chosen[1]["selection"]
    accuracies = chosen[0]["selection"]["validation_accuracy"]
    winner = chosen[0]["selection"]["chosen"]
    assert accuracies[winner] == max(accuracies.values())
    for seed in (1, 2):
        own, copied = (results / f"students/{PLACE}/{name}/seed{seed}" for name in (winner, "chosen"))
        assert (own / "weights.safetensors").read_bytes() == (copied / "weights.safetensors").read_bytes()
