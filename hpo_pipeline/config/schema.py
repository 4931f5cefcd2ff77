"""The root keys of the configs of studies and trainings, and what is wrong with their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import II

from hpo_pipeline.checks import option_problems
from hpo_pipeline.config.metric_keys import metric_key_problems
from hpo_pipeline.errors import Problem, nearest


@dataclass
class _Shared:
    """Root keys of every config; anything else at the root is refused. What they mean is told in conf/*.yaml."""

    name: str = "???"
    folder: str = "???"
    seed: int = 0
    trial: int = 0
    metric: Any = "???"
    mode: str = "min"
    constraints: Any = None
    max_resource: int = 1
    threads: int = 1
    choices: Any = None
    model: Any = None
    dataset: Any = None
    loss: Any = None
    metrics: Any = None
    optimizer: Any = None
    lr_schedule: Any = None
    objective: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    tracker: Any = None
    register: Any = None


@dataclass
class TrainSchema(_Shared):
    resource: int = II("max_resource")
    final: bool = False


@dataclass
class TuneSchema(_Shared):
    resume: bool = False
    dry_run: bool = False
    output: str = "auto"
    n_trials: int | None = None
    max_total_resource: int | None = None
    max_seconds: float | None = None
    target: float | None = None
    reference_point: Any = None
    max_failures: int | None = None
    finalists: dict[str, Any] = field(default_factory=lambda: {"n": 0, "seeds": 0})
    points_to_evaluate: list[Any] = field(default_factory=list)
    search_space: Any = None
    search_around: str | None = None
    factor: float = 4.0
    searcher: Any = None
    scheduler: Any = None
    executor: Any = None


_TYPES = {
    "str": (str, "a string"),
    "str | None": (str, "a string or null"),
    "int": (int, "an integer"),
    "int | None": (int, "an integer or null"),
    "float": ((int, float), "a number"),
    "float | None": ((int, float), "a number or null"),
    "bool": (bool, "true or false"),
    "list[Any]": (list, "a list"),
    "dict[str, Any]": (dict, "a mapping"),
}
_OUTPUTS = ("auto", "lines", "json")
_STAND_INS = {"name": "x", "folder": "runs/x", "metric": "x", "resource": 1}
"""Values that the other checks can work with, of keys without a default."""
_LONGEST = 255
"""Bytes in the name of a folder, on every usual file system."""


def register() -> None:
    """Makes the schemas known to Hydra as `tune_schema` and `train_schema`; once, however often it is called."""
    store = ConfigStore.instance()
    for name, schema in (("train_schema", TrainSchema), ("tune_schema", TuneSchema)):
        if f"{name}.yaml" not in store.repo:
            store.store(name, schema, provider=__name__)


def root_problems(config: dict[str, Any], program: str) -> Iterator[Problem]:
    """What is wrong with the root keys. Wrong values are replaced by the default, so that all else can be looked at.

    Hydra refuses unknown keys unless they are added with `+`, and wrong types unless they come by an interpolation.
    """
    known = {key.name: key for key in fields(TuneSchema if program == "tune" else TrainSchema)}
    for key in [key for key in config if key not in known]:
        del config[key]
        yield Problem(key, f"there is no such key{elsewhere(key, program) or nearest(key, known)}")
    for key, declared in known.items():
        kind, what = _TYPES.get(str(declared.type), (object, ""))
        default = declared.default_factory() if declared.default_factory is not MISSING else declared.default
        usable = _STAND_INS.get(key, default)
        if key not in config:
            if kind is not object or default == "???":
                yield Problem(key, "is missing; it was removed, and has no default")
            config[key] = usable
            continue
        value = config[key]
        if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
            value = config[key] = str(value)  # name: ${seed}
        is_none = value is None and "None" in str(declared.type)
        is_bool = isinstance(value, bool) and kind is not bool and kind is not object
        if not is_none and (is_bool or not isinstance(value, kind)):  # type: ignore[arg-type]
            config[key] = usable
            yield Problem(key, f"must be {what}", value)
    yield from metric_key_problems(config)
    if program == "tune":
        yield from option_problems(_OUTPUTS, output=config["output"])
    choices = config["choices"]
    if choices is not None and not (isinstance(choices, Mapping) and all(map(_is_choice, choices.values()))):
        config["choices"] = None
        yield Problem("choices", "must be a mapping of groups to options, filled in when a config is saved", choices)


def elsewhere(key: str, program: str) -> str:
    """`; it belongs to train.py…`, of a root key that only the other program has; else nothing.

    Args:
        program: "tune" or "train", the one that doesn't have it.
    """
    other, schema, what = (
        ("train", TrainSchema, "trains once") if program == "tune" else ("tune", TuneSchema, "runs a study")
    )
    is_theirs = key in [own.name for own in fields(schema)]
    return f"; it belongs to {other}.py, which {what}" if is_theirs else ""


def _is_choice(option: Any) -> bool:
    return isinstance(option, str) or (isinstance(option, list) and all(isinstance(each, str) for each in option))


def folder_problems(folder: str) -> Iterator[Problem]:
    """Why the folder of a study or training can't be made."""
    path = Path(folder)
    if not folder or "\0" in folder:
        yield Problem("folder", "must be the path of a folder", folder)
        return
    for part in path.parts:
        if len(part.encode(errors="surrogateescape")) > _LONGEST:
            yield Problem("folder", f"{part[:20]}… is longer than {_LONGEST} bytes; choose a shorter name")
            return
    try:
        blocking = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)
    except OSError as error:
        yield Problem("folder", f"{folder!r} can't be used ({error.strerror})")
        return
    if blocking is not None:
        yield Problem("folder", f"{folder!r} can't be made, {str(blocking)!r} is a file; choose another")
