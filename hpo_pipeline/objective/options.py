"""How a training computes: options of `objective=training` that a trial's config may each set anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from hpo_pipeline.checks import boolean_problems, integer_problems, is_positive, value_problems
from hpo_pipeline.errors import Problem
from hpo_pipeline.objective import precision as precisions


@dataclass(frozen=True, slots=True)
class Options:
    """Of one trial.

    Attributes:
        grad_clip: largest norm of a step's gradient; None is no limit.
        accumulate: batches for one optimizer step.
        precision: a key of `precision.PRECISIONS`.
        compile: whether steps run through torch.compile.
        patience: epochs without a better value of the study's metric after which the trial is over; None for never.
    """

    grad_clip: float | None = None
    accumulate: int = 1
    precision: str = "float32"
    compile: bool = False
    patience: int | None = None

    def of(self, config: Mapping[str, Any]) -> Options:
        """These, but for what a trial's config says."""
        node = config.get("objective") or {}
        return replace(self, **{field.name: node[field.name] for field in fields(self) if field.name in node})

    @property
    def why_alone(self) -> str:
        """Which of them a pack of trials can't have; empty if it can have all."""
        unusual = {"accumulate": self.accumulate > 1, "precision": self.precision != "float32", "compile": self.compile}
        return ", ".join(f"objective.{name} is {getattr(self, name)}" for name, is_so in unusual.items() if is_so)


def problems(node: Mapping[str, Any], device: torch.device | None) -> list[Problem]:
    """What is wrong with those that the node sets.

    Args:
        device: None if it is wrong itself.
    """
    default = Options()
    value = {field.name: node.get(field.name, getattr(default, field.name)) for field in fields(default)}
    found = value_problems(
        "a positive number or null", lambda x: x is None or is_positive(x), grad_clip=value["grad_clip"]
    )
    found += integer_problems(accumulate=value["accumulate"]) + boolean_problems(compile=value["compile"])
    found += [] if value["patience"] is None else integer_problems(patience=value["patience"])
    if device is not None:
        found += precisions.problems(value["precision"], device)
        if value["compile"] is True and device.type == "cpu" and not _has_compiler():
            what = "torch.compile needs a C++ compiler on the CPU, and there is no g++ or clang++; install one"
            found.append(Problem("compile", what))
    return found


def _has_compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ((named,) if named else ("g++", "clang++")))
