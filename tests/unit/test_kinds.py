"""Components are found by scanning their kind's package (heirloom.config.kinds)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from heirloom.config import kinds
from heirloom.config.kinds import Kind
from heirloom.runtime.errors import ConfigError

HEADER = "from typing import Literal\nfrom heirloom.config.models import Strict\n"


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kind]:
    """A package of two files, one of them with two components, a folder, and a helper that is none."""
    package = tmp_path / "zoo"
    (package / "owl").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_feathers.py").touch()
    (package / "tree_frog.py").write_text(f"{HEADER}class TreeFrog(Strict):\n    kind: Literal['tree-frog']\n")
    (package / "owl/__init__.py").write_text(f"{HEADER}class Owl(Strict):\n    kind: Literal['owl']\n    ears: int\n")
    (package / "cats.py").write_text("MEMBERS = {'lion': 190, 'lynx': 20}\n")
    monkeypatch.syspath_prepend(tmp_path)
    kinds._members.cache_clear()
    yield Kind("animal", "zoo")
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
        del sys.modules[name]


def test_a_component_is_its_file(kind: Kind) -> None:
    assert kind.names() == ("lion", "lynx", "owl", "tree-frog")
    assert kind.module("tree-frog") == "zoo.tree_frog"
    assert kind.module("lynx") == "zoo.cats"
    assert kind.member("lynx") == 20
    assert kind.load("owl").Owl(kind="owl", ears=2).ears == 2


def test_a_component_that_is_not_there_is_refused_with_near_ones(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="no animal 'tre-frog'") as refused:
        kind.module("tre-frog")
    assert "tree-frog" in refused.value.mend


def test_settings_are_told_apart_by_their_kind(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "zoo/cats.py").unlink()
    found = TypeAdapter(kind.settings()).validate_python({"kind": "owl", "ears": 1})
    assert type(found).__name__ == "Owl"


def test_a_component_without_settings_is_a_mistake_of_its_author(kind: Kind) -> None:
    with pytest.raises(TypeError, match=r"zoo\.cats"):
        kind.settings()
