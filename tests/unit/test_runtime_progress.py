"""Progress is a few log lines without a terminal, and a bar on one."""

from __future__ import annotations

import io
import logging
import sys
import time

import pytest

from heirloom.runtime import progress
from heirloom.runtime.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> list[float]:
    """Replace the clock by a number that the test moves, and stderr by no terminal."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    caplog.set_level(logging.INFO)
    return now


def test_lines_come_at_most_once_an_interval_and_at_the_end(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with Progress(total=100, description="training", unit="iterations") as shown:
        for step in range(100):
            clock[0] += 0.25
            shown.advance(loss=1 / (step + 1), accuracy=0.5)
    assert caplog.messages == [
        "training: 40/100 iterations, 4/s, 15 s left, loss=0.025, accuracy=0.5",
        "training: 80/100 iterations, 4/s, 5 s left, loss=0.0125, accuracy=0.5",
        "training: 100/100 iterations, 4/s, loss=0.01, accuracy=0.5",
    ]


def test_the_last_line_is_not_said_twice(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with Progress(total=2, description="a", unit="files") as shown:
        clock[0] += 20
        shown.advance(2)
    assert caplog.messages == ["a: 2/2 files, 0.1/s"]


@pytest.mark.usefixtures("clock")
def test_a_loop_of_nothing_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    with Progress(total=0, description="a", unit="files"):
        pass
    assert caplog.messages == ["a: 0/0 files"]


@pytest.mark.usefixtures("clock")
def test_a_failed_loop_does_not_claim_an_end(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        with Progress(total=2, description="a", unit="files") as shown:
            shown.advance()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert caplog.messages == []


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    caplog.set_level(logging.INFO)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(total=2, description="training", unit="iterations", interval=0.0) as shown:
        shown.advance()
        time.sleep(0.15)  # the bar is drawn at most every 0.1 s
        shown.advance(loss=0.1234)
        assert caplog.messages == []
    assert "training: 100%" in terminal.getvalue()
    assert "loss=0.123" in terminal.getvalue()
    assert len(caplog.messages) == 1
