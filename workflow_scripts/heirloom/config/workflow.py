"""What the Snakefile asks for: the study behind a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heirloom.config.grid import Grid
from heirloom.config.load import load_study, read_yaml
from heirloom.config.models import Fetched, Files
from heirloom.runtime.errors import ConfigError

DEFAULT_STUDY = "config/config.yaml"


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
    return Grid(study, catalogue, where)


def command_of(grid: Grid) -> str:
    """Return the command that runs a study again; names no folder of this machine."""
    where = Path(grid.where)
    sources = [grid.dataset(name).source for name in grid.dataset_names]
    own = any(isinstance(source, Files) for source in sources) or any(
        isinstance(grid.teacher(name).source, Fetched) for name in grid.teacher_names
    )
    if where.as_posix() == DEFAULT_STUDY:
        study = ""
    elif where.parent.as_posix().endswith("config/studies"):
        study = f" STUDY={where.stem}"
    else:
        return f"snakemake --cores all --configfile {where.name}" + (" --config data_root=FOLDER" if own else "")
    return f"make results{study}{' DATA=FOLDER' if own else ''}"
