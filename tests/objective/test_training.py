"""The training objective on digits: equal numbers in every order of work, and what it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from specs import trial_of
from torch import nn

from hpo_pipeline import trust
from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective.training import Training

MODELS = {
    "softmax": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
    "mlp": {
        "_target_": "hpo_pipeline.model.mlp.MLP",
        "n_units_1": 16,
        "n_units_2": 8,
        "dropout_1": 0.3,
        "dropout_2": 0.1,
    },
    "cnn": {"_target_": "hpo_pipeline.model.cnn.CNN", "channels": 4, "n_units": 8, "dropout": 0.3},
}
OPTIMIZERS = {
    "sgd": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
    "adam": {"_target_": "torch.optim.Adam", "lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 1e-4},
    "adamw": {"_target_": "torch.optim.AdamW", "lr": 1e-3, "weight_decay": 0.01},
    "rmsprop": {"_target_": "torch.optim.RMSprop", "lr": 1e-3},  # torch has no fused one
}


def config(model: str = "softmax", optimizer: str = "sgd", batch_size: int = 100) -> dict[str, Any]:
    return copy.deepcopy(
        {
            "seed": 0,
            "model": MODELS[model],
            "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": batch_size},
            "optimizer": OPTIMIZERS[optimizer],
        }
    )


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def objective() -> Training:
    return Training(device="cpu")


def run(objective: Training, trial: dict[str, Any], seed: int, epochs: int) -> list[dict[str, float]]:
    state = objective.start(trial_of(trial, seed))
    return [objective.advance(state) for _ in range(epochs)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_trial_that_goes_on_from_its_checkpoint_beside_others_reaches_the_same_numbers(
    objective: Training, tmp_path: Path, model: str, optimizer: str
):
    trial = config(model, optimizer)
    whole = run(Training(device="cpu"), trial, seed=5, epochs=4)

    state, other = (
        objective.start(trial_of(trial, 5)),
        objective.start(trial_of(config("mlp", "adam", batch_size=64), 6)),
    )
    parts = []
    for _ in range(4):
        objective.advance(other)
        parts.append(objective.advance(state))
        objective.save(state, tmp_path / "checkpoint")
        objective.advance(other)
        state = objective.load(trial_of(trial, 5), tmp_path / "checkpoint")
    assert parts == whole
    assert state.resource == 4


def test_training_learns(objective: Training):
    # Chance is an error of 0.9; a linear classifier on these digits is known to err on fewer than one in ten.
    assert run(objective, config(batch_size=32), seed=0, epochs=8)[-1]["validation_error"] < 0.1


def test_another_seed_gives_other_weights(objective: Training):
    assert run(objective, config(), 1, 1) != run(objective, config(), 2, 1)


def test_an_epoch_reports_every_promised_metric_but_the_seconds(objective: Training):
    (metrics,) = run(objective, config(), 0, 1)
    assert {*metrics, "seconds"} == set(objective.reported(config())) == {*objective.metrics, "validation_error"}


def test_trials_with_other_batch_sizes_share_one_tensor(objective: Training):
    first, second = (objective.start(trial_of(config(batch_size=size), 0)) for size in (8, 128))
    assert first.data.x_train.data_ptr() == second.data.x_train.data_ptr()


def test_test_images_are_not_read_while_tuning(objective: Training, monkeypatch: pytest.MonkeyPatch):
    def refuses(self: Digits) -> None:
        raise AssertionError("the test set was read")

    monkeypatch.setattr(Digits, "load_test", refuses)
    run(objective, config(), 0, 1)


def test_a_final_training_sees_training_and_validation_data_and_is_scored_on_the_test_set():
    objective = Training(device="cpu", final=True)
    state = objective.start(trial_of(config(), 0))
    assert len(state.data.y_train) == 1497
    assert objective.advance(state).keys() == {"train_loss"}
    assert objective.test(state).keys() == {"test_error", "test_loss"}


class Net(nn.Module):
    """Somebody's own network, which knows its shapes by itself."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.Linear(width, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_any_module_can_be_trained_and_resumed_with_its_buffers(objective: Training, tmp_path: Path):
    trust.trust((__name__,))
    trial = config() | {"model": {"_target_": f"{__name__}.Net", "width": 7}}
    assert objective.problems(trial) == []
    whole = run(objective, trial, 0, 2)
    state = objective.start(trial_of(trial, 0))
    objective.advance(state)
    objective.save(state, tmp_path / "checkpoint")
    assert objective.advance(objective.load(trial_of(trial, 0), tmp_path / "checkpoint")) == whole[1]


def test_a_changed_learning_rate_goes_before_the_checkpoints(objective: Training, tmp_path: Path):
    state = objective.start(trial_of(config(optimizer="adam"), 0))
    objective.advance(state)
    objective.save(state, tmp_path / "checkpoint")
    changed = config(optimizer="adam")
    changed["optimizer"]["lr"] = 0.5
    (group,) = objective.load(trial_of(changed, 0), tmp_path / "checkpoint").optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.5, 1e-4)


def test_torchs_fused_optimizer_is_used_unless_the_config_says_otherwise(objective: Training):
    assert objective.start(trial_of(config(optimizer="adam"), 0)).optimizer.defaults["fused"] is True
    trial = config(optimizer="adam")
    trial["optimizer"]["fused"] = False
    assert objective.start(trial_of(trial, 0)).optimizer.defaults["fused"] is False


def test_gradients_are_clipped_where_a_trial_says_so(objective: Training):
    assert run(objective, config() | {"objective": {"grad_clip": 1e-6}}, 0, 1) != run(objective, config(), 0, 1)
    clipped = Training(device="cpu", grad_clip=1e-6)
    assert run(clipped, config(), 0, 1) == run(objective, config() | {"objective": {"grad_clip": 1e-6}}, 0, 1)


def test_problems_lists_everything_at_once(objective: Training):
    trial = config("mlp", "sgd", batch_size=0)
    trial["model"]["dropout_1"] = 2
    trial["dataset"]["n_validation"] = 0
    trial["optimizer"]["lr"] = -1.0
    found = objective.problems(trial)
    assert [problem.path for problem in found] == [
        "dataset.batch_size", "dataset.n_validation", "model.dropout_1", "optimizer",
    ]  # fmt: skip
    assert "-1.0" in found[-1].message


def test_a_misspelt_key_is_a_problem_with_the_nearest_name(objective: Training):
    trial = config("mlp")
    trial["model"]["n_unit_1"] = 3
    (problem,) = objective.problems(trial)
    assert problem.path == "model.n_unit_1"
    assert "did you mean 'n_units_1'?" in problem.message


@pytest.mark.parametrize("arguments", [{"device": "gpu7"}, {"grad_clip": 0}, {"grad_clip": "1"}])
def test_wrong_arguments_are_refused(arguments: dict[str, Any]):
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Training(**arguments)


def test_a_config_is_plain_data_that_survives_json(objective: Training):
    assert run(objective, json.loads(json.dumps(config())), 0, 1) == run(objective, config(), 0, 1)


def test_a_checkpoint_of_another_model_is_refused(objective: Training, tmp_path: Path):
    objective.save(objective.start(trial_of(config("softmax"), 0)), tmp_path / "checkpoint")
    with pytest.raises(StudyError, match="does not fit the trial's model"):
        objective.load(trial_of(config("mlp"), 0), tmp_path / "checkpoint")
