"""Defences as jobs: what a detector and what it tells depend on, and what stands in the tables."""

from __future__ import annotations

from collections import Counter

import pytest

from heirloom.runtime.files import read_card, read_table
from tests.workflow.project import Project, new_project

pytestmark = pytest.mark.slow

STUDY = "study/defences.yaml"
SUMMARY = "results/tiny-defences/tables/summary.parquet"
PLACE = "results/tiny-defences/{}/tiny-objects/{}/signs/{}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    project = new_project(tmp_path_factory.mktemp("defences") / "project", STUDY)
    done = project.snakemake(SUMMARY)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_a_detector_looks_once_at_each_teacher_and_at_no_test_image(tmp_path):
    fresh = new_project(tmp_path / "project", STUDY)
    fresh.change_study(seeds=[1, 2])
    jobs = [job for job in fresh.plan() if job.rule in {"detect_backdoor", "train_student"}]
    assert Counter(job.rule for job in jobs) == {"detect_backdoor": 2, "train_student": 12}
    assert not [path for job in jobs for path in job.inputs if "/test/" in path]
    looking = [job for job in jobs if "/detections/" in " ".join(job.inputs)]
    assert {job.wildcards["method"] for job in looking} == {"unlearned"}
    for job in looking:
        assert all(job.wildcards["injection"] in path for path in job.inputs if "/detections/" in path)


def test_a_line_of_a_detector_concerns_what_unlearns_by_it_and_no_other_student(finished, tmp_path):
    project = finished.copy(tmp_path / "project")
    project.append("workflow_scripts/heirloom/defences/detectors/neural_cleanse/search.py", "\nEDITED = 1\n")
    jobs = project.plan(SUMMARY)
    assert {job.rule for job in jobs} == {
        "detect_backdoor",
        "train_student",
        "evaluate_students",
        "collect_measurements",
        "summarise",
    }
    assert {job.wildcards["method"] for job in jobs if job.rule == "train_student"} == {"unlearned"}


def test_the_teacher_and_its_control_stand_in_the_tables_with_their_scores(finished):
    cards = {
        injection: read_card(finished.folder / PLACE.format("detections", injection, "cleanse/card.json"))
        for injection in ("signs-backdoor", "signs-clean")
    }
    rows = [row for row in read_table(finished.folder / SUMMARY).to_pylist() if row["metric"] == "detection_score"]
    found = {(row["injection"], row["condition"]): row for row in rows}
    assert found.keys() == {(name, condition) for name in cards for condition in ("cleanse", "cleanse:class 0")}
    for injection, card in cards.items():
        assert found[injection, "cleanse"]["mean"] == max(card["anomaly_indices"])
        assert found[injection, "cleanse:class 0"]["mean"] == card["anomaly_indices"][0]
    infected = found["signs-backdoor", "cleanse"]
    assert infected["control"] == found["signs-clean", "cleanse"]["mean"]
    page = (finished.folder / SUMMARY.replace(".parquet", ".html")).read_text()
    assert "the largest anomaly index that cleanse finds among the classes is" in page


def test_defended_students_stand_beside_each_other_with_their_facts(finished):
    rows = read_table(finished.folder / SUMMARY).to_pylist()
    methods = {row["method"] for row in rows if row["metric"] == "targeted_success"}
    assert methods == {"teacher", "tuned", "pruned", "unlearned"}
    card = read_card(finished.folder / PLACE.format("students", "signs-backdoor", "unlearned/seed1/card.json"))
    looked = read_card(finished.folder / PLACE.format("detections", "signs-backdoor", "cleanse/card.json"))
    assert card["unlearned_class"] == looked["suspect"]
    assert looked["teacher"] == card["teacher"]
