from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from heirloom.config import paths
from heirloom.config.models import NAME_PATTERN
from heirloom.config.workflow import open_grid
from heirloom.runtime.errors import HeirloomError

min_version("9.20")

try:
    GRID = open_grid(
        config, config_files=workflow.configfiles, project=Path(workflow.basedir)
    )
except HeirloomError as error:
    raise WorkflowError(str(error)) from None

# data_root says where files lie on this machine; stages read it from here, so it is no parameter and reruns nothing.
config["data_root"] = GRID.study.data_root
STUDY = GRID.study.name


wildcard_constraints:
    teacher=NAME_PATTERN,
    injection=NAME_PATTERN,
    dataset=NAME_PATTERN,
    preparation=NAME_PATTERN,
    method=NAME_PATTERN,
    seed="[0-9]+",


localrules:
    all,
    data,
    teachers,
    students,
    tables,


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/teachers.smk"
include: "rules/injection.smk"
include: "rules/transfer.smk"
include: "rules/evaluation.smk"
include: "rules/report.smk"
