"""Hypothesis strategies of whole command lines, and of the config files that they name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from torture.strategies import CANARY, KEYS, LEAVES, NODES, PATHS, POINTS, SCALARS, SPACES, VALUES, WORDS


@dataclass(frozen=True)
class Line:
    """Arguments of `tune.py`, and the files of a `--config-dir conf` by name, if there is one."""

    arguments: list[str]
    files: dict[str, str] = field(default_factory=dict)


ROOT_KEYS = ("name", "folder", "seed", "trial", "metric", "mode", "max_resource", "threads", "choices", "resume")
ROOT_KEYS += ("n_trials", "max_total_resource", "max_seconds", "target", "max_failures", "points_to_evaluate")
NESTED_KEYS = (
    *("scheduler.eta", "scheduler.min_resource", "scheduler.max_resource", "scheduler.type", "scheduler.brackets"),
    *(
        "executor.n_workers",
        "executor.threads",
        "executor.checkpoint_seconds",
        "executor._target_",
        "searcher.n_points",
    ),
    *("optimizer.lr", "optimizer.betas", "optimizer._target_", "model.n_units_1", "model.dropout_1", "model._target_"),
    *("model._partial_", "dataset.batch_size", "dataset.n_validation", "objective.function", "objective.device"),
    *("lr_schedule.T_max", "tracker.uri", "tracker.experiment", "search_space.optimizer.lr.low", "search_space.model"),
    *("search_space.optimizer.lr", "search_space.optimizer", "search_space.constraints", "search_space.nothing"),
)
GROUPS = {
    "model": ("mlp", "softmax", "cnn", "deep_mlp", "mpl"),
    "dataset": ("digits", "digit"),
    "optimizer": ("sgd", "adam", "adamw", "rmsprop"),
    "lr_schedule": ("none", "step", "cosine", "warmup_cosine", "exponential", "null"),
    "search_space": ("mlp", "softmax", "cnn", "pbt", "mlp_optimizers", "deep_mlp", "nothing"),
    "searcher": ("random", "grid", "sobol", "priorband", "tpe"),
    "scheduler": ("fifo", "asha", "hyperband", "successive_halving", "pasha", "pbt", "median_stopping", "bohb"),
    "objective": ("training", "function", "f"),
    "executor": ("process", "serial", "fused", "ray"),
    "tracker": ("none", "mlflow"),
    "experiment": ("asha", "pbt", "hyperband", "grid_search", "priorband", "nothing", "null"),
}


def written(value: Any, quote: bool = True) -> str:
    """A value as Hydra's grammar has it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case dict():
            return "{" + ",".join(f"{written(k, False)}:{written(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
    if not quote:
        return str(value)
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


CHOSEN = st.one_of(*[st.sampled_from(options).map(f"{group}={{}}".format) for group, options in GROUPS.items()])
_KEYS = st.one_of(st.sampled_from((*ROOT_KEYS, *NESTED_KEYS)), st.sampled_from((*GROUPS, *PATHS)), KEYS, WORDS)
_SET = st.builds(
    lambda sign, key, value, quote: f"{sign}{key}={written(value, quote) if quote else value}",
    st.sampled_from(["", "", "", "+", "++"]),
    _KEYS,
    VALUES,
    st.booleans(),
)
_LEAF = st.builds(
    lambda sign, path, leaf: f"{sign}search_space.{path}={written(leaf)}",
    st.sampled_from(["", "+", "++"]),
    st.sampled_from(PATHS),
    LEAVES,
)
_PINNED = st.builds(
    lambda path, value: f"{path}={written(value)}",
    st.sampled_from(PATHS[:7]),
    st.one_of(st.integers(1, 99), st.floats(0, 1), SCALARS),
)
_SPACE = SPACES.map(lambda tree: f"search_space={written(tree)}")
_POINTS = POINTS.map(lambda points: f"points_to_evaluate={written(points)}")
_DELETED = st.one_of(_KEYS.map("~{}".format), st.builds("~{}={}".format, _KEYS, SCALARS))
_ODD = st.one_of(
    st.sampled_from(
        (
            *("seed=1,2", "n_trials=range(1,3)", "model=glob(*)", "-m", "scheduler@foo=asha", "+scheduler@x.y=asha"),
            *("=1", "a=", "seed", "~", "+", "seed==1", "seed = 1", "hydra.verbose=true", "'seed=1'", "seed='1", "a=[1"),
            *(
                "name=x/../../y",
                "name=..",
                "name=.",
                "name=''",
                "folder=''",
                "folder=null",
                "model=null",
                "search_space=null",
            ),
            *("scheduler=[asha,fifo]", "seed=1_000", "seed=0x10", "seed=1e3", "n_trials=1.0", "resume=1", "mode=MIN"),
            *("model.n_units_1=${model.n_units_2}", "model.n_units_1=${model.n_units_1}", "seed=${oc.env:NOT_SET}"),
            *(
                "name=${seed}",
                "metric=${oc.env:HOME}",
                "optimizer={}",
                "optimizer=[]",
                "scheduler={}",
                "~scheduler",
                "~seed",
            ),
        )
    ),
    st.text(max_size=12),
)
ARGUMENTS: SearchStrategy[str] = st.one_of(
    CHOSEN, CHOSEN, _SET, _SET, _LEAF, _PINNED, _SPACE, _POINTS, _DELETED, _ODD
).filter(lambda text: _can_be_typed(text) and not text.lstrip("+~").startswith(("dry_run", "hydra.run", "-")))


def _can_be_typed(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


HOSTILE: tuple[dict[str, Any], ...] = (
    {"job": {"env_set": {"HPO_TRUST": "*"}}},
    {"job": {"env_copy": ["HOME"], "chdir": True}},
    {"callbacks": {"x": {"_target_": "pathlib.Path.write_text", "self": CANARY, "data": "x"}}},
    {"callbacks": {"x": {"_target_": "os.system", "command": f"touch {CANARY}"}}},
    {"callbacks": {"x": {"_target_": "numpy.save", "file": CANARY, "arr": 1}}},
    {
        "job_logging": {
            "version": 1,
            "handlers": {"x": {"class": "logging.FileHandler", "filename": CANARY}},
            "root": {"handlers": ["x"]},
        }
    },
    {
        "job_logging": {
            "version": 1,
            "handlers": {"x": {"()": "os.system", "command": f"touch {CANARY}"}},
            "root": {"handlers": ["x"]},
        }
    },
    {
        "hydra_logging": {
            "version": 1,
            "handlers": {"x": {"class": "logging.FileHandler", "filename": CANARY}},
            "root": {"handlers": ["x"]},
        }
    },
    {"launcher": {"_target_": "os.system", "command": f"touch {CANARY}"}, "mode": "MULTIRUN"},
    {"sweeper": {"_target_": "os.system", "command": f"touch {CANARY}"}, "mode": "MULTIRUN"},
    {"run": {"dir": f"{CANARY}/x"}, "output_subdir": ".hydra"},
    {"sweep": {"dir": CANARY, "subdir": "x"}, "mode": "MULTIRUN"},
    {"searchpath": ["pkg://os", f"file://{CANARY}"]},
    {"help": {"template": "${oc.env:HOME}"}, "verbose": True},
    {"nothing": 1},
)
_ITEMS = st.one_of(
    st.builds(lambda key, value: {key: value}, st.sampled_from(ROOT_KEYS), VALUES),
    st.builds(lambda key, value: {key: value}, st.sampled_from([*GROUPS, "choices"]), st.one_of(NODES, VALUES)),
    SPACES.map(lambda space: {"search_space": space}),
    st.sampled_from(HOSTILE).map(lambda node: {"hydra": node}),
    st.builds(lambda value: {"hydra": value}, VALUES),
    st.builds(
        lambda group, option: {"defaults": [{f"override /{group}": option}]},
        st.sampled_from([*GROUPS, "hydra/job_logging", "hydra/launcher"]),
        st.one_of(st.sampled_from(["asha", "none", "digits", "nothing"]), SCALARS),
    ),
    st.dictionaries(KEYS, VALUES, max_size=2),
)


def _yaml(items: list[dict[str, Any]]) -> str:
    merged: dict[str, Any] = {}
    for item in items:
        merged |= item
    return "# @package _global_\n" + yaml.safe_dump(merged, sort_keys=False)


FILES: SearchStrategy[str] = st.one_of(
    st.lists(_ITEMS, min_size=1, max_size=3).map(_yaml),
    st.lists(_ITEMS, min_size=1, max_size=3).map(_yaml),
    st.builds(
        lambda text, at, more: text[: at % len(text)] + more + text[at % len(text) :],
        st.lists(_ITEMS, min_size=1, max_size=2).map(_yaml),
        st.integers(0, 10**6),
        st.one_of(
            st.sampled_from(["\t", ":", "&a ", "*a", "!!python/object/apply:os.system ['touch CANARY']", "- ", "{"]),
            st.text(max_size=5),
        ),
    ),
).filter(_can_be_typed)
COMMANDS: SearchStrategy[Line] = st.one_of(
    st.lists(ARGUMENTS, max_size=4).map(Line),
    st.lists(ARGUMENTS, max_size=4).map(Line),
    st.builds(
        lambda more, text: Line(["experiment=x", *more], {"experiment/x.yaml": text}),
        st.lists(ARGUMENTS, max_size=1),
        FILES,
    ),
    st.builds(
        lambda group, text, more: Line([f"{group}=x", *more], {f"{group}/x.yaml": text.partition("\n")[2]}),
        st.sampled_from(list(GROUPS)),
        FILES,
        st.lists(ARGUMENTS, max_size=1),
    ),
)
