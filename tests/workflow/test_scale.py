"""A large study in parts: targets that leave tables alone, batches, and rules that Snakemake plans in linear time."""

from __future__ import annotations

import re

from tests.workflow.project import SOURCE

AGGREGATES = {"collect_measurements", "summarise", "collect_costs", "draw_figures", "write_report"}


def test_an_experiment_s_target_makes_its_predictions_and_no_table(fresh):
    rules = {job.rule for job in fresh.plan("experiment_same-data-set")}
    assert {"train_student", "evaluate_students", "map_attention"} <= rules
    assert not rules & AGGREGATES


def test_a_batch_of_the_evaluations_plans_its_own_part_alone(fresh):
    rules = {job.rule for job in fresh.plan("evaluations", "--batch", "evaluations=1/2")}
    assert {"train_student", "map_attention"} <= rules  # the first half, by path
    assert not rules & {"evaluate_students", *AGGREGATES}


def test_no_rule_names_another_rule_s_output():
    # Snakemake would hash all inputs of such a rule for each of them: quadratic where they are thousands of files
    for path in [SOURCE / "Snakefile", *(SOURCE / "rules").glob("*.smk")]:
        assert not re.search(r"\brules\.\w+\.output\b", path.read_text()), path.name
