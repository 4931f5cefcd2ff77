"""What a dataset's examples are to be told: one of several classes, each of several labels, or numbers.

The loss, the metrics and the size of a model's output follow from it. A dataset that is known before its data are
loaded declares it, `task: ClassVar[Task] = Task("regression", 1)` or an attribute that its constructor sets; one with
`n_classes` alone is a classification.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from hpo_pipeline.checks import integer_problems, is_integer, option_problems
from hpo_pipeline.errors import ConfigError

KINDS = ("classification", "multilabel", "regression")


@dataclass(frozen=True, slots=True)
class Task:
    """What a model has to tell of an example.

        kind            n_outputs                   target of one example         output of a model
        classification  classes                     int64 in 0..n_outputs-1       scores (logits)
        multilabel      labels, any of which hold   float32 (n_outputs,), 0 or 1  scores (logits)
        regression      numbers                     float32 (n_outputs,)          the numbers

    Raises:
        ConfigError: there is no such kind, or number of outputs.
    """

    kind: str
    n_outputs: int

    def __post_init__(self) -> None:
        found = option_problems(KINDS, kind=self.kind) + integer_problems(n_outputs=self.n_outputs)
        if found:
            raise ConfigError(found).under("task")

    def __str__(self) -> str:
        return f"{self.kind} task (n_outputs {self.n_outputs})"


def declared(dataset: object, name: str) -> Any:
    """What a dataset, or its class, says of its data before they are loaded; None for what a property finds out."""
    value = inspect.getattr_static(dataset, name, None)
    return None if hasattr(type(value), "__get__") else value


def declared_task(dataset: object) -> Task | None:
    """The task of a dataset, or of its class, as far as that is known before the data are loaded."""
    task, n_classes = declared(dataset, "task"), declared(dataset, "n_classes")
    if isinstance(task, Task):
        return task
    return Task("classification", n_classes) if is_integer(n_classes, 1) else None
