"""The models of trials as of their best reports: one a trial, whole or not there, gone when nobody needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo_pipeline.evaluation import Metric
from hpo_pipeline.executor.best_models import BestModel, BestModels
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import PackSettings, Task
from hpo_pipeline.objective import TrialSpec

CURVES = {0: [0.5, 0.3, 0.4, 0.3, 0.2, 0.9], 1: [float("nan"), 0.7, 0.8, 0.7, 0.7, float("inf")]}


class Counted:
    """Its model is the number of units that it was trained for; trial `id` reports CURVES[id]."""

    unit = "step"
    metrics = ("error",)
    copies = 0

    def start(self, trial: TrialSpec) -> dict[str, int]:
        return {"trial": trial.config["trial"], "n": 0}

    def advance(self, state: dict[str, int]) -> dict[str, float]:
        state["n"] += 1
        return {"error": CURVES[state["trial"]][state["n"] - 1]}

    def save(self, state: dict[str, int], path: Path) -> None:
        path.write_text(str(state["n"]))

    def load(self, trial: TrialSpec, path: Path) -> dict[str, int]:
        return {"trial": trial.config["trial"], "n": int(path.read_text())}

    def snapshot(self, state: dict[str, int]) -> int:
        type(self).copies += 1
        return state["n"]

    def save_model(self, snapshot: int, path: Path) -> None:
        path.write_text(f"model of {snapshot}")

    def load_model(self, config: object, path: Path) -> str:
        return path.read_text()

    def input_shape(self, path: Path) -> None:
        return None


def trained(trial: int, *ends: int, mode: str = "min", recorded: int = 0) -> BestModels:
    """Jobs one after the other, each in a worker of its own."""
    folder = Path("trials").absolute()
    for end in ends:
        pack = Pack(PackSettings({}, ("error",), folder, (), 1, 1e9, 1, best_by=Metric("error", mode)))
        pack._objective = Counted()
        pack.submit(Task(trial, {"trial": trial}, 0, end, recorded, ()))
        while pack.n_jobs:
            pack.advance()
        recorded = end
    return BestModels(folder)


def model(models: BestModels, trial: int, resource: int) -> str | None:
    path = models.find(trial, resource)
    return None if path is None else path.read_text()


def test_what_is_kept_is_the_model_of_the_best_report_and_of_equals_the_first():
    models = trained(0, 4)
    assert model(models, 0, 2) == "model of 2"
    assert len(list(Path("trials/0").glob("*.best"))) == 1


@pytest.mark.parametrize("ends", [(6,), (1, 6), (2, 4, 6), (1, 2, 3, 4, 5, 6)])
def test_a_trial_that_goes_on_elsewhere_knows_what_there_is_to_be_better_than(ends):
    models = trained(0, *ends)
    assert model(models, 0, 5) == "model of 5"
    assert [model(models, 0, resource) for resource in (1, 2, 4, 6)] == [None] * 4
    assert model(trained(1, *ends), 1, 2) == "model of 2"


def test_the_best_is_the_largest_where_the_mode_is_max_and_never_infinite():
    assert model(trained(0, 3, 6, mode="max"), 0, 6) == "model of 6"
    assert model(trained(1, 3, 6, mode="max"), 1, 3) == "model of 3"


def test_a_trial_without_a_finite_value_has_none():
    assert not list(Path(trained(1, 1)._folder, "1").glob("*.best"))


def test_it_is_copied_only_when_it_improves():
    Counted.copies = 0
    trained(0, 6)
    assert Counted.copies == 3


def test_what_a_crash_has_left_beyond_the_checkpoint_counts_for_nothing():
    models = trained(0, 3)
    models.save(0, BestModel(5, 0.0, None), lambda path: path.write_text("of a report that was never recorded"))
    assert model(trained(0, 4, 6, recorded=3), 0, 5) == "model of 5"


def test_a_damaged_one_is_none_and_that_of_another_trial_too():
    models = trained(0, 2)
    path = models.find(0, 2)
    trained(1, 1)
    (Path("trials/1") / path.name).write_bytes(path.read_bytes())
    assert models.find(1, 2) is None
    path.write_text("model of 3")
    assert models.find(0, 2) is None


def test_they_go_with_the_trial():
    models = trained(0, 2)
    models.discard(0)
    assert not list(Path("trials/0").glob("*.best"))
    assert list(Path("trials/0").glob("*.ckpt"))
    models.discard(7)
