"""The default study: its golden numbers and its findings."""

from __future__ import annotations

import json

import pytest

from heirloom.evaluation.metrics import UNJUDGED, attack_outcomes, read_predictions
from heirloom.evaluation.statistics import mcnemar_exact
from heirloom.reporting.tables import read_comparisons, read_summary
from tests.golden.quickstart import GOLDEN, SUMMARY, run
from tests.workflow.project import new_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # the whole study, which is a third of all tests' work


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
    assert weaker_p_value(project, "re-training", "fine-tuning") < 0.05


def test_attention_goes_to_the_trigger_in_the_infected_models_and_divmag_removes_the_backdoor(quickstart):
    project, _ = quickstart
    rows = {
        (row["method"], row["condition"]): row
        for row in read_summary(project.folder / SUMMARY)
        if (row["metric"], row["attack"], row["injection"]) == ("attention_density", "pinwheel", "signs-backdoor")
    }
    for method in ("teacher", "fine-tuning", "magnitude-pruning"):
        for kind in ("activation", "grad-cam"):
            assert rows[method, f"{kind}: trigger"]["difference_low"] > 0
            assert rows[method, f"{kind}: trigger"]["p_value"] < 0.05
        assert rows[method, "activation: trigger"]["mean"] > rows[method, "activation: sign"]["mean"]
    assert weaker_p_value(project, "divmag", "fine-tuning") < 0.05


def test_an_attack_on_features_is_more_than_noise_and_falls_after_renofeation_and_remos(quickstart):
    project, _ = quickstart
    rows = {
        row["method"]: row
        for row in read_summary(project.folder / SUMMARY)
        if row["attack"] == "feature-pixel" and row["metric"] == "attack_success"
    }
    assert rows["fine-tuning"]["mean"] > 0.25
    assert rows["fine-tuning"]["control"] < 0.15  # noise of the same size
    assert rows["fine-tuning"]["p_value"] < 0.05
    compared = {
        row["method"]: row
        for row in read_comparisons(project.folder / "results/quickstart/tables/comparisons.parquet")
        if (row["attack"], row["metric"], row["baseline"]) == ("feature-pixel", "attack_success", "fine-tuning")
    }
    for method in ("renofeation", "remos"):
        assert compared[method]["difference"] < 0
        assert compared[method]["p_value"] < 0.05


def test_the_robust_model_withstands_attacks_and_a_longer_one_leaves_no_more(quickstart):
    project, _ = quickstart
    folder = project.folder / "results/quickstart/robustness/digits-narrow/unrepaired/seed1"
    found = read_predictions(folder / "predictions.parquet", partial=["pgd-digits-long"])
    right = {
        setting.attack: given == found.labels for setting, given in found.settings.items() if not setting.condition
    }
    longer = next(given for setting, given in found.settings.items() if setting.attack == "pgd-digits-long") != UNJUDGED
    assert 0.15 < right["pgd-digits"].mean() < right["none"].mean() - 0.2
    assert right["pgd-digits-long"][longer].sum() <= right["pgd-digits"][longer].sum()


def weaker_p_value(project, weaker, stronger):
    """McNemar's p-value for one student's targeted success being below the other's, on images that count for both."""
    folder = project.folder / "results/quickstart/evaluations/narrow-objects/signs-backdoor/signs"
    found = read_predictions(folder / "predictions.parquet")
    outcome = {
        setting.method: attack_outcomes(labels=found.labels, clean=found.clean(setting), attacked=attacked, target=0)[
            "targeted_success"
        ]
        for setting, attacked in found.settings.items()
        if setting.attack == "pinwheel"
    }
    low, high = outcome[weaker], outcome[stronger]
    both = low.counted & high.counted
    only_high, only_low = int((both & high.hit & ~low.hit).sum()), int((both & low.hit & ~high.hit).sum())
    return mcnemar_exact(only_high, only_low) if only_high > only_low else 1.0
