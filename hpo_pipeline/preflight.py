"""Checks a whole config before anything starts, and builds its components: every error at once, or none.

Both checks raise a ConfigError with every problem. With `data`, they make sure that the data is there, too, which may
download, and raise a StudyError if it isn't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hpo_pipeline import replay
from hpo_pipeline.budget import Budget
from hpo_pipeline.build import build, takes
from hpo_pipeline.checks import option_problems
from hpo_pipeline.config.composed import Composed, flatten, with_values
from hpo_pipeline.config.hydra_keys import name_problems
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.evaluation import MODES
from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.metric_checks import metric_problems, required_metrics, searcher_for_metrics
from hpo_pipeline.objective import (
    Objective,
    SupportsCheck,
    SupportsData,
    SupportsDevices,
    SupportsModelCheck,
    SupportsTest,
)
from hpo_pipeline.ranking import ranking_of
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.finalists import NO_FINALISTS, FinalistSettings, finalist_settings
from hpo_pipeline.searcher.scalarised import Scalarised
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.config_paths import path_problems
from hpo_pipeline.space.domain import text
from hpo_pipeline.space.extremes import extreme_samples
from hpo_pipeline.tracker import Tracker, registry_problems, tracker_nodes
from hpo_pipeline.trial import Config, Value
from hpo_pipeline.warm_start import WarmStart, component, warm_start

_MOST_THREADS = 1024
"""Of one training: where a process can't have as many, the threads' library ends it without a word."""
_NO_SPACE = SearchSpace(())
"""Stands in for a space that is wrong, so that the rest is checked as well."""


@dataclass(frozen=True, slots=True)
class Components:
    """A study's parts, built and ready; none of them has started anything."""

    space: SearchSpace
    trials: TrialGenerator
    scheduler: Scheduler
    objective: Objective
    executor: Executor
    trackers: list[Tracker]
    budget: Budget
    finalists: FinalistSettings
    earlier: WarmStart | None


@dataclass
class Preflight:
    """Collects problems while it builds, besides those that are `known` from composing."""

    config: dict[str, Any]
    known: list[Problem]
    problems: list[Problem] = field(default_factory=list)

    def build(self, group: str, **offered: Any) -> Any:
        """The component of a group, or None after noting what is wrong with it."""
        return self.built(group, self.config.get(group), **offered)

    def built(self, group: str, node: Any, path: str | None = None, **offered: Any) -> Any:
        """The same, of a node that stands at `path`, if not at the group's own."""
        try:
            return build(node, group, **offered)
        except ConfigError as error:
            found = error.problems
        except Exception as error:  # whatever somebody's own code may raise
            reason = " ".join(str(error).split())
            found = [Problem("", f"{node['_target_']} can't be made ({type(error).__name__}: {reason})")]
        self.problems += [
            problem.under(path or group) for problem in found if not self._is_a_root_keys(problem.path, node)
        ]
        return None

    def _is_a_root_keys(self, key: str, node: Any) -> bool:
        """Whether the node's key refers to a root key of that name, which has a problem already."""
        known = any(problem.path == key for problem in [*self.known, *self.problems])
        return known and isinstance(node, dict) and node.get(key, ...) == self.config.get(key)

    def trackers(self, *, look: bool) -> list[Any]:
        """The tracker, or several, each at its key; once it was made sure (`look`) that they can be written to."""
        made, register = [], self.config.get("register")
        for path, node in tracker_nodes(self.config).items():
            if (tracker := self.built("tracker", node, path, register=register)) is not None:
                made.append(tracker)
                self.problems += ConfigError(tracker.problems()).under(path).problems if look else []
        self.problems += registry_problems(register, made)
        return made

    def attempt(self, make: Callable[[], Any]) -> Any:
        """What `make` makes, or None after noting its problems."""
        try:
            return make()
        except ConfigError as error:
            self.problems += error.problems
            return None

    def numbers(self, *, least: int, keys: tuple[str, ...]) -> None:
        for key in keys:
            value = self.config[key]
            if value is not None and value < least:
                self.problems.append(Problem(key, f"must be at least {least}", value))

    def raise_problems(self) -> None:
        """Where a value was wrong from the start, nothing of what follows from that."""
        wrong = {problem.path for problem in self.known}
        others = [problem for problem in self.problems if problem.path not in wrong]
        if self.known or others:
            raise ConfigError([*self.known, *others])


def check_training(composed: Composed, *, data: bool = True) -> tuple[Objective, list[Tracker]]:
    """Builds what train.py needs."""
    flight = Preflight(composed.config, composed.problems)
    flight.numbers(least=1, keys=("resource",))
    objective = _training_part(flight, composed)
    _check_config(flight, composed, objective, composed.training)
    _check_models(flight, objective, [composed.training])
    trackers = flight.trackers(look=data)
    flight.raise_problems()
    assert objective is not None
    if data and isinstance(objective, SupportsData):  # before several workers ask for it at the same time
        objective.available(composed.training)
    return objective, trackers


def check_study(composed: Composed, *, data: bool = True) -> Components:
    """Builds a study's parts."""
    config = composed.config
    flight = Preflight(config, composed.problems)
    objective = _training_part(flight, composed)
    flight.numbers(least=1, keys=("n_trials", "max_total_resource", "max_seconds"))
    flight.numbers(least=0, keys=("max_failures",))
    budget = Budget(**{limit.name: config[limit.name] for limit in fields(Budget)})
    space = _space(flight, composed, objective)
    node, offered = component(config["searcher"]), {"space": space or _NO_SPACE, "seed": config["seed"]}
    searcher = flight.built("searcher", node, **offered)
    points = config["points_to_evaluate"]
    trials: TrialGenerator | None = None
    if space and searcher:
        compared = searcher_for_metrics(composed, searcher, lambda: build(node, "searcher", **offered))
        trials = flight.attempt(lambda: TrialGenerator(compared, space, budget.n_trials, points))
    if not budget.is_limited and not (searcher and searcher.finite):
        what = "no limit is set; give n_trials, max_total_resource, max_seconds or target"
        flight.problems.append(Problem("n_trials", what))
    ranking = ranking_of(composed.metrics)
    scheduler = flight.build("scheduler", trials=trials, space=space or _NO_SPACE, ranking=ranking, seed=config["seed"])
    finalists = flight.attempt(lambda: finalist_settings(config)) or NO_FINALISTS
    devices: list[str] = objective.devices() if isinstance(objective, SupportsDevices) else []
    executor = flight.build("executor", setup=_setup(composed), devices=devices)
    trackers = flight.trackers(look=data)
    earlier: WarmStart | None = None
    if data and space and searcher:
        earlier = flight.attempt(lambda: warm_start(searcher, config, space, composed.metrics[0], trackers))
    flight.raise_problems()
    assert space is not None
    assert trials is not None
    assert objective is not None
    if data and isinstance(objective, SupportsData):  # before several workers ask for it at the same time
        objective.available(composed.training)
    if earlier:
        trials.notes += earlier.notes
        if isinstance(compared, Scalarised):
            compared.begin_with(earlier.studies)
    return Components(space, trials, scheduler, objective, executor, trackers, budget, finalists, earlier)


def _training_part(flight: Preflight, composed: Composed) -> Objective | None:
    config = composed.config
    flight.problems += name_problems(config["name"])
    flight.numbers(least=0, keys=("seed", "trial"))
    flight.numbers(least=1, keys=("max_resource", "threads"))
    flight.problems += option_problems(MODES, mode=config["mode"])
    if config["threads"] > _MOST_THREADS:
        flight.problems.append(Problem("threads", f"must be at most {_MOST_THREADS}", config["threads"]))
    threads = min(max(1, config["threads"]), _MOST_THREADS)
    final, uri = config.get("final", False), replay.tracker_uri(config)
    made = flight.build("objective", threads=threads, final=final, tracker_uri=uri)
    objective: Objective | None = made
    if objective is None:
        return None
    flight.problems += _unmet_wishes(config, objective)
    flight.problems += metric_problems(composed, objective)
    return objective


def _check_config(flight: Preflight, composed: Composed, objective: Objective | None, config: dict[str, Any]) -> None:
    """Has the objective look at the training config, with each option of a group that the space chooses."""
    if isinstance(objective, SupportsCheck):
        variants = [{group: node} for group, options in composed.options.items() for node in options.values()]
        # A training may go on beyond max_resource.
        longest = max(composed.config["max_resource"], composed.config.get("resource", 0))
        for variant in variants or [{}]:
            found = objective.problems({**config, **variant, "max_resource": longest})
            flight.problems += ConfigError(found).problems


def _unmet_wishes(config: dict[str, Any], objective: Objective) -> Iterator[Problem]:
    """What a person has asked for and the objective has no use for."""
    node = config["objective"]
    if config.get("final", False) and not (takes(node, "objective", "final") and isinstance(objective, SupportsTest)):
        what = f"{node['_target_']} has no final training, which takes an argument `final` and a method `test`"
        yield Problem("final", f"{what}; leave final=true out")
    if config["threads"] > 1 and not takes(node, "objective", "threads"):
        yield Problem("threads", f"{node['_target_']} takes no threads, got {config['threads']}; leave them at 1")


def _space(flight: Preflight, composed: Composed, objective: Any) -> SearchSpace | None:
    before = len(flight.problems)
    tree = flight.attempt(lambda: replay.search_space(composed, objective))
    if not tree and len(flight.problems) == before:
        model = composed.training_choices.get("model", "none")
        what = f"there is none for {model}; add a file search_space/{model}.yaml to your --config-dir, or name one"
        if model == "none":
            what = (
                "there is none; say what to tune: '+search_space.params.x={type: float, low: 0, high: 1}', or name one"
            )
        flight.problems.append(Problem("search_space", f"{what}: search_space=…"))
    space = flight.attempt(lambda: SearchSpace.parse(tree)) if tree else None
    training = composed.training
    if space is not None:  # params need not be in the config before a sample is
        middle = space.midpoint()
        own = {p.path: middle.get(p.path) for p in space.parameters if p.path.startswith("params.")}
        training = with_values(training, own)
    _check_config(flight, composed, objective, training)
    if space is not None:
        misplaced = path_problems(space.parameters, training, composed.options)
        flight.problems += [problem.under("search_space") for problem in misplaced]
        space = space.without({problem.path for problem in misplaced})
        before = len(flight.problems)
        _check_options(flight, composed, space)
        is_clean = len(flight.problems) == before  # else no config can be made of a sample
        if isinstance(objective, SupportsCheck) and is_clean:
            flight.attempt(lambda: _check_values(flight, composed, space, objective.problems))
            _check_models(flight, objective, _midpoints(composed, space))
    return space


def _check_values(
    flight: Preflight,
    composed: Composed,
    space: SearchSpace,
    problems: Callable[[dict[str, Any]], Iterable[str | Problem]],
) -> None:
    """Has the objective look at values that trials will get, and says of each problem which value brings it."""
    known = set(map(str, flight.problems))
    causes: dict[str, tuple[Problem, str, Value]] = {}
    moved: set[str] = set()

    def new(sample: Config) -> dict[str, Problem]:
        found = ConfigError(problems(composed.trial_config(0, sample))).problems
        return {str(problem): problem for problem in found if str(problem) not in known}

    for path, sample in extreme_samples(space):
        for line, problem in new(sample).items():
            if line not in causes:
                causes[line] = (problem, *next(last for last, part in _parts(sample) if line in new(part)))
            if causes[line][1:] == (path, sample[path]):
                moved.add(line)
    enough = {causes[line][1] for line in moved}  # of these paths, the mid-points have nothing to add
    for line, (problem, path, value) in causes.items():
        if line in moved or path not in enough:
            what = problem.message if problem.value == value else problem.statement
            where = "" if problem.path == path else f"{problem.path}: "
            flight.problems.append(Problem(f"search_space.{path}", f"{text(value)}: {where}{what}"))


def _midpoints(composed: Composed, space: SearchSpace) -> Iterator[dict[str, Any]]:
    """The training config at the space's mid-point, and with each option of a group that the space chooses."""
    samples = [space.midpoint(), *(sample for path, sample in extreme_samples(space) if path in composed.options)]
    return (composed.trial_config(0, sample) for sample in samples)


def _check_models(flight: Preflight, objective: Any, configs: Iterable[dict[str, Any]]) -> None:
    """Has the objective run each of the models once."""
    if not isinstance(objective, SupportsModelCheck):
        return
    models: list[Any] = []
    for config in configs:
        if config["model"] not in models:
            models.append(config["model"])
            flight.problems += ConfigError(objective.model_problems(config)).problems


def _parts(sample: Config) -> Iterator[tuple[tuple[str, Value], Config]]:
    """The sample put together value by value: the path and value that were added last, and what there is then."""
    part: dict[str, Value] = {}
    for path, value in sample.items():
        part[path] = value
        yield (path, value), part


def _check_options(flight: Preflight, composed: Composed, space: SearchSpace) -> None:
    """A choice that selects a config group: its options must be there, and be right."""
    for group, options in composed.options.items():
        chosen = next(p.domain for p in space.parameters if p.path == group)
        for option in chosen.values():
            if option not in options:
                what = f"{option!r} is no option of the group {group}{nearest(str(option), options)}"
                mend = f"add {group}/{option}.yaml to your --config-dir"
                flight.problems.append(Problem(f"search_space.{group}", f"{what}; {mend}"))
        what = f"is set, but the search space chooses {group}; set it there for each option that has it"
        flight.problems += [
            Problem(path, what)
            for path in composed.changes
            if path.startswith(f"{group}.") and not _is_in_each(space, group, path, chosen.values(), options)
        ]


def _is_in_each(
    space: SearchSpace, group: str, path: str, chosen: Sequence[Value], options: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether the space has the path under each of the group's options that are chosen from and have such a key."""
    return all(
        any(p.path == path and all(c.parent != group or option in c.values for c in p.when) for p in space.parameters)
        for option in chosen
        if path.removeprefix(f"{group}.") in flatten(options.get(str(option), {}))
    )


def _setup(composed: Composed) -> StudySetup:
    config = composed.config
    return StudySetup(
        objective=config["objective"],
        metrics=tuple(required_metrics(composed)),
        folder=Path(config["folder"]) / "trials",
        merge=composed.trial_config,
        trial_seed=lambda trial_id: trial_seed(config["seed"], trial_id),
        best_by=composed.metrics[0],
        log_levels=composed.log_levels,
    )
