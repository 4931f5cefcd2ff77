"""Random changes to training examples, `dataset.transform`: a pipeline of torchvision.transforms.v2 in YAML.

Each example gets random numbers of its own. torchvision's transforms draw once for all that they are given, so a batch
goes through them one example at a time, at some 0.1 ms each; crops and flips, which nearly everybody uses, are done for
a whole batch at once, at a tenth of that, with the same distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hpo_pipeline.build import build, check
from hpo_pipeline.errors import ConfigError, Problem

KEY = "transform"
_TORCHVISIONS = "torchvision.transforms.v2."

_OF_ALL = ("Normalize", "Resize", "Grayscale", "ToDtype", "ToImage", "PILToTensor", "ToTensor")
"""Transforms that validation and test would need as well."""


class Augment:
    """A pipeline that maps a batch `(n, *input_shape)` to one of the same shape. Draws from torch's global generator.

    Raises:
        ConfigError: a transform can't be made.
    """

    def __init__(self, node: Any) -> None:
        self._transforms = [build(part, "transform") for _, part in _parts(node)]

    def __call__(self, x: Tensor) -> Tensor:
        for transform in self._transforms:
            kind = type(transform)
            at_once = _AT_ONCE.get(kind.__name__) if kind.__module__.startswith(_TORCHVISIONS) else None
            changed = None if at_once is None else at_once(transform, x)
            x = torch.stack([transform(example) for example in x]) if changed is None else changed
        return x


def augment_of(node: Any) -> Augment | None:
    """The pipeline that a config's `dataset.transform` stands for; None for none."""
    return Augment(node) if node else None


def problems(node: Any, input_shape: Sequence[int] | None) -> Iterator[Problem]:
    """What is wrong with `dataset.transform`: nodes that can't be built, or that an example of zeros doesn't survive.

    Args:
        input_shape: of one example; None if that isn't known yet.
    """
    if node is None or node == [] or node == {}:
        return
    if not isinstance(node, (Mapping, Sequence)) or isinstance(node, str):
        yield Problem(KEY, "must be a list of transforms, [{_target_: torchvision.transforms.v2.…}, …]", node)
        return
    found = [problem.under(path) for path, part in _parts(node) for problem in check(part, "transform")]
    for path, part in _parts(node) if not found else ():
        name = part["_target_"].rpartition(".")[2]
        if name in _OF_ALL and part["_target_"].startswith("torchvision."):
            what = f"{name} would change the training examples alone, and {KEY} never changes the others"
            found.append(Problem(path, f"{what}; do this in the dataset, for all"))
    yield from found
    if found:
        return
    try:
        with torch.random.fork_rng(devices=[]):
            changed = Augment(node)(torch.zeros(2, *input_shape)) if input_shape is not None else None
            if input_shape is None:
                Augment(node)
    except ConfigError as error:
        yield from error.under(KEY).problems
    except Exception as error:  # whatever a transform may raise
        shape = f" on an example of shape {tuple(input_shape)}" if input_shape is not None else ""
        text = str(error).partition("\n")[0] or type(error).__name__
        yield Problem(KEY, f"the transforms fail{shape} ({text})")
    else:
        if changed is not None and input_shape is not None and tuple(changed.shape[1:]) != tuple(input_shape):
            shapes = f"makes {tuple(input_shape)} {tuple(changed.shape[1:])}"
            yield Problem(KEY, f"{shapes}; training examples must stay as large as those for validation")


def _parts(node: Any) -> list[tuple[str, Any]]:
    """(path, node) of each transform: of a list, of a mapping with names for them, or of one alone."""
    if isinstance(node, Mapping) and "_target_" not in node:
        return [(f"{KEY}.{name}", part) for name, part in node.items() if part is not None]
    return [(f"{KEY}[{i}]", part) for i, part in enumerate([node] if isinstance(node, Mapping) else node)]


def _flipped(p: float, x: Tensor, dim: int) -> Tensor:
    chosen = (torch.rand(len(x)) < p).to(x.device)
    return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(dim), x)


def _cropped(transform: Any, x: Tensor) -> Tensor | None:
    """None where torchvision's own way is needed."""
    if transform.pad_if_needed or not isinstance(transform.fill, (int, float)) or x.dim() != 4:
        return None
    from torchvision.transforms import v2

    if transform.padding is not None:
        left, right, top, bottom = transform.padding  # as it keeps them, and not as they are given
        x = v2.functional.pad(x, [left, top, right, bottom], fill=transform.fill, padding_mode=transform.padding_mode)
    height, width = transform.size
    if height > x.shape[2] or width > x.shape[3]:
        return None  # which raises
    crops = x.unfold(2, height, 1).unfold(3, width, 1)  # all that there are, (n, channels, rows, columns, *size)
    first_row, first_column = (torch.randint(n, (len(x),)).to(x.device) for n in crops.shape[2:4])
    return crops[torch.arange(len(x), device=x.device), :, first_row, first_column]


_AT_ONCE: dict[str, Callable[[Any, Tensor], Tensor | None]] = {
    "RandomCrop": _cropped,
    "RandomHorizontalFlip": lambda transform, x: _flipped(transform.p, x, -1),
    "RandomVerticalFlip": lambda transform, x: _flipped(transform.p, x, -2),
}
"""Of torchvision's transforms, by name: it takes a second to import, and most trainings do without."""
