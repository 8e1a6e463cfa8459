"""Detectors and methods that keep the teacher's head: what is refused, with which words, and which jobs they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from heirloom.config.grid import Grid
from heirloom.config.load import load_study, read_yaml
from heirloom.config.records import Evaluation
from heirloom.plan.estimate import estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.takes import Arrival
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
RECIPE = {"iterations": 5, "learning_rate": 0.1}
INFECTED, CONTROL = (Evaluation("narrow-objects", name, "signs") for name in ("signs-backdoor", "signs-clean"))


@pytest.fixture
def content():
    """A study of defences of quickstart's infected teacher."""
    return {
        "name": "defended",
        "title": "defended",
        "seeds": [1, 2],
        "preparations": {"signs": "small", "rooms": "small"},
        "methods": {
            "plain": {"kind": "fine-tuning", "training": RECIPE},
            "unlearned": {"kind": "unlearning", "detector": "neural-cleanse-short", "training": RECIPE},
        },
        "experiments": {
            "first": {
                "question": "?",
                "teachers": ["narrow-objects"],
                "injections": ["signs-backdoor"],
                "datasets": ["signs"],
                "methods": ["plain"],
                "detectors": ["neural-cleanse-short"],
            }
        },
    }


def grid_of(content):
    return Grid(*load_study(content, project=PROJECT, where="study"), "study")


def refusal(content):
    with pytest.raises(ConfigError) as caught:
        grid_of(content)
    return str(caught.value)


def test_a_detector_looks_at_the_teacher_and_its_control_whatever_the_seeds(content):
    grid = grid_of(content)
    assert [(each.evaluation, each.detector) for each in grid.detections] == [
        (INFECTED, "neural-cleanse-short"),
        (CONTROL, "neural-cleanse-short"),
    ]
    measured = plan_of(grid).of("collect_measurements")[0].inputs["measures"]
    assert [path.split("/")[4] for path in measured] == [INFECTED.injection, CONTROL.injection]
    assert grid.asked_classes(INFECTED) == grid.asked_classes(CONTROL) == [0]
    assert len(plan_of(grid).of("detect_backdoor")) == 2
    assert grid.description_of(INFECTED)["experiments"]["first"]["measures"] == ["detection_score"]


def test_a_teacher_as_its_owner_offers_it_is_not_looked_at(content):
    content["preparations"] |= {"vggface2": "px224-check", "pubfig83": "px224"}
    content["experiments"]["second"] = content["experiments"]["first"] | {
        "teachers": ["vggface2-resnet50"],
        "injections": ["none", "pubfig83-backdoor"],
        "datasets": ["vggface2", "pubfig83"],
    }
    looked = {each.evaluation for each in grid_of(content).detections}
    assert {each.injection for each in looked} == {
        INFECTED.injection,
        CONTROL.injection,
        "pubfig83-backdoor",
        "pubfig83-clean",
    }
    assert "vggface2" not in {each.dataset for each in looked}


def test_students_of_other_data_sets_have_no_teacher_to_look_at(content):
    content["experiments"]["first"]["datasets"] = ["signs", "rooms"]
    assert {each.evaluation.dataset for each in grid_of(content).detections} == {"signs"}
    content["experiments"]["first"]["datasets"] = ["rooms"]
    message = refusal(content)
    assert "the experiment's detectors have no teacher to look at" in message
    assert "experiments.first.detectors" in message


def test_unlearning_brings_its_detection_without_a_row_in_the_tables(content):
    content["experiments"]["first"] |= {"methods": ["unlearned"], "detectors": []}
    grid = grid_of(content)
    assert {each.evaluation for each in grid.detections} == {INFECTED, CONTROL}
    assert plan_of(grid).of("collect_measurements")[0].inputs["measures"] == []
    assert grid.detection_of(INFECTED, "unlearned") == grid.detections[0]
    assert grid.detection_of(INFECTED, "plain") is None


def test_unknown_detectors_are_answered_with_the_known_ones(content):
    content["experiments"]["first"]["detectors"] = ["neural-clense"]
    assert 'unknown detector "neural-clense"' in (message := refusal(content))
    assert 'did you mean "neural-cleanse"' in message
    content["experiments"]["first"] |= {"detectors": [], "methods": ["unlearned"]}
    content["methods"]["unlearned"]["detector"] = "none"
    assert "methods.unlearned.detector" in refusal(content)
    content["methods"]["unlearned"] |= {"detector": "neural-cleanse", "per_dataset": {"signs": {"detector": "other"}}}
    assert 'unknown detector "other"' in refusal(content)


@pytest.mark.parametrize(
    "method",
    [
        {"kind": "fine-tuning", "head": "teacher", "training": RECIPE},
        {"kind": "fine-tuning", "training": RECIPE, "per_dataset": {"rooms": {"head": "teacher"}}},
        {"kind": "fine-pruning", "training": RECIPE},
        {"kind": "unlearning", "detector": "neural-cleanse", "training": RECIPE},
        {"kind": "selection", "candidates": ["plain", "fine-pruning"]},
    ],
    ids=lambda method: f"{method['kind']}{'-per-set' * ('per_dataset' in method)}",
)
def test_a_head_that_does_not_know_the_classes_is_not_kept(content, method):
    content["methods"]["kept"] = method
    content["experiments"]["first"]["methods"] = ["kept"]
    assert grid_of(content).students
    content["experiments"]["first"]["datasets"] = ["signs", "rooms"]
    message = refusal(content)
    assert 'keeps the teacher\'s own head, and after the injection "signs-backdoor"' in message
    assert 'does not know the classes of "rooms"' in message
    assert "experiments.first.methods" in message


def test_an_untouched_teacher_s_head_is_not_kept(content):
    content["experiments"]["first"] |= {"injections": ["none"], "methods": ["fine-pruning"], "detectors": []}
    assert 'after the injection "none" that does not know the classes of "signs"' in refusal(content)


def test_another_preparation_than_the_injection_s_is_other_data(content):
    sets = read_yaml(PROJECT / "config/datasets.yaml")
    assert len(sets["gtsrb"]["preparations"]) > 1
    other = next(name for name in sets["gtsrb"]["preparations"] if name != "px224")
    content["preparations"] = {"gtsrb": other}
    content["experiments"]["first"] |= {
        "teachers": ["resnet18-imagenet"],
        "injections": ["gtsrb-backdoor-u5"],
        "datasets": ["gtsrb"],
        "methods": ["fine-pruning"],
        "detectors": [],
    }
    assert 'does not know the classes of "gtsrb"' in refusal(content)


def test_the_estimate_makes_a_student_wait_for_the_trigger_that_it_unlearns(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content["experiments"]["first"]["methods"] = ["plain", "unlearned"]
    plan = plan_of(grid_of(content))
    todo = estimate(plan, arrival=lambda *_: Arrival(0, 0)).todo
    looked = [(job, takes) for job, takes in todo if job.rule == "detect_backdoor"]
    assert len(looked) == 2
    assert all(takes.loads[0].macs > 0 and takes.disk > 0 for _, takes in looked)
    waiting = {job.names["method"]: [need.rule for need in plan.needs(job)] for job in plan.of("train_student")}
    assert "detect_backdoor" in waiting["unlearned"]
    assert "detect_backdoor" not in waiting["plain"]
    (tables,) = plan.of("collect_measurements")
    assert {job.output for job, _ in looked} <= {*tables.files}


def test_the_digest_follows_a_detector_that_is_used(content):
    before = grid_of(content).digest
    content["experiments"]["first"]["detectors"] = ["neural-cleanse"]
    assert grid_of(content).digest != before
