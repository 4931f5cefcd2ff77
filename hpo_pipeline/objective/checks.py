"""What is wrong with a training's config, found without data and before any trial."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hpo_pipeline.build import build, check, locate
from hpo_pipeline.checks import integer_problems, is_integer
from hpo_pipeline.dataset import TRAINING_KEYS, Dataset
from hpo_pipeline.dataset import checks as data
from hpo_pipeline.dataset.task import Task, declared, declared_task
from hpo_pipeline.errors import ConfigError, Problem, StudyError, reason
from hpo_pipeline.objective import augment, loss, metrics
from hpo_pipeline.objective import schedule as schedules

MOST_LOADERS = 64
"""Processes that load data for one trial."""
_MOST_SCHEDULES = 1000
_MOST_WEIGHTS = 50_000_000
"""A larger model is not made before it is needed: that takes seconds, and memory."""


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that would keep a trial with this config from being trained to `max_resource`."""
    dataset, model = config.get("dataset"), config.get("model")
    optimizer: Any = config.get("optimizer")
    if config.get("params"):
        names = ", ".join(config["params"])
        yield Problem("params", f"this objective has none, got {names}; tune model, optimizer, dataset")
    yield from data_problems(dataset)
    task = known_task(config)
    yield from _refusals(model, "model", offered(dataset))
    yield from loss.problems(config.get("loss"), task)
    yield from metrics.problems(config.get("metrics"), task)
    yield from metrics.mode_problems(config, task)
    weights = [nn.Parameter(torch.zeros(1))]
    refused = list(_refusals(optimizer, "optimizer", {"params": weights, "fused": None}))
    yield from refused
    schedule, epochs = config.get("lr_schedule"), config.get("max_resource", 1)
    if schedule is not None and epochs >= 1:  # where there are none, that is what is wrong
        stand_in = torch.optim.SGD(weights, lr=1.0)
        made = stand_in if refused else build(optimizer, "optimizer", params=weights, fused=None)
        yield from _schedule_problems(schedule, made, epochs)


def data_problems(dataset: Any) -> Iterator[Problem]:
    """What is wrong with the node `dataset`, found without its data."""
    if isinstance(dataset, Mapping):
        yield from (problem.under("dataset") for problem in _loading_problems(dataset))
        dataset = own_arguments(dataset)
    yield from _refusals(dataset, "dataset", {})


def model_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the scores that the config's model gives two examples of zeros.

    Nothing is said of a model that can't be built, which is for `problems` to say, that has more than 50 million
    weights, or whose data has a shape that is known only once they are loaded. The global random state is left alone.
    """
    node, shape = config.get("model"), offered(config.get("dataset"))
    if None in shape.values() or any(_refusals(node, "model", shape)):
        return
    assert node is not None  # or it had been refused
    with torch.device("meta"):
        weights = build(node, "model", **shape).parameters()
    if sum(weight.numel() for weight in weights if not is_lazy(weight)) > _MOST_WEIGHTS:
        return
    needed = (2, shape["n_outputs"])
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            scores = build(node, "model", **shape).eval()(torch.zeros(2, *shape["input_shape"]))
    except Exception as error:  # whatever somebody's own code may raise
        size = tuple(shape["input_shape"])
        yield Problem("model", f"{node['_target_']} fails on two examples of shape {size} ({reason(error)})")
        return
    if not isinstance(scores, Tensor):
        yield Problem("model", f"gives a {type(scores).__name__}, scores of shape {needed} are needed")
    elif tuple(scores.shape) != needed:
        yield Problem("model", f"gives scores of shape {tuple(scores.shape)}, {needed} are needed")


def check_data(dataset: Dataset, *, test: bool) -> Task | None:
    """Makes sure that the data is there, and that of somebody's own dataset, which is loaded for it, is right.

    Returns:
        The task, if it was looked at.

    Args:
        test: the test examples will be needed as well.

    Raises:
        StudyError: there is no data.
        ConfigError: with all that is wrong with it.
    """
    kind = type(dataset)
    try:
        dataset.available()
        if not kind.__module__.startswith("hpo_pipeline.dataset."):
            splits = data.load(dataset)
            if test:
                data.load_test(dataset, splits)
            return splits.task
    except (StudyError, ConfigError):
        raise
    except Exception as error:  # whatever somebody's own code may raise
        what = f"{kind.__module__}.{kind.__qualname__} fails ({reason(error)})"
        raise ConfigError(Problem("dataset", what)) from error
    return None


def known_task(config: Mapping[str, Any]) -> Task | None:
    """The task of the config's dataset, as far as it is known before its data are loaded."""
    return declared_task(_known(config.get("dataset")))


def told(input_shape: Sequence[int] | None, task: Task | None) -> dict[str, Any]:
    """What a model is offered; the same number under two names, as most people's models are classifiers."""
    n_outputs = None if task is None else task.n_outputs
    return {"input_shape": input_shape, "n_outputs": n_outputs, "n_classes": n_outputs}


def own_arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """The dataset's own arguments; the other keys are the training's."""
    return {key: value for key, value in node.items() if key not in TRAINING_KEYS}


def _loading_problems(dataset: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the keys of `dataset` that are the training's."""
    yield from integer_problems(batch_size=dataset.get("batch_size"))
    yield from integer_problems(least=0, most=MOST_LOADERS, n_workers=dataset.get("n_workers", 0))
    yield from augment.problems(dataset.get(augment.KEY), offered(dataset)["input_shape"])


def offered(dataset: Any) -> dict[str, Any]:
    """What the model will be told about the data; None for what is only known once they are loaded."""
    known = _known(dataset)
    shape = declared(known, "input_shape")
    return told(shape if isinstance(shape, Sequence) and all(map(is_integer, shape)) else None, declared_task(known))


def _known(dataset: Any) -> Any:
    """The dataset that a node describes, nothing of it loaded; or its class, or None, as far as it can be made."""
    known: Any = None
    with contextlib.suppress(Exception):  # reported where the dataset is checked
        known = locate(dataset["_target_"], "dataset")
        known = build(own_arguments(dataset), "dataset")
    return known


_SCHEDULES: dict[str, list[Problem]] = {}
"""What was found of the last schedules: the samples of a search space have the same ones over and over again."""


def _schedule_problems(node: Any, optimizer: torch.optim.Optimizer, epochs: int) -> list[Problem]:
    key = repr((node, optimizer.param_groups[0]["lr"], epochs))
    if key not in _SCHEDULES:
        if len(_SCHEDULES) >= _MOST_SCHEDULES:
            _SCHEDULES.clear()
        found = _refusals(
            node, "lr_schedule", {"optimizer": optimizer}, lambda it, optimizer: schedules.check(it, optimizer, epochs)
        )
        _SCHEDULES[key] = list(found)
    return _SCHEDULES[key]


def _refusals(
    node: Any, group: str, supplied: dict[str, Any], make: Callable[..., object] | None = None
) -> Iterator[Problem]:
    """Why a group's `node` can't be built: by its signature, else by what `make`, or its class, says of the values."""
    unbuildable = check(node, group)
    yield from (problem.under(group) for problem in unbuildable)
    if unbuildable or (group == "model" and None in supplied.values()):
        return
    make = make or (lambda node, **supplied: build(node, group, **supplied))
    try:
        try:
            with torch.device("meta"):  # weights that take no memory
                make(node, **supplied)
        except ConfigError:
            raise
        except Exception:  # which may be because they hold no numbers
            with torch.random.fork_rng(devices=[]):
                make(node, **supplied)
    except ConfigError as error:
        yield from error.under(group).problems
    except Exception as error:  # whatever somebody's own code may raise
        yield Problem(group, f"{node['_target_']} refuses these values ({reason(error)})")
