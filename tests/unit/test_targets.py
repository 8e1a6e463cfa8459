"""What each experiment's target makes: together all that the tables are made of, alone no more than it asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from heirloom.config.grid import Grid
from heirloom.config.load import read_yaml
from heirloom.config.workflow import open_grid
from heirloom.plan.plan import plan_of

PROJECT = Path(__file__).resolve().parents[2]
STUDIES = ["backdoor", "renofeation", "attention", "rift", "fpd"]


def grid_of(study: str) -> Grid:
    file = PROJECT / f"config/studies/{study}.yaml"
    return open_grid(read_yaml(file), config_files=[file], project=PROJECT)


def experiment_files(grid: Grid) -> dict[str, list[str]]:
    plan = plan_of(grid)
    return {name: plan.targets(name) for name in grid.questions}


def folders(files: Iterable[str]) -> set[str]:
    return {str(Path(file).parent) for file in files}


@pytest.mark.parametrize("study", STUDIES)
def test_the_targets_together_make_every_prediction_and_measure_of_the_study(study):
    grid = grid_of(study)
    found, (tables,) = experiment_files(grid), plan_of(grid).of("collect_measurements")
    named = {path for files in found.values() for path in files}
    assert named >= set(tables.inputs["predictions"])
    # measures that a job writes beside its predictions need no name of their own; all other jobs are named
    assert folders(named) == folders(tables.files)


def test_an_experiment_s_target_attacks_the_students_of_its_own_methods_alone():
    grid = grid_of("renofeation")
    found = experiment_files(grid)
    attacked = [path for path in found["white-box"] if "/white_box/" in path]
    assert {path.split("/")[6] for path in attacked} == {"fine-tuning", "re-training", "renofeation"}
    assert len(attacked) == 3 * 5 * 5  # methods, data sets, seeds
    assert not [path for path in found["clip"] if "/white_box/" in path]


def test_an_experiment_s_target_repairs_by_its_own_repairs_alone():
    found = experiment_files(grid_of("rift"))
    assert {path.split("/")[4] for path in found["statistics"]} == {"unrepaired", "rift-published", "rift-moving"}
    assert {path.split("/")[3] for path in found["table-4"]} == {"cifar10-resnet18-at"}


def test_criticality_belongs_to_the_experiments_that_ask_for_it_and_to_those_whose_repairs_rank_by_it():
    file = PROJECT / "config/studies/rift.yaml"
    study = read_yaml(file)
    entries = study["repair_experiments"]
    entries["statistics"]["criticality"] = True  # its repairs rank nothing
    entries["judged"] = entries["table-4"] | {"repairs": ["rift-head"]}
    found = experiment_files(open_grid(study, config_files=[file], project=PROJECT))

    def measured(name: str) -> set[str]:
        return {path.split("/")[3] for path in found[name] if "/criticality/" in path}

    assert measured("statistics") == set(entries["statistics"]["models"])
    assert measured("table-4") == {"cifar10-resnet18-at"}
    assert measured("judged") == set()


def test_an_experiment_s_target_attacks_its_own_models_by_its_own_suites_alone():
    found = experiment_files(grid_of("fpd"))
    assert {path.split("/")[4] for path in found["svhn-resnet50"]} == {"svhn-plain-resnet50", "svhn-fpd-resnet50"}
    assert {path.split("/")[5] for path in found["svhn-resnet50"]} == {"published-8", "ladder-8", "adaptive-8"}
    substitutes = [path for path in found["svhn-transferred"] if "/black-box/" in path]
    assert {path.split("/")[4] for path in substitutes} == {
        "svhn-resnet101",
        "svhn-resnet101-fgsm",
        "svhn-resnet101-pgd",
    }


def test_attention_and_detections_belong_to_the_experiments_that_ask_for_them():
    found = experiment_files(grid_of("backdoor"))
    assert [path for path in found["defences"] if "/detections/" in path]
    assert not [path for path in found["latent"] if "/detections/" in path]
    mapped = experiment_files(grid_of("attention"))
    assert any("/attention/" in path for files in mapped.values() for path in files)
