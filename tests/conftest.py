from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warm import warm_python


@pytest.fixture(scope="session")
def warm_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that is called like `python` and has imported the libraries already."""
    with warm_python(tmp_path_factory.mktemp("warm")) as program:
        yield program


@pytest.fixture
def quick_reader(warm_program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the children that read foreign weights start warm; what ends such a child is tested with real ones."""
    monkeypatch.setattr("heirloom.models.torch_files.PYTHON", (str(warm_program),))
