"""What is wrong with a training's config, found without data and before any trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hpo_pipeline.build import build, check, locate
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.schedule import all_rates

_MOST_WEIGHTS = 50_000_000
"""A larger model is not made before it is needed: that takes seconds, and memory."""


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Everything that would keep a trial with this config from being trained to `max_resource`."""
    dataset, model = config.get("dataset"), config.get("model")
    optimizer: Any = config.get("optimizer")
    if problem := grad_clip_problem(config.get("objective", {}).get("grad_clip")):
        yield f"objective.{problem}"
    if isinstance(dataset, Mapping):
        batch_size = dataset.get("batch_size")
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            yield f"dataset.batch_size: must be an integer of at least 1, got {batch_size!r}"
        dataset = without_batch_size(dataset)
    yield from _refusals(dataset, "dataset", {})
    yield from _refusals(model, "model", _shape(dataset))
    weights = [nn.Parameter(torch.zeros(1))]
    refused = list(_refusals(optimizer, "optimizer", {"params": weights, "fused": None}))
    yield from refused
    schedule, epochs = config.get("lr_schedule"), config.get("max_resource", 1)
    if schedule is not None and epochs >= 1:  # where there are none, that is what is wrong
        stand_in = torch.optim.SGD(weights, lr=1.0)
        made = stand_in if refused else build(optimizer, "optimizer", params=weights, fused=None)
        yield from _refusals(
            schedule, "lr_schedule", {"optimizer": made}, lambda node, optimizer: all_rates(node, optimizer, epochs)
        )


def model_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the scores that the config's model gives two examples of zeros.

    Nothing is said of a model that can't be built, which is for `problems` to say, that has more than 50 million
    weights, or whose data has a shape that is known only once they are loaded. The global random state is left alone.
    """
    node, shape = config.get("model"), _shape(config.get("dataset"))
    if None in shape.values() or any(_refusals(node, "model", shape)):
        return
    assert node is not None  # or it had been refused
    with torch.device("meta"):
        weights = build(node, "model", **shape).parameters()
    if sum(weight.numel() for weight in weights if not is_lazy(weight)) > _MOST_WEIGHTS:
        return
    needed = (2, shape["n_classes"])
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            scores = build(node, "model", **shape).eval()(torch.zeros(2, *shape["input_shape"]))
    except Exception as error:  # whatever somebody's own code may raise
        shown = tuple(shape["input_shape"])
        yield f"model: {node['_target_']} fails on two examples of shape {shown} ({_reason(error)})"
        return
    if not isinstance(scores, Tensor):
        yield f"model: gives a {type(scores).__name__}, scores of shape {needed} are needed"
    elif tuple(scores.shape) != needed:
        yield f"model: gives scores of shape {tuple(scores.shape)}, {needed} are needed"


def without_batch_size(node: Mapping[str, Any]) -> dict[str, Any]:
    """The dataset's own arguments; the batch size is the training's."""
    return {key: value for key, value in node.items() if key != "batch_size"}


def grad_clip_problem(value: Any) -> str | None:
    """Why `value` is no largest norm of a gradient, if it is none."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0):
        return None
    return f"grad_clip: must be a positive number or null, got {value!r}"


def _shape(dataset: Any) -> dict[str, Any]:
    """What the model will be told about the data; None for what is only known once they are loaded."""
    names = ("input_shape", "n_classes")
    try:
        known = locate(dataset["_target_"], "dataset")
    except (ConfigError, TypeError, KeyError):  # reported where the dataset is checked
        known = None
    return {name: getattr(known, name, None) for name in names}


def _refusals(
    node: Any, group: str, supplied: dict[str, Any], make: Callable[..., object] | None = None
) -> Iterator[str]:
    """Why a group's `node` can't be built: by its signature, else by what `make`, or its class, says of the values."""
    unbuildable = check(node, group, group)
    yield from unbuildable
    if unbuildable or (group == "model" and None in supplied.values()):
        return
    try:
        with torch.device("meta"):  # weights that take no memory
            if make is None:
                build(node, group, **supplied)
            else:
                make(node, **supplied)
    except ConfigError as error:
        yield from error.under(group).problems
    except Exception as error:  # whatever somebody's own code may raise
        yield f"{group}: {node['_target_']} refuses these values ({_reason(error)})"


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
