"""The default study: its golden numbers and its findings."""

from __future__ import annotations

import json

import pytest

from heirloom.reporting.tables import read_summary
from tests.golden.quickstart import GOLDEN, SUMMARY, run
from tests.workflow.project import new_project


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    project = new_project(tmp_path_factory.mktemp("quickstart") / "project")
    return project, run(project)


def test_the_numbers_are_the_golden_ones(quickstart):
    _, found = quickstart
    golden = json.loads(GOLDEN.read_text())
    assert found.keys() == golden.keys()
    off = {
        name: (found[name], entry)
        for name, entry in golden.items()
        if abs(found[name] - entry["value"]) > entry["tolerance"]
    }
    assert not off


def test_the_trigger_works_is_inherited_and_is_weaker_after_re_training(quickstart):
    project, _ = quickstart
    rows = {
        row["method"]: row
        for row in read_summary(project.folder / SUMMARY)
        if row["metric"] == "targeted_success" and row["injection"] == "signs-backdoor"
    }
    assert rows["teacher"]["mean"] > 0.9
    assert rows["teacher"]["control"] < 0.1
    assert rows["fine-tuning"]["p_value"] < 0.05
    assert rows["fine-tuning"]["difference_low"] > 0
    assert rows["re-training"]["high"] < rows["fine-tuning"]["low"]
