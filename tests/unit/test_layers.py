"""The layers of the library, as pyproject.toml states them, and the names of its modules and classes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PROJECT = Path(__file__).resolve().parents[2]
CLASS = re.compile(r"^class ([A-Za-z]\w*)", re.MULTILINE)
STATED = '"models",\n    "data",'


@pytest.mark.parametrize("turned", [False, True])
def test_each_layer_imports_those_below_it_alone(tmp_path: Path, monkeypatch, turned: bool) -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    assert STATED in text
    stated = tmp_path / "pyproject.toml"
    stated.write_text(text.replace(STATED, '"data",\n    "models",') if turned else text)
    monkeypatch.chdir(PROJECT)
    assert bool(lint_imports(config_filename=str(stated), no_cache=True)) == turned


LIBRARY = PROJECT / "workflow_scripts/heirloom"
# names of methods and things, not of what is done to something
NOUNS = {"adversarial_training", "averaging", "ending", "fine_tuning", "listing", "pruning", "published", "re_training"}
NOUNS |= {"resampling", "robust_training", "speed", "wording"}
BY_CONVENTION = {"Inputs", "Outputs"}  # of every stage
BY_THEIR_AUTHORS = {"BasicBlock"}  # networks keep the names that papers and weight files know


def test_no_module_is_called_by_a_participle_or_like_another_but_for_an_s() -> None:
    names = {path.stem for path in LIBRARY.rglob("*.py") if path.parent.name != "stages" and path.stem[0] != "_"}
    assert {name for name in names if name.endswith(("ed", "ing"))} == NOUNS
    assert not {name for name in names if f"{name}s" in names}


def test_each_class_has_a_name_of_its_own() -> None:
    found = Counter(name for path in LIBRARY.rglob("*.py") for name in CLASS.findall(path.read_text()))
    assert {name for name, count in found.items() if count > 1} == BY_CONVENTION | BY_THEIR_AUTHORS
