"""Components by kind: whatever a study names is one file in its kind's package, called as the study calls it.

Packages are scanned: no table names a component a second time, so that adding one changes no file that others use.
Planning imports these files, so none of them imports torch when it is imported: its functions do.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from heirloom.runtime.errors import ConfigError

FIELD = "kind"  # of a component's settings: Literal with the component's name
MEMBERS = "MEMBERS"  # mapping of a file that holds several components, by their names


@dataclass(frozen=True)
class Kind:
    """One kind of component. `title`: in messages, such as "transfer method"; `package`: where its files lie.

    The component `delta-r` is the file delta_r.py, or a folder of that name. A file that holds several, which differ in
    numbers alone, has a mapping MEMBERS from their names to what tells them apart.
    """

    title: str
    package: str

    def names(self) -> tuple[str, ...]:
        """Return the names of all components, sorted."""
        return tuple(sorted(_members(self.package)))

    def module(self, name: str) -> str:
        """Return the module that holds a component, as "package.module". Raises ConfigError that names near ones."""
        members = _members(self.package)
        if name in members:
            return members[name]
        near = difflib.get_close_matches(name, members, n=3, cutoff=0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(sorted(members))}"
        raise ConfigError(f"there is no {self.title} {name!r}", mend=mend)

    def load(self, name: str) -> ModuleType:
        """Import the module that holds a component. Raises ConfigError that names near ones."""
        return importlib.import_module(self.module(name))

    def member(self, name: str) -> Any:
        """Return what a file of several components says of one. Raises ConfigError that names near ones."""
        return getattr(self.load(name), MEMBERS)[name]

    def settings(self, base: type[BaseModel] = BaseModel) -> Any:
        """Return the settings of all components, or of those of one class, as a union: pydantic asks for `kind`."""
        found = (_settings_in(self.load(name), name) for name in self.names())
        return reduce(or_, (each for each in found if issubclass(each, base)))


@cache
def _members(package: str) -> dict[str, str]:
    """Return the module of each component of a package, by name; only files of several are imported for it."""
    found: dict[str, str] = {}
    for path in _files(package):
        module = f"{package}.{path.parent.name if path.name == '__init__.py' else path.stem}"
        if any(line.startswith(MEMBERS) for line in path.read_text(encoding="utf-8").splitlines()):
            found |= dict.fromkeys(getattr(importlib.import_module(module), MEMBERS), module)
        else:
            found[module.rpartition(".")[2].replace("_", "-")] = module
    return found


def _files(package: str) -> Iterator[Path]:
    """Give the files of the modules and packages that lie in a package, but those that begin with an underscore."""
    specification = importlib.util.find_spec(package)
    folders = (specification.submodule_search_locations if specification else None) or ()
    for folder in sorted(folders):
        for path in sorted(Path(folder).iterdir()):
            file = path if path.suffix == ".py" else path / "__init__.py"
            if file.is_file() and not path.name.startswith("_"):
                yield file


def _settings_in(module: ModuleType, name: str) -> type[BaseModel]:
    """Find the settings of a component in its module: the model whose `kind` can only be the component's name."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, BaseModel) and FIELD in value.model_fields:
            annotation = value.model_fields[FIELD].annotation
            if get_origin(annotation) is not None and get_args(annotation) == (name,):
                return value
    raise TypeError(f"{module.__name__} has no model with the field {FIELD}: Literal[{name!r}]")


METHODS = Kind("transfer method", "heirloom.transfer.methods")
SCORES = Kind("weight score", "heirloom.transfer.scores")
OBJECTIVES = Kind("robust objective", "heirloom.training.objectives")
ATTACKS = Kind("attack", "heirloom.attacks.algorithms")
DETECTORS = Kind("detector", "heirloom.defences.detectors")
INJECTIONS = Kind("injection", "heirloom.defects.injections")
TRIGGERS = Kind("trigger", "heirloom.defects.triggers")
LAYOUTS = Kind("layout", "heirloom.data.layouts")
CORRUPTED_LAYOUTS = Kind("layout of corrupted images", "heirloom.data.corrupted_layouts")
WRITERS = Kind("writer", "heirloom.data.writers")
CORRUPTIONS = Kind("corruption", "heirloom.data.corruptions")
BODIES = Kind("body", "heirloom.models.bodies")
