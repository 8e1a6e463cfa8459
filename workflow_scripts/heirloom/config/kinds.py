"""Components by kind: whatever a study names is one file in its kind's package, called as the study calls it.

Packages are scanned: no table names a component a second time, so that adding one changes no file that others use.
A study may also name one that lies elsewhere, "package.module:Name" or "folder/file.py:Name" (heirloom.runtime.own).
Planning imports these files, so none of them imports torch when it is imported: its functions do.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    create_model,
)
from pydantic_core import CoreSchema, core_schema

from heirloom.runtime import own
from heirloom.runtime.errors import ConfigError

FIELD = "kind"  # of a component's settings: Literal with the component's name
OWN = ":"  # between the module and the name in it of a component that lies elsewhere
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
        if is_own(name):
            return name.rpartition(OWN)[0]
        members = _members(self.package)
        if name in members:
            return members[name]
        near = difflib.get_close_matches(name, members, n=3, cutoff=0.5)
        mend = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(sorted(members))}"
        raise ConfigError(f"there is no {self.title} {name!r}", mend=mend)

    def load(self, name: str) -> ModuleType:
        """Import the module that holds a component. Raises ConfigError that names near ones."""
        if not is_own(name):
            return importlib.import_module(self.module(name))
        module, attribute = own.load(self.module(name)), name.rpartition(OWN)[2]
        if not hasattr(module, attribute):
            raise ConfigError(f"{self.module(name)} has no {attribute}, which is to be a {self.title}")
        return module

    def member(self, name: str) -> Any:
        """Return what a file of several components says of one. Raises ConfigError that names near ones."""
        module = self.load(name)
        return getattr(module, name.rpartition(OWN)[2]) if is_own(name) else getattr(module, MEMBERS)[name]

    def settings(self, base: type[BaseModel] = BaseModel, *others: type[BaseModel]) -> Any:
        """Return what a field is annotated with that takes any component's settings, if they are of a class.

        pydantic asks for `kind`. `others`: further models that the field takes, which are no components.
        """
        found = (_settings_in(self.load(name), name) for name in self.names())
        union = reduce(or_, [*(each for each in found if issubclass(each, base)), *others])
        return Annotated[union, Field(discriminator=FIELD), _Own(self, base)]

    def own_settings(self, name: str, base: type[BaseModel]) -> type[BaseModel]:
        """Return the settings of a component that lies elsewhere. Raises ConfigError for what is none of the kind."""
        found = getattr(self.load(name), name.rpartition(OWN)[2])
        if not (isinstance(found, type) and issubclass(found, base)):
            mend = f"let it be a class derived from {base.__module__}.{base.__qualname__}"
            raise ConfigError(f"{name} is no {self.title}: it has no settings of one", mend=mend)
        return _called(found, name)


def is_own(name: str) -> bool:
    """Tell whether a component's name says where it lies."""
    return OWN in name


@cache
def _called(settings: type[BaseModel], name: str) -> type[BaseModel]:
    """Give a user's settings the field `kind`, so that a job finds them again."""
    kind = {FIELD: (Literal[name], Field())}
    return create_model(settings.__name__, __base__=settings, __module__=settings.__module__, **kind)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class _Own:
    """Lets a field take settings of components that lie elsewhere, beside those it knows."""

    kind: Kind
    base: type[BaseModel]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.wrap_serializer_function_ser_schema(_written, info_arg=True)
        return core_schema.no_info_wrap_validator_function(self._read, handler(source), serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        kind = {"type": "string", "pattern": OWN}
        return {"anyOf": [handler(schema), {"type": "object", "properties": {FIELD: kind}, "required": [FIELD]}]}

    def _read(self, value: Any, known: ValidatorFunctionWrapHandler) -> Any:
        name = value.get(FIELD) if isinstance(value, Mapping) else getattr(value, FIELD, None)
        if not (isinstance(name, str) and is_own(name)):
            return known(value)
        try:
            settings = self.kind.own_settings(name, self.base)
        except ConfigError as error:
            raise ValueError(f"{error.what} (to mend: {error.mend})" if error.mend else error.what) from error
        return settings.model_validate(value)


def _written(value: Any, known: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
    """Write settings as plain values."""
    return value.model_dump(mode=info.mode) if is_own(getattr(value, FIELD, "")) else known(value)


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
FIGURES = Kind("figure", "heirloom.reporting.figures")
