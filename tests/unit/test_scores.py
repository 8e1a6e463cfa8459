import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from benchmarks.remos_slicing import collected, ranked, slice_by_sorts, slice_by_walks
from pydantic import TypeAdapter
from scipy.stats import rankdata
from torch import nn
from torch.nn import functional

from heirloom.config.kinds import SCORES
from heirloom.config.models import ScoreSettings
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier, conv_weights, state_copy
from heirloom.models.ranks import lowest, shared_ranks
from heirloom.runtime.errors import ConfigError, TrainingError
from heirloom.training.loop import fit
from heirloom.transfer import walk
from heirloom.transfer.methods.pruning import Score
from heirloom.transfer.plan import Assignment, from_teacher, plan_student
from heirloom.transfer.scores.coverage.channels import active, coverage_scores, profile
from heirloom.transfer.slices import prune, scored
from tests.unit import toy

TRIALS = ("change", "relative-change", "scaled-change")
TRIAL = toy.recipe(iterations=4, batch_size=24, momentum=0.9, weight_decay=0, learning_rate=0.02)


def settings(kind: str, **changes: object) -> ScoreSettings:
    trial = {"trial": TRIAL} if kind in TRIALS else {}
    adapter: TypeAdapter[ScoreSettings] = TypeAdapter(Score)
    return adapter.validate_python({"kind": kind, **trial, **changes})


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> Part:
    """A development part of three classes: 24 training and 6 validation images."""
    return toy.opened(toy.write_data(tmp_path_factory.mktemp("task")))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Walk over the 24 images in four batches, the last one smaller."""
    monkeypatch.setattr(walk, "BATCH_SIZE", 7)


@pytest.fixture
def assignment(task) -> Iterator[Assignment]:
    with toy.assigned(task) as assignment:
        yield assignment


@pytest.fixture(scope="module")
def teacher() -> Classifier:
    """A teacher with a depthwise and a grouped convolution, whose batch-norm statistics have moved."""
    model = toy.classifier(classes=5, seed=1).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.body.layer2[0].conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        model.body.layer3[0].conv2 = nn.Conv2d(16, 16, 3, padding=1, groups=4, bias=False)
        model(torch.rand(8, 3, 12, 12))
    return model.eval()


@pytest.fixture
def student(teacher, assignment) -> Classifier:
    return from_teacher(teacher, assignment)


def training_images(assignment) -> tuple[torch.Tensor, torch.Tensor]:
    train = assignment.lesson.train
    return torch.from_numpy(train.images.copy()).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(train.labels)


def flat(scores) -> torch.Tensor:
    return torch.cat([values.flatten() for values in scores.values()])


# what all scores have in common


def test_every_score_has_its_settings_and_its_function():
    kinds = [get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(SCORES.settings())[0])]
    assert sorted(kinds) == sorted(SCORES.names())
    assert all(callable(SCORES.load(kind).score) for kind in kinds)


@pytest.mark.parametrize("kind", SCORES.names())
def test_a_score_is_a_number_for_each_weight_and_leaves_the_student_as_it_was(student, assignment, kind):
    student.body.conv1.weight.grad = torch.ones_like(student.body.conv1.weight)
    student.body.layer2.train()
    before, modes = state_copy(student), {name: module.training for name, module in student.named_modules()}
    found = scored(student, settings(kind), assignment)
    assert found.student is student
    assert {name: values.shape for name, values in found.scores.items()} == {
        name: weight.shape for name, weight in conv_weights(student).items()
    }
    assert flat(found.scores).isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert {name: module.training for name, module in student.named_modules()} == modes
    assert torch.equal(student.body.conv1.weight.grad, torch.ones_like(student.body.conv1.weight))
    assert all(weight.grad is None for name, weight in student.named_parameters() if name != "body.conv1.weight")
    assert not any(module._forward_hooks for module in student.modules() if isinstance(module, nn.Conv2d))
    torch.manual_seed(99)  # whatever was drawn in between
    again = scored(student, settings(kind), assignment).scores
    assert torch.equal(flat(again), flat(found.scores))


@pytest.mark.parametrize("kind", SCORES.names())
def test_a_score_sees_no_validation_image(teacher, task, kind):
    def scores_of(part):
        with toy.assigned(part) as assignment:
            return flat(scored(from_teacher(teacher, assignment), settings(kind), assignment).scores)

    spoiled = np.array(task.stored)
    spoiled[24:] = 255 - spoiled[24:]
    assert torch.equal(scores_of(task), scores_of(replace(task, stored=spoiled)))
    spoiled[3] = 255 - spoiled[3]  # a training image, on the other hand, counts
    looking = kind not in ("magnitude", "random")
    assert torch.equal(scores_of(task), scores_of(replace(task, stored=spoiled))) != looking


@pytest.mark.parametrize("kind", SCORES.names())
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_pruning_sets_one_end_of_the_ranking_to_0(student, assignment, kind, end):
    scores = scored(student, settings(kind), assignment).scores
    ratio = 0.2 if end == "lowest" else 0.02  # the highest gradients lie in one layer, which must not be emptied
    kept = prune(student, scores, ratio, end=end)
    values, stays = flat(scores), flat(kept)
    assert int((~stays).sum()) == math.floor(ratio * len(values))
    assert torch.equal(flat(conv_weights(student)) == 0, ~stays)
    gone, rest = values[~stays], values[stays]
    assert gone.max() <= rest.min() if end == "lowest" else gone.min() >= rest.max()


@pytest.mark.parametrize("kind", SCORES.names())
def test_without_regrowth_zeros_stay_zeros_whatever_chose_them(teacher, assignment, kind):
    recipe = toy.method("pruning", score=settings(kind), regrow=False, training=toy.recipe(momentum=0.9))
    plan = plan_student(teacher, recipe, assignment)
    start = flat(conv_weights(plan.student)).detach().clone()
    lesson, checkpoint = assignment.lesson, assignment.checkpoint("")
    fit(plan.student, lesson, phases=plan.phases, compute=assignment.compute, seed=0, checkpoint=checkpoint)
    end = flat(conv_weights(plan.student)).detach()
    assert int((start == 0).sum()) == math.floor(0.2 * len(start))
    assert torch.equal(end == 0, start == 0)
    assert not torch.equal(end, start)


def test_a_layer_that_a_score_empties_is_named(teacher, assignment):
    """The task's gradient does not reach a layer whose output is scaled by 0."""
    model = copy.deepcopy(teacher)
    with torch.no_grad():
        model.body.layer1[0].bn1.weight.zero_()
    with pytest.raises(ConfigError, match=r"nothing is left of body\.layer1\.0\.conv1"):
        plan_student(model, toy.method("pruning", score=settings("snip")), assignment)
    with torch.no_grad():
        model.body.layer2[0].conv1.weight.mul_(1e3)
    with pytest.raises(ConfigError, match=r"nothing is left of body\.layer2\.0\.conv1\n"):
        score = settings("magnitude")
        plan_student(model, toy.method("pruning", score=score, prune="highest", ratio=0.3), assignment)


def test_a_score_that_is_no_number_is_named(student, assignment):
    with torch.no_grad():
        student.body.layer3[0].conv1.weight[0, 0, 0, 0] = math.nan
    with pytest.raises(TrainingError, match=r"magnitude of body\.layer3\.0\.conv1 is no number"):
        scored(student, settings("magnitude"), assignment)


# ranks


@pytest.mark.parametrize("ratio", [0, 0.01, 0.29, 0.5, 1])
@pytest.mark.parametrize("whole", [True, False])
def test_the_lowest_are_a_stable_sorts_first(ratio, whole):
    values = torch.randn(500, generator=torch.Generator().manual_seed(0)).mul(9)
    values = values.long() if whole else values.round(decimals=1)
    parts = {"a": values[:200].view(10, 20), "b": values[200:].view(3, 100)}
    order = sorted(range(500), key=lambda index: values[index].item())
    expected = set(order[: math.floor(round(ratio * 100) * 500 / 100)])
    marked = flat(lowest(parts, ratio))
    assert set(marked.nonzero()[:, 0].tolist()) == expected


def test_shared_ranks_are_scipys_average_ranks():
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 30, (200,), generator=generator)
    assert shared_ranks(values).tolist() == [2 * (rank - 1) for rank in rankdata(values, method="average")]
    repeats = torch.randint(1, 10, (200,), generator=generator)
    every = rankdata(values.repeat_interleave(repeats), method="average")
    first = repeats.cumsum(0) - repeats
    assert shared_ranks(values, repeats).tolist() == [2 * (every[place] - 1) for place in first.tolist()]


# random


def test_chance_is_the_seeds_alone(teacher, task):
    def draw(seed):
        with toy.assigned(task, seed=seed) as assignment:
            return flat(scored(from_teacher(teacher, assignment), settings("random"), assignment).scores)

    one = draw(1)
    assert torch.equal(one, draw(1))
    assert not torch.equal(one, draw(2))
    assert 0 <= one.min() <= one.max() < 1
    assert len(one.unique()) == len(one)
    assert one.mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.corrcoef(torch.stack([one, draw(2)]))[0, 1].abs() < 0.05


# trials


def tried_by_hand(student, assignment) -> Classifier:
    """Oracle: four steps of torch's SGD on the whole training set, head ten times as fast, cosine."""
    model = copy.deepcopy(student).train()
    images, labels = training_images(assignment)
    body = [weight for name, weight in model.named_parameters() if "fc" not in name]
    groups = [{"params": body, "lr": 0.02}, {"params": model.head.parameters(), "lr": 0.2}]
    optimiser = torch.optim.SGD(groups, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=4)
    for _ in range(4):
        optimiser.zero_grad()
        penalty = sum(weight.square().sum() for weight in model.head.parameters())
        (functional.cross_entropy(model(images), labels) + 1e-2 / 2 * penalty).backward()
        optimiser.step()
        schedule.step()
    return model


def test_changes_are_those_of_plain_steps(student, assignment):
    oracle = tried_by_hand(student, assignment)
    start, end = flat(conv_weights(student)).detach(), flat(conv_weights(oracle)).detach()
    moved = (end - start).abs()
    assert moved.max() > 1e-3
    expected = {"change": moved, "relative-change": moved / start.abs(), "scaled-change": moved * start.abs()}
    for kind, values in expected.items():
        found = flat(scored(student, settings(kind), assignment).scores)
        assert torch.allclose(found, values, rtol=2e-2, atol=1e-5), kind
        assert torch.corrcoef(torch.stack([found.log(), values.log()]))[0, 1] > 0.999


def test_a_relative_change_is_bounded_where_a_weight_is_0(student, assignment):
    with torch.no_grad():  # the first channel of the stem puts out nothing: what reads it never moves
        student.body.bn1.weight[0], student.body.bn1.bias[0] = 0, -1
        student.body.layer1[0].conv1.weight[:, 0] = 0
        student.body.layer3[0].conv1.weight[2, 1, 0, 0] = 0
    values = scored(student, settings("relative-change"), assignment).scores
    assert (values["body.layer1.0.conv1.weight"][:, 0] == 0).all()
    assert flat(values).isfinite().all()
    assert flat(values).max() == values["body.layer3.0.conv1.weight"][2, 1, 0, 0] > 1e30
    change = flat(scored(student, settings("change"), assignment).scores)
    bounded = flat(scored(student, settings("relative-change", low_bound=0.1), assignment).scores)
    assert torch.equal(bounded, change / flat(conv_weights(student)).detach().abs().clamp(min=0.1))


@pytest.mark.parametrize("kind", TRIALS)
def test_what_a_trial_moved_is_restored_bit_for_bit(teacher, assignment, kind):
    """docs/definitions.md#b1: weights, statistics and head are the start's again, but for what is pruned."""
    plan = plan_student(teacher, toy.method("pruning", score=settings(kind)), assignment)
    start = from_teacher(teacher, assignment).state_dict()
    pruned = {name: weight == 0 for name, weight in conv_weights(plan.student).items()}
    assert sum(int(zeros.sum()) for zeros in pruned.values()) > 0
    for name, value in plan.student.state_dict().items():
        expected = start[name].masked_fill(pruned[name], 0) if name in pruned else start[name]
        assert torch.equal(value, expected), name


def test_the_published_restore_leaves_the_trials_weights_and_statistics(student, assignment):
    restored = scored(student, settings("relative-change"), assignment)
    found = scored(student, settings("relative-change", restore=False), assignment)
    assert torch.equal(flat(found.scores), flat(restored.scores))
    assert found.student is not student
    oracle = tried_by_hand(student, assignment).state_dict()
    before = student.state_dict()
    for name, value in found.student.state_dict().items():
        assert torch.allclose(value, oracle[name], rtol=1e-3, atol=1e-4), name
        assert name.startswith("normalise") or not torch.equal(value, before[name]), name


def test_a_trial_has_draws_of_its_own(student, assignment):
    """The same recipe as the student's training: were the streams one, the trial would be its first steps."""
    moving = replace(assignment, lesson=replace(assignment.lesson, augmentation=toy.MOVING))
    training = TRIAL.model_copy(update={"batch_size": 8})
    score = settings("change", trial=training, restore=False)
    tried = scored(student, score, moving).student
    plan = plan_student(student, toy.method("fine-tuning", training=training), moving)
    checkpoint = assignment.checkpoint("other")
    fit(plan.student, moving.lesson, phases=plan.phases, compute=moving.compute, seed=0, checkpoint=checkpoint)
    assert not torch.allclose(tried.body.conv1.weight, plan.student.body.conv1.weight)


# gradients


def literal_gradients(student, images, labels) -> dict[str, torch.Tensor]:
    model = copy.deepcopy(student).eval()
    functional.cross_entropy(model(images), labels).backward()
    return {name: weight.grad for name, weight in conv_weights(model).items()}


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6 * float(other.abs().max()))


def test_snip_is_the_gradient_of_the_whole_sets_loss_times_the_weight(student, assignment):
    gradients = literal_gradients(student, *training_images(assignment))
    found = scored(student, settings("snip"), assignment).scores
    for name, weight in conv_weights(student).items():
        assert close(found[name], (gradients[name] * weight.detach()).abs()), name


def test_taylor_is_one_number_a_filter(student, assignment):
    gradients = literal_gradients(student, *training_images(assignment))
    found = scored(student, settings("taylor"), assignment).scores
    for name, weight in conv_weights(student).items():
        for number, kernels in enumerate(weight.detach()):
            total = abs(sum((gradients[name][number] * kernels).flatten().tolist()))
            assert found[name][number].flatten().tolist() == pytest.approx(
                [total] * kernels.numel(), rel=1e-3, abs=1e-6
            )


def test_taylors_sum_is_that_of_gradient_times_output(student, assignment):
    """Molchanov's criterion reads the output map, ours the filter: without a bias they are one number."""
    model, heard = copy.deepcopy(student).eval(), []
    model.body.layer2[0].conv2.register_forward_hook(lambda *call: heard.append(call[2]))
    images, labels = training_images(assignment)
    loss = functional.cross_entropy(model(images), labels)
    (gradient,) = torch.autograd.grad(loss, heard)
    expected = (gradient * heard[0]).sum((0, 2, 3)).abs()
    found = scored(student, settings("taylor"), assignment).scores["body.layer2.0.conv2.weight"][:, 0, 0, 0]
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-7)


def test_accumulated_gradients_are_summed_by_size_batch_after_batch(student, assignment):
    images, labels = training_images(assignment)
    found = scored(student, settings("gradient"), assignment).scores
    batches = [
        literal_gradients(student, images[first : first + 7], labels[first : first + 7]) for first in (0, 7, 14, 21)
    ]
    for name in conv_weights(student):
        assert close(found[name], sum(batch[name].abs() for batch in batches)), name


def test_snips_lowest_matter_least_and_its_highest_most(student, assignment):
    """docs/definitions.md#b14: which end is pruned is told by what the loss does."""
    images, labels = training_images(assignment)
    scores = scored(student, settings("snip"), assignment).scores
    change = {}
    for end in ("lowest", "highest"):
        model = copy.deepcopy(student)
        prune(model, scores, 0.02, end=end)
        losses = [functional.cross_entropy(net.eval()(images), labels).item() for net in (student, model)]
        change[end] = abs(losses[1] - losses[0])
    assert change["lowest"] < 0.1 * change["highest"]


# coverage


def literal_profile(student, threshold, assignment) -> dict[str, tuple[list[int], list[int]]]:
    """Oracle: one image after the other, one channel after the other (docs/methods.md#scores-of-weights)."""
    model = copy.deepcopy(student).eval()
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    counts = {f"{name}.weight": ([0] * conv.in_channels, [0] * conv.out_channels) for name, conv in layers.items()}

    def listen(name):
        def hook(_, inputs, output):
            for side, tensor in enumerate((inputs[0][0], output[0])):
                scaled = (tensor - tensor.min()) / (tensor.max() - tensor.min())
                for channel, plane in enumerate(scaled):
                    counts[name][side][channel] += int(plane.mean().item() > threshold)

        return hook

    for name, module in layers.items():
        module.register_forward_hook(listen(f"{name}.weight"))
    with torch.no_grad():
        for image in training_images(assignment)[0]:
            model(image[None])
    return counts


@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_coverage_counts_the_images_a_channel_is_active_on(student, assignment, threshold):
    found = profile(student, threshold, assignment)
    expected = literal_profile(student, threshold, assignment)
    assert {name: (counts.inputs.tolist(), counts.outputs.tolist()) for name, counts in found.items()} == expected
    values = torch.cat([torch.cat(tuple(counts)) for counts in found.values()])
    assert len(values.unique()) > 10  # neither none nor all
    assert 0 <= values.min() <= values.max() <= 24


def test_a_channel_is_active_by_its_mean_within_the_whole_tensors_range():
    maps = torch.tensor([[0.0, 4.0], [1.0, 2.0], [3.0, 4.0]]).view(1, 3, 1, 2)  # scaled means .5, .375, .875
    assert active(maps, 0.5).tolist() == [[False, False, True]]
    assert active(maps, 0.4).tolist() == [[True, False, True]]
    assert active(maps - 7, 0.4).tolist() == [[True, False, True]]
    assert active(torch.cat([maps, 100 * maps]), 0.4).tolist() == [[True, False, True]] * 2  # each by its own range
    assert not active(torch.ones(2, 3, 4, 4), 0.0).any()


def test_coverage_scores_are_the_literal_ones(student, assignment):
    with torch.no_grad():
        student.body.layer3[0].conv1.weight[:4] = 0  # equal sizes, as in a pruned teacher
    covered = profile(student, 0.5, assignment)
    places, uses, sizes = collected(student, covered)
    expected = [use - size for use, size in zip(ranked(uses), ranked(sizes), strict=True)]
    scores = coverage_scores(student, covered)
    assert [scores[name][tuple(place)].item() for name, *place in places] == expected
    average = rankdata(uses) - rankdata(sizes)
    assert np.array_equal(np.array(expected), 2 * average)


@pytest.mark.parametrize("ratio", [0.05, 0.1, 0.3])
def test_slicing_by_sorts_is_slicing_weight_by_weight(student, assignment, ratio):
    covered = profile(student, 0.5, assignment)
    walked = copy.deepcopy(student)
    slice_by_walks(walked, covered, ratio)
    slice_by_sorts(student, covered, ratio)
    assert torch.equal(flat(conv_weights(student)), flat(conv_weights(walked)))
    assert int((flat(conv_weights(student)) == 0).sum()) == math.floor(ratio * len(flat(conv_weights(student))))


def test_a_grouped_weight_counts_the_channel_it_reads(student, assignment):
    """Depthwise: filter o reads channel o. Four groups of four: filter 5 reads channels 4 to 7."""
    covered = profile(student, 0.2, assignment)
    with torch.no_grad():
        for weight in conv_weights(student).values():
            weight.fill_(1.0)  # sizes alike, so that the scores rank as the coverage does
    scores = coverage_scores(student, covered)
    both = {}
    for name, reads in (("body.layer2.0.conv2.weight", own_channel), ("body.layer3.0.conv2.weight", group_of_four)):
        inputs, outputs = covered[name]
        for out in range(len(outputs)):
            for i in range(scores[name].shape[1]):
                use = int(inputs[reads(out, i)] + outputs[out])
                both.setdefault(use, set()).update(scores[name][out, i].flatten().tolist())
    assert all(len(found) == 1 for found in both.values())
    ordered = [both[use] for use in sorted(both)]
    assert ordered == sorted(ordered, key=max)
    assert len(both) > 3


def own_channel(out: int, i: int) -> int:
    return out + i


def group_of_four(out: int, i: int) -> int:
    return out // 4 * 4 + i


def test_what_remos_drops_is_large_and_little_used(student, assignment):
    covered = profile(student, 0.5, assignment)
    _, uses, sizes = collected(student, covered)
    kept = flat(prune(student, coverage_scores(student, covered), 0.1)).numpy()
    assert np.mean(np.array(uses)[~kept]) < np.mean(uses)
    assert np.mean(np.array(sizes)[~kept]) > np.mean(sizes)
