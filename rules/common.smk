"""
The helpers by which every rule states what its job needs.

INPUTS:     the study (GRID)
OUTPUTS:    none
"""

import os

from heirloom.config.grid import CLEAN, Evaluation, plain
from heirloom.config.resources import NEEDS, gpu_request
from heirloom.runtime.digest import code_digest


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
