"""
How every rule looks its job up in the plan, and what it asks the machine for.

INPUTS:     the plan of the study (PLAN)
OUTPUTS:    none
"""

import gc
import os
import re
from functools import cache

from snakemake.persistence import PersistenceBase

from heirloom.config.resources import NEEDS, gpu_request
from heirloom.plan.job import Carried
from heirloom.runtime.digest import code_digest

# Threads that wait for each other spin only briefly (GNU OpenMP) before they sleep: on a machine that also does
# something else, a spinning thread holds the core that the other one needs, and two trainings side by side come almost
# to a halt. Jobs inherit it; no result depends on it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Snakemake loads pandas to compare parameters with the last run's; none here is a pandas object, all others it compares
# without (docs/scale.md).
PersistenceBase._serialize_param = property(lambda persistence: persistence._serialize_param_builtin)

# While Snakemake plans, its jobs only grow in number: walking through all of them again and again in search of garbage
# is a sixth of the time (docs/scale.md).
gc.set_threshold(50_000, 20, 100)


def job_of(rule, place):
    """Function of the wildcards: the plan's job of a rule at a place."""
    return lambda wildcards: PLAN.job(rule, place.format(**dict(wildcards.items())))


def only(rule, place, name):
    """Wildcard constraint that admits the values that the jobs of a rule have; nothing when there is none."""
    pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", place))
    found = {pattern.fullmatch(job.place)[name] for job in PLAN.of(rule)}
    return "|".join(sorted(found)) or "(?!)"


def inputs_of(rule, place):
    """Input function: the files of a job by name. What a card carries the content of is not compared by its age."""
    job = job_of(rule, place)
    return lambda wildcards: {name: _marked(files) for name, files in job(wildcards).inputs.items()}


def _marked(files):
    if isinstance(files, str):
        return ancient(files) if isinstance(files, Carried) else files
    return [ancient(file) if isinstance(file, Carried) else file for file in files]


def params_of(rule, place):
    """Parameters of a rule: what its stage takes, and what else makes a job run again when it changes."""
    job = job_of(rule, place)
    return {
        "settings": lambda wildcards: dict(job(wildcards).settings),
        "code": lambda wildcards: code_digest(rule, *job(wildcards).code),
        "libraries": lambda wildcards: dict(job(wildcards).libraries),
    }


def threads_of(rule, place):
    """Threads of a rule: those of its job."""
    job = job_of(rule, place)
    return lambda wildcards: job(wildcards).threads


def resources_of(rule):
    """Resources of a rule; memory and time double with each attempt."""
    need = NEEDS[rule]
    requested = cache(gpu_request)  # not counted anew for every job
    return {
        "gpu": lambda wildcards: requested(rule, remote=workflow.non_local_exec),
        "mem_mb": lambda wildcards, attempt: need.mem_mb * 2 ** (attempt - 1),
        "runtime": lambda wildcards, attempt: need.runtime * 2 ** (attempt - 1),
    }


def log_of(rule, place):
    """Path of a rule's log."""
    return paths.record(place, rule, "logs")


def benchmark_of(rule, place):
    """Path of a rule's benchmark."""
    return paths.record(place, rule, "benchmarks")


def shown(path, caption, category="Figures", **labels):
    """Mark an output for Snakemake's own report."""
    title = caption.replace("_", " ")
    text = Path(workflow.basedir) / "rules/captions" / f"{caption}.rst"
    return report(path, caption=str(text), category=category, labels={"output": title, **labels})
