"""Which change reruns what: every sentence of docs/reruns.md on a finished tiny study."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from heirloom.config.kinds import FIELD
from tests.workflow.project import SOURCE

PACKAGE = "workflow_scripts/heirloom"
# a component of every kind; a further one of the kind is made like it, under a name that no study uses
LIKE = {
    "transfer/methods/delta.py": "delta",
    "transfer/scores/magnitude.py": "magnitude",
    "training/objectives/trades.py": "trades",
    "attacks/algorithms/pgd.py": "pgd",
    "defences/detectors/neural_cleanse": "neural-cleanse",
    "defects/injections/backdoor.py": "backdoor",
    "defects/triggers/patch": "patch",
    "data/layouts/gtsrb.py": "",
    "data/corrupted_layouts/cifar_c.py": "",
    "data/writers/signs.py": "",
    "data/corruptions/blur.py": "-blur",
    "reporting/figures/strength.py": "",  # the study lacks its rows
    "models/bodies/small_resnet": "-small",
}
METHOD = "workflow_scripts/heirloom/transfer/methods/fine_tuning.py"
SHARED_TRANSFER = "workflow_scripts/heirloom/transfer/plan.py"
LOOP = "workflow_scripts/heirloom/training/loop.py"
TABLES = {"check_datasets", "collect_measurements", "summarise", "collect_costs"}
REPORT = {"draw_figures", "draw_attention", "draw_contact_sheets", "write_report"}
TABLES_AND_REPORT = TABLES | REPORT
AFTER_STUDENTS = {"evaluate_students", "map_attention", *TABLES_AND_REPORT} - {"check_datasets", "draw_contact_sheets"}
STATEMENT = "\n\nADDED_BY_A_TEST = 1\n"


def methods_of(jobs):
    return {job.wildcards["method"] for job in jobs if job.rule == "train_student"}


def test_a_finished_study_has_nothing_to_do(project):
    assert project.plan() == []


def test_a_comment_or_a_docstring_reruns_nothing(project):
    project.append(LOOP, "\n# a remark\n")
    project.edit(METHOD, '"""', '"""Changed. ')
    assert project.plan() == []


def test_formatting_and_the_time_of_a_script_rerun_nothing(project):
    later = time.time() + 100
    for path in (project.folder / "workflow_scripts").rglob("*.py"):
        os.utime(path, (later, later))
    assert project.plan() == []


def test_a_line_of_one_method_reruns_its_students_alone(project):
    project.append(METHOD, STATEMENT)
    jobs = project.plan()
    assert methods_of(jobs) == {"fine-tuning"}
    assert {job.rule for job in jobs} == {"train_student", *AFTER_STUDENTS}


def test_a_line_that_methods_share_reruns_every_student_and_no_teacher(project):
    project.append(SHARED_TRANSFER, STATEMENT)
    jobs = project.plan()
    assert methods_of(jobs) == {"fine-tuning", "re-training"}
    assert {job.rule for job in jobs} == {"train_student", *AFTER_STUDENTS}


def test_a_line_of_the_training_loop_reruns_every_training(project):
    project.append(LOOP, STATEMENT)
    assert project.rules() == {"pretrain_teacher", "inject_defect", "train_student", *AFTER_STUDENTS}


def test_a_line_of_a_thin_script_reruns_its_rule(project):
    project.append("workflow_scripts/summarise.py", STATEMENT)
    assert project.rules() == {"summarise", "draw_figures", "write_report"}


def test_an_old_line_with_an_old_time_is_noticed_too(project):
    file = project.folder / METHOD
    project.append(METHOD, STATEMENT)
    os.utime(file, (1, 1))
    assert methods_of(project.plan()) == {"fine-tuning"}


def test_a_line_taken_back_reruns_nothing(project):
    project.append(METHOD, STATEMENT)
    assert project.plan()
    project.edit(METHOD, STATEMENT, "")
    assert project.plan() == []


def test_a_hyper_parameter_reruns_the_students_of_its_method(project):
    project.edit("study/tiny.yaml", "learning_rate: 0.05", "learning_rate: 0.04")
    jobs = project.plan()
    assert methods_of(jobs) == {"re-training"}
    assert {job.rule for job in jobs} == {"train_student", *AFTER_STUDENTS}


def test_an_injection_s_setting_reruns_what_starts_from_it(project):
    project.edit("study/injections.yaml", "portion: 0.3", "portion: 0.4")
    jobs = project.plan()
    touched = {job.wildcards.get("injection") for job in jobs if job.rule not in TABLES_AND_REPORT}
    assert touched == {"signs-backdoor"}
    assert "pretrain_teacher" not in {job.rule for job in jobs}


def add_like(project, place, old):
    """Add a component like one that there is; its name, or the end of its names, is another."""
    source = project.folder / PACKAGE / place
    added = source.with_name(f"{source.stem}_one_more{source.suffix}")
    if source.is_dir():
        shutil.copytree(source, added)
    else:
        shutil.copy(source, added)
    file = added / "__init__.py" if source.is_dir() else added
    text = file.read_text()
    file.write_text(text.replace(f'{old}"', f'{old}-one-more"') if old else text)
    assert not old or file.read_text() != text


def test_a_further_component_of_every_kind_reruns_nothing(project):
    for place, old in LIKE.items():
        add_like(project, place, old)
    assert project.plan() == []
    methods = project.study()["methods"]
    methods["fine-tuning"] = {**methods["fine-tuning"], FIELD: "delta-one-more", "feature_weight": 0.1}
    project.change_study(methods=methods)
    assert methods_of(project.plan()) == {"fine-tuning"}  # so the study knows it


def test_a_line_of_a_user_s_own_method_reruns_its_students_alone(project):
    shutil.copy(SOURCE / "docs/extending/head_first.py", project.folder / "study/mine.py")
    methods = project.study()["methods"]
    methods["re-training"] = {FIELD: "study/mine.py:HeadFirst", "probe_rate": 0.1} | {
        "training": methods["re-training"]["training"]
    }
    project.change_study(methods=methods)
    assert methods_of(project.plan()) == {"re-training"}
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.plan() == []
    project.append("study/mine.py", "\n# a remark\n")
    assert project.plan() == []
    project.append("study/mine.py", STATEMENT)
    jobs = project.plan()
    assert methods_of(jobs) == {"re-training"}
    assert {job.rule for job in jobs} == {"train_student", *AFTER_STUDENTS}


def test_a_new_method_trains_its_students_and_no_other(project):
    methods = project.study()["methods"]
    methods["slow-fine-tuning"] = {**methods["fine-tuning"]}
    experiments = project.study()["experiments"]
    experiments["same-data-set"]["methods"].append("slow-fine-tuning")
    project.change_study(methods=methods, experiments=experiments)
    assert methods_of(project.plan()) == {"slow-fine-tuning"}


def test_a_new_seed_trains_its_students_and_no_teacher(project):
    project.change_study(seeds=[1, 2])
    jobs = project.plan()
    assert {job.wildcards["seed"] for job in jobs if job.rule == "train_student"} == {"2"}
    assert {job.rule for job in jobs} == {"train_student", *AFTER_STUDENTS}


def test_a_question_concerns_the_summary_alone(project):
    project.edit("study/tiny.yaml", "Does the trigger survive?", "Is the trigger inherited?")
    rules = project.rules()
    assert "summarise" in rules
    assert rules <= TABLES_AND_REPORT


def test_a_caption_concerns_the_report_alone(project):
    project.append("rules/captions/trade_off.rst", "One more sentence.\n")
    assert project.rules() == {"write_report"}


def test_the_looks_of_the_report_concern_it_alone(project):
    project.edit("workflow_scripts/heirloom/reporting/report/template.py", "font-size: 1.7rem", "font-size: 1.8rem")
    assert project.rules() == {"write_report"}


def test_cores_resources_and_profiles_rerun_nothing(project):
    project.edit("profiles/default/profile.yaml", "gpu: 1", "gpu: 2")
    project.change_study(checkpoint_seconds=7)
    assert project.plan("--cores", "1", "--set-resources", "train_student:mem_mb=123") == []


def test_a_title_reruns_no_training(project):
    project.edit("study/triggers.yaml", "title: pinwheel", "title: whirl")
    project.edit("study/datasets.yaml", "title: drawn signs", "title: signs")
    assert project.rules() <= TABLES_AND_REPORT


def test_a_trigger_s_picture_reruns_what_sees_it(project):
    picture = project.folder / "config/triggers/pinwheel.png"
    picture.write_bytes((project.folder / "config/triggers/pinwheel.png").read_bytes() + b"changed")
    jobs = project.plan()
    injected = {job.wildcards["injection"] for job in jobs if job.rule == "inject_defect"}
    assert injected == {"signs-backdoor"}
    assert "evaluate_students" in {job.rule for job in jobs}


def test_a_line_of_another_body_reruns_nothing(project):
    project.append("workflow_scripts/heirloom/models/bodies/torchvision_networks/network.py", STATEMENT)
    assert project.plan() == []


def test_touching_results_reruns_nothing(project):
    later = time.time() + 100
    results = project.folder / "results"
    for path in [*results.rglob("*.npy"), *results.rglob("*.safetensors"), *results.rglob("card.json")]:
        os.utime(path, (later, later))
    assert project.plan() == []


def test_a_rerun_of_changed_code_with_the_same_outcome_gives_the_same_bytes(project):
    before = project.digests()
    project.append("workflow_scripts/heirloom/evaluation/metrics.py", STATEMENT)
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.digests() == before
    assert project.plan() == []


@pytest.mark.slow  # a second whole study
def test_the_same_study_elsewhere_with_one_core_gives_the_same_bytes(finished, fresh):
    done = fresh.snakemake(cores=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert fresh.digests() == finished.digests()


def test_what_attention_shows_concerns_the_maps_and_no_prediction(project):
    project.edit("study/tiny.yaml", "shown: 1", "shown: 2")
    assert {"map_attention", "draw_attention", "write_report"} <= project.rules()
    assert not project.rules() & {"train_student", "evaluate_students"}


def test_the_looks_of_attention_concern_its_figure_alone(project):
    project.append("workflow_scripts/heirloom/reporting/figures/attention.py", STATEMENT)
    assert project.rules() == {"draw_attention", "write_report"}
