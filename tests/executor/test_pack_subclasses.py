"""A subclass of the training objective trains in a pack what it trains alone."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from hpo_pipeline import trust
from hpo_pipeline.executor.fused import FusedExecutor
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.objective.training import Training
from hpo_pipeline.trial import Job, Notice, Report, Result, Trial


class Smoothed(Training):
    """Another loss: cross-entropy with smoothed labels."""

    def advance(self, state):
        state.begin_epoch()
        loss = torch.nn.functional.cross_entropy(
            state.model(state.data.x_train), state.data.y_train, label_smoothing=0.5
        )
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        state.resource += 1
        return {"validation_loss": loss.item()}


class Counted(Training):
    """Both forms with a metric more."""

    def advance(self, state):
        return {**super().advance(state), "epoch": float(state.resource)}

    def advance_pack(self, states):
        metrics = super().advance_pack(states)
        return [{**one, "epoch": float(state.resource)} for one, state in zip(metrics, states, strict=True)]


def merge(_trial_id, sample):
    return {
        "seed": 0,
        "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 32},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": sample["lr"]},
    }


def run(make, folder, kind):
    """Each trial's reported metrics, and the notices."""
    objective = {"_target_": f"{__name__}.{kind}", "device": "cpu"}
    executor = make(StudySetup(objective, ("validation_loss",), folder, merge, trial_seed=lambda trial_id: trial_id))
    metrics, notices, left = {}, [], 2
    jobs = [Job(Trial(i, {"lr": 0.1 / (i + 1)}), 2) for i in range(2)]
    while left:
        while jobs and executor.capacity > left - len(jobs):
            executor.submit(jobs.pop(0), 0)
        for event in executor.wait():
            if isinstance(event, Report):
                values = {name: value for name, value in event.metrics.items() if name != "seconds"}
                metrics.setdefault(event.trial_id, []).append(values)
            elif isinstance(event, Notice):
                notices.append(event.text)
            elif isinstance(event, Result):
                assert not event.error
                left -= 1
    executor.close()
    return metrics, notices


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "Smoothed",
            [
                "trials go one by one: Smoothed has an advance of its own, and no advance_pack that goes with it",
            ],
        ),
        ("Counted", []),
    ],
)
def test_an_objective_with_another_loss_trains_by_it_in_a_pack(kind, said, tmp_path, monkeypatch):
    trust.trust((__name__,))
    monkeypatch.setattr(Training, "pack_gain", lambda *_: 2.0)
    alone, _ = run(SerialExecutor, tmp_path / "alone", kind)
    together, notices = run(lambda setup: FusedExecutor(setup, n_workers=1), tmp_path / "together", kind)
    for trial_id, curve in alone.items():
        assert together[trial_id] == [pytest.approx(metrics, rel=1e-3) for metrics in curve]
    assert notices == said
