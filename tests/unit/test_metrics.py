"""Which test images count for a rate, and which hit it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from heirloom.evaluation.metrics import (
    Attack,
    EvaluationFacts,
    PredictionTable,
    Scope,
    Setting,
    attack_outcomes,
    outcomes,
    predictions_of,
    read_predictions,
    robustness_outcomes,
)
from heirloom.reporting.tables import KEYS, MEASUREMENTS, read_rows
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError
from heirloom.runtime.files import read_table, table_metadata, write_table
from heirloom.stages import collect_measurements

#                  0  1  2  3  4  5  6  7
LABELS = np.array([0, 0, 1, 1, 2, 2, 1, 2], dtype=np.int32)
CLEAN = np.array([0, 0, 1, 1, 2, 2, 0, 1], dtype=np.int32)  # the last two are wrong before any attack
ATTACKED = np.array([0, 1, 0, 1, 0, 1, 0, 0], dtype=np.int32)


def judged(target: int | None, *, clean=CLEAN, attacked=ATTACKED):
    return attack_outcomes(labels=LABELS, clean=clean, attacked=attacked, target=target)


def write_predictions(path: Path, models: dict, *, labels=LABELS, shuffle: int | None = None, first: int = 0) -> Path:
    """Write a predictions table; `models` maps (method, seed, attack) to predicted classes, from image `first` on."""
    columns: dict[str, list] = {name: [] for name in (*Setting._fields, "sample", "label", "prediction")}
    for (method, seed, attack), predicted in models.items():
        rows = len(predicted)
        columns["method"] += [method] * rows
        columns["seed"] += [seed] * rows
        columns["attack"] += [attack] * rows
        columns["budget"] += ["{}"] * rows
        columns["condition"] += [""] * rows
        columns["sample"] += [f"image-{first + place}" for place in range(rows)]
        columns["label"] += [int(label) for label in labels[first : first + rows]]
        columns["prediction"] += [int(label) for label in predicted]
    numbers = {"seed", "label", "prediction"}
    table = pa.table({name: pa.array(v, pa.int32() if name in numbers else pa.string()) for name, v in columns.items()})
    if shuffle is not None:
        table = table.take(np.random.default_rng(shuffle).permutation(table.num_rows))
    write_table(path, table, metadata={"schema": "predictions", "version": 1})
    return path


# -- what is a control -------------------------------------------------------------------------------------------------


def test_a_noise_is_a_control_where_an_attack_of_the_experiment_names_it():
    attacks = {"pixel": Attack("feature", control="noise"), "noise": Attack("noise"), "clip": Attack("noise")}
    found = EvaluationFacts("net", "none", "rooms", {}, attacks)
    assert found.controls(Scope()) == {"noise"}
    assert found.controls(Scope(attacks=["clip", "noise", "pixel"])) == {"noise"}
    assert found.controls(Scope(attacks=["clip", "noise"])) == set()


# -- who counts --------------------------------------------------------------------------------------------------------


def test_targeted_success_leaves_out_the_target_class_and_what_was_wrong_before():
    found = judged(target=0)
    # images 2, 3, 4, 5 count: correct when clean and not of class 0; 2 and 4 go to class 0
    assert found["targeted_success"].counted.tolist() == [False, False, True, True, True, True, False, False]
    assert (found["targeted_success"].hits, found["targeted_success"].count) == (2, 4)
    assert found["targeted_success"].value == 0.5


def test_untargeted_success_of_a_known_target_has_the_same_denominator():
    found = judged(target=0)
    # 2, 4 and 5 change; image 1 changes too, but it is of the target class
    assert (found["untargeted_success"].hits, found["untargeted_success"].count) == (3, 4)


def test_a_model_that_names_the_target_class_rightly_is_not_fooled():
    """docs/definitions.md#b9: published scripts count images that are of the target class already."""
    always_right = judged(target=0, clean=LABELS, attacked=LABELS)
    assert always_right["targeted_success"].value == 0
    assert always_right["untargeted_success"].value == 0


def test_without_a_target_all_correct_images_count_and_collapse_follows_the_commonest_wrong_class():
    found = judged(target=None)
    assert sorted(found) == ["collapse", "untargeted_success"]
    # 0 to 5 count; changed: 1 -> 1, 2 -> 0, 4 -> 0, 5 -> 1: classes 0 and 1 tie, the smaller is taken
    assert (found["untargeted_success"].hits, found["untargeted_success"].count) == (4, 6)
    assert (found["collapse"].hits, found["collapse"].count) == (2, 6)


def test_collapse_ignores_what_unchanged_and_uncounted_images_say():
    attacked = np.array([0, 0, 1, 1, 1, 1, 0, 0], dtype=np.int32)  # only 4 and 5 change, both to class 1
    found = judged(target=None, attacked=attacked)
    assert found["collapse"].hit.tolist() == [False, False, False, False, True, True, False, False]


def test_an_image_wrong_before_the_attack_counts_for_nothing_even_when_sent_to_the_target():
    assert not judged(target=0)["targeted_success"].counted[6:].any()


@pytest.mark.parametrize("target", [0, None])
def test_nothing_correct_gives_no_rate(target):
    wrong = (LABELS + 1) % 3
    for outcome in judged(target, clean=wrong).values():
        assert outcome.count == 0
        assert outcome.value is None


def test_nothing_changed_is_a_rate_of_zero():
    assert judged(target=None, clean=LABELS, attacked=LABELS)["collapse"].value == 0


def test_an_attack_without_a_target_wants_the_model_wrong():
    found = robustness_outcomes(labels=LABELS, clean=CLEAN, attacked=ATTACKED)
    assert sorted(found) == ["attack_success", "robust_accuracy"]
    # 0 to 5 are correct when clean; 1, 2, 4 and 5 are not the label any more
    assert found["attack_success"].counted.tolist() == [True] * 6 + [False] * 2
    assert found["attack_success"].hit.tolist() == [False, True, True, False, True, True, False, False]
    # of all eight images 0 and 3 are right under attack
    assert (found["robust_accuracy"].hits, found["robust_accuracy"].count) == (2, 8)


def test_an_image_that_an_attack_makes_right_is_robust_and_no_success():
    attacked = LABELS.copy()  # the last two images were wrong when clean
    found = robustness_outcomes(labels=LABELS, clean=CLEAN, attacked=attacked)
    assert found["attack_success"].value == 0
    assert found["robust_accuracy"].value == 1


def test_images_that_an_attack_was_not_tried_on_count_for_nothing():
    attacked = np.array([0, 1, -1, -1, -1, 1, 1, -1], dtype=np.int32)
    found = robustness_outcomes(labels=LABELS, clean=CLEAN, attacked=attacked)
    # tried: 0, 1, 5, 6; of these 6 was wrong when clean
    assert (found["attack_success"].hits, found["attack_success"].count) == (2, 3)
    assert (found["robust_accuracy"].hits, found["robust_accuracy"].count) == (2, 4)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_predictions_are_read_whatever_the_order_of_their_rows(tmp_path):
    models = {("tuned", 0, "none"): CLEAN, ("tuned", 0, "mark"): ATTACKED, ("tuned", 1, "none"): LABELS}
    found = read_predictions(write_predictions(tmp_path / "a.parquet", models, shuffle=3))
    assert found.labels.tolist() == LABELS.tolist()
    for (method, seed, attack), predicted in models.items():
        assert found.settings[Setting(method, seed, attack, "{}", "")].tolist() == predicted.tolist()
    assert found.clean(Setting("tuned", 0, "mark", "{}", "")).tolist() == CLEAN.tolist()


def test_dictionary_columns_read_the_same(tmp_path):
    plain = write_predictions(tmp_path / "a.parquet", {("tuned", 0, "none"): CLEAN})
    table = read_table(plain)
    table = table.set_column(0, "method", table["method"].dictionary_encode())
    write_table(tmp_path / "b.parquet", table, metadata={})
    assert list(read_predictions(tmp_path / "b.parquet").settings) == list(read_predictions(plain).settings)


def test_models_that_judged_other_images_are_refused(tmp_path):
    path = write_predictions(tmp_path / "a.parquet", {("tuned", 0, "none"): CLEAN, ("tuned", 0, "mark"): ATTACKED[:-1]})
    with pytest.raises(DataError, match="same images") as error:
        read_predictions(path)
    assert str(path) in str(error.value)


def test_an_image_judged_twice_is_refused(tmp_path):
    path = write_predictions(tmp_path / "a.parquet", {("tuned", 0, "none"): CLEAN})
    table = read_table(path)
    write_table(path, pa.concat_tables([table, table.slice(0, 1)]), metadata={})
    with pytest.raises(DataError, match="each once"):
        read_predictions(path)


def test_an_empty_or_foreign_table_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write_table(path, pa.table({"method": ["x"]}), metadata={})
    with pytest.raises(DataError, match="lack seed"):
        read_predictions(path)
    with pytest.raises(DamagedFileError):
        read_predictions(tmp_path / "absent.parquet")


def test_an_attack_without_clean_predictions_is_refused():
    alone = PredictionTable(("a",), np.array([0]), {Setting("tuned", 0, "mark", "{}", ""): np.array([0])})
    with pytest.raises(DataError, match="never judged clean"):
        list(outcomes(alone, {"mark": Attack(target=0)}))


def test_an_attack_that_nothing_describes_is_refused():
    settings = {Setting("tuned", 0, attack, "{}", ""): np.array([0]) for attack in ("none", "mark")}
    with pytest.raises(DataError, match='attack "mark" is not described'):
        list(outcomes(PredictionTable(("a",), np.array([0]), settings), {}))


# -- several files -----------------------------------------------------------------------------------------------------

WHITE = {"pgd": Attack("white-box")}


def white_box(folder: Path, *, first=2, seed=0, labels=LABELS, attacked=ATTACKED) -> Path:
    """Write one student's predictions under a white-box attack, for five images from `first` on."""
    models = {("tuned", seed, "pgd"): attacked[first : first + 5]}
    return write_predictions(folder / f"white-{seed}.parquet", models, first=first, labels=labels)


def common(folder: Path) -> Path:
    return write_predictions(folder / "a.parquet", {("tuned", seed, "none"): CLEAN for seed in (0, 1)})


def test_files_of_one_evaluation_are_merged_whatever_their_order(tmp_path):
    paths = [white_box(tmp_path, seed=1, first=0), common(tmp_path), white_box(tmp_path)]
    found = read_predictions(*paths, partial=["pgd"])
    assert found.samples == tuple(f"image-{place}" for place in range(8))
    assert found.labels.tolist() == LABELS.tolist()
    expected = [-1, -1, *ATTACKED[2:7].tolist(), -1]
    assert found.settings[Setting("tuned", 0, "pgd", "{}", "")].tolist() == expected
    assert found.settings[Setting("tuned", 1, "pgd", "{}", "")].tolist() == [*ATTACKED[:5].tolist(), -1, -1, -1]
    rates = {(setting.seed, metric): (rate.hits, rate.count) for setting, metric, rate in outcomes(found, WHITE)}
    assert rates[0, "attack_success"] == (3, 4)  # 2 to 5 count, 6 was wrong when clean; 3 stays right
    assert rates[0, "robust_accuracy"] == (1, 5)


def test_only_a_white_box_attack_may_leave_images_out(tmp_path):
    paths = [common(tmp_path), white_box(tmp_path)]
    with pytest.raises(DataError, match="did not judge the same images") as error:
        read_predictions(*paths)
    assert all(str(path) in str(error.value) for path in paths)


def test_an_image_that_was_never_judged_clean_is_refused(tmp_path):
    short = write_predictions(tmp_path / "a.parquet", {("tuned", 0, "none"): CLEAN[:4]})
    with pytest.raises(DataError, match="did not judge the same images"):
        read_predictions(short, white_box(tmp_path), partial=["pgd"])


def test_files_that_disagree_about_a_label_are_refused(tmp_path):
    other = LABELS.copy()
    other[4] = 0
    with pytest.raises(DataError, match="an image has two labels") as error:
        read_predictions(common(tmp_path), white_box(tmp_path, labels=other), partial=["pgd"])
    assert "white-0.parquet" in str(error.value)
    assert "delete them" in str(error.value)


def test_a_student_attacked_in_two_files_is_refused(tmp_path):
    (tmp_path / "again").mkdir()
    paths = [common(tmp_path), white_box(tmp_path), white_box(tmp_path / "again")]
    with pytest.raises(DataError, match='"tuned" seed 0 under attack "pgd" was judged in two files') as error:
        read_predictions(*paths, partial=["pgd"])
    assert "a.parquet" not in error.value.where


def test_an_attacked_student_without_clean_predictions_is_refused(tmp_path):
    found = read_predictions(common(tmp_path), white_box(tmp_path, seed=7), partial=["pgd"])
    with pytest.raises(DataError, match='"tuned" seed 7 was attacked with "pgd" but never judged clean'):
        list(outcomes(found, WHITE))


@pytest.mark.parametrize("files", [[0], [0, 2], [1, 1], []])
def test_files_that_belong_to_no_evaluation_or_leave_one_out_are_refused(tmp_path, files):
    described = [EvaluationFacts("net", "none", name, {"main": Scope()}) for name in ("signs", "rooms")]
    with pytest.raises(ConfigError, match="do not belong to 2 evaluations"):
        list(predictions_of(described, [common(tmp_path)] * 2, files))


@pytest.mark.parametrize("kind", ["trigger", "feature", "noise"])
def test_an_attack_that_all_students_share_must_judge_every_image(tmp_path, kind):
    described = [EvaluationFacts("net", "none", "signs", {"main": Scope()}, {"pgd": Attack(kind)})]
    with pytest.raises(DataError, match="did not judge the same images"):
        list(predictions_of(described, [common(tmp_path), white_box(tmp_path)], [0, 0]))


def test_the_stage_merges_the_files_of_each_evaluation(tmp_path):
    (tmp_path / "rooms").mkdir()
    paths = [white_box(tmp_path), common(tmp_path / "rooms"), common(tmp_path)]
    described = [EvaluationFacts("net", "none", name, {"main": Scope()}, WHITE) for name in ("signs", "rooms")]
    output = tmp_path / "measurements.parquet"
    collect_measurements.run(
        inputs=collect_measurements.Inputs(paths),
        outputs=collect_measurements.Outputs(output),
        study="example",
        config_digest="abc",
        evaluations=described,
        files=[0, 1, 0],
    )
    rows = read_rows(output, columns=MEASUREMENTS)
    assert [(row["dataset"], row["seed"], row["metric"], row["count"]) for row in rows] == [
        ("rooms", 0, "accuracy", 8),
        ("rooms", 1, "accuracy", 8),
        ("signs", 0, "accuracy", 8),
        ("signs", 0, "attack_success", 4),
        ("signs", 0, "robust_accuracy", 5),
        ("signs", 1, "accuracy", 8),
    ]


# -- the stage ---------------------------------------------------------------------------------------------------------


def collect(folder: Path, *, experiments=("first",), target: int | None = 0, models=None) -> Path:
    models = models or {("tuned", 0, "none"): CLEAN, ("tuned", 0, "mark"): ATTACKED, ("teacher", 0, "none"): LABELS}
    path = write_predictions(folder / "predictions.parquet", models)
    attacks = {"mark": Attack(target=target)}
    evaluations = [EvaluationFacts("net", "infected", "signs", {name: Scope() for name in experiments}, attacks)]
    output = folder / "tables" / "measurements.parquet"
    collect_measurements.run(
        inputs=collect_measurements.Inputs(predictions=[path]),
        outputs=collect_measurements.Outputs(measurements=output),
        study="example",
        config_digest="abc",
        evaluations=evaluations,
        files=[0],
    )
    return output


def test_measurements_hold_the_contracts_columns_and_every_experiments_rows(tmp_path):
    path = collect(tmp_path, experiments=("second", "first"))
    rows = read_rows(path, columns=MEASUREMENTS)
    assert list(rows[0]) == [
        *("study", "experiment", "teacher", "injection", "dataset", "split", "method", "seed", "attack", "budget"),
        *("condition", "metric", "value", "count", "low", "high", "credible", "config_digest"),
    ]
    assert len(rows) == 2 * 4  # tuned: accuracy and two rates under attack; teacher: accuracy
    first, second = rows[:4], rows[4:]
    assert [row | {"experiment": ""} for row in first] == [row | {"experiment": ""} for row in second]
    assert [row["experiment"] for row in rows] == ["first"] * 4 + ["second"] * 4
    places = [tuple(row[name] for name in (*KEYS, "metric")) for row in rows]
    assert places == sorted(places)
    assert table_metadata(path) == {"schema": "measurements", "version": 1, "study": "example"}


def test_measurements_hold_rates_counts_and_wilson_intervals(tmp_path):
    rows = {(row["method"], row["metric"]): row for row in read_rows(collect(tmp_path), columns=MEASUREMENTS)}
    accuracy = rows["tuned", "accuracy"]
    assert (accuracy["value"], accuracy["count"], accuracy["attack"], accuracy["split"]) == (6 / 8, 8, "none", "test")
    targeted = rows["tuned", "targeted_success"]
    assert (targeted["value"], targeted["count"], targeted["attack"]) == (0.5, 4, "mark")
    assert targeted["low"] == pytest.approx(0.1500, abs=1e-4)  # Wilson's limits of 2 of 4
    assert targeted["high"] == pytest.approx(0.8500, abs=1e-4)
    assert rows["teacher", "accuracy"]["high"] == 1.0
    assert targeted["config_digest"] == "abc"
    assert targeted["credible"] is None


def test_a_rate_without_images_is_null_with_count_zero(tmp_path):
    wrong = (LABELS + 1) % 3
    path = collect(tmp_path, models={("tuned", 0, "none"): wrong, ("tuned", 0, "mark"): ATTACKED})
    rows = {row["metric"]: row for row in read_rows(path, columns=MEASUREMENTS)}
    for name in ("targeted_success", "untargeted_success"):
        assert [rows[name][column] for column in ("value", "count", "low", "high")] == [None, 0, None, None]
    assert rows["accuracy"]["value"] == 0


def test_measurements_have_the_same_bytes_again(tmp_path):
    first, second = collect(tmp_path / "a"), collect(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_an_evaluation_is_read_from_the_rules_plain_parameters():
    mark = {"kind": "trigger", "target": None, "control": None, "title": ""}
    pixel = {"kind": "feature", "target": None, "control": "noise", "title": "feature attack, pixels"}
    scope = {"methods": ["fine-tuning"], "attacks": ["pinwheel"], "baseline": "fine-tuning", "average": True}
    given = {
        "attacks": {"mark": mark, "pixel": pixel},
        "control": None,
        "dataset": "rooms",
        "experiments": {"backdoor": scope},
        "injection": "none",
        "teacher": "net",
    }
    evaluation = TypeAdapter(list[EvaluationFacts]).validate_python([given])[0]
    assert evaluation == EvaluationFacts(
        "net",
        "none",
        "rooms",
        {"backdoor": Scope(["fine-tuning"], ["pinwheel"], "fine-tuning", average=True)},
        {"mark": Attack(), "pixel": Attack("feature", None, "noise", "feature attack, pixels")},
    )


@pytest.mark.parametrize(
    ("method", "attack", "held"),
    [
        ("fine-tuning", "none", True),
        ("fine-tuning", "mark", True),
        ("teacher", "mark", True),
        ("re-training", "mark", False),
        ("fine-tuning", "other", False),
    ],
)
def test_an_experiment_holds_its_own_methods_and_attacks(method, attack, held):
    scope = Scope(methods=["fine-tuning"], attacks=["mark"])
    assert scope.holds(Setting(method, 1, attack, "{}", "")) is held
    assert Scope().holds(Setting(method, 1, attack, "{}", ""))
