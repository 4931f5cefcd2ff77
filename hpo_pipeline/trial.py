"""What a study is made of: trials, jobs, and what comes back from them. Frozen data, no behaviour.

Scheduler --Job--> Executor --Report, Report, ..., Result--> Scheduler --Decision, StateChange--> views
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = bool | int | float | str | None
"""What one hyperparameter can be: plain data, as it is written in YAML."""

Config = Mapping[str, Value]
"""One sample of a search space: path in the composed config -> value, e.g. `{"optimizer.lr": 0.003}`."""


class State(enum.Enum):
    """Where a trial stands. PAUSED can still be promoted; COMPLETED, STOPPED and FAILED are final."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


FINAL = frozenset({State.COMPLETED, State.STOPPED, State.FAILED})


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration under its number. Its random numbers follow from (study seed, id).

    Attributes:
        origin: where the configuration came from, for people ("uniform", "tree, near trial 12").
        first_rung: the rung to begin on, where the searcher has chosen it; None: where the scheduler begins it.
        repeats: the trial whose configuration it has, with another seed; None: it is one of its own.
    """

    id: int
    config: Config
    origin: str = ""
    first_rung: int | None = None
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Bring `trial` to `resource`: one rung evaluation.

    Attributes:
        resource: the cumulative resource to reach (epochs since the trial began, not since this job did).
        rung: index of the rung that reaching `resource` is an evaluation of.
        bracket: which bracket the rung belongs to.
        milestones: the resources on the way at which the scheduler may stop the trial. The worker waits for the
            answer there and nowhere else.
        source: (trial id, resource) of the checkpoint to go on from instead of the trial's own; its weights become
            this trial's, whose own count of resource goes on (population-based training).
        finalist: the search is over, and this is one of its best trials, or repeats one. No scheduler sets it.
    """

    trial: Trial
    resource: int
    rung: int = 0
    bracket: int = 0
    milestones: Sequence[int] = ()
    source: tuple[int, int] | None = None
    finalist: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A trial has been advanced by one unit of resource.

    Attributes:
        resource: cumulative.
        metrics: name -> value; may hold NaN and infinities.
        time: seconds since the epoch, when it happened.
        finished: why the trial is through with this report, whatever its job was to reach; empty while it goes on.
        node: the machine that it comes from; empty where there is but one.
    """

    trial_id: int
    resource: int
    metrics: Mapping[str, float]
    time: float
    finished: str = ""
    node: str = ""


class Outcome(enum.Enum):
    """How a job ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Result:
    """A job has ended and its place is free. `error` (one line) and `traceback` are empty if it went well.

    Attributes:
        finished: why the trial is through with its last report, of this job or an earlier one; empty if it isn't, or if
            that report says so.
        node: as in a report.
    """

    trial_id: int
    outcome: Outcome
    time: float
    error: str = ""
    traceback: str = ""
    finished: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people should know of how trials are run: one line. It changes nothing and is not recorded.

    Attributes:
        once: the same line is shown once only in a session.
    """

    text: str
    once: bool = False


Event = Report | Result | Notice


@dataclass(frozen=True, slots=True)
class Decision:
    """The scheduler's answer to a report.

    Attributes:
        stop: the trial ends here, for good.
        rung: the rung that this report is an evaluation of, or None if it is a point on the way.
        reason: why it was stopped, for people ("rung 1: rank 7 of 9, kept 3").
    """

    stop: bool = False
    rung: int | None = None
    reason: str = ""


CONTINUE = Decision()


@dataclass(frozen=True, slots=True)
class StateChange:
    """A trial's state has changed; `reason` is for people."""

    trial_id: int
    state: State
    reason: str = ""
