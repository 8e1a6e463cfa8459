"""Modules of a user's own that a study names: a file of Python, "folder/file.py", or "package.module".

Files are looked for from the folder in which Snakemake runs, like all files that a study names; modules where Python
looks for them, that folder included. To name one is to run its code, when a study is planned and in the jobs it is for.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from heirloom.runtime.errors import ConfigError

FILE = ".py"


@dataclass(frozen=True)
class OwnModule:
    """`name`: by which it is imported. `root`: the folder that holds it, or its outermost package."""

    name: str
    root: Path


def find(reference: str) -> OwnModule:
    """Say where a module lies without importing it. Raises ConfigError where there is none."""
    if reference.endswith(FILE):
        file = Path(reference)
        if not file.is_file():
            mend = "write its path from the folder in which Snakemake runs"
            raise ConfigError(f"there is no file {reference}", mend=mend)
        return OwnModule(file.stem, file.parent)
    outermost = reference.partition(".")[0]
    found = importlib.machinery.PathFinder.find_spec(outermost, [str(Path.cwd()), *sys.path])
    if found is None:
        mend = 'install its package, put it beside the Snakefile, or name a file, "folder/file.py"'
        raise ConfigError(f"there is no module {reference}", mend=mend)
    inside = list(found.submodule_search_locations or ())
    return OwnModule(reference, Path(inside[0] if inside else str(found.origin)).parent)


def load(reference: str) -> ModuleType:
    """Import a module of a user's own. Raises ConfigError with the reason where that fails."""
    own = find(reference)
    root = str(own.root.resolve())
    if root not in sys.path:
        sys.path.append(root)  # behind all else, so that it hides nothing; its neighbours are found there
    try:
        module = importlib.import_module(own.name)
    except Exception as error:  # whatever a stranger's module raises
        raise ConfigError(
            f"{reference} cannot be imported: {type(error).__name__}: {error}", mend="mend the module"
        ) from error
    if reference.endswith(FILE) and Path(module.__file__ or "").resolve() != Path(reference).resolve():
        raise ConfigError(f"another module is called {own.name}: {module.__file__}", mend=f"rename {reference}")
    return module
