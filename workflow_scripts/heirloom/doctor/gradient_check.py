"""Whether this machine computes right gradients, asked of a process of its own: some wrong ones end the process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from heirloom.config.models import Body, Normalisation
from heirloom.doctor.report import Finding
from heirloom.runtime.errors import TrainingError

NAME = "gradients"
# the narrowest network of the tests, and one with all kinds of layers of published ones
BODIES = (Body(name="resnet8-small", options={"width": 4}), Body(name="mobilenet_v2"))
THREADS = (1, 2)  # what recipes ask for
CHILD = (sys.executable, "-m", "heirloom.doctor.gradient_check")


def gradient_finding(child: Sequence[str] = CHILD) -> Finding:
    """Run the check in a child process, and say how it ended."""
    from heirloom.models.kernels import MEND

    ended = subprocess.run(child, capture_output=True, text=True, check=False)  # noqa: S603 - a command of ours
    if ended.returncode == 0:
        return Finding("ok", NAME, "float32's agree with float64's in both memory layouts")
    if ended.returncode < 0:
        what = f"computing them ends the process ({signal.Signals(-ended.returncode).name})"
        return Finding("problem", NAME, what, MEND)
    return Finding("problem", NAME, " ".join(ended.stderr.split()), MEND)


def main() -> int:
    """Check each body with each number of threads on the device that trainings would use; 1 if a gradient is wrong."""
    from heirloom.models.classifier import build_classifier, placed
    from heirloom.models.kernels import check_gradients
    from heirloom.runtime.devices import compute

    for threads in THREADS:
        with compute(threads, "fp32") as resources:
            for body in BODIES:
                model = build_classifier(body, Normalisation(), classes=10, seed=0)
                try:
                    check_gradients(placed(model, resources.device))
                except TrainingError as error:
                    print(error.what, error.where, sep="\n", file=sys.stderr)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
