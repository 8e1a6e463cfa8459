"""A job that is asked to end leaves in order, a training with a checkpoint of its last step."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from heirloom.models.classifier import Classifier
from heirloom.runtime.ending import Ending, current
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import Lesson
from heirloom.training.phases import StepHook, supervised_phase
from heirloom.training.session import lesson_of
from tests.unit import toy
from tests.unit.test_training import same, train


@pytest.fixture
def ending() -> Iterator[Ending]:
    """Followed by this process while the test runs."""
    yield from followed(Ending())


@pytest.fixture
def impatient() -> Iterator[Ending]:
    """The same, with little grace."""
    yield from followed(Ending(grace=0.3))


def followed(ending: Ending) -> Iterator[Ending]:
    usual = signal.signal(signal.SIGTERM, ending)
    yield ending
    signal.signal(signal.SIGTERM, usual)
    ending.close()


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return lesson_of(toy.opened(toy.write_data(tmp_path / "data")), toy.MOVING)


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Ask(StepHook):
    """Ask the process to end in the middle of a step, as often as a scheduler and a guardian together may."""

    def after_step(self, model: Classifier, iteration: int) -> None:
        if iteration == 2:
            ask()
            ask()


def test_a_training_that_is_asked_to_end_loses_no_step(lesson: Lesson, tmp_path: Path, ending: Ending) -> None:
    calm, hurt, resumed = (toy.classifier() for _ in range(3))
    expected = train(calm, lesson, (supervised_phase(toy.recipe()),), tmp_path / "calm")
    with pytest.raises(SystemExit) as raised:
        train(hurt, lesson, (supervised_phase(toy.recipe(), hooks=(Ask(),)),), tmp_path / "hurt")
    assert raised.value.code == 128 + signal.SIGTERM
    kept = Checkpoint(tmp_path / "hurt", seconds=1e9, identity={"of": "x"}).load()
    assert kept is not None
    assert kept["iteration"] == 3
    ending.asked = False  # a new process
    # the hook's state is part of a checkpoint, so the same hooks are given, and iteration 2 does not come again
    assert train(resumed, lesson, (supervised_phase(toy.recipe(), hooks=(Ask(),)),), tmp_path / "hurt") == expected
    assert same(resumed, calm)


def test_a_job_whose_next_checkpoint_is_far_ends_after_the_grace(impatient: Ending) -> None:
    assert not impatient.passes_checkpoint()
    begun = time.monotonic()
    ask()
    assert impatient.passes_checkpoint()
    with pytest.raises(SystemExit):
        time.sleep(10)
    assert 0.25 < time.monotonic() - begun < 5


def test_a_job_without_checkpoints_ends_at_once(ending: Ending) -> None:
    assert current() is ending
    with pytest.raises(SystemExit):
        ask()


def test_nothing_is_left_of_a_request_that_was_followed(ending: Ending) -> None:
    before = signal.getsignal(signal.SIGALRM)
    ending.passes_checkpoint()
    ask()
    with pytest.raises(SystemExit):
        ending.leave()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before
