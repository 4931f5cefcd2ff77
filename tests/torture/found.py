"""Command lines and configs that once ended in a traceback, a hang or an unreadable message."""

from __future__ import annotations

import random
from typing import Any

from torture import commands_fuzz, preflight
from torture.case import Torture
from torture.overrides import Line
from torture.sandbox import Sandbox

LINES: tuple[Line, ...] = (
    Line(["~name"]),
    Line(["~seed"]),
    Line(["name=${seed}"]),
    Line(["seed=${oc.env:NOT_SET}"]),
    Line(["name=" + "a" * 300]),
    Line(["search_space.optimizer.lr={type: choice, choices: 5}"]),
    Line(["model._partial_=0.5"]),
    Line(["optimizer.betas={}"]),
    Line(["optimizer.betas=[]"]),
    Line(["lr_schedule=step", "max_resource=1000000"]),
    Line(["lr_schedule=cosine", "max_resource=1000000"]),
    Line(["scheduler._target_=hpo_pipeline.scheduler.Scheduler"]),
    Line(["model=mlp", "model.n_units_1=7"]),
    Line(["threads=100000"]),
    Line(["searcher=grid", "searcher.n_points=10000000000"]),
    Line(["~resume=0"]),
    Line(["seed=${oc.decode:'['}"]),
    Line(["+experiment=asha", "experiment=pbt"]),
    Line(["experiment=x"], {"experiment/x.yaml": "# @package _global_\nnull: 1\n"}),
    Line(["experiment=x"], {"experiment/x.yaml": "# @package a b\nseed: 1\n"}),
    Line(["experiment=x"], {"experiment/x.yaml": "# @package _global_\nmax_total_resource: abc\n"}),
    Line(["experiment=x"], {"experiment/x.yaml": "5\n"}),
)
CONFIGS: tuple[tuple[int, dict[str, Any]], ...] = (
    (0, {"scheduler.eta": {"_target_": "hpo_pipeline.scheduler.Scheduler", "self": {"url": "file://CANARY"}}}),
    (1, {"executor.n_workers": [{"_target_": "hpo_pipeline.objective.Objective"}]}),
    (4, {"objective.threads": {}}),
    (4, {"optimizer.betas": []}),
    (5, {"model._partial_": 1}),
    (5, {"max_resource": 999_999}),
    (0, {"tracker.\n": 1}),
    (0, {"search_space": {"optimizer": {"weight_decay": {"\n": {"_args_": ["CANARY"]}}}}}),
)
"""See preflight.py for what they mean."""


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    number %= len(LINES) + len(CONFIGS)
    if number < len(LINES):
        return commands_fuzz.check(LINES[number], sandbox, commands_fuzz.here(sandbox))
    with sandbox.entered():
        return preflight.check(CONFIGS[number - len(LINES)], str(sandbox.canary))


_ALL = len(LINES) + len(CONFIGS)
TORTURE = Torture("found", "configs that once failed", _ALL, _ALL, case)
