"""What is said of how a study was made: parameters, source, data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies import CONFIG, MemoryStore, Study, carry

from hpo_pipeline.tracker.mlflow.inputs import data_splits
from hpo_pipeline.tracker.mlflow.params import study_params
from hpo_pipeline.tracker.mlflow.source import program_of


def test_only_settings_that_were_used_are_parameters():
    config = {
        **CONFIG,
        "name": "s",
        "folder": "runs/s",
        "resume": False,
        "target": None,
        "choices": {"model": "mlp", "scheduler": "asha_eager", "lr_schedule": "none"},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.1, "eps": 1e-8},
        "lr_schedule": None,
        "finalists": {"n": 0, "seeds": 3},
        "tracker": {"_target_": "hpo_pipeline.tracker.mlflow.MLflowTracker", "uri": "postgresql://u:secret@h/d"},
    }
    assert study_params(config, "error", "min", 7) == {
        "model": "mlp",
        "optimizer": "Adam",
        "searcher": "RandomSearch",
        "scheduler": "asha_eager",
        "seed": "7",
        "metric": "error",
        "mode": "min",
        "space.optimizer.lr": "float(low=1e-06, high=1.0, log=true)",
        "space.model.n_units": "int(low=4, high=1024)",
        "n_trials": "16",
        "scheduler.eta": "2",
        "optimizer.eps": "1e-08",
    }


def test_what_an_option_that_is_searched_brings_along_is_no_setting():
    choices = {"sgd": {"lr": {"type": "float", "low": 0.1, "high": 1.0}}, "adam": {}}
    config = {"optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.0}, "threads": 1}
    config["search_space"] = {"optimizer": {"type": "choice", "choices": choices}}
    assert study_params(config, "error", "min", 0).keys() == {
        *("seed", "metric", "mode", "threads", "space.optimizer", "space.optimizer.lr")
    }


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("python lab/tune.py name=s resume=true", "lab/tune.py"),
        ("hpo-tune name=s resume=true", "hpo-tune"),
        ("python 'my lab/tune.py' name=s", "my lab/tune.py"),
        ("", "hpo-tune"),
    ],
)
def test_the_source_is_the_program_that_was_started(command: str, program: str):
    assert program_of(command) == program


def test_the_data_are_inputs_of_the_study(study: Study, memory: MemoryStore):
    study.begin()
    study.end()
    split = {"context": "training", "digest": "0123456789abcdef", "source": "data/x"}
    (study.folder / "data.json").write_text(json.dumps([split]), encoding="utf-8")
    carry(study, memory, {**CONFIG, "choices": {"dataset": "digits"}, "dataset": {"_target_": "a.B"}})
    assert memory.named("s")["inputs"] == [("digits", "training", "0123456789abcdef")]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b"{}", b'[{"context": "training"}]', b'[{"context": 1, "digest": "a", "source": "b"}]', b"[" * 9999],
)
def test_a_file_about_the_data_that_is_not_ours_says_nothing(tmp_path: Path, content: bytes):
    (tmp_path / "data.json").write_bytes(content)
    assert data_splits(tmp_path) == []
