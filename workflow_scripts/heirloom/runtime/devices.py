"""Where and how a stage computes: the leased device, the threads, the precision, and determinism."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from heirloom.runtime.errors import StorageError
from heirloom.runtime.locks import any_exclusive

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Compute:
    """The device, the number of CPU threads and the precision of trainings."""

    device: torch.device
    threads: int
    precision: Precision

    def autocast(self) -> AbstractContextManager[object]:
        """Give the context for a training's forward pass: bfloat16 where the study says so, else nothing.

        Attacks and evaluations never use it: they compute in float32.
        """
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


@contextmanager
def compute(threads: int, precision: Precision) -> Iterator[Compute]:
    """Lease a GPU if one is visible (else the CPU) and set threads and deterministic algorithms while in the body.

    All settings are put back at the end. An operation without a deterministic version raises RuntimeError. With all
    GPUs leased by other jobs of this user, waits for one.
    """
    if threads < 1:
        raise ValueError(f"{threads} threads")
    with ExitStack() as stack:
        stack.enter_context(cpu_threads(threads))
        stack.enter_context(_deterministic())
        device = stack.enter_context(_leased_device())
        logger.info("computing on %s with %d threads, %s", _described(device), threads, precision)
        yield Compute(device=device, threads=threads, precision=precision)


def _described(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


@contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Compute with so many CPU threads: sums depend on how they are split, so the study says it, not the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Use deterministic algorithms, and full float32 in convolutions, on whatever device."""
    # cuBLAS reads this when it starts, and is deterministic only with a fixed workspace
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn
    before, before_cudnn = torch.get_deterministic_debug_mode(), (cudnn.benchmark, cudnn.allow_tf32)
    # The same as use_deterministic_algorithms(True), which would import the compiler and cost every job 4 CPU seconds
    torch.set_deterministic_debug_mode("error")
    cudnn.benchmark, cudnn.allow_tf32 = False, False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        cudnn.benchmark, cudnn.allow_tf32 = before_cudnn


@contextmanager
def relaxed() -> Iterator[None]:
    """Let operations run that have no deterministic version, for code that is not ours; strict again afterwards."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


@contextmanager
def _leased_device() -> Iterator[torch.device]:
    """Hold a GPU for this process, or give the CPU when CUDA sees none."""
    if not torch.cuda.is_available():
        yield torch.device("cpu")
        return
    with lease(_device_names()) as index, torch.cuda.device(index):
        yield torch.device("cuda", index)


def lease(names: Sequence[str], folder: Path | None = None) -> AbstractContextManager[int]:
    """Hold the first free of some devices and give its place among `names`; waits while all are held.

    The lock files lie in a folder of this user's in the machine's temporary folder, since a GPU is the machine's, not
    one result folder's. Snakemake counts GPUs but tells no job which one is its own.
    """
    place = folder or _own_folder()
    return any_exclusive([place / f"gpu-{name}.lock" for name in names])


def _own_folder() -> Path:
    """Make a folder of this user's alone in the machine's temporary folder, where others may have made it before.

    Raises StorageError where it is a link or somebody else's.
    """
    place = Path(tempfile.gettempdir()) / f"heirloom-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    status = place.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        mend = "remove it, or set TMPDIR to a folder of your own, then run again"
        raise StorageError(f"{place} is no folder of yours", where=str(place.parent), mend=mend)
    return place


def _device_names() -> list[str]:
    """Name the visible GPUs in CUDA's order, the same in every process however the process numbers them.

    A scheduler may show each job its own GPU as number 0, so a name is the hardware's UUID. Slices of a GPU share their
    GPU's, so a slice is called as in CUDA_VISIBLE_DEVICES.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    count = torch.cuda.device_count()
    if len(visible) >= count and all(name.strip().startswith("MIG-") for name in visible[:count]):
        return [name.strip().replace("/", "-") for name in visible[:count]]
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]
