import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from heirloom.config import paths
from heirloom.config.load import read_yaml
from heirloom.config.made import planned_files, results_of
from heirloom.config.models import NAME_PATTERN
from heirloom.config.tabled import tabled
from heirloom.config.targets import experiment_files
from heirloom.config.workflow import downloads_of, open_grid, python_for_jobs
from heirloom.doctor.announce import announce
from heirloom.runtime.causes import note_cause, tell_causes_at_exit
from heirloom.runtime.errors import HeirloomError
from heirloom.runtime.repair import missing_files

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
TABLED = tabled(GRID)


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
        GRID,
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
        [paths.figure(STUDY, f"{name}.png") for name in GRID.figures],
        # what is gone though it was made: Snakemake misses no file from which all has been made already
        lambda wildcards: missing_files(results_of(STUDY), is_planned=planned_files(GRID)),


rule downloads:
    input:
        downloads_of(GRID),


rule data:
    input:
        [
            f"{paths.data_folder(name, preparation)}/card.json"
            for name in GRID.dataset_names
            for preparation in GRID.preparations_of(name)
        ],


rule teachers:
    input:
        [f"{paths.teacher_folder(teacher, injection)}/card.json" for teacher, injection in GRID.infected_teachers],


rule students:
    input:
        [f"{student.folder(STUDY)}/card.json" for student in GRID.students],


# what the tables are made of: all of it, which --batch splits, or that of one experiment
rule evaluations:
    input:
        TABLED.predictions,
        TABLED.measures,


for experiment, files in experiment_files(GRID).items():

    rule:
        name:
            f"experiment_{experiment}"
        input:
            files,
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
