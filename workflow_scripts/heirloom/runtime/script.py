"""The bridge from a Snakemake job to a stage: what the rule declares becomes typed arguments of the stage's `run`."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from heirloom.runtime.ending import Ending
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.guardian import die_with_parent
from heirloom.runtime.locks import exclusive
from heirloom.runtime.logs import open_log
from heirloom.runtime.receipts import FOLDER, write_receipt

logger = logging.getLogger(__name__)

_FOR_SNAKEMAKE_ALONE = frozenset({"code", "libraries"})  # params that exist so that Snakemake notices their change
_FILES = {"inputs": "input", "outputs": "output"}
# What a stage may be told without its output depending on it: where files lie, words for messages, how often to save
_FROM_CONFIG = frozenset({"addresses", "checkpoint_seconds", "checksums", "data_root", "instructions", "local_paths"})


def run_stage(run: Callable[..., None], snakemake: Any) -> None:
    """Run a stage for a Snakemake job: log, guardian, arguments, lock of the outputs, `run(**arguments)`, receipt.

    A HeirloomError is shown as its message and ends the process with status 1 (SystemExit). After any failure none of
    the rule's outputs is left. `snakemake` is the object that Snakemake puts into a script.
    """
    outputs = [Path(output) for output in snakemake.output]
    log = Path(snakemake.log[0]) if snakemake.log else None
    with open_log(log), _terminable():
        die_with_parent()
        arguments = arguments_of(run, snakemake)
        if not outputs:
            run(**arguments)
            return
        lock, receipt = files_beside(outputs[0], log=log)
        with exclusive(lock, wait=True), _all_or_none(outputs):
            begun = time.monotonic()
            run(**arguments)
            write_receipt(receipt, outputs)
            logger.info("finished in %.1f s", time.monotonic() - begun)


def arguments_of(run: Callable[..., None], snakemake: Any) -> dict[str, Any]:
    """Find and convert the arguments of a stage's `run`; raises ConfigError that lists all that is wrong with them.

    `inputs` and `outputs` come from the rule's named files; any other name from its params and the settings among them,
    else its wildcards, else `threads` from the rule and _FROM_CONFIG from the config, else the parameter's default. A
    param that `run` does not take is an error (but `code` and `libraries`, which only make Snakemake rerun the job).
    """
    hints = get_type_hints(run, include_extras=True)
    parameters = inspect.signature(run).parameters
    params = dict(snakemake.params.items())
    params |= params.pop("settings", {})
    unknown = [name for name in params if name not in parameters and name not in _FOR_SNAKEMAKE_ALONE]
    problems = [f"{name}: a param of the rule, but no parameter of the stage" for name in unknown]
    arguments: dict[str, Any] = {}
    for name, parameter in parameters.items():
        try:
            found, value = _find(name, snakemake, params)
            if found:
                arguments[name] = _converted(name, value, hints.get(name, Any))
            elif parameter.default is inspect.Parameter.empty:
                problems.append(f"{name}: neither the params nor the wildcards of the rule name it")
        except _WrongArgumentError as error:
            problems.extend(error.args)
    if problems:
        raise ConfigError(
            f"rule {snakemake.rule} does not fit {run.__module__}.{run.__name__}",
            details=[f"    {problem}" for problem in problems],
        )
    return arguments


class _WrongArgumentError(Exception):
    """What is wrong with one argument, one line per finding."""


def _find(name: str, snakemake: Any, params: Mapping[str, Any]) -> tuple[bool, Any]:
    """Look for an argument where the rule may state it."""
    if name in _FILES:
        return True, dict(getattr(snakemake, _FILES[name]).items())
    for named in (params, dict(snakemake.wildcards.items())):
        if name in named:
            return True, named[name]
    if name == "threads":
        return True, snakemake.threads
    if name in _FROM_CONFIG and name in snakemake.config:
        return True, snakemake.config[name]
    return False, None


def _converted(name: str, value: Any, annotation: Any) -> Any:
    """Convert a value to a parameter's annotation."""
    if name in _FILES:
        value = _files(name, value, annotation)
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise _WrongArgumentError(*(_told(name, finding) for finding in error.errors())) from error


def _told(name: str, finding: Mapping[str, Any]) -> str:
    """Say where in an argument a value is wrong, and how."""
    place = ".".join([name, *(str(part) for part in finding["loc"])])
    return f"{place}: {finding['msg']} (it is {finding['input']!r:.80})"


def _files(name: str, named: Mapping[str, Any], group: Any) -> dict[str, Any]:
    """Match a rule's named files with the fields of a stage's Inputs or Outputs.

    Rules say `[]` for an optional file that they do not have.
    """
    if not dataclasses.is_dataclass(group):
        raise _WrongArgumentError(f"{name}: its annotation is no dataclass")
    hints = get_type_hints(group)
    values = {key: _file_or_files(value, hints.get(key)) for key, value in named.items()}
    values = {key: value for key, value in values.items() if value is not None}
    fields = {field.name: field for field in dataclasses.fields(group)}
    needed = {key for key, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING}
    problems = [f"{name}.{key}: the rule names it, the stage does not" for key in sorted(named.keys() - fields)]
    problems += [f"{name}.{key}: the rule does not name it" for key in sorted(needed - values.keys())]
    if problems:
        raise _WrongArgumentError(*problems)
    return values


def _file_or_files(value: Any, hint: Any) -> Any:
    """Give a plain path or a plain list of paths, as the field asks; None for an absent optional file."""
    is_list = get_origin(hint) in (list, tuple)
    if isinstance(value, str | os.PathLike):
        return [value] if is_list else value
    return list(value) if is_list or len(value) > 0 else None


def files_beside(output: Path, *, log: Path | None) -> tuple[Path, Path]:
    """Name a job's lock and receipt by its first output: <results>/.locks/ and <results>/<study>/.receipts/.

    Both are called by 16 digits of the output's sha256: by the file and not its folder, so that two rules may write
    tables side by side. The results folder is the first component of the output's path below the working directory;
    outside of it, what the output and the log have in common. A receipt goes with the study's folder when that is
    deleted.
    """
    if output.is_absolute() and output.is_relative_to(Path.cwd()):
        output = output.relative_to(Path.cwd())
    if output.is_absolute():
        common = os.path.commonpath([output.parent, (log or output).absolute().parent])
        results = Path(common)
    else:
        results = Path(output.parts[0]) if len(output.parts) > 1 else Path()
    place = output.relative_to(results)
    name = hashlib.sha256(place.as_posix().encode()).hexdigest()[:16]  # says the same under every mount point
    study = results / place.parts[0] if len(place.parts) > 1 else results
    return results / ".locks" / name, study / FOLDER / name


@contextmanager
def _all_or_none(outputs: Sequence[Path]) -> Iterator[None]:
    """Remove the rule's outputs if the body fails; Snakemake does so too, unless it is killed meanwhile."""
    try:
        yield
    except BaseException:
        for output in outputs:
            with suppress(OSError):  # the failure itself is what a user must read
                if not output.is_dir():
                    output.unlink(missing_ok=True)
        raise


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn a request to end (SIGTERM, Ctrl-C) into an orderly exit, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    ending = Ending()
    usual = {number: signal.signal(number, ending) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        ending.close()
