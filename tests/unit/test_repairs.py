"""Robust models before and after repairs: paired comparisons, and what tables, sentences and the figure say of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from heirloom.evaluation.measures import write_measures
from heirloom.evaluation.metrics import CLEAN, Attack, EvaluationFacts, Scope
from heirloom.evaluation.statistics import holm, mcnemar_exact
from heirloom.reporting import repairs
from heirloom.reporting.figures.robustness import draw_robustness
from heirloom.reporting.report.content import experiments_of
from heirloom.reporting.sentences import answers, short_answers
from heirloom.reporting.summary import PublishedNumber
from heirloom.reporting.tables import read_comparisons, read_summary
from heirloom.reporting.terminal import WIDTH, print_summary
from heirloom.reporting.views import parted
from heirloom.runtime.files import write_table
from heirloom.stages import collect_measurements, draw_figures, summarise

IMAGES, CORRUPTED, ATTACKED = 400, 300, 150
CONDITIONS = ("fog-1", "fog-3", "snow-1")
LABELS = (np.arange(IMAGES) % 10).astype(np.int32)
SAMPLES = [f"{place:03d}" for place in range(IMAGES)]
# accuracy clean, corrupted and under attack
RATES = {"unrepaired": (0.7, 0.55, 0.4), "rift": (0.85, 0.7, 0.4), "rift-all": (0.7, 0.55, 0.1)}
SOURCE = json.dumps({"source": "computed"})
BUDGETS = {
    "aa": json.dumps({"kind": "autoattack", "norm": "Linf", "epsilon": 0.03}),
    "pgd": json.dumps({"kind": "pgd", "norm": "Linf", "epsilon": 0.03, "steps": 10}),
}
EVALUATION = EvaluationFacts(
    "r18-at",
    "none",
    "cifar10",
    {"repair": Scope(baseline="unrepaired", measures=["corruption_accuracy", "criticality"])},
    dict.fromkeys(BUDGETS, Attack("white-box")),
)
FINE = np.random.default_rng(0).random((2 + len(CONDITIONS), IMAGES))  # how hard each image is, the same for all


def predicted(share: float, hard: np.ndarray, rng) -> np.ndarray:
    """Return predictions of which about `share` are right: the easier images, and a few by chance."""
    return np.where(hard + rng.normal(0, 0.05, IMAGES) < share, LABELS, (LABELS + 1) % 10).astype(np.int32)


def judged(seed: int) -> dict[tuple[str, str, str, str], np.ndarray]:
    """Return predictions by (method, attack, budget, condition); -1 where an image was not judged."""
    rng = np.random.default_rng(seed)
    found = {}
    for method, (clean, corrupted, attacked) in RATES.items():
        found[method, CLEAN, "{}", ""] = predicted(clean, FINE[0], rng)
        for place, name in enumerate(CONDITIONS):
            found[method, CLEAN, SOURCE, name] = predicted(corrupted, FINE[2 + place], rng)
            found[method, CLEAN, SOURCE, name][CORRUPTED:] = -1
        for name, less in (("aa", 0.02), ("pgd", 0.0)):
            found[method, name, BUDGETS[name], ""] = predicted(attacked - less, FINE[1], rng)
        found[method, "aa", BUDGETS["aa"], ""][ATTACKED:] = -1
    return found


def write(folder: Path, seed: int) -> tuple[list[Path], list[Path]]:
    """Write predictions and measures of every model of a seed as the stages do, a file for each method."""
    files: tuple[list[Path], list[Path]] = ([], [])
    shown = judged(seed)
    for method in RATES:
        columns: dict[str, list] = {
            name: [] for name in ("attack", "budget", "condition", "sample", "label", "prediction")
        }
        for (name, attack, budget, condition), guess in shown.items():
            if name == method:
                rows = np.flatnonzero(guess >= 0)
                for column, value in (("attack", attack), ("budget", budget), ("condition", condition)):
                    columns[column] += [value] * len(rows)
                columns["sample"] += [SAMPLES[row] for row in rows]
                columns["label"] += LABELS[rows].tolist()
                columns["prediction"] += guess[rows].tolist()
        count = len(columns["sample"])
        columns |= {"method": [method] * count, "seed": [seed] * count}
        files[0].append(folder / f"{method}-{seed}.parquet")
        write_table(files[0][-1], pa.table(columns), metadata={})
        files[1].append(folder / f"{method}-{seed}-measures.parquet")
        setting = {"method": method, "seed": seed, "attack": CLEAN}
        rows = [
            {
                **setting,
                "budget": SOURCE,
                "condition": "all",
                "metric": "corruption_accuracy",
                "sample": name,
                "value": share,
            }
            for name, share in zip(SAMPLES[:CORRUPTED], shares(shown, method).tolist(), strict=True)
        ]
        if method == "unrepaired":
            rows += [
                {
                    **setting,
                    "budget": "{}",
                    "condition": module,
                    "metric": "criticality",
                    "sample": "",
                    "value": 0.5 + seed,
                }
                for module in ("layer1.0.conv1", "layer4.1.conv2")
            ]
        write_measures(files[1][-1], rows)
    return files


def shares(shown, method) -> np.ndarray:
    """Return the share of conditions that each image is right under, written out."""
    right = [shown[method, CLEAN, SOURCE, name][:CORRUPTED] == LABELS[:CORRUPTED] for name in CONDITIONS]
    return np.array([sum(bool(row[place]) for row in right) / len(right) for place in range(CORRUPTED)])


def tables(folder: Path, seeds, *, published=()) -> Path:
    """Run both stages and return the folder of their tables."""
    written = [write(folder, seed) for seed in seeds]
    predictions, measures = ([path for pair in written for path in pair[side]] for side in (0, 1))
    places = [0] * len(predictions)
    collect_measurements.run(
        inputs=collect_measurements.Inputs(predictions, measures),
        outputs=collect_measurements.Outputs(folder / "measurements.parquet"),
        study="rift",
        config_digest="c",
        evaluations=[EVALUATION],
        files=places,
        measure_files=places,
    )
    names = ("summary.parquet", "comparisons.parquet", "summary.csv", "summary.html", "summary.tex")
    summarise.run(
        inputs=summarise.Inputs(folder / "measurements.parquet", predictions, measures),
        outputs=summarise.Outputs(*(folder / name for name in names)),
        evaluations=[EVALUATION],
        files=places,
        measure_files=places,
        experiments={"repair": "Does it help?"},
        published=list(published),
        seed=0,
    )
    return folder


PUBLISHED = [
    PublishedNumber(
        "rift", "repair", "r18-at", "none", "cifar10", "rift", CLEAN, "corruption_accuracy", value, "s", name
    )
    for name, value in (("all", 0.7), ("snow-5", 0.5))
]


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """One seed."""
    return tables(tmp_path_factory.mktemp("one"), (1,), published=PUBLISHED)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Path:
    """Three seeds."""
    return tables(tmp_path_factory.mktemp("three"), (1, 2, 3))


def read(folder: Path):
    return read_summary(folder / "summary.parquet"), read_comparisons(folder / "comparisons.parquet")


def pick(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


# -- comparisons -------------------------------------------------------------------------------------------------------


def mcnemar(shown, method, attack, budget):
    """Return the raw p-value of a repair against the unrepaired model on the images both judged."""
    sides = [shown[name, attack, budget, ""] for name in (method, "unrepaired")]
    mine, other = (side[side >= 0] == LABELS[side >= 0] for side in sides)
    return mcnemar_exact(int((mine & ~other).sum()), int((~mine & other).sum()))


def test_one_seed_is_compared_by_mcnemar_over_the_test_images(one):
    _, comparisons = read(one)
    shown = judged(1)
    for metric, places in (("accuracy", [(CLEAN, "{}")]), ("robust_accuracy", list(BUDGETS.items()))):
        keys = [(attack, budget, method) for method in ("rift", "rift-all") for attack, budget in places]
        adjusted = holm([mcnemar(shown, method, attack, budget) for attack, budget, method in keys])
        for (attack, _, method), p_value in zip(keys, adjusted, strict=True):
            row = pick(comparisons, method=method, attack=attack, metric=metric)
            assert (row["baseline"], row["p_value"]) == ("unrepaired", pytest.approx(p_value))
    row = pick(comparisons, method="rift", metric="accuracy")
    assert row["difference"] == pytest.approx(row["mean"] - row["baseline_mean"])
    assert 0.1 < row["low"] < row["difference"] < row["high"] < 0.2


def test_three_seeds_are_paired_by_seed(three):
    _, comparisons = read(three)
    row = pick(comparisons, method="rift", metric="accuracy")
    rates = [[float((judged(seed)[method, CLEAN, "{}", ""] == LABELS).mean()) for seed in (1, 2, 3)]
             for method in ("rift", "unrepaired")]  # fmt: skip
    found = stats.ttest_rel(*rates)
    raw = [found.pvalue, stats.ttest_rel([float((judged(s)["rift-all", CLEAN, "{}", ""] == LABELS).mean())
                                          for s in (1, 2, 3)], rates[1]).pvalue]  # fmt: skip
    assert (row["seeds"], row["p_value"]) == (3, pytest.approx(holm(raw)[0]))
    interval = found.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))


def test_the_mean_over_corruptions_is_paired_image_by_image(one):
    rows, comparisons = read(one)
    shown = judged(1)
    mine, other, rest = (shares(shown, method) for method in ("rift", "unrepaired", "rift-all"))
    row = pick(comparisons, method="rift", metric="corruption_accuracy", condition="all")
    found = stats.ttest_rel(mine, other)
    interval = found.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["p_value"] == pytest.approx(holm([found.pvalue, stats.ttest_rel(rest, other).pvalue])[0])
    measured = pick(rows, method="rift", metric="corruption_accuracy", condition="all")
    assert (measured["mean"], measured["counts"]) == (pytest.approx(mine.mean()), (CORRUPTED, CORRUPTED))


def test_single_corruptions_are_a_family_of_their_own(one):
    _, comparisons = read(one)
    shown = judged(1)
    keys = [(method, name) for method in ("rift", "rift-all") for name in CONDITIONS]
    raw = []
    for method, name in keys:
        mine, other = (shown[each, CLEAN, SOURCE, name][:CORRUPTED] == LABELS[:CORRUPTED]
                       for each in (method, "unrepaired"))  # fmt: skip
        raw.append(mcnemar_exact(int((mine & ~other).sum()), int((~mine & other).sum())))
    for (method, name), p_value in zip(keys, holm(raw), strict=True):
        row = pick(comparisons, method=method, metric="corruption_accuracy", condition=name)
        assert row["p_value"] == pytest.approx(p_value)
        assert row["low"] < row["difference"] < row["high"]


def test_accuracy_is_of_clean_images_alone(one):
    rows, _ = read(one)
    row = pick(rows, method="rift", metric="accuracy")
    assert (row["condition"], row["counts"]) == ("", (IMAGES, IMAGES))
    assert row["mean"] == pytest.approx(float((judged(1)["rift", CLEAN, "{}", ""] == LABELS).mean()))
    assert {row["condition"] for row in rows if row["metric"] == "robust_accuracy"} == {""}


def test_intervals_of_corruption_accuracy_over_seeds_stay_between_0_and_1(tmp_path, monkeypatch):
    monkeypatch.setitem(RATES, "rift", (0.85, 1.05, 0.4))
    rows, _ = read(tables(tmp_path, (1, 2)))
    highs = [row["high"] for row in rows if row["metric"] == "corruption_accuracy" and row["method"] == "rift"]
    assert max(highs) == 1.0


def test_a_published_mean_over_corruptions_meets_the_row_of_all_alone(one):
    rows, _ = read(one)
    found = [row for row in rows if row["published"] is not None]
    assert [(row["condition"], row["published"], row["seeds"]) for row in found] == [
        ("all", 0.7, 1),
        ("snow-5", 0.5, 0),
    ]


# -- what is told ------------------------------------------------------------------------------------------------------


def test_each_repair_has_one_sentence_of_what_changed(one):
    rows, comparisons = read(one)
    (told,) = answers(rows, comparisons)["repair"].splitlines()
    model, rift, everything = told.replace("p < ", "p=").split(". ")
    assert model.startswith("On cifar10, r18-at classifies correctly ")
    assert "of the corrupted images" in model
    assert "under pgd" in model
    changed = pick(comparisons, method="rift", metric="accuracy")
    words = f"accuracy rises from {100 * changed['baseline_mean']:.1f} % to {100 * changed['mean']:.1f} % (+"
    assert rift.startswith(f"After rift, against unrepaired: {words}")
    assert "corruption accuracy rises from" in rift
    same = rift.split("no detectable change in ")[1]
    assert same.startswith("robust accuracy under aa (from ")
    assert " and robust accuracy under pgd (from " in same
    assert same.count("points, ") == 2
    assert everything.startswith("After rift-all, against unrepaired: robust accuracy under aa falls from ")
    assert "no detectable change in accuracy (from" in everything


def test_a_model_without_a_repair_is_told_so_where_a_repair_is_the_baseline(one):
    rows, comparisons = read(one)
    turned = [row | {"method": "unrepaired", "baseline": "rift"} for row in comparisons if row["method"] == "rift"]
    assert ". Without a repair, against rift: " in answers(rows, turned)["repair"]


def test_the_short_answer_counts_what_changes(one):
    (told,) = short_answers(*read(one)).values()
    assert told.startswith("Accuracy: of 2 comparisons with unrepaired, in 1 it rises (rift ")
    assert "corruption accuracy: of 2 comparisons" in told
    assert "robust accuracy: of 4 comparisons with unrepaired, in 2 it falls (rift-all, " in told


def test_models_that_nothing_repairs_are_told_by_what_they_get_right(one):
    rows, _ = read(one)
    alone = [row for row in rows if row["method"] == "unrepaired"]
    assert answers(alone)["repair"].startswith("On cifar10, r18-at classifies correctly ")
    assert "After" not in answers(alone)["repair"]
    assert short_answers(alone)["repair"].startswith("No repair is compared: r18-at (accuracy ")
    (table,) = repairs.tables(alone, [])
    assert table.head.numbers == ("right, %", "n", "credible")


def test_a_robust_accuracy_that_is_undercut_is_said_to_be_not_credible(one):
    rows, comparisons = read(one)
    assert {row["credible"] for row in rows if row["attack"] == "pgd" and row["metric"] == "robust_accuracy"} == {True}
    doubted = [row | {"credible": False} if row["attack"] == "pgd" and row["method"] != "rift-all"
               and row["metric"] == "robust_accuracy" else row for row in rows]  # fmt: skip
    told = answers(doubted, comparisons)["repair"]
    assert told.endswith(f"Not credible under pgd (rift, unrepaired): {repairs.DOUBTED}.")
    (table,) = repairs.tables(doubted, comparisons)
    cells = {entry.names: entry.numbers[-1] for entry in table.entries}
    assert (cells["pgd", "rift"], cells["pgd", "rift-all"], cells["aa", "rift"]) == ("no", "yes", "-")


def test_tables_show_the_mean_over_corruptions_and_no_single_one(one):
    rows, comparisons = read(one)
    (table,) = repairs.tables(rows, comparisons)
    names = [entry.names for entry in table.entries]
    shown = ("clean", "corrupted", "aa", "pgd")
    assert names == [(name, method) for name in shown for method in ("unrepaired", "rift", "rift-all")]
    assert table.head.numbers == ("right, %", "n", "to unrepaired, points", "credible")
    clean = {entry.names[1]: entry for entry in table.entries[:3]}
    assert (clean["unrepaired"].numbers[2], clean["rift"].clear, clean["rift-all"].clear) == ("-", True, False)
    stream = io.StringIO()
    print_summary(one / "summary.parquet", one / "comparisons.parquet", {"repair": "Does it help?"}, stream)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "robust model r18-at, data set cifar10" in lines
    assert not [line for line in lines if "fog" in line or "snow" in line]
    assert not [line for line in lines if "layer4.1.conv2" in line]  # a row a module: the report has them
    assert "robust criticality: 2 rows in the report and in summary.csv" in lines
    page = (one / "summary.html").read_text()
    assert "snow-1" not in page
    assert "robust criticality (layer4.1.conv2)" in page
    with (one / "summary.csv").open() as file:
        conditions = {row["condition"] for row in csv.DictReader(file)}
    assert {"all", *CONDITIONS} <= conditions


def test_html_writes_the_mean_over_corruptions_in_percent(one):
    rows, _ = read(one)
    mean = pick(rows, method="rift", metric="corruption_accuracy", condition="all")["mean"]
    cells = next(line for line in (one / "summary.html").read_text().splitlines()
                 if "<td>rift</td>" in line and "<td>corruption accuracy</td>" in line)  # fmt: skip
    assert f">{100 * mean:.1f}<" in cells


def test_the_report_has_a_table_for_each_robust_model(one):
    rows, comparisons = read(one)
    (experiment,) = experiments_of(rows, {"repair": "Does it help?"}, comparisons)
    assert [table.title for table in experiment.tables] == ["robust model r18-at, data set cifar10", "Measures"]
    main, measures = experiment.tables
    assert len(main.rows) == 12
    assert {len(row.cells) for row in main.rows} == {len(main.head)}
    assert len(measures.rows) == 2


def test_two_sources_of_corruptions_are_told_apart(one):
    rows, comparisons = read(one)
    files = json.dumps({"source": "cifar10-c"})
    more = [row | {"budget": files} for row in rows if row["condition"] == "all"]
    (table,) = repairs.tables([*rows, *more], comparisons)
    labels = {entry.names[0] for entry in table.entries}
    assert {"corrupted (computed)", "corrupted (cifar10-c)"} <= labels


# -- the figure --------------------------------------------------------------------------------------------------------


def test_the_figure_shows_rates_and_paired_differences(one):
    rows, comparisons = read(one)
    figure = draw_robustness(rows, comparisons)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["clean", "corrupted", "aa", "pgd"]
    mean = pick(rows, method="rift", metric="accuracy")["mean"]
    drawn = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert len(drawn) == 12
    assert any(value == pytest.approx(100 * mean) for value in drawn)
    change = pick(comparisons, method="rift", metric="accuracy")
    ends = [tuple(line.get_xdata()) for line in right.lines if len(line.get_xdata()) == 2]
    assert any(pair == pytest.approx((100 * change["low"], 100 * change["high"])) for pair in ends)
    words = {text.get_text() for text in figure.texts}
    assert {"r18-at, cifar10", "unrepaired (baseline)", "rift", "rift-all"} <= words


def test_the_figure_marks_what_the_gate_does_not_believe_and_differences_from_it(one):
    rows, comparisons = read(one)
    doubted = [row | {"credible": False} if (row["attack"], row["method"], row["metric"]) ==
               ("pgd", "unrepaired", "robust_accuracy") else row for row in rows]  # fmt: skip
    sides = [[text.get_text() for text in axes.texts] for axes in draw_robustness(doubted, comparisons).axes]
    assert [sum(text.endswith("!") for text in side) for side in sides] == [1, 2]  # both repairs differ from it
    plain = draw_robustness(rows, comparisons)
    assert not any("!" in text.get_text() for axes in (plain, *plain.axes) for text in axes.texts)


def test_the_figure_without_robust_models_says_so():
    assert draw_robustness([], []).texts[0].get_text() == "No robust models in this study."


def test_the_other_figures_draw_no_robust_model(one, tmp_path):
    rows, _ = read(one)
    assert [len(part) for part in parted(rows)] == [0, len(rows)]
    names = ("attack_success", "trade_off", "training_curves", "robustness")
    png, pdf = ([tmp_path / f"{name}.{kind}" for name in names] for kind in ("png", "pdf"))
    for _ in range(2):
        draw_figures.run(
            inputs=draw_figures.Inputs(one / "summary.parquet", [], one / "comparisons.parquet"),
            outputs=draw_figures.Outputs(png, pdf),
            figures=[name.replace("_", "-") for name in names],
            trainings=[],
            controls={},
        )
        found = [path.read_bytes() for path in (*png, *pdf)]
    assert found == [path.read_bytes() for path in (*png, *pdf)]
