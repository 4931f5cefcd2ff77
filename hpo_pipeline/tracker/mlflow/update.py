"""What is added to one of MLflow's runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

RunKey = int | None
"""Of a study, or of a training, there is the run None; of a trial its id."""


class Point(NamedTuple):
    """One metric record; `time` in milliseconds since the epoch."""

    key: str
    value: float
    time: int
    step: int


@dataclass(slots=True)
class Update:
    """What is to be added to one run.

    Attributes:
        created: (name of the run, milliseconds) if the run is new.
        files: text artifacts, name -> content.
        status: (MLflow's status, milliseconds), the latest of several.
    """

    created: tuple[str, int] | None = None
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Point] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    status: tuple[str, int] | None = None

    def add(self, later: Update) -> None:
        self.created = self.created or later.created
        self.params |= later.params
        self.metrics += later.metrics
        self.tags |= later.tags
        self.files |= later.files
        self.status = later.status or self.status


def milliseconds(time: float) -> int:
    return round(time * 1000)
