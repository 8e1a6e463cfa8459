"""A copy of the project with a tiny study, and what a test does with it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

SOURCE = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "workflow_scripts", "profiles", "config", "envs", "requirements.lock")
STUDY = "study/tiny.yaml"
OFFLINE = ".offline"  # holds what keeps a project's processes from the network
WARM = "HEIRLOOM_WARM_PYTHON"  # environment variable: what to call in place of Python, see warm.py
MACHINES_OWN = ("costs.parquet", "report.html")
SAME_BYTES = (".parquet", ".safetensors", ".npy", ".json", ".pdf", ".png", ".csv", ".html", ".tex")


@dataclass(frozen=True)
class Job:
    """One planned job."""

    rule: str
    wildcards: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Project:
    """A folder in which `snakemake` runs a tiny study with the code that lies there."""

    folder: Path
    study_file: str = STUDY

    def environment(self) -> dict[str, str]:
        places = (self.folder / OFFLINE, self.folder / "workflow_scripts")
        own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {**own, "PYTHONPATH": os.pathsep.join(map(str, places)), "COLUMNS": "200"}

    def python(self, *arguments: str) -> list[str]:
        return [os.environ.get(WARM, sys.executable), *arguments]

    def call(self, *arguments: str, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.python(*arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def snakemake(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess[str]:
        return self.call("-m", "snakemake", *arguments, "--cores", str(cores), "--configfile", self.study_file)

    def heirloom(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.call("-m", "heirloom", command, "--study", self.study_file, "--cores", "2", *arguments)

    def plan(self, *arguments: str) -> list[Job]:
        """Jobs that `snakemake -n` would run, without the targets that only collect."""
        found = self.snakemake("-n", *arguments)
        assert found.returncode == 0, found.stdout + found.stderr
        return [job for job in parse_plan(found.stdout + found.stderr) if job.rule != "all"]

    def rules(self) -> set[str]:
        """Names of the rules that would run."""
        return {job.rule for job in self.plan()}

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file's text; the old text must be there."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))

    def append(self, path: str, text: str) -> None:
        file = self.folder / path
        file.write_text(file.read_text() + text)

    def change_study(self, **keys: object) -> None:
        file = self.folder / self.study_file
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | keys))

    def at_start(self, *texts: str) -> None:
        """Let each Python process that is started here run these texts first, once it is kept from the network."""
        own = (Path(__file__).parent / "offline.py").read_text()
        (self.folder / OFFLINE / "sitecustomize.py").write_text("".join([own, *texts]))

    def study(self) -> dict[str, object]:
        return dict(yaml.safe_load((self.folder / self.study_file).read_text()))

    def digests(self) -> dict[str, str]:
        """sha256 of every result that is promised to be the same each time."""
        results = self.folder / "results"
        return {
            str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(results.rglob("*"))
            if path.suffix in SAME_BYTES and path.is_file() and path.name not in MACHINES_OWN
        }

    def copy(self, folder: Path) -> Project:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.study_file)


def parse_plan(text: str) -> list[Job]:
    """Read the jobs of a dry run from Snakemake's own listing."""
    jobs = []
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", text):
        head = re.match(r"(?:local)?rule (\w+):", block)
        if head:
            named = {name: tuple(_listed(block, name)) for name in ("wildcards", "input", "output")}
            pairs = [pair.split("=", 1) for pair in named["wildcards"]]
            jobs.append(Job(head[1], dict(pairs), named["input"], named["output"]))
    return jobs


def _listed(block: str, name: str) -> list[str]:
    """Read one line of a job in Snakemake's listing."""
    found = re.search(rf"^ +{name}: (.+)$", block, re.MULTILINE)
    return found[1].split(", ") if found else []


def started(project: Project) -> int:
    """Count the Python processes of a project that were kept from the network."""
    return sum(line.startswith("started") for line in _network_log(project))


def attempts(project: Project) -> list[str]:
    """Return what a project's processes asked of the network; all of it was refused."""
    return [line for line in _network_log(project) if line.startswith("refused")]


def _network_log(project: Project) -> list[str]:
    log = project.folder / OFFLINE / "network.log"
    return log.read_text().splitlines() if log.exists() else []


def new_project(folder: Path, study_file: str = STUDY) -> Project:
    """Copy what a run needs from the repository, and the tiny studies."""
    folder.mkdir(parents=True)
    for part in PARTS:
        origin = SOURCE / part
        if origin.is_dir():
            shutil.copytree(origin, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif origin.exists():
            shutil.copy2(origin, folder / part)
    shutil.copytree(Path(__file__).parent / "study", folder / "study")
    (folder / OFFLINE).mkdir()
    project = Project(folder, study_file)
    project.at_start()
    return project
