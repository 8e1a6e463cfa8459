"""The report is one page that holds everything, says what the tables say, and opens without an error."""

from __future__ import annotations

import base64
import html as markup
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from heirloom.data.inventory import DATA_CHECK
from heirloom.defects.injections.backdoor import Backdoor
from heirloom.reporting.figures.contact_sheet import ContactSheet
from heirloom.reporting.report.content import PNG
from heirloom.reporting.tables import COSTS, write_comparisons, write_rows, write_summary
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import write_json
from heirloom.stages import write_report
from tests.unit import toy
from tests.unit.test_figures import NO_CONTROL, poisoned, row, rows_of, twins

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = "<script>alert(1)</script> & \"quotes\" 'here' <img src=x onerror=alert(2)>"
SHA = "0123456789abcdef" * 4
VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def picture(path: Path, size=(60, 40)) -> Path:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path)
    return path


def card(path: Path, **facts) -> Path:
    write_json(path, {"kind": "teacher", "files": {"weights.safetensors": {"sha256": SHA}}, **facts})
    return path


def data_row(**given):
    numbers = {name: 1 for name, kind in DATA_CHECK.items() if kind != "string"}
    texts = {name: "" for name, kind in DATA_CHECK.items() if kind == "string"}
    return {**numbers, **texts, "dataset": "signs", "preparation": "small", "split": "test", "label": None, **given}


def cost_row(rule: str, **given):
    return {**dict.fromkeys(COSTS), "study": "s", "condition": rule, "seconds": 2.0, "jobs": 2, **given}


def write(folder: Path, rows, *, title="A title", question="Does it stay?", wide=(60, 40), comparisons=()) -> str:
    """Write a report from small tables and return it."""
    write_summary(folder / "summary.parquet", rows, study="s")
    write_comparisons(folder / "comparisons.parquet", comparisons, study="s")
    checks = [data_row(class_name=None, licence=EVIL), data_row(label=1, images=4321)]
    write_rows(folder / "data_check.parquet", checks, columns=DATA_CHECK, schema="data_check")
    costs = [cost_row("train_student", peak_memory_bytes=2**30), cost_row("prepare_dataset", seconds=1.0, jobs=1)]
    write_rows(folder / "costs.parquet", costs, columns=COSTS, schema="costs")
    names = ("attack_success", "trade_off", "training_curves")
    (folder / "attention_main.txt").write_text("Chosen by a rule:\nimages 3 and 7.\n")
    planted = {"kind": "backdoor", "target": 0, "trigger": {"name": "dot"}, "poisoned_images": 9, "seed": 3}
    inputs = write_report.Inputs(
        summary=folder / "summary.parquet",
        comparisons=folder / "comparisons.parquet",
        data_check=folder / "data_check.parquet",
        costs=folder / "costs.parquet",
        figures=[picture(folder / f"{name}.png", wide) for name in names],
        captions=[ROOT / f"rules/captions/{name}.rst" for name in names],
        data_cards=[card(folder / "data.json", files={"test/images.npy": {"sha256": SHA}})],
        teacher_cards=[card(folder / "clean.json"), card(folder / "bad.json", dataset="signs", injection=planted)],
        sheets=[picture(folder / "contact_sheet_infected.png")],
        attention=[picture(folder / "attention_main.png")],
        attention_captions=[folder / "attention_main.txt"],
    )
    backdoor = Backdoor(
        kind="backdoor", dataset="signs", preparation="small", training=toy.recipe(), trigger="dot", portion=0.2
    )
    about = write_report.About(
        study="s",
        title=title,
        digest="d" * 64,
        seeds=[1, 2],
        questions={"main": question},
        command="make results STUDY=s",
        data=[("signs", "small")],
        teachers=[("net", "none"), ("net", "infected")],
        sheets=[ContactSheet("infected", backdoor, toy.STILL)],
        attention=["main"],
    )
    write_report.run(inputs=inputs, outputs=write_report.Outputs(folder / "report.html"), about=about)
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return Page(write(tmp_path_factory.mktemp("report"), twins(rows_of())))


def test_every_picture_is_inside_the_page_as_a_png(page):
    pictures = page.all("img")
    assert len(pictures) == 5
    for attributes in pictures:
        head, _, content = attributes["src"].partition(",")
        assert head == "data:image/png;base64"
        decoded = base64.b64decode(content, validate=True)
        assert decoded.startswith(PNG)
        assert (attributes["width"], attributes["height"]) == ("60", "40")
        assert attributes["alt"]


def test_the_figures_of_attention_have_a_section_with_their_captions(page):
    assert "attention" in [attributes.get("id") for _, attributes in page.tags]
    assert "Chosen by a rule: images 3 and 7." in page.text


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_run(page, tmp_path):
    text = write(tmp_path, twins(rows_of()))
    assert not page.all("script")
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name, "")
            assert value.startswith(("#", "data:")) or not value, f"<{tag} {name}={value[:40]}>"
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?://|@import|url\(", text)


def test_ids_are_unique_links_lead_to_them_and_headings_are_in_order(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for attributes in page.all("a")]
    assert links
    assert set(links) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert not page.open


def test_the_page_says_question_answer_numbers_and_how_to_run_it_again(page):
    for words in (
        "Does it stay?",
        "Sent to the target: both students",
        "80.0 (75.0-84.0), n 200-239",
        "teacher net, signs, trigger pinwheel",
        "backdoor: trigger dot, 9 images, label 0, seed 3",
        SHA,
        "d" * 64,
        "make results STUDY=s",
        "train_student",
        "1,024",
    ):
        assert words in page.text.replace("\N{NO-BREAK SPACE}", " "), words


def test_captions_are_those_of_snakemakes_report(page):
    caption = " ".join((ROOT / "rules/captions/trade_off.rst").read_text().split())
    assert caption in page.text


def test_the_data_check_shows_whole_splits_alone(page):
    assert "4321" not in page.text


def test_a_users_words_are_never_markup(tmp_path):
    text = write(tmp_path, twins(rows_of(experiment="main")), title=EVIL, question=EVIL)
    found = Page(text)
    assert not found.all("script")
    assert len(found.all("img")) == 5
    assert EVIL in markup.unescape(text)
    assert found.text.count("<script>alert(1)</script>") >= 3  # title, question, licence


def test_a_study_that_measured_nothing_has_a_report(tmp_path):
    assert "The study measured nothing." in Page(write(tmp_path, [])).text


def test_poison_is_shown_by_its_difference(tmp_path):
    rows = [poisoned(), row("probe", "twin", "accuracy", 0.85, **NO_CONTROL)]
    assert "-5.0 (-8.0 to -2.0)" in Page(write(tmp_path, rows)).text


def test_a_feature_attack_has_a_column_of_noise_and_its_comparisons_a_table(tmp_path):
    from tests.unit.test_robustness import COMPARISONS, ROWS

    found = Page(write(tmp_path, ROWS, comparisons=COMPARISONS))
    text = found.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "rooms, attack feature-pixel; difference from noise of the same size and p: attack success" in text
    assert "noise, %" in text
    assert "Against fine-tuning, attack success falls after renofeation to 8.0 %" in text
    assert "Attack success: of 2 comparisons with fine-tuning" in text
    cells = "attack success renofeation 8.0 62.1 -12.1 (-15.1 to -10.1) 0.002 -54.1 (-57.1 to -52.1) <0.001"
    assert cells in text
    assert "noise-pixel" not in text
    assert "Published numbers" not in text


def test_comparisons_of_attacks_have_a_table_of_their_own(tmp_path):
    from tests.unit.test_robustness import ATTACKS_COMPARED, COMPARISONS, SLICED

    found = Page(write(tmp_path, SLICED, comparisons=ATTACKS_COMPARED + COMPARISONS))
    text = found.text.replace("\N{NO-BREAK SPACE}", " ")
    of_methods, _, of_attacks = text.partition("Against feature-pixel on the same student")
    cells = "renofeation feature-slice-aware attack success 20.0 8.0 +12.0 (+9.0 to +14.0) <0.001"
    assert cells in of_attacks
    assert "Against fine-tuning, net, rooms" in of_methods
    assert "feature-slice-aware attack success" not in of_methods
    assert "after renofeation the attack feature-slice-aware fools the student on 20.0 %" in of_methods


def test_a_noise_that_is_nobodys_control_has_a_table(tmp_path):
    from tests.unit.test_robustness import ROWS, attacked

    clip = {"attack": "clip-alone", "kind": "noise", "aside": False, "title": "the clip alone"}
    text = Page(write(tmp_path, [*ROWS, attacked("fine-tuning", 0.2, noise=None, **clip)])).text
    assert "rooms, attack clip-alone (the clip alone)" in text
    assert "noise-pixel" not in text


def test_published_numbers_stand_beside_the_measured_ones(tmp_path):
    from tests.unit.test_robustness import attacked

    rows = [
        attacked("delta", 0.8, published=0.82, published_source="them, Figure 5 [R]", verdict="reproduced"),
        attacked("remos", None, noise=None, published=0.1234, published_source="them, Figure 6 [R]", budget=None)
        | {"verdict": "not_comparable (not implemented)", "experiment": "figure-6", "counts": (0, 0)},
    ]
    found = Page(write(tmp_path, rows))
    text = found.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "delta feature-pixel attack success reproduced 82.0 80.0 (78.0-81.0), n 239" in text
    assert "remos feature-pixel attack success not comparable (not implemented) 12.3 -" in text
    assert "main: Published numbers: 1 reproduced. Source: them, Figure 5 [R]" in text
    assert {"href": "#published"} in found.all("a")
    assert "experiment-figure-6" not in {attributes.get("id") for _, attributes in found.tags}


def test_equal_inputs_give_equal_bytes(tmp_path):
    assert write(tmp_path / "a", twins(rows_of())) == write(tmp_path / "b", twins(rows_of()))


def test_a_figure_that_is_no_png_is_named(tmp_path):
    write(tmp_path, [])
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(DamagedFileError, match=r"bad\.png is damaged"):
        write_report.picture(tmp_path / "bad.png", name="bad", heading="", caption="")


# -- in a browser ------------------------------------------------------------------------------------------------------

PROBE = """<script>
window.problems = [];
window.addEventListener("error", e => window.problems.push(String(e.message || e.target.src).slice(0, 80)), true);
window.addEventListener("load", () => setTimeout(() => {
  const images = [...document.images], root = document.scrollingElement;
  const found = {images: images.length, empty: images.filter(i => !i.complete || !i.naturalWidth).length,
    window: innerWidth, width: root.clientWidth, scroll: root.scrollWidth, problems: window.problems,
    fetched: performance.getEntriesByType("resource").map(e => e.name.slice(0, 60)).filter(n => !n.startsWith("data:")),
    dark: matchMedia("(prefers-color-scheme: dark)").matches};
  const place = document.createElement("output"); place.id = "probe";
  place.textContent = JSON.stringify(found); document.body.append(place); }));
</script>"""
TELL = """<script>window.addEventListener("load", () => setTimeout(() =>
  parent.postMessage(document.getElementById("probe").textContent, "*"), 50));</script>"""
FRAME = """<!DOCTYPE html><title>narrow</title><body style="margin:0"><script>
window.addEventListener("message", e => { const place = document.createElement("output");
  place.id = "told"; place.textContent = e.data; document.body.append(place); });</script>
<iframe src="probed.html" width="360" height="800" style="border:0"></iframe>"""


def browse(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    return subprocess.run(
        [*command, profile, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )


def probed(folder: Path, text: str, *flags: str) -> tuple[dict, str]:
    """Open a page with the probe in it; returns what it found and what the browser's console said."""
    path = folder / "probed.html"
    path.write_text(text.replace("</head>", f"{PROBE}</head>", 1))
    done = browse(path, "--dump-dom", "--virtual-time-budget=5000", *flags)
    found = re.search(r'<output id="probe">(.*?)</output>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(markup.unescape(found[1])), console


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """A report with wide figures, wide tables and a long title."""
    long = "a-method-with-a-very-long-name-indeed-that-nobody-would-choose"
    rows = twins(rows_of()) + twins([row(long, name, "accuracy", 0.5) for name in ("infected", "twin")])
    return write(tmp_path_factory.mktemp("report"), rows, title="T" * 120, wide=(2000, 900))


@needs_browser
def test_the_probe_notices_what_is_wrong(tmp_path, report):
    wrong = (
        '<img src="data:image/png;base64,AAAA"><div style="width:3000px">x</div><script>console.error("no")</script>'
    )
    found, console = probed(tmp_path, report.replace("</body>", f"{wrong}</body>"), "--window-size=1280,900")
    assert found["empty"] == 1
    assert found["scroll"] > found["width"]
    assert "no" in console


@needs_browser
def test_every_image_loads_and_the_console_is_silent(tmp_path, report):
    found, console = probed(tmp_path, report, "--window-size=1280,900")
    assert (found["images"], found["empty"]) == (5, 0)
    assert found["problems"] == found["fetched"] == []
    assert not console


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_tables_in_their_boxes_and_never_the_page(tmp_path, report, dark):
    # a window of Chromium is never narrower than 500 pixels, a frame is
    (tmp_path / "probed.html").write_text(report.replace("</head>", f"{PROBE}{TELL}</head>", 1))
    (tmp_path / "frame.html").write_text(FRAME)
    flags = ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = browse(tmp_path / "frame.html", "--dump-dom", "--virtual-time-budget=5000", *flags)
    found = re.search(r'<output id="told">(.*?)</output>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    told = json.loads(markup.unescape(found[1]))
    assert (told["window"], told["empty"]) == (360, 0)
    assert told["scroll"] <= told["width"]
    assert told["dark"] == dark


@needs_browser
def test_it_prints(tmp_path, report):
    (tmp_path / "report.html").write_text(report)
    browse(tmp_path / "report.html", f"--print-to-pdf={tmp_path / 'report.pdf'}", "--no-pdf-header-footer")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
