"""Learning-rate schedules: their closed forms, breaks and changes on the way, and what is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from hpo_pipeline.objective.schedule import WALKED, Schedule
from hpo_pipeline.objective.training import Training

TORCHS = "torch.optim.lr_scheduler"
OURS = "hpo_pipeline.objective.schedule"
STEP = {"_target_": f"{TORCHS}.StepLR", "step_size": 2, "gamma": 0.1}
EXPONENTIAL = {"_target_": f"{TORCHS}.ExponentialLR", "gamma": 0.5}
COSINE = {"_target_": f"{TORCHS}.CosineAnnealingLR", "T_max": 4}
WARMUP_COSINE = {"_target_": f"{OURS}.WarmupCosineLR", "T_max": 5, "warmup_epochs": 2, "eta_min": 0.1}
CYCLIC = {"_target_": f"{TORCHS}.CyclicLR", "base_lr": 0.1, "max_lr": 1, "cycle_momentum": False}
ONE_CYCLE = {"_target_": f"{TORCHS}.OneCycleLR", "max_lr": 1, "total_steps": 5, "cycle_momentum": False}

FACTORS = {
    "step": (STEP, [1, 1, 0.1, 0.1, 0.01]),
    "exponential": (EXPONENTIAL, [1, 0.5, 0.25, 0.125, 0.0625]),
    "cosine": (COSINE, [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 0]),
}
"""Learning rate over optimizer.lr of the first five epochs; the cosines of multiples of pi / 4 are by hand."""


def config(schedule: dict[str, Any] | None, lr: float = 0.2) -> dict[str, Any]:
    return {
        "seed": 0,
        "max_resource": 5,
        "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 500},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": lr, "momentum": 0.9},
        "lr_schedule": schedule,
    }


@pytest.fixture
def objective() -> Training:
    return Training(device="cpu", threads=1)


def rates(objective: Training, trial: dict[str, Any], epochs: int = 5) -> list[float]:
    state = objective.start(trial, seed=1)
    return [objective.advance(state)["learning_rate"] for _ in range(epochs)]


@pytest.mark.parametrize("name", FACTORS)
def test_each_epoch_has_the_learning_rate_of_the_closed_form(objective, name):
    schedule, factors = FACTORS[name]
    assert rates(objective, config(schedule, lr=0.2)) == pytest.approx([0.2 * factor for factor in factors], abs=1e-12)


def test_the_warm_up_is_linear_and_then_comes_a_cosine_down_to_the_lowest_rate(objective):
    # lr 0.7 over the lowest rate of 0.1; the cosine takes three epochs: cos 60 degrees is 1/2, cos 120 degrees -1/2.
    expected = [0.8 / 3, 2 * 0.8 / 3, 0.8, 0.1 + 0.7 * 0.75, 0.1 + 0.7 * 0.25, 0.1, 0.1]
    assert rates(objective, config(WARMUP_COSINE, lr=0.8), epochs=7) == pytest.approx(expected)


def test_the_learning_rate_that_is_reported_is_the_one_the_weights_were_trained_with(objective):
    still, moving = config({**EXPONENTIAL, "gamma": 0.0}), config(None)
    state, other = objective.start(still, 1), objective.start(moving, 1)
    first, second = objective.advance(state), objective.advance(state)
    expected = objective.advance(other)
    assert (first["learning_rate"], second["learning_rate"]) == (0.2, 0.0)
    assert first["validation_loss"] == expected["validation_loss"]
    assert second["validation_loss"] == first["validation_loss"], "at a rate of zero the weights stay"


def test_without_a_schedule_no_learning_rate_is_reported(objective):
    assert "learning_rate" not in objective.advance(objective.start(config(None), 1))


@pytest.mark.parametrize("schedule", [STEP, EXPONENTIAL, COSINE, WARMUP_COSINE], ids=lambda node: node["_target_"])
def test_a_trial_with_a_break_after_every_epoch_has_the_numbers_of_one_in_one_piece(objective, tmp_path, schedule):
    trial = config(schedule)
    state = objective.start(trial, 1)
    whole = [objective.advance(state) for _ in range(5)]
    state, parts = objective.start(trial, 1), []
    for _ in range(5):
        parts.append(objective.advance(state))
        objective.save(state, tmp_path / "checkpoint")
        state = objective.load(tmp_path / "checkpoint", trial, 1)
    assert parts == whole


def resumed(objective: Training, folder: Path, before: Any, after: Any) -> dict[str, float]:
    """What the third epoch reports of a trial that has one config for two epochs, and then another."""
    state = objective.start(before, 1)
    objective.advance(state)
    objective.advance(state)
    objective.save(state, folder / "checkpoint")
    state = objective.load(folder / "checkpoint", after, 1)
    return {**objective.advance(state), "lr": state.optimizer.param_groups[0]["lr"]}


@pytest.mark.parametrize("name", FACTORS)
def test_another_learning_rate_on_the_way_is_scheduled_from_there(objective, tmp_path, name):
    schedule, factors = FACTORS[name]
    metrics = resumed(objective, tmp_path, config(schedule, lr=0.2), config(schedule, lr=0.5))
    assert metrics["learning_rate"] == pytest.approx(0.5 * factors[2])


def test_a_trial_can_get_another_schedule_on_the_way(objective, tmp_path):
    metrics = resumed(objective, tmp_path, config(STEP, lr=0.2), config(EXPONENTIAL, lr=0.2))
    assert metrics["learning_rate"] == pytest.approx(0.2 * 0.25)


def test_a_trial_without_a_schedule_can_get_one_on_the_way(objective, tmp_path):
    assert resumed(objective, tmp_path, config(None), config(EXPONENTIAL))["learning_rate"] == pytest.approx(0.05)


def test_a_trial_that_loses_its_schedule_goes_on_with_the_learning_rate_of_its_config(objective, tmp_path):
    assert resumed(objective, tmp_path, config(EXPONENTIAL, lr=0.2), config(None, lr=0.2))["lr"] == 0.2


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ({**STEP, "gama": 0.5}, "lr_schedule.gama: "),
        ({**STEP, "_target_": f"{TORCHS}.StepLRR"}, "did you mean 'StepLR'?"),
        ({"_target_": f"{TORCHS}.StepLR"}, "lr_schedule.step_size: missing"),
        ({**STEP, "gamma": -1}, "lr_schedule.gamma: must be a number of at least 0, got -1"),
        ({**STEP, "step_size": 1.5}, "lr_schedule.step_size: must be an integer of at least 1, got 1.5"),
        ({**EXPONENTIAL, "gamma": math.inf}, "lr_schedule.gamma: must be a number of at least 0, got inf"),
        ({**EXPONENTIAL, "gamma": 1e200}, "the learning rate of epoch 3 would be inf"),
        ({**COSINE, "T_max": 0}, "lr_schedule.T_max: must be an integer of at least 1, got 0"),
        ({**COSINE, "T_max": -3}, "lr_schedule.T_max: must be an integer of at least 1, got -3"),
        ({**COSINE, "T_max": "abc"}, "lr_schedule.T_max: must be an integer of at least 1, got 'abc'"),
        ({**COSINE, "eta_min": -1}, "lr_schedule.eta_min: must be a number of at least 0, got -1"),
        (CYCLIC | {"base_lr": -1}, "the learning rate of epoch 1 would be -1"),
        (
            ONE_CYCLE | {"total_steps": 3},
            "lr_schedule: torch.optim.lr_scheduler.OneCycleLR refuses these values (Tried",
        ),
        ({"_target_": f"{TORCHS}.ReduceLROnPlateau"}, "ReduceLROnPlateau follows a metric"),
        ({"_target_": f"{TORCHS}.OneCycleLR", "max_lr": 1, "total_steps": 9}, "lr_schedule.cycle_momentum: set"),
        (
            {**CYCLIC, "cycle_momentum": True},
            "set cycle_momentum: false; a schedule here moves the learning rate alone",
        ),
        ({"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}, "'torch.nn.Linear' is no lr_schedule"),
        ({**WARMUP_COSINE, "warmup_epochs": 5}, "lr_schedule.warmup_epochs: must be an integer from 0 to 4"),
        ({**WARMUP_COSINE, "T_max": 2.5}, "lr_schedule.T_max: must be an integer"),
        ({}, "lr_schedule: must be a mapping with a _target_"),
    ],
)
def test_a_schedule_that_can_not_work_is_a_problem_before_anything_starts(objective, schedule, problem):
    (found,) = objective.problems(config(schedule))
    assert problem in str(found)


@pytest.mark.parametrize("schedule", [None, STEP, EXPONENTIAL, COSINE, WARMUP_COSINE, CYCLIC, ONE_CYCLE])
def test_a_schedule_that_works_is_no_problem(objective, schedule):
    assert objective.problems(config(schedule)) == []


@pytest.mark.parametrize("T_max", range(1, 12))
def test_a_cosine_that_goes_on_beyond_its_end_is_no_problem(objective, T_max):  # noqa: N803 (torch calls it so)
    assert objective.problems(config({**COSINE, "T_max": T_max}) | {"max_resource": 50}) == []


def test_a_wrong_learning_rate_is_not_reported_with_the_schedule_again(objective):
    (problem,) = objective.problems(config({**COSINE, "eta_min": 0.1}, lr=-1.0))
    assert problem.path == "optimizer"


def test_what_makes_no_optimizer_is_refused(objective):
    wrong = {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}
    (problem,) = objective.problems(config(STEP) | {"optimizer": wrong})
    assert str(problem).startswith(
        "optimizer._target_: 'torch.nn.Linear' is no optimizer; it may be a class of torch.optim"
    )


LONG = 1_000_000


@pytest.mark.parametrize(
    "schedule", [STEP, EXPONENTIAL, COSINE, WARMUP_COSINE, CYCLIC], ids=lambda node: node["_target_"]
)
def test_a_long_schedule_is_not_walked_to_its_end_beforehand(objective, schedule, monkeypatch):
    steps = []
    monkeypatch.setattr("hpo_pipeline.objective.schedule._Rates.step", lambda rates: steps.append(1))
    for batch_size in (8, 16):
        trial = config(schedule, lr=0.123)
        trial["dataset"]["batch_size"] = batch_size
        assert objective.problems(trial | {"max_resource": LONG}) == []
    assert len(steps) == WALKED - 1, "and another value of something else does not bring it up again"


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ({**EXPONENTIAL, "gamma": 1.01}, "lr_schedule: .*the learning rate of epoch .* would be too large a number"),
        (ONE_CYCLE | {"total_steps": 50_000}, "lr_schedule: .*The specified number of total steps is 50000"),
        ({**CYCLIC, "base_lr": 1, "max_lr": -1, "step_size_up": 50_000}, "the learning rate of epoch .* would be -"),
    ],
)
def test_what_goes_wrong_late_is_found_by_formula(objective, schedule, problem):
    (found,) = objective.problems(config(schedule) | {"max_resource": LONG})
    assert re.search(problem, str(found))


def test_an_earlier_epoch_has_its_rate_again():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    schedule = Schedule(EXPONENTIAL, optimizer)
    assert [schedule.rates(epoch)[0] for epoch in (3, 3, 0, 2)] == [0.025, 0.025, 0.2, 0.05]
