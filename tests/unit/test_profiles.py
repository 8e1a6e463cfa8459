"""Profiles agree with each other and with the rules, and the container recipe with requirements.lock."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_interface_common.exceptions import WorkflowError

from heirloom.config.environment import pins
from heirloom.config.resources import NEEDS

PROJECT = Path(__file__).resolve().parents[2]
PROFILES = {path.parent.name: yaml.safe_load(path.read_text()) for path in PROJECT.glob("profiles/*/profile.yaml")}
REMOTE = ["slurm", "kubernetes"]
RECIPE = (PROJECT / "envs/Containerfile").read_text()
RUNS = [line.removeprefix("RUN ") for line in RECIPE.splitlines() if line.startswith("RUN ")]


def test_there_are_the_three_profiles() -> None:
    assert sorted(PROFILES) == ["default", "kubernetes", "slurm"]


@pytest.mark.parametrize("name", REMOTE)
def test_every_profile_says_what_holds_everywhere(name: str) -> None:
    common = {key: value for key, value in PROFILES["default"].items() if key != "resources"}
    assert common.items() <= PROFILES[name].items()


@pytest.mark.parametrize("name", REMOTE)
def test_a_cluster_limits_no_gpus_and_sends_killed_jobs_again(name: str) -> None:
    assert "resources" not in PROFILES[name]
    assert PROFILES[name]["retries"] >= 1


@pytest.mark.parametrize("name", REMOTE)
def test_groups_hold_small_jobs_of_rules_that_exist(name: str) -> None:
    assert PROFILES[name]["groups"].keys() <= NEEDS.keys()
    assert all(NEEDS[rule].gpu == 0 for rule in PROFILES[name]["groups"])


def test_pods_of_grouped_jobs_ask_for_no_larger_disk_than_nodes_have() -> None:
    """A pod asks for the sum of what its jobs side by side ask for; here all of a group count as side by side."""
    profile = PROFILES["kubernetes"]
    usual, own = profile["default-resources"]["disk_mb"], profile["set-resources"]
    asked: Counter[str] = Counter()
    for rule, group in profile["groups"].items():
        components = profile["group-components"].get(group, 1)
        asked[group] += own.get(rule, {}).get("disk_mb", usual) * components
    assert max(asked.values()) <= 100_000


def documented(resource: str) -> list[str]:
    """Values that docs/cluster.md and the profile show for one of SLURM's resources, as Snakemake evaluates them."""
    shown = (PROJECT / "docs/cluster.md").read_text() + (PROJECT / "profiles/slurm/profile.yaml").read_text()
    return [ast.literal_eval(yaml.safe_load(text)) for text in re.findall(rf"{resource}: (\"[^\"]+\")", shown)]


def test_the_options_of_sbatch_that_are_shown_are_such_as_the_executor_takes() -> None:
    options = documented("slurm_extra")
    assert len(options) == 2
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("the SLURM executor is not installed (make slurm); make test-cluster runs this with it")
    from snakemake_executor_plugin_slurm.validation import validate_slurm_extra

    for option in options:
        validate_slurm_extra(SimpleNamespace(resources=SimpleNamespace(slurm_extra=option)))
    with pytest.raises(WorkflowError, match="quality of service"):
        validate_slurm_extra(SimpleNamespace(resources=SimpleNamespace(slurm_extra="--qos=long")))


def test_rules_name_no_scheduler() -> None:
    for path in [PROJECT / "Snakefile", *(PROJECT / "rules").glob("*.smk")]:
        assert not re.search(r"slurm|kubernetes|partition|account|gpu_model", path.read_text()), path.name


def test_the_partitions_take_every_job_with_and_without_a_gpu() -> None:
    partitions = yaml.safe_load((PROJECT / "profiles/slurm" / PROFILES["slurm"]["slurm-partition-config"]).read_text())
    assert {bool(limits.get("max_gpu")) for limits in partitions["partitions"].values()} == {False, True}
    days = min(int(limits["max_runtime"].removesuffix("d")) for limits in partitions["partitions"].values())
    last = 2 ** PROFILES["slurm"]["retries"]
    assert max(need.runtime for need in NEEDS.values()) * last <= days * 24 * 60


def test_the_container_has_the_python_of_the_conda_environment() -> None:
    base = re.search(r"^FROM \S*/python:(\d+\.\d+)-\S+$", RECIPE, re.MULTILINE)
    conda = yaml.safe_load((PROJECT / "envs/heirloom.yaml").read_text())["dependencies"][0]
    assert base
    assert conda == f"python={base[1]}"


def test_the_container_installs_the_lock_and_nothing_beside_it() -> None:
    tool, lock, own = RUNS
    assert re.findall(r"'(uv[^']+)'", tool) == re.findall(r"'(uv[^']+)'", (PROJECT / "Makefile").read_text())
    assert lock.endswith("--require-hashes requirements.lock")
    assert "--no-deps" in own
    assert own.endswith("--editable .")


def test_what_the_container_copies_exists() -> None:
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", RECIPE, re.MULTILINE) for name in line.split()]
    assert {"requirements.lock", "Snakefile", "rules", "workflow_scripts", "config", "profiles"} <= set(copied)
    assert all((PROJECT / name).exists() for name in copied)


def test_the_slurm_executor_is_pinned_with_hashes_beside_the_lock() -> None:
    lock = PROJECT / "requirements-slurm.lock"
    extra = {pin.partition("==")[0] for pin in pins(lock)}
    assert extra == {"snakemake-executor-plugin-slurm", "snakemake-executor-plugin-slurm-jobstep"}
    assert not extra & {pin.partition("==")[0] for pin in pins(PROJECT / "requirements.lock")}
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z0-9])", lock.read_text()))
    assert not re.search(r"https?://|--index|file:", lock.read_text())
