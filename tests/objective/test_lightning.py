"""LightningModules: an epoch at a time, the same numbers with and without a break."""

from __future__ import annotations

import inspect
import json
import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning", reason="the extra `lightning` is not installed")

import commands as studies
import torch
import yaml
from commands import CONF, run
from lightning.pytorch import Trainer

from hpo_pipeline import load_model, trust
from hpo_pipeline.dataset import Splits, checks
from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.model.deep_mlp import DeepMLP
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.lightning import Lightning
from hpo_pipeline.objective.lightning_checks import OPTIONS
from hpo_pipeline.objective.training import Training
from hpo_pipeline.testing import check_objective

NET = {"_target_": "lightning_modules.Net", "lr": 0.05}
DATA = {"_target_": "lightning_modules.Numbers"}


@pytest.fixture(autouse=True)
def _trusted():
    trust.trust(("lightning_modules",))


def config(model: Any = NET, dataset: Any = DATA, **keys: Any) -> dict[str, Any]:
    return {"model": model, "dataset": dataset, "max_resource": 4, **keys}


def spec(made: Any, seed: int = 5, folder: str = "trials/3") -> TrialSpec:
    return TrialSpec(made, seed, Path(folder))


def curve(objective: Lightning, state: Any, n: int) -> list[dict[str, float]]:
    return [objective.advance(state) for _ in range(n)]


@pytest.mark.parametrize("schedule", ["plateau", "step", "onecycle"])
def test_a_module_gives_the_same_numbers_with_and_without_a_break(schedule, recwarn, capfd):
    made = config({**NET, "schedule": schedule})
    objective = Lightning(device="cpu")
    whole, other = objective.start(spec(made)), objective.start(spec(made, 6, "trials/4"))
    expected = []
    for _ in range(6):  # beyond max_resource, and beside another trial
        expected += curve(objective, whole, 1)
        objective.advance(other)
    assert set(expected[0]) == {"train_loss", "loss", "lr"}
    for n in (1, 3):
        first = objective.start(spec(made))
        assert curve(objective, first, n) == expected[:n]
        objective.save(first, Path(f"saved{n}"))
        objective.close(first)
        again = objective.load(spec(made), Path(f"saved{n}"))
        assert objective.behind(again) == 0
        assert curve(objective, again, 6 - n) == expected[n:]
        objective.close(again)
    objective.close(whole)
    objective.close(other)
    assert [path for path in Path().rglob("*") if "lightning_logs" in path.name or path.suffix == ".ckpt"] == []
    assert capfd.readouterr() == ("", "")


def test_the_order_of_the_data_and_the_weights_follow_from_the_trials_seed():
    objective = Lightning(device="cpu")
    losses = set()
    for seed in (5, 5, 6):
        state = objective.start(spec(config(), seed))
        losses.add(objective.advance(state)["loss"])
        objective.close(state)
    assert len(losses) == 2


def test_workers_of_a_loader_change_no_number():
    objective = Lightning(device="cpu")
    curves = []
    for n_workers in (0, 1):
        state = objective.start(spec(config(dataset={**DATA, "n_workers": n_workers})))
        curves.append(curve(objective, state, 2))
        objective.close(state)
    assert curves[0] == curves[1]


def test_one_epoch_is_what_plain_torch_does():
    objective = Lightning(device="cpu")
    made = config({**NET, "dropout": 0.0}, {**DATA, "batch_size": 64})
    state = objective.start(spec(made))
    curve(objective, state, 2)
    objective.save(state, Path("saved"))
    objective.close(state)
    (path,) = Path("saved/saved").iterdir()
    weights = torch.load(path, weights_only=True)["state_dict"]

    import lightning_modules

    torch.manual_seed(5)
    net, data = lightning_modules.Net(0.05, dropout=0.0), lightning_modules.Numbers().data
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    for _ in range(2):  # one batch each
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net.layers(data.tensors[0]), data.tensors[1]).backward()
        optimizer.step()
    for name, weight in net.state_dict().items():
        torch.testing.assert_close(weights[name], weight)


def test_a_module_that_stops_early_is_through():
    objective = Lightning(device="cpu")
    state = objective.start(spec(config({"_target_": "lightning_modules.Stops", "lr": 0.05}, None)))
    objective.advance(state)
    assert objective.finished(state) == ""
    objective.advance(state)
    assert objective.finished(state) == "the module has stopped its fit"
    objective.close(state)


def test_a_module_may_use_its_logger_and_callbacks_that_need_one():
    objective = Lightning(device="cpu")
    state = objective.start(spec(config({"_target_": "lightning_modules.Chatty", "lr": 0.05}, None)))
    assert set(objective.advance(state)) == {"train_loss", "loss", "lr", "lr-Adam"}
    objective.close(state)
    assert not any(path.is_file() for path in Path().rglob("*"))


MLP = {"_target_": "hpo_pipeline.objective.lightning_mlp.LightningMLP", "n_units_1": 8, "dropout": 0.0, "lr": 0.1}
DIGITS = {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 256}
FLIPS = [{"_target_": "torchvision.transforms.v2.RandomHorizontalFlip"}]


@pytest.mark.parametrize("keys", [{}, {"transform": FLIPS}])
def test_a_module_is_trained_on_a_dataset_of_this_project_with_and_without_a_break(keys):
    made = config({**MLP, "dropout": 0.3}, {**DIGITS, **keys})
    objective = Lightning(device="cpu")
    assert objective.problems(made) == []
    objective.available(made)
    whole = objective.start(spec(made))
    expected = curve(objective, whole, 3)
    objective.save(whole, Path("saved"))
    first = objective.start(spec(made))
    assert curve(objective, first, 1) == expected[:1]
    objective.save(first, Path("first"))
    again = objective.load(spec(made), Path("first"))
    assert curve(objective, again, 2) == expected[1:]
    for state in (whole, first, again):
        objective.close(state)

    weights = torch.load(next(Path("saved/saved").iterdir()), weights_only=True)["state_dict"]
    splits, network = Digits().load(), DeepMLP((1, 8, 8), 10, 1, 8)
    network.load_state_dict({name.removeprefix("network."): weight for name, weight in weights.items()}, strict=True)
    right = (network.eval()(splits.x_validation).argmax(1) == splits.y_validation).float().mean()
    assert expected[-1]["val_acc"] == pytest.approx(float(right))


def test_a_transform_changes_what_is_trained_on_and_nothing_else():
    objective, curves = Lightning(device="cpu"), []
    for node in (DIGITS, {**DIGITS, "transform": FLIPS}):
        state = objective.start(spec(config({**MLP, "lr": 0.0}, node)))
        curves.append(objective.advance(state))
        objective.close(state)
    plain, flipped = curves
    assert plain["train_loss"] != flipped["train_loss"]
    assert plain["val_loss"] == flipped["val_loss"]


def test_the_data_of_a_study_are_known_by_the_same_digests_as_elsewhere():
    assert Lightning(device="cpu").data_splits(config(MLP, DIGITS)) == Training().data_splits({"dataset": DIGITS})
    assert Lightning(device="cpu").data_splits(config()) == []


def test_what_a_module_raises_fails_its_trial():
    objective = Lightning(device="cpu")
    state = objective.start(spec(config({"_target_": "lightning_modules.Fails", "lr": 0.05}, None)))
    with pytest.raises(ValueError, match="no such luck"):
        objective.advance(state)
    objective.close(state)


def test_every_option_of_the_trainer_is_a_key_of_the_yaml():
    node = yaml.safe_load((CONF / "objective/lightning.yaml").read_text())["objective"]
    assert set(node["trainer"]) == set(OPTIONS)
    assert set(OPTIONS) < set(inspect.signature(Trainer).parameters)
    assert Lightning(node["trainer"], device="cpu").problems(config()) == []


def test_the_trainers_options_are_heeded():
    objective = Lightning({"limit_train_batches": 1, "gradient_clip_val": 1e-9}, device="cpu")
    state = objective.start(spec(config({**NET, "dropout": 0.0})))
    before = objective.advance(state)
    objective.close(state)
    own = objective.start(spec(config({**NET, "dropout": 0.0}, objective={"trainer": {"limit_train_batches": 0.5}})))
    assert objective.advance(own) != before
    objective.close(own)
    assert before["train_loss"] == pytest.approx(before["loss"], rel=0.5)


def test_a_checkpoint_that_runs_code_is_refused():
    objective = Lightning(device="cpu")
    state = objective.start(spec(config()))
    objective.advance(state)
    objective.save(state, Path("saved"))
    objective.close(state)
    (path,) = Path("saved/saved").iterdir()
    torch.save({**torch.load(path, weights_only=True), "evil": Path}, path)
    again = objective.load(spec(config()), Path("saved"))
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        objective.advance(again)
    objective.close(again)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model": None}, "model: name your LightningModule"),
        ({"model": {**NET, "widht": 4}}, "model.widht: lightning_modules.Net takes no 'widht'; did you mean 'width'?"),
        ({"model": {"_target_": "lightning_modules.Net"}}, "model.lr: missing; lightning_modules.Net needs it"),
        ({"model": {**NET, "width": 0}}, "refuses these values (width must be positive, not 0)"),
        ({"model": {"_target_": "torch.nn.Linear"}}, "model._target_: 'torch.nn.Linear' is no lightning_module"),
        ({"model": {"_target_": "os.system"}}, "model._target_: 'os.system' is not on the trust list"),
        ({"model": {"_target_": "lightning_modules.NoSteps"}}, "has no training_step, which Lightning needs"),
        ({"dataset": None}, "Net has no train_dataloader, which Lightning needs; or choose a LightningDataModule"),
        ({"dataset": {**DATA, "batch": 4}}, "dataset.batch: lightning_modules.Numbers takes no 'batch'"),
        ({"dataset": {"_target_": "lightning_modules.Net", "lr": 1}}, "it is no lightning.pytorch.LightningDataModule"),
        ({"optimizer": {"_target_": "torch.optim.SGD"}}, "optimizer: a LightningModule has its own"),
        ({"objective": {"trainer": {"max_epochs": 1}}}, "objective.trainer.max_epochs: is the study's to set"),
        ({"params": {"lr": 1}}, "params: this objective has none, got lr"),
        ({"model": MLP, "dataset": {**DIGITS, "batch_size": 0}}, "dataset.batch_size: must be an integer of at least"),
        ({"model": MLP, "dataset": {**DIGITS, "n_validation": 0}}, "dataset.n_validation: must be"),
        ({"model": {**MLP, "n_layers": 4}, "dataset": DIGITS}, "(n_layers must be 1, 2 or 3, got 4)"),
        ({"model": MLP}, "__init__() missing 2 required positional arguments"),
    ],
)
def test_a_config_that_can_not_be_trained_is_refused_beforehand(changes, line):
    found = list(map(str, Lightning(device="cpu").problems({**config(), **changes})))
    assert any(line in one for one in found), found


@pytest.mark.parametrize(
    ("trainer", "line"),
    [
        ({"gradient_clip": 1.0}, "trainer.gradient_clip: is no option of Lightning's Trainer; .*'gradient_clip_val'"),
        ({"max_epochs": 5}, "trainer.max_epochs: is the study's to set"),
        ({"logger": True}, "trainer.logger: is the study's to set"),
        ({"precision": {"_target_": "os.system"}}, "trainer.precision: must be a plain value"),
        ("fast", "trainer: must be a mapping of the Trainer's options, got 'fast'"),
    ],
)
def test_options_that_the_trainer_does_not_get_are_refused(trainer, line):
    with pytest.raises(ConfigError, match=line):
        Lightning(trainer)


def test_data_is_prepared_once_before_the_study():
    objective = Lightning(device="cpu")
    objective.available(config())
    with pytest.raises(StudyError, match=r"dataset: lightning_modules.NoData.prepare_data fails \(OSError: no network"):
        objective.available(config(dataset={"_target_": "lightning_modules.NoData"}))


def test_a_right_config_has_no_problem():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Lightning(device="cpu").problems(config()) == []


def test_optuna_mlp_runs_and_the_command_that_it_prints_repeats_its_best_trial():
    quiet = ("dataset=digits", "executor=serial", "tracker=none")
    ended = run("experiment=optuna_mlp", *quiet, "name=s", "n_trials=2", "max_resource=2")
    assert ended.code == 0, ended.err
    [command] = [line for line in ended.out.splitlines() if line.startswith("  python train.py ")]
    again = run(*shlex.split(command)[2:], "tracker=none", "name=again", program="train")
    assert again.code == 0, again.err
    best = yaml.safe_load(Path("runs/s/best.yaml").read_text())
    repeated = studies.curve(studies.journal("again"))
    assert len(repeated) == best["resource"]
    for folder in ("runs/s", "runs/again"):
        measured = json.loads(Path(folder, "best/metrics.json").read_text())["metrics"]
        assert 1 - error_of(folder) == pytest.approx(measured["val_acc"])
    assert studies.curve(studies.journal("s"), best["trial"])[: best["resource"]] == repeated


def error_of(folder: str) -> float:
    """Of the model that a study or a training has kept, on the validation part of digits."""
    model, digits = load_model(folder), checks.load(Digits())
    assert isinstance(digits, Splits)
    assert not model.training
    with torch.no_grad():
        return float((model(digits.x_validation).argmax(1) != digits.y_validation).float().mean())


def test_a_module_holds_to_the_contract_of_objectives():
    check_objective(lambda: Lightning(device="cpu"), config())
