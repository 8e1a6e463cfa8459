"""A digest of the code that a stage runs, so that a job reruns when that code changes and only then."""

from __future__ import annotations

import ast
import atexit
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from heirloom.runtime.errors import ConfigError
from heirloom.runtime.own import OwnModule, find

SCRIPTS = Path(__file__).resolve().parents[2]  # the folder of the thin scripts and of the package
PACKAGE = "heirloom"
MEMORY = Path(".snakemake/heirloom-sources.json")  # what files contribute, from the working folder
MOST = 5000  # files remembered
FORM = b"2"  # of what is remembered
# No output depends on these: what a user is told, who may run when, where components lie, what they cost, and settings,
# which are parameters by themselves.
WITHOUT_EFFECT = frozenset(
    {
        f"{PACKAGE}.runtime.{name}"
        for name in ("causes", "ending", "errors", "guardian", "locks", "logs", "progress", "receipts")
    }
    | {
        f"{PACKAGE}.config.{name}"
        for name in ("attacks", "costs", "kinds", "models", "robust", "robust_training", "study", "work")
    }
)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements hold statements


class _Source(NamedTuple):
    """What one file contributes: a digest of its meaning, and the modules it may import."""

    digest: str
    imports: frozenset[str]


@cache  # thousands of jobs ask for the same few
def code_digest(stage: str, *modules: str, folder: Path = SCRIPTS) -> str:
    """Return 16 hexadecimal digits that change when the code behind a stage does.

    Covers the thin script <stage>.py, heirloom.stages.<stage>, `modules` ("heirloom.x.y" or "heirloom.x.y:function")
    and, transitively, every heirloom module that these import anywhere, with the packages on the way; of a user's own
    modules (heirloom.runtime.own) what they import from their folder or package too. Comments, docstrings, layout, file
    times, imports for type checkers alone and WITHOUT_EFFECT do not count. Registry entries are strings and are not
    followed: pass the modules in use. Files are read, never imported, and read once per process. Raises ConfigError
    when a script or module does not exist.
    """
    script = folder / f"{stage}.py"
    if not script.is_file():
        raise ConfigError(f"there is no stage {stage!r}", where=str(script))
    named = [_placed(module.partition(":")[0], folder) for module in (f"{PACKAGE}.stages.{stage}", *modules)]
    for module in named:
        if _file_of(module.name, module.root) is None:
            raise ConfigError(f"there is no module {module.name!r}", where=f"the code of stage {stage}")
    thin = _source(script, "")
    total = hashlib.sha256(thin.digest.encode())
    scripts = (OwnModule(name, folder) for name in thin.imports if _is_ours(name))
    for name, digest in sorted(_closure([*named, *scripts], folder)):
        total.update(f"{name} {digest}\n".encode())
    return total.hexdigest()[:16]


def _placed(module: str, folder: Path) -> OwnModule:
    """Say where a module lies: one of ours below the folder, any other where its user has it."""
    return OwnModule(module, folder) if _is_ours(module) else find(module)


def _closure(modules: Iterable[OwnModule], folder: Path) -> Iterator[tuple[str, str]]:
    """Give every module reachable by imports, once, with the digest of its file; foreign libraries are not followed."""
    waiting, seen = list(modules), set[OwnModule]()
    while waiting:
        module = waiting.pop()
        if module in seen or module.name in WITHOUT_EFFECT:
            continue
        seen.add(module)
        package, _, _ = module.name.rpartition(".")
        if package:
            waiting.append(OwnModule(package, module.root))
        file = _file_of(module.name, module.root)
        if file is None:
            continue  # a function or class of its package, a package without a file, or another library's
        source = _source(file, module.name if file.name == "__init__.py" else package)
        roots = {name: folder if _is_ours(name) else module.root for name in source.imports}
        waiting.extend(OwnModule(name, root) for name, root in roots.items() if _is_ours(name) or root != folder)
        yield module.name, source.digest


@cache
def _file_of(module: str, folder: Path) -> Path | None:
    """Find a module's file below a folder."""
    place = folder.joinpath(*module.split("."))
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


@cache
def _source(file: Path, package: str) -> _Source:
    """Return what a file that lies in a package contributes; one that was seen before is not parsed again."""
    content, known = file.read_bytes(), _known()
    key = hashlib.sha256(b"\0".join([FORM, content, package.encode(), sys.version.encode()])).hexdigest()
    if key not in known:
        digest, imports = _parsed(content, file, package)
        known[key] = [digest, *sorted(imports)]
    return _Source(known[key][0], frozenset(known[key][1:]))


def _parsed(content: bytes, file: Path, package: str) -> _Source:
    """Parse a file, and digest what is left without notes to readers and type checkers."""
    tree = ast.parse(content, filename=str(file))
    imports = frozenset(name for statement in _strip(tree) for name in _imported(statement, package))
    return _Source(hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest(), imports)


@cache
def _known() -> dict[str, list[str]]:
    """Return what earlier runs found in files, by their content: parsing them takes a fifth of a plan without work.

    What this run adds is kept when it ends, where Snakemake keeps notes of its own.
    """
    known: dict[str, list[str]] = {}
    with suppress(OSError, ValueError, TypeError):
        known |= json.loads(MEMORY.read_text(encoding="utf-8"))
    atexit.register(_keep, known, len(known))
    return known


def _keep(known: dict[str, list[str]], before: int) -> None:
    """Write what is known for the next run, if it grew; a disk that takes nothing is no reason to fail."""
    if len(known) == before:
        return
    newest = dict(list(known.items())[-MOST:])
    with suppress(OSError):
        partial = MEMORY.with_name(f".{MEMORY.name}.{os.getpid()}")
        partial.write_text(json.dumps(newest), encoding="utf-8")
        partial.replace(MEMORY)


def _strip(node: ast.AST) -> list[ast.AST]:
    """Remove docstrings and what stands under `if TYPE_CHECKING:`, and return the statements that are left.

    Walks statements alone, since neither imports nor docstrings hide in expressions.
    """
    left: list[ast.AST] = []
    for name in _BLOCKS:
        block = getattr(node, name, None)
        if not isinstance(block, list):
            continue
        unread = name == "body" and _is_for_type_checkers(node)
        block[:] = [] if unread else [child for child in block if not _is_text(child)]
        for child in block:
            left += [child, *_strip(child)]
    return left


def _is_text(node: ast.AST) -> bool:
    """Tell whether a statement is a mere string: it does nothing when the program runs."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_type_checkers(node: ast.AST) -> bool:
    """Tell whether a statement is `if TYPE_CHECKING:`."""
    if not isinstance(node, ast.If):
        return False
    test = node.test
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Give the names that a statement imports, but Python's; `from a import b` gives a.b too, which may be a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if not _is_python_s(alias.name))
    elif isinstance(node, ast.ImportFrom):
        origin = _origin(node, package)
        if not _is_python_s(origin):
            yield from ([origin] if origin else [])
            yield from (f"{origin}.{alias.name}".lstrip(".") for alias in node.names)


def _origin(node: ast.ImportFrom, package: str) -> str:
    """Resolve the dots of a relative import: one dot is the file's own package, each further one the package above."""
    if node.level == 0:
        return node.module or ""
    parents = package.split(".")
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_python_s(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")
