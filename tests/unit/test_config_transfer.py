"""Methods, attacks and slices of a study: what is refused, with which words, and how a study unfolds into jobs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from heirloom.config.attacks import AttackControl, OnTeacher
from heirloom.config.grid import Grid
from heirloom.config.load import load_study, read_yaml
from heirloom.plan.plan import plan_of
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
RECIPE = {"iterations": 5, "learning_rate": 0.1}


@pytest.fixture
def content():
    """A study of attacks on quickstart's teacher."""
    return {
        "name": "attacked",
        "title": "attacked",
        "seeds": [1, 2],
        "preparations": {"rooms": "small"},
        "methods": {"own": {"kind": "fine-tuning", "training": RECIPE}},
        "experiments": {
            "first": {
                "question": "?",
                "teachers": ["narrow-objects"],
                "injections": ["none"],
                "datasets": ["rooms"],
                "methods": ["own", "remos"],
                "attacks": ["feature-pixel", "pgd"],
                "baseline": "own",
            }
        },
    }


def grid_of(content, catalogues=("config",)):
    return Grid(*load_study(content | {"catalogues": list(catalogues)}, project=PROJECT, where="study"), "study")


def refusal(content, catalogues=("config",)):
    with pytest.raises(ConfigError) as caught:
        grid_of(content, catalogues)
    return str(caught.value)


@pytest.fixture
def catalogue(tmp_path):
    """Return a catalogue folder like the project's with some attacks changed."""

    def changed(**attacks):
        for path in (PROJECT / "config").glob("*.yaml"):
            if path.stem not in {"config", "published"}:
                (tmp_path / path.name).write_text(path.read_text())
        merged = read_yaml(PROJECT / "config/attacks.yaml") | attacks
        (tmp_path / "attacks.yaml").write_text(yaml.safe_dump(merged))
        return [str(tmp_path)]

    return changed


def test_a_study_names_the_catalogue_s_methods_and_its_own_come_first(content):
    grid = grid_of(content)
    assert grid.method("remos", "rooms").training.iterations == 30_000
    content["methods"]["remos"] = {"kind": "re-training", "training": RECIPE}
    assert grid_of(content).method("remos", "rooms").training.iterations == 5


def test_a_data_set_s_own_recipe_is_merged_over_the_method_s():
    study = read_yaml(PROJECT / "config/studies/renofeation.yaml")
    grid = grid_of(study)
    recipes = {name: grid.method("delta", name) for name in study["preparations"]}
    # DELTA's rows in docs/definitions.md#published-transfer-recipes: rate, momentum, decay, lambda
    found = {
        name: (r.training.learning_rate, r.training.momentum, r.training.weight_decay, r.feature_weight)
        for name, r in recipes.items()
    }
    assert found == {
        "flowers102": (5e-3, 0.9, 1e-4, 0.1),
        "mit67": (1e-2, 0, 1e-4, 0.5),
        "stanford40": (5e-3, 0, 0, 1),
        "cub200": (1e-2, 0, 0, 0.1),
        "stanford-dogs": (1e-2, 0, 0, 10),
    }
    assert "per_dataset" not in grid.method_recipe("delta", "mit67")
    assert grid.method("renofeation", "cub200").feature_weight == 1
    assert grid.method("renofeation", "mit67").feature_weight == 5


def test_a_wrong_key_in_a_data_set_s_recipe_is_told(content):
    content["methods"]["own"]["per_dataset"] = {"rooms": {"training": {"learning_rat": 1}}}
    assert "learning_rat" in refusal(content)
    content["methods"]["own"]["per_dataset"] = {"rom": {}}
    assert 'unknown data set "rom"' in refusal(content)


def test_weights_that_would_push_away_are_refused(content):
    for method, setting in (("delta", "feature_weight"), ("l2-sp", "strength"), ("renofeation", "feature_weight")):
        entry = {"kind": method, setting: -1, "training": RECIPE}
        entry |= {"averaging": RECIPE} if method == "renofeation" else {}
        content["methods"]["own"] = entry
        assert f'"methods.own.{setting}" is wrong: Input should be greater than 0' in refusal(content)


def test_l2_sp_and_weight_decay_are_not_had_together(content):
    content["methods"]["own"] = {"kind": "l2-sp", "strength": 1, "training": RECIPE | {"weight_decay": 0.1}}
    assert "l2-sp replaces weight decay" in refusal(content)


def test_students_of_candidates_are_trained_and_the_chosen_one_alone_is_judged(content):
    content["experiments"]["first"]["methods"] = ["own", "linear-probe"]
    grid = grid_of(content)
    trained = Counter(student.method for student in grid.students)
    assert trained == {"own": 2, "linear-probe-slow": 2, "linear-probe-middle": 2, "linear-probe-fast": 2}
    assert {student.method for student in grid.students_of(grid.evaluations[0])} == {"own", "linear-probe"}
    plan = plan_of(grid)
    assert (len(plan.of("train_student")), len(plan.of("select_student"))) == (8, 2)
    assert len(plan.of("draw_figures")[0].inputs["histories"]) == 8


def test_a_selection_of_selections_is_refused(content):
    content["methods"]["own"] = {"kind": "selection", "candidates": ["linear-probe", "remos"]}
    assert 'unknown candidate "linear-probe"' in refusal(content)


def test_settings_that_nothing_would_use_are_refused(content):
    content["methods"]["own"] = {"kind": "linear-probe", "stage_dropout": 0.1, "training": RECIPE}
    assert "stage_dropout must be 0" in refusal(content)
    content["methods"]["own"] = {"kind": "selection", "candidates": ["delta", "delta"]}
    assert "a candidate is named twice" in refusal(content)


def test_candidates_of_one_recipe_under_two_names_are_refused(content):
    content["methods"]["again"] = content["methods"]["own"]
    content["methods"]["best"] = {"kind": "selection", "candidates": ["own", "again"]}
    content["experiments"]["first"]["methods"] = ["own", "best"]
    assert 'the candidates "own" and "again" are the same recipe on "rooms"' in refusal(content)
    content["methods"]["again"] = {"kind": "fine-tuning", "training": RECIPE | {"learning_rate": 0.2}}
    grid_of(content)
    nested = {"rooms": {"per_dataset": {}}}
    content["methods"]["own"] = {"kind": "fine-tuning", "training": RECIPE, "per_dataset": nested}
    assert "has a per_dataset of its own" in refusal(content)
    other = RECIPE | {"threads": 1}
    content["methods"]["own"] = {"kind": "renofeation", "feature_weight": 1, "training": RECIPE, "averaging": other}
    assert "averaging.threads is not training.threads" in refusal(content)


def test_an_attack_without_a_control_is_refused(content, catalogue):
    attack = read_yaml(PROJECT / "config/attacks.yaml")["feature-pixel"]
    del attack["control"]
    assert 'the attack "feature-pixel" has no control' in refusal(content, catalogue(**{"feature-pixel": attack}))


def test_a_wrong_key_is_answered_with_those_of_its_own_method(content):
    # the study's name for it is another method's
    content["methods"]["renofeation"] = {"kind": "delta", "feature_weight": 1, "training": RECIPE, "average_every": 5}
    message = refusal(content)
    assert 'unknown key "methods.renofeation.average_every"' in message
    assert "use one of: feature_weight, kind, per_dataset, stage_dropout, training" in message
    content["methods"]["renofeation"]["kind"] = "renofeation"
    assert 'the key "methods.renofeation.averaging" is missing' in refusal(content)


def test_a_baseline_must_be_one_of_the_methods(content):
    content["experiments"]["first"]["baseline"] = "delta"
    assert 'unknown method of this experiment "delta"' in refusal(content)


def test_an_unknown_attack_is_answered_with_the_known_ones(content):
    content["experiments"]["first"]["attacks"] = ["feature-pixl"]
    message = refusal(content)
    assert 'unknown attack "feature-pixl"' in message
    assert 'did you mean "feature-pixel"' in message


def test_an_attack_s_control_is_noise_of_its_size(content, catalogue):
    louder = catalogue(**{"noise-pixel": {"kind": "noise", "epsilon": "7/255"}})
    assert 'the control "noise-pixel" of "feature-pixel" is no noise of the same size' in refusal(content, louder)
    pgd = catalogue(**{"noise-pixel": {"kind": "pgd", "epsilon": "6/255", "step": "1/255"}})
    assert "is no noise of the same size" in refusal(content, pgd)


def test_an_attack_is_not_called_like_a_trigger(content, catalogue):
    assert '"pinwheel" has a meaning of its own' in refusal(
        content, catalogue(pinwheel={"kind": "noise", "epsilon": 0.1})
    )


def test_only_a_pruning_method_has_a_slice_to_know(content, catalogue):
    attacks = read_yaml(PROJECT / "config/attacks.yaml")
    content["experiments"]["first"]["attacks"] = ["feature-slice-aware"]
    knowing = catalogue(**{"feature-slice-aware": attacks["feature-slice-aware"] | {"knows_slice_of": "own"}})
    assert 'unknown pruning method of one slice for all seeds "own"' in refusal(content, knowing)
    knowing = catalogue(**{"feature-slice-aware": attacks["feature-slice-aware"] | {"knows_slice_of": "divmag"}})
    assert "of one slice for all seeds" in refusal(content, knowing)


def test_feature_attacks_bring_their_noise_and_white_box_attacks_their_students(content):
    content["experiments"]["second"] = content["experiments"]["first"] | {
        "methods": ["own"],
        "attacks": ["feature-slice-aware"],
    }
    grid = grid_of(content)
    (evaluation,) = grid.evaluations
    assert list(grid.attacks_of(evaluation, OnTeacher)) == ["feature-pixel", "feature-slice-aware"]
    assert list(grid.attacks_of(evaluation, AttackControl)) == ["noise-pixel"]
    assert [each.attack for each in grid.crafted] == ["feature-pixel", "feature-slice-aware"]
    assert [each.method for each in grid.slices] == ["remos"]
    assert {(student.method, student.seed) for student in grid.attacked_students} == {
        (method, seed) for method in ("own", "remos") for seed in (1, 2)
    }
    described = grid.description_of(evaluation)
    assert described["attacks"]["feature-pixel"]["control"] == "noise-pixel"
    assert described["attacks"]["pgd"]["kind"] == "white-box"
    assert described["experiments"]["second"] == {
        "attack_baseline": None,
        "attacks": ["feature-slice-aware", "noise-pixel"],
        "average": False,
        "baseline": "own",
        "injection_baseline": None,
        "measures": [],
        "methods": ["own"],
    }
    assert len(plan_of(grid).of("collect_measurements")[0].inputs["predictions"]) == 1 + 4


def test_the_digest_follows_the_methods_and_attacks_that_are_used(content, catalogue):
    before = grid_of(content).digest
    unused = {"noise-published": read_yaml(PROJECT / "config/attacks.yaml")["noise-published"] | {"seed": 3}}
    assert grid_of(content, catalogue(**unused)).digest != before  # the catalogues' folder is part of the study
    same = grid_of(content, catalogue()).digest
    assert grid_of(content, catalogue(**unused)).digest == same
    used = {"feature-pixel": read_yaml(PROJECT / "config/attacks.yaml")["feature-pixel"] | {"seed": 3}}
    assert grid_of(content, catalogue(**used)).digest != same
