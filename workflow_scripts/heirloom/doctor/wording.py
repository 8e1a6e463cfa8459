"""Sizes, times and the lines of an estimate, for people."""

from __future__ import annotations

from collections.abc import Iterator

from heirloom.config.resources import NEEDS
from heirloom.plan.estimate import Estimate
from heirloom.plan.rates import Rates, wall_seconds

GPU_RULES = frozenset(rule for rule, need in NEEDS.items() if need.gpu)
_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_SPANS = ((365 * 86400.0, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


def size(count: float) -> str:
    """Write bytes with three digits and a decimal unit: 1.23 GB."""
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), (1, "bytes"))
    return f"{count / unit:.3g} {name}" if count < 999.5 * unit else f"{count / unit:.0f} {name}"


def span(seconds: float) -> str:
    """Write a time with two digits: 1.5 hours."""
    unit, name = next(((unit, name) for unit, name in _SPANS if seconds >= unit), (1.0, "seconds"))
    value = seconds / unit
    return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"


def job_list(estimate: Estimate) -> str:
    """Write the jobs to run: 40 of 52 (2 pretrain_teacher, ...)."""
    jobs = estimate.jobs
    kinds = ", ".join(f"{count:,} {rule}" for rule, count in jobs.items())
    return f"{sum(jobs.values()):,} to run of {sum(estimate.total.values()):,}" + (f" ({kinds})" if kinds else "")


def time_of(estimate: Estimate, rates: Rates | None, *, cores: int | None, gpus: int) -> str:
    """Write how long the jobs take with all cores or GPUs always busy, if this machine's speed is known."""
    if cores is None:
        return "unknown: the jobs run on other machines"
    if rates is None:
        return "unknown until `make doctor` has measured this machine"
    if gpus and "cuda" not in rates.devices():
        return "unknown until `make doctor` has measured this machine's GPU"
    seconds = wall_seconds(estimate.todo, rates, gpu_rules=GPU_RULES, cores=cores, gpus=gpus)
    machine = f"{gpus} GPU{'s' * (gpus > 1)}" if gpus else f"{cores} core{'s' * (cores > 1)}, no GPU"
    return f"at least {span(seconds)} ({machine}; without drawing, unpacking, decoding and tables)"


def lines(estimate: Estimate, rates: Rates | None, *, free: int, cores: int | None, gpus: int) -> Iterator[str]:
    """Give the lines printed before a study starts."""
    short = estimate.disk > free
    yield f"estimate for the study {estimate.study}"
    yield f"  jobs      {job_list(estimate)}"
    yield f"  disk      about {size(estimate.disk)} below results/, {size(free)} free"
    if short:
        yield "  WARNING   the disk is too small: free some space first, or put results/ on a larger disk"
    if estimate.download:
        yield f"  download  about {size(estimate.download)}"
    yield f"  time      {time_of(estimate, rates, cores=cores, gpus=gpus)}"
    if estimate.unknown:
        yield f"  besides   {', '.join(estimate.unknown)}"
