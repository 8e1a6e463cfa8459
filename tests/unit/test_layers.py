"""The layers of the library, as pyproject.toml states them: each imports those below it, and nothing in circles."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PROJECT = Path(__file__).resolve().parents[2]
STATED = '"models",\n    "data",'


@pytest.mark.parametrize("turned", [False, True])
def test_each_layer_imports_those_below_it_alone(tmp_path: Path, monkeypatch, turned: bool) -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    assert STATED in text
    stated = tmp_path / "pyproject.toml"
    stated.write_text(text.replace(STATED, '"data",\n    "models",') if turned else text)
    monkeypatch.chdir(PROJECT)
    assert bool(lint_imports(config_filename=str(stated), no_cache=True)) == turned
