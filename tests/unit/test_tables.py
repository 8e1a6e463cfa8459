"""The summary and the costs: what is averaged, what is compared with what, and what is written."""

from __future__ import annotations

import csv
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from heirloom.evaluation.metrics import CLEAN, Attack, EvaluationFacts, PredictionTable, Scope, Setting
from heirloom.evaluation.statistics import compare, holm, mcnemar_exact, t_interval, wilson
from heirloom.reporting import formats
from heirloom.reporting.comparisons import Judged
from heirloom.reporting.summary import check_controls, judge, summary_rows
from heirloom.reporting.tables import (
    COSTS,
    SUMMARY,
    measurement_rows,
    read_benchmark,
    read_comparisons,
    read_rows,
    read_summary,
    write_csv,
    write_rows,
    write_summary,
)
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError
from heirloom.runtime.files import read_table, table_metadata, write_table
from heirloom.stages import collect_costs, collect_measurements, summarise

IMAGES = 60
CLASSES = 4
LABELS = (np.arange(IMAGES) % CLASSES).astype(np.int32)
TARGET = 0


def predictions(models: dict[tuple[str, int], tuple[int, int]], *, samples=None) -> PredictionTable:
    """Models that get the first `wrong` images wrong and, under "mark", send the last `sent` images to the target."""
    settings = {}
    for (method, seed), (wrong, sent) in models.items():
        clean = LABELS.copy()
        clean[:wrong] = (clean[:wrong] + 1) % CLASSES
        attacked = clean.copy()
        attacked[IMAGES - sent :] = TARGET
        settings[Setting(method, seed, CLEAN, "{}", "")] = clean
        settings[Setting(method, seed, "mark", "{}", "")] = attacked
    return PredictionTable(
        tuple(samples or (f"{place:03d}" for place in range(IMAGES))), LABELS, dict(sorted(settings.items()))
    )


def evaluations(*, experiments=("main",), target: int | None = TARGET, control: str | None = "twin"):
    common = {"experiments": {name: Scope() for name in experiments}, "attacks": {"mark": Attack(target=target)}}
    return [
        EvaluationFacts("net", "infected", "signs", control=control, **common),
        EvaluationFacts("net", "twin", "signs", **common),
    ]


def summary(infected, twin, *, experiments=("main",), target: int | None = TARGET, seed: int = 0):
    found = evaluations(experiments=experiments, target=target)
    judged = [predictions(infected), predictions(twin)]
    measured = [
        row
        for evaluation, each in zip(found, judged, strict=True)
        for row in measurement_rows(evaluation, each, study="example", config_digest="abc")
    ]
    entries = [Judged.of(evaluation, each) for evaluation, each in zip(found, judged, strict=True)]
    return summary_rows(measured, entries, seed=seed)


def pick(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


ONE_SEED = ({("tuned", 0): (4, 40), ("teacher", 0): (2, 50)}, {("tuned", 0): (6, 3), ("teacher", 0): (1, 2)})


# -- one seed ----------------------------------------------------------------------------------------------------------


def test_the_summary_has_the_contracts_columns(tmp_path):
    rows = summary(*ONE_SEED)
    write_summary(tmp_path / "summary.parquet", rows, study="example")
    table = read_table(tmp_path / "summary.parquet")
    assert table.column_names == [
        *("study", "experiment", "teacher", "injection", "dataset", "split", "method", "attack", "budget", "condition"),
        *("metric", "seeds", "mean", "sd", "low", "high", "control", "difference", "difference_low"),
        *("difference_high", "p_value", "credible", "published", "published_source", "verdict"),
    ]
    assert table_metadata(tmp_path / "summary.parquet")["schema"] == "summary"
    assert table_metadata(tmp_path / "summary.parquet")["version"] == 1
    assert read_summary(tmp_path / "summary.parquet") == rows  # counts included


def test_one_seed_keeps_wilsons_interval_and_has_no_spread():
    row = pick(summary(*ONE_SEED), injection="infected", method="tuned", metric="targeted_success")
    # 60 images, 15 of the target class; of the 45 others the first 4 images hold 3 that are wrong when clean
    assert row["counts"] == (42, 42)
    assert (row["seeds"], row["sd"]) == (1, None)
    assert row["mean"] == 30 / 42  # of the last 40 images 30 are not of the target class
    assert (row["low"], row["high"]) == wilson(30, 42)
    assert row["verdict"] == "no_target"
    assert row["published"] is row["published_source"] is row["credible"] is None


def test_a_row_is_compared_with_the_control_injections_same_row():
    rows = summary(*ONE_SEED)
    row = pick(rows, injection="infected", method="tuned", metric="targeted_success")
    twin = pick(rows, injection="twin", method="tuned", metric="targeted_success")
    assert row["control"] == twin["mean"]
    assert row["difference"] == pytest.approx(row["mean"] - twin["mean"])
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    for name in ("control", "difference", "difference_low", "difference_high", "p_value"):
        assert twin[name] is None


def test_the_infected_teacher_is_compared_with_the_control_teacher():
    rows = summary(*ONE_SEED)
    row = pick(rows, injection="infected", method="teacher", metric="targeted_success")
    assert row["control"] == pick(rows, injection="twin", method="teacher", metric="targeted_success")["mean"]


def test_p_values_are_mcnemars_adjusted_within_a_metric():
    rows = summary(*ONE_SEED)
    # tuned: 42 and 40 images count (40 for both, the first 6 are wrong in one); 30 and 3 of the last hit
    counted = np.arange(IMAGES) >= 6
    other = counted & (LABELS != TARGET)
    tuned = int((other & (np.arange(IMAGES) >= 20)).sum() - (other & (np.arange(IMAGES) >= 57)).sum())
    teacher = int(
        ((LABELS != TARGET) & (np.arange(IMAGES) >= 10)).sum() - ((LABELS != TARGET) & (np.arange(IMAGES) >= 58)).sum()
    )
    expected = holm([mcnemar_exact(tuned, 0), mcnemar_exact(teacher, 0)])
    for method, value in zip(("tuned", "teacher"), expected, strict=True):
        assert pick(rows, injection="infected", method=method, metric="targeted_success")["p_value"] == value
    accuracy = holm([mcnemar_exact(2, 0), mcnemar_exact(0, 1)])
    assert pick(rows, injection="infected", method="tuned", metric="accuracy")["p_value"] == accuracy[0]


def test_a_comparison_shared_by_experiments_counts_once_for_holm():
    once = pick(summary(*ONE_SEED), injection="infected", method="tuned", metric="targeted_success")
    twice = summary(*ONE_SEED, experiments=("main", "other"))
    for name in ("main", "other"):
        row = pick(twice, experiment=name, injection="infected", method="tuned", metric="targeted_success")
        assert row | {"experiment": "main"} == once


def test_without_a_target_both_models_are_asked_for_their_own_collapse():
    rows = summary(*ONE_SEED, target=None)
    row = pick(rows, injection="infected", method="tuned", metric="collapse")
    assert row["counts"] == (56, 56)
    assert row["control"] is not None
    assert not [row for row in rows if row["metric"] == "targeted_success"]


def test_models_that_share_no_seed_are_not_compared():
    rows = summary({("tuned", 0): (4, 40)}, {("tuned", 1): (4, 3), ("probe", 0): (4, 3)})
    row = pick(rows, injection="infected", method="tuned", metric="targeted_success")
    assert [row[name] for name in ("control", "difference", "p_value")] == [None] * 3


def test_a_rate_without_images_is_null_and_not_compared():
    rows = summary({("tuned", 0): (IMAGES, 40)}, {("tuned", 0): (4, 3)})
    row = pick(rows, injection="infected", method="tuned", metric="targeted_success")
    assert [row[name] for name in ("mean", "low", "high", "control", "p_value")] == [None] * 5
    assert (row["seeds"], row["counts"]) == (0, (0, 0))


# -- several seeds -----------------------------------------------------------------------------------------------------


def test_seeds_give_mean_spread_and_t_interval():
    infected = {("tuned", seed): (4 + seed, 40 - 3 * seed) for seed in range(3)}
    twin = {("tuned", seed): (6, 3 + seed) for seed in range(3)}
    rows = summary(infected, twin)
    row = pick(rows, injection="infected", method="tuned", metric="accuracy")
    values = [56 / 60, 55 / 60, 54 / 60]
    assert row["seeds"] == 3
    assert row["mean"] == pytest.approx(np.mean(values))
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))
    assert (row["low"], row["high"]) == pytest.approx(t_interval(values))
    assert row["control"] == 0.9
    differences = [value - 0.9 for value in values]
    assert row["difference"] == pytest.approx(np.mean(differences))
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(t_interval(differences))


def test_a_t_interval_of_rates_stays_between_0_and_1():
    infected = {("tuned", 0): (0, 40), ("tuned", 1): (9, 40)}
    row = pick(summary(infected, infected), injection="infected", method="tuned", metric="accuracy")
    assert row["high"] == 1.0
    assert row["difference"] == 0


def test_only_seeds_that_both_models_have_are_compared():
    infected = {("tuned", 0): (4, 40), ("tuned", 1): (10, 40)}
    row = pick(summary(infected, {("tuned", 1): (6, 3)}), injection="infected", method="tuned", metric="accuracy")
    assert row["seeds"] == 2
    assert row["difference"] == pytest.approx(50 / 60 - 54 / 60)


def test_the_bootstrap_follows_its_seed():
    first, again, other = (summary(*ONE_SEED, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_pairing_is_by_image():
    """The same rates, once on the same images and once on others: only the pairing tells them apart."""
    hits = np.zeros((1, IMAGES), dtype=bool)
    hits[0, :30] = True
    full = np.ones_like(hits)
    from heirloom.evaluation.statistics import Pair

    nearly = hits.copy()
    nearly[0, [0, -1]] = ~nearly[0, [0, -1]]
    close, apart = (compare([Pair(full, hits, full, other)], seed=0)[0] for other in (nearly, ~hits))
    assert close.difference == apart.difference == 0
    assert close.high - close.low < 0.12
    assert apart.high - apart.low > 0.3


# -- what cannot be compared -------------------------------------------------------------------------------------------


def test_a_control_that_is_not_evaluated_is_a_config_error():
    found = evaluations(control="absent")
    with pytest.raises(ConfigError, match='control "absent" of "infected"'):
        check_controls(found, [predictions(ONE_SEED[0]), predictions(ONE_SEED[1])])


def test_a_control_that_judged_other_images_is_a_data_error():
    other = predictions(ONE_SEED[1], samples=[f"other-{place}" for place in range(IMAGES)])
    with pytest.raises(DataError, match="other images"):
        check_controls(evaluations(), [predictions(ONE_SEED[0]), other])


@pytest.mark.parametrize(
    ("published", "tolerance", "verdict"),
    [
        (None, None, "no_target"),
        (0.62, None, "reproduced"),
        (0.5, None, "reproduced"),
        (0.45, 0.2, "within_tolerance"),
        (0.45, 0.1, "contradicted"),
        (0.45, None, "contradicted"),
    ],
)
def test_verdicts(published, tolerance, verdict):
    assert judge(published=published, mean=0.6, low=0.5, high=0.7, tolerance=tolerance) == verdict


@pytest.mark.parametrize(
    ("half", "mean", "verdict"),
    [
        (0.04, 0.6, "reproduced"),
        (0.2, 0.63, "within_tolerance"),
        (0.3, 0.72, "not_comparable (the interval is wider than the tolerance)"),
        (0.04, 0.63, "reproduced"),
        (0.02, 0.63, "within_tolerance"),  # narrow and beside it, yet as near as the tolerance allows
        (0.02, 0.72, "contradicted"),
    ],
)
def test_an_interval_wider_than_the_tolerance_reproduces_nothing(half, mean, verdict):
    assert judge(published=0.6, mean=mean, low=mean - half, high=mean + half, tolerance=0.05) == verdict


def test_two_noisy_seeds_reproduce_no_number():
    low, high = t_interval([0.2, 0.9])
    assert low < 0.05 < high  # it holds nearly every rate
    verdict = judge(published=0.05, mean=0.55, low=low, high=high, tolerance=0.04)
    assert verdict == "not_comparable (the interval is wider than the tolerance)"


def test_a_verdict_says_why_numbers_cannot_be_compared():
    given = {"published": 0.6, "mean": 0.6, "low": 0.5, "high": 0.7}
    assert judge(**given, incomparable="another test set") == "not_comparable (another test set)"
    assert judge(**given | {"mean": None}) == "not_comparable (nothing was measured)"


# -- files -------------------------------------------------------------------------------------------------------------


def test_csv_holds_full_precision_and_nothing_for_null(tmp_path):
    rows = summary(*ONE_SEED)
    write_csv(tmp_path / "summary.csv", rows, columns=SUMMARY)
    with (tmp_path / "summary.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == list(SUMMARY)
    assert [float(row["mean"]) for row in found] == [row["mean"] for row in rows]
    assert {row["sd"] for row in found} == {""}


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not {"src", "href"} & dict(attrs).keys()
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data):
        if self.rows and data.strip():
            self.rows[-1].append(data)


def test_html_is_one_page_that_needs_nothing_else():
    rows = summary(*ONE_SEED)
    page = formats.html(rows, study="example <1>", questions={"main": "Is a < b & c?"})
    found = Cells()
    found.feed(page)
    assert not found.tags & {"script", "link", "img", "iframe"}
    assert "http" not in page
    assert "position: sticky" in page
    assert "Is a &lt; b &amp; c?" in page
    assert "example &lt;1&gt;" in page
    assert len(found.rows) == 1 + len(rows)
    assert {len(row) for row in found.rows} == {15}
    row = pick(rows, injection="infected", method="tuned", metric="targeted_success")
    cells = found.rows[1 + rows.index(row)]
    assert cells[7:11] == ["71.4", "56.4-82.8", "42", "1"]


def test_published_numbers_have_columns_of_their_own_where_there_are_any():
    plain = summary(*ONE_SEED)
    rows = [plain[0] | {"published": 0.5, "published_source": "them", "verdict": "within_tolerance"}, *plain[1:]]
    found = Cells()
    found.feed(formats.html(rows, study="example", questions={}))
    assert {len(row) for row in found.rows} == {17}
    assert [row[-2:] for row in found.rows[:3]] == [
        ["published, %", "verdict"],
        ["50.0", "within tolerance"],
        ["-", "-"],
    ]
    text = formats.latex(rows, study="example")
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in lines} == {16}
    assert rf"\begin{{longtable}}{{{'l' * 7}{'r' * 10}}}" in text


def test_latex_escapes_names_and_aligns_its_cells():
    rows = [row | {"method": "a_b&50%"} for row in summary(*ONE_SEED)]
    text = formats.latex(rows, study="example")
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + len(rows)
    assert {line.replace(r"\&", "").count("&") for line in lines} == {14}
    assert r"a\_b\&50\%" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")


def test_latex_tells_minus_signs_from_ranges():
    row = summary(*ONE_SEED)[0] | {"low": 0.1, "high": 0.2, "difference": -0.1}
    row |= {"difference_low": -0.2, "difference_high": -0.05, "control": None}
    line = formats.latex([row], study="example").splitlines()[6]
    assert " & 10.0--20.0 & " in line
    assert " & -- & $-$10.0 & $-$20.0 to $-$5.0 & " in line


def test_a_table_of_another_version_is_refused(tmp_path):
    write_table(tmp_path / "old.parquet", pa.table({"study": ["x"]}), metadata={"schema": "summary", "version": 0})
    with pytest.raises(DamagedFileError):
        read_summary(tmp_path / "old.parquet")


def run_all(folder: Path) -> dict[str, bytes]:
    """Run collect_measurements and summarise on predictions written to a folder."""
    paths = []
    for name, judged in zip(("infected", "twin"), (predictions(models) for models in ONE_SEED), strict=True):
        columns: dict[str, list] = {key: [] for key in (*Setting._fields, "sample", "label", "prediction")}
        for setting, predicted in judged.settings.items():
            for key, value in setting._asdict().items():
                columns[key] += [value] * IMAGES
            columns["sample"] += judged.samples
            columns["label"] += LABELS.tolist()
            columns["prediction"] += predicted.tolist()
        paths.append(folder / f"{name}.parquet")
        write_table(paths[-1], pa.table(columns), metadata={})
    tables = folder / "tables"
    measurements = tables / "measurements.parquet"
    collect_measurements.run(
        inputs=collect_measurements.Inputs(paths),
        outputs=collect_measurements.Outputs(measurements),
        study="example",
        config_digest="abc",
        evaluations=evaluations(),
        files=[0, 1],
    )
    names = ("summary.parquet", "comparisons.parquet", "summary.csv", "summary.html", "summary.tex")
    files = [tables / name for name in names]
    summarise.run(
        inputs=summarise.Inputs(measurements, paths),
        outputs=summarise.Outputs(*files),
        evaluations=evaluations(),
        files=[0, 1],
        experiments={"main": "Does it stay?"},
        published=[],
        seed=0,
    )
    return {file.name: file.read_bytes() for file in files}


def test_the_stage_writes_the_same_files_again(tmp_path):
    first, again = run_all(tmp_path / "a"), run_all(tmp_path / "b")
    assert first == again
    rows = read_summary(tmp_path / "a" / "tables" / "summary.parquet")
    assert rows == summary(*ONE_SEED)
    assert read_comparisons(tmp_path / "a" / "tables" / "comparisons.parquet") == []  # no experiment has a baseline
    assert str(tmp_path).encode() not in b"".join(first.values())


# -- costs -------------------------------------------------------------------------------------------------------------

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def benchmark(path: Path, *rows: tuple[str, str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{seconds}\t0:00:01\t{memory}\t-\t-\t-\t0.0\t0.0\t0.0\t0.1\n" for seconds, memory in rows]
    path.write_text(HEAD + "".join(lines))
    return str(path)


def costs(folder: Path, benchmarks) -> list[dict]:
    measurements = folder / "measurements.parquet"
    write_rows(measurements, [], columns=COSTS, schema="measurements", study="example")
    outputs = collect_costs.Outputs(folder / "costs.parquet")
    collect_costs.run(inputs=collect_costs.Inputs(measurements), outputs=outputs, benchmarks=benchmarks)
    return read_rows(outputs.costs, columns=COSTS)


def test_costs_are_read_from_benchmarks(tmp_path):
    keys = {"rule": "train_student", "teacher": "net", "method": "tuned", "seed": 1}
    path = benchmark(tmp_path / "b" / "one.tsv", ("12.5", "512.25"))
    row = costs(tmp_path, {path: keys})[0]
    assert list(row) == [
        *("study", "experiment", "teacher", "injection", "dataset", "split", "method", "seed", "attack", "budget"),
        *("condition", "seconds", "peak_memory_bytes", "jobs"),
    ]
    assert (row["study"], row["teacher"], row["method"], row["seed"]) == ("example", "net", "tuned", 1)
    assert (row["condition"], row["seconds"], row["jobs"]) == ("train_student", 12.5, 1)
    assert row["peak_memory_bytes"] == 512.25 * 1024**2
    assert row["dataset"] is row["attack"] is row["experiment"] is None


@pytest.mark.parametrize("memory", ["-", "NA"])
def test_a_job_too_short_to_sample_has_no_memory(tmp_path, memory):
    path = benchmark(tmp_path / "one.tsv", ("0.1", memory))
    assert read_benchmark(Path(path)) == [{"seconds": 0.1, "peak_memory_bytes": None}]


def test_the_log_tells_how_many_benchmarks_were_found(tmp_path, caplog):
    caplog.set_level("INFO")
    keys = {"rule": "train_student"}
    found, absent = {benchmark(tmp_path / "one.tsv", ("1.0", "10")): keys}, {str(tmp_path / "absent.tsv"): keys}
    costs(tmp_path, found)
    costs(tmp_path, found | absent)
    told = [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records]
    assert told == [("INFO", "costs of 1 of 1 jobs"), ("WARNING", "costs of 1 of 2 jobs")]


def test_jobs_of_equal_keys_add_up_and_absent_files_are_left_out(tmp_path):
    keys = {"rule": "draw_figures", "study": "other"}
    found = {
        benchmark(tmp_path / "a.tsv", ("1.0", "10")): keys,
        benchmark(tmp_path / "b.tsv", ("2.0", "-"), ("4.0", "30")): keys,
        str(tmp_path / "absent.tsv"): {"rule": "train_student"},
    }
    rows = costs(tmp_path, found)
    assert len(rows) == 1
    assert (rows[0]["study"], rows[0]["seconds"], rows[0]["jobs"]) == ("other", 7.0, 3)
    assert rows[0]["peak_memory_bytes"] == 30 * 1024**2


def test_no_benchmark_at_all_is_an_empty_table(tmp_path):
    assert costs(tmp_path, {}) == []


def test_a_file_that_is_no_benchmark_is_damaged(tmp_path):
    (tmp_path / "a.tsv").write_text("nothing\n1\n")
    with pytest.raises(DamagedFileError, match=r"a\.tsv is damaged"):
        costs(tmp_path, {str(tmp_path / "a.tsv"): {}})


def test_a_key_that_is_no_column_is_refused(tmp_path):
    path = benchmark(tmp_path / "a.tsv", ("1", "1"))
    with pytest.raises(ConfigError, match="colour is no column"):
        costs(tmp_path, {path: {"colour": "red"}})
