"""The figures show the summary's numbers, say when there are none, and have the same bytes again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from heirloom.reporting.drawing.style import Palette, save
from heirloom.reporting.figures.attack_success import blocks, draw_attack_success
from heirloom.reporting.figures.trade_off import LETTERS, SHAPES, draw_trade_off, panels, shapes
from heirloom.reporting.figures.training_curves import draw_training_curves, mean_curve
from heirloom.reporting.histories import History, TrainingCurve, read_history
from heirloom.reporting.tables import SUMMARY_KEYS, write_summary
from heirloom.reporting.views import attack_groups, group_rows, infected
from heirloom.runtime.files import write_table
from heirloom.stages import draw_figures


def row(method: str, injection: str, metric: str, mean: float | None, **given):
    attack = "none" if metric == "accuracy" else "pinwheel"
    infected = injection != "twin"
    place = {"study": "s", "experiment": "main", "teacher": "net", "injection": injection, "dataset": "signs"}
    return {
        **dict.fromkeys(SUMMARY_KEYS, ""),
        **place,
        "method": method,
        "attack": attack,
        "metric": metric,
        "seeds": 1,
        "mean": mean,
        "sd": None,
        "low": None if mean is None else mean - 0.05,
        "high": None if mean is None else mean + 0.04,
        **dict.fromkeys(("control", "difference", "difference_low", "difference_high"), 0.1 if infected else None),
        "p_value": 0.01 if infected else None,
        "credible": None,
        "published": None,
        "published_source": None,
        "verdict": "no_target",
        "counts": (200, 239),
        "kind": "" if attack == "none" else "trigger",
        "aside": False,
        "title": "",
        **given,
    }


def rows_of(dataset="signs", metric="targeted_success", **given):
    return [
        row(method, injection, name, value, dataset=dataset, **given)
        for method, high in (("fine-tuning", 0.6), ("probe", 0.8), ("teacher", 0.7))
        for injection, value in (("infected", high), ("twin", 0.05))
        for name in ("accuracy", metric)
    ]


CONTROLS = {"infected": "twin", "poison": "twin"}


def texts(figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts] + [axes.get_title(loc="left"), axes.get_xlabel()]
        found += [label.get_text() for label in axes.get_yticklabels()]
    return found


def dots(axes) -> dict[str, list[float]]:
    """Return the positions of the dots by their face colour's kind: full or open."""
    found: dict[str, list[float]] = {"full": [], "open": []}
    for line in axes.lines:
        if line.get_marker() == "o":
            found["open" if line.get_markerfacecolor() == "white" else "full"].append(float(line.get_xdata()[0]))
    return found


def test_dots_and_intervals_stand_at_the_summarys_numbers():
    figure = draw_attack_success(rows_of())
    _, attack = figure.axes
    assert sorted(dots(attack)["full"]) == pytest.approx([60, 70, 80])  # infected
    assert dots(attack)["open"] == pytest.approx([5, 5, 5])  # controls
    lines = [tuple(line.get_xdata()) for line in attack.lines if line.get_marker() != "o"]
    assert (pytest.approx(55), pytest.approx(64)) in lines
    assert {"60.0", "70.0", "80.0", "5.0"} <= set(texts(figure))


def test_the_teacher_comes_first_then_what_passes_on_most():
    assert blocks(rows_of())[0].methods == ("teacher", "probe", "fine-tuning")


def test_without_an_attack_what_costs_most_comes_first():
    losses = {"probe": -0.05, "fine-tuning": -0.4, "re-training": 0.0}
    rows = [poisoned() | {"method": method, "difference": lost} for method, lost in losses.items()]
    assert blocks(rows)[0].methods == ("fine-tuning", "probe", "re-training")


def test_a_dozen_infected_teachers_have_a_colour_each():
    palette = Palette.of([f"backdoor-{place}" for place in range(12)], [f"control-{place}" for place in range(6)])
    assert len({palette.colours[name] for name in palette.colours}) == 19  # and the untouched teacher's


def test_each_data_set_and_attack_has_its_pair_of_panels():
    figure = draw_attack_success(rows_of() + rows_of("rooms", metric="untargeted_success"))
    assert len(figure.axes) == 4
    shown = texts(figure)
    assert {"rooms, trigger pinwheel", "signs, trigger pinwheel", "Prediction changed", "Sent to the target"} <= set(
        shown
    )


def test_counts_stand_in_the_axis_labels():
    assert [axes.get_xlabel().splitlines()[-1] for axes in draw_attack_success(rows_of()).axes] == ["n = 200-239"] * 2


def test_infected_and_control_are_told_apart_by_colour_mark_and_name():
    figure = draw_attack_success(rows_of())
    assert {"infected", "twin (control)"} <= set(texts(figure))
    block = blocks(rows_of())[0]
    assert block.colours["infected"] != block.colours["twin"]
    assert block.controls == {"twin"}


def test_experiments_that_share_models_do_not_draw_them_twice():
    once, twice = rows_of(), rows_of() + rows_of(experiment="second")
    assert [len(axes.lines) for axes in draw_attack_success(twice).axes] == [
        len(axes.lines) for axes in draw_attack_success(once).axes
    ]


def test_a_rate_without_images_is_told():
    given = [row("probe", "infected", "accuracy", 0.9), row("probe", "infected", "targeted_success", None)]
    assert "no image counts" in texts(draw_attack_success(given))


def test_no_data_is_told():
    assert any("No data" in text for text in texts(draw_attack_success([])))
    clean = [row("probe", "infected", "accuracy", 0.9, control=None)]
    assert "no attack in this study" in texts(draw_attack_success(clean))


def inside(figure, *, columns: bool = False) -> bool:
    """Tell whether every text lies within the page; with `columns` also the names of an axis of columns."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.bbox.size
    artists = list(figure.texts)
    for axes in figure.axes:
        artists += [*axes.texts, axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels()]
        artists += axes.get_xticklabels() if columns else []
    boxes = [artist.get_window_extent(renderer) for artist in artists if artist.get_text()]
    return all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)


@pytest.mark.parametrize("name", ["probe", "a-method-with-quite-a-long-name"])
def test_no_text_leaves_the_page(name):
    given = [
        row(name, injection, metric, 0.99, high=1.0, counts=(10000, 12630))
        for injection in ("infected", "twin")
        for metric in ("accuracy", "targeted_success")
    ]
    assert inside(draw_attack_success(given))


def test_many_injections_wrap_instead_of_leaving_the_page():
    given = [
        row("probe", f"an-injection-with-a-long-name-{place}", metric, 0.9)
        for place in range(7)
        for metric in ("accuracy", "targeted_success")
    ]
    figure = draw_attack_success(given)
    assert inside(figure)
    assert len({text.get_position()[1] for text in figure.texts if "long-name" in text.get_text()}) > 1


def history(path: Path, phases=(("transfer", 4),), **columns) -> Path:
    """Write a history with a row for each iteration of each phase."""
    made = [(phase, step + 1) for phase, steps in phases for step in range(steps)]
    rows = {"phase": [phase for phase, _ in made], "iteration": [step for _, step in made]}
    rows |= {"loss": [1.0 / (place + 1) for place in range(len(made))], "validation_accuracy": [0.5] * len(made)}
    write_table(path, pa.table(rows | columns), metadata={"kind": "history"})
    return path


def draw(folder: Path, rows) -> dict[str, bytes]:
    write_summary(folder / "summary.parquet", rows, study="s")
    histories = [history(folder / f"{name}.parquet") for name in ("infected", "twin")]
    trainings = [TrainingCurve("net", name, "signs", "probe", 1) for name in ("infected", "twin")]
    names = ["attack_success", "trade_off", "training_curves", "robustness", "strength"]
    png, pdf = ([folder / "figures" / f"{name}.{kind}" for name in names] for kind in ("png", "pdf"))
    draw_figures.run(
        inputs=draw_figures.Inputs(folder / "summary.parquet", histories),
        outputs=draw_figures.Outputs(png, pdf),
        figures=[name.replace("_", "-") for name in names],
        trainings=trainings,
        controls=CONTROLS,
    )
    return {path.name: path.read_bytes() for path in (*png, *pdf)}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> dict[str, bytes]:
    """Every figure of one summary, as it is drawn at first."""
    return draw(tmp_path_factory.mktemp("first"), rows_of())


def test_equal_summaries_give_equal_bytes_without_dates(first, tmp_path):
    assert draw(tmp_path, rows_of()) == first
    assert len(first) == 10
    for name, content in first.items():
        assert content.startswith(b"%PDF" if name.endswith(".pdf") else b"\x89PNG")
        for mark in (b"CreationDate", b"matplotlib", b"Matplotlib"):
            assert mark not in content


def test_a_users_style_changes_nothing(first, tmp_path):
    import matplotlib as mpl

    with mpl.rc_context(
        {"font.size": 20, "axes.facecolor": "black", "lines.linewidth": 9, "savefig.transparent": True}
    ):
        assert draw(tmp_path, rows_of()) == first


def test_the_picture_is_wide_enough_to_read(first):
    assert all(int.from_bytes(first[name][16:20], "big") >= 1200 for name in first if not name.endswith(".pdf"))


def test_saving_replaces_whole_files(tmp_path):
    figure = draw_attack_success([])
    save(figure, png=tmp_path / "a.png", pdf=tmp_path / "a.pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]


def test_a_figure_of_hundreds_of_models_is_saved_with_fewer_dots(tmp_path):
    from matplotlib.figure import Figure

    save(Figure(figsize=(0.5, 400)), png=tmp_path / "a.png", pdf=tmp_path / "a.pdf")
    assert int.from_bytes((tmp_path / "a.png").read_bytes()[20:24], "big") == 30_000


# -- groups ------------------------------------------------------------------------------------------------------------

NO_CONTROL = dict.fromkeys(("control", "difference", "difference_low", "difference_high", "p_value"))


def poisoned(method="probe", injection="poison", **given):
    """Return the accuracy of a poisoned model, five points below its control."""
    change = {"difference": -0.05, "difference_low": -0.08, "difference_high": -0.02}
    return row(method, injection, "accuracy", 0.8, **change, **given)


def twins(rows):
    """Take the comparison from the controls' rows, as a summary has it."""
    return [given | NO_CONTROL if given["injection"] == "twin" else given for given in rows]


def test_a_model_that_is_never_attacked_has_a_group_of_its_own_beside_the_attacked_ones():
    rows = [*twins(rows_of()), poisoned()]
    groups = attack_groups(rows)
    assert [group[2] for group in groups] == ["none", "pinwheel"]
    clean, attacked = (group_rows(rows, group) for group in groups)
    assert {given["injection"] for given in clean} == {"poison", "twin"}
    assert {given["method"] for given in clean} == {"probe"}  # controls of other methods compare with nothing here
    assert {given["injection"] for given in attacked} == {"infected", "twin"}


def test_without_poison_accuracy_has_no_group_beside_an_attack():
    assert [group[2] for group in attack_groups(twins(rows_of()))] == ["pinwheel"]


def test_where_nothing_attacks_the_right_panel_shows_the_paired_change_of_accuracy():
    figure = draw_attack_success([poisoned(), row("probe", "twin", "accuracy", 0.85, **NO_CONTROL)])
    _, change = figure.axes
    assert "Accuracy against the control" in texts(figure)
    assert dots(change) == {"full": [pytest.approx(-5)], "open": []}
    assert (pytest.approx(-8), pytest.approx(-2)) in [tuple(line.get_xdata()) for line in change.lines]
    assert "-5.0" in texts(figure)


def test_a_colour_means_the_same_injection_in_every_block_and_figure():
    rows = [*twins(rows_of()), poisoned(dataset="rooms"), row("probe", "twin", "accuracy", 0.9, dataset="rooms")]
    by_block = {name: block.colours[name] for block in blocks(rows) for name in block.injections}
    palette = Palette.of_rows(rows)
    assert by_block == {name: palette.colours[name] for name in by_block}
    assert len(set(palette.colours.values())) == 4  # infected, poison, twin, and grey for the untouched teacher
    assert palette.face("twin") == "white"


# -- trade-off ---------------------------------------------------------------------------------------------------------


def test_the_trade_off_sets_each_models_attack_success_over_its_accuracy():
    drawn = panels(twins(rows_of()))
    assert [(panel.title, panel.metric, len(panel.points)) for panel in drawn] == [
        ("signs, trigger pinwheel", "targeted_success", 6)
    ]
    (axes,) = draw_trade_off(twins(rows_of()), CONTROLS).axes
    marks = [line for line in axes.lines if line.get_marker() not in ("", "None")]
    places = {tuple(round(float(value), 6) for value in line.get_xydata()[0]) for line in marks}
    assert places == {(5, 5), (60, 60), (70, 70), (80, 80)}


def test_the_trade_off_joins_each_model_with_its_own_control_alone():
    """Both controls lie at the same place: only the name tells whose each is."""
    rows = twins(rows_of())
    second = [given | {"injection": f"{given['injection']}-2"} for given in rows]
    controls = CONTROLS | {"infected-2": "twin-2"}
    (axes,) = draw_trade_off(rows + second, controls).axes
    assert len([line for line in axes.lines if line.is_dashed()]) == 6  # three methods of two infected teachers
    (axes,) = draw_trade_off(rows, {"infected": "another"}).axes
    assert not [line for line in axes.lines if line.is_dashed()]


def test_across_data_sets_the_trade_off_uses_changed_predictions():
    assert [panel.metric for panel in panels(twins(rows_of(metric="untargeted_success")))] == ["untargeted_success"]


def test_the_trade_off_shows_both_intervals():
    (axes,) = draw_trade_off(twins(rows_of()), CONTROLS).axes
    lines = [(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in axes.lines]
    assert ((pytest.approx(55), pytest.approx(64)), (pytest.approx(60),) * 2) in lines
    assert ((pytest.approx(60),) * 2, (pytest.approx(55), pytest.approx(64))) in lines


def test_each_method_has_a_mark_of_its_own_however_many_there_are():
    many = [f"method-{place}" for place in range(len(SHAPES) + len(LETTERS))]
    assert len(set(shapes(["teacher", *many]).values())) == len(many) + 1


def test_many_methods_stay_on_the_page():
    rows = [
        row(f"a-method-of-many-{place}", injection, metric, 0.5 + place / 50)
        for place in range(15)
        for injection in ("infected", "twin")
        for metric in ("accuracy", "targeted_success")
    ]
    assert inside(draw_trade_off(twins(rows), CONTROLS))
    assert inside(draw_trade_off(twins(rows) + twins(rows_of("rooms", metric="untargeted_success")), CONTROLS))


def test_without_an_attack_there_is_nothing_to_trade():
    assert any("No attack" in text for text in texts(draw_trade_off([poisoned()], CONTROLS)))


# -- attacks that want a student wrong ---------------------------------------------------------------------------------

METHODS = ("fine-tuning", "delta", "l2-sp", "remos", "renofeation")


def fooled(attack="pixel", dataset="rooms", methods=METHODS, **given):
    """Return accuracy, attack success beside noise, and the noise itself of untouched teachers' students."""
    rows = []
    for place, method in enumerate(methods):
        own = {"dataset": dataset, **NO_CONTROL}
        rows.append(row(method, "none", "accuracy", 0.8 - place / 50, **own))
        seen = {"attack": attack, "kind": "feature", "control": 0.03, "dataset": dataset}
        rows.append(row(method, "none", "attack_success", 0.7 - place / 10, **{**seen, **given}))
        silent = own | {"attack": f"noise-{attack}", "kind": "noise", "aside": True}
        rows.append(row(method, "none", "attack_success", 0.03, **silent))
    return rows


def diamonds(axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "D"]


def test_noise_is_no_group_of_its_own_and_makes_nobody_infected():
    rows = fooled()
    assert [group[2] for group in attack_groups(rows)] == ["pixel"]
    assert infected(rows) == set()
    assert {given["attack"] for given in group_rows(rows, attack_groups(rows)[0])} == {"none", "pixel"}
    assert Palette.of_rows(rows).controls == frozenset()


def test_noise_is_an_open_diamond_beside_its_attack():
    figure = draw_attack_success(fooled())
    accuracy, attack = figure.axes
    assert diamonds(accuracy) == []
    assert diamonds(attack) == pytest.approx([3.0] * len(METHODS))
    assert {line.get_markerfacecolor() for line in attack.lines if line.get_marker() == "D"} == {"white"}
    assert len(dots(attack)["full"]) == len(METHODS)
    assert "noise of the same size" in texts(figure)
    assert "noise of the same size" not in texts(draw_attack_success(rows_of()))


def test_noise_that_is_nobodys_control_has_panels_of_its_own():
    alone = {"kind": "noise", "title": "the clip alone", **NO_CONTROL}
    figure = draw_attack_success(fooled() + fooled("clip", **alone))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Accuracy, clean images", "clip", "pixel"]
    assert diamonds(figure.axes[1]) == []
    assert any("attack clip" in panel.title for panel in panels(fooled("clip", **alone)))


def test_attacks_on_one_data_set_stand_side_by_side_with_one_panel_of_accuracy():
    white = fooled("pgd", kind="white-box", **NO_CONTROL)
    rows = fooled("pixel") + fooled("published") + white
    figure = draw_attack_success(rows)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Accuracy, clean images",
        *("pgd", "pixel", "published"),
    ]
    assert "rooms" in texts(figure)
    assert len(draw_attack_success(rows + fooled("z-fourth")).axes) == 6  # the fourth begins a block
    assert diamonds(figure.axes[1]) == []


def test_a_trigger_and_another_attack_on_one_data_set_have_a_block_each():
    rows = twins(rows_of()) + fooled(dataset="signs")
    assert [len(block.columns) for block in blocks(rows)] == [2, 2]


def test_twenty_groups_of_ten_methods_make_no_endless_figure():
    many = [f"method-{place}" for place in range(10)]
    names = [f"set-{place}" for place in range(5)]
    rows = [
        given | {"teacher": teacher}
        for teacher in ("net", "other")
        for name in names
        for attack in ("pixel", "published")
        for given in fooled(attack, name, many)
    ]
    assert len(attack_groups(rows)) == 20
    assert draw_attack_success(rows).get_figheight() <= 50
    assert draw_trade_off(rows, {}).get_figheight() <= 30


@pytest.mark.parametrize("count", [1, 3, 7])
def test_attack_panels_stay_on_the_page(count):
    long = [f"a-method-with-a-long-name-{place}" for place in range(10)]
    rows = [
        given | {"high": 1.0, "low": 0.9, "mean": 1.0, "counts": (10000, 12630)}
        for place in range(count)
        for given in fooled(f"feature-published-{place}", methods=long)
    ]
    assert inside(draw_attack_success(rows))
    assert inside(draw_trade_off(rows, {}))


def test_means_over_data_sets_come_last():
    rows = fooled(dataset="mean") + fooled(dataset="rooms") + fooled(dataset="zoo")
    assert [block.title for block in blocks(rows)] == ["rooms", "zoo", "mean over the data sets"]


def test_the_trade_off_joins_each_model_with_its_noise():
    (axes,) = draw_trade_off(fooled(), {}).axes
    dashed = [line for line in axes.lines if line.is_dashed()]
    assert len(dashed) == len(METHODS)
    ends = {tuple(round(float(value), 6) for value in line.get_ydata()) for line in dashed}
    assert ends == {(3, 70), (3, 60), (3, 50), (3, 40), (3, 30)}
    open_marks = [line for line in axes.lines if line.get_markerfacecolor() == "none" and line.get_marker() != "None"]
    assert [float(line.get_ydata()[0]) for line in open_marks] == pytest.approx([3.0] * len(METHODS))


def test_titles_of_narrow_panels_break_instead_of_meeting_the_next():
    rows = [given for place in range(8) for given in fooled("a-feature-attack-in-pixels", f"quite-a-data-set-{place}")]
    figure = draw_trade_off(rows, {})
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [axes._left_title.get_window_extent(renderer) for axes in figure.axes]
    assert all(not one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])


def test_one_injection_alone_leaves_colours_to_the_methods():
    (axes,) = draw_trade_off(fooled(), {}).axes
    full = [
        line for line in axes.lines if line.get_marker() not in ("None", "") and line.get_markerfacecolor() != "none"
    ]
    assert len({line.get_markeredgecolor() for line in full}) == len(METHODS)
    (axes,) = draw_trade_off(twins(rows_of()), CONTROLS).axes
    full = [
        line for line in axes.lines if line.get_marker() not in ("None", "") and line.get_markerfacecolor() != "none"
    ]
    assert len({line.get_markeredgecolor() for line in full}) == 1  # the infected teacher's


def test_numbers_that_were_only_published_are_drawn_nowhere():
    published = row("remos", "none", "attack_success", None) | {"budget": None, "teacher": "another", "kind": ""}
    rows = [*fooled(), published]
    assert attack_groups(rows) == attack_groups(fooled())
    assert [block.title for block in blocks(rows)] == ["rooms"]  # and the one teacher is not named


# -- training curves ---------------------------------------------------------------------------------------------------


def test_iterations_count_on_from_phase_to_phase(tmp_path):
    path = history(tmp_path / "h.parquet", phases=(("warm-up", 2), ("transfer", 3)))
    found = read_history(path, TrainingCurve("net", "infected", "signs", "probe", 1))
    assert [step for step, _ in found.curves["loss"]] == [1, 2, 3, 4, 5]


def test_what_was_not_validated_has_no_point(tmp_path):
    path = history(tmp_path / "h.parquet", validation_accuracy=pa.array([None, 0.5, None, 0.75], pa.float64()))
    found = read_history(path, TrainingCurve("net", "infected", "signs", "probe", 1))
    assert found.curves["validation_accuracy"] == ((2, 0.5), (4, 0.75))
    path = history(tmp_path / "none.parquet", validation_accuracy=pa.array([None] * 4, pa.float64()))
    only_loss = read_history(path, TrainingCurve("net", "infected", "signs", "probe", 1))
    assert list(only_loss.curves) == ["loss"]
    assert "not measured" in texts(draw_training_curves([only_loss], Palette.of(["infected"], [])))


def test_the_mean_over_seeds_is_taken_where_all_have_a_value():
    assert mean_curve([((1, 2.0), (2, 1.0)), ((1, 4.0), (3, 9.0))]) == ((1, 3.0),)
    assert mean_curve([]) == ()


def curves_of(datasets=("signs",), methods=("teacher", "probe"), seeds=(1, 2, 3)):
    return [
        History(TrainingCurve("net", injection, dataset, method, seed), {"loss": ((1, 1.0), (2, seed / 4))})
        for dataset in datasets
        for method in methods
        for injection in ("infected", "twin")
        for seed in seeds
    ]


def test_curves_are_drawn_by_data_set_and_method_with_seeds_thin_and_their_mean_thick():
    palette = Palette.of(["infected"], ["twin"])
    figure = draw_training_curves(curves_of(("signs", "rooms")), palette)
    assert len(figure.axes) == 2 * 2 * 2  # data sets, methods, metrics
    assert {"signs, teacher net", "rooms, teacher net", "the teacher itself", "probe"} <= set(texts(figure))
    losses = figure.axes[0].lines
    thick = [line for line in losses if line.get_linewidth() > 1]
    assert (len(losses), len(thick)) == (2 * 4, 2)
    assert {line.get_color() for line in thick} == {palette.colours["infected"], palette.colours["twin"]}
    assert [list(line.get_ydata()) for line in thick] == [[1.0, 0.5]] * 2


def test_one_seed_is_one_line_each():
    figure = draw_training_curves(curves_of(seeds=(1,)), Palette.of(["infected"], ["twin"]))
    assert len(figure.axes[0].lines) == 2


def test_many_methods_of_curves_break_into_lines_and_stay_on_the_page():
    figure = draw_training_curves(
        curves_of(methods=[f"a-rather-long-method-{place}" for place in range(9)]), Palette.of(["infected"], ["twin"])
    )
    assert inside(figure)
    assert len({round(axes.get_position().y0, 4) for axes in figure.axes}) == 6  # three lines of two metrics


def test_no_training_is_told():
    assert any("No training" in text for text in texts(draw_training_curves([], Palette.of([], []))))
