"""Computing settings hold in the body and are put back; GPUs are leased one to a job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from heirloom.runtime import devices
from heirloom.runtime.devices import compute, lease
from heirloom.runtime.errors import StorageError


def settings() -> tuple[int, bool, bool, bool, bool]:
    """Tell threads, deterministic or not, whether that only warns, and cuDNN's benchmark and TF32."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return (
        torch.get_num_threads(),
        deterministic,
        warns,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
    )


@pytest.fixture(autouse=True)
def _without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_settings_hold_in_the_body_and_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    seen: list[object] = []

    def fail() -> None:
        with compute(before[0] + 1, "fp32") as found:
            seen.extend([found.device, found.threads, found.precision, settings()])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [torch.device("cpu"), before[0] + 1, "fp32", (before[0] + 1, True, False, False, False)]
    assert settings() == before


def test_setting_up_does_not_import_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("this call imports the compiler, 4 CPU seconds in every job")

    monkeypatch.setattr(torch, "use_deterministic_algorithms", refuse)
    with compute(1, "bf16") as found, found.autocast():
        assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_computes_in_the_precision_of_the_study(precision: devices.Precision, dtype: torch.dtype) -> None:
    with compute(1, precision) as found:
        one = torch.ones(2, 2)
        with found.autocast():
            assert (one @ one).dtype == dtype
        assert (one @ one).dtype == torch.float32


def test_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="0 threads"), compute(0, "fp32"):
        pass


def test_each_job_leases_another_device(tmp_path: Path) -> None:
    with lease(["a", "b"], tmp_path / "u") as first, lease(["a", "b"], tmp_path / "u") as second:
        assert (first, second) == (0, 1)
        code = "import sys; from heirloom.runtime.locks import exclusive; from pathlib import Path\n"
        code += "with exclusive(Path(sys.argv[1]), wait=False): pass"
        taken = [sys.executable, "-c", code, str(tmp_path / "u" / "gpu-b.lock")]
        assert b"another run holds" in subprocess.run(taken, capture_output=True, check=False).stderr
    with lease(["b"], tmp_path / "u") as only:
        assert only == 0


def test_leases_are_a_users_and_the_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    with lease(["a"]):
        (folder,) = tmp_path.glob("heirloom-*")
        assert [path.name for path in folder.iterdir()] == ["gpu-a.lock"]
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("how", ["a link", "another user's"])
def test_a_folder_for_leases_that_somebody_else_made_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    place = tmp_path / f"heirloom-{os.getuid()}"
    if how == "a link":
        (tmp_path / "mine").mkdir()
        place.symlink_to(tmp_path / "mine")
    else:
        monkeypatch.setattr(devices.os, "getuid", lambda: 4321)
    with pytest.raises(StorageError, match="is no folder of yours"), lease(["a"]):
        pass


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["uuid-0", "uuid-1"]),
        ("5,3", ["uuid-0", "uuid-1"]),
        ("GPU-1,GPU-2", ["uuid-0", "uuid-1"]),
        ("MIG-a, MIG-b/1", ["MIG-a", "MIG-b-1"]),
    ],
)
def test_a_device_is_called_by_its_hardware(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"uuid-{index}"))
    assert devices._device_names() == expected


def test_the_leased_gpu_is_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "_device_names", lambda: ["a", "b"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "fake")
    entered: list[int] = []

    class Selected:
        def __init__(self, index: int) -> None:
            entered.append(index)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "device", Selected)
    with compute(1, "fp32") as first, compute(1, "fp32") as second:
        assert (first.device, second.device) == (torch.device("cuda", 0), torch.device("cuda", 1))
    assert entered == [0, 1]


def test_strictness_is_lifted_for_foreign_code_alone_and_comes_back():
    with devices.compute(1, "fp32"):
        strict = torch.get_deterministic_debug_mode()
        with pytest.raises(ZeroDivisionError), devices.relaxed():
            assert torch.get_deterministic_debug_mode() < strict
            raise ZeroDivisionError
        assert torch.get_deterministic_debug_mode() == strict
