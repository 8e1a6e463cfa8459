"""Whether the installed packages are those that this folder asks for."""

from __future__ import annotations

import os
import platform
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import heirloom
from heirloom.config.environment import pins
from heirloom.config.load import read_yaml
from heirloom.doctor.report import Finding
from heirloom.runtime.errors import ConfigError

OLDEST = (3, 11)
TRIGGERS = ["input", "mtime", "params", "software-env"]
AGAIN = "run `make results` or any other target: it installs what requirements.lock says"


def environment_findings(project: Path) -> Iterator[Finding]:
    """Look at Python, the direct dependencies, the installed library and Snakemake's profile."""
    yield python_finding(sys.version_info[:2], platform.python_version())
    yield from package_findings(direct_dependencies(project), locked(project / "requirements.lock"))
    yield library_finding(Path(heirloom.__file__).resolve().parent, project)
    yield profile_finding(project, os.environ.get("SNAKEMAKE_PROFILE", ""))


def python_finding(found: tuple[int, int], text: str) -> Finding:
    """Judge the interpreter's version."""
    if found >= OLDEST:
        return Finding("ok", "python", text)
    return Finding("problem", "python", f"{text} is too old", "install Python 3.11 or newer and give it: make PYTHON=")


def direct_dependencies(project: Path) -> list[str]:
    """Name the packages that pyproject.toml asks for. Raises ConfigError when there is no such file."""
    path = project / "pyproject.toml"
    try:
        asked = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        mend = "call doctor in the project's folder"
        raise ConfigError("the list of dependencies cannot be read", where=str(path), mend=mend) from error
    return [re.split(r"[^A-Za-z0-9._-]", entry, maxsplit=1)[0] for entry in asked]


def locked(lock: Path) -> dict[str, set[str]]:
    """Return the pinned versions of each package; a package may have one for each kind of machine."""
    found: dict[str, set[str]] = {}
    for pin in pins(lock):
        name, _, rest = pin.partition("==")
        found.setdefault(name.lower(), set()).add(rest.partition(" ")[0])
    return found


def package_findings(names: Sequence[str], lock: Mapping[str, set[str]]) -> Iterator[Finding]:
    """Compare installed packages with the lock: an absent one is a problem, another version a warning."""
    for name in names:
        wanted = " or ".join(sorted(lock.get(name.lower(), set()))) or "any version"
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding("problem", name, f"is not installed; requirements.lock says {wanted}", AGAIN)
            continue
        if found.partition("+")[0] in {each.partition("+")[0] for each in lock.get(name.lower(), set())}:
            yield Finding("ok", name, found)
        else:
            mend = f"{AGAIN}; with other versions results may differ in their last digits"
            yield Finding("warning", name, f"{found}, but requirements.lock says {wanted}", mend)


def library_finding(package: Path, project: Path) -> Finding:
    """Tell whether the heirloom that runs is the one of this folder."""
    own = (project / "workflow_scripts" / "heirloom").resolve()
    if package == own:
        return Finding("ok", "heirloom", "the one of this folder")
    mend = "make a .venv in this folder (any make target does), or set PYTHONPATH to its workflow_scripts"
    return Finding("problem", "heirloom", f"another folder's is installed: {package}", mend)


def profile_finding(project: Path, chosen: str) -> Finding:
    """Look at the profile that Snakemake takes: one named by SNAKEMAKE_PROFILE, else profiles/default."""
    folder = project / "profiles" / (chosen or "default") if "/" not in chosen else Path(chosen)
    file = next((path for path in sorted(folder.glob("*.yaml"))), None)
    if file is None:
        found = f"{chosen or folder}: Snakemake looks elsewhere for it, so it was not read"
        return Finding("warning", "snakemake profile", found, f"let it say rerun-triggers: {TRIGGERS}")
    if read_yaml(file).get("rerun-triggers") == TRIGGERS:
        return Finding("ok", "snakemake profile", str(file.relative_to(project) if project in file.parents else file))
    mend = f"write rerun-triggers: [{', '.join(TRIGGERS)}] into it (docs/reruns.md)"
    return Finding("warning", "snakemake profile", f"{file} lets Snakemake rerun jobs after a mere git checkout", mend)
