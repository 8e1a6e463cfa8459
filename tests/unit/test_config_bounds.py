"""Settings that no machine can follow, and files that are not there, are refused when a study is planned."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from heirloom.config.load import CATALOGUE_FILES, load_catalogue, parse, read_yaml
from heirloom.config.study import Study
from heirloom.config.workflow import open_grid
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
QUICKSTART = PROJECT / "config/config.yaml"
BEYOND = [float("inf"), float("-inf"), float("nan"), 1e30, 2**70, -(2**70)]


def numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], float]]:
    """Yield the place of every number in nested settings, and the number."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        if isinstance(each, int | float) and not isinstance(each, bool):
            yield (*place, key), each
        yield from numbers(each, (*place, key))


def changed(content: Any, place: tuple[Any, ...], value: object) -> Any:
    """Return nested settings with another value at a place."""
    found = copy.deepcopy(content)
    inner = found
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return found


@pytest.mark.parametrize("value", BEYOND, ids=str)
def test_a_number_beyond_any_machine_is_refused_with_its_key(value: float) -> None:
    study = read_yaml(QUICKSTART)
    places = [place for place, _ in numbers(study)]
    assert len(places) > 10
    for place in places:
        with pytest.raises(ConfigError) as refused:
            parse(Study, changed(study, place, value), where="study")
        assert any(str(key) in str(refused.value) for key in place if isinstance(key, str))


@pytest.mark.parametrize("name", CATALOGUE_FILES)
def test_a_number_beyond_any_machine_is_refused_in_a_catalogue(tmp_path: Path, name: str) -> None:
    def accepted(entry: str, content: Any, place: tuple[Any, ...], value: float) -> bool:
        (tmp_path / CATALOGUE_FILES[name]).write_text(yaml.safe_dump({entry: changed(content, place, value)}))
        try:
            load_catalogue([tmp_path])
        except ConfigError:
            return False
        return True

    for entry, content in list(read_yaml(PROJECT / "config" / CATALOGUE_FILES[name]).items())[:6]:
        for place, number in numbers(content):
            assert not accepted(entry, content, place, float("inf"))
            whole = not accepted(entry, content, place, number + 2**-10)
            assert not (whole and "seed" not in str(place[-1]) and accepted(entry, content, place, 10**15))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "a" * 300),
        ("title", "a" * 100_000),
        ("seeds", [-1]),
        ("evaluation_batch", 10**12),
        ("evaluation_threads", 10**6),
    ],
)
def test_what_no_machine_can_do_is_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        parse(Study, read_yaml(QUICKSTART) | {key: value}, where="study")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's settings."""
    return Path(shutil.copytree(PROJECT / "config", tmp_path / "config").parent)


def picture_of(project: Path) -> Path:
    """The picture of a trigger that quickstart plants."""
    grid = open_grid({}, config_files=[], project=project)
    return project / grid.catalogue.triggers[grid.trigger_names[0]].image


def test_a_trigger_without_its_picture_is_refused(project: Path) -> None:
    picture = picture_of(project)
    picture.rename(picture.with_name(f"{picture.stem}s.png"))
    with pytest.raises(ConfigError, match="does not exist") as refused:
        open_grid({}, config_files=[], project=project)
    assert refused.value.where.startswith("triggers.")
    assert f"{picture.stem}s.png" in refused.value.mend


def test_a_study_is_another_one_with_another_picture(project: Path) -> None:
    before = open_grid({}, config_files=[], project=project).digest
    picture = picture_of(project)
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert open_grid({}, config_files=[], project=project).digest != before


def test_a_trigger_s_picture_is_bounded(project: Path) -> None:
    with picture_of(project).open("ab") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ConfigError, match="too large"):
        open_grid({}, config_files=[], project=project)
