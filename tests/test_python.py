"""Studies from Python: `compose`, `tune`, `train`, `load_study`, as scripts and notebooks call them."""

from __future__ import annotations

import asyncio
import functools
import html
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import hydra
import pandas as pd
import pytest
from commands import DIGITS, FREE, unpainted
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure

import hpo_pipeline
from hpo_pipeline import compose, load_study, train, tune
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective.function import Function
from hpo_pipeline.saved_study import Study


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", unpainted)


def test_a_study_is_run_and_read_back():
    study = tune(*FREE, {"name": "a", "n_trials": 3, "max_resource": 2}, "scheduler=fifo")
    assert isinstance(study, Study)
    assert (study.name, len(study.trials), str(study.folder)) == ("a", 3, "runs/a")
    assert study.best == load_study("runs/a").best
    assert study.best is not None
    assert study.best.value == study.reports["value"].min() == study.trials["value"].min()
    assert set(study.overrides) == {*FREE, "name=a", "n_trials=3", "max_resource=2", "scheduler=fifo"}


def test_a_training_is_run_and_read_back():
    training = train(*DIGITS[:2], {"name": "once", "tracker": "none", "max_resource": 1})
    assert training.is_training
    assert list(training.reports["resource"]) == [1]
    assert not hpo_pipeline.load_model(training).training


def test_what_is_printed_is_typed_in_a_shell(capsys):
    tune(*FREE, "name=a", "n_trials=1")
    assert "\n  hpo train objective=function " in capsys.readouterr().out


def test_a_config_is_plain_data_and_starts_nothing():
    config = compose("tune", "model=softmax", {"search_space.optimizer.lr.high": 0.5})
    assert config["search_space"]["optimizer"]["lr"] == {"type": "float", "low": 0.0001, "high": 0.5, "log": True}
    assert "scheduler" not in compose("train")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("n_trails=3", "seed=1"), "n_trails: there is no such key; did you mean 'n_trials'?"),
        (("seed=0,1",), "seed: several values are several studies: call it for each of them"),
        (("hydra.mode=MULTIRUN",), "hydra.mode: is for the command line"),
        ((3,), "must be an override, 'n_trials=20', or a mapping of paths to values"),
    ],
)
def test_what_is_wrong_is_an_exception_and_nothing_is_started(words, said):
    with pytest.raises(ConfigError) as caught:
        tune(*FREE, "name=a", *words)
    assert any(line.startswith(said) for line in caught.value.lines)
    assert list(Path().iterdir()) == []


def test_a_folder_with_options_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="config_dir: there is no folder 'gone'"):
        compose("tune", config_dir="gone")


def test_a_study_that_exists_is_not_run_again_but_gone_on_with():
    tune(*FREE, "name=a", "n_trials=1")
    with pytest.raises(StudyError, match=r"runs/a: this study exists; go on with it: hpo tune "):
        tune(*FREE, "name=a", "n_trials=1")
    assert len(tune("name=a", "resume=true", "n_trials=3").trials) == 3
    with pytest.raises(StudyError, match="there is no study to resume; studies here: a"):
        tune("name=b", "resume=true")


def test_a_study_of_failures_is_an_exception_and_can_be_looked_at(monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(Function, "advance", fail)
    with pytest.raises(StudyError, match=r"^runs/a: all 2 trials failed; the last error: RuntimeError: no memory$"):
        tune(*FREE, "name=a", "n_trials=2")
    study = load_study("runs/a")
    assert (study.best, list(study.trials["state"])) == (None, ["FAILED", "FAILED"])


def test_an_interrupt_is_raised_and_the_study_goes_on_later(monkeypatch):
    whole = tune(*FREE, "name=whole", "n_trials=4", "searcher=random").evaluations
    advance, calls = Function.advance, iter(range(1000))

    def interrupted(self, state):
        if next(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return advance(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(Function, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(*FREE, "name=a", "n_trials=4", "searcher=random")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert load_study("runs/a").view.end["state"] == "interrupted"
    gone_on = tune("name=a", "resume=true").evaluations
    columns = ["trial", "bracket", "rung", "resource", "value"]
    pd.testing.assert_frame_equal(gone_on[columns], whole[columns])


def test_a_dry_run_gives_a_study_without_trials(capsys):
    study = tune(*FREE, "dry_run=true")
    assert (len(study.trials), study.best, len(study.evaluations)) == (0, None, 0)
    assert "rungs at" in capsys.readouterr().out
    assert list(Path().iterdir()) == []


def test_another_hydra_application_notices_nothing():
    with hydra.initialize_config_module("hpo_pipeline.conf", version_base="1.3"):
        before = GlobalHydra.instance().hydra
        config = hydra.compose("train", return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        of_theirs = HydraConfig.get()
        tune(*FREE, "name=a", "n_trials=1")
        with pytest.raises(ConfigError):
            tune("n_trails=3")
        assert GlobalHydra.instance().hydra is before
        assert HydraConfig.get() is of_theirs
        assert hydra.compose("train", overrides=["seed=4"]).seed == 4
    assert not GlobalHydra.instance().is_initialized()


def test_ones_own_hydra_composes_our_configs():
    code = (
        "import hydra\n"
        "with hydra.initialize_config_module('hpo_pipeline.conf', version_base='1.3'):\n"
        "    print(hydra.compose('tune', overrides=['model=softmax']).n_trials)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "25\n")


def test_a_running_event_loop_as_in_a_notebook_is_no_matter():
    async def cell() -> Study:
        return tune(*FREE, "name=a", "n_trials=1")

    assert len(asyncio.run(cell()).trials) == 1


def test_what_is_not_there_is_said_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'hpo_pipeline' has no attribute 'tuen'"):
        _ = hpo_pipeline.tuen
    assert {"compose", "load_model", "load_study", "train", "tune"} <= set(dir(hpo_pipeline))


@pytest.mark.slow
def test_a_script_needs_no_main_guard_though_its_workers_are_processes():
    words = (*FREE, "executor=process", "executor.n_workers=2", "n_trials=2")
    Path("script.py").write_text(
        "print('once')\n"
        "from hpo_pipeline import tune\n"
        f"study = tune(*{words!r}, 'name=a')\n"
        "print('trials', len(study.trials))\n"
    )
    ended = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines.count("once") == 1
    assert "trials 2" in lines


def test_what_a_notebook_shows_escapes_names_and_values(monkeypatch):
    evil = "<script>alert(1)</script>"
    study = tune(*FREE, "n_trials=2", {"name": "a", "+search_space.params.word": {"type": "choice", "choices": [evil]}})
    study.view.header["name"] = evil
    shown = study._repr_html_()
    assert "<script" not in shown
    assert shown.count(html.escape(evil)) >= 2
    assert repr(study).startswith("<Study 'runs/a': completed: ")


def test_a_function_stands_for_its_path_and_is_trusted_for_this_call_alone(monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    Path("bowl.py").write_text("def loss(config, resource, seed):\n    return {'loss': config['params']['x'] ** 2}\n")
    bowl = importlib.import_module("bowl")
    space = {"+search_space.params.x": {"type": "float", "low": -2.0, "high": 2.0}}
    words = ("objective=function", "model=none", "dataset=none", *FREE[4:], "metric=loss", "n_trials=3")
    study = tune(*words, {"name": "a", "objective.function": bowl.loss, **space})
    assert study.best is not None
    assert study.best.value == study.best.config["params.x"] ** 2
    with pytest.raises(ConfigError, match=r"'bowl\.loss' is not on the trust list"):
        tune(*words, {"name": "b", "objective.function": "bowl.loss", **space})


def test_a_function_that_workers_could_not_find_is_refused():
    def inner(config, resource, seed):
        return {}

    for value in (lambda config, resource, seed: {}, inner, functools.partial(inner)):
        with pytest.raises(ConfigError, match=r"objective\.function: must be a function or class of a module"):
            tune(*FREE, {"objective.function": value})
