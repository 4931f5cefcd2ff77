"""What keeps a command from being run with a config, and what of the config it would never get to know."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import Problem, nearest
from hpo_pipeline.objective.program.template import PARAMS, Template
from hpo_pipeline.space_tree import values_at

_HERE = "objective.command"
_GROUPS = ("params", "model", "dataset", "optimizer", "lr_schedule")


def command_problems(template: Template, config: Mapping[str, Any], own: Collection[str]) -> Iterator[Problem]:
    """Every one, as far as it is known before the program runs.

    Args:
        config: a training's, with the values of a trial.
        own: placeholders that always have a value.
    """
    program = template.program
    if shutil.which(program) is None:
        what = f"there is no program {program!r}; is it installed, or in this folder (./{program})?"
        if Path(program).is_file():
            what = f"{program!r} can't be run; allow it (chmod +x {program}), or name its interpreter before it"
        yield Problem(_HERE, what)
    values = dict(values_at(config))
    leaves = [path for path, value in values.items() if not isinstance(value, Mapping)]
    for name in template.names:
        if name in PARAMS or name in own:
            continue
        if name not in values:
            yield Problem(
                _HERE, f"there is no {{{name}}} in a trial's config{nearest(name, [*leaves, *own, 'params'])}"
            )
        elif values[name] is None:
            yield Problem(_HERE, f"{{{name}}} has no value in some trials; {{params}} leaves out what isn't there")
    yield from _unused(template.names, leaves)


def _unused(names: Collection[str], leaves: Collection[str]) -> Iterator[Problem]:
    """What was chosen, or is tuned, and no placeholder stands for."""
    for path in leaves:
        group, dot, _ = path.partition(".")
        if not dot or group not in _GROUPS or path.endswith("_target_"):
            continue
        among = {"config", *(PARAMS if group == "params" else ())}
        if not among & set(names) and not any(name == path or path.startswith(f"{name}.") for name in names):
            others = "{params} for all of them" if group == "params" else "{config} for a file with all that there is"
            yield Problem(path, f"the program wouldn't get it; add {{{path}}} to {_HERE}, or {others}")
