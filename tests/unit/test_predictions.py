import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from heirloom.data.resident import Images
from heirloom.defects.triggers.patch import Patch
from heirloom.defects.triggers.patch.paste import PastedPicture
from heirloom.models.conditions import StudentName
from heirloom.models.predictions import accuracy, predict
from heirloom.models.weights import architecture_facts, load_classifier, save_classifier
from heirloom.runtime.errors import DamagedFileError, WeightsError
from heirloom.runtime.files import read_table, write_card
from heirloom.stages import evaluate_students
from tests.unit import toy

CPU = torch.device("cpu")
NAMES = ["class 0", "class 1", "class 2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Test images and three models of random weights, the last one a teacher."""
    folder = tmp_path_factory.mktemp("evaluation")
    toy.write_data(folder / "data", images=21)
    Image.fromarray(np.full((4, 4, 4), 255, np.uint8)).save(folder / "white.png")
    for seed, name in enumerate(("a", "b", "teacher")):
        write_model(folder / name, seed=seed)
    return folder


def write_model(folder, *, seed, classes=3, names=NAMES):
    model, files = toy.classifier(seed=seed, classes=classes), toy.model_files(folder)
    model(torch.rand(8, 3, 12, 12))
    save_classifier(files.weights, model.eval())
    facts = architecture_facts(model) | {"class_names": names}
    write_card(files.card, kind="student", files={files.weights.name: files.weights}, **facts)
    return model


def evaluate(folder, out, *, students=(("b", 2), ("a", 1)), teacher=True, batch_size=8, placement="random"):
    triggers = {name: Patch(image="white.png", placement=placement, side=0.25) for name in ("zebra", "ape")}
    evaluate_students.run(
        inputs=evaluate_students.Inputs(
            **toy.files_of(folder / "data", "test"),
            students=[folder / name / "card.json" for name, _ in students],
            student_weights=[folder / name / "weights.safetensors" for name, _ in students],
            teacher_card=[folder / "teacher" / "card.json"] * teacher,
            teacher_weights=[folder / "teacher" / "weights.safetensors"] * teacher,
            triggers=[folder / "white.png"] * 2,
        ),
        outputs=evaluate_students.Outputs(out),
        students=[StudentName("fine-tuning", seed) for _, seed in students],
        triggers=triggers,
        batch_size=batch_size,
        threads=1,
    )
    return read_table(out)


def rows_of(table: pa.Table, **wanted):
    return [row for row in table.to_pylist() if all(row[key] == value for key, value in wanted.items())]


def test_predictions_are_the_argmax_and_its_softmax(folder):
    part = toy.opened(folder / "data", "test")
    model = toy.classifier(seed=1).train()
    found = predict(model, Images(part, CPU), batch_size=5)
    assert model.training
    model.eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(part.images.copy()).permute(0, 3, 1, 2) / 255).softmax(1)
    assert found.label.tolist() == expected.argmax(1).tolist()
    assert found.confidence.tolist() == pytest.approx(expected.amax(1).tolist(), abs=1e-6)
    assert (found.label.dtype, found.confidence.dtype) == (np.int32, np.float32)
    right = np.mean(expected.argmax(1).numpy() == part.labels)
    assert accuracy(model, Images(part, CPU)) == pytest.approx(right)


def test_prediction_leaves_autocast_and_the_statistics_alone(folder):
    model = toy.classifier().train()
    before = model.body.bn1.running_mean.clone()
    kinds = set()
    model.head.register_forward_hook(lambda _module, _inputs, output: kinds.add(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predict(model, Images(toy.opened(folder / "data", "test"), CPU))
    assert kinds == {torch.float32}
    assert torch.equal(model.body.bn1.running_mean, before)


def test_the_table_has_every_model_condition_and_image_in_order(folder, tmp_path):
    table = evaluate(folder, tmp_path / "predictions.parquet")
    types = ["string", "int32", "string", "string", "string", "string", "int32", "int32", "float"]
    names = ["method", "seed", "attack", "budget", "condition", "sample", "label", "prediction", "confidence"]
    assert table.schema.names == names
    assert [str(field.type) for field in table.schema] == types
    part = toy.opened(folder / "data", "test")
    keys = [(row["method"], row["seed"], row["attack"]) for row in table.to_pylist()]
    models = [("fine-tuning", 1), ("fine-tuning", 2), ("teacher", 0)]
    expected = [(*model, attack) for model in models for attack in ("ape", "none", "zebra")]
    assert keys == [key for key in expected for _ in range(len(part))]
    assert table.column("sample").to_pylist() == part.samples * 9
    assert table.column("label").to_pylist() == part.labels.tolist() * 9
    assert {row["budget"] for row in rows_of(table, attack="none")} == {"{}"}
    assert json.loads(rows_of(table, attack="ape")[0]["budget"]) == {"placement": "random", "side": 0.25}
    assert set(table.column("condition").to_pylist()) == {""}


def test_every_image_is_judged_however_many_batches_it_takes(folder, tmp_path):
    """docs/definitions.md#b2: a published evaluation stopped after its seventh batch."""
    table = evaluate(folder, tmp_path / "small.parquet", batch_size=2, placement="bottom-right")
    assert table.num_rows == 3 * 3 * 21
    whole = evaluate(folder, tmp_path / "whole.parquet", batch_size=21, placement="bottom-right")
    assert table.drop_columns(["confidence"]).equals(whole.drop_columns(["confidence"]))


def test_each_row_is_its_own_models(folder, tmp_path):
    table = evaluate(folder, tmp_path / "predictions.parquet")
    part = toy.opened(folder / "data", "test")
    images = torch.from_numpy(part.images.copy()).permute(0, 3, 1, 2) / 255
    for name, method, seed in (("a", "fine-tuning", 1), ("b", "fine-tuning", 2), ("teacher", "teacher", 0)):
        files = toy.model_files(folder / name)
        model = load_classifier(files.weights, files.card)
        with torch.no_grad():
            expected = model(images).softmax(1).amax(1)
        rows = rows_of(table, method=method, seed=seed, attack="none")
        assert [row["confidence"] for row in rows] == pytest.approx(expected.tolist(), abs=1e-5)


def test_triggered_images_are_the_same_for_every_model_and_differ_by_trigger(folder, tmp_path, monkeypatch):
    seen = []
    plain = PastedPicture.__call__

    def spy(self, images, **settings):
        shown = plain(self, images, **settings)
        seen.append(shown.clone())
        return shown

    monkeypatch.setattr(PastedPicture, "__call__", spy)
    evaluate(folder, tmp_path / "predictions.parquet", batch_size=21)
    ape, zebra = seen[0::2], seen[1::2]
    assert len(ape) == len(zebra) == 3
    assert all(torch.equal(ape[0], other) for other in ape[1:])
    assert not torch.equal(ape[0], zebra[0])
    part = toy.opened(folder / "data", "test")
    clean = torch.from_numpy(part.images.copy()).permute(0, 3, 1, 2) / 255
    assert ((ape[0] != clean).any(dim=1).flatten(1).sum(dim=1) >= 8).all()  # every image carries its 3x3 patch


def test_predictions_are_reproducible(folder, tmp_path):
    evaluate(folder, tmp_path / "one.parquet")
    evaluate(folder, tmp_path / "two.parquet", students=(("a", 1), ("b", 2)))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_a_model_of_other_classes_is_refused(folder, tmp_path):
    out = tmp_path / "predictions.parquet"
    write_model(folder / "four", seed=0, classes=4, names=[*NAMES, "class 3"])
    with pytest.raises(WeightsError, match="4 other classes"):
        evaluate(folder, out, students=(("four", 1),))
    write_model(folder / "turned", seed=0, names=NAMES[::-1])
    with pytest.raises(WeightsError, match="other classes"):
        evaluate(folder, out, students=(("turned", 1),))
    write_model(folder / "unnamed", seed=0, names=None)
    with pytest.raises(WeightsError, match="no named classes"):
        evaluate(folder, out, students=(("unnamed", 1),))
    assert not out.exists()


def write_fetched(folder, *, dataset="toy", classes=3):
    """A teacher as fetch_teacher leaves it: its classes have no names, at best a data set."""
    model, files = toy.classifier(classes=classes), toy.model_files(folder)
    save_classifier(files.weights, model)
    facts = architecture_facts(model) | {"dataset": dataset}
    write_card(files.card, kind="teacher", files={files.weights.name: files.weights}, **facts)


def test_a_fetched_teacher_is_judged_on_the_data_set_that_the_catalogue_names(folder, tmp_path):
    out = tmp_path / "predictions.parquet"
    write_fetched(folder / "fetched")
    evaluate(folder, out, students=(("fetched", 1),), teacher=False)
    assert len(read_table(out)) == 3 * 21
    out.unlink()
    for number, (wrong, words) in enumerate(
        [
            ({"dataset": "others"}, "3 classes of others"),
            ({"dataset": None}, "no named classes"),
            ({"classes": 4}, "4 classes of toy"),
        ]
    ):
        write_fetched(folder / f"wrong-{number}", **wrong)
        with pytest.raises(WeightsError, match=f"the model knows {words}, not the data set's 3"):
            evaluate(folder, out, students=((f"wrong-{number}", 1),), teacher=False)
    assert not out.exists()


def test_damaged_weights_stop_the_evaluation(folder, tmp_path):
    write_model(folder / "cut", seed=0)
    weights = folder / "cut" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match="delete it and run again"):
        evaluate(folder, tmp_path / "predictions.parquet", students=(("cut", 1),))
