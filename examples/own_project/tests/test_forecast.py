"""The model, dataset, loss and metric do what they say, and are trained together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from my_lab.dataset import Windows
from my_lab.loss import Pinball
from my_lab.metric import Within
from my_lab.model import ResidualMLP

from hpo_pipeline import train, tune

PROJECT = {"config_dir": Path(__file__).parents[1] / "conf", "trust": ["my_lab"]}


def test_the_dataset_and_the_model_fit():
    data = Windows(length=12, horizon=3, n=200).load()
    assert data.x_train.shape == (120 - 12 - 3 + 1, 12)
    assert torch.equal(data.x_train[3 + 8, 0], data.x_train[3, 11 - 3])  # one series, seen through moving windows
    assert torch.equal(data.y_train[0, 0], data.x_train[3, 11])  # the target: three steps after the last value
    assert ResidualMLP(data.input_shape, data.task.n_outputs)(data.x_validation).shape == data.y_validation.shape


def test_the_pinball_loss_of_two_errors():
    outputs, targets = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [-1.0]])
    assert Pinball(0.9)(outputs, targets).item() == pytest.approx((0.9 + 0.1) / 2)


def test_the_metric_adds_up_over_batches():
    metric = Within(tolerance=0.5)
    metric.update(torch.tensor([0.0, 0.0]), torch.tensor([0.4, 0.6]))
    metric.update(torch.tensor([0.0]), torch.tensor([-0.5]))
    assert metric.compute().item() == pytest.approx(2 / 3)


def test_a_study_and_its_winner_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("executor=serial", "finalists.n=0", "max_resource=2", "n_trials=2", "tracker=none", "dataset.n=400")
    study = tune("experiment=forecast", *small, "name=a", **PROJECT)
    winner = Path("conf/experiment/winner.yaml")
    winner.parent.mkdir(parents=True)
    winner.write_text(Path("runs/a/best.yaml").read_text())
    again = train("experiment=winner", "tracker=none", "name=b", "hydra.searchpath=[conf]", **PROJECT)
    assert again.best.value == study.best.value
