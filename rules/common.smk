"""
The helpers by which every rule states what its job needs.

INPUTS:     the study (GRID)
OUTPUTS:    none
"""

import os

from heirloom.config.grid import CLEAN, Evaluation, plain
from heirloom.config.resources import NEEDS, gpu_request
from heirloom.models.bodies import BODIES
from heirloom.runtime.digest import code_digest

# Threads that wait for each other spin only briefly (GNU OpenMP) before they sleep: on a machine that also does
# something else, a spinning thread holds the core that the other one needs, and two trainings side by side come almost
# to a halt. Jobs inherit it; no result depends on it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def only(names):
    """Wildcard constraint that admits these names alone; nothing when there is none."""
    return "|".join(names) if names else "(?!)"


def code_of(stage, modules=lambda wildcards: ()):
    """Parameter function: digest of the code that a stage and the registry entries of its recipe run."""
    return lambda wildcards: code_digest(stage, *modules(wildcards))


def resources_of(rule):
    """Resources of a rule; memory and time double with each attempt."""
    need = NEEDS[rule]
    return {
        "gpu": lambda wildcards: gpu_request(rule, remote=workflow.non_local_exec),
        "mem_mb": lambda wildcards, attempt: need.mem_mb * 2 ** (attempt - 1),
        "runtime": lambda wildcards, attempt: need.runtime * 2 ** (attempt - 1),
    }


def prepared(folder, part):
    """Inputs that are one part of a prepared data set: its card carries the content of the big files."""
    return {
        "card": f"{folder}/card.json",
        "images": ancient(f"{folder}/{part}/images.npy"),
        "index": ancient(f"{folder}/{part}/index.parquet"),
    }


def model(folder, prefix="teacher_"):
    """Inputs that are one trained model: its card carries the content of the weights."""
    return {
        f"{prefix}card": f"{folder}/card.json",
        f"{prefix}weights": ancient(f"{folder}/weights.safetensors"),
    }


def log_of(rule, folder):
    """Path of a rule's log."""
    return paths.record(folder, rule, "logs")


def benchmark_of(rule, folder):
    """Path of a rule's benchmark."""
    return paths.record(folder, rule, "benchmarks")


def body_code(teacher):
    """Module that builds a teacher's body."""
    return [BODIES[GRID.teacher(teacher).body.name].builder]


def trigger_picture(name):
    """Path of a trigger's picture from the working folder, so that it is the same in every clone."""
    return os.path.relpath(Path(workflow.basedir) / GRID.catalogue.triggers[name].image)


def evaluation_of(wildcards):
    """The grid's record behind the wildcards."""
    return Evaluation(wildcards.teacher, wildcards.injection, wildcards.dataset)


def judged_models(wildcards):
    """Inputs: cards and weights of the students and, where it can be judged, of their teacher."""
    evaluation = evaluation_of(wildcards)
    students = [student.folder(STUDY) for student in GRID.students_of(evaluation)]
    teachers = [paths.teacher_folder(wildcards.teacher, wildcards.injection)] * GRID.judges_teacher(evaluation)
    return {
        "students": [f"{folder}/card.json" for folder in students],
        "student_weights": ancient([f"{folder}/weights.safetensors" for folder in students]),
        "teacher_card": [f"{folder}/card.json" for folder in teachers],
        "teacher_weights": ancient([f"{folder}/weights.safetensors" for folder in teachers]),
    }


def caption_of(name):
    """Path of a caption: what Snakemake's report and ours say below an output."""
    return Path(workflow.basedir) / "rules/captions" / f"{name}.rst"


def shown(path, caption, category="Figures", **labels):
    """Mark an output for Snakemake's own report."""
    title = caption.replace("_", " ")
    return report(path, caption=str(caption_of(caption)), category=category, labels={"output": title, **labels})
