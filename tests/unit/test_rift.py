"""Repair of a robust model: which modules are fine-tuned, what stays bit-identical, which weights in between win."""

from __future__ import annotations

import copy
import struct
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from heirloom.config.robust import Judge, Modules
from heirloom.config.robust_training import SteppedTraining
from heirloom.evaluation.judge import JudgedRates
from heirloom.models.bodies.small_resnet.network import SmallResNet
from heirloom.models.classifier import state_copy
from heirloom.models.conditions import load_model
from heirloom.models.weights import load_classifier
from heirloom.rift.choice import WHOLE, candidates
from heirloom.rift.criticality import modules_of
from heirloom.rift.interpolation import Point, changed, choose, mixed, read_changes, write_changes
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError
from heirloom.runtime.files import read_card, read_table, sha256_of, verify_card, write_card
from heirloom.stages import finetune_module, interpolate_module, measure_criticality, pretrain_teacher
from heirloom.training.loop import fit
from heirloom.training.phases import supervised_phase
from tests.unit import toy

MODULE = "layer2.0.conv2"
WEIGHT = f"body.{MODULE}.weight"
JUDGE = Judge.model_validate({"attack": {"steps": 2}, "images": 10})
ALPHAS = [0.0, 0.5, 1.0]


def choice(kind, **settings):
    """Read a choice of modules as a study writes it."""
    adapter: TypeAdapter[Modules] = TypeAdapter(Modules)
    return adapter.validate_python({"kind": kind, **settings})


def recipe(**changes):
    """A short fine-tuning with all that could move what must stand: momentum and weight decay."""
    settings = {"iterations": 30, "batch_size": 8, "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.01}
    return SteppedTraining.model_validate({**settings, "threads": 1, "schedule": "constant", **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of three classes, and a model that was trained on them a little."""
    folder = tmp_path_factory.mktemp("rift")
    toy.write_data(folder / "data", images=40)
    pretrain_teacher.run(
        inputs=toy.development(folder / "data"),
        outputs=toy.model_files(folder / "model"),
        body=toy.BODY,
        normalisation=toy.classifier().normalisation,
        training=toy.recipe(iterations=20, head_rate=1),
        augmentation=toy.STILL,
        seed=0,
        code="code",
    )
    return folder


def robust(folder):
    files = toy.model_files(folder / "model")
    return load_classifier(files.weights, files.card)


def model_inputs(folder):
    files = toy.model_files(folder / "model")
    return {**toy.files_of(folder / "data"), "model_card": files.card, "model_weights": files.weights}


def finetune(folder, out, modules=None, *, rates=(), criticality=(), **changes):
    """Run the stage and return its card and what each candidate changed."""
    finetune_module.run(
        inputs=finetune_module.Inputs(
            **model_inputs(folder),
            criticality_card=[path / "card.json" for path in criticality],
            criticality=[path / "criticality.parquet" for path in criticality],
        ),
        outputs=toy.model_files(out),
        **{
            "modules": modules or choice("named", names=[MODULE]),
            "statistics": "frozen",
            "training": recipe(),
            "learning_rates": list(rates),
            "augmentation": toy.MOVING,
            "seed": 0,
            "code": "code",
            **changes,
        },
    )
    card = verify_card(out / "card.json")
    return card, read_changes(out / "weights.safetensors", [each["candidate"] for each in card["candidates"]])


def interpolate(folder, tuned, out, **changes):
    """Run the stage and return its rows."""
    interpolate_module.run(
        inputs=interpolate_module.Inputs(
            **model_inputs(folder), finetuned_card=tuned / "card.json", finetuned_weights=tuned / "weights.safetensors"
        ),
        outputs=interpolate_module.Outputs(
            out / "card.json", out / "weights.safetensors", out / "interpolation.parquet"
        ),
        **{"alphas": ALPHAS, "judge": JUDGE, "tolerance": 0.2, "threads": 1, "code": "code", **changes},
    )
    return read_table(out / "interpolation.parquet").to_pylist()


@pytest.fixture(scope="module")
def tuned(folder):
    """One module at two rates."""
    finetune(folder, folder / "tuned", rates=(0.02, 0.002))
    return folder / "tuned"


def same_files(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    return names == sorted(path.name for path in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


# which modules


def chosen(modules, *, published=None, criticality=None, rates=(0.1,)):
    model = toy.classifier()
    return [each.modules for each in candidates(model, modules, rates, published=published, criticality=criticality)]


def ranking(**low):
    """Give every module the criticality 5 but those named, dots written as double underscores."""
    found = dict.fromkeys(modules_of(toy.classifier()), 5.0)
    return found | {name.replace("__", "."): value for name, value in low.items()}


def test_modules_are_named_exactly_and_come_in_the_models_order():
    assert chosen(choice("published"), published=MODULE) == [(MODULE,)]
    assert chosen(choice("named", names=["fc", MODULE, "fc"])) == [(MODULE, "fc")]
    assert chosen(choice("head")) == [("fc",)]
    assert chosen(choice("all")) == [WHOLE]


@pytest.mark.parametrize("name", ["layer2", "layer2.0", "layer2.0.conv", "ayer2.0.conv2", "layer2.0.bn1", "conv2", ""])
def test_a_name_that_is_no_modules_is_refused_with_the_nearest(name):
    """docs/definitions.md#r4: the published script takes every module whose name contains the text."""
    for modules, published in ((choice("named", names=[name]), None), (choice("published"), name)):
        with pytest.raises(ConfigError, match="there is no convolution or linear layer") as told:
            chosen(modules, published=published)
        assert "layer2.0.conv2" in told.value.mend


def test_a_name_does_not_train_a_module_that_it_begins():
    """docs/definitions.md#r4: layer1.1 is not layer1.10."""
    model = SmallResNet([11], num_classes=2, width=2, stem_stride=1)
    supervised_phase(recipe(), trained=("layer1.1.conv1",)).prepare(model)
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == ["layer1.1.conv1.weight"]


def test_a_model_without_a_published_module_says_so():
    with pytest.raises(ConfigError, match="no module is published"):
        chosen(choice("published"))


def test_criticality_chooses_from_either_end_and_of_equals_the_first():
    given = ranking(layer2__0__conv1=0.1, fc=0.2, layer3__0__conv2=9.0)
    assert chosen(choice("criticality"), criticality=given) == [("layer2.0.conv1",)]
    assert chosen(choice("criticality", top=3), criticality=given) == [("conv1", "layer2.0.conv1", "fc")]
    assert chosen(choice("criticality", end="highest"), criticality=given) == [("layer3.0.conv2",)]
    assert chosen(choice("criticality", end="highest", top=2), criticality=given) == [("conv1", "layer3.0.conv2")]


def test_each_stage_of_the_body_has_a_candidate_stem_and_head_none():
    given = ranking(conv1=0.0, fc=0.0, layer1__0__conv2=1.0, layer3__0__downsample__0=2.0)
    modules = choice("criticality", of_each_stage=True)
    assert chosen(modules, criticality=given) == [("layer1.0.conv2",), ("layer2.0.conv1",), ("layer3.0.downsample.0",)]


def test_every_set_of_modules_is_tried_at_every_rate():
    given = ranking()
    modules = choice("criticality", of_each_stage=True)
    found = candidates(toy.classifier(), modules, (0.1, 0.01), criticality=given)
    assert [each.number for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each.learning_rate for each in found] == [0.1, 0.01] * 3
    assert len({each.modules for each in found}) == 3


def test_criticalities_that_do_not_fit_are_refused():
    for given in (None, {"layer1.0.conv1": 1.0}):
        with pytest.raises(DataError, match="for the 10 of this model"):
            chosen(choice("criticality"), criticality=given)
    with pytest.raises(ConfigError, match="11 modules of 10"):
        chosen(choice("criticality", top=11), criticality=ranking())


# fine-tuning


def test_only_the_chosen_module_changes_batch_normalisation_included(folder, tmp_path):
    card, changes = finetune(folder, tmp_path)
    assert list(changes[1]) == [WEIGHT]
    assert card["candidates"][0]["changed"] == [WEIGHT]
    assert not torch.equal(changes[1][WEIGHT], robust(folder).state_dict()[WEIGHT])


def test_every_bit_of_the_others_stands_after_many_steps_with_momentum_and_decay(folder):
    """What `changed` says is held to the bytes of a training that it does not see."""
    start = robust(folder)
    with torch.no_grad():
        start.body.conv1.weight[0, 0, 0, 0] = -0.0  # its sign is a bit, too
    model = copy.deepcopy(start)
    phase = supervised_phase(recipe(iterations=200), trained=(f"body.{MODULE}",), statistics="frozen")
    part = toy.opened(folder / "data")
    with toy.assigned(part, augmentation=toy.MOVING) as assignment:
        checkpoint = assignment.checkpoint("trial")
        fit(model, assignment.lesson, phases=(phase,), compute=assignment.compute, seed=0, checkpoint=checkpoint)
    before, after = start.state_dict(), model.state_dict()
    moved = {name for name in before if before[name].numpy().tobytes() != after[name].numpy().tobytes()}
    assert moved == {WEIGHT}


def norms_of(model):
    return [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("modules", "statistics", "weights", "moved"),
    [
        (choice("all"), "frozen", "every", False),
        (choice("all"), "moving", "every", True),
        (choice("named", names=[MODULE]), "moving", [WEIGHT], True),
        (choice("head"), "frozen", ["body.fc.weight", "body.fc.bias"], False),
    ],
)
def test_what_is_trained_changes_and_statistics_only_where_they_move(
    folder, tmp_path, modules, statistics, weights, moved
):
    model = robust(folder)
    _, changes = finetune(folder, tmp_path, modules, statistics=statistics)
    expected = {name for name, _ in model.named_parameters()} if weights == "every" else set(weights)
    if moved:
        buffers = ("running_mean", "running_var", "num_batches_tracked")
        expected |= {f"{norm}.{buffer}" for norm in norms_of(model) for buffer in buffers}
    assert set(changes[1]) == expected


def test_moving_statistics_count_the_steps_of_the_training(folder, tmp_path):
    _, changes = finetune(folder, tmp_path, statistics="moving")
    name = "body.bn1.num_batches_tracked"
    assert int(changes[1][name]) == int(robust(folder).state_dict()[name]) + 30


def test_candidates_have_their_rates_histories_and_the_same_images(tuned):
    card = read_card(tuned / "card.json")
    assert [each["learning_rate"] for each in card["candidates"]] == [0.02, 0.002]
    rows = read_table(tuned / "history.parquet").to_pylist()
    firsts = [next(row for row in rows if row["candidate"] == number) for number in (1, 2)]
    assert firsts[0]["loss"] == firsts[1]["loss"]  # of the first step, before any rate acts
    assert [row["learning_rate"] for row in firsts] == [0.02, 0.002]
    lasts = [[row for row in rows if row["candidate"] == number][-1] for number in (1, 2)]
    assert [row["validation_accuracy"] for row in lasts] == [each["validation_accuracy"] for each in card["candidates"]]


def test_a_killed_fine_tuning_continues_with_its_candidate_to_the_same_bytes(folder, tuned, tmp_path, monkeypatch):
    fit, phases = finetune_module.fit, []

    def counted(*given, **named):
        phases.append(named["phases"][0].training.learning_rate)
        if len(phases) == 2:
            raise KeyboardInterrupt
        return fit(*given, **named)

    monkeypatch.setattr(finetune_module, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        finetune(folder, tmp_path / "hurt", rates=(0.02, 0.002))
    left = [path.name for path in (tmp_path / "hurt").iterdir()]
    assert left == [".candidate-1.checkpoint.pt"]
    finetune(folder, tmp_path / "hurt", rates=(0.02, 0.002))
    assert same_files(tmp_path / "hurt", tuned)


def test_criticalities_of_another_model_are_refused(folder, tmp_path):
    found = tmp_path / "criticality"
    measure_criticality.run(
        inputs=measure_criticality.Inputs(**model_inputs(folder)),
        outputs=measure_criticality.Outputs(
            found / "card.json", found / "criticality.parquet", found / "measures.parquet"
        ),
        criticality=measure_criticality.Criticality.model_validate(
            {"epochs": 1, "threads": 1, "images": 8, "attack": {"steps": 1}}
        ),
        seed=0,
        code="code",
    )
    card, _ = finetune(folder, tmp_path / "own", choice("criticality"), criticality=[found])
    rows = read_table(found / "criticality.parquet").to_pylist()
    least = min(rows, key=lambda row: row["criticality"])["module"]
    assert [each["modules"] for each in card["candidates"]] == [[least]]
    facts = {key: value for key, value in read_card(found / "card.json").items() if key not in {"files", "kind"}}
    files = {name: found / name for name in ("criticality.parquet", "measures.parquet")}
    write_card(found / "card.json", kind="criticality", files=files, **{**facts, "model": "another"})
    with pytest.raises(DataError, match="measured on another model"):
        finetune(folder, tmp_path / "other", choice("criticality"), criticality=[found])


# interpolation


def states():
    start = {
        "weight": torch.tensor([1.0, -0.0, 0.1]),
        "count": torch.tensor(3),
        "same": torch.tensor([float("nan"), 2.0]),
    }
    tuned = {"weight": torch.tensor([2.0, 0.0, 0.3]), "count": torch.tensor(8), "same": start["same"].clone()}
    return start, tuned


def test_what_changed_is_told_by_its_bits():
    start, tuned = states()
    assert set(changed(start, tuned)) == {"weight", "count"}
    assert set(changed({"zero": torch.tensor(-0.0)}, {"zero": torch.tensor(0.0)})) == {"zero"}


def test_the_ends_are_their_sources_bit_for_bit_and_copies():
    start, tuned = states()
    moved = changed(start, tuned)
    for alpha, source in ((0.0, start), (1.0, tuned)):
        found = mixed(start, moved, alpha)
        assert {name: value.numpy().tobytes() for name, value in found.items()} == {
            name: source[name].numpy().tobytes() for name in moved
        }
        found["weight"].zero_()
    assert start["weight"][0] == 1
    assert tuned["weight"][0] == 2


def test_weights_in_between_are_mixed_and_counters_stay_whole():
    start, tuned = states()
    found = mixed(start, changed(start, tuned), 0.25)
    assert found["weight"].tolist() == [1.25, 0.0, struct.unpack("f", struct.pack("f", 0.15))[0]]
    assert found["count"].dtype == torch.int64
    assert int(found["count"]) == 4  # 4.25
    assert found["weight"].dtype == torch.float32


def test_changes_are_read_as_written(tmp_path):
    start, tuned = states()
    write_changes(tmp_path / "a", {1: changed(start, tuned), 2: {}})
    found = read_changes(tmp_path / "a", [1, 2])
    assert set(found[1]) == {"weight", "count"}
    assert torch.equal(found[1]["weight"], tuned["weight"])
    assert found[2] == {}
    write_changes(tmp_path / "b", {2: {}, 1: dict(reversed(changed(start, tuned).items()))})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(DamagedFileError):
        read_changes(tmp_path / "a", [2])


def best(*given, tolerance=0.001, images=1000, attacked=1000):
    """Choose among (candidate, alpha, right images, withstood images)."""
    points = [
        Point(number, alpha, JudgedRates(right / images, withstood / attacked))
        for number, alpha, right, withstood in given
    ]
    point = choose(points, tolerance=tolerance, images=images, attacked=attacked)
    return point.candidate, point.alpha


def test_the_largest_accuracy_within_the_tolerance_is_chosen():
    start = (1, 0.0, 800, 500)
    assert best(start, (1, 0.5, 820, 499), (1, 1.0, 840, 498)) == (1, 0.5)
    assert best(start, (1, 0.5, 820, 499), (1, 1.0, 840, 498), tolerance=0.002) == (1, 1.0)
    assert best(start, (1, 0.5, 799, 600), (1, 1.0, 840, 100)) == (1, 0.0)
    assert best(start, (1, 1.0, 820, 499), (2, 0.0, 800, 500), (2, 1.0, 830, 500)) == (2, 1.0)


def test_of_equals_robust_accuracy_then_the_smaller_alpha_then_the_first_candidate_decides():
    start = (1, 0.0, 800, 500)
    assert best(start, (1, 0.5, 820, 501), (1, 1.0, 820, 502)) == (1, 1.0)
    assert best(start, (1, 0.5, 820, 501), (1, 1.0, 820, 501)) == (1, 0.5)
    assert best(start, (1, 0.5, 820, 501), (2, 0.0, 800, 500), (2, 0.5, 820, 501)) == (1, 0.5)
    assert best(start, (1, 1.0, 820, 501), (2, 0.0, 800, 500), (2, 0.5, 820, 501)) == (2, 0.5)
    assert best(start, (1, 0.5, 800, 500), (1, 1.0, 800, 500)) == (1, 0.0)


@pytest.mark.parametrize("count", [10, 30, 70, 1000, 9999, 10000])
def test_rounding_of_floats_never_decides(count):
    """A tolerance of one in ten is exactly count // 10 images, and none means none."""
    lost = count // 10
    for right in range(count - 5, count + 1):
        start = (1, 0.0, 1, right)
        inside, outside = (1, 1.0, count, right - lost), (1, 1.0, count, right - lost - 1)
        assert best(start, inside, tolerance=0.1, images=count, attacked=count) == (1, 1.0)
        if right > lost:
            assert best(start, outside, tolerance=0.1, images=count, attacked=count) == (1, 0.0)
        assert best(start, (1, 1.0, count, right - 1), tolerance=0, images=count, attacked=count) == (1, 0.0)


def test_the_repaired_model_is_the_chosen_mix_and_evaluations_accept_it(folder, tuned, tmp_path):
    rows = interpolate(folder, tuned, tmp_path, tolerance=1.0)
    assert [(row["candidate"], row["alpha"]) for row in rows] == [(n, alpha) for n in (1, 2) for alpha in ALPHAS]
    points = [
        Point(row["candidate"], row["alpha"], JudgedRates(row["accuracy"], row["robust_accuracy"])) for row in rows
    ]
    best_ = choose(points, tolerance=1.0, images=8, attacked=8)
    (mine,) = [row for row in rows if row["chosen"]]
    assert (mine["candidate"], mine["alpha"], mine["modules"]) == (best_.candidate, best_.alpha, MODULE)
    start = robust(folder).state_dict()
    changes = read_changes(tuned / "weights.safetensors", [1, 2])[mine["candidate"]]
    expected = {**start, **mixed(start, changes, mine["alpha"])}
    part = toy.opened(folder / "data", "test")
    repaired = load_model(tmp_path / "weights.safetensors", tmp_path / "card.json", part).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in repaired.items())
    card = verify_card(tmp_path / "card.json")
    assert {key: card[key] for key in ("dataset", "crop", "class_names")} == {
        key: read_card(folder / "model" / "card.json")[key] for key in ("dataset", "crop", "class_names")
    }
    assert card["repair"]["alpha"] == mine["alpha"]
    assert card["model"] == sha256_of(folder / "model" / "weights.safetensors")


def test_alpha_0_is_the_robust_model_and_is_judged_once(folder, tuned, tmp_path, monkeypatch):
    start, seen = robust(folder).state_dict(), []

    def rates(model, *_):
        state = state_copy(model)
        seen.append({name for name, value in state.items() if not torch.equal(value, start[name])})
        return JudgedRates(0.5 - 0.01 * len(seen), 0.5)

    monkeypatch.setattr(interpolate_module, "judge_rates", rates)
    rows = interpolate(folder, tuned, tmp_path)
    assert seen == [set(), *[{WEIGHT}] * 4]
    assert [row["accuracy"] for row in rows if row["alpha"] == 0] == [0.49, 0.49]
    assert [row["chosen"] for row in rows] == [True, *[False] * 5]
    assert (tmp_path / "weights.safetensors").read_bytes() == (folder / "model" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(("modules", "title"), [(choice("all"), "all"), (choice("head"), "fc")])
def test_whole_models_and_heads_are_interpolated_like_modules(folder, tmp_path, modules, title, monkeypatch):
    monkeypatch.setattr(
        interpolate_module, "judge_rates", lambda model, *_: JudgedRates(model.head.bias[0].item() % 1, 0.5)
    )
    finetune(folder, tmp_path / "tuned", modules, statistics="moving")
    rows = interpolate(folder, tmp_path / "tuned", tmp_path / "out")
    assert {row["modules"] for row in rows} == {title}
    state = load_classifier(tmp_path / "out" / "weights.safetensors", tmp_path / "out" / "card.json").state_dict()
    (mine,) = [row for row in rows if row["chosen"]]
    assert mine["accuracy"] == state["body.fc.bias"][0].item() % 1


def test_a_killed_interpolation_continues_after_its_last_model_to_the_same_bytes(folder, tuned, tmp_path, monkeypatch):
    interpolate(folder, tuned, tmp_path / "calm")
    judge, calls = interpolate_module.judge_rates, []

    def counted(*given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return judge(*given)

    monkeypatch.setattr(interpolate_module, "judge_rates", counted)
    with pytest.raises(KeyboardInterrupt):
        interpolate(folder, tuned, tmp_path / "hurt", checkpoint_seconds=0)
    interpolate(folder, tuned, tmp_path / "hurt", checkpoint_seconds=0)
    assert len(calls) == 4 + 2
    assert same_files(tmp_path / "hurt", tmp_path / "calm")


def test_what_was_tuned_of_another_model_is_refused(folder, tuned, tmp_path):
    facts = {key: value for key, value in read_card(tuned / "card.json").items() if key not in {"files", "kind"}}
    other = tmp_path / "tuned"
    other.mkdir()
    (other / "weights.safetensors").write_bytes((tuned / "weights.safetensors").read_bytes())
    files = {"weights.safetensors": other / "weights.safetensors"}
    write_card(other / "card.json", kind="fine-tuning", files=files, **{**facts, "model": "another"})
    with pytest.raises(DataError, match="another model was fine-tuned"):
        interpolate(folder, other, tmp_path / "out")


def test_without_validation_images_nothing_is_chosen(folder, tuned, tmp_path):
    data = toy.write_data(tmp_path / "data", validation=0)
    inputs = {**model_inputs(folder), **toy.files_of(data)}
    with pytest.raises(DataError, match="no image was held out"):
        interpolate_module.run(
            inputs=interpolate_module.Inputs(
                **inputs, finetuned_card=tuned / "card.json", finetuned_weights=tuned / "weights.safetensors"
            ),
            outputs=interpolate_module.Outputs(*(tmp_path / name for name in ("a", "b", "c"))),
            alphas=ALPHAS,
            judge=JUDGE,
            tolerance=0.1,
            threads=1,
            code="code",
        )
