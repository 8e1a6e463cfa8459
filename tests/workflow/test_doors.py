"""How a run begins and ends: in a folder of any name, in any locale, and a failure's cause is its last word."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.workflow.project import SOURCE, Project, new_project

RAW = "results/shared/data/signs/raw/card.json"
LOG = "results/shared/logs/render_dataset/data.signs.raw.log"


@dataclass(frozen=True)
class Clone(Project):
    """A project with a Python of its own below its folder, in a locale without umlauts."""

    def python(self, *arguments: str) -> list[str]:
        return [str(self.folder / ".venv/bin/python"), *arguments]

    def environment(self) -> dict[str, str]:
        inherited = super().environment()
        return {key: value for key, value in inherited.items() if key not in ("LANG", "PYTHONPATH")} | {"LC_ALL": "C"}


def clone(folder: Path) -> Clone:
    """Give a project an environment that borrows the packages of this one, linked as the Makefile does it."""
    project = Clone(new_project(folder).folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
    shutil.copy(SOURCE / "Makefile", folder)
    [packages] = folder.glob(".venv/lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    link = re.search(r"^LINK := (.+?)\\\n\t(.+)$", (folder / "Makefile").read_text(), re.MULTILINE)
    assert link
    assert project.call("-c", link[1] + link[2]).returncode == 0
    return project


def test_a_clone_runs_in_a_folder_of_any_name(tmp_path: Path) -> None:
    project = clone(tmp_path / "heir loom (ü)")
    run = project.call("-m", "snakemake", RAW, "--cores", "1", "--configfile", project.study_file)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (project.folder / RAW).exists()


def test_the_makefile_calls_no_script_whose_first_line_names_a_path() -> None:
    used = re.findall(r"\$\(BIN\)/([\w-]+)", (SOURCE / "Makefile").read_text())
    assert set(used) == {"python"}


@pytest.fixture
def failing(fresh: Project) -> Project:
    """A study whose first job stops with an error that a user can mend."""
    fresh.edit(
        "workflow_scripts/render_dataset.py",
        "from heirloom.stages import render_dataset\n",
        "import functools\n"
        "from heirloom.runtime.errors import DataError\n"
        "from heirloom.stages import render_dataset\n\n\n"
        "@functools.wraps(render_dataset.run)\n"
        "def refuse(**_: object) -> None:\n"
        "    raise DataError('a tile is loose', where='the roof', mend='nail it')\n\n\n"
        "render_dataset.run = refuse\n",
    )
    return fresh


@pytest.mark.parametrize(
    "command",
    [("-m", "snakemake", RAW, "--configfile"), ("-m", "heirloom", "run", RAW, "--study")],
    ids=["snakemake", "heirloom"],
)
def test_the_cause_of_a_failure_stands_last(failing: Project, command: tuple[str, ...]) -> None:
    run = failing.call(*command, failing.study_file, "--cores", "1")
    assert run.returncode != 0
    assert run.stderr.splitlines()[-4:] == [
        "heirloom: a tile is loose",
        "  where: the roof",
        "  to mend: nail it",
        f"  log: {LOG}",
    ]
    assert "Traceback" in (failing.folder / LOG).read_text()
    assert not list(failing.folder.glob(".snakemake/causes-*"))


def test_the_cause_of_a_refused_plan_stands_last(fresh: Project) -> None:
    fresh.change_study(bogus=1)
    plan = fresh.snakemake("-n")
    assert plan.returncode != 0
    assert 'unknown key "bogus"' in plan.stderr.splitlines()[-3]
    assert plan.stderr.splitlines()[-1].startswith("  to mend: ")


@pytest.mark.usefixtures("real_python")
def test_planning_imports_no_library_of_the_jobs(fresh: Project) -> None:
    fresh.at_start(
        "import atexit, sys\n"
        "atexit.register(lambda: print('LOADED', {'torch', 'pandas', 'pyarrow'} & set(sys.modules), file=sys.stderr))\n"
    )
    plan = fresh.snakemake("-n")
    assert plan.returncode == 0, plan.stderr
    assert re.findall(r"LOADED (.+)", plan.stderr)[-1] == "set()"
