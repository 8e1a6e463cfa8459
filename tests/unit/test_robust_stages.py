"""train_robust and fetch_robust from files to files."""

import json
from pathlib import Path

import pytest
import torch

from heirloom.config.kinds import OBJECTIVES
from heirloom.config.models import Body, Normalisation, RemoteFile
from heirloom.config.robust import Judge
from heirloom.config.robust_training import InnerAttack
from heirloom.data.resident import Images
from heirloom.evaluation.judge import judge_rates
from heirloom.models.classifier import build_classifier
from heirloom.models.conditions import load_model
from heirloom.runtime.digest import code_digest
from heirloom.runtime.errors import ConfigError, DataError, WeightsError
from heirloom.runtime.files import read_card, read_table
from heirloom.stages import fetch_robust, train_robust
from heirloom.training.checkpoints import NAME
from heirloom.training.loop import ROBUST
from heirloom.training.objectives.awp import WeightPerturbation
from heirloom.training.objectives.score import SquaredErrors
from heirloom.training.objectives.trades import Trades
from tests.unit import toy
from tests.unit.killed import killed
from tests.unit.test_robust_training import NAMES, objective, recipe

pytestmark = pytest.mark.usefixtures("quick_reader")

BODY = Body(name="cifar-resnet18", options={"width": 4})
JUDGE = Judge(attack=InnerAttack(epsilon=0.2, step=0.1, steps=3))
FILES = {"card.json", "weights.safetensors", "history.parquet"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return toy.write_data(tmp_path_factory.mktemp("data"))


def robust(data: Path, out: Path, *, name: str = "trades", checkpoint_seconds: float = 60.0, **changes: object) -> None:
    train_robust.run(
        inputs=train_robust.Inputs(**toy.files_of(data)),
        outputs=toy.model_files(out),
        body=toy.BODY,
        normalisation=Normalisation(),
        objective=objective(name),
        training=recipe(**{"iterations": 9, "validate_every": 3, "learning_rate": 0.1, **changes}),
        judge=JUDGE,
        augmentation=toy.MOVING,
        seed=4,
        code="code",
        checkpoint_seconds=checkpoint_seconds,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_robust_training_writes_the_same_model_twice_and_leaves_no_checkpoint(data, tmp_path, name):
    for folder in ("a", "b"):
        robust(data, tmp_path / folder, name=name)
    assert {path.name for path in (tmp_path / "a").iterdir()} == FILES
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in FILES)
    card = read_card(tmp_path / "a" / "card.json")
    assert (card["kind"], card["source"], card["dataset"], card["crop"]) == ("robust", "trained", "toy", 12)
    assert card["objective"]["kind"] == name
    assert card["judge"] == JUDGE.model_dump(mode="json")
    assert card["training"][0]["schedule"] == "steps"


def test_the_card_tells_of_the_weights_that_are_kept(data, tmp_path):
    robust(data, tmp_path, name="adversarial-training", iterations=40, validate_every=4, learning_rate=0.3)
    card = read_card(tmp_path / "card.json")
    rows = read_table(tmp_path / "history.parquet").to_pylist()
    best = max(row[ROBUST] for row in rows)
    kept = next(row for row in rows if row[ROBUST] == best)
    assert (card["kept_iteration"], card[ROBUST], card["validation_accuracy"]) == (
        kept["iteration"],
        best,
        kept["validation_accuracy"],
    )
    assert kept["iteration"] < 40  # measured: 24; else this asks nothing
    part = toy.opened(data)
    model = load_model(tmp_path / "weights.safetensors", tmp_path / "card.json", part)
    found = judge_rates(model, Images(part.split("validation"), torch.device("cpu")), JUDGE)
    assert (found.accuracy, found.robust_accuracy) == (card["validation_accuracy"], best)


def test_test_images_have_no_say(tmp_path):
    """docs/definitions.md#r2: the source kept the weights that were best on the test set."""
    robust(toy.write_data(tmp_path / "data"), tmp_path / "with")
    for path in (tmp_path / "data" / "test").iterdir():
        path.unlink()
    robust(tmp_path / "data", tmp_path / "without")
    assert all((tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes() for file in FILES)


def test_without_validation_images_nothing_is_trained(tmp_path):
    with pytest.raises(ConfigError, match="no validation image is held out"):
        robust(toy.write_data(tmp_path / "data", validation=0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.faults
def test_a_killed_robust_training_continues_to_the_same_bytes(data, tmp_path):
    hurt, calm = tmp_path / "hurt", tmp_path / "calm"
    settings = {"iterations": 20, "validate_every": 5}
    call = f"robust(Path({str(data)!r}), Path({str(hurt)!r}), checkpoint_seconds=1e-9, **{settings})"
    killed(f"from tests.unit.test_robust_stages import robust\n{call}", iteration=7)
    left = torch.load(hurt / NAME, weights_only=True)["content"]
    assert left["iteration"] == 7
    assert left["best"] is not None
    assert not (hurt / "weights.safetensors").exists()
    robust(data, hurt, **settings)
    robust(data, calm, **settings)
    assert {path.name for path in hurt.iterdir()} == FILES
    assert all((hurt / file).read_bytes() == (calm / file).read_bytes() for file in FILES)


@pytest.mark.parametrize("name", ["trades", "mart"])
def test_another_objective_is_another_code(name):
    mine, other = (code_digest("train_robust", OBJECTIVES.module(each)) for each in (name, "score"))
    assert mine != other


def test_settings_that_no_objective_has_are_refused():
    assert (Trades(kind="trades").beta, SquaredErrors(kind="score").beta) == (6.0, 4.0)
    assert WeightPerturbation(kind="awp").gamma == 0.005


# fetch_robust


def weights(folder: Path, *, classes: int = 3, normalised: bool = False) -> Path:
    """A foreign checkpoint of a robust model."""
    body = build_classifier(BODY, Normalisation(), classes=classes, seed=1).body
    state = {f"1.{name}": value for name, value in body.state_dict().items()} if normalised else body.state_dict()
    if normalised:
        state |= {"0.mean": torch.tensor(Normalisation().mean), "0.std": torch.tensor(Normalisation().std)}
    folder.mkdir(exist_ok=True)
    torch.save({"net": state, "epoch": 104}, folder / "robust.pth")
    return folder


def fetch(data: Path, root: Path, out: Path, *, normalisation: Normalisation | None = None, **options: object) -> None:
    fetch_robust.run(
        inputs=fetch_robust.Inputs(data / "card.json"),
        outputs=fetch_robust.Outputs(out / "card.json", out / "weights.safetensors"),
        body=BODY,
        normalisation=normalisation or Normalisation(),
        file=RemoteFile(name="robust.pth"),
        model="someones",
        data_root=root,
        **options,
    )


@pytest.mark.parametrize("normalised", [False, True])
def test_a_fetched_model_is_evaluated_on_the_data_set_it_knows(data, tmp_path, normalised):
    root = weights(tmp_path / "root", normalised=normalised)
    fetch(data, root, tmp_path / "out")
    card = read_card(tmp_path / "out" / "card.json")
    assert card["class_names"] == ["class 0", "class 1", "class 2"]
    assert (card["kind"], card["source"], card["dataset"], card["crop"]) == ("robust", "fetched", "toy", 12)
    assert card["file"]["name"] == "robust.pth"
    model = load_model(tmp_path / "out" / "weights.safetensors", tmp_path / "out" / "card.json", toy.opened(data))
    own = build_classifier(BODY, Normalisation(), classes=3, seed=1).eval()
    images = torch.rand(2, 3, 12, 12)
    assert torch.equal(model(images), own(images))
    assert str(tmp_path) not in json.dumps(card)


def test_a_head_for_other_classes_is_refused(data, tmp_path):
    with pytest.raises(WeightsError, match="knows 10 classes, the data set toy has 3"):
        fetch(data, weights(tmp_path / "root", classes=10), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_with_another_normalisation_is_refused(data, tmp_path):
    root = weights(tmp_path / "root", normalised=True)
    with pytest.raises(WeightsError, match="this model normalises by"):
        fetch(data, root, tmp_path / "out", normalisation=Normalisation(mean=(0.5,) * 3, std=(0.5,) * 3))


def test_where_a_robust_model_lies_and_how_to_get_it_are_told_by_its_name(data, tmp_path):
    root = weights(tmp_path / "root")
    (root / "robust.pth").rename(root / "mine.pth")
    fetch(data, root, tmp_path / "out", local_paths={"robust.someones": {"robust.pth": "mine.pth"}})
    assert (tmp_path / "out" / "card.json").is_file()
    with pytest.raises(DataError) as refused:
        fetch(data, root, tmp_path / "other", instructions={"robust.someones": "ask its authors"})
    assert "ask its authors" in str(refused.value)
