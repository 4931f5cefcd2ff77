"""Whether the path of each parameter of a search space is there in the config that is tuned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hpo_pipeline.errors import Problem, nearest
from hpo_pipeline.space.domain import Choice, Constant, text
from hpo_pipeline.space.parameter import Parameter
from hpo_pipeline.space_tree import values_at


def path_problems(
    parameters: Iterable[Parameter],
    config: Mapping[str, Any],
    options: Mapping[str, Mapping[Any, Mapping[str, Any]]],
) -> list[Problem]:
    """Every parameter whose path is not in the config, or leads to a group where it must lead to a value.

    Args:
        config: the composed config: nested and plain.
        options: path of a choice that selects a config group -> its options -> what each is composed to. What exists
            only under an option that isn't given here is not checked.
    """
    problems = []
    whole = dict(values_at(config))
    for p in parameters:
        group = next((c for c in p.when if p.path.startswith(f"{c.parent}.")), None)
        trees = [("", whole)]
        if group:
            composed = options.get(group.parent, {})
            trees = [
                (f" with {group.parent}={text(value)}", dict(values_at(composed[value], f"{group.parent}.")))
                for value in group.values
                if value in composed
            ]
        for where, values in trees:
            if p.path not in values:
                # What a component is, `_target_`, is chosen by its group.
                near = nearest(p.path, [path for path in values if not path.endswith("_target_")])
                problems.append(Problem(p.path, f"not in the config that is tuned{where}{near}"))
            elif isinstance(values[p.path], Mapping) and not isinstance(p.domain, (Choice, Constant)):
                problems.append(Problem(p.path, "is a group of the config, not a value; tune one of its keys"))
    return problems
