"""What Python programs and notebooks call: `compose`, `tune`, `train`. Each says what is wrong by an exception.

from hpo_pipeline import tune

study = tune("model=softmax", "n_trials=20")
study.best.config, study.trials, study.plot.curves()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.in_python import Override, Request, composed
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.report.terminal import forgiving_streams
from hpo_pipeline.saved_study import Study, load_study
from hpo_pipeline.view import StudyView

Folder = str | os.PathLike[str] | None


def compose(
    config_name: str, *overrides: Override, config_dir: Folder = None, trust: Sequence[str] = ()
) -> dict[str, Any]:
    """What a study or a training would be: its whole config, resolved, as plain data. Nothing is started.

        compose("tune", "model=softmax", "search_space.optimizer.lr.high=0.1")["search_space"]

    Args:
        config_name: "tune", "train", or a primary config of your own in `config_dir`.
        overrides: as on the command line, or mappings of paths to values.
        config_dir: a folder with options of your own, as `--config-dir`.
        trust: modules of your own whose code configs may name, besides those in `HPO_TRUST`.

    Raises:
        ConfigError: it can't be composed; every mistake is among its `problems`.
    """
    program = "train" if config_name == "train" else "tune"
    with composed(Request(config_name, overrides, config_dir, trust), program) as found:
        if found.problems:
            raise ConfigError(found.problems)
        return found.config


def tune(
    *overrides: Override, config_name: str = "tune", config_dir: Folder = None, trust: Sequence[str] = ()
) -> Study:
    """Runs a study, or goes on with it (`resume=true`), and reads it back when it is over.

        study = tune("model=softmax", {"n_trials": 20, "optimizer.lr": 0.1})

    Workers start without the calling script, so it needs no `if __name__ == "__main__"`.

    Args:
        overrides: as on the command line, or mappings of paths to values.
        config_name: a primary config of your own in `config_dir`.
        config_dir: a folder with options of your own, as `--config-dir`.
        trust: modules of your own whose code configs may name, besides those in `HPO_TRUST`.

    Returns:
        The study; of a dry run one without trials.

    Raises:
        ConfigError: the config is wrong; nothing was started.
        StudyError: the study is there already, or at work, or can't be resumed; or all came to nothing.
        KeyboardInterrupt: it was interrupted, is left in good order, and `resume=true` goes on.
    """
    from hpo_pipeline.study import header, run_study

    with composed(Request(config_name, overrides, config_dir, trust), "tune") as found:
        folder = _run(run_study, found)
        if found.config["dry_run"]:
            view = StudyView()
            view.apply(header(found, "resource"))
            return Study(folder, view)
    return _ended(folder)


def train(
    *overrides: Override, config_name: str = "train", config_dir: Folder = None, trust: Sequence[str] = ()
) -> Study:
    """Trains once, and reads it back as a study of one trial; `load_model` takes up its model.

        train("experiment=best", config_dir="conf").best.metrics

    Args, Raises: those of `tune`.
    """
    from hpo_pipeline.training_run import run_training

    with composed(Request(config_name, overrides, config_dir, trust), "train") as found:
        folder = _run(run_training, found)
    return _ended(folder)


def _run(run: Callable[[Composed], int], found: Composed) -> Path:
    """The folder of what was run.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    from hpo_pipeline.study import EXIT_CODES

    with forgiving_streams():
        code = run(found)
    if code == EXIT_CODES["interrupted"]:
        raise KeyboardInterrupt
    return Path(found.config["folder"])


def _ended(folder: Path) -> Study:
    study = load_study(folder)
    end = study.view.end
    if end is not None and end["state"] == "failed":
        raise StudyError(f"{folder}: {end['reason']}")
    return study
