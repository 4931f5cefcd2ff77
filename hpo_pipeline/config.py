"""The command line and Hydra: composes a study or a training, and hands on plain data. Nothing else imports hydra.

A path in the search space is a path in the config, so a sample is a list of overrides. Composing happens once; a
trial's config is the composed one with its sample put in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import II, DictConfig, OmegaConf
from yaml import YAMLError

from hpo_pipeline import trust
from hpo_pipeline.composed import TRAINING_KEYS, TRAINING_SETTINGS, Composed, flatten
from hpo_pipeline.errors import ConfigError, StudyError, nearest
from hpo_pipeline.report.command import overrides

CONF = "hpo_pipeline.conf"


@dataclass
class _Shared:
    """Root keys of every config; anything else at the root is refused. What they mean is told in conf/*.yaml."""

    name: str = "???"
    folder: str = "???"
    seed: int = 0
    trial: int = 0
    metric: str = "???"
    mode: str = "min"
    max_resource: int = 1
    threads: int = 1
    choices: Any = None
    model: Any = None
    dataset: Any = None
    optimizer: Any = None
    lr_schedule: Any = None
    objective: Any = None
    tracker: Any = None


@dataclass
class TrainSchema(_Shared):
    resource: int = II("max_resource")
    final: bool = False


@dataclass
class TuneSchema(_Shared):
    resume: bool = False
    dry_run: bool = False
    n_trials: int | None = None
    max_total_resource: int | None = None
    max_seconds: float | None = None
    target: float | None = None
    max_failures: int | None = None
    points_to_evaluate: list[Any] = field(default_factory=list)
    search_space: Any = None
    searcher: Any = None
    scheduler: Any = None
    executor: Any = None


ConfigStore.instance().store("train_schema", TrainSchema, provider=__name__)
ConfigStore.instance().store("tune_schema", TuneSchema, provider=__name__)

# `train`, found also where the primary config is a saved one or another project's, with no `train` beside it.
_PLAIN_TRAIN = "plain_train"
ConfigStore.instance().store(_PLAIN_TRAIN, {"defaults": ["train"]}, provider=__name__)


def tune() -> None:
    """The command `tune.py` (or `hpo-tune`)."""
    _command("tune", _tune)


def train() -> None:
    """The command `train.py` (or `hpo-train`)."""
    _command("train", _train)


def _tune(cfg: DictConfig) -> int:
    from hpo_pipeline.study import run_study

    return run_study(_resumed(_compose(cfg)) if cfg.resume else _compose(cfg))


def _train(cfg: DictConfig) -> int:
    from hpo_pipeline.single import run_training

    return run_training(_compose(cfg))


def _command(config_name: str, task: Callable[[DictConfig], int]) -> None:
    """Composes and runs; what a person got wrong ends in one screen and exit code 2, without a traceback."""
    if sys.version_info >= (3, 14) and hydra.__version__ < "1.4":
        sys.exit("Hydra 1.3 cannot start on Python 3.14; run: pip install --pre 'hydra-core>=1.4.0rc3'")
    try:
        trust.read_environment()  # before any config is read, which must not have a say in it
    except ConfigError as error:
        sys.exit(_fail(error))
    if trust.trusted():
        sys.path.append(os.getcwd())  # so that `_target_: my_module.Net` finds a module beside the user's config
    composing = True
    shown_before = os.environ.get("HYDRA_FULL_ERROR")

    def app(cfg: DictConfig) -> None:
        nonlocal composing
        composing = False
        _restore("HYDRA_FULL_ERROR", shown_before)
        code = _guarded(lambda: task(cfg))
        if code:
            sys.exit(code)

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would otherwise print with exit code 1
    try:
        _hydra_main(config_name)(app)()
    except Exception as error:  # Hydra raises ValueError, AttributeError … as well for what was typed
        if not composing:
            raise
        _restore("HYDRA_FULL_ERROR", shown_before)
        from hpo_pipeline.diagnosis import diagnose

        sys.exit(_fail(ConfigError(diagnose(CONF, config_name, sys.argv[1:], error, _preflight_problems))))


def _preflight_problems(cfg: DictConfig) -> list[str]:
    from hpo_pipeline.preflight import check_study, check_training

    try:
        composed = _compose(cfg)
        check = check_study if "scheduler" in composed.config else check_training
        check(composed, data=False)  # nothing is downloaded for a command line that is wrong
    except ConfigError as error:
        return error.problems
    return []


def _guarded(task: Callable[[], int]) -> int:
    try:
        return task()
    except (ConfigError, StudyError) as error:
        return _fail(error)
    except YAMLError as error:  # in a file that is read only now: an option that the search space chooses from
        from hpo_pipeline.diagnosis import told

        return _fail(ConfigError(told(error)))


def _fail(error: ConfigError | StudyError) -> int:
    """Says what is wrong; returns the exit code."""
    if isinstance(error, StudyError):
        print(error, file=sys.stderr)
        return 2
    count = len(error.problems)
    print(f"{count} problem{'s' if count != 1 else ''} in the configuration:", file=sys.stderr)
    for problem in error.problems:
        print(f"  {problem}", file=sys.stderr)
    return 2


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _hydra_main(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """`hydra.main` on both of the versions that we support: 1.3 needs version_base, 1.4 deprecates it."""
    if hydra.__version__.startswith("1.3"):
        return hydra.main(version_base="1.3", config_path=f"pkg://{CONF}", config_name=config_name)
    versioned: Any = {"execution_whitelist": ("hpo_pipeline.*",)}
    return hydra.main(**versioned, config_path=f"pkg://{CONF}", config_name=config_name)


def _compose(cfg: DictConfig) -> Composed:
    """Plain data from here on. Interpolations are resolved; those inside the training part follow each sample."""
    config = _plain(cfg)
    _refuse_unknown_keys(config)
    runtime = HydraConfig.get()
    if runtime.mode == RunMode.MULTIRUN:  # all jobs of a multirun have the same time stamp
        for key in ("name", "folder"):
            config[key] = f"{config[key]}-{runtime.job.num}"
    executor = config.get("executor")
    if isinstance(executor, dict):  # what was set there is what trials run with, and what re-running one needs
        threads = executor.get("threads_per_worker", executor.get("threads"))
        if isinstance(threads, int) and threads >= 1:  # else the executor says what is wrong with it
            config["threads"] = threads
    choices = config["choices"] or {
        group: option for group, option in runtime.runtime.choices.items() if "/" not in group and option is not None
    }
    config["choices"] = choices
    config_dirs = [source.path for source in runtime.runtime.config_sources if source.provider == "command-line"]
    return Composed(
        config=config,
        merge=_merger(cfg, config),
        typed=[str(override) for override in runtime.overrides.task],
        config_dir=config_dirs[0] if config_dirs else None,
        changes=_changes(config, choices),
        options=_group_options(config, choices),
    )


def _refuse_unknown_keys(config: dict[str, Any]) -> None:
    """The schema refuses a root key that it doesn't know, but not one that was added with `+`."""
    known = {key.name for key in fields(TuneSchema if "scheduler" in config else TrainSchema)}
    unknown = [key for key in config if key not in known]
    if unknown:
        raise ConfigError(f"{key}: there is no such key{nearest(key, known)}" for key in unknown)


def _plain(cfg: Any) -> dict[str, Any]:
    keys = [key for key in cfg if key != "hydra"]
    plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, keys), resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in plain.items()}  # type: ignore[union-attr]


def _merger(cfg: DictConfig, config: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """How to put a sample into the training config, if that takes more than setting values: None where it doesn't.

    Where a training key refers to another (`model.n_units_2: ${model.n_units_1}`), it has to follow the sample.
    """
    part = {key: OmegaConf.to_container(cfg, resolve=False)[key] for key in TRAINING_KEYS if key in cfg}  # type: ignore
    if not any(isinstance(value, str) and "${" in value for value in flatten(part).values()):
        return None
    fixed = {key: value for key, value in config.items() if key not in TRAINING_KEYS}

    def merge(sample: dict[str, Any]) -> dict[str, Any]:
        merged = OmegaConf.create({**fixed, **part})
        for path, value in sample.items():
            OmegaConf.update(merged, path, value, merge=False)
        plain = _plain(merged)
        return {key: plain[key] for key in part}

    return merge


def _changes(config: dict[str, Any], choices: dict[str, str]) -> dict[str, Any]:
    """What was set besides the choice of groups, as far as a training is concerned: path -> value.

    Raises:
        ConfigError: a saved config chose an option of a --config-dir that isn't given now.
    """
    groups = {group: option for group, option in choices.items() if group in TRAINING_KEYS}
    searchpath = [*HydraConfig.get().searchpath, f"pkg://{CONF}"]
    base = overrides({"hydra.searchpath": searchpath, **groups, "name": config["name"]})
    try:
        plain = hydra.compose(_PLAIN_TRAIN, overrides=base)
    except MissingConfigException as error:
        told = str(error).partition("\n")[0]
        raise ConfigError(f"choices: {told}; if this is a file of your own, give its folder: --config-dir …") from None
    changed = {key for key in TRAINING_SETTINGS if plain[key] != config[key]}
    for key in changed:  # what refers to them follows
        plain[key] = config[key]
    before, now = flatten(_plain(plain)), flatten({key: config[key] for key in TRAINING_KEYS})
    return {path: value for path, value in now.items() if path in changed or before.get(path, ...) != value}


def _group_options(config: dict[str, Any], choices: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the options compose to of each config group that the search space chooses from: composed once, here."""
    found: dict[str, dict[str, Any]] = {}
    settings = overrides({"name": config["name"], **{key: config[key] for key in TRAINING_SETTINGS}})
    for group, node in (config.get("search_space") or {}).items():
        if group not in choices or not isinstance(node, dict) or node.get("type") != "choice":
            continue
        there = GlobalHydra.instance().config_loader().get_group_options(group)
        fixed = [f"{other}={option}" for other, option in choices.items() if other in TRAINING_KEYS and other != group]
        found[group] = {
            option: _plain(hydra.compose("train", overrides=[*fixed, f"{group}={option}", *settings]))[group]
            for option in map(str, node.get("choices") or ())
            if option in there
        }
    return found


MAY_CHANGE = frozenset({"name", "folder", "resume", "dry_run", "max_failures", "executor", "tracker"}) | {
    *("n_trials", "max_total_resource", "max_seconds", "target")
}
"""Root keys that a resumed study may be given anew."""


def _resumed(composed: Composed) -> Composed:
    """The config that the study began with, with what was typed now on top.

    Raises:
        StudyError: there is no such study.
        ConfigError: something was typed that would make it another study.
    """
    folder = Path(composed.config["folder"])
    if not (folder / "config.yaml").is_file():
        there = sorted(path.parent.name for path in folder.parent.glob("*/journal.jsonl"))
        raise StudyError(
            f"{folder}: there is no study to resume; "
            + (f"studies here: {', '.join(there)}" if there else f"none in {folder.parent} yet")
        )
    stored = _plain(OmegaConf.load(folder / "config.yaml"))
    config: dict[str, Any] = dict.fromkeys(TRAINING_KEYS)  # a study of an older version has fewer
    config |= {key: value for key, value in stored.items() if key not in ("defaults", "hydra")}
    problems = []
    for override in composed.typed:
        path = override.lstrip("+~").partition("=")[0].partition("@")[0].replace("/", ".")
        key = path.partition(".")[0]
        if key in MAY_CHANGE:
            config[key] = composed.config[key]
        elif key != "experiment" and flatten(config).get(path, _at(config, path)) != _at(composed.config, path):
            problems.append(
                f"{path}: a resumed study keeps what it began with, {_at(config, path)!r}; got "
                f"{_at(composed.config, path)!r}; leave it out, or start a new study with another name=…"
            )
    if problems:
        raise ConfigError(problems)
    config |= {"resume": True, "dry_run": composed.config["dry_run"]}
    return Composed(
        config=config,
        merge=_merger(OmegaConf.create(config), config),
        typed=composed.typed,
        config_dir=composed.config_dir,
        changes=_changes(config, config["choices"]),
        options=_group_options(config, config["choices"]),
    )


def _at(config: dict[str, Any], path: str) -> Any:
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node
