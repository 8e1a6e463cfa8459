"""Robust models in a study: which are trained, ranked, repaired and judged, and what is refused, with which words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from heirloom.config import repairs, robust_models
from heirloom.config.grid import Grid
from heirloom.config.kinds import CORRUPTIONS
from heirloom.config.load import load_study, read_yaml
from heirloom.config.records import Evaluation, Repaired, Robust
from heirloom.models.body import build_body
from heirloom.plan.estimate import estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.tables import evaluated
from heirloom.plan.takes import Arrival
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
MODEL = "digits-narrow"
FIRST, SECOND = Robust(MODEL, 1), Robust(MODEL, 2)


@pytest.fixture
def content():
    """A study of one small robust model, two seeds and two repairs, of which one ranks modules."""
    recipe = {"iterations": 5, "learning_rate": 0.1}
    return {
        "name": "repaired",
        "title": "repaired",
        "seeds": [1, 2],
        "repairs": {
            "ranked": {"modules": {"kind": "criticality"}, "training": recipe},
            "head": {"modules": {"kind": "head"}, "training": recipe},
        },
        "repair_experiments": {
            "first": {
                "question": "?",
                "models": [MODEL],
                "repairs": ["ranked", "head"],
                "attacks": ["pgd"],
                "corruptions": ["digits-corrupted"],
            }
        },
    }


def grid_of(content):
    return Grid(*load_study(content, project=PROJECT, where="study"), "study")


def refusal(content):
    with pytest.raises(ConfigError) as caught:
        grid_of(content)
    return str(caught.value)


def test_each_seed_is_trained_ranked_repaired_and_judged_before_and_after(content):
    grid = grid_of(content)
    assert robust_models.weights(grid) == repairs.ranked(grid) == [FIRST, SECOND]
    assert repairs.judged(grid) == [
        Repaired(start, repair, start.seed) for start in (FIRST, SECOND) for repair in ("head", "ranked", "unrepaired")
    ]
    assert Counter(job.rule for job in plan_of(grid).of()) == {
        "render_dataset": 1,
        "prepare_dataset": 1,
        "corrupt_dataset": 1,
        "train_robust": 2,
        "measure_criticality": 2,
        "finetune_module": 4,
        "interpolate_module": 4,
        "evaluate_robust": 6,
    }


def test_nothing_is_ranked_unless_a_repair_or_an_experiment_asks(content):
    content["repair_experiments"]["first"]["repairs"] = ["head"]
    assert repairs.ranked(grid_of(content)) == []
    content["repair_experiments"]["first"]["criticality"] = True
    assert repairs.ranked(grid_of(content)) == [FIRST, SECOND]


def test_the_tables_find_robust_models_where_teachers_stand(content):
    grid = grid_of(content)
    found = evaluated(grid, plan_of(grid).of)
    (description,) = found.descriptions
    assert (description["teacher"], description["injection"], description["dataset"]) == (MODEL, "none", "digits")
    scope = description["experiments"]["first"]
    assert scope["methods"] == ["head", "ranked", "unrepaired"]
    assert scope["baseline"] == "unrepaired"
    assert scope["measures"] == ["corruption_accuracy", "criticality"]
    assert description["attacks"]["pgd"]["kind"] == "white-box"
    assert len(found.predictions) == 6
    assert len(found.measures) == 6 + 2
    assert set(found.files) == set(found.measure_files) == {0}


def test_students_and_robust_models_of_one_study_keep_their_places(content):
    content |= {
        "preparations": {"rooms": "small"},
        "methods": {"plain": {"kind": "fine-tuning", "training": {"iterations": 5, "learning_rate": 0.1}}},
        "experiments": {
            "students": {
                "question": "?",
                "teachers": ["narrow-objects"],
                "injections": ["none"],
                "datasets": ["rooms"],
                "methods": ["plain"],
            }
        },
    }
    grid = grid_of(content)
    found = evaluated(grid, plan_of(grid).of)
    assert [each["teacher"] for each in found.descriptions] == ["narrow-objects", MODEL]
    assert dict(zip(found.predictions, found.files, strict=True)) == {
        path: 0 if "/evaluations/" in path else 1 for path in found.predictions
    }
    assert list(grid.questions) == ["first", "students"]
    assert repairs.evaluations(grid) == [Evaluation(MODEL, "none", "digits")]


def test_the_estimate_counts_every_robust_job_and_a_longer_ascent_costs_more(content):
    def estimated():
        grid = grid_of(content)
        found = estimate(plan_of(grid), arrival=lambda *_: Arrival(disk=0, download=0))
        by_rule = {}
        for job, takes in found.todo:
            by_rule[job.rule] = by_rule.get(job.rule, 0) + sum(load.macs for load in takes.loads)
        return found, by_rule

    found, cost = estimated()
    grid = grid_of(content)
    outputs = {job.output for job, _ in found.todo}
    assert {f"{each.robustness_folder('repaired')}/predictions.parquet" for each in repairs.judged(grid)} <= outputs
    assert cost["measure_criticality"] > 0
    content["criticality"] = {"epochs": 20}
    _, longer = estimated()
    assert 1.5 < longer["measure_criticality"] / cost["measure_criticality"] < 2
    assert longer["train_robust"] == cost["train_robust"]


def test_the_digest_follows_what_the_study_uses(content):
    digests = [grid_of(content).digest]
    content["repairs"]["unused"] = content["repairs"]["head"]
    content["repairs"]["head"] = content["repairs"]["head"] | {"tolerance": 0.01}
    digests.append(grid_of(content).digest)
    assert len(set(digests)) == 2


def test_histories_of_robust_trainings_are_drawn(content):
    (drawn,) = plan_of(grid_of(content)).of("draw_figures")
    found = dict(zip(drawn.inputs["histories"], drawn.settings["trainings"], strict=True))
    assert [keys["seed"] for path, keys in found.items() if "/robust/" in path] == [1, 2]


def test_the_published_module_reaches_the_job_by_name(content):
    content["repairs"]["head"]["modules"] = {"kind": "published"}
    recipe = repairs.finetuning(grid_of(content), MODEL, "head")
    assert recipe["modules"] == {"kind": "named", "names": ["layer2.1.conv2"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": ["digits-narow"]}, 'unknown robust model "digits-narow"'),
        ({"repairs": ["ranke"]}, 'unknown repair "ranke"'),
        ({"attacks": ["feature-pixel"]}, "attacks a teacher's features"),
        ({"attacks": ["pgdd"]}, 'unknown attack "pgdd"'),
        ({"corruptions": ["cifar10-computed"]}, "which no model of the experiment knows"),
        ({"corruptions": ["digits"]}, 'unknown corruption suite "digits"'),
        ({"baseline": "rift"}, '"rift" is no repair of this experiment'),
    ],
)
def test_names_that_do_not_fit_are_refused(content, change, words):
    content["repair_experiments"]["first"] |= change
    assert words in refusal(content)


def test_a_study_without_any_experiment_is_refused(content):
    del content["repair_experiments"]
    assert "needs an experiment" in refusal(content)


def test_one_name_for_two_experiments_is_refused(content):
    content["experiments"] = {"first": {"question": "?", "teachers": [], "injections": [], "datasets": []}}
    assert "first" in refusal(content)


def test_a_repair_named_as_no_repair_is_refused(content):
    content["repairs"]["unrepaired"] = content["repairs"]["head"]
    assert '"unrepaired" has a meaning of its own' in refusal(content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alphas": [0.0, 0.5]}, "alphas must rise from 0 to 1"),
        ({"modules": {"kind": "criticality", "of_each_stage": True, "top": 2}}, "leave top out"),
        ({"training": {"iterations": 5, "learning_rate": 0.1, "milestones": [0.9, 0.5]}}, "milestones must rise"),
        (
            {"training": {"iterations": 5, "learning_rate": 0.1, "milestones": [0.5], "schedule": "cosine"}},
            "milestones are for the schedule steps",
        ),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(content, change, words):
    content["repairs"]["head"] |= change
    assert words in refusal(content)


def test_a_corruption_that_nobody_knows_is_refused(tmp_path, content):
    entry = "bad: {title: b, dataset: digits, preparation: small, source: {kind: computed}, kinds: [rain]}\n"
    (tmp_path / "corruptions.yaml").write_text(entry)
    content["catalogues"] = ["config", str(tmp_path)]
    assert f"there is no corruption rain: one of {', '.join(CORRUPTIONS.names())}" in refusal(content)


# -- the full study ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rift():
    file = PROJECT / "config/studies/rift.yaml"
    return Grid(*load_study(read_yaml(file), project=PROJECT, where=str(file)), str(file))


def test_the_papers_step_and_its_scripts_are_two_attacks(rift):
    steps = {name: rift.attack(name).step for name in ("pgd-10", "pgd-10-worst-of-3", "pgd-10-published-step")}
    assert steps == {"pgd-10": 2 / 255, "pgd-10-worst-of-3": 2 / 255, "pgd-10-published-step": 2 / 225}


def test_rift_is_judged_by_autoattack_and_at_every_severity(rift):
    for name in ("table-1", "table-2"):
        asked = rift.study.repair_experiments[name]
        assert "autoattack" in {rift.attack(attack).kind for attack in asked.attacks}
    assert {name: suite.severities for name, suite in repairs.suites(rift).items()} == {
        "cifar10-c": (1, 2, 3, 4, 5),
        "cifar100-c": (1, 2, 3, 4, 5),
        "tiny-imagenet-c": (1,),
    }


def test_rift_has_three_data_sets_three_bodies_and_the_other_objectives(rift):
    models = robust_models.models(rift)
    trained = {(entry.dataset, entry.body.name) for entry in models.values()}
    assert len(trained) == 9
    assert {entry.source.objective.kind for entry in models.values()} == {
        *("adversarial-training", "trades", "mart", "awp", "score")
    }
    assert len(robust_models.weights(rift)) == len(models) * 3 == 17 * 3


def test_every_published_module_exists_in_its_body(rift):
    for name, entry in robust_models.models(rift).items():
        with torch.device("meta"):
            body = build_body(entry.body, classes=10)
        assert isinstance(body.get_submodule(entry.published_module), torch.nn.Conv2d), name
