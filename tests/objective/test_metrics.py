"""Metrics of torchmetrics: filled in from the task, computed on whole sets, checked beforehand. Counted by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from specs import trial_of

from hpo_pipeline import trust
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.objective.loss import build_loss
from hpo_pipeline.objective.metrics import Measured, mode_problems, problems
from hpo_pipeline.objective.scoring import Scores, names
from hpo_pipeline.objective.training import Training

torchmetrics = pytest.importorskip("torchmetrics")

CLASSES, TWO, LABELS = Task("classification", 3), Task("classification", 2), Task("multilabel", 2)
NUMBER, NUMBERS = Task("regression", 1), Task("regression", 2)


def of(name: str, **arguments: Any) -> dict[str, Any]:
    field = "regression" if name in ("MeanAbsoluteError", "R2Score", "MeanSquaredError") else "classification"
    return {"_target_": f"torchmetrics.{field}.{name}", **arguments}


def told(classes: list[int], n: int) -> list[list[float]]:
    """Scores by which these classes are the largest; as logits, not as probabilities."""
    return [[5.0 if c == each else -2.0 for c in range(n)] for each in classes]


def value(node: dict[str, Any], task: Task, outputs: Any, targets: Any, sizes: tuple[int, ...]) -> float:
    measured = Measured({"m": node}, task)
    x, y = torch.tensor(outputs), torch.tensor(targets)
    y = y if task.kind == "classification" else y.float()
    for batch in zip(x.split(sizes), y.split(sizes), strict=True):
        measured.update(*batch)
    return measured.result()["m"]


RANKED = [[0.0, 0.1], [0.0, 0.4], [0.0, 0.35], [0.0, 0.8]]  # within [0, 1], and no probabilities for all that
"""Scores of the second class; with classes 0, 0, 1, 1, three of the four pairs are in order."""


@pytest.mark.parametrize("sizes", [(4,), (1, 3)])
@pytest.mark.parametrize(
    ("node", "task", "outputs", "targets", "expected"),
    [
        # classes 0, 0, 1, 2 told as 0, 1, 1, 1: F1 = 2 tp / (2 tp + fp + fn) is 2/3, 2/4, 0
        (of("F1Score", average="macro"), CLASSES, told([0, 1, 1, 1], 3), [0, 0, 1, 2], (2 / 3 + 1 / 2) / 3),
        (of("F1Score", average="micro"), CLASSES, told([0, 1, 1, 1], 3), [0, 0, 1, 2], 0.5),
        (of("F1Score", task="binary"), TWO, told([0, 1, 1, 1], 2), [0, 0, 1, 1], 4 / 5),
        (of("Accuracy"), CLASSES, told([0, 1, 1, 1], 3), [0, 0, 1, 2], 0.5),
        (of("AUROC"), TWO, RANKED, [0, 0, 1, 1], 0.75),
        (of("AUROC", task="binary"), TWO, RANKED, [0, 0, 1, 1], 0.75),
        # two labels of four examples; of the first 2 of 3 hits and no false one (4/5), the second all (1)
        (
            of("F1Score", average="macro"),
            LABELS,
            [[3.0, -1.0], [-3.0, 2.0], [2.0, -9.0], [-1.0, 1.0]],
            [[1, 0], [1, 1], [1, 0], [0, 1]],
            (4 / 5 + 1) / 2,
        ),
        (of("Accuracy"), Task("multilabel", 1), [[3.0], [-3.0], [2.0], [1.0]], [[1], [0], [1], [0]], 0.75),
        (of("MeanAbsoluteError"), NUMBER, [[1.0], [2.0], [3.0], [4.0]], [[1], [1], [1], [1]], 6 / 4),
        # of (1, 2, 3, 6) with mean 3: total 4 + 1 + 0 + 9 = 14, and 1 + 1 of it is left
        (of("R2Score"), NUMBER, [[1.0], [3.0], [3.0], [5.0]], [[1], [2], [3], [6]], 1 - 2 / 14),
        (
            of("R2Score"),
            NUMBERS,
            [[1.0, 0.0], [3.0, 1.0], [3.0, 2.0], [5.0, 3.0]],
            [[1, 0], [2, 1], [3, 2], [6, 3]],
            (1 - 2 / 14 + 1) / 2,
        ),
        (of("MeanSquaredError", squared=False), NUMBER, [[2.0]] * 4, [[0]] * 4, 2.0),
    ],
)
def test_a_metric_is_that_of_the_whole_set_however_it_is_divided(
    node: Any, task: Task, outputs: Any, targets: Any, expected: float, sizes: tuple[int, ...]
):
    assert value(node, task, outputs, targets, sizes) == pytest.approx(expected, rel=1e-9)
    assert list(problems({"m": node}, task)) == []


@pytest.mark.parametrize(
    ("metrics", "task", "problem"),
    [
        ({"f1": of("F1Scor")}, CLASSES, "metrics.f1._target_: cannot import 'torchmetrics.classification.F1Scor'"),
        ({"f1": of("F1Score", averag="macro")}, CLASSES, "metrics.f1: torchmetrics.classification.F1Score can't be"),
        ({"f1": of("F1Score", average="none")}, CLASSES, "metrics.f1: torchmetrics.classification.F1Score can't be"),
        ({"f1": of("F1Score", average="makro")}, CLASSES, "metrics.f1: torchmetrics.classification.F1Score can't be"),
        ({"f1": of("F1Score", task="binary")}, CLASSES, "metrics.f1.task: binary takes two classes"),
        ({"f1": of("F1Score")}, NUMBER, "metrics.f1: torchmetrics.classification.F1Score can't be computed of a"),
        ({"r2": of("R2Score")}, CLASSES, "metrics.r2: torchmetrics.regression.R2Score can't be computed of a"),
        ({"error": of("Accuracy")}, CLASSES, "metrics.error: validation_error is reported anyway"),
        ({"a b": of("Accuracy")}, CLASSES, "metrics.a b: must have a name of letters"),
        ({"f1": "min"}, CLASSES, "metrics.f1: must be a mapping with a _target_, got 'min'"),
        (of("Accuracy"), CLASSES, "metrics: must be a mapping of names to metrics"),
        ({"m": {"_target_": "torch.nn.MSELoss"}}, CLASSES, "metrics.m._target_: 'torch.nn.MSELoss' is no metrics"),
        ({"m": {"_target_": "torchmetrics.text.BERTScore"}}, CLASSES, "metrics.m._target_: 'torchmetrics.text.BERT"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_in_one_line(metrics: Any, task: Task, problem: str):
    (found,) = problems(metrics, task)
    assert str(found).startswith(problem)


@pytest.mark.parametrize(
    ("metrics", "comparison", "told"),
    [
        (
            {"f1": of("F1Score")},
            {"metric": "validation_f1", "mode": "min"},
            "mode: is min, and validation_f1 is better",
        ),
        ({"f1": of("F1Score")}, {"metric": "validation_f1", "mode": "max"}, None),
        ({"f1": of("F1Score")}, {"metric": "validation_loss", "mode": "min"}, None),
        ({"f1": of("F1Score")}, {"metric": {"seconds": "min", "validation_f1": "min"}}, "metric.validation_f1: is min"),
        ({"f1": of("F1Score")}, {"metric": {"seconds": "min", "validation_f1": "max"}}, None),
        ({}, {"metric": "validation_f1", "mode": "min"}, None),
    ],
)
def test_a_metric_is_not_optimised_the_wrong_way_round(metrics: Any, comparison: Any, told: str | None):
    found = [str(problem) for problem in mode_problems({"metrics": metrics, **comparison}, CLASSES)]
    assert len(found) == (told is not None)
    assert not found or found[0].startswith(str(told))


def test_an_error_of_numbers_is_better_the_lower_it_is():
    metrics = {"mae": {"_target_": "torchmetrics.regression.MeanAbsoluteError"}}
    (found,) = mode_problems({"metrics": metrics, "metric": "validation_mae", "mode": "max"}, NUMBER)
    assert str(found) == "mode: is max, and validation_mae is better the lower it is; set mode=min"


class Gap(torchmetrics.Metric):
    """Somebody's own: the largest distance between an output and its target."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("largest", torch.zeros(()))

    def update(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.largest = torch.maximum(self.largest, (outputs - targets).abs().max())

    def compute(self) -> torch.Tensor:
        return self.largest


def test_a_metric_of_ones_own():
    trust.trust((__name__,))
    node = {"_target_": f"{__name__}.Gap"}
    assert list(problems({"gap": node}, NUMBER)) == []
    assert value(node, NUMBER, [[1.0], [2.5], [3.0], [4.0]], [[1], [1], [2], [3]], (2, 2)) == 1.5


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("task", [CLASSES, LABELS, NUMBER])
def test_of_outputs_that_are_not_finite_nothing_is_told(task: Task, broken: float):
    node = of("Accuracy") if task is not NUMBER else of("MeanAbsoluteError")
    scores = Scores(task, build_loss(None, task), Measured({"m": node}, task))
    targets = torch.zeros(4, dtype=torch.int64) if task is CLASSES else torch.zeros(4, task.n_outputs)
    outputs = torch.zeros(4, task.n_outputs)
    outputs[2, 0] = broken
    scores.add(outputs, targets)
    found = scores.result()
    assert not math.isfinite(found.pop("loss"))
    assert all(map(math.isnan, found.values()))
    assert "m" in found


def test_the_error_of_labels_is_the_share_that_is_told_wrong_and_numbers_have_none():
    scores = Scores(LABELS, build_loss(None, LABELS))
    scores.add(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert scores.result()["error"] == 1 / 4
    assert names(NUMBER, {}) == ("loss",)
    assert names(LABELS, {"f1": {}}) == ("error", "loss", "f1")
    assert names(None, None) == ("error", "loss")


DIGITS = {
    "seed": 0,
    "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
    "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 100},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
}
F1 = {"f1": of("F1Score", average="macro"), "accuracy": of("Accuracy")}


def test_metrics_are_reported_beside_the_others_which_stay_as_they_are():
    objective = Training(device="cpu")
    plain = objective.advance(objective.start(trial_of(copy.deepcopy(DIGITS), 0)))
    config = {**copy.deepcopy(DIGITS), "metrics": F1}
    found = objective.advance(objective.start(trial_of(config, 0)))
    assert found.pop("validation_accuracy") == pytest.approx(1 - plain["validation_error"], rel=1e-12)
    assert 0 < found.pop("validation_f1") < 1
    assert found == plain
    assert set(objective.reported(config)) == {*found, "validation_f1", "validation_accuracy", "seconds"}


def test_the_same_metrics_are_those_of_the_test():
    config = {**copy.deepcopy(DIGITS), "metrics": F1}
    objective = Training(device="cpu", final=True)
    state = objective.start(trial_of(config, 0))
    objective.advance(state)
    found = objective.test(state)
    assert found.keys() == {"test_error", "test_loss", "test_f1", "test_accuracy"}
    assert found["test_accuracy"] == pytest.approx(1 - found["test_error"], rel=1e-12)
