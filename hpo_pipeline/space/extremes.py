"""The samples that show most of what can be wrong with the values of a search space."""

from __future__ import annotations

from collections.abc import Iterator

from hpo_pipeline.space.parameter import Parameter
from hpo_pipeline.space.space import SearchSpace
from hpo_pipeline.trial import Value


def extreme_samples(space: SearchSpace) -> Iterator[tuple[str, dict[str, Value]]]:
    """For each parameter, mid-points of the others with each of its extreme values; its path and the sample.

    A parameter that isn't active at the mid-point of the space is looked at where its conditions hold. What the
    constraints forbid is left out.
    """
    for parameter in space.parameters:
        given = _activating(space, parameter)
        if not parameter.is_active(space.midpoint(given)):
            continue
        for value in parameter.domain.extremes:
            sample = space.midpoint({**given, parameter.path: value})
            if space.allows(sample):
                yield parameter.path, sample


def _activating(space: SearchSpace, parameter: Parameter) -> dict[str, Value]:
    """Values of its parents, and of theirs, with which `parameter` is active; a guess where conditions clash."""
    given: dict[str, Value] = {}
    wanted = [parameter]
    while wanted:
        for condition in wanted.pop().when:
            if condition.parent not in given and not condition.holds(space.midpoint(given)):
                given[condition.parent] = condition.values[0]
                wanted += [p for p in space.parameters if p.path == condition.parent][:1]
    return given
