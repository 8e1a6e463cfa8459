"""The code digest follows what a stage imports, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from heirloom.config.kinds import BODIES, METHODS, OBJECTIVES, SCORES
from heirloom.runtime import digest as digests
from heirloom.runtime.digest import SCRIPTS, WITHOUT_EFFECT, _file_of, _source, code_digest
from heirloom.runtime.errors import ConfigError

FILES = {
    "train.py": "from heirloom.runtime.script import run_stage\nfrom heirloom.stages import train\n",
    "heirloom/__init__.py": "",
    "heirloom/stages/__init__.py": "",
    "heirloom/stages/train.py": '''
"""A stage."""
from typing import TYPE_CHECKING

import heirloom.tools.first as first
from heirloom.tools import second
from heirloom.tools.third import work

if TYPE_CHECKING:
    from heirloom.tools.types_only import Thing


def run(*, rate: float = 0.1) -> "Thing":
    """Train."""
    from heirloom.tools import lazy

    try:
        return lazy.work(rate)
    except ValueError:
        from heirloom.tools.on_error import explain

        raise
''',
    "heirloom/stages/other.py": "OTHER = 1\n",
    "heirloom/runtime/__init__.py": "",
    "heirloom/runtime/script.py": "def run_stage(): ...\n",
    "heirloom/tools/__init__.py": "from . import from_init\n",
    "heirloom/tools/first.py": "FIRST = 1\n",
    "heirloom/tools/second.py": "from ..deep.below import deeper\n",
    "heirloom/tools/third.py": "def work(): ...\n",
    "heirloom/tools/lazy.py": "import heirloom.stages.train  # a circle\n",
    "heirloom/tools/on_error.py": "EXPLAIN = 1\n",
    "heirloom/tools/from_init.py": "INIT = 1\n",
    "heirloom/tools/types_only.py": "THING = 1\n",
    "heirloom/tools/unused.py": "UNUSED = 1\n",
    "heirloom/deep/__init__.py": "",
    "heirloom/deep/below.py": "def deeper(): ...\n",
    "heirloom/methods/__init__.py": 'METHODS = {"a": "heirloom.methods.a:plan", "b": "heirloom.methods.b:plan"}\n',
    "heirloom/methods/a.py": "from heirloom.methods.shared import helper\ndef plan(): ...\n",
    "heirloom/methods/b.py": "def plan(): ...\n",
    "heirloom/methods/shared.py": "def helper(): ...\n",
}
USED = sorted(FILES.keys() - {
    "heirloom/stages/other.py", "heirloom/tools/types_only.py", "heirloom/tools/unused.py", "heirloom/methods/b.py"
})  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(folder: Path) -> str:
    """Digest as a new process would: files are read once per process."""
    from heirloom.runtime import digest as module

    for cached in (module.code_digest, module._file_of, module._source):
        cached.cache_clear()
    return module.code_digest("train", "heirloom.methods.a:plan", folder=folder)


@pytest.mark.parametrize("name", USED)
def test_a_line_in_a_used_file_changes_the_digest(folder: Path, name: str) -> None:
    before = digest(folder)
    with (folder / name).open("a") as file:
        file.write("\nADDED = 1\n")
    assert digest(folder) != before
    (folder / name).write_text(FILES[name])
    assert digest(folder) == before


@pytest.mark.parametrize("name", sorted(FILES.keys() - set(USED)))
def test_a_line_in_an_unused_file_changes_nothing(folder: Path, name: str) -> None:
    before = digest(folder)
    with (folder / name).open("a") as file:
        file.write("\nADDED = 1\n")
    assert digest(folder) == before


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_no_output_depends_on_does_not_count(folder: Path, name: str) -> None:
    file = folder / f"{name.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("import heirloom.tools.unused\n")
    script = folder / "heirloom/runtime/script.py"
    script.write_text(f"import {name}\n")
    before = digest(folder)
    file.write_text("CHANGED = 1\n")
    assert digest(folder) == before


STAGE = FILES["heirloom/stages/train.py"]


@pytest.mark.parametrize(
    "text",
    [
        STAGE.replace('"""A stage."""', '"""Another text."""'),
        STAGE.replace('    """Train."""\n', ""),
        STAGE.replace("import heirloom.tools.first as first", "# why\nimport heirloom.tools.first as first  # first"),
        STAGE.replace("rate: float = 0.1", "rate:   float=0.1 ,").replace("\n\n\n", "\n\n\n\n\n"),
        STAGE.replace(
            "from heirloom.tools.types_only import Thing", "from heirloom.tools.types_only import Thing as T"
        ),
    ],
    ids=["module docstring", "function docstring", "comments", "layout", "types"],
)
def test_notes_and_layout_change_nothing(folder: Path, text: str) -> None:
    before = digest(folder)
    assert text != STAGE
    (folder / "heirloom/stages/train.py").write_text(text)
    assert digest(folder) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.1", "0.2"), ("rate: float", "rate: int"), ("ValueError", "TypeError"), ("return lazy.work(rate)", '"""x"""')],
)
def test_meaning_changes_the_digest(folder: Path, old: str, new: str) -> None:
    before = digest(folder)
    (folder / "heirloom/stages/train.py").write_text(STAGE.replace(old, new))
    assert digest(folder) != before


def test_times_and_places_change_nothing(folder: Path, tmp_path: Path) -> None:
    before = digest(folder)
    for path in folder.rglob("*.py"):
        os.utime(path, (1, 1))
    assert digest(folder) == before
    moved = folder.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    assert digest(moved) == before


def test_the_modules_in_use_count_whatever_their_order_or_function(folder: Path) -> None:
    a, b = "heirloom.methods.a:plan", "heirloom.methods.b:plan"
    both = code_digest("train", a, b, folder=folder)
    assert both == code_digest("train", b, a, folder=folder)
    assert both == code_digest("train", a, b, "heirloom.methods.b", "heirloom.tools.first", folder=folder)
    others = [code_digest("train", *modules, folder=folder) for modules in ((), (a,), (b,))]
    assert len({both, *others}) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in others)


def test_moving_code_between_files_changes_the_digest(folder: Path) -> None:
    before = digest(folder)
    first, third = folder / "heirloom/tools/first.py", folder / "heirloom/tools/third.py"
    first.write_text(FILES["heirloom/tools/third.py"])
    third.write_text(FILES["heirloom/tools/first.py"])
    assert digest(folder) != before


@pytest.mark.parametrize("arguments", [("nothing",), ("train", "heirloom.methods.c:plan"), ("train", "os.path")])
def test_what_does_not_exist_is_refused(folder: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=arguments[-1].partition(":")[0]):
        code_digest(*arguments, folder=folder)


def test_nothing_is_imported() -> None:
    stages = sorted(path.stem for path in SCRIPTS.glob("heirloom/stages/[a-z]*.py") if (SCRIPTS / path.name).exists())
    assert stages
    code = (
        "import sys\nfrom heirloom.runtime.digest import code_digest\n"
        f"for stage in {stages}: code_digest(stage)\n"
        "print({'torch', 'numpy', 'pydantic', 'heirloom.stages'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def forget() -> None:
    """Begin as a new process does."""
    for cached in (digests.code_digest, digests._source, digests._known):
        cached.cache_clear()


@pytest.mark.parametrize("kept", [None, "", "[]", '{"a": 1', "1"], ids=["whole", "empty", "list", "cut", "number"])
def test_what_was_parsed_once_is_remembered_and_a_damaged_memory_is_parsed_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    digests.MEMORY.parent.mkdir(exist_ok=True)
    forget()
    first = digest(folder)
    digests._keep(digests._known(), before=0)
    if kept is not None:
        digests.MEMORY.write_text(kept)
    parsed: list[str] = []
    usual = digests.ast.parse
    monkeypatch.setattr(digests.ast, "parse", lambda *given, **more: parsed.append("x") or usual(*given, **more))
    forget()
    assert digest(folder) == first
    assert bool(parsed) == (kept is not None)
    forget()


KINDS = (METHODS, SCORES, OBJECTIVES)


def all_digests(folder: Path) -> list[str]:
    """Digests of every stage alone, and with every component of KINDS, as a new process would find them."""
    from heirloom.runtime import digest as module

    for cached in (module.code_digest, module._file_of, module._source):
        cached.cache_clear()
    stages = sorted(path.stem for path in folder.glob("heirloom/stages/[a-z]*.py"))
    parts = [(), *((kind.module(name),) for kind in KINDS for name in kind.names())]
    return [module.code_digest(stage, *part, folder=folder) for stage in stages for part in parts]


def test_adding_a_component_changes_no_code_of_others(tmp_path: Path) -> None:
    copied = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, copied, ignore=shutil.ignore_patterns("__pycache__"))
    before = all_digests(copied)
    bases = ("models", "TransferSettings"), ("models", "ScoreSettings"), ("robust_training", "AttackedObjective")
    for kind, (module, base) in zip(KINDS, bases, strict=True):
        (copied / kind.package.replace(".", "/") / "one_more.py").write_text(
            f"from typing import Literal\nfrom heirloom.config.{module} import {base}\n"
            f"class OneMore({base}):\n    kind: Literal['one-more']\n"
        )
    assert all_digests(copied) == before
    # and it is one that a study may name
    code = (
        "import heirloom.config.study\nfrom heirloom.config.kinds import METHODS, OBJECTIVES, SCORES\n"
        "print(sum('one-more' in kind.names() for kind in (METHODS, OBJECTIVES, SCORES)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert int(found) == len(KINDS)


def test_a_further_body_changes_no_stage(tmp_path: Path) -> None:
    package = shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    stages = sorted(path.stem for path in package.glob("*.py"))
    bodies = [BODIES.member(name).builder for name in BODIES.names()]
    before = {stage: code_digest(stage, *bodies, folder=package) for stage in stages}
    (package / "heirloom/models/bodies/another.py").write_text("MEMBERS = {}\n")
    for cached in (code_digest, _file_of, _source):
        cached.cache_clear()
    assert {stage: code_digest(stage, *bodies, folder=package) for stage in stages} == before
