"""Convolutions that a processor computes wrongly are computed another way, and gradients are checked before use."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body, Normalisation
from heirloom.doctor.gradient_check import gradient_finding
from heirloom.models.classifier import build_classifier
from heirloom.models.kernels import avoid_faulty_kernels, check_gradients
from heirloom.runtime.errors import TrainingError

from . import toy


def point(channels: int, stride: int = 2, **options: object) -> nn.Conv2d:
    """Return a strided 1x1 convolution."""
    return nn.Conv2d(channels, 8, kernel_size=1, stride=stride, **options)


def outputs_and_gradients(convolution: nn.Conv2d, images: torch.Tensor) -> list[torch.Tensor]:
    """Return a convolution's outputs, and the gradients of images and weights for a weighted sum of them."""
    images = images.detach().requires_grad_()
    found = convolution(images)
    weights = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    return [found.detach(), *torch.autograd.grad((found * weights).sum(), [images, convolution.weight])]


@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"groups": 2}, {"bias": False}, {"padding": "valid"}])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_narrow_strided_convolution_stays_the_same_sum(options, memory_format):
    plain = point(6, **options)
    guarded = copy.deepcopy(plain)
    avoid_faulty_kernels(guarded)

    images = torch.randn(8, 6, 17, 16)
    expected = outputs_and_gradients(plain.double(), images.double())
    found = outputs_and_gradients(guarded.to(memory_format=memory_format), images.to(memory_format=memory_format))

    for value, true in zip(found, expected, strict=True):
        torch.testing.assert_close(value.double(), true, rtol=1e-4, atol=1e-4)


def faulty(body: nn.Module) -> list[str]:
    """Name a body's convolutions that would run the faulty kernel."""
    return [
        name
        for name, module in body.named_modules()
        if isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels // module.groups < 16
    ]


@pytest.mark.parametrize("name", [name for name in BODIES.names() if "width" in BODIES.member(name).options])
def test_no_body_however_narrow_runs_the_faulty_kernel(name):
    options = {**BODIES.member(name).options, "width": 4}
    model = build_classifier(Body(name=name, options=options), Normalisation(), classes=3, seed=0)
    assert not faulty(model)


@pytest.mark.parametrize("threads", [1, 2])
def test_gradients_of_the_narrowest_network_agree_with_float64(threads):
    # in a process of its own, which the fault would end
    script = (
        "import torch; from heirloom.config.models import Body, Normalisation\n"
        "from heirloom.models.classifier import build_classifier\n"
        "from heirloom.models.kernels import check_gradients\n"
        f"torch.set_num_threads({threads})\n"
        "for width in (3, 4, 5, 6, 7, 8, 12):\n"
        "    body = Body(name='resnet8-small', options={'width': width})\n"
        "    check_gradients(build_classifier(body, Normalisation(), classes=3, seed=0))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)


def wrong_in(memory_format: torch.memory_format):
    """Return a hook that makes float32 gradients of one layout wrong."""

    def hook(_: nn.Module, inputs: tuple[torch.Tensor], outputs: torch.Tensor) -> torch.Tensor:
        is_wrong = inputs[0].dtype == torch.float32 and inputs[0].is_contiguous(memory_format=memory_format)
        return outputs + (outputs - outputs.detach()) if is_wrong else outputs  # the same, with twice its gradient

    return hook


@pytest.mark.parametrize(
    ("memory_format", "told"), [(torch.contiguous_format, "contiguous"), (torch.channels_last, "channels last")]
)
def test_a_wrong_gradient_of_either_layout_is_told_with_its_layer(memory_format, told):
    model = toy.classifier()
    model.body.layer1[0].conv1.register_forward_hook(wrong_in(memory_format))
    with pytest.raises(TrainingError) as error:
        check_gradients(model)
    assert "layer1.0.conv1" in error.value.what
    assert told in error.value.what
    assert "ONEDNN_MAX_CPU_ISA" in error.value.mend


def test_the_check_leaves_the_model_and_the_random_numbers_as_they_were():
    model = toy.classifier()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    check_gradients(model)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("script", "status", "told"),
    [
        ("pass", "ok", "agree"),
        ("import os; os.abort()", "problem", "SIGABRT"),
        ("import sys; sys.exit('the gradient of layer2 is off')", "problem", "layer2"),
    ],
)
def test_doctor_tells_how_the_check_ended(script, status, told):
    finding = gradient_finding([sys.executable, "-c", script])
    assert finding.status == status
    assert told in finding.what


def test_this_machine_s_gradients_are_right():
    assert gradient_finding().status == "ok"
