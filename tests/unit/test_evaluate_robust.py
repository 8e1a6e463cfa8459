"""Judging a robust model: what is shown, what is written, what AutoAttack warns of, and what a kill costs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from heirloom.attacks import flags as flags_module
from heirloom.attacks.algorithms import autoattack as autoattack_module
from heirloom.attacks.algorithms.autoattack import Ensemble
from heirloom.attacks.flags import Warned, flags, warnings
from heirloom.attacks.subjects import subjects
from heirloom.data.resident import Images
from heirloom.evaluation import bench
from heirloom.evaluation.corruption_suite import open_suite
from heirloom.evaluation.measures import read_measures
from heirloom.evaluation.metrics import UNJUDGED, outcomes, read_predictions
from heirloom.models.conditions import StudentName, judged
from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import read_card, read_table, write_card, write_table
from heirloom.stages import evaluate_robust
from tests.unit import attacked, toy

CONDITIONS = ("fog-1", "fog-3", "snow-1")
CORRUPTED = 40
PGD = attacked.pgd(epsilon=0.03, step=0.01, steps=4)
ATTACKS = {"aa": attacked.autoattack(epsilon=0.02, images=12), "pgd": PGD}


def corrupt(folder, part, *, rows=range(CORRUPTED), conditions=CONDITIONS, images=None, **facts):
    """Write a suite of corrupted test images as corrupt_dataset does: noise that grows from condition to condition."""
    chosen = part.take(np.array(rows))
    noise = np.random.default_rng(0).integers(-128, 128, (len(CONDITIONS), *chosen.images.shape))
    strength = np.linspace(0.5, 2, len(CONDITIONS))[:, None, None, None, None]
    stored = np.clip(chosen.images + strength * noise, 0, 255).astype(np.uint8) if images is None else images
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", stored)
    write_table(folder / "index.parquet", chosen.table, metadata={})
    given = {"source": "computed", "classes": list(part.classes), "crop": part.crop, "suite": {"seed": 4}, **facts}
    files = {name: folder / name for name in ("images.npy", "index.parquet")}
    write_card(folder / "card.json", kind="corrupted", files=files, conditions=list(conditions), **given)
    return folder


def opened(suite, folder):
    """Open a suite for the test part of a folder."""
    part = toy.opened(folder / "data", "test")
    return open_suite(suite / "images.npy", suite / "index.parquet", suite / "card.json", part=part)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator:
    """Data, a network that knows them, and corrupted test images."""
    folder = tmp_path_factory.mktemp("robust")
    with attacked.one_thread():
        attacked.train(folder)
        corrupt(folder / "fog", toy.opened(folder / "data", "test"))
        yield folder


@pytest.fixture
def hasty(monkeypatch):
    """Leave AutoAttack two of its attacks and few steps: what it finds is tested with the attacks."""
    from pyautoattack.autopgd_base import APGDAttack
    from pyautoattack.square import SquareAttack

    monkeypatch.setattr(autoattack_module, "suite_for", lambda _classes: Ensemble(("apgd-ce", "square"), 1))
    for part, steps, hurried in ((APGDAttack, "n_iter", 4), (SquareAttack, "n_queries", 8)):

        def perturb(self, *images, plain=part.perturb, steps=steps, hurried=hurried):
            setattr(self, steps, hurried)
            return plain(self, *images)

        monkeypatch.setattr(part, "perturb", perturb)


def judge(folder, out, *, attacks=ATTACKS, suites=("fog",), **given):
    """Run the stage."""
    files = toy.model_files(folder / "model-0")
    evaluate_robust.run(
        inputs=evaluate_robust.Inputs(
            **toy.files_of(folder / "data", "test"),
            model_card=files.card,
            model_weights=files.weights,
            corruption_cards=[folder / name / "card.json" for name in suites],
            corruption_images=[folder / name / "images.npy" for name in suites],
            corruption_indexes=[folder / name / "index.parquet" for name in suites],
        ),
        outputs=evaluate_robust.Outputs(out / "card.json", out / "predictions.parquet", out / "measures.parquet"),
        attacks=attacks,
        repair="rift",
        seed=3,
        batch_size=25,
        attack_batch_size=5,
        threads=1,
        code="code",
        **given,
    )
    return out


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.usefixtures("hasty")
def test_a_model_is_judged_clean_attacked_and_corrupted_in_the_columns_of_evaluations(folder, tmp_path):
    out = judge(folder, tmp_path / "out")
    rows = read_table(out / "predictions.parquet").to_pandas()
    sizes = rows.groupby(["attack", "condition"]).size().to_dict()
    assert sizes == {("none", ""): 60, **{("none", name): 40 for name in CONDITIONS}, ("aa", ""): 12, ("pgd", ""): 60}
    assert set(zip(rows["method"], rows["seed"], strict=True)) == {("rift", 3)}
    budgets = {(row.attack, row.condition): json.loads(row.budget) for row in rows.itertuples()}
    assert budgets["none", ""] == {}
    assert budgets["none", "fog-3"] == {"seed": 4, "source": "computed"}
    assert budgets["pgd", ""]["epsilon"] == 0.03
    assert sorted(contents(out)) == ["card.json", "measures.parquet", "predictions.parquet"]
    card = read_card(out / "card.json")
    assert (card["repair"], card["seed"], list(card["autoattack_flags"])) == ("rift", 3, ["aa"])


def test_corruption_accuracy_is_the_share_of_conditions_an_image_is_right_under(folder, tmp_path):
    out = judge(folder, tmp_path / "out", attacks={})
    rows = read_table(out / "predictions.parquet").to_pandas()
    rows = rows[rows["condition"] != ""]
    ((quantity, values),) = read_measures([out / "measures.parquet"]).items()
    assert (quantity.metric, quantity.setting.condition) == ("corruption_accuracy", "all")
    expected = {sample: float((group["prediction"] == group["label"]).sum()) / len(CONDITIONS)
                for sample, group in rows.groupby("sample")}  # fmt: skip
    assert dict(zip(values.samples, values.values.tolist(), strict=True)) == pytest.approx(expected)
    judged_alone = outcomes(read_predictions(out / "predictions.parquet"), {})
    found = {setting.condition: outcome for setting, metric, outcome in judged_alone if metric != "accuracy"}
    assert {name: outcome.count for name, outcome in found.items()} == dict.fromkeys(CONDITIONS, CORRUPTED)
    assert values.mean == pytest.approx(np.mean([outcome.value for outcome in found.values()]))
    assert 0.2 < values.mean < found["fog-1"].value  # the test is of noise that tells


class Answers:
    """Stands in for answering a batch: counts, warns as AutoAttack might, and is killed at batch number `at`."""

    def __init__(self, monkeypatch, at=None) -> None:
        self.count, self._at, self._plain = 0, at, PLAIN
        monkeypatch.setattr(bench, "looked", self)

    def __call__(self, model, clean, shown):
        if self.count == self._at:
            raise KeyboardInterrupt
        self.count += 1
        logging.getLogger(flags_module.LOGGER).warning("there are %d points with zero gradient", len(shown))
        return self._plain(model, clean, shown)


PLAIN = bench.looked
BATCHES = 3 + 3 * 2 + 3 + 12  # clean, corrupted, under AutoAttack, under pgd


@pytest.mark.usefixtures("hasty")
def test_a_killed_judgement_continues_to_the_same_bytes_and_shows_no_batch_again(folder, tmp_path, monkeypatch):
    Answers(monkeypatch)
    whole = contents(judge(folder, tmp_path / "whole"))
    (flag,) = read_card(tmp_path / "whole" / "card.json")["autoattack_flags"]["aa"]
    assert (flag["batches"], flag["images"]) == (3, 12)
    for killed in (8, 11, 17):  # among corrupted images, under AutoAttack, under pgd
        out = tmp_path / f"killed-{killed}"
        Answers(monkeypatch, at=killed)
        with pytest.raises(KeyboardInterrupt):
            judge(folder, out, checkpoint_seconds=0)
        assert list(contents(out)) == [".checkpoint.pt"]
        left = Answers(monkeypatch)
        judge(folder, out, checkpoint_seconds=0)
        assert left.count == BATCHES - killed
        assert contents(out) == whole


def test_a_checkpoint_of_other_settings_is_dropped(folder, tmp_path, monkeypatch, caplog):
    Answers(monkeypatch, at=2)
    with pytest.raises(KeyboardInterrupt):
        judge(folder, tmp_path / "out", attacks={}, checkpoint_seconds=0)
    left = Answers(monkeypatch)
    with caplog.at_level("INFO"):
        judge(folder, tmp_path / "out", attacks={"pgd": PGD})
    assert "belongs to other parameters" in caplog.text
    assert left.count == 3 + 3 * 2 + 12


def test_of_whole_runs_the_one_that_leaves_least_counts(folder, tmp_path):
    attack = attacked.pgd(epsilon=0.042, step=0.042, steps=1, restarts=3, worst="run")
    out = judge(folder, tmp_path / "out", attacks={"worst": attack}, suites=())
    table = read_table(out / "predictions.parquet")
    found = table.filter(pc.equal(table["attack"], "worst"))
    part = toy.opened(folder / "data", "test")
    model, images = attacked.loaded(folder / "model-0"), Images(part, torch.device("cpu"))
    (subject,) = subjects(part, {"worst": attack})
    alone = [judged(StudentName("rift", 3), model, run, images, batch_size=5) for run in subject.runs]
    right = [int((run["label"].to_numpy() == run["prediction"].to_numpy()).sum()) for run in alone]
    assert len(set(right)) > 1  # else any run would do
    assert found["prediction"].to_pylist() == alone[int(np.argmin(right))]["prediction"].to_pylist()
    each = np.stack([run["prediction"].to_numpy() == run["label"].to_numpy() for run in alone])
    assert each.all(axis=0).sum() < min(right)  # counting each image's worst start would claim less
    assert json.loads(found["budget"][0].as_py())["restarts"] == 3
    assert PGD.runs() == [PGD]


def test_choosing_among_runs_needs_several():
    with pytest.raises(ValueError, match="set restarts to 2 or more"):
        attacked.pgd(worst="run")


# -- what AutoAttack warns of ------------------------------------------------------------------------------------------


def test_every_check_of_the_library_has_a_flag():
    from pyautoattack import checks

    logger = logging.getLogger(flags_module.LOGGER)
    images, labels = torch.rand(4, 3, 2, 2), torch.zeros(4, dtype=torch.int64)
    with warnings() as heard:
        checks.check_randomized(lambda _images: torch.rand(4, 3), images, labels, logger=logger)
        checks.check_range_output(lambda _images: torch.full((4, 2), 0.5), images, logger=logger)
        checks.check_zero_gradients(torch.tensor([[0.0], [1.0], [0.0]]), logger=logger)
        checks.check_square_sr({"clean": 1.0, "apgd-ce": 0.5, "square": 0.25}, logger=logger)
        checks.check_n_classes(2, ["apgd-t"], 9, 9, logger=logger)
        checks.check_n_classes(5, ["apgd-t"], 9, 9, logger=logger)
        logger.warning("something new")
    found = {entry["flag"]: entry for entry in flags([Warned(4, heard)])}
    images = {"other": None, "randomised": None, "softmax-output": None, "square-decreases": 1, "too-few-classes": None}
    assert {name: entry["images"] for name, entry in found.items()} == {**images, "zero-gradient": 2}
    assert found["other"]["message"] == "something new"
    assert flags([]) == []
    assert not [handler for handler in logger.handlers if type(handler).__name__ == "_Collector"]


def test_flags_count_batches_and_add_up_the_images_of_each():
    zero = "there are {} points with zero gradient! This might"
    batches = [Warned(4, [zero.format(2), zero.format(3)]), Warned(4, []), Warned(4, [zero.format(1)])]
    assert flags(batches) == [{"flag": "zero-gradient", "batches": 2, "images": 4, "message": zero.format(2)}]


@pytest.mark.usefixtures("hasty")
def test_a_model_without_gradients_is_flagged(tmp_path, monkeypatch):
    monkeypatch.setattr(autoattack_module, "suite_for", lambda _classes: Ensemble(("apgd-dlr",), 1))
    part = toy.opened(toy.write_data(tmp_path / "data", classes=4), "test").take(np.arange(0, 8, 4))
    model = toy.classifier(classes=4).eval()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([5.0, 1.0, 0.0, -1.0]))
    attack = autoattack_module.attack("aa", attacked.autoattack(epsilon=0.01), part)
    with warnings() as heard:
        attack.shown_to(model)(attacked.batch(part)[0], np.arange(2))
    found = {entry["flag"]: entry for entry in flags([Warned(2, heard)])}
    assert found["zero-gradient"]["images"] == 2


# -- corrupted images --------------------------------------------------------------------------------------------------


def test_published_files_are_named_as_the_source(folder, tmp_path):
    suite = corrupt(tmp_path / "few", toy.opened(folder / "data", "test"), source="toy-c", rows=(7, 3, 11))
    found = opened(suite, folder)
    assert json.loads(found.budget) == {"source": "toy-c"}
    assert [condition.variant for condition, _ in found.conditions()] == list(CONDITIONS)
    assert np.array_equal(found.parts["snow-1"].images, np.load(suite / "images.npy")[2])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"classes": ["a", "b"]}, DataError, "not of the test images"),
        ({"images": np.zeros((3, 40, 8, 8, 3), np.uint8)}, DataError, "not of the test images"),
        ({"conditions": ("fog-1",)}, DamagedFileError, "for 1 conditions"),
    ],
)
def test_corrupted_images_of_another_set_are_refused(folder, tmp_path, given, error, message):
    suite = corrupt(tmp_path / "wrong", toy.opened(folder / "data", "test"), **given)
    with pytest.raises(error, match=message):
        opened(suite, folder)


def test_corrupted_images_of_the_development_part_are_refused(folder, tmp_path):
    suite = corrupt(tmp_path / "wrong", toy.opened(folder / "data", "development"))
    with pytest.raises(DataError, match="not of the test images"):
        opened(suite, folder)


def test_images_that_were_not_corrupted_count_for_nothing(folder, tmp_path):
    out = judge(folder, tmp_path / "out", attacks={})
    found = read_predictions(out / "predictions.parquet")
    missing = {setting.condition: int((judged == UNJUDGED).sum()) for setting, judged in found.settings.items()}
    assert missing == {"": 0, **dict.fromkeys(CONDITIONS, 20)}
