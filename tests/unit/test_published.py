"""Published numbers: complete, checked, and claimed by no study but their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from heirloom.config.grid import Grid
from heirloom.config.load import load_study
from heirloom.config.published import Published, load_published, published_for
from heirloom.config.study import Study
from heirloom.reporting.summary import PublishedNumber
from heirloom.runtime.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
FIVE = ["mit67", "cub200", "flowers102", "stanford-dogs", "stanford40"]
SEVEN = ["fine-tuning", "delta", "magnitude-pruning", "re-training", "delta-r", "renofeation", "remos"]


@pytest.fixture(scope="module")
def published() -> Published:
    return load_published(ROOT / "config/published.yaml")


def study(name="remos", experiment="figure-5", datasets=FIVE, folder="config") -> Study:
    method = {"kind": "fine-tuning", "training": {"iterations": 1, "learning_rate": 0.1}}
    asked = {"question": "?", "teachers": ["t"], "injections": ["none"], "datasets": datasets, "methods": ["m"]}
    return Study.model_validate(
        {
            "name": name,
            "title": "A title",
            "catalogues": [folder],
            "seeds": [1],
            "preparations": dict.fromkeys(datasets, "px224"),
            "methods": {"m": method},
            "experiments": {experiment: asked},
        }
    )


def pick(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


# Copied by hand from the published tables, not from the file under test: accuracy and success in percent.
COPIED = [
    ("figure-5", "resnet18-imagenet", "mit67", "remos", 74.40, 19.66),
    ("figure-5", "resnet18-imagenet", "cub200", "delta", 75.93, 83.78),
    ("figure-5", "resnet18-imagenet", "stanford-dogs", "fine-tuning", 81.95, 89.01),
    ("figure-5", "resnet18-imagenet", "stanford40", "re-training", 30.38, 5.70),
    ("figure-5", "resnet50-imagenet", "flowers102", "delta-r", 93.94, 2.24),
    ("figure-5", "resnet50-imagenet", "stanford-dogs", "renofeation", 19.55, 11.39),
    ("figure-5", "resnet50-imagenet", "stanford40", "magnitude-pruning", 79.89, 33.00),
    ("figure-5", "resnet50-imagenet", "mean", "remos", 84.29, 13.16),
]


@pytest.mark.parametrize(("experiment", "teacher", "dataset", "method", "accuracy", "success"), COPIED)
def test_numbers_are_those_of_the_artifact(published, experiment, teacher, dataset, method, accuracy, success):
    place = {"experiment": experiment, "teacher": teacher, "dataset": dataset, "method": method}
    rows = list(published.rows("remos"))
    clean, attacked = (pick(rows, **place, metric=metric) for metric in ("accuracy", "attack_success"))
    assert (clean["attack"], clean["value"]) == ("none", pytest.approx(accuracy / 100))
    assert (attacked["attack"], attacked["value"]) == ("feature-published", pytest.approx(success / 100))


@pytest.mark.parametrize(
    ("teacher", "tuned", "renofeation"),
    [
        ("resnet18-imagenet", 0.743, 0.069),
        ("resnet50-imagenet", 0.657, 0.044),
        ("resnet101-imagenet", 0.703, 0.049),
        ("mobilenet-imagenet", 0.5075, 0.069),
    ],
)
def test_numbers_are_those_of_the_renofeation_readme(published, teacher, tuned, renofeation):
    rows = [row for row in published.rows("renofeation") if row["teacher"] == teacher]
    assert {(row["method"], row["metric"]): row["value"] for row in rows} == {
        ("fine-tuning", "attack_success"): tuned,
        ("renofeation", "attack_success"): renofeation,
    }


def test_figure_5_is_complete_and_its_means_are_those_of_its_data_sets(published):
    rows = [row for row in published.rows("remos") if row["experiment"] == "figure-5"]
    assert len(rows) == 2 * 6 * 7 * 2  # teachers, data sets and their mean, methods, accuracy and success
    for mean in (row for row in rows if row["dataset"] == "mean"):
        same = [row for row in rows if all(row[key] == mean[key] for key in ("teacher", "method", "metric"))]
        values = {row["dataset"]: row["value"] for row in same if row["dataset"] != "mean"}
        assert sorted(values) == sorted(FIVE)
        # the artifact's numbers have two decimals, and so has the mean
        assert mean["value"] == pytest.approx(sum(values.values()) / 5, abs=0.5001e-4), mean
        assert mean["source"].endswith("[C]")
    assert {row["source"][-3:] for row in rows if row["dataset"] != "mean"} == {"[R]"}
    assert {row["method"] for row in rows} == set(SEVEN)


def test_the_other_figures_and_the_table_are_kept_with_their_reasons(published):
    rows = list(published.rows("remos"))
    counted = {name: [row for row in rows if row["experiment"] == name] for name in ("figure-6", "table-2")}
    assert {name: len(found) for name, found in counted.items()} == {
        "figure-6": 2 * 9 * 4,  # data sets, coverages times generators, methods
        "table-2": 8 * 6 * 2,
    }
    assert {row["incomparable"] for found in counted.values() for row in found} == {"not implemented"}
    seen = pick(counted["figure-6"], dataset="stanford40", attack="dlfuzz-rr-snac", method="remos")
    assert seen["value"] == pytest.approx(0.151)


# Copied by hand from ReMoS's Figure 7, in the order of METHODS_7: accuracy and share of changed predictions in percent.
FIGURE_7 = {
    "mit67": [(78.21, 77.96), (77.69, 57.83), (53.66, 5.15), (55.37, 4.45), (76.19, 8.23)],
    "cub200": [(81.19, 50.62), (81.36, 40.35), (63.63, 5.56), (60.49, 7.85), (82.00, 13.07)],
    "stanford40": [(82.39, 90.15), (82.45, 89.65), (42.37, 7.85), (44.58, 9.94), (81.65, 9.05)],
}
METHODS_7 = ["fine-tuning-short", "magnitude-pruning-short", "re-training", "renofeation", "remos-03-dropout-short"]


def test_figure_7_is_held_against_what_the_study_of_backdoors_measures(published):
    rows = list(published.rows("backdoor"))
    # what the figure calls DIR is the share of changed predictions
    measured = {"accuracy": "none", "untargeted_success": "pinwheel"}
    found = {(row["dataset"], row["method"], row["metric"]): row for row in rows}
    assert len(found) == len(rows) == 3 * 5 * 2
    for dataset, pairs in FIGURE_7.items():
        for method, pair in zip(METHODS_7, pairs, strict=True):
            for (metric, attack), percent in zip(measured.items(), pair, strict=True):
                row = found[dataset, method, metric]
                assert row["value"] == pytest.approx(percent / 100)
                assert (row["attack"], row["injection"]) == (attack, f"{dataset}-backdoor-remos")
    held = {row["method"] for row in rows if not row["incomparable"]}
    assert held == {"fine-tuning-short", "re-training", "remos-03-dropout-short"}
    content = yaml.safe_load((ROOT / "config/studies/backdoor.yaml").read_text())
    grid = Grid(*load_study(content, project=ROOT, where="backdoor.yaml"))
    students = {(each.evaluation.teacher, each.evaluation.injection, each.evaluation.dataset, each.method)
                for each in grid.judged_students}  # fmt: skip
    assert {tuple(row[name] for name in ("teacher", "injection", "dataset", "method")) for row in rows} <= students
    assert grid.study.experiments["remos-backdoor"].same_data_set


# Copied by hand from RiFT's tables 1 to 4: standard, under corruptions, worst of three PGD-10 runs; in percent.
RIFT = [
    ("table-1", "cifar10-resnet18-at", "cifar10", "unrepaired", (81.46, 73.56, 53.63)),
    ("table-1", "cifar10-wrn34-10-at", "cifar10", "rift", (87.89, 79.31, 55.41)),
    ("table-1", "cifar100-resnet34-at", "cifar100", "rift", (60.88, 49.97, 30.58)),
    ("table-1", "tiny-imagenet-wrn34-10-at", "tiny-imagenet", "unrepaired", (52.78, 31.81, 26.07)),
    ("table-2", "cifar10-resnet18-mart", "cifar10", "unrepaired", (76.77, 68.62, 56.90)),
    ("table-2", "cifar100-resnet18-score", "cifar100", "rift", (57.63, 47.77, 29.50)),
    ("table-3", "cifar10-resnet18-at", "cifar10", "rift-critical", (83.36, 75.42, 52.48)),
    ("table-4", "cifar10-resnet18-at", "cifar10", "rift-top5", (83.70, 75.82, 52.35)),
]


@pytest.mark.parametrize(("experiment", "teacher", "dataset", "method", "numbers"), RIFT)
def test_numbers_are_those_of_rifts_tables(published, experiment, teacher, dataset, method, numbers):
    place = {"experiment": experiment, "teacher": teacher, "dataset": dataset, "method": method, "injection": "none"}
    shown = [("accuracy", "none", ""), ("corruption_accuracy", "none", "all"),
             ("robust_accuracy", "pgd-10-worst-of-3", "")]  # fmt: skip
    for (metric, attack, condition), percent in zip(shown, numbers, strict=True):
        row = pick(published.rows("rift"), **place, metric=metric, attack=attack, condition=condition)
        assert row["value"] == pytest.approx(percent / 100)
        assert row["source"].endswith(f"Table {experiment[-1]} [P]")


def test_rifts_tables_are_complete_and_agree_with_the_gains_that_the_paper_states(published):
    rows = list(published.rows("rift"))
    models = {"table-1": 9 * 2, "table-2": 8 * 2, "table-3": 4, "table-4": 4}
    assert {name: sum(row["experiment"] == name for row in rows) for name in models} == {
        name: 3 * count for name, count in models.items()
    }
    gains = {"cifar10": (1.21, 1.49, 0.02), "cifar100": (2.02, 1.81, 0.02), "tiny-imagenet": (1.87, 1.75, 0.08)}
    main = [row for row in rows if row["experiment"] == "table-1"]
    for dataset, stated in gains.items():
        for metric, gain in zip(("accuracy", "corruption_accuracy", "robust_accuracy"), stated, strict=True):
            mine = [row for row in main if (row["dataset"], row["metric"]) == (dataset, metric)]
            sides = [sum(row["value"] for row in mine if row["method"] == name) for name in ("rift", "unrepaired")]
            # the paper states each with two decimals
            assert 100 * (sides[0] - sides[1]) / 3 == pytest.approx(gain, abs=0.0101)


def test_tiny_imagenets_corruptions_make_no_verdict(published):
    told = {(row["dataset"], row["metric"]): row["incomparable"] for row in published.rows("rift")}
    assert "severity 1" in told.pop(("tiny-imagenet", "corruption_accuracy"))
    assert set(told.values()) == {""}


def test_rifts_attack_is_the_papers(published):
    attacks = yaml.safe_load((ROOT / "config/attacks.yaml").read_text())
    entry = attacks[next(row["attack"] for row in published.rows("rift") if row["metric"] == "robust_accuracy")]
    assert {name: entry[name] for name in ("kind", "epsilon", "step", "steps", "restarts", "worst")} == {
        "kind": "pgd", "epsilon": "8/255", "step": "2/255", "steps": 10, "restarts": 3, "worst": "run",
    }  # fmt: skip


def test_a_tolerance_is_the_larger_of_points_and_a_share(published):
    rows = list(published.rows("renofeation"))
    tuned = pick(rows, teacher="resnet18-imagenet", method="fine-tuning")
    cured = pick(rows, teacher="resnet18-imagenet", method="renofeation")
    assert (tuned["tolerance"], cured["tolerance"]) == pytest.approx((0.2 * 0.743, 0.02))
    accuracy = pick(published.rows("remos"), experiment="figure-5", teacher="resnet18-imagenet", dataset="mit67",
                    method="delta", metric="accuracy")  # fmt: skip
    assert accuracy["tolerance"] == pytest.approx(0.04)


def test_the_tolerance_covers_what_two_publications_say_of_the_same_average(published):
    """The reason that the file gives: where both publish a mean over the five data sets."""
    remos = [row for row in published.rows("remos") if row["experiment"] == "figure-5" and row["dataset"] == "mean"]
    for row in published.rows("renofeation"):
        if row["teacher"] in ("resnet18-imagenet", "resnet50-imagenet"):
            place = {name: row[name] for name in ("teacher", "method", "metric")}
            assert abs(pick(remos, **place)["value"] - row["value"]) <= row["tolerance"]


def test_an_unknown_pruning_ratio_makes_no_verdict(published):
    rows = [row for row in published.rows("remos") if row["experiment"] == "figure-5"]
    told = {row["method"]: row["incomparable"] for row in rows}
    assert "ratio" in told.pop("magnitude-pruning")
    assert set(told.values()) == {""}


# -- for a study -------------------------------------------------------------------------------------------------------


def test_only_the_study_of_that_name_is_held_to_published_numbers(published):
    assert published_for(study("quickstart"), ROOT) == []
    assert len(published_for(study(), ROOT)) == len(list(published.rows("remos"))) == 336


def test_rows_are_what_the_summary_takes():
    rows = published_for(study(), ROOT)
    found = TypeAdapter(list[PublishedNumber]).validate_python(rows)
    assert [vars(number) for number in found] == rows
    assert all(0 <= number.value <= 1 for number in found)


def test_a_mean_over_other_data_sets_is_not_comparable():
    rows = published_for(study(datasets=FIVE[:4]), ROOT)
    told = {(row["dataset"], row["method"]): row["incomparable"] for row in rows if row["experiment"] == "figure-5"}
    assert told["mean", "delta"] == "the published mean is over other data sets"
    assert told["mit67", "delta"] == ""
    assert "ratio" in told["mean", "magnitude-pruning"]


def test_a_catalogue_without_published_numbers_has_none(tmp_path):
    (tmp_path / "own").mkdir()
    assert published_for(study(folder="own"), tmp_path) == []


# -- mistakes ----------------------------------------------------------------------------------------------------------

TABLE = {"source": "s", "tag": "R", "attack": "a", "values": {"t": {"d": {"m": [1, 2]}}}}


def write(folder: Path, *tables) -> Path:
    path = folder / "published.yaml"
    path.write_text(yaml.safe_dump({"studies": {"s": {"e": list(tables)}}}))
    return path


def test_a_good_table_is_read(tmp_path):
    (clean, attacked) = load_published(write(tmp_path, TABLE)).rows("s")
    assert (clean["value"], attacked["value"], clean["source"]) == (0.01, 0.02, "s [R]")
    assert clean["tolerance"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tag": "Z"}, r'"studies\.s\.e\.0\.tag" cannot be'),
        ({"values": {"t": {"d": {"m": [101, 2]}}}}, "less than or equal to 100"),
        ({"values": {"t": {"d": {"m": [1]}}}}, "is missing|too short|at least"),
        ({"values": {"t": {"mean": {"m": [1, 2]}}}}, "need mean_of"),
        ({"tolerance": {"accuracy": {"points": 4}}}, "needs its tolerance_reason"),
        ({"sauce": "s"}, "unknown key"),
    ],
)
def test_mistakes_are_told_with_the_file_and_the_key(tmp_path, change, message):
    path = write(tmp_path, TABLE | change)
    with pytest.raises(ConfigError, match=message) as error:
        load_published(path)
    assert str(path) in str(error.value)


def test_one_number_entered_twice_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="two numbers for e, t, none, d, m, "):
        load_published(write(tmp_path, TABLE, TABLE))


def test_two_files_for_one_study_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, TABLE)
    asked = study("s").model_copy(update={"catalogues": ("one", "two")})
    with pytest.raises(ConfigError, match='two files have published numbers of "s"'):
        published_for(asked, tmp_path)
