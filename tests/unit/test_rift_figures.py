"""The figures of criticality and interpolation show their tables' numbers and have the same bytes again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex

from heirloom.reporting.figures.criticality import CHOSEN, PLAIN, Measured, draw_criticality, linear_below
from heirloom.reporting.figures.interpolation import Interpolated, draw_interpolation
from heirloom.runtime.files import write_table
from heirloom.stages import draw_rift
from tests.unit.test_figures import inside

MODULES = [
    "conv1",
    *(f"layer{stage}.{block}.conv{number}" for stage in (1, 2, 3, 4) for block in (0, 1) for number in (1, 2)),
    "fc",
]


def stage_of(name):
    return {"conv1": "stem", "fc": "head"}.get(name, name.split(".")[0])


def criticality(seed=0, modules=MODULES):
    """Rows as in the paper's range, the lowest at layer2.1.conv2."""
    random = np.random.default_rng(seed)
    rises = {name: float(10 ** random.uniform(-0.5, 1)) for name in modules}
    rises |= {"layer2.1.conv2": 0.09 + 0.01 * seed, "layer4.1.conv1": 12.94}
    return [
        {
            "module": name,
            "stage": stage_of(name),
            "criticality": rises[name],
            "robust_accuracy_start": 0.55,
            "robust_accuracy_worst": 0.55 - min(0.53, 0.04 * rises[name]),
        }
        for name in modules
    ]


def interpolation(*, candidates=2, chosen=(1, 0.7), lift=0.0):
    return [
        {
            "candidate": number,
            "modules": f"layer{1 + number}.1.conv2",
            "learning_rate": 0.001,
            "alpha": step / 10,
            "accuracy": 0.81 + lift + 0.02 * step / 10 / number,
            "robust_accuracy": 0.53 + lift - 0.004 * (step / 10) ** 3 * number,
            "chosen": (number, step / 10) == chosen,
        }
        for number in range(1, candidates + 1)
        for step in range(11)
    ]


def measured(model="robust-net", seed=0, chosen=("layer2.1.conv2",), **given):
    return Measured(model, seed, tuple(criticality(seed, **given)), frozenset(chosen))


def way(model="robust-net", repair="rift", seed=0, **given):
    return Interpolated(model, repair, seed, tuple(interpolation(**given)), 0.001)


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_bars_are_the_tables_numbers_in_the_models_order_and_the_chosen_one_is_marked():
    figure = draw_criticality([measured()])
    upper, lower = figure.axes
    rows = criticality()
    assert [bar.get_height() for bar in upper.patches] == [row["criticality"] for row in rows]
    lost = [100 * (row["robust_accuracy_start"] - row["robust_accuracy_worst"]) for row in rows]
    assert [bar.get_height() for bar in lower.patches] == pytest.approx(lost)
    assert [label.get_text() for label in lower.get_xticklabels()] == MODULES
    place = MODULES.index("layer2.1.conv2")
    assert [to_hex(bar.get_facecolor()).upper() for bar in upper.patches] == [
        CHOSEN if number == place else PLAIN for number in range(len(MODULES))
    ]
    (triangle,) = upper.texts  # not by colour alone
    assert triangle.xy[0] == place


def test_the_smallest_and_the_largest_criticality_both_show():
    upper = draw_criticality([measured()]).axes[0]
    shares = [upper.transAxes.inverted().transform(upper.transData.transform((0, v)))[1] for v in (0.09, 12.94)]
    assert 0.08 < shares[0] < 0.5 < shares[1] < 1
    assert [label.get_text() for label in upper.get_yticklabels()] == ["0", "0.01", "0.1", "1", "10"]


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0], 0.1), ([3.0, 12.0], 0.1), ([0.09, 5.0], 0.01), ([1e-7, 2.0], 0.001), ([], 0.1)]
)
def test_the_scale_is_linear_below_the_decade_of_the_smallest(values, expected):
    assert linear_below(values) == pytest.approx(expected)


def test_several_seeds_are_a_mean_with_dots_and_a_count_of_the_choices():
    figure = draw_criticality([measured(seed=0), measured(seed=1), measured(seed=2, chosen=("layer3.1.conv2",))])
    upper = figure.axes[0]
    place = MODULES.index("layer2.1.conv2")
    assert upper.patches[place].get_height() == pytest.approx(0.10)
    assert {"2 of 3", "1 of 3"} <= {text.get_text() for text in upper.texts}
    assert any("means over seeds" in text for text in texts(figure))


def test_no_model_is_told():
    assert "No criticality was measured in this study." in texts(draw_criticality([]))
    assert "No robust model was repaired in this study." in texts(draw_interpolation([]))


def test_curves_are_the_tables_numbers_with_the_chosen_alpha_and_the_tolerance():
    figure = draw_interpolation([way()])
    upper, lower = figure.axes
    rows = [row for row in interpolation() if row["candidate"] == 1]
    for axes, metric in ((upper, "accuracy"), (lower, "robust_accuracy")):
        drawn = [line.get_ydata() for line in axes.lines]
        start = rows[0][metric]
        assert any(
            np.allclose(line, [100 * (row[metric] - start) for row in rows]) for line in drawn if len(line) == 11
        )
        assert [text.get_text() for text in axes.texts] == [f"{100 * start:.1f} % at alpha 0"]
        (mine,) = [line for line in axes.lines if line.get_marker() == "o"]
        (chosen,) = [row for row in rows if row["chosen"]]
        assert mine.get_xdata()[0] == chosen["alpha"]
        assert mine.get_ydata()[0] == pytest.approx(100 * (chosen[metric] - start))
    (dashes,) = [line for line in lower.lines if line.get_linestyle() == "--"]
    assert dashes.get_ydata()[0] == pytest.approx(-0.1)


def test_each_model_and_repair_has_a_pair_of_panels_and_seeds_share_it():
    figure = draw_interpolation([way(seed=0), way(seed=1, lift=0.01), way(repair="head"), way(model="other")])
    assert len(figure.axes) == 3 * 2
    shared = figure.axes[4]  # robust-net's rift comes last
    assert [text.get_text() for text in shared.texts] == ["81.5 % at alpha 0"]
    assert sum(line.get_marker() == "o" for line in shared.lines) == 2


@pytest.mark.parametrize("model", ["net", "a-robust-model-with-a-long-name"])
def test_no_text_leaves_the_page(model):
    assert inside(draw_criticality([measured(model)]))
    assert inside(draw_criticality([measured(model, seed) for seed in range(3)]))
    assert inside(draw_interpolation([way(model, repair="a-repair-of-every-stage"), way("b"), way("c"), way("d")]))


def draw(folder: Path) -> dict[str, bytes]:
    files = {}
    for name, rows in (("criticality", criticality()), ("interpolation", interpolation())):
        files[name] = folder / f"{name}.parquet"
        write_table(files[name], pa.Table.from_pylist(rows), metadata={"kind": name})
    outputs = {
        f"{name}{suffix}": folder / f"{name}.{suffix.strip('_') or 'png'}" for name in files for suffix in ("", "_pdf")
    }
    draw_rift.run(
        inputs=draw_rift.Inputs([files["criticality"]], [files["interpolation"]]),
        outputs=draw_rift.Outputs(**outputs),
        measured=[("net", 1)],
        repaired=[("net", "rift", 1)],
        tolerances={"rift": 0.001},
        marked="rift",
    )
    return {name: path.read_bytes() for name, path in outputs.items()}


def test_equal_tables_give_equal_bytes(tmp_path):
    first, again = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert first == again
    assert all(content.startswith(b"%PDF" if "_pdf" in name else b"\x89PNG") for name, content in first.items())
