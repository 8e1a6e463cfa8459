"""VGGFace2's ResNet-50: held to plain formulas, told from torchvision's, and fetched from its own file alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from heirloom.config.load import load_catalogue
from heirloom.config.models import Body, Fetched, Normalisation, RemoteFile
from heirloom.models.bodies.vggface2.network import read
from heirloom.models.classifier import Classifier
from heirloom.models.weights import load_classifier, load_state
from heirloom.runtime.errors import DataError, WeightsError
from heirloom.runtime.files import read_card
from heirloom.stages import fetch_teacher
from tests.unit.face_network import arrays_of, logits_of, of_python2

pytestmark = pytest.mark.usefixtures("quick_reader")

TEACHER = load_catalogue([Path(__file__).parents[2] / "config"]).teachers["vggface2-resnet50"]
NARROW = Body(name="vggface2-resnet50", options={"width": 2})
IMAGES = torch.rand(2, 3, 64, 90, generator=torch.Generator().manual_seed(0))  # the pool rounds the first side up


@pytest.fixture(scope="module")
def narrow() -> dict[str, np.ndarray]:
    return arrays_of(width=2, classes=7)


def saved(folder: Path, arrays: dict[str, np.ndarray], name: str = "resnet50_ft_weight.pkl") -> Path:
    (folder / name).write_bytes(of_python2(arrays, 2))
    return folder / name


def network(file: Path, body: Body, *, classes: int = 7) -> Classifier:
    model = Classifier(body, TEACHER.normalisation, classes=classes)
    load_state(model.body, read(file), where=str(file))
    return model.eval()


def fetch(folder: Path, file: Path | None, body: Body = NARROW, **options: object) -> fetch_teacher.Outputs:
    outputs = fetch_teacher.Outputs(folder / "out" / "card.json", folder / "out" / "weights.safetensors")
    name = file.name if file else "resnet50_ft_weight.pkl"
    fetch_teacher.run(
        outputs=outputs,
        body=body,
        normalisation=TEACHER.normalisation,
        file=RemoteFile(name=name, local_path=str(file) if file else None),
        classes=7,
        teacher="faces",
        **options,  # type: ignore[arg-type]
    )
    return outputs


@pytest.mark.parametrize("width", [2, 64])
def test_logits_are_those_of_the_published_network_line_by_line(tmp_path, width):
    arrays = arrays_of(width=width, classes=7)
    model = network(saved(tmp_path, arrays), Body(name="vggface2-resnet50", options={"width": width}))
    expected = logits_of(arrays, IMAGES).float()
    with torch.no_grad():
        found = model(IMAGES)
    scale = expected.abs().max()
    assert scale > 0.1
    assert (found - expected).abs().max() < 1e-5 * scale.clamp(min=1)
    assert expected.std(dim=0).max() > 0.01  # it is the images that decide


def test_the_same_weights_in_torchvisions_network_give_other_logits_without_a_word(tmp_path):
    arrays = arrays_of(classes=7)
    state = read(saved(tmp_path, arrays))
    theirs = Classifier(Body(name="resnet50"), TEACHER.normalisation, classes=7)
    load_state(theirs.body, state, where="nobody notices")
    with torch.no_grad():
        found, expected = theirs.eval()(IMAGES), logits_of(arrays, IMAGES)
    assert (found - expected).abs().max() > 0.1 * expected.abs().max()


def test_the_normalisation_is_the_published_mean_of_blue_green_red_from_0_to_255():
    model = Classifier(NARROW, TEACHER.normalisation, classes=7)
    bytes_rgb = np.random.default_rng(0).integers(0, 256, (5, 6, 3))
    expected = bytes_rgb[:, :, ::-1].astype(np.float64) - np.array([91.4953, 103.8827, 131.0912])
    found = model.normalise(torch.from_numpy(bytes_rgb / 255).permute(2, 0, 1)[None].float())
    np.testing.assert_allclose(found[0].flip(0).permute(1, 2, 0).numpy(), expected, atol=1e-4)


def test_its_stages_features_dropout_and_head_are_those_of_every_body(tmp_path, narrow):
    model = network(saved(tmp_path, narrow), NARROW)
    with torch.no_grad():
        stages, features = model.stages(IMAGES), model.features(IMAGES)
        assert [stage.shape[1] for stage in stages] == [256, 512, 1024, 2048]
        assert [tuple(stage.shape[2:]) for stage in stages] == [(16, 22), (8, 11), (4, 6), (2, 3)]
        torch.testing.assert_close(features, stages[-1].mean(dim=(2, 3)))
        torch.testing.assert_close(model.head(features), model(IMAGES))
        model.train()
        model.stage_dropout = 0.5
        heard: list[torch.Tensor] = []
        handle = model.body.layer2.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
        model(IMAGES)
        handle.remove()
    assert 0.3 < (heard[0] == 0).all(dim=(2, 3)).float().mean() < 0.7
    model.replace_head(3, seed=0)
    assert model.classes == 3


def test_numbers_of_any_kind_and_order_become_torchs(tmp_path, narrow):
    odd = {
        **narrow,
        "fc.bias": narrow["fc.bias"].astype(">f8"),
        "fc.weight": np.asfortranarray(narrow["fc.weight"]),
        "bn1.num_batches_tracked": np.array(3, dtype=">i4"),
    }
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps(odd, 4))
    state = read(tmp_path / "odd.pkl")
    assert state["fc.bias"].dtype == torch.float64  # whether float32 holds them is told when they are loaded
    np.testing.assert_array_equal(state["fc.bias"].numpy(), narrow["fc.bias"])
    np.testing.assert_array_equal(state["fc.weight"].numpy(), narrow["fc.weight"])
    assert state["bn1.num_batches_tracked"].item() == 3
    assert state["bn1.num_batches_tracked"].dtype == torch.int64
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps(narrow | {"fc.bias": np.full(7, 1e300)}))
    with pytest.raises(WeightsError, match=r"too large for float32: fc\.bias"):
        network(tmp_path / "odd.pkl", NARROW)


# -- the teacher -------------------------------------------------------------------------------------------------------


def test_its_own_file_becomes_a_teacher_once_and_for_all(tmp_path, narrow):
    file = saved(tmp_path, narrow)
    outputs = fetch(tmp_path, file, dataset="people")
    file.unlink()
    model = load_classifier(outputs.weights, outputs.card)
    expected = logits_of(narrow, IMAGES)
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES).double(), expected, atol=1e-4, rtol=1e-4)
    card = read_card(outputs.card)
    assert (card["dataset"], card["classes"], card["file"]["name"]) == ("people", 7, "resnet50_ft_weight.pkl")
    assert str(tmp_path) not in outputs.card.read_text()


def test_whose_classes_a_head_knows_is_in_the_card_only_where_it_is_known(tmp_path, narrow):
    assert "dataset" not in read_card(fetch(tmp_path, saved(tmp_path, narrow)).card)


def test_its_file_is_refused_for_torchvisions_body(tmp_path, narrow):
    for protocol in (0, 2):
        file = tmp_path / "resnet50_ft_weight.pkl"
        file.write_bytes(of_python2(narrow, protocol))
        with pytest.raises(WeightsError) as refused:
            fetch(tmp_path, file, body=Body(name="resnet50"))
        assert "belongs to the body vggface2-resnet50" in refused.value.mend
        assert "not torchvision's" in refused.value.mend
    assert not (tmp_path / "out").exists()


def test_files_of_torchvisions_network_are_refused_for_its_body(tmp_path, narrow):
    state = {name: torch.from_numpy(array) for name, array in narrow.items()}
    torch.save(state, tmp_path / "resnet50-new.pth")
    torch.save(state, tmp_path / "resnet50-old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "resnet50.safetensors")
    for name in ("resnet50-new.pth", "resnet50-old.pth", "resnet50.safetensors"):
        with pytest.raises(WeightsError) as refused:
            fetch(tmp_path, tmp_path / name)
        assert "another network, the body resnet50" in refused.value.mend
    assert not (tmp_path / "out").exists()


def test_a_file_that_does_not_fit_or_holds_code_leaves_nothing(tmp_path, narrow):
    with pytest.raises(WeightsError, match=r"of another shape: .*layer1\.0\.conv1\.weight"):
        fetch(tmp_path, saved(tmp_path, arrays_of(width=4, classes=7)))
    without = {name: array for name, array in narrow.items() if name != "conv1.weight"}
    with pytest.raises(WeightsError, match=r"missing: conv1\.weight"):
        fetch(tmp_path, saved(tmp_path, without))
    (tmp_path / "resnet50_ft_weight.pkl").write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(WeightsError, match=r"asks for posix\.system"):
        fetch(tmp_path, tmp_path / "resnet50_ft_weight.pkl")
    assert not (tmp_path / "out").exists()


def test_an_absent_file_is_told_with_the_way_to_get_it(tmp_path):
    assert isinstance(TEACHER.source, Fetched)
    ways = {"teachers.faces": TEACHER.source.instructions, "datasets.faces": "ask nobody"}
    with pytest.raises(DataError) as refused:
        fetch(tmp_path, None, instructions=ways, data_root=tmp_path)
    assert "resnet50_ft_weight.pkl cannot be had" in refused.value.what
    assert f"put resnet50_ft_weight.pkl in {tmp_path} (the page https://" in refused.value.mend
    assert "ask nobody" not in refused.value.mend


def test_fractions_of_255_are_read_as_numbers():
    normalisation = Normalisation.model_validate({"mean": ["131.0912/255", 0.25, "1/4"], "std": ["1 / 255", 1, 1]})
    assert normalisation.mean == (131.0912 / 255, 0.25, 0.25)
    assert normalisation.std[0] == 1 / 255
    for wrong in ("1/0", "1/2/3", "a/b"):
        with pytest.raises(ValueError, match="mean"):
            Normalisation.model_validate({"mean": [wrong, 0, 0]})
