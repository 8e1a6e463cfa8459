"""A new injection, trigger or detector is one file: accepted, planned and run, and no concern of other jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from heirloom.config.kinds import DETECTORS, INJECTIONS, TRIGGERS
from heirloom.config.load import load_catalogue, parse
from heirloom.config.models import TriggerSettings
from heirloom.config.study import Catalogue, Trigger
from heirloom.defects.show import LoadedTrigger, load_triggers
from heirloom.defects.triggers.patch import Patch
from heirloom.defences.findings import Findings
from heirloom.defences.reversal import Reversed, write_reversed
from heirloom.runtime.digest import SCRIPTS, code_digest
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
STAGES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
RECIPE = {"iterations": 4, "batch_size": 8, "learning_rate": 0.05, "threads": 1}

COMPONENTS = {
    "defects/triggers/tint.py": '''
from typing import Literal

from heirloom.config.models import Share, TriggerSettings


class Tint(TriggerSettings):
    """A share of white over the whole image."""

    kind: Literal["tint"]
    share: Share = 0.5


def load(settings, files):
    from heirloom.defects.show import LoadedTrigger

    class Tinted(LoadedTrigger):
        def __call__(self, images, generator):
            return images * (1 - settings.share) + settings.share

    return Tinted()
''',
    "defects/injections/swapped.py": '''
from typing import Literal

from heirloom.config.models import DefectSettings, Name


class Swapped(DefectSettings):
    """Every image carries the trigger, but those that are chosen."""

    kind: Literal["swapped"]
    trigger: Name

    @property
    def triggers(self):
        return (self.trigger,)


def choose(settings, labels, classes):
    from heirloom.defects.plant import chosen_images

    return chosen_images(
        labels, portion=settings.portion, target=settings.target, classes=classes, seed=settings.seed
    )


def plant(settings, ground):
    from heirloom.defects.plant import Planting

    trigger = ground.triggers[settings.trigger]
    return Planting(
        choice=choose(settings, ground.train.labels, len(ground.train.classes)),
        transform=lambda images, labels, rows, generator: (trigger(images, generator), labels),
        facts={"portion": settings.portion},
    )


def work(settings, cost, sizes):
    from heirloom.config.work import training_load

    yield training_load(cost, settings.training, validation=sizes.validation)
''',
    "defences/detectors/brightest.py": '''
from typing import Literal

from heirloom.config.models import DetectorSettings


class Brightest(DetectorSettings):
    """The mean of each training image."""

    kind: Literal["brightest"]


def detect(model, part, settings, checkpoint):
    from heirloom.defences.findings import Findings

    scores = part.images.mean((1, 2, 3)) / 255
    return Findings(scope="image", scores=scores, flags=scores > settings.threshold)


def work(settings, cost, sizes, threads):
    from heirloom.config.work import looking_load

    yield looking_load(cost, images=sizes.training, passes=1, batch=64, threads=threads)
''',
}

CATALOGUE = {
    "triggers": {"white": {"kind": "tint", "share": 0.3}},
    "injections": {
        "control": {"kind": "clean", "dataset": "signs", "preparation": "small", "training": RECIPE},
        "ill": {
            "kind": "swapped",
            "dataset": "signs",
            "preparation": "small",
            "training": RECIPE,
            "trigger": "white",
            "portion": 0.25,
            "control": "control",
        },
    },
    "detectors": {"bright": {"kind": "brightest", "threshold": 0.5}},
}
STUDY = {
    "name": "new",
    "title": "new",
    "seeds": [1],
    "preparations": {"signs": "small"},
    "methods": {
        "plain": {"kind": "fine-tuning", "training": RECIPE},
        "unlearned": {"kind": "unlearning", "detector": "bright", "training": RECIPE},
    },
    "experiments": {
        "first": {
            "question": "?",
            "teachers": ["narrow-objects"],
            "injections": ["ill"],
            "datasets": ["signs"],
            "methods": ["plain"],
            "detectors": ["bright"],
        }
    },
}

PROGRAM = """
import json, sys
from pathlib import Path

from heirloom.plan.estimate import estimate
from heirloom.plan.plan import plan_of
from heirloom.plan.takes import Arrival
from heirloom.config.workflow import open_grid
from heirloom.runtime.errors import ConfigError

study, project = json.loads(sys.argv[1]), Path(sys.argv[2])
grid = open_grid(study, config_files=["study.yaml"], project=project)
tasks = estimate(plan_of(grid), arrival=lambda *_: Arrival(0, 0)).todo
loads = {job.rule: sum(load.passes for load in takes.loads) for job, takes in tasks}
assert "torch" not in sys.modules
study["experiments"]["first"]["methods"] = ["unlearned"]
try:
    open_grid(study, config_files=["study.yaml"], project=project)
    refusal = ""
except ConfigError as error:
    refusal = str(error)

from heirloom.runtime.files import read_card
from heirloom.stages import detect_backdoor, draw_contact_sheets, inject_defect, pretrain_teacher
from heirloom.training.session import TransferFiles
from tests.unit import toy

toy.write_data(project / "data", images=60)
files, teacher = toy.files_of(project / "data"), toy.model_files(project / "teacher")
pretrain_teacher.run(
    inputs=toy.development(project / "data"), outputs=teacher, body=toy.BODY, seed=0, code="code",
    normalisation=toy.classifier().normalisation, training=toy.recipe(iterations=4), augmentation=toy.STILL,
)
infected = toy.model_files(project / "infected")
inject_defect.run(
    inputs=inject_defect.Inputs(**files, teacher_card=teacher.card, teacher_weights=teacher.weights),
    outputs=infected, injection=grid.injection("ill"), triggers={"white": grid.trigger("white")},
    augmentation=toy.STILL, code="code",
)
found = detect_backdoor.Outputs(*(project / name for name in ("card.json", "measures.parquet", "reversed.npy")))
detect_backdoor.run(
    inputs=TransferFiles(**files, teacher_card=infected.card, teacher_weights=infected.weights),
    outputs=found, detector=grid.detector("bright"), name="bright", asked=[0], threads=1, code="code",
)
print(json.dumps({
    "defects": grid.defects, "targets": [grid.targets_of(each) for each in grid.evaluations], "loads": loads,
    "refusal": refusal, "injection": read_card(infected.card)["injection"], "detection": read_card(found.card),
    "files": sorted(path.name for path in project.iterdir()),
}))
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with one more component of each kind."""
    copy = Path(shutil.copytree(SCRIPTS, tmp_path_factory.mktemp("copy") / "workflow_scripts"))
    for name, text in COMPONENTS.items():
        (copy / "heirloom" / name).write_text(text)
    return copy


def test_a_new_component_changes_no_digest(scripts: Path) -> None:
    others = [each.module(name) for each in (INJECTIONS, TRIGGERS, DETECTORS) for name in each.names()]
    assert STAGES
    for stage in STAGES:
        for modules in ((), others):
            assert code_digest(stage, *modules, folder=scripts) == code_digest(stage, *modules, folder=SCRIPTS)
    added = code_digest("inject_defect", "heirloom.defects.injections.swapped", folder=scripts)
    assert added != code_digest("inject_defect", folder=scripts)


def test_a_component_s_file_is_all_that_its_kind_needs(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    for name in ("datasets", "teachers"):
        shutil.copy(PROJECT / f"config/{name}.yaml", tmp_path / "config")
    for name, entries in CATALOGUE.items():
        (tmp_path / f"config/{name}.yaml").write_text(json.dumps(entries))  # which is YAML too
    environment = os.environ | {"PYTHONPATH": f"{scripts}{os.pathsep}{PROJECT}"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(STUDY), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["defects"] == ["ill"]
    assert said["targets"] == [{"white": 0}, {"white": 0}]
    assert said["loads"]["inject_defect"] > 0
    assert said["loads"]["detect_backdoor"] > 0
    assert (
        '"unlearned" unlearns a reversed trigger, and the detector "bright" (brightest) reverses none'
        in said["refusal"]
    )
    facts = said["injection"]
    assert (facts["kind"], facts["portion"], facts["poisoned_images"], facts["changed_labels"]) == (
        "swapped",
        0.25,
        12,
        0,
    )
    card = said["detection"]
    assert (card["scope"], len(card["scores"])) == ("image", 48)
    assert card["flagged"] == [place for place, score in enumerate(card["scores"]) if score > 0.5]
    assert card["suspect"] == int(np.argmax(card["scores"]))
    assert np.load(tmp_path / "reversed.npy").shape == (0, 4, 0, 0)


def test_no_component_s_file_imports_torch() -> None:
    code = (
        "import sys\nfrom heirloom.config.kinds import DETECTORS, INJECTIONS, TRIGGERS\n"
        "for kind in (DETECTORS, INJECTIONS, TRIGGERS): print(len(kind.names())), kind.settings()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(SCRIPTS)})


def test_a_trigger_without_a_kind_is_a_patch() -> None:
    named, unnamed = (parse(Catalogue, {"triggers": {"a": each}}, where="x").triggers["a"] for each in (
        {"kind": "patch", "image": "a.png"}, {"image": "a.png"},
    ))  # fmt: skip
    assert named == unnamed == Patch(image="a.png")
    assert {entry.kind for entry in load_catalogue([PROJECT / "config"]).triggers.values()} == {"patch"}
    with pytest.raises(ConfigError, match='unknown kind "path"'):
        parse(Catalogue, {"triggers": {"a": {"kind": "path", "image": "a.png"}}}, where="x")


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"kind": "clean", "trigger": "t"}, "trigger"),
        ({"kind": "clean", "control": "c"}, "control"),
        ({"kind": "poison", "portion": 0.1, "trigger": "t"}, "trigger"),
        ({"kind": "backdoor", "portion": 0.1, "trigger": "t", "wrong_labels": "target"}, "wrong_labels"),
        (
            {
                "kind": "latent-backdoor",
                "portion": 0.1,
                "trigger": "t",
                "latent": {"stage": 1, "feature_weight": 1},
                "wrong_labels": "none",
            },
            "wrong_labels",
        ),
    ],
)
def test_a_key_of_another_kind_is_refused_by_the_kind_s_name(entry: dict[str, object], key: str) -> None:
    whole = {"dataset": "d", "preparation": "p", "training": RECIPE, **entry}
    with pytest.raises(ConfigError) as refused:
        parse(Catalogue, {"injections": {"a": whole}}, where="x")
    assert f'unknown key "injections.a.{key}" of the kind "{entry["kind"]}"' in str(refused.value)
    assert "update_ratio" in refused.value.mend


class Constant(LoadedTrigger):
    """Shows one value everywhere."""

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.full_like(images, 0.5)


def test_a_trigger_lies_everywhere_unless_it_says_where() -> None:
    assert Constant().region(2, 6, torch.Generator()).tolist() == torch.ones(2, 6, 6).tolist()


def test_files_are_those_of_the_triggers_in_their_order(tmp_path: Path) -> None:
    from PIL import Image

    files = []
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        files.append(tmp_path / f"{name}.png")
        Image.new("RGB", (4, 4), colour).save(files[-1])
    triggers: dict[str, TriggerSettings] = {
        name: TypeAdapter(Trigger).validate_python({"image": f"{name}.png", "side": 0.5}) for name in ("red", "blue")
    }
    loaded = load_triggers(triggers, files)
    shown = {
        name: each(torch.zeros(1, 3, 8, 8), torch.Generator())[0, :, -1, -1].tolist() for name, each in loaded.items()
    }
    assert shown == {"red": [1, 0, 0], "blue": [0, 0, 1]}
    with pytest.raises(ValueError, match=r"blue\.png"):
        load_triggers({"red": triggers["red"]}, files)


def test_findings_are_of_a_model_its_classes_or_images(tmp_path: Path) -> None:
    scores, flags = np.array([0.1, 3.0, 3.0]), np.array([False, True, True])
    found = Findings(scope="class", scores=scores, flags=flags, called="indices", facts={"norms": [1.0]})
    assert found.described() == {
        "scope": "class",
        "indices": [0.1, 3.0, 3.0],
        "flagged": [1, 2],
        "suspect": 1,
        "norms": [1.0],
    }
    trigger = Reversed(torch.zeros(4, 2, 2), 0.5)
    Findings(scope="class", scores=scores, flags=flags, reversed=[trigger] * 3)
    for wrong in (
        {"scope": "model", "scores": scores, "flags": flags},
        {"scope": "class", "scores": scores, "flags": flags[:2]},
        {"scope": "class", "scores": scores, "flags": flags, "reversed": [trigger]},
        {"scope": "image", "scores": scores, "flags": flags, "reversed": [trigger] * 3},
    ):
        with pytest.raises(ValueError, match=r"score|trigger"):
            Findings(**wrong)
    write_reversed(tmp_path / "none.npy", [])
    assert np.load(tmp_path / "none.npy").shape == (0, 4, 0, 0)
