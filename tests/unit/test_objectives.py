"""The terms and phases of the transfer methods, each against a computation of its own."""

import copy
from collections.abc import Iterator

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, update_bn

from heirloom.data.store import Part
from heirloom.models.classifier import Classifier, conv_weights, seeded, state_copy
from heirloom.runtime.errors import ConfigError
from heirloom.training.averaging import WeightAveraging
from heirloom.training.loop import fit
from heirloom.training.losses import Objective, Step, Term, distillation_term, feature_distillation, start_term
from heirloom.training.phases import StepHook, supervised_phase
from heirloom.transfer.plan import Assignment, plan_student
from tests.unit import toy

CPU = torch.device("cpu")
IMAGES = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0])


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Part:
    return toy.opened(toy.write_data(tmp_path_factory.mktemp("task")))


@pytest.fixture
def assignment(task) -> Iterator[Assignment]:
    with toy.assigned(task) as assignment:
        yield assignment


@pytest.fixture(scope="module")
def teacher() -> Classifier:
    """A teacher whose batch-norm statistics have moved."""
    model = toy.classifier(classes=5, seed=1).train()
    model(IMAGES)
    return model.eval()


def stepped(model: Classifier) -> Step:
    """What a term sees of one forward pass."""
    with model.listening() as stages:
        logits = model(IMAGES)
    return Step(model, IMAGES, LABELS, logits, stages)


def trained(plan, assignment, *, name=""):
    checkpoint = assignment.checkpoint(name)
    lesson, resources = assignment.lesson, assignment.compute
    return fit(plan.student, lesson, phases=plan.phases, compute=resources, seed=0, checkpoint=checkpoint)


# L2-SP


def test_l2_sp_is_the_squared_distance_of_all_but_the_head():
    model = toy.classifier()
    start = state_copy(model)
    term = start_term(model, 0.25)
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            weight.add_(0.01 * (number + 1))
    expected = sum(
        (weight - start[name]).square().sum()
        for name, weight in model.named_parameters()
        if name not in ("body.fc.weight", "body.fc.bias")
    )
    assert Objective([term])(stepped(model)).item() == pytest.approx(0.25 * expected.item(), rel=1e-5)
    assert {"body.bn1.weight", "body.bn1.bias"} <= term.settings["start"].keys()
    assert not {"body.fc.weight", "body.bn1.running_mean"} & term.settings["start"].keys()


def test_l2_sp_pulls_with_twice_the_distance_and_not_at_all_at_the_start():
    model = toy.classifier()
    term = start_term(model, 0.5)
    weight = model.body.layer1[0].conv1.weight
    for moved in (0.0, 0.1):
        with torch.no_grad():
            weight.add_(moved)
        (pull,) = torch.autograd.grad(Objective([term])(stepped(model)).sum(), [weight])
        assert torch.allclose(pull, torch.full_like(pull, 0.5 * 2 * moved), atol=1e-6)


def test_l2_sp_holds_a_student_near_its_teacher(teacher, assignment):
    training = toy.recipe(iterations=20, weight_decay=0)

    def moved(name, **settings):
        plan = plan_student(teacher, toy.method(name, training=training, **settings), assignment)
        trained(plan, assignment, name=name)
        theirs = conv_weights(teacher)
        return sum((weight - theirs[name]).norm().item() for name, weight in conv_weights(plan.student).items())

    assert moved("l2-sp", strength=8.0) < 0.75 * moved("fine-tuning")


def test_l2_sp_beside_weight_decay_is_refused():
    with pytest.raises(ValidationError, match="replaces weight decay"):
        toy.method("l2-sp", training=toy.recipe(weight_decay=1e-4))


# feature distillation


def by_hand(student: Classifier, teacher: Classifier, dropout: float) -> torch.Tensor:
    """The sum over stages of the mean squared distance, stages taken before their dropout."""
    hidden, total = {}, 0
    for name, net in (("mine", student), ("theirs", teacher)):
        hidden[name] = torch.relu(net.body.bn1(net.body.conv1(net.normalise(IMAGES))))
    for stage in ("layer1", "layer2", "layer3"):
        mine = student.body.get_submodule(stage)(hidden["mine"])
        theirs = teacher.body.get_submodule(stage)(hidden["theirs"])
        total = total + (mine - theirs).square().mean()
        hidden = {"mine": functional.dropout2d(mine, dropout), "theirs": theirs}
    return total


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@torch.no_grad()
def test_distillation_is_the_sum_over_stages_of_mean_squared_distances(teacher, dropout):
    student = toy.classifier(seed=2).train()
    term = distillation_term(teacher, 3.0, CPU)
    oracle = copy.deepcopy(student)  # hooks of its own, which leave the stages whole
    oracle.stage_dropout, student.stage_dropout = 0.0, dropout
    with seeded(5):
        found = Objective([term])(stepped(student))
    with seeded(5):
        expected = by_hand(oracle, teacher, dropout)
    assert found.item() == pytest.approx(3 * expected.item(), rel=1e-5)


def test_dropout_changes_what_is_distilled_in_training_alone(teacher):
    student = toy.classifier(seed=2)
    objective = Objective([distillation_term(teacher, 1.0, CPU)])
    losses = {}
    for mode in (True, False):
        for dropout in (0.0, 0.5):
            student.stage_dropout = dropout
            losses[mode, dropout] = objective(stepped(copy.deepcopy(student).train(mode))).item()
    assert losses[True, 0.0] != losses[True, 0.5]
    assert losses[False, 0.0] == losses[False, 0.5]


def test_distillation_is_0_where_features_match_and_falls_towards_it(teacher, assignment):
    """docs/definitions.md#b13: with the sign turned round the distance would grow."""
    term = distillation_term(teacher, 1.0, CPU)
    twin = copy.deepcopy(teacher)
    nothing = pytest.approx(0, abs=1e-12)  # the two may lie in other memory formats, whose sums round differently
    assert Objective([term])(stepped(twin)).item() == nothing
    twin.replace_head(3, seed=0)
    assert Objective([term])(stepped(twin)).item() == nothing  # whatever the head
    recipe = toy.method("delta-r", feature_weight=2.0, training=toy.recipe(iterations=40, validate_every=5))
    history = trained(plan_student(teacher, recipe, assignment), assignment)
    losses = [row["loss_feature_distillation"] for row in history]
    assert losses[-1] < 0.6 * losses[0]


def test_the_teacher_of_a_distillation_neither_learns_nor_changes(teacher, assignment):
    before = state_copy(teacher)
    plan = plan_student(teacher, toy.method("delta"), assignment)
    looked_at = plan.phases[0].terms[-1].settings["teacher"]
    assert looked_at is not teacher
    trained(plan, assignment)
    assert not looked_at.training
    assert all(weight.grad is None and not weight.requires_grad for weight in looked_at.parameters())
    for model in (teacher, looked_at):
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_distillation_without_a_teacher_is_refused():
    with pytest.raises(ConfigError, match=r"feature distillation with weight 0\.5 has no teacher"):
        distillation_term(None, 0.5, CPU)


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_a_term_that_would_drive_away_is_refused(weight):
    with pytest.raises(ConfigError, match=r"the weight of the term feature-distillation is (-1|nan)"):
        Term("feature-distillation", feature_distillation, weight=weight)
    with pytest.raises(ValidationError, match="feature_weight"):
        toy.method("delta", feature_weight=weight)


# averaging


class Spy(StepHook):
    """Keeps the weights after each step, and the images of the closing epoch."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []
        self.batches: list[torch.Tensor] = []

    def after_step(self, model, iteration):
        self.states.append(state_copy(model))

    def after_phase(self, model, batches):
        self.batches = [images.clone() for images in batches()]


@pytest.fixture
def averaged(assignment):
    """Seven steps, of which the first, the fourth and the seventh are averaged."""
    model, spy = toy.classifier(), Spy()
    start = copy.deepcopy(model)
    training = toy.recipe(iterations=7, schedule="constant", momentum=0.9)
    phase = supervised_phase(training, hooks=(spy, WeightAveraging(model, every=3)))
    checkpoint = assignment.checkpoint("")
    fit(model, assignment.lesson, phases=(phase,), compute=assignment.compute, seed=0, checkpoint=checkpoint)
    return start, model, spy


def test_averaged_weights_are_torchs_over_the_same_steps(averaged):
    start, model, spy = averaged
    assert len(spy.states) == 7
    oracle, passing = AveragedModel(start), copy.deepcopy(start)
    for state in spy.states[::3]:
        passing.load_state_dict(state)
        oracle.update_parameters(passing)
    update_bn(spy.batches, oracle.module)
    assert int(oracle.n_averaged) == 3
    expected = oracle.module.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    for name, _ in model.named_parameters():
        mean = torch.stack([state[name] for state in spy.states[::3]]).mean(0)
        assert torch.allclose(model.state_dict()[name], mean, atol=1e-6), name


def test_statistics_are_those_of_the_averaged_weights_over_an_epoch(averaged):
    _, model, spy = averaged
    assert sum(map(len, spy.batches)) == 24
    maps = [model.body.conv1(model.normalise(images)) for images in spy.batches]
    means = torch.stack([batch.mean((0, 2, 3)) for batch in maps]).mean(0)
    variances = torch.stack([batch.var((0, 2, 3)) for batch in maps]).mean(0)
    assert torch.allclose(model.body.bn1.running_mean, means, atol=1e-5)
    assert torch.allclose(model.body.bn1.running_var, variances, rtol=1e-4)
    assert not torch.allclose(spy.states[-1]["body.bn1.running_mean"], means, atol=1e-3)
    assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}


def test_thirty_thousand_steps_make_sixty_averages_the_first_after_the_first_step():
    model = toy.classifier()
    hook = WeightAveraging(model, every=500)
    counts = []
    for iteration in range(30_000):
        hook.after_step(model, iteration)
        if iteration in (0, 1, 499, 500):
            counts.append(int(hook.state()["n_averaged"]))
    assert counts == [1, 1, 1, 2]
    assert int(hook.state()["n_averaged"]) == 60


def test_renofeation_distils_with_dropout_in_both_phases_and_averages_in_the_second(teacher, assignment):
    recipe = toy.method("renofeation", stage_dropout=0.25)
    plan = plan_student(teacher, recipe, assignment)
    assert toy.method("renofeation").stage_dropout == 0.1
    assert [phase.name for phase in plan.phases] == ["training", "averaging"]
    assert [phase.training for phase in plan.phases] == [recipe.training, recipe.averaging]
    names = ["cross-entropy", "head-penalty", "feature-distillation"]
    for phase in plan.phases:
        assert phase.stage_dropout == 0.25
        assert [term.name for term in phase.terms] == names
        assert phase.terms[-1].weight == recipe.feature_weight
    assert [[type(hook) for hook in phase.hooks] for phase in plan.phases] == [[], [WeightAveraging]]
    used = {"training": set(), "evaluation": set()}
    plan.student.body.layer2.register_forward_pre_hook(
        lambda module, inputs: used["training" if module.training else "evaluation"].add(dropped(inputs[0]))
    )
    history = trained(plan, assignment)
    assert used == {"training": {True}, "evaluation": {False}}
    assert {row["phase"] for row in history} == {"training", "averaging"}
    assert {row["learning_rate"] for row in history if row["phase"] == "averaging"} == {0.05}
    assert all(row["loss_feature_distillation"] > 0 for row in history)


def dropped(maps: torch.Tensor) -> bool:
    """Whether some but not the same channels are 0 on all images of a batch."""
    zero = (maps == 0).all(dim=3).all(dim=2)
    return bool((zero.any(0) & ~zero.all(0)).any())


# starts


@pytest.mark.parametrize("name", ["re-training", "delta-r", "renofeation"])
def test_a_random_start_is_torchs_or_hes(teacher, assignment, name):
    """3 x 3, 8 channels to 16: torch draws uniformly up to 1 / sqrt(9 * 8), He's deviation is sqrt(2 / (9 * 16))."""
    starts = {start: plan_student(teacher, toy.method(name, start=start), assignment).student for start in START}
    weights = {start: model.body.layer3[0].conv1.weight.detach() for start, model in starts.items()}
    assert 0.9 / 72**0.5 < weights["reset"].abs().max() <= 1 / 72**0.5
    assert weights["he-normal"].std().item() == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.08)
    assert weights["he-normal"].abs().max() > 2 / 72**0.5
    again = plan_student(teacher, toy.method(name, start="he-normal"), assignment).student
    assert torch.equal(again.body.layer3[0].conv1.weight, weights["he-normal"])
    for model in starts.values():
        assert torch.equal(model.body.bn1.running_var, torch.ones(4))
        assert torch.equal(model.head.weight, starts["reset"].head.weight)


START = ("reset", "he-normal")
