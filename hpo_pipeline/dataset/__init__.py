"""Datasets hold labelled examples, split once and for all. The interface is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Splits:
    """What a trial may see: examples to train on and examples to be scored on.

    Attributes:
        x_train, x_validation: examples, `(n, *input_shape)`, float32.
        y_train, y_validation: their classes, `(n,)`, int64 in 0..n_classes-1.
        n_classes: number of classes.
    """

    x_train: Tensor
    y_train: Tensor
    x_validation: Tensor
    y_validation: Tensor
    n_classes: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, e.g. `(1, 28, 28)`."""
        return tuple(self.x_train.shape[1:])


class Dataset(Protocol):
    """Labelled examples. The constructor checks its arguments and reads nothing.

        available();  load() -> Splits(...);  ... at the very end, if ever: load_test() -> (x, y)

    Equal arguments give equal splits, on every machine and in every process. `dataset.batch_size` in a config is not
    an argument of the dataset: trials with different batch sizes share one.
    """

    def available(self) -> None:
        """Makes sure, before a study starts, that `load` will find its data. May download, decodes nothing.

        Raises:
            StudyError: there is no data; says where it was looked for and what to do.
        """

    def load(self) -> Splits:
        """The examples for training and validation, in memory."""

    def load_test(self) -> tuple[Tensor, Tensor]:
        """The test examples and their classes. Only a final training asks for them."""
