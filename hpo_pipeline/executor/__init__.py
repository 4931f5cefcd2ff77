"""Executors run jobs somewhere: in this process, in worker processes, on a simulated clock. The interface is here.

Serial, Process, ...     what a config chooses: a pool over which transport, and how many jobs a pack has
Pool                     who gets which job, and what becomes of those of a lost worker (`pool.py`)
Transport                what a pool needs of the place where its workers are (`transport.py`)
OwnProcess, Processes    that place: the tuner's process, other ones (`serial.py`; `process.py`)
Actors                   or a cluster's nodes (`ray.py`, `ray_actors.py`), and how they are reached (`remote/`)
Pack                     what a worker does: jobs one by one or together (`worker.py`, `pack.py`, `pack_policy.py`)
Checkpoints              the store of what jobs go on from (`checkpoints.py`)
Simulated                jobs that take no time (`simulated.py`)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hpo_pipeline.trial import Event, Job


@dataclass(frozen=True, slots=True)
class Load:
    """What there is on a node. `workers`: those that are ready; `jobs`: at work there."""

    workers: int
    jobs: int


def load_text(nodes: Mapping[str, Load]) -> str:
    """`workers: a 4 (4 jobs), b 2 (1 job)`; empty if there are no nodes."""
    said = [
        f"{name} {load.workers} ({load.jobs} {'job' if load.jobs == 1 else 'jobs'})" for name, load in nodes.items()
    ]
    return f"workers: {', '.join(said)}" if said else ""


class Executor(Protocol):
    """Where jobs run.

        submit(job) ...; wait() -> [Report, ...]; cancel(trial) ...; wait() -> [Report, Result]

    A job's last Report and its Result come in one answer of `wait`, after its checkpoint was written.

    Attributes:
        capacity: jobs that can run at once. It may change while `wait` is at work: a pack finds out what it can
            take, a worker dies. If it shrinks, nothing is taken away that runs already.
        works_in_wait: whether `wait` itself does the work: nothing goes on beside it, and nothing can wake it.
        is_simulated: whether its clock is a simulated one.
        grows: whether capacity may come by itself, from nothing too: `wait` waits for it.
    """

    works_in_wait: bool = False
    is_simulated: bool = False
    grows: bool = False

    @property
    def capacity(self) -> int: ...

    def clock(self) -> float:
        """Seconds since the epoch; simulated time where nothing takes real time. Whoever inherits has the system's."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that no change of the system's clock moves, to count durations with."""
        return time.monotonic()

    def open(self) -> None:
        """Finds the place where jobs are to run; once, before anything is recorded, and when no other tuner is at work.

        Raises:
            StudyError: it isn't there.
        """
        return

    def nodes(self) -> Mapping[str, Load]:
        """The machines that workers are on, by name, where there may be several; otherwise none."""
        return {}

    def begin_after(self, seconds: float) -> None:
        """A resumed study's records end at that time: a simulated clock goes on from there. Nothing is at work yet."""

    def submit(self, job: Job, recorded: int) -> None:
        """Starts a job. At most `capacity` run at once; a trial has at most one.

        Args:
            job: what to do.
            recorded: the trial's resource according to the journal. It goes on from there, or from an earlier
                checkpoint where a crash left none for it, the study's or that of a worker with several jobs (and then
                reports again what is recorded).
        """

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Blocks until something is reported (at most `timeout` seconds) and returns it, oldest first.

        Whatever a trial does, its job has a Result in the end, and nothing is raised but the study's own interrupt.
        A job that reported at one of its `milestones` is at rest until the next call. So whatever the events lead to,
        cancelled and new jobs, is handed over before it.
        """

    def wake(self) -> None:
        """Makes the `wait` that is under way answer early, if need be with no event, or else the next one.

        The one method that another thread may call.
        """

    def cancel(self, trial_id: int) -> None:
        """Ends the trial's job at any time, after the unit of resource that it is at, if it has one.

        Nothing more is reported of it, and its result is STOPPED, whatever became of it meanwhile.
        """

    def discard(self, trial_id: int) -> None:
        """The trial's checkpoint won't be needed any more."""

    def close(self) -> None:
        """Ends everything at once, running jobs too; safe to call twice."""
