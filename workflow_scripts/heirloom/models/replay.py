"""A model on fixed images while one of its modules changes: what comes before that module is computed once.

torch.fx records the forward pass as a list of operations, so that skips and functions outside of modules are seen too.
Cut before an operation, the pass needs of all that came before only the values that later operations take.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Interpreter, Node, Tracer

from heirloom.models.modes import evaluating

# Rows (B,) of the images, on their device, to logits (B, classes).
Forward = Callable[[Tensor], Tensor]

_EXAMPLES = 2  # images by which the sizes of values are found
_BATCH = 512  # images whose values are computed at a time


class Held:
    """A value (N, ...) of every image, of which rows are taken as copies in the memory format it came in."""

    def __init__(self, count: int, example: Tensor) -> None:
        self._last = example.ndim == 4 and not example.is_contiguous()
        self._stored = torch.empty((count, *self._laid(example).shape[1:]), dtype=example.dtype, device=example.device)

    def _laid(self, value: Tensor) -> Tensor:
        """Return a value with its dimensions in the order in which they lie in memory."""
        return value.permute(0, 2, 3, 1) if self._last else value

    def put(self, first: int, value: Tensor) -> None:
        """Take the values (B, ...) of the images from row `first` on."""
        self._stored[first : first + len(value)] = self._laid(value)

    def take(self, rows: Tensor) -> Tensor:
        """Return the values (B, ...) of some rows (B,): a copy, which the operations that follow may write into."""
        taken = self._stored.index_select(0, rows)
        return taken.permute(0, 3, 1, 2) if self._last else taken

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self._stored.device


def held(value: Tensor) -> Held:
    """Hold a value (N, ...)."""
    found = Held(len(value), value)
    found.put(0, value)
    return found


def whole(model: nn.Module, images: Held) -> Forward:
    """Return the whole model on rows of images (N, 3, H, W), everything computed at each call."""

    def forward(rows: Tensor) -> Tensor:
        logits: Tensor = model(images.take(rows))
        return logits

    return forward


@dataclass(frozen=True)
class _Cut:
    """A place in a recording: the operations from number `place` on take the values of `live` earlier ones.

    `size`: bytes of these values for each image.
    """

    place: int
    live: tuple[Node, ...]
    size: int


class Recording:
    """The forward pass of a model in eval mode, as a list of operations on its own modules.

    `model` takes images (B, 3, H, W); `images` tells their size, device and memory format. Raises torch.fx's TraceError
    for a forward pass that branches on what its images show.
    """

    def __init__(self, model: nn.Module, images: Held) -> None:
        self._model = model
        example = images.take(torch.zeros(_EXAMPLES, dtype=torch.int64, device=images.device))
        with evaluating(model), torch.no_grad():
            traced = GraphModule(model, Tracer(autowrap_functions=_helpers(model)).trace(model))
            sizes = _Sizes(traced)
            sizes.run(example)
        self._sizes = sizes.found
        self._nodes = list(traced.graph.nodes)
        self._place = {node: place for place, node in enumerate(self._nodes)}

    def replay(self, module: str, images: Held, *, budget: int) -> Forward:
        """Return the model on rows of images (N, 3, H, W), with what comes before a module computed once, here.

        What is held takes at most `budget` bytes: where the values before the module take more, those at the latest
        place before it that fits are held, and the operations in between run at each call; the images themselves are
        held anyhow. The model must stay in eval mode, and nothing before the module may change. Raises ValueError for a
        module that the forward pass does not call.
        """
        cut = self._latest(self._called(module), count=len(images), budget=budget)
        before, after = self._halves(cut)
        values = [images] if cut.place <= 1 else _computed(before, images)

        def forward(rows: Tensor) -> Tensor:
            logits: Tensor = after(*(value.take(rows) for value in values))
            return logits

        return forward

    def _called(self, module: str) -> int:
        """Return the number of the first operation that a module does."""
        places = [self._place[node] for node in self._nodes if node.op == "call_module" and node.target == module]
        if not places:
            raise ValueError(f"the forward pass calls no module {module}")
        return places[0]

    def _latest(self, place: int, *, count: int, budget: int) -> _Cut:
        """Return the latest cut before an operation whose values fit; the first one, behind the images, always does."""
        for earlier in range(place, 1, -1):
            cut = self._cut(earlier)
            if cut is not None and cut.size * count <= budget:
                return cut
        return _Cut(1, (self._nodes[0],), 0)

    def _cut(self, place: int) -> _Cut | None:
        """Cut before an operation; None where a later one takes something that is no tensor of values an image."""
        live = [
            node
            for node in self._nodes[:place]
            if node.op != "get_attr" and any(self._place[user] >= place for user in node.users)
        ]
        known = [self._sizes[node] for node in live if node in self._sizes]
        return _Cut(place, tuple(live), sum(known)) if len(known) == len(live) else None

    def _halves(self, cut: _Cut) -> tuple[GraphModule, GraphModule]:
        """Return the pass up to a cut, from images to its values, and the pass from there on, from these to logits."""
        before, after = Graph(), Graph()
        early: dict[Node, Node] = {}
        for node in self._nodes[: cut.place]:
            early[node] = before.node_copy(node, lambda argument: early[argument])
        before.output(tuple(early[node] for node in cut.live))
        late = {node: after.placeholder(node.name) for node in cut.live}
        for node in self._nodes:
            if node.op == "get_attr" or self._place[node] >= cut.place:
                late[node] = after.node_copy(node, lambda argument: late[argument])
        return GraphModule(self._model, before), GraphModule(self._model, after)


def _helpers(model: nn.Module) -> tuple[Callable[..., Any], ...]:
    """Return the functions beside the classes of a model: each is one operation, and may branch on sizes."""
    homes = {type(module).__module__ for module in model.modules()}
    return tuple(
        value
        for home in sorted(homes)
        for value in vars(sys.modules[home]).values()
        if not home.startswith("torch.nn.") and isinstance(value, FunctionType)
    )


class _Sizes(Interpreter):
    """Runs a recording on examples and keeps the bytes an image of each value that is a tensor (images, ...).

    torch.fx's own ShapeProp imports sympy, which costs a job 2.4 s of CPU time (torch 2.13).
    """

    def __init__(self, traced: GraphModule) -> None:
        super().__init__(traced)
        self.found: dict[Node, int] = {}

    def run_node(self, n: Node) -> Any:
        """Run one operation."""
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.ndim > 0 and len(value) == _EXAMPLES:
            self.found[n] = value.nbytes // _EXAMPLES
        return value


@torch.no_grad()
def _computed(before: GraphModule, images: Held) -> list[Held]:
    """Compute the values of a cut for all images."""
    values: list[Held] = []
    for first in range(0, len(images), _BATCH):
        rows = torch.arange(first, min(first + _BATCH, len(images)), device=images.device)
        found: tuple[Tensor, ...] = before(images.take(rows))
        values = values or [Held(len(images), value) for value in found]
        for value, piece in zip(values, found, strict=True):
            value.put(first, piece)
    return values
