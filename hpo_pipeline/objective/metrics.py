"""Metrics of torchmetrics that a config names, computed on all examples of a set: `metrics: {f1: {_target_: …}}`.

Each is reported under the name of its key. What depends on the dataset's task is filled in where a metric takes it:
`task`, `num_classes`, `num_labels`, `num_outputs`; what the config says goes before.

    task            a metric gets
    classification  probabilities (n, n_outputs), or with `task: binary` that of the second class (n,); classes (n,)
    multilabel      probabilities (n, n_outputs), and 0 or 1 (n, n_outputs); where there is one label, (n,)
    regression      numbers (n, n_outputs), and the targets; where there is one number, (n,)
"""

from __future__ import annotations

import functools
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from hpo_pipeline.build import build, check
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem, reason

OURS = ("error", "loss")
"""Reported anyway."""
FITTING = {
    "classification": ("accuracy", "f1", "auroc"),
    "multilabel": ("f1", "auroc", "average_precision"),
    "regression": ("r2", "mean_absolute_error", "mean_squared_error"),
}
"""Options of the group that a task of each kind can have."""
VALIDATION = "validation_"
"""What the names of reported metrics begin with."""


class Measured:
    """The metrics of one model on one set of examples: `update(outputs, targets) …; result() -> {"f1": 0.9}`.

    Args:
        nodes: name -> what the config says.
        task: the dataset's.
        device: where outputs and targets are.

    Raises:
        ConfigError: as `problems` says.
    """

    def __init__(self, nodes: Mapping[str, Any], task: Task, device: torch.device | str = "cpu") -> None:
        self._task = task
        self._metrics = {name: build(node, "metrics", **_told(task)).to(device) for name, node in nodes.items()}
        self._of_second_class = {name for name, node in nodes.items() if node.get("task") == "binary"}
        for metric in self._metrics.values():
            metric.set_dtype(torch.float64)  # what is added up over many examples

    @torch.no_grad()
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Takes a batch of a model's outputs `(n, n_outputs)` and its targets."""
        outputs = outputs.double()
        if self._task.kind == "classification":
            outputs = outputs.softmax(dim=1)
        else:
            outputs, targets = (part.squeeze(1) if self._task.n_outputs == 1 else part for part in (outputs, targets))
        if self._task.kind == "multilabel":
            outputs, targets = outputs.sigmoid(), targets.long()
        for name, metric in self._metrics.items():
            second = self._task.kind == "classification" and name in self._of_second_class
            metric.update(outputs[:, 1] if second else outputs, targets)

    @torch.no_grad()
    def result(self) -> dict[str, float]:
        """Of all that was taken."""
        return {name: float(metric.compute()) for name, metric in self._metrics.items()}

    def metrics(self) -> Iterator[torch.nn.Module]:
        """Each of them."""
        yield from self._metrics.values()

    def unknown(self) -> dict[str, float]:
        """Instead of a result, of a broken network."""
        return dict.fromkeys(self._metrics, math.nan)


def _told(task: Task) -> dict[str, Any]:
    """What a metric is offered, in torchmetrics' words, which know no multi-label task of one label."""
    if task.kind == "regression":
        return {"num_outputs": task.n_outputs}
    if task.kind == "classification":
        return {"task": "multiclass", "num_classes": task.n_outputs}
    return {"task": "multilabel" if task.n_outputs > 1 else "binary", "num_labels": task.n_outputs}


def problems(nodes: Any, task: Task | None) -> Iterator[Problem]:
    """What is wrong with a config's `metrics`, as far as it can be told without data."""
    if not nodes:
        return
    if not isinstance(nodes, Mapping) or "_target_" in nodes:
        yield Problem("metrics", "must be a mapping of names to metrics: metrics=[f1,auroc], +metrics.mine._target_=…")
        return
    for name, node in nodes.items():
        path = f"metrics.{name}"
        if name in OURS:
            yield Problem(path, f"validation_{name} is reported anyway, and means something else; choose another name")
        elif not isinstance(name, str) or not name.isidentifier():
            yield Problem(path, "must have a name of letters, digits and '_', under which it is reported")
        elif found := check(node, "metrics"):
            yield from (problem.under(path) for problem in found)
        elif task is not None:
            yield from (problem.under(path) for problem in _misfits(json.dumps(node, default=repr), task))


def mode_problems(config: Mapping[str, Any], task: Task | None) -> Iterator[Problem]:
    """Metrics that are optimised the wrong way round, as far as they say which one is better (`higher_is_better`)."""
    nodes, several = config.get("metrics"), config.get("metric")
    if task is None or not isinstance(nodes, Mapping) or any(problems(nodes, task)):
        return
    modes = {several: config.get("mode")} if isinstance(several, str) else several
    for reported, mode in modes.items() if isinstance(modes, Mapping) else ():
        node = nodes.get(str(reported).removeprefix(VALIDATION)) if str(reported).startswith(VALIDATION) else None
        better = None if node is None else _better(json.dumps(node, default=repr), task)
        if better is not None and mode in ("min", "max") and mode != better:
            path = "mode" if isinstance(several, str) else f"metric.{reported}"
            word = "higher" if better == "max" else "lower"
            yield Problem(path, f"is {mode}, and {reported} is better the {word} it is; set {path}={better}")


@functools.lru_cache
def _better(written: str, task: Task) -> str | None:
    (metric,) = Measured({"metric": json.loads(written)}, task).metrics()
    higher = getattr(metric, "higher_is_better", None)  # None: it doesn't say
    return "max" if higher is True else "min" if higher is False else None


@functools.lru_cache
def _misfits(written: str, task: Task) -> tuple[Problem, ...]:
    """What computing the metric of a few made-up outputs shows; once, as most samples have the same metrics."""
    return tuple(_tried(json.loads(written), task))


def _tried(node: Mapping[str, Any], task: Task) -> Iterator[Problem]:
    n = 8 + 2 * task.n_outputs
    random = torch.Generator().manual_seed(0)
    outputs = torch.rand(n, task.n_outputs, generator=random)
    if task.kind == "classification":
        targets = torch.arange(n) % task.n_outputs
    else:
        targets = torch.randint(2, (n, task.n_outputs), generator=random).float()
    if node.get("task") == "binary" and task.kind == "classification" and task.n_outputs != 2:
        yield Problem("task", f"binary takes two classes, and this is a {task}; leave it out")
        return
    name = node["_target_"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metrics = Measured({name: node}, task)
            metrics.update(outputs, targets)
            metrics.result()
    except ConfigError as error:
        yield from error.problems
    except Exception as error:  # whatever somebody's own code may raise
        fit = f"those that fit are metrics={'|'.join(FITTING[task.kind])}, for example"
        yield Problem("", f"{name} can't be computed of a {task} as one number ({reason(error)}); {fit}")
