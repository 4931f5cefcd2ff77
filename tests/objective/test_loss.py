"""The loss of a training: closed forms, the mean over all data, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from hpo_pipeline import trust
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.objective.loss import build_loss, problems
from hpo_pipeline.objective.scoring import Scores

CLASSES, LABELS, NUMBERS = Task("classification", 3), Task("multilabel", 2), Task("regression", 2)


def torchs(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"torch.nn.{name}", **arguments}


class Cubed(nn.Module):
    """Somebody's own loss: the mean of |outputs - targets| to a power, of the task's number of outputs."""

    def __init__(self, n_outputs: int, power: int = 3) -> None:
        super().__init__()
        self.n_outputs, self.power = n_outputs, power

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).abs().pow(self.power).mean()


class Each(Cubed):
    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).abs().mean(dim=1)


class Learned(Cubed):
    def __init__(self, n_outputs: int) -> None:
        super().__init__(n_outputs)
        self.centers = nn.Parameter(torch.zeros(n_outputs))


class Constant(Cubed):
    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.zeros(())


OWN = f"{__name__}.Cubed"


@pytest.fixture(autouse=True)
def _trusted() -> None:
    trust.trust((__name__,))


def of_batches(node: Any, task: Task, outputs: list[Any], targets: list[Any], sizes: tuple[int, ...]) -> float:
    """The loss of a set that is scored in batches of these sizes."""
    x = torch.tensor(outputs)
    y = torch.tensor(targets) if task.kind == "classification" else torch.tensor(targets, dtype=torch.float32)
    scores = Scores(task, build_loss(node, task))
    for batch in zip(x.split(sizes), y.split(sizes), strict=True):
        scores.add(*batch)
    return scores.result()["loss"]


LN_3, LN_2 = math.log(3), math.log(2)
EQUAL = [[0.0, 0.0, 0.0]] * 3
SURE = [[math.log(2), 0.0, 0.0]] * 3  # the probabilities are 1/2, 1/4, 1/4


@pytest.mark.parametrize("sizes", [(3,), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize(
    ("node", "task", "outputs", "targets", "expected"),
    [
        (None, CLASSES, EQUAL, [0, 1, 2], LN_3),
        (None, CLASSES, SURE, [0, 1, 2], (LN_2 + 4 * LN_2) / 3),
        # weights of the classes: (4 ln 2 + 2 * 2 ln 2 + 2 * 2 ln 2) / (4 + 2 + 2)
        (torchs("CrossEntropyLoss", weight=[4, 2, 2]), CLASSES, SURE, [0, 1, 2], (4 + 4 + 4) * LN_2 / 8),
        # smoothing 0.3 puts 0.1 on each class, besides 0.7 on the own one: 0.8, 0.1, 0.1
        (
            torchs("CrossEntropyLoss", label_smoothing=0.3),
            CLASSES,
            SURE,
            [0, 0, 0],
            (0.8 * 1 + 0.1 * 2 + 0.1 * 2) * LN_2,
        ),
        (torchs("CrossEntropyLoss", ignore_index=1), CLASSES, SURE, [0, 1, 1], LN_2),
        (None, NUMBERS, [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]], [[0, 0], [3, 0], [0, 4]], (1 + 4 + 9 + 16) / 6),
        (torchs("L1Loss"), NUMBERS, [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]], [[0, 0], [3, 0], [0, 4]], 10 / 6),
        # beyond delta: delta (|d| - delta / 2); within it: d^2 / 2
        (
            torchs("HuberLoss", delta=2.0),
            NUMBERS,
            [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]],
            [[0, 0], [3, 0], [0, 4]],
            (0.5 + 2 + 4 + 6) / 6,
        ),
        (None, LABELS, [[0.0, 0.0]] * 3, [[0, 1], [1, 1], [0, 0]], LN_2),
        # a label that holds counts three times as much, where it is the first
        (
            torchs("BCEWithLogitsLoss", pos_weight=[3, 1]),
            LABELS,
            [[0.0, 0.0]] * 3,
            [[0, 1], [1, 1], [0, 0]],
            LN_2 * (5 + 3) / 6,
        ),
        # 27 for three examples of 2 numbers each: their means are 0.5 (1 + 8), 0.5 * 27, 0.5 * 64
        (
            {"_target_": OWN},
            NUMBERS,
            [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]],
            [[0, 0], [3, 0], [0, 4]],
            (9 + 27 + 64) / 6,
        ),
    ],
)
def test_the_loss_of_all_examples_is_their_mean_however_they_are_divided(
    node: Any, task: Task, outputs: Any, targets: Any, expected: float, sizes: tuple[int, ...]
):
    assert of_batches(node, task, outputs, targets, sizes) == pytest.approx(expected, rel=1e-6)


def test_a_loss_of_ones_own_is_told_the_number_of_outputs():
    assert build_loss({"_target_": OWN}, NUMBERS).module.n_outputs == 2


@pytest.mark.parametrize(
    ("node", "task", "problem"),
    [
        (
            torchs("MSELoss"),
            CLASSES,
            "loss: torch.nn.MSELoss is no loss of a classification task (n_outputs 3); take loss=cross_entropy "
            "(CrossEntropyLoss, NLLLoss, MultiMarginLoss of torch.nn fit), or loss=auto",
        ),
        (
            torchs("CrossEntropyLoss"),
            NUMBERS,
            "loss: torch.nn.CrossEntropyLoss is no loss of a regression task (n_outputs 2); take loss=mse, l1 or huber "
            "(MSELoss, L1Loss, HuberLoss, SmoothL1Loss, PoissonNLLLoss of torch.nn fit), or loss=auto",
        ),
        (torchs("CrossEntropyLoss", reduction="sum"), CLASSES, "loss.reduction: must be mean"),
        (torchs("MSELoss", size_average=False), NUMBERS, "loss.reduction: must be mean"),
        (
            torchs("CrossEntropyLoss", label_smoothing=1.5),
            CLASSES,
            "loss.label_smoothing: must be a number from 0",
        ),
        (
            torchs("CrossEntropyLoss", label_smoothing="a"),
            CLASSES,
            "loss.label_smoothing: must be a number from 0",
        ),
        (
            torchs("CrossEntropyLoss", weight=[1, -2, 3]),
            CLASSES,
            "loss.weight: must be a list of numbers",
        ),
        (torchs("CrossEntropyLoss", weight=3), CLASSES, "loss.weight: must be a list of numbers"),
        (
            torchs("CrossEntropyLoss", weight=[1, 2]),
            CLASSES,
            "loss: torch.nn.CrossEntropyLoss fails on outputs of shape (3, 3) and targets of shape (3,) (weight tensor",
        ),
        (
            torchs("CrossEntropyLoss", label_smoothin=0.1),
            CLASSES,
            "loss.label_smoothin: torch.nn.CrossEntropyLoss",
        ),
        (torchs("HuberLoss", delta=-1), NUMBERS, "loss: torch.nn.HuberLoss fails on outputs of shape (3, 2)"),
        ({"_target_": f"{__name__}.Each"}, NUMBERS, f"loss: {__name__}.Each must make one number of outputs"),
        ({"_target_": f"{__name__}.Learned"}, NUMBERS, f"loss: {__name__}.Learned has weights to be trained"),
        ({"_target_": f"{__name__}.Constant"}, NUMBERS, f"loss: {__name__}.Constant gives a number that does not"),
        (torchs("Linear", in_features=1, out_features=1), NUMBERS, "loss._target_: 'torch.nn.Linear' is no loss"),
        (torchs("Module"), NUMBERS, "loss._target_: 'torch.nn.Module' is no loss"),
        ("mse", NUMBERS, "loss: must be a mapping with a _target_, got 'mse'"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_in_one_line(node: Any, task: Task, problem: str):
    (found,) = problems(node, task)
    assert str(found).startswith(problem)


@pytest.mark.parametrize(
    ("node", "task"),
    [
        (None, CLASSES),
        (torchs("CrossEntropyLoss", label_smoothing=0.1, weight=[1, 2, 3]), CLASSES),
        (torchs("CrossEntropyLoss", weight=None), None),  # the task isn't known before the data are
        (torchs("SmoothL1Loss", beta=0.5), NUMBERS),
        (torchs("BCEWithLogitsLoss", weight=[1, 2]), LABELS),
        ({"_target_": OWN, "power": 2}, NUMBERS),
    ],
)
def test_a_loss_that_fits_is_no_problem(node: Any, task: Task | None):
    assert list(problems(node, task)) == []
