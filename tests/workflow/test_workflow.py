"""What every rule promises: names, logs, resources, and no test data in training."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest
import yaml

from heirloom.config.kinds import FIGURES
from heirloom.config.workflow import open_grid
from heirloom.runtime.files import read_card, read_table
from tests.workflow.project import SOURCE, parse_plan

TRAIN_OR_SELECT = {"pretrain_teacher", "inject_defect", "train_student"}
RULE = re.compile(r"^rule (\w+):\n((?:    .*\n|\n)+)", re.MULTILINE)


def rules_that_compute():
    texts = "\n".join(path.read_text() for path in sorted((SOURCE / "rules").glob("*.smk")))
    return {name: body for name, body in RULE.findall(texts) if "script:" in body}


def test_rule_script_stage_log_and_benchmark_share_one_name():
    for name, body in rules_that_compute().items():
        assert f"../workflow_scripts/{name}.py" in body
        assert (SOURCE / f"workflow_scripts/{name}.py").is_file()
        assert (SOURCE / f"workflow_scripts/heirloom/stages/{name}.py").is_file()
        for needed in (f'log_of("{name}"', f'benchmark_of("{name}"', f'resources_of("{name}")', f'params_of("{name}"'):
            assert needed in body.replace("\n            ", ""), f"{name} lacks {needed}"


def test_no_rule_runs_code_of_its_own():
    for path in (SOURCE / "rules").glob("*.smk"):
        assert not re.search(r"^\s+(run|shell):", path.read_text(), re.MULTILINE), path.name


def test_gpus_are_asked_for_by_snakemake_s_own_name():
    text = "\n".join(path.read_text() for path in [*SOURCE.glob("rules/*.smk"), *SOURCE.glob("profiles/*/*.yaml")])
    assert not re.search(r"\b(gpus|nvidia_gpu|ngpu)\b", text)


def test_every_profile_watches_content_instead_of_script_times():
    for profile in SOURCE.glob("profiles/*/profile.yaml"):
        assert "rerun-triggers: [input, mtime, params, software-env]" in profile.read_text(), profile


def test_nothing_that_trains_or_selects_sees_a_test_file(fresh):
    jobs = fresh.plan()
    assert {job.rule for job in jobs} >= TRAIN_OR_SELECT
    for job in jobs:
        if job.rule in TRAIN_OR_SELECT:
            assert job.inputs
            assert not [path for path in job.inputs if "/test/" in path], job


def test_a_job_is_a_model_or_a_suite_never_a_batch(fresh):
    renderings, preparations, teachers, students, evaluations, tables, figures = 2, 2, 3, 4, 2, 5, 3
    maps = evaluations
    assert len(fresh.plan()) == renderings + preparations + teachers + students + evaluations + maps + tables + figures


def test_a_wrong_key_stops_the_run_before_any_work(fresh):
    fresh.edit("study/tiny.yaml", "seeds:", "sedes:")
    refused = fresh.snakemake()
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert 'unknown key "sedes"' in output
    assert 'did you mean "seeds"' in output
    assert "study/tiny.yaml" in output
    assert "Traceback" not in output
    assert not (fresh.folder / "results").exists()


def test_an_unknown_method_stops_the_run_before_any_work(fresh):
    fresh.edit("study/tiny.yaml", "kind: fine-tuning", "kind: fine-tunning")
    refused = fresh.snakemake()
    assert refused.returncode != 0
    assert 'unknown kind "fine-tunning"' in refused.stdout + refused.stderr
    assert not (fresh.folder / "results").exists()


def test_the_default_study_is_quickstart_and_reaches_no_other(fresh):
    default = fresh.call("-m", "snakemake", "-n", "--cores", "1")
    assert "results/quickstart/tables/summary.parquet" in default.stdout + default.stderr
    assert not [job for job in fresh.plan() if "quickstart" in " ".join(job.inputs)]


def test_each_named_target_plans_its_part(fresh):
    assert {job.rule for job in fresh.plan("data")} - {"data"} == {"render_dataset", "prepare_dataset"}
    assert "train_student" not in {job.rule for job in fresh.plan("teachers")}
    assert "evaluate_students" not in {job.rule for job in fresh.plan("students")}


def test_a_finished_study_has_its_report_and_every_figure(finished):
    folder = finished.folder / "results/tiny"
    assert "Does the trigger survive?" in (folder / "report.html").read_text()
    names = {"attack_success", "trade_off", "training_curves", "contact_sheet_signs-backdoor"}
    names |= {"attention_same-data-set"}
    assert {path.name for path in (folder / "figures").iterdir()} == {
        *(f"{name}.{kind}" for name in names for kind in ("png", "pdf")),
        "attention_same-data-set.txt",
    }


def test_snakemakes_own_report_holds_the_figures_with_captions_and_categories(finished):
    path = finished.folder / "snakemake-report.html"
    done = finished.snakemake("--report", str(path), cores=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "downloading" not in done.stdout + done.stderr
    text = path.read_text()
    path.unlink()
    for words in ("Figures", "Tables", "contact sheet", "a defence should keep a model at the right"):
        assert words in text, words


def test_every_caption_belongs_to_an_output():
    rules = (SOURCE / "rules/report.smk").read_text()
    captions = {path.stem for path in SOURCE.glob("rules/captions/*.rst")}
    drawn = {{"restoration": "restored"}.get(name, name.replace("-", "_")) for name in FIGURES.names()}
    assert drawn <= captions
    assert not [name for name in captions - drawn if f'"{name}"' not in rules]


@pytest.mark.parametrize("study", [pytest.param("backdoor", marks=pytest.mark.slow), "poison"])  # 3,000 jobs, 600
def test_full_size_studies_plan_without_data_or_network(fresh, study):
    """Every student by its own method, seed and origin, and every defect beside its control; nothing is fetched."""
    file = fresh.folder / f"config/studies/{study}.yaml"
    grid = open_grid(yaml.safe_load(file.read_text()), config_files=[file], project=fresh.folder)
    unshared = "import socket; socket.socket.connect = None; "  # a connection would raise TypeError
    command = unshared + "import snakemake.cli; snakemake.cli.main()"
    found = fresh.call("-c", command, "-n", "--cores", "1", "--configfile", f"config/studies/{study}.yaml")
    assert found.returncode == 0, found.stdout + found.stderr
    jobs = Counter(job.rule for job in parse_plan(found.stdout + found.stderr))
    assert jobs["train_student"] == len(grid.students) >= 400
    assert jobs["evaluate_students"] == len(grid.evaluations)
    assert jobs["inject_defect"] == len(grid.infected_teachers)
    listed = {name for experiment in grid.study.experiments.values() for name in experiment.methods}
    asked = len(listed) * len(grid.study.seeds)
    assert max(Counter(student.evaluation for student in grid.students).values()) == asked
    assert jobs["download_dataset"] == len(grid.dataset_names)
    for evaluation in grid.evaluations:
        control = getattr(grid.injection(evaluation.injection), "control", None)
        assert control is None or dataclasses.replace(evaluation, injection=control) in grid.evaluations
    assert not (fresh.folder / "results").exists()


def test_attention_reaches_the_tables_the_figure_and_both_reports(finished):
    folder = finished.folder / "results/tiny"
    rows = read_table(folder / "tables/summary.parquet").to_pylist()
    mine = [row for row in rows if row["metric"] == "attention_density"]
    assert {row["condition"] for row in mine} == {
        f"{kind}: {region}" for kind in ("activation", "grad-cam") for region in ("sign", "trigger")
    }
    assert {row["attack"] for row in mine} == {"none", "pinwheel"}
    compared = [row for row in mine if row["injection"] == "signs-backdoor"]
    assert all(row["control"] is not None and row["difference"] is not None for row in compared)
    page = (folder / "report.html").read_text()
    caption = (folder / "figures/attention_same-data-set.txt").read_text()
    assert "Where models look" in page
    assert "the attention (activation) lies on the trigger" in page
    card = read_card(folder / "attention/tiny-objects/signs-backdoor/signs/card.json")
    (image,) = card["experiments"]["same-data-set"]["images"]
    assert f"test set's order: {image['row']}" in caption
    assert (card["measured"], card["images"]) == (20, 24)
