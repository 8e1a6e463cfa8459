"""The processor, the memory and the GPUs that jobs would find."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

from heirloom.doctor.gradient_check import gradient_finding
from heirloom.doctor.report import Finding
from heirloom.doctor.wording import size
from heirloom.runtime.machine import cpu_abilities, cpu_model, has_fast_bf16, memory_limit, usable_cores

MIB = 1 << 20


def hardware_findings(needed_mb: int) -> Iterator[Finding]:
    """Look at what computes. `needed_mb`: memory of the largest job of the study asked about, MiB."""
    yield from _cpu()
    yield memory_finding(*_memory(), needed=needed_mb * MIB)
    yield from _torch()
    yield gradient_finding()


def _cpu() -> Iterator[Finding]:
    present, usable = os.cpu_count() or 1, usable_cores()
    yield Finding("ok", "processor", cpu_model())
    yield Finding("ok", "cores", f"{usable:g} usable of {present}")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > usable / 2:
        what = f"about {busy:.1f} cores' worth of work in the last minute: measured speeds will be too slow"
        yield Finding("warning", "other programs", what, "run doctor again when the machine is idle")
    yield Finding("ok", "instructions", ", ".join(cpu_abilities()) or "none of AVX2, AVX-512, AMX known")
    slow = "no instructions for it: recipes with precision bf16 are slow on this processor"
    yield Finding("ok", "bf16 on the CPU", "supported by the processor" if has_fast_bf16() else slow)


def _memory() -> tuple[float, float, float]:
    import psutil

    memory = psutil.virtual_memory()
    return float(memory.total), float(memory.available), memory_limit()


def memory_finding(total: float, available: float, limit: float, *, needed: float) -> Finding:
    """Compare the memory with what the largest job asks for; all in bytes."""
    capped = f", limited to {size(limit)} by the container" if limit < total else ""
    what = f"{size(min(available, limit))} available of {size(total)}{capped}"
    if min(available, limit, math.inf) >= needed:
        return Finding("ok", "memory", what)
    mend = "end other programs, or give fewer cores so that fewer jobs run at a time"
    return Finding("warning", "memory", f"{what}; the largest job asks for {size(needed)}", mend)


def _torch() -> Iterator[Finding]:
    import torch

    yield Finding("ok", "torch", f"{torch.__version__}, {torch.get_num_threads()} threads unless a recipe says else")
    if not torch.cuda.is_available():
        yield Finding("ok", "GPU", "none: trainings run on the CPU")
        return
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        bf16 = "with bf16" if facts.major >= 8 else "bf16 only emulated"
        what = f"{facts.name}, {size(facts.total_memory)}, capability {facts.major}.{facts.minor}, {bf16}"
        yield Finding("ok", f"GPU {index}", f"{what}, CUDA {torch.version.cuda}, driver {_driver()}")


def _driver() -> str:
    """Return the version of NVIDIA's kernel module."""
    try:
        with open("/sys/module/nvidia/version", encoding="utf-8") as file:  # noqa: PTH123 - no path of ours
            return file.read().strip()
    except OSError:
        return "unknown"
