"""The command line and Hydra: composes a study or a training, and hands on plain data.

A path in the search space is a path in the config, so a sample is a list of overrides. Composing happens once; a
trial's config is the composed one with its sample put in.

    typed         command_line   what was typed, and the beginnings of the commands that are printed
                  own_program    what a program of a person's own says in its code
    composing     layers         which file contributed what, watched while Hydra composes
                  hydra_keys     what a file may set of Hydra itself
                  schema         the root keys
                  older          keys of older versions
                  several        groups of which several options may be chosen
                  pinning        values that are set though the search space tunes them
                  around         the search space around an earlier winner
                  hydra_errors   what Hydra says, in our words
                  diagnosis      every mistake of a command line that can't be composed
                  multirun       its jobs, and their studies compared at the end
    composed      composed       plain data, and a trial's config
                  composing      the options of groups, what was changed
                  containment    where files may have things written
                  public         the same without secrets
    going on      resuming       the config that a study began with
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from hpo_pipeline import trust
from hpo_pipeline.config import schema
from hpo_pipeline.config.command_line import CommandLine, searchpath_of
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.composing import CONF, changes_of, merger, options_of
from hpo_pipeline.config.containment import containment_problems, trust_typed_command, without_download
from hpo_pipeline.config.help import help_text, version_text
from hpo_pipeline.config.hydra_errors import told
from hpo_pipeline.config.layers import Composition, composition, watched
from hpo_pipeline.config.log_levels import log_levels
from hpo_pipeline.config.multirun import Jobs
from hpo_pipeline.config.older import brought_up_to_date
from hpo_pipeline.config.options import explained, without_use
from hpo_pipeline.config.own_program import own_options, own_program
from hpo_pipeline.config.pinning import pin, pinning_paths, with_group_choices, without_effect
from hpo_pipeline.config.public import mask, masked, resolved_as_far_as_possible, shown, without_hydra
from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.report.terminal import forgiving_streams, working
from hpo_pipeline.tree import at, flatten

schema.register()


@forgiving_streams()
def tune(config_dir: str | os.PathLike[str] | None = None, trust: Iterable[str] = ()) -> None:
    """The command `tune.py` (or `hpo-tune`), and what a program of a person's own calls to be such a command.

    Args:
        config_dir: the folder of the program's own options; one that is typed, `--config-dir`, comes on top of it.
        trust: modules whose classes and functions configs may name, besides those in `HPO_TRUST`.
    """
    jobs = Jobs()

    def run(cfg: DictConfig, line: CommandLine) -> int:
        from hpo_pipeline.study import run_study

        composed = compose_study(cfg, line)
        jobs.begin(composed)
        return run_study(composed)

    _command("tune", run, jobs, config_dir, trust)


@forgiving_streams()
def train(config_dir: str | os.PathLike[str] | None = None, trust: Iterable[str] = ()) -> None:
    """The command `train.py` (or `hpo-train`); its arguments are those of `tune`."""
    _command("train", _train, Jobs(), config_dir, trust)


def _train(cfg: DictConfig, line: CommandLine) -> int:
    from hpo_pipeline.training_run import run_training

    return run_training(compose(cfg, line))


def _command(
    config_name: str,
    task: Callable[[DictConfig, CommandLine], int],
    jobs: Jobs,
    config_dir: str | os.PathLike[str] | None,
    trusted: Iterable[str],
) -> None:
    """Composes and runs; what a person got wrong ends in one screen and exit code 2, without a traceback."""
    if sys.version_info >= (3, 14) and hydra.__version__ < "1.4":
        sys.exit("Hydra 1.3 cannot start on Python 3.14; run: pip install --pre 'hydra-core>=1.4.0rc3'")
    try:
        trust.read_environment()  # before any config is read, which must not have a say in it
        own = own_program(config_name, config_dir, trusted)
    except ConfigError as error:
        sys.exit(_fail(error))
    if trust.trusted():
        sys.path.append(os.getcwd())  # so that `_target_: my_module.Net` finds a module beside the user's config
    composing = True
    shown_before = os.environ.get("HYDRA_FULL_ERROR")
    if "--version" in sys.argv[1:]:  # Hydra's parser would answer with its own
        print(version_text())
        return
    line = replace(_typed(sys.argv), own=own, trusted=trust.trusted() if own else ())
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_text(config_name, line))
        return

    def app(cfg: DictConfig) -> None:
        nonlocal composing
        composing = False
        _restore("HYDRA_FULL_ERROR", shown_before)
        code = _guarded(lambda: task(cfg, line))
        if not jobs.end(code):
            sys.exit(code)

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would otherwise print with exit code 1
    working("composing the configuration")
    try:
        with watched(), own_options(own):
            _hydra_main(config_name)(app)()
    except ConfigError as error:
        sys.exit(_fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # Hydra raises ValueError, AttributeError … as well for what was typed
        if not composing:
            jobs.close()
            raise
        _restore("HYDRA_FULL_ERROR", shown_before)
        from hpo_pipeline.config.diagnosis import diagnose

        with watched(), own_options(own):
            sys.exit(_fail(ConfigError(diagnose(config_name, line, error, preflight_problems))))
    if code := jobs.close():
        sys.exit(code)


def _typed(argv: list[str]) -> CommandLine:
    """The command line. A relative --config-path means a folder below the current one: made absolute for Hydra."""
    arguments = get_args_parser().parse_intermixed_args(argv[1:])
    # Hydra 1.3 understands no flag between overrides.
    argv[1:] = [*arguments.overrides, *(word for word in argv[1:] if word not in arguments.overrides)]
    if getattr(arguments, "experimental_rerun", None):
        sys.exit("--experimental-rerun unpickles a file, which could run anything; use --config-path … --config-name …")
    path = arguments.config_path
    if path and "://" not in path and Path(path).is_dir():
        whole = str(Path(path).absolute())
        argv[:] = [{path: whole, f"--config-path={path}": f"--config-path={whole}"}.get(word, word) for word in argv]
    return CommandLine(
        argv[0],
        tuple(arguments.overrides),
        arguments.config_dir,
        path,
        arguments.config_name,
        searchpath_of(arguments.overrides),
    )


def preflight_problems(cfg: DictConfig) -> list[Problem]:
    """What is wrong with a composed config, besides what couldn't be composed."""
    from hpo_pipeline.preflight import check_study, check_training

    try:
        composed = compose(cfg)
        check = check_study if "scheduler" in composed.config else check_training
        check(composed, data=False)  # nothing is downloaded for a command line that is wrong
    except ConfigError as error:
        return error.problems
    return []


def _guarded(task: Callable[[], int]) -> int:
    try:
        with in_our_words():
            return task()
    except (ConfigError, StudyError) as error:
        return _fail(error)


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """Turns what a person can mend, of what other libraries raise, into errors of ours."""
    try:
        yield
    except YAMLError as error:  # in a file that is read only now: an option that the search space chooses from
        raise ConfigError(told(error)) from None
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        what = f"{error.strerror}; allow more (ulimit -n) or take fewer workers, then resume=true"
        raise StudyError(what) from None


def _fail(error: ConfigError | StudyError) -> int:
    """Says what is wrong; returns the exit code."""
    if isinstance(error, StudyError):
        print(mask(str(error)), file=sys.stderr)
        return 2
    count = len(error.problems)
    print(f"{count} problem{'s' if count != 1 else ''} in the configuration:", file=sys.stderr)
    for line in error.lines:
        print(f"  {mask(line)}", file=sys.stderr)
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


def compose(cfg: DictConfig, line: CommandLine | None = None) -> Composed:
    """Plain data from here on. Interpolations are resolved; those inside the training part follow each sample.

    Args:
        cfg: what Hydra composed just now.
        line: what was typed.

    Returns:
        The composed config; what is wrong with it so far is among its `problems`.
    """
    now = composition()
    program = "tune" if "scheduler" in cfg else "train"
    cfg = without_hydra(cfg)
    older = brought_up_to_date(cfg)
    config, problems = resolved_as_far_as_possible(cfg)
    public = shown(cfg, config)
    problems += schema.root_problems(config, program)
    problems += schema.folder_problems(config["folder"])
    problems += containment_problems(config, now.is_typed)
    trust_typed_command(now.typed)
    notes = older + without_download(config, public, now.is_typed)
    runtime = HydraConfig.get()
    if runtime.mode == RunMode.MULTIRUN:  # all jobs of a multirun have the same time stamp
        for key in ("name", "folder"):
            config[key] = f"{config[key]}-{runtime.job.num}"
    executor = config.get("executor")
    if isinstance(executor, dict):  # what was set there is what trials run with, and what re-running one needs
        threads = executor.get("threads_per_worker", executor.get("threads"))
        if isinstance(threads, int) and threads >= 1:  # else the executor says what is wrong with it
            config["threads"] = threads
    chosen = runtime.runtime.choices.items()
    choices = {str(group): option for group, option in chosen if "/" not in str(group) and option is not None}
    listed = {group: options for group, options in now.several.items() if len(options) > 1 or group not in choices}
    choices = config["choices"] = {**(config["choices"] or {}), **choices, **listed}
    problems = [explained(problem, choices) for problem in problems]
    notes += without_use(line.folders() if line else [], choices)
    if isinstance(config.get("search_space"), dict):
        notes += _pinned(config, public, choices, now, problems)
    if program == "tune" and not config["resume"]:
        notes += _narrowed(config, public, now, problems)
    public = masked(public | {key: config[key] for key in config if key not in public or key in _SETTLED})
    changes: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    try:
        changes, options = changes_of(config, public, choices), options_of(config, choices)
    except ConfigError as error:
        problems += error.problems
    return Composed(
        config=config,
        public=public,
        merge=merger(cfg, config),
        typed=[mask(str(override)) for override in OmegaConf.to_container(runtime.overrides.task, resolve=False) or ()],
        line=line or CommandLine(),
        changes=changes,
        options=options,
        notes=notes,
        log_levels=log_levels(runtime),
        problems=problems,
    )


def compose_study(cfg: DictConfig, line: CommandLine) -> Composed:
    """The same of a study, which may go on with one that is there already.

    Raises:
        ConfigError, StudyError: it is to go on with one, and can't (resuming.py).
    """
    from hpo_pipeline.config.resuming import resumed

    composed = compose(cfg, line)
    return resumed(composed) if composed.config["resume"] else composed


def _narrowed(config: dict[str, Any], public: dict[str, Any], now: Composition, problems: list[Problem]) -> list[str]:
    """Narrows the search space around the winner that is named, if one is; returns what people should know of it."""
    if config["search_around"] is None and not now.is_typed("factor"):
        return []
    from hpo_pipeline.config.around import narrow

    try:
        return narrow(config, public, factor_is_typed=now.is_typed("factor"))
    except ConfigError as error:
        problems += error.problems
        return []


_SETTLED = ("name", "folder", "threads", "choices")
"""Root keys that have other values here than Hydra composed."""


def _pinned(
    config: dict[str, Any], public: dict[str, Any], choices: dict[str, str], now: Composition, problems: list[Problem]
) -> list[str]:
    """Puts typed values in place of what tunes them, in both configs; returns what people should know of it."""
    overrides = [override for override in now.typed if not override.is_delete() and not override.is_sweep_override()]
    typed = [path for override in overrides for path in flatten({override.key_or_group: override.value()})]
    given = {override.key_or_group: override.value() for override in overrides}
    meant = pinning_paths(given, typed)
    for tree in (public, config):
        tree["search_space"] = with_group_choices(tree["search_space"], choices)
    # An option that is typed is the group's value here.
    values, shown_values = ({path: choices.get(path, at(tree, path)) for path in meant} for tree in (config, public))
    pin(public["search_space"], shown_values, typed)
    found, notes = pin(config["search_space"], values, typed)
    problems += found
    files = [(layer.path, layer.group, layer.content) for layer in now.layers if not (layer.is_ours or layer.is_saved)]
    return [*notes, *without_effect(config["search_space"], files, typed)]
