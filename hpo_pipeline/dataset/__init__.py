"""Datasets hold examples with their targets, split once and for all. The interface is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hpo_pipeline.checks import is_integer
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset as MapDataset


@dataclass(frozen=True, slots=True)
class Splits:
    """What a trial may see: examples to train on and examples to be scored on.

    Attributes:
        x_train, x_validation: examples, `(n, *input_shape)`, float32.
        y_train, y_validation: their targets, as `Task` says: for a classification `(n,)`, int64 in 0..n_classes-1.
        n_classes: number of classes; None where the task is no classification.
        task: what a model has to tell of an example; may be left out of a classification.

    Raises:
        ConfigError: neither a number of classes nor a task is given, or they say different things.
    """

    x_train: Tensor
    y_train: Tensor
    x_validation: Tensor
    y_validation: Tensor
    n_classes: int | None = None
    task: Task = None  # type: ignore[assignment]  # never after __post_init__

    def __post_init__(self) -> None:
        n_classes, task = self.n_classes, self.task
        if task is None:
            if not is_integer(n_classes, 1):
                what = f"n_classes must be an integer of at least 1, got {n_classes!r}"
                raise ConfigError(Problem("dataset", what if n_classes is not None else f"{what}; or give a task"))
            task = Task("classification", n_classes)
            object.__setattr__(self, "task", task)
        known = task.n_outputs if task.kind == "classification" else None
        if n_classes is not None and n_classes != known:
            raise ConfigError(Problem("dataset", f"n_classes is {n_classes!r}, the task a {task}; give the task alone"))
        object.__setattr__(self, "n_classes", known)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, e.g. `(1, 28, 28)`."""
        return tuple(self.x_train.shape[1:])


@dataclass(frozen=True, slots=True)
class MapSplits:
    """`Splits` of data that are read an example at a time: larger than memory, or images in files.

    A part is a map-style dataset of torch: `len(part)`, and `part[i]` is an example, float32 of one shape, with its
    target as `Task` says (a class may be an int); the same every time. `dataset.n_workers` processes read them.
    Random changes to training examples are not theirs but `dataset.transform`'s.

    Attributes:
        train, validation: the parts.
        task: what a model has to tell of an example.
    """

    train: MapDataset[Any]
    validation: MapDataset[Any]
    task: Task

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example; reads the first one."""
        return tuple(self.train[0][0].shape)

    @property
    def n_classes(self) -> int | None:
        """Number of classes; None where the task is no classification."""
        return self.task.n_outputs if self.task.kind == "classification" else None


TRAINING_KEYS = ("batch_size", "n_workers", "transform")
"""Keys of `dataset` in a config that are no arguments of the dataset: they say how a trial is trained on it."""


class Dataset(Protocol):
    """Examples with their targets. The constructor checks its arguments and reads nothing.

        available();  load() -> Splits(...);  ... at the very end, if ever: load_test() -> (x, y)

    Equal arguments give equal splits, on every machine and in every process. `TRAINING_KEYS` are not arguments of the
    dataset: trials with different batch sizes share one.

    What is known before the data are loaded, attributes of the class or set by the constructor say: `input_shape`, the
    shape of one example, and `task` (or `n_classes` of a classification). By these, models are checked beforehand.
    """

    def available(self) -> None:
        """Makes sure, before a study starts, that `load` will find its data. May download, decodes nothing.

        Raises:
            StudyError: there is no data; says where it was looked for and what to do.
        """

    def load(self) -> Splits | MapSplits:
        """The examples for training and validation: in memory, which is fastest, or to be read one at a time."""

    def load_test(self) -> tuple[Tensor, Tensor] | MapDataset[Any]:
        """The test examples and their targets, in memory or map-style. Only a final training asks for them."""
