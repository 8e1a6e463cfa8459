import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from heirloom.config import paths
from heirloom.config.figures import figure_names
from heirloom.config.load import read_yaml
from heirloom.config.models import NAME_PATTERN
from heirloom.config.workflow import open_grid, python_for_jobs
from heirloom.doctor.announce import announce
from heirloom.plan.plan import plan_of
from heirloom.runtime.causes import note_cause, tell_causes_at_exit
from heirloom.runtime.errors import HeirloomError
from heirloom.runtime.recovery import missing_files

min_version("9.20")
tell_causes_at_exit(Path(".snakemake"))

try:
    for file in workflow.configfiles:
        read_yaml(Path(file))  # of a key that stands twice Snakemake, which has read it before, takes one
    GRID = open_grid(config, config_files=workflow.configfiles, project=Path(workflow.basedir))
    sys.executable = python_for_jobs(sys.executable, Path.cwd())
except HeirloomError as error:
    note_cause(str(error), log=None)
    raise WorkflowError(str(error)) from None

# No output depends on these, so they are no parameters and rerun nothing: stages read them from here.
config["data_root"] = GRID.study.data_root
config["checkpoint_seconds"] = GRID.study.checkpoint_seconds
config["instructions"] = GRID.instructions
config["local_paths"] = GRID.local_paths
config["addresses"] = GRID.addresses
config["checksums"] = str(Path(workflow.basedir) / "config" / "checksums.lock")
STUDY = GRID.study.name
PLAN = plan_of(GRID)


wildcard_constraints:
    teacher=NAME_PATTERN,
    injection=NAME_PATTERN,
    dataset=NAME_PATTERN,
    preparation=NAME_PATTERN,
    method=NAME_PATTERN,
    attack=NAME_PATTERN,
    detector=NAME_PATTERN,
    experiment=NAME_PATTERN,
    model=NAME_PATTERN,
    repair=NAME_PATTERN,
    suite=NAME_PATTERN,
    box="white-box|black-box",
    seed="[0-9]+",


onstart:
    announce(
        PLAN,
        planned=[str(path) for job in workflow.dag.needrun_jobs() for path in job.output],
        cores=None if workflow.non_local_exec else workflow.cores,
    )


localrules:
    all,
    downloads,
    data,
    teachers,
    students,
    evaluations,
    tables,


rule all:
    default_target: True
    input:
        paths.table(STUDY, "summary.parquet"),
        paths.table(STUDY, "costs.parquet"),
        paths.table(STUDY, "data_check.parquet"),
        paths.report(STUDY),
        [paths.figure(STUDY, f"{name}.png") for name in figure_names(GRID)],
        # what is gone though it was made: Snakemake misses no file from which all has been made already
        lambda wildcards: missing_files(PLAN.folders, is_planned=PLAN.makes),


rule downloads:
    input:
        PLAN.downloads,


rule data:
    input:
        [job.output for job in PLAN.of("prepare_dataset")],


rule teachers:
    input:
        [job.output for job in PLAN.of("pretrain_teacher", "fetch_teacher", "inject_defect")],


rule students:
    input:
        [job.output for job in PLAN.of("train_student")],


# what the tables are made of: all of it, which --batch splits, or that of one experiment
rule evaluations:
    input:
        list(PLAN.job("collect_measurements", f"{paths.RESULTS}/{STUDY}/tables").files),


for experiment in GRID.questions:

    rule:
        name:
            f"experiment_{experiment}"
        input:
            PLAN.targets(experiment),
        localrule: True


rule tables:
    input:
        paths.table(STUDY, "summary.parquet"),
        paths.table(STUDY, "costs.parquet"),
        paths.table(STUDY, "data_check.parquet"),


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/teachers.smk"
include: "rules/injection.smk"
include: "rules/defences.smk"
include: "rules/transfer.smk"
include: "rules/evaluation.smk"
include: "rules/rift.smk"
include: "rules/fpd.smk"
include: "rules/report.smk"
