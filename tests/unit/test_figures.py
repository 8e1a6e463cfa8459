"""The figure shows the summary's numbers, says when there are none, and has the same bytes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from heirloom.reporting.figures.attack_success import blocks, draw_attack_success
from heirloom.reporting.figures.style import save
from heirloom.reporting.tables import SUMMARY_KEYS, write_summary
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
        **given,
    }


def rows_of(dataset="signs", metric="targeted_success", **given):
    return [
        row(method, injection, name, value, dataset=dataset, **given)
        for method, high in (("fine-tuning", 0.6), ("probe", 0.8), ("teacher", 0.7))
        for injection, value in (("infected", high), ("twin", 0.05))
        for name in ("accuracy", metric)
    ]


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


def inside(figure) -> bool:
    """Tell whether every text lies within the page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.bbox.size
    artists = list(figure.texts)
    for axes in figure.axes:
        artists += [*axes.texts, axes.xaxis.label, *axes.get_yticklabels()]
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


def draw(folder: Path, rows) -> tuple[bytes, bytes]:
    write_summary(folder / "summary.parquet", rows, study="s")
    outputs = draw_figures.Outputs(folder / "figures" / "a.png", folder / "figures" / "a.pdf")
    draw_figures.run(inputs=draw_figures.Inputs(folder / "summary.parquet"), outputs=outputs)
    return outputs.png.read_bytes(), outputs.pdf.read_bytes()


def test_equal_summaries_give_equal_bytes_without_dates(tmp_path):
    first, again = draw(tmp_path / "a", rows_of()), draw(tmp_path / "b", rows_of())
    assert first == again
    png, pdf = first
    assert png.startswith(b"\x89PNG")
    assert pdf.startswith(b"%PDF")
    for mark in (b"CreationDate", b"matplotlib", b"Matplotlib"):
        assert mark not in png
        assert mark not in pdf


def test_a_users_style_changes_nothing(tmp_path):
    import matplotlib as mpl

    plain = draw(tmp_path / "a", rows_of())
    with mpl.rc_context(
        {"font.size": 20, "axes.facecolor": "black", "lines.linewidth": 9, "savefig.transparent": True}
    ):
        assert draw(tmp_path / "b", rows_of()) == plain


def test_the_picture_is_wide_enough_to_read(tmp_path):
    png, _ = draw(tmp_path, rows_of())
    assert int.from_bytes(png[16:20], "big") >= 1200


def test_saving_replaces_whole_files(tmp_path):
    figure = draw_attack_success([])
    save(figure, png=tmp_path / "a.png", pdf=tmp_path / "a.pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png"]
