"""A layout, writer or corruption is one file: adding one changes no digest, and planning reads it without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from heirloom.config.kinds import CORRUPTED_LAYOUTS, CORRUPTIONS, LAYOUTS, WRITERS, Kind
from heirloom.runtime import digest
from heirloom.runtime.digest import SCRIPTS

KINDS = {
    "LAYOUTS": (LAYOUTS, "prepare_dataset", "def read(root): ...\n"),
    "CORRUPTED_LAYOUTS": (CORRUPTED_LAYOUTS, "corrupt_dataset", "def read(root, *, kinds, test, rows): ...\n"),
    "CORRUPTIONS": (
        CORRUPTIONS,
        "corrupt_dataset",
        "MEMBERS = {'rain-drops': lambda images, severity, draws: images}\n",
    ),
    "WRITERS": (WRITERS, "render_dataset", "def write(root, *, seed, classes=3): ...\n"),
}
ADDED = "rain-drops"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "scripts"
    return Path(shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__")))


def digests(folder: Path, kind: Kind, stage: str) -> dict[str, str]:
    """Digest every stage, and that of a kind with each of its components, as a new process would."""
    for cached in (digest.code_digest, digest._file_of, digest._source):
        cached.cache_clear()
    stages = sorted(path.stem for path in folder.glob("*.py"))
    found = {name: digest.code_digest(name, folder=folder) for name in stages}
    return found | {name: digest.code_digest(stage, kind.module(name), folder=folder) for name in kind.names()}


@pytest.mark.parametrize("name", KINDS)
def test_a_component_is_added_by_its_file_and_nothing_else_changes(copied: Path, name: str) -> None:
    kind, stage, text = KINDS[name]
    before = digests(copied, kind, stage)
    file = copied.joinpath(*kind.package.split("."), "rain_drops.py")
    file.write_text(text)
    assert digests(copied, kind, stage) == before
    code = f"from heirloom.config.kinds import {name} as kind; print(*kind.names(), kind.module('{ADDED}'))"
    told = subprocess.check_output([sys.executable, "-c", code], text=True, env={"PYTHONPATH": str(copied)}).split()
    assert set(told) == {*kind.names(), ADDED, f"{kind.package}.rain_drops"}
    file.unlink()


def test_components_are_read_without_the_libraries_that_compute() -> None:
    calls = ", ".join(f"[{name}.load(each) for each in {name}.names()]" for name in KINDS)
    code = f"import sys; from heirloom.config.kinds import {', '.join(KINDS)}; {calls}"
    code += "; print({'torch', 'torchvision', 'pyarrow', 'pandas', 'scipy', 'sklearn'} & set(sys.modules))"
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert told.strip() == "set()"
