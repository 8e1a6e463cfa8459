"""Attacked models in tables, sentences and figures: worded by tests alone, told by norm and kind of attack."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from heirloom.evaluation.metrics import CLEAN, Attack, EvaluationFacts, Scope
from heirloom.reporting import attack_suites
from heirloom.reporting.drawing.style import BESIDE_COLOURS, Palette
from heirloom.reporting.figures.robustness import blocks, draw_robustness
from heirloom.reporting.figures.strength import draw_strength, panels
from heirloom.reporting.report.content import experiments_of
from heirloom.reporting.sentences import answers, short_answers
from heirloom.reporting.tables import read_comparisons, read_summary
from heirloom.reporting.terminal import WIDTH, print_summary
from heirloom.reporting.wording import percent
from heirloom.runtime.files import write_table
from heirloom.stages import collect_measurements, draw_figures, summarise
from tests.unit.test_figures import inside

IMAGES, FEW = 400, 100
LABELS = (np.arange(IMAGES) % 10).astype(np.int32)
BUDGETS = {
    "fgsm": {"kind": "pgd", "norm": "Linf", "epsilon": 0.3, "steps": 1, "start": "clean"},
    "pgd": {"kind": "pgd", "norm": "Linf", "epsilon": 0.3, "steps": 40},
    "raw": {"kind": "pgd", "norm": "Linf", "epsilon": 0.3, "steps": 40, "through": "raw"},
    "square": {"kind": "square", "norm": "Linf", "epsilon": 0.3, "queries": 5000},
    "auto": {"kind": "autoattack", "norm": "Linf", "epsilon": 0.3},
    "cw": {"kind": "carlini-wagner", "norm": "L2", "steps": 10},
}
# shares right: clean, and under each attack
RATES = {
    "plain": {CLEAN: 0.99, "fgsm": 0.4, "pgd": 0.1, "raw": 0.1, "square": 0.1, "auto": 0.1, "cw": 0.0},
    "fpd": {CLEAN: 0.97, "fgsm": 0.9, "pgd": 0.85, "raw": 0.05, "square": 0.3, "auto": 0.1, "cw": 0.5},
}
LADDERS = {"defended": {"steps": ["fgsm", "pgd", "raw"]}}
EVALUATION = EvaluationFacts(
    CLEAN,
    CLEAN,
    "mnist",
    {
        "defended": Scope(baseline="plain", attack_baseline="pgd", conditions=[""], attacks=list(BUDGETS)),
        "transferred": Scope(conditions=["", "from-other"], attacks=["pgd"], methods=["fpd"]),
    },
    {name: Attack("white-box") for name in BUDGETS},
)


def predicted(share, seed):
    hard = np.random.default_rng(seed).random(IMAGES)
    return np.where(hard < share, LABELS, (LABELS + 1) % 10).astype(np.int32)


def write(path: Path, seed: int) -> Path:
    """Write the predictions of both models as attack_model does, in one file."""
    tables = []
    for method, shares in RATES.items():
        shown = [(name, "", share) for name, share in shares.items()]
        shown += [("pgd", "from-other", 0.7)] if method == "fpd" else []
        for place, (attack, condition, share) in enumerate(shown):
            count = FEW if attack == "square" else IMAGES
            budget = json.dumps(BUDGETS.get(attack, {}), sort_keys=True)
            names = {"method": method, "attack": attack, "budget": budget, "condition": condition}
            columns = {key: [value] * count for key, value in names.items()}
            columns |= {"seed": pa.array([seed] * count, pa.int32()), "sample": [f"{row:03d}" for row in range(count)]}
            columns |= {"label": LABELS[:count], "prediction": predicted(share, 100 * seed + place)[:count]}
            columns["confidence"] = pa.array([0.5] * count, pa.float32())
            tables.append(pa.table(columns))
    write_table(path, pa.concat_tables(tables), metadata={})
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The study's tables, over three seeds."""
    folder = tmp_path_factory.mktemp("tables")
    files = [write(folder / f"{seed}.parquet", seed) for seed in (1, 2, 3)]
    measurements = folder / "measurements.parquet"
    collect_measurements.run(
        inputs=collect_measurements.Inputs(files),
        outputs=collect_measurements.Outputs(measurements),
        study="s",
        config_digest="d",
        evaluations=[EVALUATION],
        files=[0, 0, 0],
    )
    names = {"summary": "summary.parquet", "comparisons": "comparisons.parquet", "csv": "s.csv", "html": "s.html"}
    paths = {key: folder / name for key, name in names.items()} | {"latex": folder / "s.tex"}
    summarise.run(
        inputs=summarise.Inputs(measurements, files),
        outputs=summarise.Outputs(**paths),
        evaluations=[EVALUATION],
        files=[0, 0, 0],
        experiments={"defended": "Does it hold?"},
        published=[],
        seed=0,
    )
    return paths


@pytest.fixture(scope="module")
def rows(tables):
    return read_summary(tables["summary"])


@pytest.fixture(scope="module")
def comparisons(tables):
    return read_comparisons(tables["comparisons"])


def cell(rows, method, attack, metric="robust_accuracy", condition="", experiment="defended"):
    keys = {"method": method, "attack": attack, "metric": metric, "condition": condition, "experiment": experiment}
    (found,) = [row for row in rows if all(row[name] == value for name, value in keys.items())]
    return found


def test_an_experiment_shows_its_own_conditions_alone(rows):
    conditions = {name: {row["condition"] for row in rows if row["experiment"] == name} for name in LADDERS}
    assert conditions == {"defended": {""}}
    shown = cell(rows, "fpd", "pgd", condition="from-other", experiment="transferred")
    assert shown["mean"] == pytest.approx(0.7, abs=0.05)
    assert {row["verdict"] for row in rows} == {"no_target"}


def test_a_defence_that_an_adaptive_attack_breaks_is_not_credible_and_its_twin_is(rows):
    assert cell(rows, "fpd", "pgd")["credible"] is False
    assert cell(rows, "fpd", "fgsm")["credible"] is False
    assert cell(rows, "plain", "pgd")["credible"] is True
    assert cell(rows, "fpd", "cw")["credible"] is None  # any change counts


def test_success_through_another_model_counts_images_that_are_right_when_clean(rows):
    found = cell(rows, "fpd", "pgd", metric="attack_success", condition="from-other", experiment="transferred")
    assert found["mean"] == pytest.approx(0.3, abs=0.06)


def test_models_are_compared_with_the_baseline_and_attacks_with_theirs(comparisons):
    defended = [row for row in comparisons if row["experiment"] == "defended"]
    models = {(row["method"], row["attack"]) for row in defended if row["method"] != row["baseline"]}
    assert models == {("fpd", name) for name in (CLEAN, *BUDGETS)}
    attacks = [row for row in defended if row["attack"] != row["baseline_attack"]]
    assert {row["baseline_attack"] for row in attacks} == {"pgd"}
    (raw,) = [row for row in attacks if (row["method"], row["attack"], row["metric"]) ==
              ("fpd", "raw", "robust_accuracy")]  # fmt: skip
    assert raw["difference"] == pytest.approx(-0.8, abs=0.05)


def test_sentences_tell_the_strongest_attack_of_each_kind_within_each_bound(rows, comparisons):
    fpd, plain = answers(rows, comparisons)["defended"].splitlines()
    assert fpd.startswith("On mnist, fpd classifies correctly 9")
    assert "within Linf 0.3, of attacks through the model pgd (2) leaves the least," in fpd
    assert "of adaptive ones, around a bounded head or denoising raw alone leaves" in fpd
    assert "of ensembles, in part without gradients auto alone leaves" in fpd
    assert "of those that need no gradient square alone leaves" in fpd
    assert "cw" not in fpd.split("Against")[0]  # any change counts: the tables hold it
    (against,) = [part for part in fpd.split(". ") if part.startswith("Against pgd on the same model: raw falls to")]
    assert "cw" not in against  # what may change anything is no measure of PGD
    assert "Not credible under auto, fgsm, pgd and square (fpd): another" in fpd
    assert "Against plain" in fpd
    assert "Against plain" not in plain


def test_a_short_answer_begins_with_the_worst_attack_and_compares_credible_rates_alone(rows, comparisons):
    short = short_answers(rows, comparisons)
    left = {"fpd": percent(cell(rows, "fpd", "raw")["mean"])}
    assert short["defended"].startswith(
        f"Within Linf 0.3, the strongest attack leaves fpd {left['fpd']} (raw, n = 400), plain"
    )
    doubted = [row for row in rows if row["experiment"] == "defended" and row["credible"] is False]
    assert f"; {len(doubted)} of 12 robust accuracies are not credible; " in short["defended"]
    assert {row["attack"] for row in doubted if row["method"] == "fpd"} == {"auto", "fgsm", "pgd", "square"}
    assert "accuracy: of the one comparison with plain, it falls" in short["defended"]
    assert "robust accuracy: of" not in short["defended"]  # raw is doubted of plain, and cw may change anything
    assert "; of images from other, the strongest attack leaves fpd 7" in short["transferred"]
    assert short["transferred"].endswith("; 1 of 1 robust accuracies are not credible.")


def test_a_size_of_whole_bytes_is_told_in_bytes_where_that_is_shorter():
    def told(**facts):
        return attack_suites.bound_of(json.dumps({"norm": "Linf", **facts}))

    assert [told(epsilon=size) for size in (8 / 255, 0.2, 0.3, 1.5)] == [
        "Linf 8/255",
        "Linf 0.2",
        "Linf 0.3",
        "Linf 1.5",
    ]
    assert told(epsilon=0.1, units="normalised") == "Linf 0.1 normalised"
    assert told() == ""


def test_the_terminal_shows_a_matrix_with_its_marks(tables):
    stream = io.StringIO()
    print_summary(tables["summary"], tables["comparisons"], {"defended": "Does it hold?"}, stream)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    (head,) = [line for line in lines if line.split() == ["shown", "fpd", "plain"]]
    found = {line.split()[0]: line.split()[1:] for line in lines[lines.index(head) + 1 :][:7]}
    assert list(found) == ["clean", "auto", "cw", "fgsm", "pgd", "raw", "square"]
    assert found["pgd"][0].endswith("!*")
    assert not found["pgd"][1].endswith(("!", "*"))
    assert set(attack_suites.LEGEND) <= set(lines)
    assert any("pgd from-other" in line for line in lines)


def test_more_models_than_fit_stand_below_each_other(rows, comparisons):
    many = attack_suites.matrices([row for row in rows if row["experiment"] == "defended"], comparisons, columns=1)
    assert [cells[1][0] for _, cells in many] == [["fpd"], ["plain"]]


def test_the_report_has_one_table_for_a_data_set(rows, comparisons):
    (defended, _) = experiments_of(rows, {"defended": "Does it hold?"}, comparisons)
    titles = [table.title for table in defended.tables]
    assert titles[0].startswith("data set mnist; not credible")
    assert {line.cells[0] for line in defended.tables[0].rows} == {"clean", *BUDGETS}


def test_a_ladder_is_drawn_from_clean_to_strong_with_every_model(rows):
    (panel,) = panels(rows, LADDERS)
    assert panel.title == "defended: steps (Linf 0.3)"
    assert panel.words == ("clean", "pgd\n1 step\nclean start", "pgd\n40 steps", "pgd\n40 steps\nraw")
    means = {name: [round(row["mean"], 1) for row in mine] for name, mine in panel.rows.items()}
    assert means["plain"] == [1.0, 0.4, 0.1, 0.1]
    assert list(means) == ["fpd", "plain"]


def test_points_that_are_not_credible_are_open(rows):
    axes = draw_strength(rows, LADDERS).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    open_dots = [line for line in dots if line.get_markerfacecolor() == "white"]
    expected = [name for name in ("fgsm", "pgd") if cell(rows, "fpd", name)["credible"] is False]
    expected += [name for name in ("fgsm", "pgd", "raw") if cell(rows, "plain", name)["credible"] is False]
    assert len(open_dots) == len(expected)


def test_one_step_is_told_as_one(rows):
    once = json.dumps({"kind": "pgd", "norm": "Linf", "epsilon": 0.3, "steps": 1})
    (panel,) = panels([row | {"budget": once} if row["attack"] == "fgsm" else row for row in rows], LADDERS)
    assert panel.words[1] == "pgd\n1 step"


def test_the_models_of_each_data_set_have_a_legend_and_the_furthest_colours_of_their_own(rows):
    others = [row | {"dataset": "svhn", "experiment": "more", "method": f"svhn-{row['method']}"}
              for row in rows if row["experiment"] == "defended"]  # fmt: skip
    figure = draw_strength([*rows, *others], {**LADDERS, "more": LADDERS["defended"]})
    drawn = [{line.get_color() for line in axes.lines if line.get_marker() == "None"} for axes in figure.axes]
    assert drawn[0] == drawn[1] == set(BESIDE_COLOURS[:2])
    words = [text.get_text() for text in figure.texts]
    assert {"fpd", "plain", "svhn-fpd", "svhn-plain"} <= set(words)
    assert words.index("plain") < words.index("defended: steps (Linf 0.3)") < words.index("svhn-fpd")


def test_attacked_models_are_drawn_against_the_baseline_that_most_are_compared_with(rows, comparisons):
    other = [row | {"experiment": "a", "method": "plain", "baseline": "fpd"} for row in comparisons
             if row["baseline"] == "plain" and row["attack"] == "fgsm"]  # fmt: skip
    figure = draw_robustness(rows, [*other, *comparisons])
    assert figure.axes[1].get_title(loc="left") == "Paired difference from plain"
    words = {text.get_text() for text in figure.texts}
    assert {"fpd", "plain (baseline)"} <= words
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["clean", "auto", "cw", "fgsm", "pgd", "raw", "square", "pgd\nfrom-other"]


def many_attacks(rows, times=9):
    """The same models under so many times the attacks."""
    return [row | {"attack": f"{row['attack']}{number}" if row["attack"] != "none" else "none"}
            for row in rows for number in range(times) if row["attack"] != "none" or number == 0]  # fmt: skip


def test_more_dots_than_a_page_holds_become_a_matrix(rows, comparisons):
    rows, comparisons = many_attacks(rows), many_attacks(comparisons)
    rows = [row | {"dataset": data, "method": row["method"] if data == "mnist" else f"svhn-{row['method']}"}
            for data in ("mnist", "svhn") for row in rows if data == "mnist" or row["method"] == "plain"]  # fmt: skip
    arranged, figure = blocks(rows, comparisons), draw_robustness(rows, comparisons)
    block = arranged[0]
    axes = figure.axes[0]
    assert len(block.shown) > 50
    assert figure.get_figheight() < sum(each.height for each in arranged)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["plain (baseline)", "fpd"]
    places = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert places == {
        (block.shown.index(label), block.methods.index(method)): attack_suites.cell(
            row, clear=(label, method) in block.changes and attack_suites.is_clear(block.changes[label, method])
        )
        for (label, method), row in block.rates.items()
    }
    assert {mark for text in places.values() for mark in "!*" if mark in text} == {"!", "*"}
    colours = axes.images[0].get_array()
    for (label, method), row in block.rates.items():
        assert colours[block.shown.index(label), block.methods.index(method)] == row["mean"]
    assert inside(figure, columns=True)


def test_models_side_by_side_have_colours_of_their_own():
    assert len(set(Palette.beside(f"m{place}" for place in range(18)).colours.values())) == 18


def test_without_a_ladder_the_figure_says_so(rows):
    assert not draw_strength(rows, {}).axes


def test_the_figures_of_the_summary_are_drawn_twice_alike(tables, tmp_path):
    def drawn(folder):
        names = ("attack_success", "trade_off", "training_curves", "robustness", "strength")
        folder.mkdir()
        png, pdf = ([folder / f"{name}.{kind}" for name in names] for kind in ("png", "pdf"))
        inputs = draw_figures.Inputs(tables["summary"], [], tables["comparisons"])
        draw_figures.run(
            inputs=inputs,
            outputs=draw_figures.Outputs(png, pdf),
            figures=[name.replace("_", "-") for name in names],
            trainings=[],
            controls={},
            ladders=LADDERS,
        )
        return [path.read_bytes() for path in (*png, *pdf)]

    assert drawn(tmp_path / "a") == drawn(tmp_path / "b")
