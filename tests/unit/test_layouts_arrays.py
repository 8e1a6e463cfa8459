"""Sets that keep many pictures in one file, CIFAR and MNIST: what is listed, in which order, and what is refused."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from heirloom.config.load import load_catalogue
from heirloom.data.layouts import cifar10, cifar100, mnist
from heirloom.data.listing import Listing
from heirloom.data.writers import digits
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import brought, write_cifar, write_mnist
from tests.unit.face_network import of_python2

READERS = {False: cifar10.read, True: cifar100.read}


def facts(listed: Listing) -> list[tuple[object, ...]]:
    return [(s.identifier, s.label, s.part, s.group, s.pixels.tobytes()) for s in listed.samples]


@pytest.mark.parametrize("fine", [False, True])
def test_both_forms_of_cifar_list_the_same_pictures(tmp_path: Path, fine: bool) -> None:
    for binary in (False, True):
        write_cifar(tmp_path / str(binary) / "unpacked", fine=fine, binary=binary)
    pickled, plain = (READERS[fine](tmp_path / str(binary)) for binary in (False, True))
    assert pickled.classes == plain.classes == ("thing 0", "thing 1", "thing 2")
    assert facts(pickled) == facts(plain)
    assert Counter(sample.part for sample in pickled.samples) == {"development": 30, "test": 15}
    assert [sample.label for sample in pickled.samples if sample.part == "test"] == [0, 1, 2] * 5


def test_cifar_is_numbered_through_its_files_and_shows_what_python_reads(tmp_path: Path) -> None:
    folder = write_cifar(tmp_path)
    listed = cifar10.read(tmp_path)
    names = [sample.identifier for sample in listed.samples]
    assert names[:2] + names[29:32] == ["train/00000", "train/00001", "train/00029", "test/00000", "test/00001"]
    content = pickle.loads((folder / "data_batch_2").read_bytes())
    sample = listed.samples[7]  # the second of the second file
    assert (sample.path.name, sample.label) == ("data_batch_2", content["labels"][1])
    red, green, blue = content["data"][1].reshape(3, 1024)
    assert sample.pixels.shape == (32, 32, 3)
    assert sample.pixels[2, 5].tolist() == [plane[2 * 32 + 5] for plane in (red, green, blue)]


def test_a_batch_as_python_2_wrote_it_is_read(tmp_path: Path) -> None:
    folder = write_cifar(tmp_path)
    data = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    labels = b"U\x06labels](K\x02K\x00eU\x0bbatch_labelU\x05first"
    content = of_python2({"data": data}, 2).removesuffix(b"u.") + labels + b"u."
    assert pickle.loads(content, encoding="latin1")["labels"] == [2, 0]  # the hand-made stream is one
    (folder / "data_batch_1").write_bytes(content)
    listed = cifar10.read(tmp_path)
    assert [sample.label for sample in listed.samples[:2]] == [2, 0]
    assert listed.samples[1].pixels[:, :, 2].tobytes() == data[1, 2048:].tobytes()


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm-done",)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("test_batch", Harm(), "asks for posix.system"),
        ("data_batch_3", {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 3]}, "a label outside its 3 classes"),
        ("data_batch_3", {"data": np.zeros((2, 3072), np.uint8), "labels": [0, -1]}, "a label outside its 3 classes"),
        ("data_batch_3", {"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "3072 values for each of its labels"),
        ("data_batch_3", {"data": np.zeros((1, 3071), np.uint8), "labels": [0]}, "3072 values for each of its labels"),
        ("data_batch_3", {"data": np.zeros((1, 3072), np.int8), "labels": [0]}, "3072 values for each of its labels"),
        ("data_batch_3", {"data": np.zeros((1, 3072), np.uint8), "labels": ["0"]}, "3072 values for each"),
        ("data_batch_3", {"data": np.zeros((1, 3072), np.uint8)}, "3072 values for each of its labels"),
        ("batches.meta", {"num_vis": 3072}, "no label_names"),
        ("batches.meta", {"label_names": 3}, "no label_names"),
    ],
)
def test_a_wrong_file_of_cifar_is_named(tmp_path: Path, monkeypatch, name: str, content: object, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_cifar(tmp_path)
    (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=words) as refused:
        cifar10.read(tmp_path)
    assert refused.value.where == str(folder / name)
    assert not (tmp_path / "harm-done").exists()


def test_cut_and_missing_files_of_cifar_are_named(tmp_path: Path) -> None:
    folder = write_cifar(tmp_path, fine=True, binary=True)
    path = folder / "test.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="46109 bytes, no multiple of the 3074"):
        cifar100.read(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="holds no picture"):
        cifar100.read(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="no CIFAR-100 found") as refused:
        cifar100.read(tmp_path)
    assert "test.bin" in refused.value.what


def test_mnist_is_listed_packed_or_not_and_under_both_of_its_names(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "plain")
    write_mnist(tmp_path / "packed", packed=True)
    plain, packed = mnist.read(tmp_path / "plain"), mnist.read(tmp_path / "packed")
    assert facts(plain) == facts(packed)
    assert plain.classes == tuple("0123456789")
    assert Counter(sample.part for sample in plain.samples) == {"development": 20, "test": 10}
    content = (folder / "train-images-idx3-ubyte").read_bytes()[16:]
    assert plain.samples[3].pixels.tobytes() == content[3 * 480 : 4 * 480]
    assert (plain.samples[3].label, plain.samples[3].pixels.shape) == (3, (20, 24))
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("-idx", ".idx"))
    assert facts(mnist.read(tmp_path / "plain")) == facts(packed)


def idx(*shape: int, kind: int = 8, content: bytes = b"") -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + content


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train-labels-idx1-ubyte", idx(20, content=bytes(19)), "fewer values than the 20"),
        ("train-labels-idx1-ubyte", idx(20, content=bytes(21)), "more values than the 20"),
        ("train-labels-idx1-ubyte", idx(19, content=bytes(19)), "20 pictures, but 19 labels"),
        ("train-labels-idx1-ubyte", idx(20, content=bytes([10] * 20)), "some above 9"),
        ("t10k-images-idx3-ubyte", idx(10, content=bytes(10)), "no idx file of unsigned bytes in 3 dimensions"),
        ("t10k-images-idx3-ubyte", idx(10, 20, 24, kind=9), "no idx file of unsigned bytes"),
        ("t10k-images-idx3-ubyte", idx(2**32 - 1, 2**32 - 1, 2**32 - 1), "it claims 79228162458924105385300197375"),
        ("t10k-images-idx3-ubyte", b"\0\0", "cannot be read"),
        ("t10k-images-idx3-ubyte", b"", "cannot be read"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_file_of_mnist_is_named(tmp_path: Path, name: str, content: bytes, words: str, packed: bool) -> None:
    path = write_mnist(tmp_path, packed=packed) / f"{name}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=words) as refused:
        mnist.read(tmp_path)
    assert refused.value.where == str(path)


def test_a_damaged_and_a_missing_file_of_mnist_are_named(tmp_path: Path) -> None:
    path = write_mnist(tmp_path, packed=True) / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        mnist.read(tmp_path)
    path.write_bytes(content[:-8] + bytes(4) + content[-4:])  # another checksum
    with pytest.raises(DataError, match="cannot be read: CRC"):
        mnist.read(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="no folder holds its four files"):
        mnist.read(tmp_path)


def test_the_real_mnist_is_listed(tmp_path: Path) -> None:
    listed = mnist.read(brought(tmp_path, "mnist.tar.xz").parent / "files")
    counts = Counter((sample.part, sample.label) for sample in listed.samples)
    # the owners' counts of digits
    assert [counts["development", n] for n in range(10)] == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ]
    assert [counts["test", n] for n in range(10)] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_drawn_digits_are_the_bundled_ones(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits.write(tmp_path / "a", seed=1, test_images=30)
    listed = mnist.read(tmp_path / "a")
    bundle = load_digits()
    assert Counter(s.label for s in listed.samples) == Counter(bundle.target.tolist())
    assert Counter(s.label for s in listed.samples if s.part == "test") == dict.fromkeys(range(10), 30)
    # shrunk again by averaging, each is nearest to a bundled one of its own digit, and to none twice
    boxes = np.stack([s.pixels[4:24, 4:24] for s in listed.samples]).astype(float)
    small = np.repeat(np.repeat(boxes, 2, axis=1), 2, axis=2).reshape(-1, 8, 5, 8, 5).mean(axis=(2, 4)) * 16 / 255
    flat, known = small.reshape(-1, 64), bundle.images.reshape(-1, 64)
    distances = (flat**2).sum(1)[:, None] - 2 * flat @ known.T + (known**2).sum(1)
    nearest = distances.argmin(axis=1)
    assert bundle.target[nearest].tolist() == [s.label for s in listed.samples]
    assert len(set(nearest.tolist())) > 0.99 * len(nearest)


def test_the_catalogue_counts_the_digits_rightly(tmp_path: Path) -> None:
    entry = load_catalogue([Path(__file__).parents[2] / "config"]).datasets["digits"]
    digits.write(tmp_path, seed=entry.source.seed, **entry.source.options)
    counts = Counter(sample.part for sample in mnist.read(tmp_path).samples)
    assert (entry.counts.training, entry.counts.test) == (counts["development"], counts["test"])


def test_drawn_digits_follow_from_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        digits.write(tmp_path / name, seed=seed)
    first, again, other = (
        [path.read_bytes() for path in sorted((tmp_path / n / "MNIST/raw").iterdir())] for n in "abc"
    )
    assert first == again != other
    for count, words in ((0, "at least 1"), (174, "has 174 images")):
        with pytest.raises(ValueError, match=words):
            digits.write(tmp_path / "d", seed=1, test_images=count)
    assert not (tmp_path / "d").exists()
