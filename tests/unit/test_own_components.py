"""Components of a user's own: the examples of docs/extending.md work, their changes are seen, mistakes are told."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

from heirloom.config.costs import cost_of
from heirloom.config.kinds import ATTACKS, BODIES, FIELD, LAYOUTS, METHODS
from heirloom.config.load import parse
from heirloom.config.models import Body, Normalisation
from heirloom.config.study import Attack, Catalogue, ControlAttack, Detector, Injection, Method, Trigger
from heirloom.data.store import open_part
from heirloom.defects.show import load_triggers
from heirloom.evaluation.credibility import is_ensemble
from heirloom.models.classifier import build_classifier
from heirloom.runtime import own
from heirloom.runtime.digest import SCRIPTS, code_digest
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import read_card
from heirloom.stages import detect_backdoor, inject_defect, pretrain_teacher
from heirloom.training.session import TransferFiles
from heirloom.transfer.plan import plan_student
from tests.unit import toy

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = "docs/extending"
PAGE = PROJECT / "docs/extending.md"
RECIPE = {"iterations": 4, "batch_size": 8, "learning_rate": 0.05, "threads": 1}
METHOD = {FIELD: f"{FOLDER}/head_first.py:HeadFirst", "training": RECIPE, "probe_rate": 0.1}
STRIPES = {FIELD: f"{FOLDER}/stripes.py:Stripes", "epsilon": 0.1, "width": 3}
TINT = {FIELD: f"{FOLDER}/tinted.py:Tint", "share": 0.5}
INJECTION = {FIELD: f"{FOLDER}/tinted.py:CleanLabel", "dataset": "signs", "preparation": "small", "training": RECIPE}
INJECTION |= {"portion": 0.9, "target": 1, "trigger": "tint"}
DETECTOR = {FIELD: f"{FOLDER}/brightest.py:Brightest", "threshold": 0.5}
BODY = Body(name=f"{FOLDER}/two_layers.py:TWO_LAYERS", options={"width": 4})
LAYOUT = f"{FOLDER}/named_files.py:read"


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(PROJECT)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch) -> Path:
    """A folder with the examples, in which they may be changed."""
    shutil.copytree(PROJECT / FOLDER, tmp_path / FOLDER, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path / FOLDER


def read(field: object, entry: object):
    return TypeAdapter(field).validate_python(entry)


def test_the_page_quotes_each_example_as_it_is():
    quoted = dict(re.findall(rf"`{FOLDER}/(\w+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    assert quoted == {path.name: path.read_text() for path in (PROJECT / FOLDER).glob("*.py")}


@pytest.mark.parametrize(
    ("field", "entry"),
    [(Method, METHOD), (Attack, STRIPES), (ControlAttack, STRIPES), (Trigger, TINT), (Injection, INJECTION),
     (Detector, DETECTOR)],
)  # fmt: skip
def test_settings_are_checked_and_survive_the_way_to_a_job(field, entry):
    settings = read(field, entry)
    assert read(field, json.loads(json.dumps(TypeAdapter(field).dump_python(settings, mode="json")))) == settings
    with pytest.raises(ConfigError, match=r'unknown key ".*wrong"'):
        parse(Catalogue, {"triggers": {"a": {**TINT, "wrong": 1}}}, where="x")


def test_a_method_trains_its_head_first(tmp_path):
    toy.write_data(tmp_path)
    with toy.assigned(toy.opened(tmp_path)) as assignment:
        found = plan_student(toy.classifier(), read(Method, METHOD), assignment)
    history = toy.train(found.student, assignment.lesson, found.phases, tmp_path)
    assert list(dict.fromkeys(row["phase"] for row in history)) == ["probe", "training"]
    assert found.phases[0].trained == ("body.fc",)


def test_an_attack_shows_its_stripes():
    condition = ATTACKS.load(STRIPES[FIELD]).attack("stripes", read(Attack, STRIPES))
    images = torch.full((2, 3, 8, 8), 0.5)
    shown = condition.transform(toy.classifier())(images, np.arange(2))
    assert torch.allclose((shown - images).abs(), torch.tensor(0.1), atol=1e-6)
    assert (shown[0, 0, 0] > 0.5).tolist() == [False, False, False, True, True, True, False, False]
    assert not is_ensemble({FIELD: STRIPES[FIELD]})


def test_a_body_is_built_measured_and_trained():
    model = build_classifier(BODY, Normalisation(), classes=3, seed=0)
    assert model(torch.rand(2, 3, 8, 8)).shape == (2, 3)
    assert (cost_of(BODY).convolutions, cost_of(BODY).features) == (2, 8)
    assert cost_of(BODY).parameters == sum(value.numel() for value in model.parameters()) - 3 * 9


def test_a_layout_lists_its_pictures(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("development-b-1", "development-a-1", "test-a-2"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"pictures/{name}.png")
    found = LAYOUTS.load(LAYOUT).read(tmp_path)
    assert (found.classes, found.problems) == (("a", "b"), ())
    assert [(sample.part, sample.label) for sample in found.samples] == [
        ("development", 0),
        ("development", 1),
        ("test", 0),
    ]


def test_an_injection_and_its_detector_run_as_stages(tmp_path):
    toy.write_data(tmp_path / "data", images=60)
    files, teacher = toy.files_of(tmp_path / "data"), toy.model_files(tmp_path / "teacher")
    pretrain_teacher.run(
        inputs=toy.development(tmp_path / "data"), outputs=teacher, body=BODY, seed=0, code="code",
        normalisation=toy.classifier().normalisation, training=toy.recipe(iterations=4), augmentation=toy.STILL,
    )  # fmt: skip
    infected, injection = toy.model_files(tmp_path / "infected"), read(Injection, INJECTION)
    inject_defect.run(
        inputs=inject_defect.Inputs(**files, teacher_card=teacher.card, teacher_weights=teacher.weights),
        outputs=infected, injection=injection, triggers={"tint": read(Trigger, TINT)},
        augmentation=toy.STILL, code="code",
    )  # fmt: skip
    facts = read_card(infected.card)["injection"]
    part = open_part(files["images"], files["index"], files["card"]).split("train")
    assert facts["changed_labels"] == 0
    assert 0 < facts["poisoned_images"] <= (part.labels == 1).sum()
    found = detect_backdoor.Outputs(*(tmp_path / name for name in ("card.json", "measures.parquet", "reversed.npy")))
    detect_backdoor.run(
        inputs=TransferFiles(**files, teacher_card=infected.card, teacher_weights=infected.weights),
        outputs=found, detector=read(Detector, DETECTOR), name="brightest", asked=[0], threads=1, code="code",
    )  # fmt: skip
    card = read_card(found.card)
    assert card["flagged"] == [place for place, score in enumerate(card["scores"]) if score > 0.5]


def test_a_tint_is_shown_over_the_whole_image():
    tint = load_triggers({"tint": read(Trigger, TINT)}, [])["tint"]
    assert torch.equal(tint(torch.zeros(1, 3, 2, 2), torch.Generator()), torch.full((1, 3, 2, 2), 0.5))


def test_planning_imports_no_torch_for_an_example():
    program = f"""
import json, sys
from pydantic import TypeAdapter
from heirloom.config.kinds import BODIES, LAYOUTS
from heirloom.config.study import Attack, Detector, Injection, Method, Trigger
for field, entry in zip((Method, Attack, Trigger, Injection, Detector), json.loads(sys.argv[1])):
    TypeAdapter(field).validate_python(entry)
LAYOUTS.load({LAYOUT!r}), BODIES.member({BODY.name!r})
sys.exit("torch" in sys.modules)
"""
    entries = json.dumps([METHOD, STRIPES, TINT, INJECTION, DETECTOR])
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    assert subprocess.run([sys.executable, "-c", program, entries], check=False, env=environment).returncode == 0


# -- digests -----------------------------------------------------------------------------------------------------------


def digest(*modules: str) -> str:
    from heirloom.runtime import digest as module

    for remembered in (module.code_digest, module._source, module._file_of):
        remembered.cache_clear()
    return code_digest("train_student", *modules)


def test_a_job_s_code_is_the_component_its_neighbours_and_no_comment(copied):
    file = copied / "head_first.py"
    reference = METHODS.module(METHOD[FIELD])
    before = digest(reference)
    assert before != digest()
    file.write_text(file.read_text() + "\n# a remark\n")
    (copied / "stripes.py").write_text("")
    assert digest(reference) == before
    (copied / "rates.py").write_text("RATE = 1\n")
    file.write_text(file.read_text() + "\nimport numpy, rates\n")
    imported = digest(reference)
    assert imported != before
    (copied / "rates.py").write_text("RATE = 2\n")
    assert digest(reference) not in (before, imported)


def test_a_digest_does_not_say_where_the_project_lies(copied, monkeypatch):
    reference = METHODS.module(METHOD[FIELD])
    found = digest(reference)
    monkeypatch.chdir(PROJECT)
    assert digest(reference) == found
    assert digest(f"{copied}/head_first.py") == found


def test_a_package_is_followed_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    package = tmp_path / "mine_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "shared.py").write_text("A = 1\n")
    text = (PROJECT / FOLDER / "head_first.py").read_text()
    (package / "method.py").write_text(text.replace("from pydantic", "from .shared import A\nfrom pydantic"))
    settings = read(Method, METHOD | {FIELD: "mine_for_tests.method:HeadFirst"})
    assert METHODS.load(settings.kind).A == 1
    before = digest(METHODS.module(settings.kind))
    (package / "shared.py").write_text("A = 2\n")
    assert digest(METHODS.module(settings.kind)) != before


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("docs/extending/absent.py:HeadFirst", "there is no file docs/extending/absent.py"),
        ("absent_package.module:HeadFirst", "there is no module absent_package.module"),
        (f"{FOLDER}/head_first.py:Absent", "head_first.py has no Absent"),
        (f"{FOLDER}/stripes.py:Stripes", "is no transfer method: it has no settings of one"),
        (f"{FOLDER}/head_first.py:plan", "TransferSettings"),
    ],
)
def test_what_is_no_component_is_told_with_its_key(kind, told):
    with pytest.raises(ConfigError) as caught:
        parse(Catalogue, {"methods": {"mine": METHOD | {FIELD: kind}}}, where="x.yaml")
    assert told in str(caught.value)
    assert "methods.mine" in str(caught.value)


def test_a_module_that_cannot_be_imported_is_told_with_its_reason(copied):
    (copied / "broken.py").write_text("import no_such_library\n")
    with pytest.raises(ConfigError, match=r"broken\.py cannot be imported.*no_such_library"):
        own.load(f"{FOLDER}/broken.py")
    (copied / "json.py").write_text("")
    with pytest.raises(ConfigError, match="another module is called json"):
        own.load(f"{FOLDER}/json.py")
    (copied / "holds_no_layout.py").write_text("")
    with pytest.raises(ConfigError, match="has no read, which is to be a layout"):
        LAYOUTS.load(f"{FOLDER}/holds_no_layout.py:read")


def test_a_body_s_builder_is_looked_for_where_it_says():
    assert BODIES.member(BODY.name).builder == f"{FOLDER}/two_layers.py:build"
