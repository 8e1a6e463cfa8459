"""What a study will take: held to torch's own counts, to the drawn files, and to what a training really does."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from pydantic import TypeAdapter
from torch.utils.flop_counter import FlopCounterMode

from heirloom.config import costs
from heirloom.config.costs import cost_of
from heirloom.config.grid import Grid
from heirloom.config.kinds import BODIES, INJECTIONS, LAYOUTS, WRITERS
from heirloom.config.load import load_study
from heirloom.config.models import Body, Counts, Files, Preparation, Training
from heirloom.config.resources import NEEDS
from heirloom.config.study import Injection
from heirloom.config.work import (
    TRAINED,
    DataSizes,
    Load,
    attack_passes,
    attacked_images,
    training_load,
)
from heirloom.defences.detectors import neural_cleanse
from heirloom.models.body import build_body
from heirloom.plan.counts import counts_of, stored_images
from heirloom.plan.estimate import estimate, missing
from heirloom.plan.job import Job
from heirloom.plan.plan import StudyPlan, plan_of
from heirloom.plan.rates import Rate, Rates, read_rates, wall_seconds, write_rates
from heirloom.plan.takes import Arrival, Takes
from heirloom.runtime.errors import ConfigError
from tests.unit import toy

PROJECT = Path(__file__).resolve().parents[2]
# (multiply-adds, outputs of convolutions, weights, features, convolutions) at 224 pixels, counted layer by
# layer, without the head
COUNTED = {
    ("cifar-resnet18", ()): (27215462400, 30105600, 11168832, 512, 20),
    ("cifar-resnet34", ()): (56810471424, 50176000, 21276992, 512, 36),
    ("elu-resnet101", ()): (7799357440, 16231936, 42500160, 2048, 104),
    ("elu-resnet18", ()): (1813561344, 2483712, 11176512, 512, 20),
    ("elu-resnet50", ()): (4087136256, 11113984, 23508032, 2048, 53),
    ("elu-resnext50", ()): (4228431872, 14400512, 22979904, 2048, 53),
    ("fpd-resnet101", ()): (18967431168, 36089088, 44144067, 2048, 216),
    ("fpd-resnet18", ()): (5936121856, 8592640, 12083139, 512, 48),
    ("fpd-resnet50", ()): (9860286464, 24918656, 24184643, 2048, 114),
    ("fpd-resnext50", ()): (10142877696, 31491712, 23656515, 2048, 114),
    ("mobilenet_v2", ()): (299494272, 6678112, 2223872, 1280, 52),
    ("resnet101", ()): (7799357440, 16231936, 42500160, 2048, 104),
    ("resnet18", ()): (1813561344, 2483712, 11176512, 512, 20),
    ("resnet18-small", ()): (27215462400, 30105600, 11168832, 512, 20),
    ("resnet34", ()): (3663249408, 3738112, 21284672, 512, 36),
    ("resnet34-small", ()): (56810471424, 50176000, 21276992, 512, 36),
    ("resnet50", ()): (4087136256, 11113984, 23508032, 2048, 53),
    ("resnet8-small", ()): (9540665344, 16859136, 1225024, 256, 9),
    ("vggface2-resnet50", ()): (3855925248, 10587136, 23508032, 2048, 53),
    ("wide-resnet", ()): (326286098432, 155344896, 46154064, 640, 34),
    ("resnet8-small", (("width", 16), ("stem_stride", 2))): (153137152, 1053696, 77392, 64, 9),
    ("cifar-resnet34", (("width", 8), ("pooled_side", 2))): (897146880, 6272000, 334504, 256, 36),
    # its grid does not fit 224 pixels
    ("cifar-resnet18", (("width", 8), ("pooled_side", 8))): (434724864, 3763200, 175752, 4096, 20),
    ("wide-resnet", (("depth", 10), ("width", 4), ("pooled_side", 2))): (8139751424, 17661952, 1196240, 1024, 10),
    ("fpd-resnet18", (("width", 8), ("lateral", 16), ("front_denoising", 0))): (110638080, 1891792, 183147, 64, 48),
    ("fpd-resnet50", (("restoration", 0),)): (4524771328, 11113984, 23508032, 2048, 53),
}
KNOWN = Arrival(disk=0, download=0)
AFTER_FIRST = "AutoAttack after its first attack (it runs on what that leaves)"


def study(**changes):
    content = yaml.safe_load((PROJECT / "config/config.yaml").read_text()) | changes
    return Grid(*load_study(content, project=PROJECT, where="study.yaml"), "study.yaml")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def everything_of(grid, arrival=KNOWN):
    """The estimate where nothing has been computed: the working folder is empty."""
    return estimate(plan_of(grid), arrival=lambda *_: arrival)


@pytest.mark.parametrize(("name", "options"), COUNTED)
def test_every_body_costs_what_its_layers_add_up_to(name, options):
    body = Body(name=name, options=dict(options))
    cost = cost_of(body)
    assert dataclasses.astuple(cost) == COUNTED[name, options]
    assert cost.at(112).macs == COUNTED[name, options][0] / 4
    with torch.device("meta"):
        network = build_body(body, classes=10)
    assert cost.weights(10) == sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("side", [32, 64, 160])
def test_work_scales_with_the_area(side):
    with torch.device("meta"):
        network = build_body(Body(name="resnet18"), classes=10).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device="meta"))
    assert cost_of(Body(name="resnet18")).at(side).macs == pytest.approx(counter.get_total_flops() / 2, rel=0.01)


def test_an_unknown_body_is_refused_and_none_is_forgotten():
    assert {name for name, options in COUNTED if not options} == set(BODIES.names())
    with pytest.raises(ConfigError, match="no body 'another'"):
        cost_of(Body(name="another"))


PLAN = """
import subprocess, sys
from heirloom.config import costs
from heirloom.config.models import Body
run, started = subprocess.run, []
costs.subprocess.run = lambda *args, **keys: started.append(args) or run(*args, **keys)
bodies = [Body(name="resnet8-small", options={"width": 4}), Body(name="resnet8-small", options={"width": 2})]
costs.measure_all(bodies)
print([costs.cost_of(body).parameters for body in bodies], len(started), "torch" in sys.modules)
"""


def measured() -> str:
    """Ask for two bodies as planning does; return their weights, how many processes measured them, and a word."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "workflow_scripts")}
    return subprocess.run(
        [sys.executable, "-c", PLAN], capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_planning_measures_once_in_another_process(tmp_path):
    found = [cost_of(Body(name="resnet8-small", options={"width": width})).parameters for width in (4, 2)]
    assert measured() == f"{found} 1 False\n"
    assert measured() == f"{found} 0 False\n"
    for damaged in ("{", "[]", '{"a": 1}', '{"a": {}}'):
        (tmp_path / "results/cache/bodies.json").write_text(damaged)
        assert costs._kept() == {}


def test_a_body_that_cannot_be_built_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="depth"):
        costs._by_child([("wide-resnet", (("depth", 5),), 224)])


def test_opening_a_study_imports_no_torch():
    code = f"""
import importlib, pkgutil, sys, yaml, pathlib, heirloom.config
for module in pkgutil.iter_modules(heirloom.config.__path__):
    importlib.import_module(f"heirloom.config.{{module.name}}")
from heirloom.config.grid import Grid
from heirloom.config.load import load_study
project = pathlib.Path({str(PROJECT)!r})
content = yaml.safe_load((project / "config/config.yaml").read_text())
Grid(*load_study(content, project=project, where="study.yaml"), "study.yaml")
sys.exit("torch" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "workflow_scripts")}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


@pytest.mark.parametrize("name", ["signs", "objects", "rooms", "faces"])
def test_a_drawn_set_has_as_many_pictures_as_its_options_say(name, tmp_path):
    small = {"classes": 2, "tracks": 2, "frames": 3, "test_images": 2, "train_images": 4, "val_images": 3, "images": 7}
    grid = study(preparations={"signs": "small", "rooms": "small", "faces": "small", name: "small"})
    entry = grid.catalogue.datasets[name]
    options = {key: small.get(key, value) for key, value in entry.source.options.items()}
    options |= {"side": 24}
    source = entry.source.model_copy(update={"options": options})
    datasets = grid.catalogue.datasets | {name: entry.model_copy(update={"source": source})}
    changed = dataclasses.replace(grid, catalogue=grid.catalogue.model_copy(update={"datasets": datasets}))
    WRITERS.load(source.writer).write(tmp_path / "drawn", seed=0, **options)
    listing = LAYOUTS.load(entry.layout).read(tmp_path / "drawn")
    tests = sum(sample.part == "test" for sample in listing.samples)
    counts = counts_of(changed, name)
    assert (counts.training, counts.test, counts.classes) == (len(listing.samples) - tests, tests, 2)


def test_options_left_out_count_with_the_writers_own_defaults():
    grid = study()
    entry = grid.catalogue.datasets["faces"]
    source = entry.source.model_copy(update={"options": {"classes": 5}})
    datasets = grid.catalogue.datasets | {"faces": entry.model_copy(update={"source": source})}
    changed = dataclasses.replace(grid, catalogue=grid.catalogue.model_copy(update={"datasets": datasets}))
    assert counts_of(changed, "faces") == Counts(training=200, test=50, classes=5)


def test_shots_limit_what_is_trained_on_alone():
    counts = Counts(training=1000, test=300, classes=10)
    assert stored_images(counts, Preparation(size=32, crop=32, validation=0.1)) == 1300
    assert stored_images(counts, Preparation(size=32, crop=32, validation=0.1, shots=5)) == 50 + 100 + 300


def test_a_training_counts_steps_three_times_and_validations_once():
    recipe = Training(iterations=100, batch_size=8, learning_rate=0.1, validate_every=40)
    load = training_load(cost_of(Body(name="resnet18")), recipe, validation=50)
    assert load.passes == 3 * 100 * 8 + 3 * 50
    assert load.macs == load.passes * load.cost.macs


def test_a_linear_probe_sends_no_gradient_through_the_body():
    todo = everything_of(study()).todo
    students = [(job, takes) for job, takes in todo if job.rule == "train_student"]
    loads = {(job.names["dataset"], job.names["method"]): takes.loads[0] for job, takes in students}
    saved = loads["rooms", "fine-tuning"].passes - loads["rooms", "linear-probe"].passes
    assert saved == (TRAINED - 1) * 300 * 64


def test_the_work_of_quickstart_is_of_the_expected_size():
    found = everything_of(study())
    images = sum(load.passes for _, takes in found.todo for load in takes.loads)
    # teacher, injections, fine-tunings of every kind, two re-trainings, Renofeation; two linear probes
    trained = 3 * 64 * (600 + 3 * 500 + 15 * 300 + 2 * 600 + 800) + 64 * 2 * 300
    # the robust model, attacked in three steps at each of its own, and the fine-tunings of a module
    trained += 3 * 64 * (160 * (3 + 1) + 2 * 150)
    # FPD, whose iterations have two steps, and its plain twin; two attacks of one step, PGD-10, three of 2 x 40 steps
    trained += 3 * 64 * 500 * (2 + 1) + 2 * 2 * 360 * (1 + 1 + 10 + 3 * 80)
    assert trained < images < 1.2 * trained
    assert 1e11 < found.macs < 1e13
    assert found.disk < 100e6
    assert found.download == 0
    assert found.unknown == [AFTER_FIRST]


def test_every_study_that_ships_has_an_estimate():
    for path in sorted((PROJECT / "config/studies").glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        grid = Grid(*load_study(content, project=PROJECT, where=str(path)), str(path))
        found = everything_of(grid, Arrival())
        assert sum(found.jobs.values()) == sum(found.total.values())
        assert found.disk > 1e7
        assert found.macs > 1e12


def test_what_only_a_download_would_tell_is_said_to_be_unknown():
    content = yaml.safe_load((PROJECT / "config/studies/poison.yaml").read_text())
    grid = Grid(*load_study(content, project=PROJECT, where="x"), "x")
    found = everything_of(grid, Arrival(disk=0))
    assert "files of gtsrb (size not known)" in found.unknown
    assert found.download == 4 * cost_of(Body(name="resnet18")).weights(1000)


def test_a_set_without_counts_is_named():
    grid = study()
    rooms = grid.catalogue.datasets["rooms"].model_copy(
        update={"source": Files(kind="files", folders=("rooms",)), "counts": None},
    )
    changed = dataclasses.replace(
        grid, catalogue=grid.catalogue.model_copy(update={"datasets": grid.catalogue.datasets | {"rooms": rooms}})
    )
    assert everything_of(changed).unknown == [AFTER_FIRST, "images of rooms (no counts in the catalogue)"]


def test_counts_are_no_parameter_and_not_in_the_digest():
    grid = study()
    rooms = grid.catalogue.datasets["rooms"].model_copy(update={"counts": Counts(training=1, test=1, classes=2)})
    changed = dataclasses.replace(
        grid, catalogue=grid.catalogue.model_copy(update={"datasets": grid.catalogue.datasets | {"rooms": rooms}})
    )
    assert changed.digest == grid.digest


# -- what is missing ---------------------------------------------------------------------------------------------------


def made(output, *inputs, rule="a"):
    """A job with a folder of its own or, when it is a table, without."""
    names = {} if rule == "draw" else {"seed": 1}
    return Job(rule, output, output, inputs={"files": inputs}, names=names)


CHAIN = StudyPlan(
    None,
    (
        made("raw"),
        made("data", "raw"),
        made("student", "data"),
        made("other", "data"),
        made("table", "student", "other", rule="draw"),
        made("figure", "table", rule="draw"),
    ),
)


@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        (set(), set()),
        ({"raw", "student"}, set()),  # nobody needs them any more
        ({"figure"}, {"figure"}),
        ({"table"}, {"table", "figure"}),
        ({"table", "student"}, {"student", "table", "figure"}),
        ({"table", "student", "data"}, {"data", "student", "other", "table", "figure"}),
    ],
)
def test_what_is_missing_is_made_with_what_needs_it(absent, expected):
    assert missing(CHAIN, exists=lambda output: output not in absent) == expected


def test_every_rule_of_the_pipeline_is_counted():
    # between them they have what quickstart does not
    names = ("real-sample", "renofeation", "remos", "backdoor", "attention", "rift", "fpd")
    contents = [yaml.safe_load((PROJECT / f"config/studies/{name}.yaml").read_text()) for name in names]
    fetched = {"question": "?", "models": ["cifar10-resnet18-own"]}
    contents.append({"name": "own", "title": "own", "seeds": [1], "repair_experiments": {"own": fetched}})
    grids = [study(), *(Grid(*load_study(content, project=PROJECT, where="x"), "x") for content in contents)]
    assert {job.rule for grid in grids for job, _ in everything_of(grid, Arrival()).todo} == NEEDS.keys()


# -- rates -------------------------------------------------------------------------------------------------------------

COST = cost_of(Body(name="resnet18"))
RATE = Rate("cpu", "fp32", 1, step=0.5, mac=1e-10, activation=0)
GPU = Rate("cuda", "fp32", 1, step=0, mac=1e-13, activation=0)


def task(rule="train_student", *, threads=1, steps=10):
    load = Load(COST, passes=3 * steps, steps=steps, precision="fp32", threads=threads)
    return Job(rule, f"{rule}{threads}{steps}", "output"), Takes(loads=(load,))


def test_seconds_are_start_steps_and_images():
    rates = Rates("here", start=2.0, rates=(RATE,))
    assert rates.seconds(task()[1], "cpu") == pytest.approx(2 + 10 * (0.5 + 1e-10 * COST.macs))
    assert rates.seconds(Takes(), "cpu") == 2


def test_the_rate_measured_most_like_a_load_is_used():
    fast = dataclasses.replace(RATE, threads=2, step=0.25)
    half = dataclasses.replace(RATE, precision="bf16", step=0.1)
    rates = Rates("here", start=0, rates=(RATE, fast, half))
    assert rates.seconds(task(threads=4)[1], "cpu") < rates.seconds(task(threads=1)[1], "cpu")
    assert Rates("here", 0, (RATE, half)).seconds(task(threads=4)[1], "cpu") == Rates("here", 0, (RATE,)).seconds(
        task()[1], "cpu"
    )


def test_wall_time_shares_cores_and_gpus():
    rates = Rates("here", start=0, rates=(RATE, GPU))
    jobs = [task(steps=10), task(steps=20), task("collect_costs", steps=30)]
    rules = frozenset({"train_student"})
    alone = wall_seconds(jobs, rates, gpu_rules=rules, cores=1, gpus=0)
    assert wall_seconds(jobs, rates, gpu_rules=rules, cores=2, gpus=0) == pytest.approx(alone / 2)
    assert wall_seconds(jobs, rates, gpu_rules=rules, cores=1, gpus=1) == rates.seconds(jobs[2][1], "cpu")
    wide = [task(threads=2)]
    assert wall_seconds(wide, rates, gpu_rules=rules, cores=2, gpus=0) == rates.seconds(wide[0][1], "cpu")


def test_rates_are_of_one_machine(tmp_path):
    path = tmp_path / "rates.json"
    assert read_rates("here", path) is None
    rates = Rates("here", 1.0, (RATE, GPU))
    write_rates(rates, path)
    assert read_rates("here", path) == rates
    assert read_rates("there", path) is None
    path.write_text(path.read_text()[:20])
    assert read_rates("here", path) is None


# -- work of methods and attacks ---------------------------------------------------------------------------------------

IMAGE = cost_of(Body(name="resnet18"))


def passes_of(method, **settings):
    """Passes of each load, the validations left out: no image is validated on."""
    return [load.passes for load in toy.method(method, **settings).work(IMAGE, training=30, validation=0)]


def test_what_a_method_computes_beside_its_training_is_counted():
    steps = 6 * 8  # of the toy recipe: iterations times batch
    assert passes_of("fine-tuning") == [3 * steps]
    assert passes_of("linear-probe") == [steps]
    assert passes_of("unlearning") == [3 * steps]
    assert passes_of("fine-pruning") == [3 * steps, 30]  # one look at the activations
    assert passes_of("delta") == [4 * steps]  # the teacher sees every batch too
    assert passes_of("renofeation") == [4 * steps, 4 * steps + 30]  # and batch-norm statistics see every image once
    assert passes_of("pruning") == [3 * steps]
    assert passes_of("pruning", score={"kind": "coverage"}) == [3 * steps, 30]
    assert passes_of("pruning", score={"kind": "snip"}) == [3 * steps, 3 * 30]
    trial = {"kind": "relative-change", "trial": toy.recipe(iterations=2)}
    assert passes_of("pruning", score=trial) == [3 * steps, 3 * 2 * 8]


def test_a_latent_backdoor_counts_its_copies_and_its_looks_at_the_target_class():
    facts = {"dataset": "d", "preparation": "p", "training": toy.recipe(iterations=100), "trigger": "t"}
    changes = {"latent-backdoor": {"latent": {"stage": 1, "feature_weight": 1}}, "backdoor": {}}
    passes = {}
    for name, more in changes.items():
        entry = TypeAdapter(Injection).validate_python({"kind": name, "portion": 0.25, **facts, **more})
        passes[name] = [each.passes for each in INJECTIONS.load(name).work(entry, IMAGE, DataSizes(80, 0, 4))]
    assert passes["backdoor"] == [3 * 100 * 8]
    # a quarter as many copies; 20 images at the start and every 50 steps
    assert passes["latent-backdoor"] == [3 * 100 * 8 * 1.25, 20 * 3]


def test_an_attack_counts_a_forward_and_a_backward_pass_a_step():
    attacks = load_study(yaml.safe_load((PROJECT / "config/config.yaml").read_text()), project=PROJECT, where="x")[
        1
    ].attacks
    assert attack_passes(attacks["feature-pixel"]) == 2 * 40
    assert attack_passes(attacks["noise-pixel"]) == 0
    assert attack_passes(attacks["pgd"]) == 2 * 20 + 1
    assert attacked_images(attacks["autoattack"], 5794) == 1000
    assert attacked_images(attacks["pgd"], 300) == 300


def test_a_detector_counts_every_round_of_every_class_at_most():
    detector = neural_cleanse.NeuralCleanse(kind="neural-cleanse", images=20, rounds=7)
    (load,) = neural_cleanse.work(detector, IMAGE, DataSizes(30, 0, 4), 3)
    assert (load.passes, load.threads) == (3 * 20 * 7 * 4, 3)
    (fewer,) = neural_cleanse.work(detector, IMAGE, DataSizes(10, 0, 4), 3)
    assert fewer.passes == 3 * 10 * 7 * 4


def test_crafting_costs_the_same_however_many_students_there_are():
    def loads(rule, seeds):
        todo = everything_of(study(seeds=seeds)).todo
        return sum(load.passes for job, takes in todo if job.rule == rule for load in takes.loads)

    assert loads("craft_feature_attack", [1]) == loads("craft_feature_attack", [1, 2, 3]) == 2 * 40 * 300
    per_student = loads("evaluate_students", [1, 2]) - loads("evaluate_students", [1])
    on_rooms = 300 * (5 * 3 + 2 * 2 * 2)  # five students clean, attacked and with noise; two of two teachers triggered
    on_signs = 480 * (4 * 2 + 4 * 2 + 1)  # four of each teacher triggered, one of wrong labels clean alone
    on_faces = 168 * 2 * 2  # one of each teacher, triggered
    assert per_student == on_rooms + on_signs + on_faces
