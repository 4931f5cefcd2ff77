"""The search space, and whether the objective takes the values that trials will get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hpo_pipeline import replay
from hpo_pipeline.config.composed import Composed, with_values
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.objective import Objective, SupportsCheck, SupportsModelCheck
from hpo_pipeline.preflight.collected import Preflight
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.config_paths import path_problems
from hpo_pipeline.space.domain import text
from hpo_pipeline.space.extremes import extreme_samples
from hpo_pipeline.tree import flatten
from hpo_pipeline.trial import Config, Value

NO_SPACE = SearchSpace(())
"""Stands in for a space that is wrong, so that the rest is checked as well."""


def search_space(flight: Preflight, composed: Composed, objective: Any) -> SearchSpace | None:
    """The space, once all is noted that is wrong with it and with what trials would get; None where there is none.

    What the config has no place for isn't in it.
    """
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
    check_config(flight, composed, objective, training)
    if space is not None:
        misplaced = path_problems(space.parameters, training, composed.options)
        flight.problems += [problem.under("search_space") for problem in misplaced]
        space = space.without({problem.path for problem in misplaced})
        before = len(flight.problems)
        _check_options(flight, composed, space)
        is_clean = len(flight.problems) == before  # else no config can be made of a sample
        if isinstance(objective, SupportsCheck) and is_clean:
            flight.attempt(lambda: _check_values(flight, composed, space, objective.problems))
            check_models(flight, objective, _midpoints(composed, space))
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


def check_config(flight: Preflight, composed: Composed, objective: Objective | None, config: dict[str, Any]) -> None:
    """Has the objective look at the training config, with each option of a group that the space chooses."""
    if isinstance(objective, SupportsCheck):
        variants = [{group: node} for group, options in composed.options.items() for node in options.values()]
        # A training may go on beyond max_resource.
        longest = max(composed.config["max_resource"], composed.config.get("resource", 0))
        for variant in variants or [{}]:
            found = objective.problems({**config, **variant, "max_resource": longest})
            flight.problems += ConfigError(found).problems


def check_models(flight: Preflight, objective: Any, configs: Iterable[dict[str, Any]]) -> None:
    """Has the objective run each of the models once."""
    if not isinstance(objective, SupportsModelCheck):
        return
    models: list[Any] = []
    for config in configs:
        if config["model"] not in models:
            models.append(config["model"])
            flight.problems += ConfigError(objective.model_problems(config)).problems
