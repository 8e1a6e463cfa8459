"""Weights, studies, records, cards and answers of servers that are damaged or meant to harm."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from heirloom.config import yaml_files
from heirloom.config.load import load_catalogue, read_yaml
from heirloom.config.models import RemoteFile
from heirloom.data.checksums import recorded
from heirloom.data.fetch import obtain
from heirloom.models import torch_files, weights
from heirloom.models.bodies.pyramid import network as pyramid
from heirloom.models.bodies.vggface2 import network as vggface2
from heirloom.models.weights import load_state, read_foreign, written_for
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError, WeightsError
from heirloom.runtime.files import verify_card, write_card
from heirloom.runtime.pickles import read_arrays
from tests.server import Place, Server, running
from tests.unit.face_network import of_python2
from tests.unit.hostile import bounded, check_words, damaged, misworded, read_here

NETWORK = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def _saved(content: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


FILES = {
    "a.pth": _saved(NETWORK.state_dict()),
    "b.pth": _saved({"state_dict": NETWORK.state_dict(), "epoch": 3}),
    "old.pth": _saved(NETWORK.state_dict(), _use_new_zipfile_serialization=False),
    "a.safetensors": save(
        dict(NETWORK.state_dict()), metadata={"heirloom": json.dumps({"body": {"name": "resnet18"}})}
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_weight_file_fits_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    def load() -> None:
        written_for(path)
        load_state(network, read_foreign(path), where=str(path))

    path.write_bytes(FILES[name])
    load()
    monkeypatch.setattr(weights, "read_state", read_here)  # many examples would wait for many children

    @bounded(60)
    @given(damaged(FILES[name]))
    def try_out(content: bytes) -> None:
        path.write_bytes(content)
        try:
            load()
        except WeightsError as error:
            check_words(error)

    try_out()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process, where a child would tell nothing more."""
    monkeypatch.setattr(weights, "read_state", read_here)


# A dictionary whose one key is a tuple of a tuple of a tuple ..., each of which holds the next one twice: torch's own
# instructions alone, and 2^n steps to hash.
ENDLESS = b"\x80\x02}(K\x00\x85" + b"q\x01h\x01\x86" * 42 + b"K\x01u."
GREEDY = {
    "a call for bytes": b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x10\x85R.",
    "a call for numbers": b"\x80\x02}X\x01\x00\x00\x00wctorch\nFloatTensor\n\x8a\x05\x00\x00\x00\x00\x10\x85Rs.",
}


def _zipped(pickled_content: bytes) -> bytes:
    """Put a pickle where torch's format since 1.6 has it."""
    file = io.BytesIO()
    torch.save({}, file)
    other = io.BytesIO()
    with zipfile.ZipFile(file) as honest, zipfile.ZipFile(other, "w") as harmful:
        for member in honest.infolist():
            content = pickled_content if member.filename.endswith("data.pkl") else honest.read(member)
            harmful.writestr(member.filename, content)
    return other.getvalue()


def _old(pickled_content: bytes) -> bytes:
    """Put a pickle where torch's format before 1.6 has it."""
    file = io.BytesIO()
    torch.save({}, file, _use_new_zipfile_serialization=False)
    honest = file.getvalue()
    empty = b"\x80\x02}q\x00."
    assert honest.count(empty) == 1
    return honest.replace(empty, pickled_content)


@pytest.mark.parametrize("form", [_zipped, _old], ids=["zip", "old"])
def test_a_weight_file_that_keeps_its_reader_busy_for_ever_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(torch_files, "CPU_SECONDS", 1.0)
    path = tmp_path / "a.pth"
    path.write_bytes(form(ENDLESS))
    with pytest.raises(WeightsError, match="more than 1 s of processor time") as told:
        read_foreign(path)
    check_words(told.value)


@pytest.mark.usefixtures("quick_reader")
@pytest.mark.parametrize("form", [_zipped, _old], ids=["zip", "old"])
@pytest.mark.parametrize("kind", GREEDY)
def test_a_weight_file_that_asks_for_more_memory_than_there_is_is_refused(
    tmp_path: Path, kind: str, form: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(form(GREEDY[kind]))
    with pytest.raises(WeightsError, match="asks for more memory") as told:
        read_foreign(path)
    check_words(told.value)


def test_a_reader_that_waits_for_its_disk_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_files, "WALL_SECONDS", 0.01)
    (tmp_path / "a.pth").write_bytes(FILES["a.pth"])
    with pytest.raises(WeightsError, match="run again") as told:
        read_foreign(tmp_path / "a.pth")
    check_words(told.value)


def test_a_nest_that_breaks_its_reader_breaks_the_child_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(_zipped(b"\x80\x02}K\x00" + b"\x85" * 3_000_000 + b"K\x01s."))
    with pytest.raises(WeightsError) as told:
        read_foreign(path)
    check_words(told.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the children of what ended on Linux alone")
def test_the_reader_of_a_killed_job_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(_zipped(ENDLESS))
    code = f"import pathlib, heirloom.models.weights as w; w.read_foreign(pathlib.Path({str(path)!r}))"
    with subprocess.Popen([sys.executable, "-c", code]) as job:
        child = _reader_of(psutil.Process(job.pid))
        while child.rlimit(psutil.RLIMIT_CPU)[0] == psutil.RLIM_INFINITY:
            time.sleep(0.05)
        job.kill()
    child.wait(timeout=torch_files.CPU_SECONDS - 5)  # it would go on for as long as its bound lets it


def _reader_of(job: psutil.Process) -> psutil.Process:
    """Wait for the child that reads a job's file."""
    while True:
        for child in job.children():
            with suppress(psutil.Error):
                if "heirloom.models.torch_files" in child.cmdline():
                    return child
        time.sleep(0.05)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.pkl"])
@pytest.mark.parametrize("read", [read_foreign, written_for, vggface2.read])
def test_a_pipe_under_the_name_of_a_weight_file_is_refused(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    if read is written_for and not name.endswith(".safetensors"):
        return
    with pytest.raises(WeightsError, match="is a pipe") as told:
        read(path)
    check_words(told.value)


@pytest.mark.usefixtures("quick_reader")
@pytest.mark.filterwarnings("ignore")  # scripts are of the past
@pytest.mark.parametrize(
    "content", [b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", b"", b"GIF89a", "tar", "script"]
)
def test_the_advice_to_trust_a_file_is_never_passed_on(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "a.pth"
    match content:
        case "tar":
            with tarfile.open(path, "w") as archive:
                for name in ("sys_info", "pickle", "storages", "tensors"):
                    archive.addfile(tarfile.TarInfo(name))
        case "script":
            torch.jit.save(torch.jit.script(nn.Linear(1, 1)), str(path))
        case bytes():
            path.write_bytes(content)
    with pytest.raises(WeightsError) as told:
        read_foreign(path)
    check_words(told.value)
    assert "weights_only" not in str(told.value)
    assert "safe_globals" not in str(told.value)


# -- numbers -----------------------------------------------------------------------------------------------------------

NUMBERS = {
    "quantised": ("0.weight", torch.ones(4, 3, dtype=torch.int8), "no floats"),
    "a mask": ("0.weight", torch.ones(4, 3, dtype=torch.bool), "no floats"),
    "whole": ("1.running_mean", torch.ones(4, dtype=torch.int64), "no floats"),
    "a flag for a counter": ("1.num_batches_tracked", torch.tensor(True), "no floats"),
    "no number": ("2.bias", torch.full((2,), torch.nan), "not finite"),
    "infinite": ("1.running_mean", torch.full((4,), torch.inf), "not finite"),
    "large": ("2.bias", torch.full((2,), 1e300, dtype=torch.float64), "too large for float32"),
    "a negative variance": ("1.running_var", torch.tensor([1, 1, -1e-3, 1]), "no possible statistics"),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_no_model_has_are_refused_by_name(tmp_path: Path, kind: str, name: str) -> None:
    tensor, value, fault = NUMBERS[kind]
    state = {**NETWORK.state_dict(), tensor: value}
    path = tmp_path / name
    path.write_bytes(save(state) if name.endswith(".safetensors") else _saved(state))
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=f"{fault}: {tensor}\n") as told:
        load_state(network, read_foreign(path), where=str(path))
    check_words(told.value)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_taken_as_they_are(tmp_path: Path, dtype: torch.dtype) -> None:
    own = NETWORK.state_dict()
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in own.items()}
    torch.save(state, tmp_path / "a.pth")
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    load_state(network, read_foreign(tmp_path / "a.pth"), where="a.pth")
    assert all(torch.equal(value, state[name].to(value.dtype)) for name, value in network.state_dict().items())


HUGE = torch.zeros(1).expand(1 << 20, 1 << 20)  # four bytes that are shown as 4 TiB
ODD = {
    "of another size": HUGE,
    "sparse": torch.eye(4).to_sparse(),
    "of compressed rows": torch.eye(4).to_sparse_csr(),
    "quantised": torch.quantize_per_tensor(torch.eye(4), 0.1, 0, torch.qint8),
    "on no device": torch.zeros(4, device="meta"),
    "of eight bits": torch.zeros(4).to(torch.float8_e4m3fn),
    "complex": torch.zeros(4, dtype=torch.complex64),
}


@pytest.mark.usefixtures("here")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_plain_arrays_of_the_right_shape_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.pth"
    torch.save({**NETWORK.state_dict(), "0.bias": ODD[kind]}, path)
    with pytest.raises(WeightsError, match=r"of a kind of their own: 0\.bias|of another shape: 0\.bias"):
        load_state(nn.Sequential(*NETWORK), read_foreign(path), where=str(path))


@pytest.mark.usefixtures("quick_reader")
def test_a_view_of_few_numbers_is_refused_before_anything_copies_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    few = torch.arange(6.0)
    whole = {"all": few, "turned": few.view(2, 3).T, "part": few[2:4], "once": few[:1].expand(1, 1), "none": few[:0]}
    torch.save(whole, path)
    read = read_foreign(path)
    assert read.keys() == whole.keys()
    assert all(torch.equal(read[name], value) for name, value in whole.items())
    torch.save({**whole, "decoder.running_mean": few[:1].expand(7)}, path)
    with pytest.raises(WeightsError, match=r"of a kind of their own: decoder\.running_mean\n"):
        read_foreign(path)


@pytest.mark.usefixtures("here")
def test_published_weights_name_one_tensor_for_both_passes_and_the_network_has_two(tmp_path: Path) -> None:
    """No copy is made of what was not compared with the network yet."""
    path = tmp_path / "a.pth"
    torch.save({"group1.bn1.running_mean": torch.ones(3), "trans_conv.0.bias": torch.ones(3)}, path)
    state = pyramid.read(path)
    assert state["bn1.restoring_mean"] is state["bn1.running_mean"]
    norm = pyramid.PassNorm(3)
    own = {name.removeprefix("bn1."): value for name, value in state.items() if name.startswith("bn1.")}
    load_state(norm, {**norm.state_dict(), **own}, where=str(path))
    norm.running_mean.zero_()
    assert norm.restoring_mean.tolist() == [1, 1, 1]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("size", "refused"), [(1 << 20, False), (1 << 26, True)])
def test_a_weight_file_that_unpacks_to_far_more_than_it_has_is_refused(
    tmp_path: Path, size: int, refused: bool
) -> None:
    """torch packs nothing, but unpacks what is packed."""
    path = tmp_path / "a.pth"
    torch.save({"w": torch.zeros(size, dtype=torch.uint8)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    assert read_foreign(tmp_path / "plain.pth")["w"].shape == (size,)
    if not refused:
        assert torch.equal(read_foreign(path)["w"], torch.zeros(size, dtype=torch.uint8))
        return
    with pytest.raises(WeightsError, match="more than 20 times its size") as told:
        read_foreign(path)
    check_words(told.value)


@pytest.mark.usefixtures("here")
@pytest.mark.timeout(60)
def test_a_checkpoint_that_holds_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {"a": torch.zeros(1)}
    content["model"] = {"net": content}
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_foreign(tmp_path / "a.pth")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("times", [0, 1, 1001, 100_000])
def test_prefixes_are_taken_off_however_many_there_are(tmp_path: Path, times: int) -> None:
    wrapped = "module.model." * times
    torch.save({f"{wrapped}modules.w": torch.zeros(1), f"{wrapped}model.b": torch.ones(1)}, tmp_path / "a.pth")
    assert read_foreign(tmp_path / "a.pth").keys() == {"modules.w", "model.b"}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("method", ["get", "items", "keys", "values", "__getitem__", "__iter__", "__len__"])
@pytest.mark.parametrize("wrapper", [None, "model"])
def test_attributes_of_a_state_dict_do_not_pass_for_its_methods(
    tmp_path: Path, method: str, wrapper: str | None
) -> None:
    state = OrderedDict(w=torch.zeros(1))
    placeholder = "x" * len(method)
    setattr(state, placeholder, "no method")
    content = _saved(state if wrapper is None else {wrapper: state}, _use_new_zipfile_serialization=False)
    assert placeholder.encode() in content
    (tmp_path / "a.pth").write_bytes(content.replace(placeholder.encode(), method.encode()))
    assert list(read_foreign(tmp_path / "a.pth")) == ["w"]


@pytest.mark.usefixtures("here")
def test_names_that_are_no_texts_are_no_weights(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(1), ("a",): torch.zeros(1), "w": torch.zeros(1)}, tmp_path / "a.pth")
    assert list(read_foreign(tmp_path / "a.pth")) == ["w"]


def test_a_note_that_nests_without_end_is_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(save(dict(NETWORK.state_dict()), metadata={"heirloom": "[" * 100_000}))
    assert written_for(path) is None


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_damaged_pickle_of_arrays_is_read_or_refused(tmp_path: Path, protocol: int) -> None:
    import pickle

    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4)}
    path = tmp_path / "a.pkl"
    content = pickle.dumps(arrays, protocol=protocol) if protocol > 2 else of_python2(arrays, 2)

    @bounded(150)
    @given(damaged(content))
    def try_out(harmful: bytes) -> None:
        path.write_bytes(harmful)
        try:
            found = read_arrays(path, mend="get it again")
        except WeightsError as error:
            check_words(error)
            return
        assert sum(array.nbytes for array in found.values()) <= 2 * len(harmful)

    try_out()


# -- studies, records, cards -------------------------------------------------------------------------------------------

DOCUMENTS = [
    b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (two, two, b", ".join([b"*%c" % one] * 10)) for one, two in pairwise(b"abcdefghij")),
    b"a: &a [*a]\n",
    b"a: &a {b: *a}\n",
    b"a: " + b"[" * 600,
    b"a: 2024-13-45\n",
    b"a: !!int x\n",
    b"a: !!bool x\n",
    b"a: !!timestamp x\n",
    b"a: !!python/object/apply:os.system [true]\n",
    b"? [a, b]\n: c\n",
    b"? {a: b}\n: c\n",
    b"a: \xff\xfe\n",
    b"a: \x00\n",
    b"<<: x\n",
]


@pytest.mark.parametrize("content", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_yaml_that_harms_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_yaml(path)
    check_words(refused.value)
    assert str(path) in refused.value.where
    with pytest.raises(ConfigError, match="the record of a cannot be read"):
        recorded("a", path)


def test_aliases_and_long_files_are_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: &a [1, 2]\nb: [*a, *a]\n")
    assert read_yaml(path) == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    monkeypatch.setattr(yaml_files, "LARGEST", 10)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_yaml(path)


CATALOGUES = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("name", ["datasets.yaml", "teachers.yaml", "triggers.yaml"])
def test_a_damaged_catalogue_is_read_or_refused(tmp_path: Path, name: str) -> None:
    content = (CATALOGUES / name).read_bytes()[:3000].rpartition(b"\n\n")[0] + b"\n"

    @bounded(25)
    @given(misworded(content))
    def try_out(harmful: bytes) -> None:
        (tmp_path / name).write_bytes(harmful)
        try:
            load_catalogue([tmp_path])
        except ConfigError as error:
            check_words(error)

    try_out()


def test_a_damaged_card_is_right_or_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"weights")
    card = tmp_path / "card.json"
    write_card(card, kind="teacher", files={"weights.bin": tmp_path / "weights.bin"}, classes=3)
    content = card.read_bytes()
    odd = [b"[" * 100_000, b"[]", b"null", content.replace(b'"weights.bin"', b"7"), content.replace(b"7", b'"7"')]

    @bounded(60)
    @given(st.one_of(damaged(content), st.sampled_from(odd)))
    def try_out(harmful: bytes) -> None:
        card.write_bytes(harmful)
        try:
            verify_card(card, "weights.bin")
        except DamagedFileError as error:
            str(error).encode()

    try_out()


# -- answers -----------------------------------------------------------------------------------------------------------

REDIRECTIONS = [
    "file:///etc/hosts",
    "http://[",
    "http://" + "a" * 70 + ".invalid:x/",
    "//",
    "ftp://localhost/x",
    "http://\udcff/",
]


@pytest.mark.parametrize("address", REDIRECTIONS)
def test_an_answer_that_leads_nowhere_is_told(tmp_path: Path, address: str) -> None:
    with running() as server:
        server.places["/x.bin"] = Place(redirect=address.encode("latin-1", "replace").decode("latin-1"))
        _refused(server, tmp_path)


def test_a_length_of_thousands_of_digits_is_no_length(tmp_path: Path) -> None:
    with running() as server:
        server.places["/x.bin"] = Place(content=b"abc", length=10**4200)
        file = RemoteFile(name="x.bin", urls=(server.url("/x.bin"),))
        assert obtain(file, data_root=None, cache=tmp_path / "cache", pause=0.0).read_bytes() == b"abc"


def _refused(server: Server, folder: Path) -> None:
    file = RemoteFile(name="x.bin", urls=(server.url("/x.bin"),))
    with pytest.raises(DataError, match=r"x\.bin cannot be had"):
        obtain(file, data_root=None, cache=folder / "cache", pause=0.0)
    assert not list((folder / "cache").glob("x.bin*"))


TWICE = {
    "a key": "a: 1\nb: 2\na: 3\n",
    "in brackets": "x: {a: 1, a: 1}\n",
    "in an entry": "x:\n  - {b: 1}\n  - c: 1\n    c: 2\n",
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r'the key "\w" stands in line \d and again in line \d') as refused:
        read_yaml(path)
    check_words(refused.value)


def test_merged_keys_are_read_and_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: &a {p: 1, q: 2}\nb: {<<: *a, p: 3}\nc: {<<: *a}\nd: {<<: [*a, {r: 4}]}\n")
    a = {"p": 1, "q": 2}
    assert read_yaml(path) == {"a": a, "b": {"p": 3, "q": 2}, "c": a, "d": {**a, "r": 4}}


def heap_of_merges(levels: int) -> str:
    """Mappings that each merge the one before nine times."""
    merged = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(["a0: &a0 {k: 1}", *merged])


HEAPS = {
    "merges of merges": heap_of_merges(30),
    "a merge of itself": "a: &a {<<: *a}",
    "brackets": "[" * 100_000,
    "indents": "".join(f"{' ' * n}a:\n" for n in range(500)),
}


@pytest.mark.parametrize("text", HEAPS.values(), ids=HEAPS)
@pytest.mark.timeout(20)
def test_a_few_lines_that_stand_for_a_heap_of_values_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_yaml(path)
    check_words(refused.value)
