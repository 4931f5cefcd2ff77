"""The contract suite for objectives: what keeps to it passes, and each way to break it is named."""

from __future__ import annotations

import itertools
import json
import pickle
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT, curve, journal, run

from hpo_pipeline import trust
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.command import Command
from hpo_pipeline.objective.function import Function
from hpo_pipeline.simulation import ContractError
from hpo_pipeline.testing import check_objective

sys.path.append(str(ROOT / "examples"))
from objective import LogisticRegression, State

PARAMS = {"params": {"lr": 0.1, "momentum": 0.9}}


def test_a_function_keeps_to_the_contract():
    check_objective(Function, PARAMS)


def test_the_example_keeps_to_the_contract():
    check_objective(LogisticRegression, PARAMS)


def test_the_example_is_tuned_as_it_says(monkeypatch):
    shutil.copytree(ROOT / "examples", "examples", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    monkeypatch.chdir("examples")
    monkeypatch.setenv("HPO_TRUST", "objective")
    said = Path("objective.py").read_text().partition("hpo tune ")[2].partition("\n\n")[0]
    few = ("n_trials=4", "max_resource=4", "executor=serial", "tracker=none", "searcher=random", "name=s")
    ended = run(*shlex.split(said.replace("\\\n", " ")), *few)
    assert ended.code == 0, ended.err
    best = min(metrics["validation_error"] for _, metrics in curve(journal("s")))
    assert best < 0.35  # at chance it is 0.5, and the best rule errs in 0.22: P(N(0, 1) > 0.7 * sqrt(5) / 2)


def test_the_training_keeps_to_the_contract():
    training = pytest.importorskip("hpo_pipeline.objective.training").Training
    config = {
        "model": {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": 8},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 200},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
        "lr_schedule": None,
        "loss": None,
        "seed": 0,
    }
    check_objective(lambda: training(device="cpu"), config, n=2)


def test_a_program_keeps_to_the_contract():
    command = [sys.executable, str(ROOT / "examples" / "script.py"), "--epochs", "{resource}", "--lr", "{params.lr}"]
    trust.trust((trust.as_entry(command),))
    check_objective(lambda: Command(command), {**PARAMS, "max_resource": 4}, n=2)


class Base(LogisticRegression):
    calls = itertools.count()


class Unseeded(Base):
    def start(self, trial: TrialSpec) -> State:
        state = super().start(trial)
        state.weights = state.weights + next(self.calls)
        return state


class ChangedBySaving(Base):
    def save(self, state: State, path: Path) -> None:
        super().save(state, path)
        state.weights = state.weights + 1


class Forgetful(Base):
    """Its momentum is lost."""

    def load(self, trial: TrialSpec, path: Path) -> State:
        state = super().load(trial, path)
        state.velocity = np.zeros_like(state.velocity)
        return state


class Shared(Base):
    """The weights are the objective's own."""

    def advance(self, state: State) -> Any:
        state.weights = getattr(self, "weights", state.weights)
        found = super().advance(state)
        self.weights = state.weights
        return found


class Textual(Base):
    def advance(self, state: State) -> Any:
        return {name: str(value) for name, value in super().advance(state).items()}


class Silent(Base):
    def advance(self, state: State) -> Any:
        super().advance(state)


class Promising(Base):
    metrics = ("validation_error", "accuracy")


class Littering(Base):
    def save(self, state: State, path: Path) -> None:
        super().save(state, path)
        path.with_name("beside").touch()


class Changing(Base):
    def start(self, trial: TrialSpec) -> State:
        trial.config["params"]["momentum"] = 0.5
        return super().start(trial)


class Beginning(Base):
    """It begins anew where it finds nothing."""

    def load(self, trial: TrialSpec, path: Path) -> State:
        return super().load(trial, path) if path.exists() else self.start(trial)


class Pickled(Base):
    def save(self, state: State, path: Path) -> None:
        path.write_bytes(pickle.dumps(vars(state)))

    def load(self, trial: TrialSpec, path: Path) -> State:
        return State(**pickle.loads(path.read_bytes()))


class PickledArrays(Base):
    def load(self, trial: TrialSpec, path: Path) -> State:
        state = self.start(trial)
        with np.load(path, allow_pickle=True) as saved:
            state.weights, state.velocity, state.epoch = saved["weights"], saved["velocity"], int(saved["epoch"])
        return state


@pytest.mark.parametrize(
    ("objective", "broken"),
    [
        (Unseeded, "the same seed gives the same numbers"),
        (ChangedBySaving, "a trial that is saved after 2 units and goes on has the same numbers"),
        (Forgetful, "a trial that was saved after 2 units and is loaded has the same numbers"),
        (Shared, "a trial has the same numbers when another one is trained beside it"),
        (Textual, "`advance` answers names and numbers, not 'validation_error': '0"),
        (Silent, "`advance` answers names and numbers, not None"),
        (Promising, "`metrics` promises accuracy, which `advance` doesn't report"),
        (Littering, "`save` writes to the path that it gets, and nowhere beside it: ['beside', 'saved']"),
        (Changing, "the config is not the objective's to change"),
        (Beginning, "`load` raises where there is no checkpoint"),
        (Pickled, "nothing in a checkpoint is executed"),
        (PickledArrays, "nothing in a checkpoint is executed"),
    ],
)
def test_what_breaks_the_contract_is_named(objective, broken):
    with pytest.raises(ContractError) as error:
        check_objective(objective, PARAMS)
    assert f"broken: {broken}" in str(error.value)


def test_nothing_is_left_behind():
    check_objective(Function, json.loads(json.dumps(PARAMS)))
    assert list(Path().iterdir()) == []
