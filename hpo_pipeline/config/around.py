"""`search_around=best factor=4`: the search space narrowed around an earlier winner (space/narrowing.py).

The winner is an experiment, what a study's best.yaml is once it lies in conf/experiment/, or the folder of a study. It
may be anybody's: numbers and names of options are taken from it, and nothing else. What is saved is the narrowed space,
so that the study is shared and resumed without the winner.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hpo_pipeline.config.composed import TRAINING_KEYS, TRAINING_SETTINGS
from hpo_pipeline.config.composing import PLAIN_TRAIN, searchpath
from hpo_pipeline.config.hydra_errors import told
from hpo_pipeline.config.layers import composition
from hpo_pipeline.config.public import mask
from hpo_pipeline.errors import ConfigError, Problem, StudyError, nearest, one_line
from hpo_pipeline.report.command import hydra_value, overrides
from hpo_pipeline.saved_study import load_study, studies_in
from hpo_pipeline.space import Constant, SearchSpace
from hpo_pipeline.space.narrowing import Narrowing, narrowing
from hpo_pipeline.tree import flatten

KEY, FACTOR = "search_around", "factor"
_GROUPS = [key for key in TRAINING_KEYS if key not in TRAINING_SETTINGS]
_EXPERIMENT = re.compile(r"\w[\w-]*([./]\w[\w-]*)*")
_MOST_NAMED = 6
_LONGEST = 200
"""Of what is asked of the file system."""


@dataclass(frozen=True, slots=True)
class Winner:
    """What is known of an earlier winner. It may be anybody's.

    Attributes:
        name: what was typed.
        choices: group -> option.
        values: path -> what it has there, the options of groups among them.
        own: the paths among them that its study has sampled, or set.
    """

    name: str
    choices: Mapping[str, Any]
    values: Mapping[str, Any]
    own: frozenset[str]


def narrow(config: dict[str, Any], public: dict[str, Any], *, factor_is_typed: bool) -> list[str]:
    """Narrows the search space of both configs around the winner that they name, and has it tried first.

    Returns:
        What people should know of it.

    Raises:
        ConfigError: there is no such winner, it is that of another search space, or the factor is none.
    """
    name, factor = config[KEY], config[FACTOR]
    if name is None:
        if factor_is_typed:
            raise ConfigError(Problem(FACTOR, f"says how far {KEY} narrows, which isn't given; add {KEY}=…"))
        return []
    if not (math.isfinite(factor) and factor > 1):
        raise ConfigError(Problem(FACTOR, "must be a number above 1", factor))
    if not config["search_space"]:
        raise ConfigError(Problem(KEY, "there is no search space to be narrowed; give one: search_space=…"))
    try:
        winner = found(name)
        space = SearchSpace.parse(config["search_space"])
        change = narrowing(config["search_space"], winner.values, winner.own, factor)
        _refuse_another_space(winner, space, config["choices"] or {})
    except ConfigError as error:
        raise error.under(KEY) from None
    notes = list(_told(winner, factor, change))
    notes += _differences(winner, config, {p.path for p in space.parameters if not isinstance(p.domain, Constant)})
    for tree in (config, public):
        tree["search_space"] = change.applied(tree["search_space"])
    point, excluded = _point(SearchSpace.parse(config["search_space"]), change)
    notes += [f"  {name} itself is not tried: {excluded}"] if excluded else []
    for tree in (config, public):
        # The mid-point of what lies around the winner would be the winner once more, or just beside it.
        given = [each for each in tree["points_to_evaluate"] if each != {} or not point]
        tree["points_to_evaluate"] = [*([point] if point else []), *given]
    return [mask(one_line(note)) for note in notes]


def found(name: str) -> Winner:
    """The winner of that name.

    Raises:
        ConfigError: there is none, or it can't be read.
    """
    if len(name) > _LONGEST:
        raise ConfigError(f"is no name of an experiment or a study, which has at most {_LONGEST} characters")
    options: list[str] = []
    if _EXPERIMENT.fullmatch(name):
        try:
            return _experiment(name)
        except MissingConfigException as error:
            if error.missing_cfg_file != f"experiment/{name}":
                raise ConfigError(f"experiment {name} can't be composed ({told(error)})") from None
            options = list(error.options or [])
        except (HydraException, OmegaConfBaseException) as error:
            what = "it must be one for train.py, as a study's best.yaml is"
            raise ConfigError(f"experiment {name} can't be composed ({told(error)}); {what}") from None
    return _study(name, options)


def _experiment(name: str) -> Winner:
    words = [*searchpath(), *overrides({"experiment": name})]
    cfg = hydra.compose(PLAIN_TRAIN, overrides=words, return_hydra_config=True)
    content: Any = OmegaConf.to_container(cfg, resolve=False)  # what it refers to, in the environment say, is not read
    choices = {str(key): option for key, option in content["hydra"]["runtime"]["choices"].items() if key in _GROUPS}
    own = {
        path
        for layer in composition().layers
        if layer.path.startswith("experiment/")
        for path in flatten({key: node for key, node in layer.content.items() if key in _GROUPS})
    }
    values = flatten({key: node for key, node in content.items() if key in _GROUPS})
    return Winner(name, choices, {**values, **choices}, frozenset((*own, *choices)))


def _study(name: str, options: list[str]) -> Winner:
    try:
        if not Path(name).is_dir():
            raise ConfigError(_missing(name, options))
        study = load_study(name)
        best, config = study.best, study.config
    except StudyError as error:
        raise ConfigError(str(error)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{name}: can't be read ({error})") from None
    if study.is_training:
        raise ConfigError(f"{name} is a single training, which has found nothing; name the folder of a study")
    if best is None:
        raise ConfigError(f"{name} has no trial with a usable value yet")
    choices = {group: option for group, option in study.choices.items() if group in _GROUPS}
    values = flatten({key: config[key] for key in _GROUPS if key in config})
    return Winner(name, choices, {**values, **choices, **best.config}, frozenset((*best.config, *choices)))


def _missing(name: str, options: list[str]) -> str:
    """That there is no such winner, and which one may be meant."""
    studies = [str(path) for path in studies_in("runs")]
    if f"runs/{name}" in studies:
        near = f"; did you mean 'runs/{name}'?"
    elif name.endswith(".yaml"):
        near = "; name the study's folder, or copy the file to conf/experiment/ and leave '.yaml' out"
    else:
        near = nearest(name, [*options, *studies])
        near = near or (f"; studies here: {', '.join(studies[:_MOST_NAMED])}" if studies else "")
    return f"there is neither an experiment nor a study's folder {name!r}{near}"


def _refuse_another_space(winner: Winner, space: SearchSpace, choices: Mapping[str, Any]) -> None:
    """Raises ConfigError for a winner that has none of the hyperparameters, or lacks some as it is of another model."""
    tuned = list(dict.fromkeys(p.path for p in space.parameters if not isinstance(p.domain, Constant)))
    always = [p.path for p in space.parameters if not p.when and not isinstance(p.domain, Constant)]
    lacking = [path for path in always if path not in winner.own]
    others = [group for group in ("model", "objective") if winner.choices.get(group, ...) != choices.get(group, ...)]
    if tuned and not winner.own & set(tuned):
        what = f"{winner.name} sets none of this search space's hyperparameters ({_listed(tuned)})"
        sets = sorted(winner.own - set(winner.choices))
        what += f"; it sets {_listed(sets)}" if sets else ""
    elif lacking and others:
        what = f"{winner.name} is of another search space: it doesn't set {_listed(lacking)}"
    else:
        return
    theirs = [f"{group}={hydra_value(winner.choices[group])}" for group in others if winner.choices.get(group)]
    mend = f"type {' '.join(theirs)}, which it is of" if theirs else "name a winner of this space"
    raise ConfigError(f"{what}; {mend}")


def _told(winner: Winner, factor: float, change: Narrowing) -> Iterator[str]:
    n = len(change.narrowed)
    yield f"{KEY}={hydra_value(winner.name)} {FACTOR}={factor:g}: {n} of {n + len(change.kept)} ranges are narrower now"
    yield from (f"  {each}" for each in change.narrowed)
    reasons = sorted(change.kept.items(), key=lambda item: item[1])
    for why, group in groupby(reasons, key=lambda item: item[1]):
        yield f"  as before: {_listed([path for path, _ in group])} ({why})"


def _differences(winner: Winner, config: Mapping[str, Any], tuned: set[str]) -> Iterator[str]:
    """A line about what the winner was found with, and is otherwise here."""
    choices = config["choices"] or {}
    other = [g for g in _GROUPS if g in winner.choices and winner.choices[g] != choices.get(g) and g not in tuned]
    there = {group: winner.choices[group] for group in other}
    here = flatten({key: config[key] for key in _GROUPS if key not in other})
    there |= {
        path: winner.values[path]
        for path, value in here.items()
        if path in winner.values and path not in tuned and path.partition(".")[0] not in tuned
        if path not in winner.choices
        if winner.values[path] != value and "${" not in str(winner.values[path])
    }
    if there:
        yield f"  {winner.name} was found with other settings: {_listed(overrides(there))}"


def _point(space: SearchSpace, change: Narrowing) -> tuple[dict[str, Any], str]:
    """The winner as a point to evaluate, or why it is none."""
    whole = space.midpoint(change.point)
    problems = space.contains({**whole, **change.point})
    return (dict(change.point), "") if not problems else ({}, problems[0].statement)


def _listed(words: list[str]) -> str:
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return f"{', '.join(words[:_MOST_NAMED])}{more}"
