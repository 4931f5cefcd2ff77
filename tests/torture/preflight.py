"""Plain configs, put together from right ones and nonsense, go through the preflight."""

from __future__ import annotations

import copy
import dataclasses
import functools
import random
from collections import Counter
from typing import Any

from commands import compose
from hydra.core.global_hydra import GlobalHydra
from hypothesis import strategies as st

from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.preflight import check_study
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.tree import flatten
from torture import fuzz
from torture.case import FailedError, Torture, limited
from torture.sandbox import Sandbox
from torture.strategies import CANARY, KEYS, NODES, POINTS, SCALARS, SPACES, VALUES

SIZE = 100
_FUNCTION = ("objective=function", "model=mlp", "dataset=digits", "optimizer=adam")
BASES = (
    (*_FUNCTION, "scheduler=asha", "searcher=random", "executor=serial"),
    (*_FUNCTION, "scheduler=pbt", "search_space=pbt", "searcher=sobol", "executor=fused"),
    (*_FUNCTION, "scheduler=median_stopping", "searcher=grid", "tracker=mlflow"),
    (*_FUNCTION[:3], "scheduler=hyperband", "searcher=priorband", "search_space=mlp_optimizers"),
    ("dataset=digits", "model=mlp", "scheduler=successive_halving", "lr_schedule=warmup_cosine"),
    ("dataset=digits", "model=softmax", "scheduler=pasha", "lr_schedule=step"),
    ("dataset=digits", "model=cnn", "scheduler=fifo", "executor=fused"),
    ("dataset=digits", "model=deep_mlp", "scheduler=asha", "scheduler.type=stopping"),
)
"""Right configs, of which some keys are then changed."""
GROUPS = ("model", "dataset", "optimizer", "lr_schedule", "objective", "tracker", "searcher", "scheduler", "executor")


@functools.cache
def _composed(number: int) -> Composed:
    composed = compose("tracker=none", *BASES[number])
    GlobalHydra.instance().clear()
    return composed


@functools.cache
def _paths(number: int) -> list[str]:
    config = _composed(number).config
    return [path for path in flatten({group: config[group] for group in GROUPS}) if path.partition(".")[2]]


@st.composite
def _examples(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    """(number of the base, path -> value)."""
    number = draw(st.integers(0, len(BASES) - 1))
    changes: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 2))):
        changes[draw(st.sampled_from(_paths(number)))] = draw(VALUES)
    kind = draw(st.integers(0, 9))
    if kind <= 4:
        changes["search_space"] = draw(SPACES)
    elif kind == 5:
        changes["points_to_evaluate"] = draw(POINTS)
    elif kind == 6:
        changes[draw(st.sampled_from(GROUPS))] = draw(st.one_of(NODES, VALUES))
    elif kind == 7:
        changes[f"{draw(st.sampled_from(GROUPS))}.{draw(KEYS)}"] = draw(VALUES)
    if draw(st.booleans()):
        key = draw(
            st.sampled_from(["seed", "max_resource", "threads", "n_trials", "max_failures", "name", "metric", "mode"])
        )
        changes[key] = (
            str(draw(SCALARS))
            if key in ("name", "metric", "mode")
            else draw(st.one_of(st.integers(-2, 30), st.integers(-2, 2000)))
        )
    return number, changes


def check(example: tuple[int, dict[str, Any]], canary: str = "/nowhere/canary") -> str:
    """What the preflight says of a config."""
    number, changes = example
    composed = _composed(number)
    config = copy.deepcopy(composed.config)
    for path, value in changes.items():
        *parents, key = path.split(".", 1)
        node = config[parents[0]] if parents else config
        if isinstance(node, dict):
            _put(node, key, _with_canary(value, canary))
    composed = dataclasses.replace(composed, config=config, options=_still_chosen(composed, config))
    try:
        with limited():
            parts = check_study(composed, data=False)
            parts.scheduler.describe()
    except ConfigError as error:
        fuzz.check_problems(error.lines)
        return "refused"
    except StudyError as error:
        fuzz.check_problems([str(error)])
        return "refused"
    with limited():
        _try_trials(parts, composed)
    return "accepted"


def _still_chosen(composed: Composed, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of the groups that the search space still chooses from."""
    space = config["search_space"]
    chosen = (
        {key for key, node in space.items() if isinstance(node, dict) and node.get("type") == "choice"}
        if isinstance(space, dict)
        else ()
    )
    return {group: options for group, options in composed.options.items() if group in chosen}


def _put(node: dict[str, Any], path: str, value: Any) -> None:
    key, _, rest = path.partition(".")
    if rest and isinstance(node.get(key), dict):
        _put(node[key], rest, value)
    else:
        node[path] = value


def _try_trials(parts: Any, composed: Composed) -> None:
    """What the preflight let pass gives trials, each of which is in the space."""
    for _ in range(3):
        trial = parts.trials.new()
        if isinstance(trial, NoTrial):
            return
        if problems := parts.space.contains(trial.config):
            raise FailedError(f"a trial outside its space: {problems}: {trial.config}")
        composed.trial_config(trial.id, trial.config)


def _with_canary(value: Any, canary: str) -> Any:
    if isinstance(value, str):
        return value.replace(CANARY, canary)
    if isinstance(value, dict):
        return {key: _with_canary(item, canary) for key, item in value.items()}
    return [_with_canary(item, canary) for item in value] if isinstance(value, list) else value


def case(number: int, draw: random.Random, sandbox: Sandbox) -> Counter[str]:
    with sandbox.entered():
        found = fuzz.batch(_examples(), lambda example: check(example, str(sandbox.canary)), draw, SIZE, small=True)
    if list(sandbox.work.iterdir()):
        raise FailedError(f"a preflight made files: {list(sandbox.work.iterdir())}")
    return found


TORTURE = Torture("preflight", f"plain configs through the preflight, {SIZE} a case", 93, 1, case)
