"""Options of a training and other ways to its data: the same numbers with and without a break, and what they mean."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from specs import trial_of
from torch.utils.data import TensorDataset

from hpo_pipeline import trust
from hpo_pipeline.dataset import MapSplits, Splits
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective import SupportsFinish
from hpo_pipeline.objective.patience import Patience
from hpo_pipeline.objective.step import Step
from hpo_pipeline.objective.training import Training

CROP = {"_target_": "torchvision.transforms.v2.RandomCrop", "size": 8, "padding": 1}
ERASE = {"_target_": "torchvision.transforms.v2.RandomErasing"}


class Few:
    """90 examples to train on, 40 for validation, in memory."""

    input_shape = (1, 8, 8)
    n_classes = 2

    def available(self):
        pass

    def load(self):
        random = torch.Generator().manual_seed(0)
        x = torch.rand(170, 1, 8, 8, generator=random)
        y = (x[:, 0, :4].mean((1, 2)) > x[:, 0, 4:].mean((1, 2))).long()
        self.test = x[130:], y[130:]
        return Splits(x[:90], y[:90], x[90:130], y[90:130], 2)

    def load_test(self):
        self.load()
        return self.test


class FewOneByOne(Few):
    """The same, map-style."""

    def load(self):
        splits = super().load()
        train, validation = (
            TensorDataset(getattr(splits, f"x_{part}"), getattr(splits, f"y_{part}"))
            for part in ("train", "validation")
        )
        return MapSplits(train, validation, splits.task)

    def load_test(self):
        return TensorDataset(*super().load_test())


@pytest.fixture(autouse=True)
def _mine(monkeypatch):
    monkeypatch.setattr(trust, "_entries", ("test_training_options",))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config(dataset: dict[str, Any] | None = None, kind: str = "Few", **objective: Any) -> dict[str, Any]:
    return copy.deepcopy(
        {
            "seed": 0,
            "metric": "validation_loss",
            "mode": "min",
            "model": {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": 8, "n_units_2": 4, "dropout_1": 0.2},
            "dataset": {"_target_": f"test_training_options.{kind}", "batch_size": 16, **(dataset or {})},
            "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9},
            "objective": {"_target_": "hpo_pipeline.objective.training.Training", **objective},
        }
    )


def numbers(trial: dict[str, Any], epochs: int = 3, seed: int = 4) -> list[dict[str, float]]:
    objective = Training(device="cpu")
    state = objective.start(trial_of(trial, seed))
    return [objective.advance(state) for _ in range(epochs)]


WAYS = {
    "accumulate": config(accumulate=4),
    "bf16": config(precision="bf16"),
    "patience": config(patience=2),
    "transform": config({"transform": [CROP, ERASE]}),
    "transform with workers": config({"transform": [CROP, ERASE], "n_workers": 1}),
    "one by one": config(kind="FewOneByOne"),
    "all at once": config({"transform": [CROP]}, kind="FewOneByOne", accumulate=3, precision="bf16", grad_clip=0.1),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_trial_that_goes_on_from_its_checkpoint_reaches_the_same_numbers(way: str, tmp_path: Path):
    trial = WAYS[way]
    whole = numbers(trial, epochs=4)
    parts, objective = [], Training(device="cpu")
    state = objective.start(trial_of(trial, 4))
    for epoch in range(4):
        parts.append(objective.advance(state))
        objective.save(state, tmp_path / str(epoch))
        torch.manual_seed(99)
        state = Training(device="cpu").load(trial_of(trial, 4), tmp_path / str(epoch))
    assert parts == whole


def test_data_one_by_one_and_with_any_number_of_workers_give_the_numbers_of_data_in_memory():
    plain, changed = numbers(config()), numbers(config({"transform": [ERASE]}))
    assert plain != changed
    assert numbers(config(kind="FewOneByOne")) == plain
    assert numbers(config({"n_workers": 2}, kind="FewOneByOne")) == plain
    assert numbers(config({"transform": [ERASE], "n_workers": 2})) == changed
    assert numbers(config({"transform": {"erase": ERASE}}, kind="FewOneByOne")) == changed


def test_changes_to_examples_are_each_trials_own_and_leave_its_dropout_alone():
    never = {**ERASE, "p": 0.0}
    assert numbers(config({"transform": [never]})) == numbers(config())
    objective = Training(device="cpu")
    trial = config({"transform": [ERASE]})
    trial["model"] = {"_target_": "hpo_pipeline.model.softmax.Softmax"}
    some, other = (objective.start(trial_of(trial, seed)) for seed in (1, 2))
    other.model.load_state_dict(some.model.state_dict())
    assert objective.advance(some) != objective.advance(other)


def test_a_final_training_has_the_validation_examples_too_and_scores_the_test_set():
    for kind in ("Few", "FewOneByOne"):
        objective = Training(device="cpu", final=True, patience=1)
        state = objective.start(trial_of(config(kind=kind)))
        assert set(objective.advance(state)) == {"train_loss"}
        assert objective.finished(state) == ""
        assert objective.test(state).keys() == {"test_error", "test_loss"}
    finals = [Training(device="cpu", final=True) for _ in range(2)]
    states = [t.start(trial_of(config(kind=kind))) for t, kind in zip(finals, ("Few", "FewOneByOne"), strict=True)]
    assert finals[0].advance(states[0]) == finals[1].advance(states[1])
    assert finals[0].test(states[0]) == finals[1].test(states[1])


# -- steps ---------------------------------------------------------------------------------------------------------


def stepped(batches: list[list[float]], accumulate: int = 1, grad_clip: float | None = None) -> list[float]:
    """Where one weight is after each batch, by gradient descent with rate 1 on the mean of w x."""
    weight = torch.nn.Parameter(torch.zeros(()))
    step = Step(torch.optim.SGD([weight], lr=1.0), grad_clip, accumulate)
    places = []
    for batch in batches:
        step.take((weight * torch.tensor(batch)).mean(), len(batch))
        places.append(weight.item())
    step.finish()
    return [*places, weight.item()]


def test_every_so_many_batches_make_one_step_by_the_mean_over_their_examples():
    assert stepped([[1.0, 3.0], [2.0]]) == [-2.0, -4.0, -4.0]
    # the mean of 1, 3, 2 is 2; of 7 and 9, which are left, 8
    assert stepped([[1.0, 3.0], [2.0], [7.0, 9.0]], accumulate=2) == [0.0, -2.0, -2.0, -10.0]
    # of 6, 0 and 0, 0, 0 it is 1.2
    assert stepped([[6.0, 0.0], [0.0, 0.0, 0.0]], accumulate=2)[-1] == pytest.approx(-1.2)


def test_it_is_the_whole_steps_gradient_that_is_clipped():
    # 3 and -3 cancel out, 5 and 1 have the mean 3
    assert stepped([[3.0], [-3.0], [5.0], [1.0]], accumulate=2, grad_clip=2.0)[-1] == pytest.approx(-2.0, abs=1e-5)


def test_accumulated_batches_are_as_one_large_one():
    few, many = config({"batch_size": 8}, accumulate=4), config({"batch_size": 32})
    for trial in (few, many):
        trial["model"]["dropout_1"] = 0.0
    for some, other in zip(numbers(few), numbers(many), strict=True):
        assert some["validation_loss"] == pytest.approx(other["validation_loss"], abs=1e-5)


# -- precision and compilation ---------------------------------------------------------------------------------------


def test_in_bf16_layers_compute_in_16_bits_and_weights_and_scores_stay_in_32():
    objective, seen = Training(device="cpu", precision="bf16"), []
    state = objective.start(trial_of(config()))
    layer = next(module for module in state.model.modules() if isinstance(module, torch.nn.Linear))
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append((output.dtype, torch.is_grad_enabled())))
    metrics = objective.advance(state)
    assert set(seen) == {(torch.bfloat16, True), (torch.bfloat16, False)}  # in training and in validation
    assert {weight.dtype for weight in state.model.parameters()} == {torch.float32}
    plain = numbers(config(), 1, seed=0)[0]
    assert metrics != plain
    assert metrics["validation_loss"] == pytest.approx(plain["validation_loss"], abs=0.02)


def test_a_compiled_training_gives_the_numbers_of_a_plain_one(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def compiled(model):
        calls.append(model)
        return partial(model.__call__)

    monkeypatch.setattr(torch, "compile", compiled)
    assert numbers(config(compile=True)) == numbers(config())
    assert len(calls) == 1


# -- patience --------------------------------------------------------------------------------------------------------


def test_patience_counts_epochs_since_the_best_and_nothing_that_is_not_finite_is_better():
    patience = Patience(2, "score", "max")
    over = []
    for value in (math.nan, 1.0, math.inf, 2.0, 2.0, -math.inf):
        patience.watch({"score": value})
        over.append(patience.over)
    assert over == ["", "", "", "", "", "no better score for 2 epochs"]
    assert patience.best == 2.0


def test_a_trial_is_over_after_its_patience_also_where_a_checkpoint_came_between(tmp_path: Path):
    trial = config(patience=2)
    trial["optimizer"]["lr"] = 0.0  # nothing gets better
    objective = Training(device="cpu")
    assert isinstance(objective, SupportsFinish)
    state = objective.start(trial_of(trial))
    over = []
    for epoch in range(3):
        objective.advance(state)
        over.append(objective.finished(state))
        objective.save(state, tmp_path / str(epoch))
        state = objective.load(trial_of(trial), tmp_path / str(epoch))
    assert over == ["", "", "no better validation_loss for 2 epochs"]
    assert objective.finished(objective.start(trial_of(config()))) == ""


def test_a_checkpoint_from_before_there_was_patience_is_gone_on_from(tmp_path: Path):
    objective = Training(device="cpu")
    state = objective.start(trial_of(config()))
    objective.advance(state)
    objective.save(state, tmp_path / "new")
    saved = torch.load(tmp_path / "new", weights_only=True)
    old = {key: value for key, value in saved.items() if key not in ("patience", "scaler")}
    torch.save(old, tmp_path / "old")
    state = objective.load(trial_of(config(patience=1)), tmp_path / "old")
    objective.advance(state)
    assert objective.finished(state) == ""


# -- what is refused, and what is trained alone ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trial", "what"),
    [
        (config(accumulate=0), "objective.accumulate: must be an integer of at least 1, got 0"),
        (config(patience=0), "objective.patience: must be an integer of at least 1, got 0"),
        (config(compile="yes"), "objective.compile: must be true or false, got 'yes'"),
        (config(precision="bf61"), "objective.precision: must be one of float32, bf16, fp16, got 'bf61'; did you mean"),
        (config(precision="fp16"), "objective.precision: fp16 needs a GPU"),
        (config({"n_workers": -1}), "dataset.n_workers: must be an integer from 0 to 64, got -1"),
        (config({"transform": [{**CROP, "size": 6}]}), "dataset.transform: makes (1, 8, 8) (1, 6, 6)"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(trial: dict[str, Any], what: str):
    [problem] = Training(device="cpu").problems(trial)
    assert str(problem).startswith(what)
    keys = {key: value for key, value in trial["objective"].items() if key != "_target_"}
    if keys:
        with pytest.raises(ConfigError) as error:
            Training(device="cpu", **keys)
        assert what.removeprefix("objective.").startswith(str(error.value.problems[0])[:20])


def test_compilation_on_a_processor_needs_a_compiler(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    [problem] = Training(device="cpu").problems(config(compile=True))
    assert str(problem).startswith("objective.compile: torch.compile needs a C++ compiler")


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (config(accumulate=2), "objective.accumulate is 2"),
        (config(precision="bf16"), "objective.precision is bf16"),
        (config({"transform": [CROP]}), "dataset.transform changes their examples"),
        (config(kind="FewOneByOne"), "their examples are read one at a time"),
        (config(patience=3), ""),
        (config(), ""),
    ],
)
def test_what_a_pack_can_not_do_is_trained_alone_and_it_is_said_why(trial: dict[str, Any], why: str):
    objective = Training(device="cpu")
    state = objective.start(trial_of(trial))
    assert (objective.why_alone(state), objective.pack_key(state) is None) == (why, bool(why))


def test_a_transform_that_changes_the_size_of_an_example_ends_the_trial_with_a_message():
    trial = config({"transform": [{**CROP, "size": 6}]})
    with pytest.raises(ValueError, match=r"dataset\.transform makes examples \(1, 8, 8\) \(1, 6, 6\)"):
        numbers(trial, 1)
