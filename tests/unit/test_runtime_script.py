"""Jobs become calls: arguments are found, converted and checked; logs, locks and failures behave."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pydantic
import pytest

from heirloom.runtime import logs, script
from heirloom.runtime.errors import ConfigError, DataError
from heirloom.runtime.files import atomic_path
from heirloom.runtime.locks import exclusive
from heirloom.runtime.logs import open_log
from heirloom.runtime.script import arguments_of, files_beside, run_stage


class Named(list[Any]):
    """What Snakemake hands over for input, output, params and wildcards: a list whose items may have names."""

    def __init__(self, *unnamed: Any, **named: Any) -> None:
        super().__init__(unnamed)
        self.named = named
        for value in named.values():
            self.extend(value if isinstance(value, list) else [value])

    def items(self) -> list[tuple[str, Any]]:
        return list(self.named.items())


def job(**parts: Any) -> SimpleNamespace:
    given = {"input": Named(), "output": Named(), "params": Named(), "wildcards": Named(), "log": [], "threads": 1}
    return SimpleNamespace(**{**given, "config": {}, "rule": "train_student", **parts})


class Training(pydantic.BaseModel, extra="forbid"):
    iterations: int
    precision: Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Inputs:
    card: Path
    images: list[Path]
    control: Path | None = None


@dataclass(frozen=True)
class Outputs:
    weights: Path


def typed(
    *,
    inputs: Inputs,
    outputs: Outputs,
    training: Training,
    seed: Annotated[int, pydantic.Field(ge=0)],
    names: tuple[str, ...],
    threads: int,
    data_root: Path | None = None,
    note: str = "none",
) -> None:
    raise AssertionError(inputs, outputs, training, seed, names, threads, data_root, note)


def whole_job(**parts: Any) -> SimpleNamespace:
    given = {
        "input": Named("unnamed", card="results/card.json", images=["a.npy", "b.npy"]),
        "output": Named(weights="results/s/weights.safetensors"),
        "params": Named(training={"iterations": 3, "precision": "fp32"}, names=["a", "b"], code="0123"),
        "wildcards": Named(seed="7", method="fine-tuning"),
        "threads": 2,
        "config": {"data_root": "/data", "seed": 9},
    }
    return job(**{**given, **parts})


def test_arguments_are_found_and_converted() -> None:
    assert arguments_of(typed, whole_job()) == {
        "inputs": Inputs(Path("results/card.json"), [Path("a.npy"), Path("b.npy")]),
        "outputs": Outputs(Path("results/s/weights.safetensors")),
        "training": Training(iterations=3, precision="fp32"),
        "seed": 7,
        "names": ("a", "b"),
        "threads": 2,
        "data_root": Path("/data"),
    }


def test_settings_are_params_by_name() -> None:
    given = {"training": {"iterations": 3, "precision": "fp32"}, "names": ["a", "b"]}
    settings = arguments_of(typed, whole_job(params=Named(settings=given, code="0123", libraries={})))
    assert settings == arguments_of(typed, whole_job())
    with pytest.raises(ConfigError, match="rate: a param of the rule"):
        arguments_of(typed, whole_job(params=Named(settings=given | {"rate": 1})))


def test_params_come_before_wildcards_and_both_before_the_rule() -> None:
    params = Named(training={"iterations": 3, "precision": "fp32"}, names=[], seed=1, threads=4, data_root=None)
    arguments = arguments_of(typed, whole_job(params=params))
    assert (arguments["seed"], arguments["threads"], arguments["data_root"]) == (1, 4, None)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"images": "a.npy"}, Inputs(Path("card"), [Path("a.npy")])),
        ({"images": []}, Inputs(Path("card"), [])),
        ({"images": [], "control": "c"}, Inputs(Path("card"), [], Path("c"))),
        ({"images": [], "control": []}, Inputs(Path("card"), [])),
    ],
)
def test_single_many_and_absent_files(files: dict[str, Any], expected: Inputs) -> None:
    assert arguments_of(typed, whole_job(input=Named(card="card", **files)))["inputs"] == expected


def test_code_is_given_to_a_stage_that_asks_for_it() -> None:
    def run(*, code: str) -> None: ...

    assert arguments_of(run, whole_job(params=Named(code="0123"))) == {"code": "0123"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"params": Named(names=[])}, "training: neither the params nor the wildcards"),
        ({"wildcards": Named()}, "seed: neither"),
        ({"wildcards": Named(seed="-1")}, "seed: Input should be greater than or equal to 0 (it is '-1')"),
        ({"params": Named(names=[], training={}, rate=1)}, "rate: a param of the rule, but no parameter of the stage"),
        ({"params": Named(names=[], training={"iterations": "many"})}, "training.iterations: Input should be a valid"),
        ({"params": Named(names=[], training={"iterations": "many"})}, "training.precision: Field required"),
        ({"params": Named(names=[], training={"epochs": 1})}, "training.epochs: Extra inputs are not permitted"),
        ({"input": Named(card="card")}, "inputs.images: the rule does not name it"),
        ({"input": Named(card="c", images=[], imags=[])}, "inputs.imags: the rule names it, the stage does not"),
        ({"input": Named(card=["a", "b"], images=[])}, "inputs.card: Input is not a valid path"),
        ({"output": Named()}, "outputs.weights: the rule does not name it"),
        ({"output": Named(weights=[])}, "outputs.weights: the rule does not name it"),
    ],
)
def test_wrong_arguments_are_explained(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"rule train_student does not fit .*\.typed") as raised:
        arguments_of(typed, whole_job(**parts))
    assert message in str(raised.value)


def one_file_job(folder: Path, **parts: Any) -> SimpleNamespace:
    output = folder / "results" / "s" / "students" / "weights"
    log = folder / "results" / "s" / "logs" / "train.log"
    return job(output=Named(weights=str(output)), log=[str(log)], **parts)


def log_of(stage: SimpleNamespace) -> str:
    return Path(stage.log[0]).read_text()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


def write(path: Path, text: str = "new") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_stage_runs_with_its_log_and_its_lock(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded: list[bool] = []
    monkeypatch.setattr(script, "die_with_parent", lambda: guarded.append(True))

    def run(*, outputs: Outputs, note: str) -> None:
        assert guarded == [True]
        locks = list(Path("results/.locks").iterdir())
        assert len(locks) == 1
        with pytest.raises(Exception, match="another run holds"), exclusive(locks[0], wait=False):
            pass
        logging.getLogger("heirloom.anything").info("half way with %s", note)
        assert "half way with ü" in log_of(stage), "lines are flushed"
        warnings.warn("mind this", stacklevel=1)
        write(outputs.weights)

    stage = one_file_job(place, params=Named(note="ü"))
    before = logging.getLogger().handlers[:], logging.getLogger().level, signal.getsignal(signal.SIGTERM)
    run_stage(run, stage)
    assert Path(stage.output[0]).read_text() == "new"
    assert "mind this" in log_of(stage)
    assert "finished in" in log_of(stage)
    assert (logging.getLogger().handlers, logging.getLogger().level, signal.getsignal(signal.SIGTERM)) == before
    assert [path.name for path in Path("results/s/students").iterdir()] == ["weights"], "no lock lies beside outputs"
    assert capfd.readouterr() == ("", "")


def test_an_error_of_ours_is_shown_without_traceback(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*, outputs: Outputs) -> None:
        write(outputs.weights, "half of the outputs")
        raise DataError("no such class", where="index.parquet", mend="name one")

    stage = one_file_job(place)
    with pytest.raises(SystemExit) as raised:
        run_stage(run, stage)
    assert raised.value.code == 1
    assert capfd.readouterr().err == "no such class\n  where: index.parquet\n  to mend: name one\n"
    assert "Traceback" in log_of(stage)
    assert "to mend: name one" in log_of(stage)
    assert not Path(stage.output[0]).exists()
    with exclusive(next(Path("results/.locks").iterdir()), wait=False):
        pass


def test_another_error_goes_on_with_its_traceback(place: Path) -> None:
    def run(*, outputs: Outputs) -> None:
        write(outputs.weights)
        raise ZeroDivisionError("surprise")

    stage = one_file_job(place)
    with pytest.raises(ZeroDivisionError, match="surprise"):
        run_stage(run, stage)
    assert "ZeroDivisionError: surprise" in log_of(stage)
    assert not Path(stage.output[0]).exists()


def test_an_output_that_cannot_be_removed_does_not_hide_what_went_wrong(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def run(*, outputs: Outputs) -> None:
        write(outputs.weights)
        monkeypatch.setattr(Path, "unlink", refuse)
        raise DataError("no such class")

    with pytest.raises(SystemExit):
        run_stage(run, one_file_job(place))
    assert capfd.readouterr().err == "no such class\n"


def test_wrong_arguments_stop_before_the_stage(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*, outputs: Outputs, seed: int) -> None:
        write(outputs.weights, str(seed))

    with pytest.raises(SystemExit):
        run_stage(run, one_file_job(place, wildcards=Named(seed="x")))
    assert "seed: Input should be a valid integer" in capfd.readouterr().err
    assert not Path("results/s/students").exists()


def test_a_successor_waits_for_the_orphan(place: Path) -> None:
    order: list[str] = []

    def run() -> None:
        order.append("successor")

    def orphan(path: Path) -> None:
        with exclusive(path, wait=False):
            held.set()
            time.sleep(0.3)
            order.append("orphan")

    stage, held = one_file_job(place), threading.Event()
    path, _ = files_beside(Path(stage.output[0]), log=Path(stage.log[0]))
    thread = threading.Thread(target=orphan, args=(path,))
    thread.start()
    held.wait()
    run_stage(run, stage)
    thread.join()
    assert order == ["orphan", "successor"]
    assert "waiting for" in log_of(stage)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_request_to_end_leaves_nothing_half_written(place: Path, number: int, status: int) -> None:
    def run(*, outputs: Outputs) -> None:
        with atomic_path(outputs.weights) as partial:
            partial.write_text("half")
            os.kill(os.getpid(), number)
            time.sleep(5)

    stage = one_file_job(place)
    with pytest.raises(SystemExit) as raised:
        run_stage(run, stage)
    assert raised.value.code == status
    assert list(Path(stage.output[0]).parent.iterdir()) == []


def test_a_rule_without_log_or_outputs_runs(place: Path) -> None:
    ran: list[int] = []

    def run(*, seed: int) -> None:
        ran.append(seed)

    run_stage(run, job(wildcards=Named(seed="3")))
    assert ran == [3]
    assert list(place.iterdir()) == []


def test_locks_and_receipts_lie_in_the_results_and_depend_on_the_first_output_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = Path("results/quickstart/logs/a.log")
    lock, receipt = files_beside(Path("results/shared/teachers/a/weights"), log=log)
    assert lock.parent == Path("results/.locks")
    assert receipt == Path("results/shared/.receipts") / lock.name
    others = Path("results/other/logs/b.log")
    assert (lock, receipt) == files_beside(Path("results/shared/teachers/a/weights"), log=others)
    assert (lock, receipt) == files_beside(tmp_path / "results/shared/teachers/a/weights", log=None)
    assert lock.name != files_beside(Path("results/shared/teachers/b/weights"), log=log)[0].name
    mounted = files_beside(Path("/mnt/results/s/students/a/weights"), log=Path("/mnt/results/s/logs/a.log"))
    assert [path.parent for path in mounted] == [
        Path("/mnt/results/s/.locks"),
        Path("/mnt/results/s/students/.receipts"),
    ]


def test_a_receipt_says_what_a_job_wrote_and_stays_when_it_fails_so_that_its_files_are_owed(place: Path) -> None:
    stage = one_file_job(place)
    output = Path(stage.output[0])
    output.parent.mkdir(parents=True)
    _, receipt = files_beside(output, log=Path(stage.log[0]))

    def write(*, outputs: Outputs) -> None:
        outputs.weights.write_text("seven b")

    def fail(*, outputs: Outputs) -> None:
        outputs.weights.write_text("half")
        raise ConfigError("no")

    run_stage(write, stage)
    told = json.loads(receipt.read_text())
    assert told == {str(output): {"sha256": hashlib.sha256(b"seven b").hexdigest(), "bytes": 7}}
    with pytest.raises(SystemExit):
        run_stage(fail, stage)
    assert json.loads(receipt.read_text()) == told
    assert not output.exists()


def test_a_thread_that_stops_is_logged_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[threading.ExceptHookArgs] = []
    usual = shown.append
    monkeypatch.setattr(threading, "excepthook", usual)
    with open_log(tmp_path / "logs" / "a.log"):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert "ZeroDivisionError: division by zero" in (tmp_path / "logs" / "a.log").read_text()
    assert [arguments.exc_type for arguments in shown] == [ZeroDivisionError]
    assert threading.excepthook == usual


def test_an_interrupted_job_says_so_without_traceback(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as raised, open_log(tmp_path / "a.log"):
        raise KeyboardInterrupt
    assert raised.value.code == 130
    assert (tmp_path / "a.log").read_text().endswith("ERROR interrupted\n")


def test_a_full_disk_is_told_without_traceback_even_where_it_holds_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "results/x")

    with pytest.raises(SystemExit) as raised, open_log(tmp_path / "a.log"):
        monkeypatch.setattr(logs._LogFile, "flush", refuse)
        logging.getLogger("heirloom").info("one line")
        logging.getLogger("heirloom").info("another line")
        refuse()
    shown = capfd.readouterr().err
    assert raised.value.code == 1
    assert shown.count("cannot write the log") == 1
    assert "results/x: No space left on device" in shown
    assert "free some space" in shown
    assert "Traceback" not in shown


OPEN_LOG = """
import errno, sys
from pathlib import Path
from heirloom.runtime.errors import DataError
from heirloom.runtime.logs import open_log

def refuse(*_, **__):
    raise OSError(errno.EROFS, "Read-only file system", "results")

if sys.argv[1] == "refused":
    Path.mkdir = refuse
with open_log(Path("logs/a.log") if sys.argv[1] == "refused" else None):
    raise DataError("no such class")
"""


@pytest.mark.parametrize(
    ("log", "shown"), [("refused", "results: Read-only file system\n"), ("none", "no such class\n")]
)
def test_without_a_log_an_error_is_told_once_and_without_traceback(log: str, shown: str) -> None:
    """In a process of its own: the handlers of the tests would hide what logging shows where it has none."""
    command = [sys.executable, "-c", OPEN_LOG, log]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert told.startswith(shown)
    assert told.count(shown) == 1
    assert "Traceback" not in told


SNAKEFILE = """
rule all:
    input: "results/s/good/a.txt", "results/s/bad/a.txt"
rule work:
    output: text="results/s/{kind}/a.txt", many=["results/s/{kind}/1", "results/s/{kind}/2"]
    log: "results/s/logs/{kind}.log"
    params: recipe={"text": "ü"}, code="0123"
    threads: 2
    script: "scripts/work.py"
"""
STAGE = """
from dataclasses import dataclass
from pathlib import Path
from heirloom.runtime.errors import DataError

@dataclass(frozen=True)
class Outputs:
    text: Path
    many: list[Path]

def run(*, outputs: Outputs, kind: str, threads: int, recipe: dict[str, str]) -> None:
    for path in [outputs.text, *outputs.many]:
        path.write_text(f"{kind} {threads} {recipe['text']}", encoding="utf-8")
    if kind == "bad":
        raise DataError("this data is bad", mend="take better data")
"""
SCRIPT = """
import work_stage
from heirloom.runtime.script import run_stage
if __name__ == "__main__":
    run_stage(work_stage.run, snakemake)
"""


def test_under_snakemake_itself(tmp_path: Path) -> None:
    write(tmp_path / "Snakefile", SNAKEFILE)
    write(tmp_path / "scripts" / "work.py", SCRIPT)
    write(tmp_path / "scripts" / "work_stage.py", STAGE)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--keep-going", "--quiet", "--directory", tmp_path]
    command += ["--snakefile", tmp_path / "Snakefile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    results = tmp_path / "results" / "s"
    assert done.returncode == 1, done.stderr
    assert [(results / "good" / name).read_text() for name in ("a.txt", "1", "2")] == ["good 2 ü"] * 3
    assert not any((results / "bad" / name).exists() for name in ("a.txt", "1", "2"))
    assert "this data is bad\n  to mend: take better data\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in (results / "logs" / "bad.log").read_text()
    assert "finished in" in (results / "logs" / "good.log").read_text()
    assert len(list((tmp_path / "results" / ".locks").iterdir())) == 2
