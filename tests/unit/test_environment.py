"""The lock file and the conda environment say the same, and neither names an index."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from heirloom.config.environment import environment_text, pins

PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "requirements.lock"


def test_the_conda_environment_carries_the_pins_of_the_lock():
    shipped = (PROJECT / "envs/heirloom.yaml").read_text()
    assert shipped == environment_text(LOCK), "run `make envs`"
    assert yaml.safe_load(shipped)["dependencies"][-1]["pip"] == [pin.replace("'", '"') for pin in pins(LOCK)]


def test_every_pin_has_hashes_and_none_an_address():
    text = LOCK.read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert len(blocks) == len(pins(LOCK))
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?://|--index|file:", text)


@pytest.mark.parametrize("package", ["torch", "torchvision", "snakemake", "pyarrow", "numpy", "pydantic"])
def test_what_runs_is_what_the_lock_says(package):
    found = [pin.partition("==")[2].partition(" ")[0] for pin in pins(LOCK) if pin.startswith(f"{package}==")]
    assert version(package).partition("+")[0] in found
