"""Attack experiments in a study: which jobs attack what, what the tables are told, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from heirloom.config import attack_experiments, robust_models
from heirloom.config.figures import embedded_figures
from heirloom.config.grid import Grid
from heirloom.config.load import load_study
from heirloom.config.records import Attacked, Evaluation, Robust
from heirloom.plan.estimate import estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.tables import evaluated
from heirloom.plan.takes import Arrival
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
OWN, OTHERS = "white-box", "black-box"


def model(**changes):
    """An entry of the robust catalogue on the handwritten digits."""
    source = {
        "kind": "trained",
        "objective": {"kind": "cross-entropy"},
        "training": {"iterations": 5, "learning_rate": 0.1},
        "judge": None,
    }
    return {
        "title": "t",
        "body": {"name": "elu-resnet18", "options": {"width": 16}},
        "dataset": "digits",
        "preparation": "small",
        "source": source | changes.pop("source", {}),
    } | changes


ENTRIES = {
    "plain": model(),
    "later": model(source={"start": "plain"}),
    "fpd": model(body={"name": "fpd-resnet18"}),
    "signs": model(dataset="signs"),
}
SUITES = {"weak": {"attacks": ["pgd", "pgd-10"]}, "strong": {"attacks": ["pgd-10", "pgd-20"]}}


@pytest.fixture
def content():
    """A study of three models under two suites that share an attack, one of them through a substitute too."""
    return {
        "name": "attacked",
        "title": "attacked",
        "seeds": [1, 2],
        "attack_experiments": {
            "first": {"question": "?", "models": ["later", "fpd"], "suites": ["strong", "weak"], "baseline": "later"},
            "second": {"question": "?", "models": ["fpd", "plain"], "suites": ["weak"], "substitutes": ["plain"]},
        },
    }


@pytest.fixture
def grid_of(tmp_path):
    """Return a function from a study's content, and other entries, to its grid."""

    def found(content, **entries):
        sections = {"robust": ENTRIES, "suites": SUITES}
        for section, known in sections.items():
            (tmp_path / f"{section}.yaml").write_text(yaml.safe_dump(known | entries.get(section, {}), sort_keys=False))
        return Grid(*load_study(content | {"catalogues": ["config", str(tmp_path)]}, project=PROJECT, where="s"), "s")

    return found


def test_every_model_meets_its_suites_and_a_substitute_is_for_the_others(grid_of, content):
    grid = grid_of(content)
    jobs = Counter((each.box, each.model, each.suite) for each in attack_experiments.attacked(grid))
    assert set(jobs.values()) == {2}
    assert set(jobs) == {
        *((OWN, name, suite) for name in ("fpd", "later") for suite in ("strong", "weak")),
        (OWN, "plain", "weak"),
        (OTHERS, "plain", "weak"),
    }
    assert attack_experiments.targets_of(grid, Attacked(OTHERS, "plain", "weak", 1)) == ["fpd"]


def test_an_attack_of_two_suites_is_run_by_the_first_in_the_catalogue_and_clean_images_once(grid_of, content):
    grid = grid_of(content)

    def run(name, suite):
        each = Attacked(OWN, name, suite, 1)
        return list(attack_experiments.attacks_of(grid, each)), attack_experiments.judges_clean(grid, each)

    assert run("fpd", "weak") == (["pgd", "pgd-10"], True)
    assert run("fpd", "strong") == (["pgd-20"], False)
    content["attack_experiments"]["second"]["suites"] = ["weak", "strong"]
    assert run("plain", "weak") == (["pgd", "pgd-10"], True)


def test_a_suite_whose_attacks_all_ran_has_no_job(grid_of, content):
    grid = grid_of(content, suites={"again": {"attacks": ["pgd-20"]}})
    assert not [each for each in attack_experiments.attacked(grid) if each.suite == "again"]
    content["attack_experiments"]["first"]["suites"].append("again")
    grid = grid_of(content, suites={"again": {"attacks": ["pgd-20"]}})
    assert not [each for each in attack_experiments.attacked(grid) if each.suite == "again"]
    assert "pgd-20" in evaluated(grid, plan_of(grid).of).descriptions[0]["experiments"]["first"]["attacks"]


def test_models_that_others_start_from_are_trained_though_nobody_attacks_them(grid_of, content):
    del content["attack_experiments"]["second"]
    grid = grid_of(content)
    assert list(robust_models.models(grid)) == ["fpd", "later", "plain"]
    assert Robust("plain", 2) in robust_models.weights(grid)
    later = plan_of(grid).job("train_robust", "results/shared/robust/later/seed2")
    assert "results/shared/robust/plain/seed2/card.json" in later.files


def test_the_tables_set_all_models_of_a_data_set_side_by_side(grid_of, content):
    grid = grid_of(content)
    found = evaluated(grid, plan_of(grid).of)
    (description,) = found.descriptions
    assert (description["teacher"], description["injection"], description["dataset"]) == ("none", "none", "digits")
    first, second = (description["experiments"][name] for name in ("first", "second"))
    assert first["methods"] == ["fpd", "later"]
    assert (first["baseline"], first["conditions"]) == ("later", [""])
    assert (second["baseline"], second["conditions"]) == (None, ["", "from-plain"])
    assert first["measures"] == second["measures"] == ["reconstruction_error"]
    assert {facts["kind"] for facts in description["attacks"].values()} == {"white-box"}
    assert len(found.predictions) == len(attack_experiments.attacked(grid)) == 12
    assert {path.split("/")[4] for path in found.measures} == {"fpd", "plain"}  # the substitute's job has fpd's
    assert attack_experiments.evaluations(grid) == [Evaluation("none", "none", "digits")]


def test_every_attack_job_is_estimated_and_a_substitute_costs_its_targets_a_look(grid_of, content):
    grid = grid_of(content)
    plan = plan_of(grid)
    counted = Counter(job.rule for job in plan.of())
    assert counted == {"render_dataset": 1, "prepare_dataset": 1, "train_robust": 6, "attack_model": 12}
    todo = [(job.place, takes) for job, takes in estimate(plan, arrival=lambda *_: Arrival(0, 0)).todo]
    folders = [each.folder("attacked") for each in attack_experiments.attacked(grid)]
    assert [job.place for job in plan.of("attack_model")] == folders
    (job,) = [job for job in plan.of("attack_model") if "/black-box/" in job.place and "seed1" in job.place]
    assert {path.split("/")[3] for path in job.files if "/robust/" in path} == {"plain", "fpd"}
    shown = dict(todo)[job.place]
    assert len(shown.loads) == 2
    assert shown.loads[0].passes > 10 * shown.loads[1].passes


def test_pictures_are_of_the_first_seed_and_of_the_attacks_that_a_job_runs(grid_of, content):
    content["attack_experiments"]["first"] |= {"pictures": ["pgd-20"], "shown": 4}
    grid = grid_of(content)
    assert attack_experiments.pictured(grid, Attacked(OWN, "fpd", "strong", 2)) == {"pgd-20": 4}
    assert attack_experiments.pictured(grid, Attacked(OWN, "fpd", "weak", 2)) == {}
    assert [(each.model, each.seed) for each in attack_experiments.with_pictures(grid)] == [("later", 1), ("fpd", 1)]
    assert embedded_figures(grid)[3:] == ["robustness", "restored"]


def test_the_digest_follows_suites_and_starts(grid_of, content):
    digests = {
        grid_of(content).digest,
        grid_of(content, suites={"weak": {"attacks": ["pgd"]}}).digest,
        grid_of(content, robust={"plain": model(title="another")}).digest,
        grid_of(content, suites={"unused": {"attacks": ["pgd"]}}).digest,
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": ["fpdd"]}, 'unknown robust model "fpdd"'),
        ({"substitutes": ["plan"]}, 'unknown robust model "plan"'),
        ({"suites": ["weka"]}, 'unknown suite "weka"'),
        ({"baseline": "plain"}, 'unknown model of this experiment "plain"'),
        ({"attack_baseline": "pgd-10-half"}, "unknown attack of this experiment's suites"),
        ({"pictures": ["pgd-10-half"]}, "unknown attack of this experiment's suites"),
        ({"ladders": {"steps": ["pgd", "pgd-10-half"]}}, "ladders.steps"),
        ({"models": ["fpd", "signs"], "baseline": None}, '"signs" knows signs at small, and "fpd" digits at small'),
        ({"substitutes": ["signs"]}, "attack_experiments.first.substitutes"),
    ],
)
def test_names_that_do_not_fit_are_refused(grid_of, content, change, words):
    content["attack_experiments"]["first"] |= change
    with pytest.raises(ConfigError) as caught:
        grid_of(content)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (model(source={"start": "plian"}), 'unknown robust model "plian"'),
        (model(source={"start": "later"}), "later from plain from later: a circle"),
        (model(source={"start": "fpd"}), 'the two differ in "body"'),
        (model(source={"start": "cifar10-resnet18-own"}), "which is fetched and not trained here"),
    ],
)
def test_a_start_that_cannot_be_is_told(grid_of, content, entry, words):
    with pytest.raises(ConfigError) as caught:
        grid_of(content, robust={"plain": entry})
    assert words in str(caught.value)


def test_fpd_s_objective_on_a_body_that_restores_nothing_is_refused(grid_of, content):
    entry = model(source={"objective": {"kind": "fpd", "threshold": 0.1}})
    with pytest.raises(ConfigError, match="elu-resnet18 restores no image"):
        grid_of(content, robust={"plain": entry})
    grid_of(content, robust={"fpd": {**entry, "body": {"name": "fpd-resnet18"}}})


def test_the_old_spelling_of_an_objective_s_kind_is_answered_with_the_new_one(grid_of, content):
    entry = model(source={"objective": {"objective": "trades"}})
    with pytest.raises(ConfigError, match=r'objective\.objective" is now spelled ".*objective\.kind"'):
        grid_of(content, robust={"plain": entry})


def test_a_suite_of_feature_attacks_is_refused(grid_of, content):
    with pytest.raises(ConfigError, match="no attack on a model itself"):
        grid_of(content, suites={"weak": {"attacks": ["feature-pixel"]}})


def test_pictures_that_would_be_of_different_images_are_refused(grid_of, content, tmp_path):
    entry = {"kind": "pgd", "epsilon": 0.1, "step": 0.1, "steps": 1, "seed": 7}
    (tmp_path / "attacks.yaml").write_text(yaml.safe_dump({"other-seed": entry}))
    content["attack_experiments"]["first"] |= {"suites": ["mixed"], "pictures": ["pgd", "other-seed"]}
    with pytest.raises(ConfigError, match="choose their images by different seeds"):
        grid_of(content, suites={"mixed": {"attacks": ["pgd", "other-seed"]}})


def test_two_preparations_of_one_data_set_are_refused(grid_of, content):
    content["attack_experiments"]["second"] |= {"models": ["large"], "substitutes": []}
    entries = {"large": model(dataset="mnist", preparation="px64"), "fpd": model(dataset="mnist", preparation="px28")}
    content["attack_experiments"]["first"] |= {"models": ["fpd"], "baseline": "fpd"}
    with pytest.raises(ConfigError, match='show "mnist" at px28 and at px64'):
        grid_of(content, robust=entries)


@pytest.mark.parametrize("name", ["none", "teacher", "unrepaired"])
def test_a_model_named_as_a_word_of_the_tables_is_refused(grid_of, content, name):
    content["attack_experiments"] = {"first": {"question": "?", "models": [name], "suites": ["weak"]}}
    with pytest.raises(ConfigError, match="a meaning of its own"):
        grid_of(content, robust={name: model()})


def test_one_name_for_two_experiments_is_refused(grid_of, content):
    content["repair_experiments"] = {"first": {"question": "?", "models": ["plain"]}}
    with pytest.raises(ConfigError, match='"first" names a repair experiment and an attack experiment'):
        grid_of(content)


def test_fpd_is_judged_by_more_than_its_published_budgets():
    content = yaml.safe_load((PROJECT / "config/studies/fpd.yaml").read_text())
    grid = Grid(*load_study(content, project=PROJECT, where="fpd.yaml"), "fpd.yaml")
    for model in {each.model for each in attack_experiments.attacked(grid) if each.box == "white-box"}:
        jobs = [each for each in attack_experiments.attacked(grid) if (each.box, each.model) == ("white-box", model)]
        attacks = [entry for each in jobs for entry in attack_experiments.attacks_of(grid, each).values()]
        steps = {entry.steps * entry.restarts for entry in attacks if entry.kind == "pgd"}
        assert max(steps) >= 500, model  # published: 40 steps from one start
        assert "autoattack" in {entry.kind for entry in attacks}, model
        assert {"raw", "straight-through"} <= {entry.through for entry in attacks}, model
