"""A folder `best` from a stranger: nothing of it is executed, and nothing outside it is read."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

import hpo_pipeline
from hpo_pipeline.errors import StudyError

CONFIG = """
objective: {_target_: hpo_pipeline.objective.training.Training}
model: {_target_: hpo_pipeline.model.softmax.Softmax}
"""


class _Evil:
    def __reduce__(self):
        return (Path("executed").touch, ())


@pytest.fixture
def best() -> Path:
    place = Path("runs/x/best")
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(CONFIG)
    weights = {"1.weight": torch.zeros(3, 4), "1.bias": torch.zeros(3)}
    content = {"format": 1, "weights": weights, "input_shape": [4], "task": "classification", "n_outputs": 3}
    torch.save(content, place / "model.pt")
    return place


def refused() -> str:
    with pytest.raises(StudyError) as raised:
        hpo_pipeline.load_model("runs/x")
    assert not Path("executed").exists()
    return str(raised.value)


def test_the_harmless_one_is_loaded(best):
    model = hpo_pipeline.load_model("runs/x")
    assert model(torch.zeros(2, 4)).shape == (2, 3)


def test_code_in_the_weights_is_not_executed(best):
    for content in (_Evil(), {"format": 1, "weights": _Evil(), "input_shape": [4], "n_outputs": 3}):
        torch.save(content, best / "model.pt")
        assert "model.pt: can't be read" in refused()
    (best / "model.pt").write_bytes(pickle.dumps(_Evil()))
    assert "model.pt: can't be read" in refused()


@pytest.mark.parametrize(
    "node",
    [
        "{_target_: os.system, command: touch executed}",
        "{_target_: subprocess.Popen, args: [touch, executed]}",
        "{_target_: torch.load, f: model.pt}",
        "{_target_: torch.hub.load, repo_or_dir: x, model: y}",
        "{_target_: hpo_pipeline.load_model, folder: runs/x}",
        "{_target_: torch.nn.Sequential, _args_: [{_target_: os.system, command: touch executed}]}",
    ],
)
@pytest.mark.parametrize("place", ["model", "objective"])
def test_a_config_names_no_code_beyond_the_trust_list(best, node, place):
    other = next(line for line in CONFIG.strip().splitlines() if not line.startswith(place))
    (best / "config.yaml").write_text(f"{other}\n{place}: {node}\n")
    assert "config.yaml: " in refused()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch executed']",
        "objective: !!python/name:os.system",
        "a: &a [1]\nb: *a",
        "[" * 5000,
        "",
        "objective: 5",
    ],
)
def test_a_config_is_plain_data_without_aliases(best, text):
    (best / "config.yaml").write_text(text)
    assert "config.yaml: " in refused()


@pytest.mark.parametrize("name", ["model.pt", "config.yaml", ""])
def test_no_link_is_followed(best, name):
    path = best / name
    path.rename("elsewhere")
    path.symlink_to(Path("elsewhere").absolute())
    assert refused() == f"{path}: is a link, which isn't followed"


def test_an_objective_that_keeps_no_models_is_refused(best):
    (best / "config.yaml").write_text(CONFIG.replace("training.Training", "function.Function"))
    assert refused() == f"{best / 'config.yaml'}: Function is no objective that keeps models"


@pytest.mark.parametrize(
    "changed",
    [
        {"input_shape": [10**13]},
        {"input_shape": [2**62, 2**62]},
        {"input_shape": [-4]},
        {"input_shape": [float("inf")]},
        {"n_outputs": 10**13},
        {"input_shape": [10**13], "weights": {"1.weight": torch.zeros(1).expand(3, 10**13), "1.bias": torch.zeros(3)}},
    ],
)
def test_numbers_in_the_file_take_no_more_memory_than_the_file(best, changed):
    content = torch.load(best / "model.pt", weights_only=True)
    torch.save({**content, **changed}, best / "model.pt")
    refused()


def test_nor_do_numbers_in_the_config(best):
    mlp = "hpo_pipeline.model.mlp.MLP, n_units_1: 10000000000000, n_units_2: 2"
    (best / "config.yaml").write_text(CONFIG.replace("hpo_pipeline.model.softmax.Softmax", mlp))
    assert "another shape" in refused()


def test_a_file_that_would_be_larger_in_memory_is_refused(best):
    with zipfile.ZipFile(best / "model.pt") as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(best / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert "compressed" in refused()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("name", ["model.pt", "config.yaml"])
def test_a_pipe_is_not_waited_for(best, name):
    (best / name).unlink()
    os.mkfifo(best / name)
    assert "is no file" in refused()


def test_a_config_without_a_model_is_said_to_have_none(best):
    (best / "config.yaml").write_text(CONFIG.partition("model:")[0])
    assert "must be a mapping with a _target_" in refused()
