"""Attention in a study: which evaluations are mapped and shown, and what is refused, with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from heirloom.config import attention
from heirloom.config.attacks import AttackControl, OnTeacher
from heirloom.config.figures import figure_names
from heirloom.config.grid import Grid
from heirloom.config.load import load_study
from heirloom.config.records import Evaluation
from heirloom.plan.estimate import estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.takes import Arrival
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
INFECTED = Evaluation("narrow-objects", "signs-backdoor", "signs")
CONTROL = Evaluation("narrow-objects", "signs-clean", "signs")
CLEAN = Evaluation("narrow-objects", "none", "rooms")


def study(**asked):
    """Quickstart with attention in some experiments alone, by name with underscores."""
    content = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    for experiment in content["experiments"].values():
        experiment.pop("attention", None)
    for name, entry in asked.items():
        content["experiments"][name.replace("_", "-")]["attention"] = entry
    return content


def grid_of(content):
    return Grid(*load_study(content, project=PROJECT, where="study.yaml"), "study.yaml")


def refusal(**asked):
    with pytest.raises(ConfigError) as caught:
        grid_of(study(**asked))
    return str(caught.value)


def measured(grid):
    """Files of measures of students' models that the tables are made of."""
    files = plan_of(grid).of("collect_measurements")[0].inputs["measures"]
    return [file for file in files if "/attention/" in file]


def test_a_study_that_does_not_ask_maps_nothing():
    grid = grid_of(study())
    assert attention.mapped(grid) == []
    assert measured(grid) == []
    assert not [name for name in figure_names(grid) if "attention" in name]


def test_infected_models_and_their_controls_are_mapped_and_only_the_infected_are_shown():
    grid = grid_of(study(same_data_set={"stage": 2}))
    assert attention.mapped(grid) == [INFECTED, CONTROL]
    assert measured(grid) == [
        f"results/quickstart/attention/narrow-objects/{each.injection}/signs/measures.parquet"
        for each in (INFECTED, CONTROL)
    ]
    assert attention.drawn(grid, "same-data-set") == [INFECTED]
    assert attention.sheets(grid, CONTROL) == {}
    sheet = attention.sheets(grid, INFECTED)["same-data-set"]
    assert (sheet["attacks"], sheet["targets"], sheet["seed"]) == (["pinwheel"], [0], 1)
    assert sheet["methods"] == ["fine-tuning", "magnitude-pruning", "divmag", "re-training"]
    assert "attention_same-data-set" in figure_names(grid)


def test_students_and_attacks_of_other_experiments_are_not_mapped():
    grid = grid_of(study(attack_on_students={"stage": 2}))
    assert {student.method for student in attention.students(grid, CLEAN)} == {"fine-tuning", "renofeation"}
    assert attention.attacks(grid, CLEAN, OnTeacher) == []
    grid = grid_of(study(attack_on_features={"stage": 2}))
    assert attention.attacks(grid, CLEAN, OnTeacher) == ["feature-pixel"]
    assert attention.attacks(grid, CLEAN, AttackControl) == ["noise-pixel"]
    assert attention.sheets(grid, CLEAN)["attack-on-features"]["attacks"] == ["feature-pixel"]  # its noise is not shown


def test_wrong_labels_have_no_trigger_to_look_at():
    grid = grid_of(study(wrong_labels={"stage": 2}))
    evaluation = Evaluation("narrow-objects", "signs-poison", "signs")
    assert attention.triggers(grid, evaluation) == []
    assert attention.sheets(grid, evaluation)["wrong-labels"]["attacks"] == []


def test_too_coarse_a_stage_is_refused_with_the_one_that_is_fine_enough():
    message = refusal(same_data_set={})
    assert "stage 3 of narrow-objects sees signs as 4 x 4 positions: maps need 7 x 7" in message
    assert "stage: 2, which has 8 at 32 pixels" in message
    assert "experiments.same-data-set.attention.stage" in message


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"stage": 4}, "resnet8-small has 3 stages"),
        ({"stage": 2, "methods": ["delta"]}, '"delta" is no method of this experiment'),
        ({"stage": 2, "defences": ["delta"]}, '"delta" is no method in the figure'),
        ({"stage": 2, "methods": ["fine-tuning"], "defences": ["re-training"]}, '"re-training" is no method in'),
        ({"stage": 2, "student": 5}, '"5" is no seed of the study'),
        ({"stage": 2, "maps": ["activation", "activation"]}, "named twice"),
        ({"stage": 2, "maps": []}, "maps"),
        ({"stage": 2, "shwon": 1}, 'did you mean "shown"'),
    ],
)
def test_what_cannot_be_shown_is_refused(asked, words):
    assert words in refusal(same_data_set=asked)


def test_experiments_that_share_students_must_measure_alike():
    message = refusal(attack_on_features={"stage": 2, "images": 50}, attack_on_students={"stage": 2})
    assert '"attack-on-features" and "attack-on-students" share students' in message
    assert "differ in images" in message
    grid_of(study(attack_on_features={"stage": 2, "shown": 1}, attack_on_students={"stage": 2, "shown": 3}))


def test_regions_name_their_trigger_only_where_a_study_maps_several():
    assert not attention.recipe(grid_of(study(same_data_set={"stage": 2})), INFECTED)["named"]
    path = PROJECT / "config/studies/backdoor.yaml"
    content = yaml.safe_load(path.read_text())
    content["experiments"]["placement"] |= {"datasets": ["gtsrb"], "attention": {}}
    grid = Grid(*load_study(content, project=PROJECT, where="x"), "x")
    control = Evaluation("resnet18-imagenet", "gtsrb-clean-u5", "gtsrb")
    assert attention.recipe(grid, control)["named"]
    assert attention.triggers(grid, control) == ["pinwheel", "pinwheel-anywhere", "pinwheel-corners"]


def test_maps_are_counted_in_the_estimate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grids = [grid_of(study()), grid_of(study(same_data_set={"stage": 2, "images": 100}))]
    before, after = (estimate(plan_of(grid), arrival=lambda *_: Arrival(0, 0)) for grid in grids)
    assert {rule: after.jobs[rule] for rule in ("map_attention", "draw_attention")} == {
        "map_attention": 2,
        "draw_attention": 1,
    }
    assert sum(after.jobs.values()) == sum(before.jobs.values()) + 3
    takes = next(takes for job, takes in after.todo if job.rule == "map_attention")
    assert takes.loads[0].passes == 100 * 2 * 5  # images, clean and triggered, four students and their teacher


def test_students_of_the_injection_s_own_data_set_alone_are_drawn():
    content = study(same_data_set={"stage": 2})
    content["experiments"]["same-data-set"]["same_data_set"] = True
    grid = grid_of(content)
    assert attention.drawn(grid, "same-data-set") == [INFECTED]
    assert attention.mapped(grid) == [INFECTED, CONTROL]


def test_attention_without_students_is_refused():
    content = study(same_data_set={"stage": 2})
    content["experiments"]["same-data-set"] |= {"methods": [], "injections": ["signs-backdoor"]}
    with pytest.raises(ConfigError, match="chooses its images by what students do"):
        grid_of(content)
