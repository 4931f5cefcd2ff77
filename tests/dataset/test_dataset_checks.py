"""Data that can't be trained on are refused beforehand, and again where they are loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from specs import trial_of

pytest.importorskip("torch")

import torch
from commands import DIGITS, compose

from hpo_pipeline import trust
from hpo_pipeline.dataset import Splits, checks
from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.training import Training
from hpo_pipeline.preflight import check_study


def good() -> Splits:
    """Ten examples of four numbers in three classes, and five for validation."""
    y = torch.arange(10) % 3
    return Splits(torch.ones(10, 4), y, torch.ones(5, 4), y[:5], 3)


CHANGES: dict[str, tuple[Any, str]] = {
    "float64": (
        lambda s: replace(s, x_train=s.x_train.double()),
        "dataset: x_train must be float32, got float64; convert it with .float()",
    ),
    "images of bytes": (
        lambda s: replace(s, x_validation=s.x_validation.to(torch.uint8)),
        "dataset: x_validation must be float32, got uint8; convert it with .float()",
    ),
    "numpy": (
        lambda s: replace(s, x_train=s.x_train.numpy().astype(np.float64)),
        "dataset: x_train must be a torch tensor of float32, got numpy.ndarray of float64; convert it: "
        "torch.as_tensor(…).float()",
    ),
    "lists": (
        lambda s: replace(s, y_train=s.y_train.tolist()),
        "dataset: y_train must be a torch tensor of int64, got list; convert it: torch.as_tensor(…).long()",
    ),
    "nothing": (
        lambda s: replace(s, y_validation=None),
        "dataset: y_validation must be a torch tensor of int64, got NoneType; convert it: torch.as_tensor(…).long()",
    ),
    "labels from 1": (
        lambda s: replace(s, y_train=s.y_train + 1),
        "dataset: y_train must be in 0..2 for n_classes 3, got 1..3; subtract 1",
    ),
    "a label for unknown": (
        lambda s: replace(s, y_validation=torch.tensor([-1, 0, 1, 2, 0])),
        "dataset: y_validation must be in 0..2 for n_classes 3, got -1..2; number the classes from 0, "
        "or mend n_classes",
    ),
    "float labels": (
        lambda s: replace(s, y_train=s.y_train.float()),
        "dataset: y_train must be int64, got float32; convert it with .long()",
    ),
    "labels in a column": (
        lambda s: replace(s, y_train=s.y_train[:, None]),
        "dataset: y_train must have the shape (n,), one class an example, got (10, 1)",
    ),
    "too few labels": (
        lambda s: replace(s, y_train=s.y_train[:9]),
        "dataset: x_train has 10 examples and y_train 9 classes; one for each is needed",
    ),
    "no validation": (
        lambda s: replace(s, x_validation=s.x_validation[:0], y_validation=s.y_validation[:0]),
        "dataset: x_validation is empty; at least one example is needed",
    ),
    "other shapes": (
        lambda s: replace(s, x_validation=torch.ones(5, 2, 2)),
        "dataset: one example has the shape (4,) in x_train and (2, 2) in x_validation; give both the same",
    ),
    "no shape": (
        lambda s: replace(s, x_train=torch.ones(10)),
        "dataset: x_train must have the shape (n, *input_shape), got (10,); one number an example is (n, 1)",
    ),
    "NaN": (
        lambda s: replace(s, x_train=s.x_train.index_fill(0, torch.tensor([2, 5]), float("nan"))),
        "dataset: x_train has NaN or infinity in 2 of 10 examples; leave these out, or fill the gaps",
    ),
    "no number of classes": (
        lambda s: Splits(s.x_train, s.y_train, s.x_validation, s.y_validation, "3"),
        "dataset: n_classes must be an integer of at least 1, got '3'",
    ),
    "no splits": (
        lambda s: (s.x_train, s.y_train),
        "dataset: load() gives tuple; give hpo_pipeline.dataset.Splits(…), or MapSplits(…)",
    ),
}


class Own:
    """Somebody's own dataset. `change`: what is wrong with it."""

    loads = 0

    def __init__(self, change: str = "") -> None:
        self.change = change

    def available(self) -> None:
        if self.change == "fails":
            raise KeyError("column 'y'")

    def load(self) -> Any:
        Own.loads += 1
        return CHANGES[self.change][0](good()) if self.change in CHANGES else good()

    def load_test(self) -> Any:
        x, y = good().x_train, good().y_train
        return {"test float64": (x.double(), y), "test shape": (x[:, :2], y), "test alone": x}.get(self.change, (x, y))


class Declared(Own):
    input_shape = (2, 2)
    n_classes = 4


class Property(Own):
    @property
    def n_classes(self) -> int:
        return 3


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_TRUST", __name__)  # for commands
    trust.trust((__name__,))


def config(kind: str = "Own", **arguments: Any) -> dict[str, Any]:
    return {
        "seed": 0,
        "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
        "dataset": {"_target_": f"{__name__}.{kind}", "batch_size": 4, **arguments},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    }


@pytest.mark.parametrize("change", CHANGES)
def test_data_that_can_not_be_trained_on_are_refused_in_one_line(change):
    expected = CHANGES[change][1]
    with pytest.raises(ConfigError) as caught:
        Training(device="cpu").available(config(change=change))
    assert caught.value.lines == [expected]
    with pytest.raises(ConfigError) as caught:  # whoever comes without the check beforehand
        Training(device="cpu").start(trial_of(config(change=change), 0))
    assert caught.value.lines == [expected]


def test_all_that_is_wrong_is_said_at_once():
    broken = replace(good(), x_train=good().x_train.double(), y_train=good().y_train + 1, y_validation=[0])
    dataset = Own()
    dataset.load = lambda: broken
    with pytest.raises(ConfigError) as caught:
        checks.load(dataset)
    assert [line.split()[1] for line in caught.value.lines] == ["x_train", "y_train", "y_validation"]


def test_what_the_class_declares_must_be_what_the_data_are():
    with pytest.raises(ConfigError) as caught:
        Training(device="cpu").available(config("Declared"))
    assert caught.value.lines == [
        "dataset: Declared.n_classes is 4, that of the data 3; make them equal",
        "dataset: Declared.input_shape is (2, 2), that of the data (4,); make them equal",
    ]


@pytest.mark.parametrize("kind", ["Own", "Property"])
def test_right_data_are_no_problem(kind):
    objective = Training(device="cpu", final=True)
    assert objective.problems({**config(kind), "max_resource": 1}) == []
    assert objective.model_problems(config(kind)) == []
    objective.available(config(kind))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("test float64", "dataset: x_test must be float32, got float64; convert it with .float()"),
        ("test shape", "dataset: one example has the shape (4,) in x_train and (2,) in x_test"),
        ("test alone", "dataset: load_test() gives torch.Tensor of torch.float32; give the examples and their targets"),
    ],
)
def test_test_data_are_looked_at_before_the_final_training_and_in_no_other(change, problem):
    Training(device="cpu").available(config(change=change))
    with pytest.raises(ConfigError) as caught:
        Training(device="cpu", final=True).available(config(change=change))
    (line,) = caught.value.lines
    assert line.startswith(problem)


def test_what_a_dataset_raises_is_one_line():
    with pytest.raises(ConfigError) as caught:
        Training(device="cpu").available(config(change="fails"))
    assert caught.value.lines == [f"dataset: {__name__}.Own fails (KeyError: \"column 'y'\")"]


def test_known_data_are_not_loaded_beforehand(monkeypatch):
    monkeypatch.setattr(Digits, "load", lambda dataset: pytest.fail("loaded"))
    node = {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 4}
    Training(device="cpu").available({**config(), "dataset": node})


def test_a_study_is_refused_before_it_begins_and_not_looked_at_where_data_are_not_wanted():
    own = [
        f"dataset._target_={__name__}.Own",
        "+dataset.change=float64",
        "~dataset.n_validation",
        "~dataset.split_seed",
    ]
    composed = compose(*DIGITS, *own)
    with pytest.raises(ConfigError, match="float64"):
        check_study(composed)
    before = Own.loads
    check_study(composed, data=False)
    assert Own.loads == before


def of_numbers(task: Task) -> Splits:
    """Four examples with `n_outputs` targets of 0 or 1 each, and two for validation."""
    y = (torch.arange(4 * task.n_outputs).reshape(4, -1) % 2).float()
    return Splits(torch.ones(4, 2), y, torch.ones(2, 2), y[:2], task=task)


REGRESSION, MULTILABEL = Task("regression", 1), Task("multilabel", 3)


@pytest.mark.parametrize(
    ("task", "change", "problem"),
    [
        (REGRESSION, lambda y: y, None),
        (MULTILABEL, lambda y: y, None),
        (REGRESSION, lambda y: y * 7.5, None),
        (
            REGRESSION,
            lambda y: y.flatten(),
            "must have the shape (n, 1) for a regression task (n_outputs 1), got (4,); add it: .unsqueeze(1)",
        ),
        (REGRESSION, lambda y: y.long(), "must be float32, got int64; convert it with .float()"),
        (REGRESSION, lambda y: y / 0, "has NaN or infinity in 4 of 4 targets; leave these out"),
        (REGRESSION, lambda y: y[:3], None),  # of the number of examples, x speaks
        (MULTILABEL, lambda y: y[:, :2], "must have the shape (n, 3) for a multilabel task (n_outputs 3), got (4, 2)"),
        (
            MULTILABEL,
            lambda y: y.flatten(),
            "must have the shape (n, 3) for a multilabel task (n_outputs 3), got (12,)",
        ),
        (MULTILABEL, lambda y: y * 0.5, "must be 0 or 1 for each label, got 0.5"),
        (MULTILABEL, lambda y: y.bool(), "must be float32, got bool; convert it with .float()"),
    ],
)
def test_targets_are_what_the_task_says(task, change, problem):
    dataset, splits = Own(), of_numbers(task)
    broken = replace(splits, y_train=change(splits.y_train))
    dataset.load = lambda: broken
    expected = [] if problem is None else [f"dataset: y_train {problem}"]
    if len(broken.y_train) == 3:
        expected = ["dataset: x_train has 4 examples and y_train 3 targets; one for each is needed"]
    found: list[str] = []
    try:
        checks.load(dataset)
    except ConfigError as error:
        found = error.lines
    assert found == expected


def test_a_number_of_classes_is_a_classification():
    assert good().task == Task("classification", 3)
    x, y = good().x_train, good().y_train
    assert Splits(x, y, x, y, task=Task("classification", 3)).n_classes == 3
    assert of_numbers(REGRESSION).n_classes is None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "dataset: n_classes must be an integer of at least 1, got None; or give a task"),
        (
            {"n_classes": 3, "task": REGRESSION},
            "dataset: n_classes is 3, the task a regression task (n_outputs 1); give the task alone",
        ),
    ],
)
def test_splits_that_do_not_say_what_their_targets_are_are_refused(said, problem):
    x, y = good().x_train, good().y_train
    with pytest.raises(ConfigError) as caught:
        Splits(x, y, x, y, **said)
    assert caught.value.lines == [problem]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            ("regresion", 1),
            "task.kind: must be one of classification, multilabel, regression, got 'regresion'; "
            "did you mean 'regression'?",
        ),
        (("regression", 0), "task.n_outputs: must be an integer of at least 1, got 0"),
    ],
)
def test_there_are_three_kinds_of_task(said, problem):
    with pytest.raises(ConfigError) as caught:
        Task(*said)
    assert caught.value.lines == [problem]


class Numbers(Own):
    """A regression whose number of outputs its constructor is told."""

    input_shape = (2,)

    def __init__(self, n: int = 2) -> None:
        super().__init__()
        self.task = Task("regression", n)

    def load(self) -> Splits:
        return of_numbers(Task("regression", 2))


def test_the_size_of_a_models_output_follows_from_the_declared_task_before_data_are_loaded():
    objective, before = Training(device="cpu"), Own.loads
    node = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    assert list(map(str, objective.model_problems({**config("Numbers"), "model": node}))) == [
        "model: gives scores of shape (2, 3), (2, 2) are needed"
    ]
    assert objective.model_problems(config("Numbers")) == []
    assert objective.model_problems({**config("Numbers", n=5), "model": {**node, "out_features": 5}}) == []
    assert Own.loads == before


def test_the_declared_task_must_be_that_of_the_data():
    Training(device="cpu").available(config("Numbers"))
    with pytest.raises(ConfigError) as caught:
        Training(device="cpu").available(config("Numbers", n=4))
    assert caught.value.lines == [
        "dataset: Numbers declares a regression task (n_outputs 4), the data are a regression task (n_outputs 2); "
        "make them equal"
    ]
