"""How fast this machine computes, as `make doctor` measured it: the one thing that turns work into seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from heirloom.config import paths
from heirloom.config.work import Load
from heirloom.plan.job import Job
from heirloom.plan.takes import Takes
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_json, write_json

FILE = Path(paths.DOWNLOADS) / "rates.json"


@dataclass(frozen=True)
class Rate:
    """Seconds on one device ("cpu" or "cuda") with a precision and a number of CPU threads.

    A training step takes `step` seconds whatever it computes and, for each image, `mac` for each multiply-add of a
    forward pass and `activation` for each number that a convolution puts out.
    """

    device: str
    precision: str
    threads: int
    step: float
    mac: float
    activation: float

    def seconds(self, load: Load) -> float:
        """Return how long a load takes; looking at an image counts a third of training on it."""
        image = load.cost.macs * self.mac + load.cost.activations * self.activation
        return load.steps * self.step + load.passes / 3 * image


@dataclass(frozen=True)
class Rates:
    """All rates of one machine, by its name; `start`: seconds until a job that trains has imported what it needs."""

    machine: str
    start: float
    rates: tuple[Rate, ...]

    def seconds(self, takes: Takes, device: str) -> float:
        """Return how long a job takes on "cpu" or "cuda"; of one that computes with no model, the start alone."""
        return self.start + sum(self._rate(load, device).seconds(load) for load in takes.loads)

    def devices(self) -> set[str]:
        """Return what was measured."""
        return {rate.device for rate in self.rates}

    def _rate(self, load: Load, device: str) -> Rate:
        """Choose the rate measured most like a load: its precision, then the nearest number of threads."""
        mine = [rate for rate in self.rates if rate.device == device]
        return min(mine, key=lambda rate: (rate.precision != load.precision, abs(rate.threads - load.threads)))


def write_rates(rates: Rates, path: Path = FILE) -> None:
    """Keep what was measured."""
    write_json(path, asdict(rates))


def read_rates(machine: str, path: Path = FILE) -> Rates | None:
    """Return the rates of a machine; None when none were measured, or another machine's, or the file is damaged."""
    try:
        content = read_json(path)
        found = Rates(content["machine"], content["start"], tuple(Rate(**rate) for rate in content["rates"]))
    except (DamagedFileError, KeyError, TypeError):
        return None
    return found if found.machine == machine and found.rates else None


def wall_seconds(
    todo: Sequence[tuple[Job, Takes]], rates: Rates, *, gpu_rules: frozenset[str], cores: int, gpus: int
) -> float:
    """Return the least wall time of some jobs in seconds: cores and GPUs always busy, no job waiting for another."""
    device = "cuda" if gpus and "cuda" in rates.devices() else "cpu"
    on_gpu = [takes for job, takes in todo if device == "cuda" and job.rule in gpu_rules]
    on_cpu = [takes for job, takes in todo if device == "cpu" or job.rule not in gpu_rules]
    busy = sum(rates.seconds(takes, "cpu") * min(takes.threads, cores) for takes in on_cpu)
    return max(busy / cores, sum(rates.seconds(takes, device) for takes in on_gpu) / max(gpus, 1))
