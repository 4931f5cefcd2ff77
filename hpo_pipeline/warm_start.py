"""Earlier studies for `searcher.warm_start`: read from their folders or the tracker, and kept in the study's folder.

What was taken in is kept, because a resumed study has to propose what it would have proposed without the break, even if
an earlier study has grown meanwhile, or is gone. What is read is data of others: plain values, and nothing else.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import write_text
from hpo_pipeline.checks import is_integer, is_number
from hpo_pipeline.errors import ConfigError, Problem, StudyError, describe
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.saved_study import load_study
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.earlier import EarlierStudy, EarlierTrial, SupportsWarmStart
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.domain import is_value
from hpo_pipeline.tracker import HoldsStudies

KEY = "warm_start"
FILE = "warm_start.json"


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What a searcher begins with.

    Attributes:
        studies: with their trials that are configurations of the search space.
        notes: what was taken and what was left out, one line each.
    """

    studies: Sequence[EarlierStudy]
    notes: Sequence[str] = ()

    def keep(self, folder: Path) -> None:
        """Writes the studies into the folder of the one that learns from them; resumed, it reads them there again."""
        write_text(folder / FILE, json.dumps([_to_json(study) for study in self.studies], allow_nan=False))


def component(node: Any) -> Any:
    """A searcher's node without what is no argument of its constructor."""
    return {key: value for key, value in node.items() if key != KEY} if isinstance(node, Mapping) else node


def warm_start(
    searcher: Searcher, config: Mapping[str, Any], space: SearchSpace, metric: Metric, trackers: Sequence[Any]
) -> WarmStart | None:
    """Tells a searcher of the earlier studies that its node names; None if it names none.

    Args:
        config: the study's. If it is resumed, what was kept in its folder is read instead of the earlier studies.
        metric: what trials are compared by.
        trackers: where experiments are looked for.

    Raises:
        ConfigError: one isn't there, can't be read, or has no trial that fits; or this searcher learns from none.
    """
    names = config["searcher"].get(KEY)
    if names is None or names == []:
        return None
    kept = Path(config["folder"], FILE)
    try:
        if not isinstance(searcher, SupportsWarmStart):
            raise ConfigError(f"{config['searcher']['_target_']} learns from no earlier study; leave it empty")
        if config["resume"] and kept.exists():
            earlier = WarmStart([study.within(space)[0] for study in _kept(kept)])
        else:
            earlier = _found(names, space, metric, trackers)
    except ConfigError as error:
        raise error.under(f"searcher.{KEY}") from None
    searcher.begin_with(earlier.studies)
    return earlier


def _found(names: Any, space: SearchSpace, metric: Metric, trackers: Sequence[Any]) -> WarmStart:
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(Problem("", "must be a list of folders of studies, or of experiments", names))
    studies: list[EarlierStudy] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for i, name in enumerate(names):
        try:
            fitting = _fitting(_read(name, metric, trackers), space)
        except ConfigError as error:
            problems += error.under(f"[{i}]").problems
            continue
        studies += [study for study, _ in fitting]
        notes += [note for _, note in fitting]
    if problems:
        raise ConfigError(problems)
    return WarmStart(studies, notes)


def _fitting(studies: Sequence[EarlierStudy], space: SearchSpace) -> list[tuple[EarlierStudy, str]]:
    """Those of an experiment's studies that have trials of this space; there must be one."""
    fitting, problems = [], []
    for study in studies:
        try:
            fitting.append(study.within(space))
        except ConfigError as error:
            problems += error.problems
    if not fitting:
        raise ConfigError(problems)
    return fitting


def _read(name: str, metric: Metric, trackers: Sequence[Any]) -> Sequence[EarlierStudy]:
    try:
        if Path(name).is_dir():
            return [_from_folder(name, metric)]
    except PermissionError as error:
        raise ConfigError(f"{name}: can't be read ({describe(error)})") from None
    except OSError:  # no name of a folder, such as one that is too long
        pass
    for tracker in trackers:
        if isinstance(tracker, HoldsStudies) and (found := tracker.studies(name, metric)):
            return found
    raise ConfigError(f"{name!r} is neither the folder of a study nor an experiment of the tracker with trials in it")


def _from_folder(name: str, metric: Metric) -> EarlierStudy:
    """A study's trials, each with the configuration and the score of its best report.

    What they were ranked by there is of no matter, as long as they have reported this metric.
    """
    try:
        view = load_study(name, metric).view
    except StudyError as error:
        raise ConfigError(str(error)) from None
    trials = [
        EarlierTrial(trial.id, trial.best_config, trial.best_score if trial.is_usable else math.inf)
        for trial in view.trials.values()
        if trial.curve or trial.error
    ]
    return EarlierStudy(name, trials)


def _to_json(study: EarlierStudy) -> dict[str, Any]:
    trials = [[t.id, dict(t.config), t.score if math.isfinite(t.score) else None] for t in study.trials]
    return {"name": study.name, "trials": trials}


def _kept(path: Path) -> list[EarlierStudy]:
    """What `WarmStart.keep` wrote. The file may be anybody's."""
    try:
        return [_from_json(study) for study in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: can't be read ({error}); restore it from a copy, or start a new study") from None


def _from_json(study: Mapping[str, Any]) -> EarlierStudy:
    trials = []
    for trial_id, config, score in study["trials"]:
        has_score = score is None or is_number(score, -sys.float_info.max, sys.float_info.max)
        if not (is_integer(trial_id, 0, 2**63 - 1) and all(map(is_value, config.values())) and has_score):
            raise ValueError(f"{config!r} is no trial")
        trials.append(EarlierTrial(trial_id, config, math.inf if score is None else float(score)))
    return EarlierStudy(str(study["name"]), trials)
