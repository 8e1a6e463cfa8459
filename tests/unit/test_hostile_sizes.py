"""Small files that claim, or unpack to, far more than they hold: refused in a process that has little memory."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.unit.test_hostile_archives import HEADERS

ROOM = 384 << 20  # bytes of address space beyond what the process has after its imports
SEVERAL = 1 << 30  # bytes that a file stands for

READ = """
import resource, sys, time
from pathlib import Path
from PIL import Image
from heirloom.data.archives import unpack
from heirloom.data import matlab, voc
from heirloom.data.corrupted_layouts import cifar_c
from heirloom.data.layouts import mnist
from heirloom.data.listing import Sample
from heirloom.data.pictures import PictureDecoder
from heirloom.runtime.errors import HeirloomError
from heirloom.runtime.pickles import read_arrays

def picture(path):
    decoder = PictureDecoder(8, "crop")
    list(decoder.decode([Sample("a", path, 0, "test", "a")]))
    print(path.name, "refused" if decoder.problems else "read", *decoder.problems)

READERS = {
    ".tar": lambda path: unpack(path, path.with_suffix(".into")),
    ".gz": lambda path: unpack(path, path.with_suffix(".into")),
    ".xz": lambda path: unpack(path, path.with_suffix(".into")),
    ".zip": lambda path: unpack(path, path.with_suffix(".into")),
    ".idx": lambda path: mnist._values(path, dimensions=3),
    ".mat": lambda path: matlab.load(path, "labels", title="a set").numbers("labels"),
    ".npy": cifar_c._mapped,
    ".pkl": read_arrays,
    ".png": picture, ".bmp": picture, ".gif": picture, ".ppm": picture, ".tiff": picture,
}
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in map(Path, sys.argv[2:]):
    reader = mnist._values if path.name.endswith(".idx.gz") else None
    try:
        reader(path, dimensions=3) if reader else READERS[path.suffix](path)
    except HeirloomError as error:
        print(path.name, "refused", error.what)
"""


def _packed(make: object, size: int) -> bytes:
    """Pack zeros with a compressor, a MiB at a time."""
    block = bytes(1 << 20)
    return b"".join([*(make.compress(block) for _ in range(size >> 20)), make.flush()])  # type: ignore[attr-defined]


def _gzipped(head: bytes, size: int) -> bytes:
    engine = zlib.compressobj(9, wbits=31)
    return engine.compress(head) + _packed(engine, size)


def _tar_of_zeros(size: int) -> bytes:
    info = tarfile.TarInfo("zeros")
    info.size = size
    return info.tobuf()


def _zip_of_zeros(folder: Path) -> bytes:
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive, archive.open("zeros", "w") as member:
        for _ in range(SEVERAL >> 20):
            member.write(bytes(1 << 20))
    return path.read_bytes()


def _xz_with_a_dictionary_of_gigabytes() -> bytes:
    """Say in the head of a block that unpacking takes a dictionary of 1.5 GiB."""
    content = bytearray(lzma.compress(_tar_of_zeros(0) + bytes(1024), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}]))
    start, length = 12, (content[12] + 1) * 4
    place = content.index(b"\x21\x01", start) + 2  # LZMA2, one byte of properties: the dictionary's size
    content[place] = 37
    content[start + length - 4 : start + length] = struct.pack("<I", zlib.crc32(content[start : start + length - 4]))
    return bytes(content)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _mat_of_zeros(folder: Path) -> bytes:
    path = folder / "made.mat"
    savemat(path, {"labels": np.zeros((1 << 26, 1), dtype=np.uint8)}, do_compression=True)
    return path.read_bytes()


def _npy(shape: str, version: int = 1, size: int | None = None) -> bytes:
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = (len(head) if size is None else size).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + head


def _bombs(folder: Path) -> dict[str, bytes]:
    huge = 1 << 31
    return {
        "names.tar.gz": gzip.compress(HEADERS["a long name of gigabytes"] + bytes(1 << 20)),
        "zeros.tar.gz": _gzipped(_tar_of_zeros(SEVERAL), SEVERAL),
        "padding.tar.gz": _gzipped(_tar_of_zeros(0) + bytes(1024), 1 << 28),
        "zeros.zip": _zip_of_zeros(folder),
        "dictionary.tar.xz": _xz_with_a_dictionary_of_gigabytes(),
        "claim.idx": b"\0\0\x08\x03" + struct.pack(">III", huge - 1, 28, 28),
        "claim.idx.gz": gzip.compress(b"\0\0\x08\x03" + struct.pack(">III", 1 << 15, 1 << 7, 1 << 7)),
        "zeros.idx.gz": _gzipped(b"\0\0\x08\x03" + struct.pack(">III", 1 << 20, 1 << 7, 1 << 7), SEVERAL >> 2),
        "zeros.mat": _mat_of_zeros(folder),
        "claim.npy": _npy("(4000000000, 32, 32, 3)"),
        "head.npy": _npy("(1,)", version=2, size=0xFFFFFFF0),
        "claim.pkl": b"\x80\x02U\x01a\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
        "array.pkl": b"\x80\x05U\x01a\x96" + struct.pack("<Q", 1 << 40) + b"x.",
        "number.pkl": b"\x80\x02U\x01a\x8b" + struct.pack("<I", huge - 1) + b"x.",
        "frame.pkl": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
        "memo.pkl": b"\x80\x02}r" + struct.pack("<I", huge) + b".",
        "calls.pkl": b"\x80\x02((" + b"N" * 100_000 + b"tq\x01" + b"cnumpy\ndtype\nh\x01R" * 100_000 + b"l.",
        "claim.png": _png(60_000, 60_000),
        "edge.png": _png(9_000, 9_000),
        "claim.bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 1000, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "claim.gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
        "claim.ppm": b"P6 60000 60000 255\n" + bytes(100),
    }


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of address space, and /proc")
def test_files_that_claim_gigabytes_are_refused_by_a_process_of_little_memory(tmp_path: Path) -> None:
    """With one process for all: whatever one of them allocates is let go before the next."""
    bombs = _bombs(tmp_path)
    for name, content in bombs.items():
        assert len(content) < 2 << 20, name
        (tmp_path / name).write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", READ, str(ROOM), *(str(tmp_path / name) for name in bombs)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    told = {line.partition(" ")[0]: line for line in run.stdout.splitlines()}
    assert run.returncode == 0, run.stderr
    refused = {name for name, line in told.items() if " refused " in line}
    assert refused == bombs.keys(), run.stdout
    assert not list(tmp_path.glob("*.into")), "something was unpacked"
    assert "1000 times its size" in told["zeros.tar.gz"]
