"""YAML to a checked study: every mistake is told with its file, its key and the way to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from heirloom.config import yaml_files
from heirloom.config.kinds import FIELD
from heirloom.config.study import Catalogue, Study
from heirloom.runtime.errors import ConfigError

CATALOGUE_FILES = {
    "datasets": "datasets.yaml",
    "teachers": "teachers.yaml",
    "triggers": "triggers.yaml",
    "injections": "injections.yaml",
    "methods": "methods.yaml",
    "attacks": "attacks.yaml",
    "detectors": "detectors.yaml",
    "robust": "robust.yaml",
    "repairs": "repairs.yaml",
    "corruptions": "corruptions.yaml",
    "suites": "suites.yaml",
}

OLD_TAGS = frozenset({"method", "objective"})  # how `kind` was spelled

Model = TypeVar("Model", bound=BaseModel)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return advice that names the entry most like `name`, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"? (known: {", ".join(names)})'
    return f"use one of: {', '.join(names)}" if names else "none is defined yet"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping. Raises ConfigError if the file is absent, is no YAML or holds no mapping."""
    content = yaml_files.read(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError("a mapping of keys was expected", where=str(path), mend="write KEY: VALUE lines")
    return content


def parse(model: type[Model], content: Mapping[str, Any], *, where: str) -> Model:
    """Validate `content`; on failure raise one ConfigError that lists every mistake."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        mistakes = [_describe(model, mistake, content) for mistake in error.errors(include_url=False)]
        raise ConfigError(
            "; ".join(what for what, _ in mistakes), where=where, mend="; ".join(mend for _, mend in mistakes)
        ) from None


def _describe(model: type[BaseModel], mistake: Any, content: Mapping[str, Any]) -> tuple[str, str]:
    location = _keys(mistake["loc"], content)
    key = ".".join(location)
    if mistake["type"] == "extra_forbidden":
        what = f'unknown key "{key}"{_of_kind(mistake["loc"], content)}'
        return what, nearest(location[-1], _fields_at(model, mistake["loc"], content))
    if mistake["type"] == "missing":
        return f'the key "{key}" is missing', f'add "{location[-1]}"'
    if mistake["type"] == "union_tag_not_found":
        tag = mistake["ctx"]["discriminator"].strip("'")
        for old in OLD_TAGS.intersection(mistake["input"]):
            return f'"{key}.{old}" is now spelled "{key}.{tag}"', f'rename the key "{old}" to "{tag}"'
        return f'the key "{key}.{tag}" is missing', f'add "{tag}"'
    if mistake["type"] == "union_tag_invalid":
        context = mistake["ctx"]
        tag = context["discriminator"].strip("'")
        return f'unknown {tag} "{context["tag"]}" ("{key}.{tag}")', nearest(context["tag"], _tags(context))
    if mistake["type"] == "literal_error":
        return f'"{key}" cannot be {mistake["input"]!r}', f"use one of: {mistake['ctx']['expected']}"
    return f'"{key}" is wrong: {mistake["msg"]} (got {_short(mistake["input"])})', f'correct "{key}"'


def _of_kind(location: tuple[int | str, ...], content: Any) -> str:
    """Name the kind of the entry that has no key at a location; "" where it has no kind."""
    for part in location[:-1]:
        content = content[part] if isinstance(content, Mapping) and part in content else content
    kind = content.get(FIELD) if isinstance(content, Mapping) else None
    return "" if kind is None else f' of the kind "{kind}"'


def _tags(context: Mapping[str, Any]) -> list[str]:
    return [tag.strip(" '") for tag in context["expected_tags"].split(",")]


def _keys(location: tuple[int | str, ...], content: Any) -> list[str]:
    """Leave out of a mistake's location what is no key of the user's: pydantic also names the branch of a union."""
    keys: list[str] = []
    for place, part in enumerate(location):
        is_last = place == len(location) - 1
        if isinstance(content, Mapping) and part not in content and not is_last:
            continue
        keys.append(str(part))
        content = content[part] if isinstance(content, Mapping) and part in content else None
    return keys


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...], content: Any) -> set[str]:
    """Keys that the models allow beside the one at a location.

    Where a union leaves several models open, pydantic names the branch that the user's tag chose; without a tag the
    keys of all branches are told.
    """
    models = {model}
    for part in location[:-1]:
        if isinstance(content, Mapping) and part not in content:
            models = {found for found in models if part in _own_tags(found)} or models
            continue
        content = content[part] if isinstance(content, Mapping) else None
        if any(part in found.model_fields for found in models):
            models = {
                inner
                for found in models
                if part in found.model_fields
                for inner in _models_in(found.model_fields[str(part)].annotation)
            }
    return {name for found in models for name in found.model_fields}


def _own_tags(model: type[BaseModel]) -> set[Any]:
    """Values of the fields that tell a model from the others of its union."""
    annotations = [field.annotation for field in model.model_fields.values()]
    return {tag for annotation in annotations if get_origin(annotation) is Literal for tag in get_args(annotation)}


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {found for argument in get_args(annotation) for found in _models_in(argument)}


def load_catalogue(folders: Iterable[Path]) -> Catalogue:
    """Read the catalogues of several folders into one; a name defined twice is an error."""
    merged: dict[str, dict[str, Any]] = {section: {} for section in CATALOGUE_FILES}
    for folder in folders:
        for section, file_name in CATALOGUE_FILES.items():
            path = folder / file_name
            if not path.exists():
                continue
            entries = read_yaml(path)
            parse(Catalogue, {section: entries}, where=str(path))
            for name in sorted(entries.keys() & merged[section].keys()):
                raise ConfigError(f'"{name}" is defined twice', where=str(path), mend="give one of them another name")
            merged[section].update(entries)
    return parse(Catalogue, merged, where="catalogues")


def load_study(content: Mapping[str, Any], *, project: Path, where: str) -> tuple[Study, Catalogue]:
    """Check a study's own keys and read the catalogues it names. Raises ConfigError."""
    study = parse(Study, content, where=where)
    folders = [project / folder for folder in study.catalogues]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f'the catalogue folder "{folder}" does not exist', where=where, mend="correct catalogues")
    return study, load_catalogue(folders)
