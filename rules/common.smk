"""
Named targets, and the helpers by which every rule states what its job needs.

INPUTS:     the study (GRID)
OUTPUTS:    targets all, data, teachers, students, tables
"""

import os

from heirloom.config.grid import CLEAN, Evaluation, plain
from heirloom.config.resources import NEEDS, gpu_request
from heirloom.runtime.digest import code_digest


rule all:
    default_target: True
    input:
        paths.table(STUDY, "summary.parquet"),
        paths.table(STUDY, "costs.parquet"),
        paths.figure(STUDY, "attack_success.png"),


rule data:
    input:
        [
            f"{paths.data_folder(name, preparation)}/card.json"
            for name in GRID.dataset_names
            for preparation in GRID.preparations_of(name)
        ],


rule teachers:
    input:
        [
            f"{paths.teacher_folder(teacher, injection)}/card.json"
            for teacher, injection in GRID.infected_teachers
        ],


rule students:
    input:
        [f"{student.folder(STUDY)}/card.json" for student in GRID.students],


rule tables:
    input:
        paths.table(STUDY, "summary.parquet"),
        paths.table(STUDY, "costs.parquet"),


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
