"""State dicts out of the files that torch.save writes, read by a process of its own that has bounds.

`torch.load(weights_only=True)` runs nothing of a file, but 237 bytes can keep it busy for ever (tuples that hold one
another twice, as a key), and a few more ask for any amount of memory. So a child reads the file, and the kernel ends it
when it takes more time or memory than a file of that size can need. It answers on its standard output in the
safetensors format, which holds nothing but arrays: no pickle crosses over, and nothing is left on the disk.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Never

import psutil
import torch
from safetensors.torch import load, save
from torch import Tensor

import heirloom
from heirloom.runtime.errors import WeightsError, some
from heirloom.runtime.files import regular_file

PYTHON = (sys.executable, "-P")  # the child's
CPU_SECONDS = 30.0  # beyond Python's own start; a file of 100 MB takes less than 1
CPU_BYTES = 20e6  # a second more for so many
WALL_SECONDS = 300.0  # with Python's start, on a slow disk that all jobs of a cluster share
WALL_BYTES = 2e6
MEMORY = 1 << 30  # bytes, beside COPIES of all that is in the file
COPIES = 6  # of the state at once: as read, on its own, and on its way through safetensors
_REFUSED = 3  # exit status of the child when its answer is what is wrong with the file
_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "module")
_MOST_WRAPPERS = 16  # a dictionary of a pickle can lie in itself
_RESERVED = "__metadata__"  # what safetensors calls its notes
_ZIP = b"PK\x03\x04"  # how torch's own format begins since 1.6
_RATIO = 20  # bytes that a byte of a file may unpack to; torch packs nothing, and numbers pack badly
_RATIO_FLOOR = 1 << 26  # bytes: what unpacks to less harms nobody
_NUMBERS = frozenset(
    {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    | {torch.float16, torch.bfloat16, torch.float32, torch.float64}
)
_MEND = "in a place you trust, load it and save its state_dict with safetensors; then name that file"
MEND_DAMAGED = "get the file again from its owner's page: it is cut short, damaged or no weight file"


# -- the job's side ----------------------------------------------------------------------------------------------------


def read_state(path: Path, *, mend: str = "") -> dict[str, Tensor]:
    """Read the state dict in a file that torch.save wrote, by a child process with bounds; as `state_in`.

    Raises WeightsError, with `mend` as the advice where there is one for what the file holds; also for what is no
    regular file, and where the child came to no end within its bounds.
    """
    try:
        with regular_file(path, error=WeightsError) as file:
            size = os.fstat(file.fileno()).st_size
            seconds = CPU_SECONDS + size / CPU_BYTES
            done = _child(file, seconds, patience=WALL_SECONDS + size / WALL_BYTES)
    except subprocess.TimeoutExpired as error:
        what = f"reading this file took more than {error.timeout:.0f} s, which no weight file of {size} bytes needs"
        mend = "if the disk or the machine is very slow, run again; else get the file again from its owner's page"
        raise WeightsError(what, where=str(path), mend=mend) from None
    except OSError as error:
        raise WeightsError(f"this file cannot be read: {error}", where=str(path), mend=MEND_DAMAGED) from error
    if done.returncode == 0:
        return load(done.stdout)
    if done.returncode == _REFUSED:
        told = json.loads(done.stdout)
        raise WeightsError(told["what"], where=str(path), mend=mend or told["mend"])
    if done.returncode > 0:  # a fault of this program, not of the file
        raise RuntimeError(f"reading {path} failed:\n{done.stderr.decode(errors='replace')}")
    what, advice = _ended_by(-done.returncode, seconds, size)
    raise WeightsError(what, where=str(path), mend=advice)


def _child(file: BufferedReader, seconds: float, *, patience: float) -> subprocess.CompletedProcess[bytes]:
    """Start a child that reads a file as its standard input, and wait for its answer; whatever ends this ends it."""
    package = str(Path(heirloom.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return subprocess.run(  # noqa: S603 - this very Python
        [*PYTHON, "-m", __name__, str(math.ceil(seconds))],
        stdin=file,
        capture_output=True,
        timeout=patience,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )


def _ended_by(number: int, seconds: float, size: int) -> tuple[str, str]:
    """Say what it means that a signal ended the child, and how to mend it."""
    if number == signal.SIGXCPU:
        what = f"reading this file took more than {seconds:.0f} s of processor time, more than {size} bytes of weights"
        return f"{what} need: it is made to keep its reader busy, or damaged", MEND_DAMAGED
    what = f"the process that read this file was ended by signal {number} ({signal.strsignal(number)})"
    if number == signal.SIGKILL:
        return what, "if the machine or the job ran out of memory, give it more and run again; else get the file again"
    return f"{what}: the file is damaged, or made to break its reader", MEND_DAMAGED


# -- the child's side --------------------------------------------------------------------------------------------------


def main() -> Never:
    """Read the file that is the standard input, within `argv[1]` seconds of processor time, and answer."""
    _end_with_parent()
    used = resource.getrusage(resource.RUSAGE_SELF)
    _bound(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + int(sys.argv[1]))
    _bound(resource.RLIMIT_CORE, 0)
    status, answer = 0, b""
    try:
        with open(0, "rb") as file:
            memory = MEMORY + COPIES * unpacked(file)
            _bound(resource.RLIMIT_AS, psutil.Process().memory_info().vms + memory)
            answer = save(state_in(file))
    except Exception as error:  # a name or an amount that cannot be passed on is the file's fault, too
        refusal = error if isinstance(error, WeightsError) else _refusal(error)
        status, answer = _REFUSED, json.dumps({"what": refusal.what, "mend": refusal.mend}).encode()
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    os._exit(status)  # spare an hour-long tidying of what a hostile file built


def _end_with_parent() -> None:
    """Have the kernel end this process when the job goes, even by kill -9, however busy this one is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _bound(kind: int, most: int) -> None:
    """Lower a bound of this process; where a system knows none, the others remain."""
    _, hard = resource.getrlimit(kind)
    lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (lower, hard))


def unpacked(file: BufferedReader) -> int:
    """Return how many bytes a file holds once torch has unpacked it, which it does though it packs nothing itself.

    Raises WeightsError, without `where`, for a file that unpacks to far more than it has, and for a broken archive.
    """
    file.seek(0)
    size = os.fstat(file.fileno()).st_size
    if file.read(len(_ZIP)) != _ZIP:
        return size
    try:
        with zipfile.ZipFile(file) as packed:
            inside = sum(member.file_size for member in packed.infolist())
    except Exception as error:  # zipfile does not say which ones damaged files raise
        raise _refusal(error) from error
    if inside > max(_RATIO_FLOOR, _RATIO * size):
        what = f"this is no readable weight file: it unpacks to {inside} bytes, more than {_RATIO} times its size"
        raise WeightsError(what, mend=MEND_DAMAGED)
    return max(size, inside)


def state_in(file: BufferedReader) -> dict[str, Tensor]:
    """Return the state dict in a file that torch.save wrote, of its own contiguous arrays, without running anything.

    One wrapped in a checkpoint ("state_dict", "model", ...) is unwrapped. Raises WeightsError, without `where`, for a
    file that holds code, no state dict, or tensors that are no plain arrays (sparse, quantised).
    """
    file.seek(0)
    try:
        state = _unwrapped(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # which ones a reader of damaged pickles raises, torch does not say
        raise _refusal(error) from error
    check_plain(state)
    return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def check_plain(state: Mapping[str, Tensor], *, where: str = "") -> None:
    """Refuse a state that is empty, or holds tensors that are no plain arrays; raises WeightsError."""
    odd = [name for name, value in state.items() if name == _RESERVED or not _is_plain(value)]
    if odd:
        raise WeightsError(f"this file holds tensors of a kind of their own: {some(odd)}", where=where, mend=_MEND)
    if not state:
        raise WeightsError("this file holds no state dict", where=where, mend="save model.state_dict() to a file")


def _refusal(error: Exception) -> WeightsError:
    """Say what an error of a reader means, and how to mend it; torch's own advice is to trust the file."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, pickle.UnpicklingError):
        return WeightsError("this file holds more than tensors (it could run code) or is no weight file", mend=_MEND)
    if "weights_only" in first:
        what = "this file is a TorchScript archive or of a format that torch left in 2017: reading it could run code"
        return WeightsError(what, mend=_MEND)
    if isinstance(error, MemoryError) or "alloc" in first:
        return WeightsError("this file asks for more memory than its weights need", mend=MEND_DAMAGED)
    return WeightsError(f"this is no readable weight file: {first}", mend=MEND_DAMAGED)


def _is_plain(value: Tensor) -> bool:
    """Tell whether a tensor is an array of numbers in memory, as any operation expects, and all of them are there.

    A file can show a few numbers as an array of any size, which the first copy would write out.
    """
    if value.layout != torch.strided or value.device.type != "cpu" or value.dtype not in _NUMBERS:
        return False
    return value.untyped_storage().nbytes() >= math.prod(value.shape) * value.element_size()


def _unwrapped(content: object) -> Mapping[str, Tensor]:
    """Find the state dict in what a checkpoint holds; empty when there is none.

    A pickle can give a dictionary attributes called as its methods are, so that these are taken from the class.
    """
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(content, dict):
            break
        inner = [found for key in _WRAPPERS if isinstance(found := dict.get(content, key), dict)]
        if not inner:
            named = ((name, value) for name, value in dict.items(content) if isinstance(name, str))
            return {name: value for name, value in named if isinstance(value, Tensor)}
        content = inner[0]
    return {}


if __name__ == "__main__":
    main()
