"""What the machine offers to this process, without torch: its processor, the cores and the memory that it may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_BF16 = ("amx_bf16", "avx512_bf16")
_SHOWN = ("avx2", "avx512f", *_BF16)


def cpu_model() -> str:
    """Return the processor's name as the kernel tells it; "unknown processor" where it tells none."""
    return next((value for key, value in _cpu_facts() if key in ("model name", "Model")), "unknown processor")


def cpu_abilities() -> tuple[str, ...]:
    """Return the instruction sets of this processor that matter here: AVX2, AVX-512 and those for bfloat16."""
    flags = next((set(value.split()) for key, value in _cpu_facts() if key == "flags"), set[str]())
    return tuple(name for name in _SHOWN if name in flags)


def has_fast_bf16() -> bool:
    """Tell whether the processor multiplies bfloat16 itself (AMX or AVX-512); without, bf16 is slower than fp32."""
    return bool(set(cpu_abilities()) & set(_BF16))


def _cpu_facts() -> Iterator[tuple[str, str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def usable_cores(cgroups: Path = CGROUPS) -> float:
    """Return the cores this process may use: those it is bound to, or a container's share where that is less."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(bound), *_quotas(cgroups)])


def _quotas(cgroups: Path) -> Iterator[float]:
    """Give the CPU quotas of this process's control groups and those above them, in cores."""
    for folder in _groups("cpu", cgroups):
        both = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(both) == 2 and both[0] not in ("max", "-1"):
            yield int(both[0]) / int(both[1])


def memory_limit(cgroups: Path = CGROUPS) -> float:
    """Return the memory limit of this process's control groups in bytes; infinity where there is none."""
    found = [
        float(words[0])
        for folder in _groups("memory", cgroups)
        for name in ("memory.max", "memory.limit_in_bytes")
        if (words := _words(folder / name)) and words[0] != "max"
    ]
    return min(found, default=math.inf)


def _groups(controller: str, cgroups: Path) -> Iterator[Path]:
    """Give the folders of a controller's groups that hold this process, from its own up, of either version."""
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, place = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = cgroups / controllers if controllers else cgroups
        own = root / place.strip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def gpu_models() -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs as their driver tells them, without loading CUDA."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return tuple(line.partition(":")[2].strip() for file in files for line in _lines(file) if line.startswith("Model:"))


def machine_name() -> str:
    """Name what a measured speed belongs to: the processor, the cores usable, the GPUs."""
    return " + ".join([f"{cpu_model()}, {usable_cores():g} cores", *gpu_models()])
