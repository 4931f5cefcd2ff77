"""What a LightningModule's trial leaves: the model that is kept, and nothing in memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

pytest.importorskip("lightning", reason="the extra `lightning` is not installed")

import torch
from lightning_modules import Numbers
from test_lightning import NET, config, curve, spec

from hpo_pipeline import trust
from hpo_pipeline.errors import StudyError
from hpo_pipeline.objective.lightning import Lightning


@pytest.fixture(autouse=True)
def _trusted():
    trust.trust(("lightning_modules",))


def test_a_model_is_kept_as_it_was_whatever_its_data_come_from():
    objective = Lightning(device="cpu")
    state = objective.start(spec(config()))
    first, taken = curve(objective, state, 1)[0], objective.snapshot(state)
    objective.advance(state)  # training goes on
    later = objective.snapshot(state)
    objective.close(state)
    losses = []
    for name, snapshot in (("first", taken), ("later", later)):
        objective.save_model(snapshot, Path(name))
        assert objective.input_shape(Path(name)) is None  # a LightningDataModule doesn't tell
        module = objective.load_model(config(), Path(name))
        x, y = Numbers().data.tensors
        with torch.no_grad():
            losses.append(float(torch.nn.functional.mse_loss(module.layers(x), y)))
    assert losses[0] == pytest.approx(first["loss"])
    assert losses[1] != losses[0]
    with pytest.raises(StudyError, match="does not fit the model of its config"):
        objective.load_model(config({**NET, "width": 3}), Path("first"))


@pytest.mark.parametrize("name", ["Late", "Pretrained"])
def test_a_model_is_kept_of_modules_that_lightning_loads_in_ways_of_its_own(name):
    objective, made = Lightning(device="cpu"), config({"_target_": f"lightning_modules.{name}", "lr": 0.05})
    state = objective.start(spec(made))
    objective.advance(state)
    objective.save_model(objective.snapshot(state), Path("model"))
    expected = {key: value.clone() for key, value in state.trial._fit.module.state_dict().items() if "layers" in key}
    objective.close(state)
    loaded = objective.load_model(made, Path("model")).state_dict()
    assert expected
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())


def test_weights_that_the_model_has_no_place_for_are_not_dropped_in_silence():
    objective, made = Lightning(device="cpu"), config({"_target_": "lightning_modules.Unmade", "lr": 0.05})
    state = objective.start(spec(made))
    objective.advance(state)
    objective.save_model(objective.snapshot(state), Path("model"))
    objective.close(state)
    with pytest.raises(StudyError, match=r"only one of them has layers\.0\.bias"):
        objective.load_model(made, Path("model"))


def test_a_trial_that_is_over_leaves_nothing_in_memory():
    objective = Lightning(device="cpu")
    state = objective.start(spec(config()))
    objective.advance(state)
    module = weakref.ref(state.trial._fit.module)
    objective.close(state)
    del state
    gc.collect()
    assert module() is None
