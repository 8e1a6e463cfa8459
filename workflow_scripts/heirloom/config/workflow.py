"""What the Snakefile asks for: the study behind a command line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from heirloom.config.grid import Grid
from heirloom.config.load import load_study, nearest, read_yaml
from heirloom.config.models import Fetched, Files
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import sha256_of

DEFAULT_STUDY = "config/config.yaml"
LARGEST_PICTURE = 16 << 20  # bytes of a trigger's picture, which every planning reads


def open_grid(config: Mapping[str, Any], *, config_files: Sequence[str | Path], project: Path) -> Grid:
    """Return the grid of the study that the command line names, quickstart's when it names none.

    Quickstart's file is read only when no other is given, because Snakemake would merge the two; `config` then holds
    nothing but the command line's own `--config KEY=VALUE`. Two files are refused for the same reason.
    Raises ConfigError.
    """
    if len(config_files) > 1:
        raise ConfigError(
            "more than one study is named",
            where=", ".join(str(path) for path in config_files),
            mend="give --configfile one file: a study is one file and is never merged with another",
        )
    if config_files:
        where, content = str(config_files[0]), dict(config)
    else:
        where, content = DEFAULT_STUDY, read_yaml(project / DEFAULT_STUDY) | dict(config)
    study, catalogue = load_study(content, project=project, where=where)
    grid = Grid(study, catalogue, where)
    files = {
        f"triggers.{name}.{key}": file
        for name in grid.trigger_names
        for key, file in grid.trigger(name).files().items()
    }
    pictures = {file: _picture(project / file, where) for where, file in files.items()}
    return replace(grid, pictures=pictures, project=project)


def _picture(path: Path, where: str) -> str:
    """Return the sha256 of a trigger's picture. Raises ConfigError where there is none."""
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*") if file.is_file()]
        raise ConfigError(f"the picture {path} does not exist", where=where, mend=nearest(path.name, beside))
    if path.stat().st_size > LARGEST_PICTURE:
        mend = f"give a picture of at most {LARGEST_PICTURE} bytes"
        raise ConfigError(f"the picture {path} is too large for a trigger", where=where, mend=mend)
    return sha256_of(path)


def python_for_jobs(python: str, folder: Path) -> str:
    """Return a path of the interpreter that a shell takes as it is: Snakemake does not quote the one it calls.

    Where the whole path holds a blank or the like, that from `folder`, in which jobs run. Raises ConfigError where that
    one does so too.
    """
    for path in (python, os.path.relpath(python, folder)):
        if shlex.quote(path) == path:
            return path
    raise ConfigError(
        "jobs cannot be started: the path of Python holds a blank, a bracket or another sign that a shell reads",
        where=python,
        mend="make the environment in this folder (`make results` does), or in one without such signs",
    )


def command_of(grid: Grid) -> str:
    """Return the command that runs a study again; names no folder above the working folder."""
    where = Path(grid.where)
    if where.is_absolute():
        where = where.relative_to(Path.cwd()) if where.is_relative_to(Path.cwd()) else Path(where.name)
    own = _needs_a_folder(grid)
    if where.as_posix() == DEFAULT_STUDY:
        study = ""
    elif where.parent.as_posix() == "config/studies":
        study = f" STUDY={where.stem}"
    else:
        return f"snakemake --cores all --configfile {where.as_posix()}" + (" --config data_root=FOLDER" if own else "")
    return f"make results{study}{' DATA=FOLDER' if own else ''}"


def _needs_a_folder(grid: Grid) -> bool:
    """Whether a file of the study has no address, so that only a user's folder can hold it."""
    sources = [grid.dataset(name).source for name in grid.dataset_names]
    files = [source.files for source in sources if isinstance(source, Files)]
    teachers = [grid.teacher(name).source for name in grid.teacher_names]
    files += [(source.file,) for source in teachers if isinstance(source, Fetched)]
    return any(not group or any(not file.urls for file in group) for group in files)
