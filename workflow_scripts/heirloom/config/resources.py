"""What a job of each rule asks the scheduler for: the one table, scaled by the attempt.

`gpu` is Snakemake's standard resource name. Memory in MiB, runtime in minutes. Profiles may override any of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Need:
    """Resources of a first attempt; a second one gets twice the memory and time."""

    gpu: int
    mem_mb: int
    runtime: int


NEEDS = {
    "render_dataset": Need(gpu=0, mem_mb=1000, runtime=30),
    "download_dataset": Need(gpu=0, mem_mb=2000, runtime=720),
    "prepare_dataset": Need(gpu=0, mem_mb=4000, runtime=120),
    "check_datasets": Need(gpu=0, mem_mb=4000, runtime=60),
    "fetch_teacher": Need(gpu=0, mem_mb=3000, runtime=60),
    "pretrain_teacher": Need(gpu=1, mem_mb=4000, runtime=720),
    "inject_defect": Need(gpu=1, mem_mb=4000, runtime=240),
    "detect_backdoor": Need(gpu=1, mem_mb=8000, runtime=480),
    "train_student": Need(gpu=1, mem_mb=4000, runtime=480),
    "select_student": Need(gpu=0, mem_mb=1000, runtime=10),
    "slice_teacher": Need(gpu=1, mem_mb=4000, runtime=240),
    "craft_feature_attack": Need(gpu=1, mem_mb=8000, runtime=240),
    "evaluate_students": Need(gpu=1, mem_mb=4000, runtime=120),
    "map_attention": Need(gpu=1, mem_mb=6000, runtime=120),
    "attack_student": Need(gpu=1, mem_mb=8000, runtime=480),
    "corrupt_dataset": Need(gpu=0, mem_mb=4000, runtime=120),
    "train_robust": Need(gpu=1, mem_mb=6000, runtime=1440),
    "fetch_robust": Need(gpu=0, mem_mb=3000, runtime=60),
    "measure_criticality": Need(gpu=1, mem_mb=8000, runtime=480),
    "finetune_module": Need(gpu=1, mem_mb=4000, runtime=240),
    "interpolate_module": Need(gpu=1, mem_mb=4000, runtime=240),
    "evaluate_robust": Need(gpu=1, mem_mb=8000, runtime=720),
    "attack_model": Need(gpu=1, mem_mb=8000, runtime=1440),
    "collect_measurements": Need(gpu=0, mem_mb=2000, runtime=30),
    "summarise": Need(gpu=0, mem_mb=2000, runtime=30),
    "collect_costs": Need(gpu=0, mem_mb=1000, runtime=10),
    "draw_figures": Need(gpu=0, mem_mb=1000, runtime=10),
    "draw_attention": Need(gpu=0, mem_mb=1000, runtime=10),
    "draw_rift": Need(gpu=0, mem_mb=1000, runtime=10),
    "draw_restored": Need(gpu=0, mem_mb=1000, runtime=10),
    "draw_contact_sheets": Need(gpu=0, mem_mb=2000, runtime=30),
    "write_report": Need(gpu=0, mem_mb=1000, runtime=10),
}


def gpus_visible() -> int:
    """Count this machine's NVIDIA GPUs without loading CUDA, respecting CUDA_VISIBLE_DEVICES."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([part for part in chosen.split(",") if part.strip() not in {"", "-1"}])
    return sum(path.name.removeprefix("nvidia").isdigit() for path in Path("/dev").glob("nvidia*"))


def gpu_request(rule: str, *, remote: bool) -> int:
    """GPUs a job asks for: none on a machine without one, where the job runs on the CPU instead.

    A cluster is asked whatever the login node has.
    """
    return NEEDS[rule].gpu if remote or gpus_visible() else 0
