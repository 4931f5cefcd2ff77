"""Executors run jobs somewhere: in this process, in worker processes. The interface is here.

Pack                     jobs in one process, one or a pack at a time (`pack.py`, `pack_policy.py`, `isolation.py`)
Checkpoints              what jobs go on from (`checkpoints.py`)
OwnProcess, Pool         one pack in the tuner's process; one in each of several workers (`serial.py`, `pool.py`)
Processes                the workers themselves, and their end (`processes.py`, `worker.py`, `guardian.py`)
Serial, Process, Fused   what a config chooses: where, and how many jobs a pack has
"""

from __future__ import annotations

from typing import Protocol

from hpo_pipeline.trial import Event, Job


class Executor(Protocol):
    """Where jobs run.

        submit(job) ...; wait() -> [Report, ...]; decide(trial, stop=False); ...; wait() -> [Report, Result]

    A job's last Report and its Result come in one answer of `wait`, after its checkpoint was written.

    Attributes:
        capacity: jobs that can run at once. It may change while `wait` is at work: a pack finds out what it can
            take, a worker dies. If it shrinks, nothing is taken away that runs already.
    """

    @property
    def capacity(self) -> int: ...

    def submit(self, job: Job, recorded: int) -> None:
        """Starts a job. At most `capacity` run at once; a trial has at most one.

        Args:
            job: what to do.
            recorded: the trial's resource according to the journal. It goes on from there, or from an earlier
                checkpoint where a crash left none for it, the study's or that of a worker with several jobs (and then
                reports again what is recorded).
        """
        ...

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Blocks until something is reported (at most `timeout` seconds) and returns it, oldest first.

        Whatever a trial does, its job has a Result in the end, and nothing is raised but the study's own interrupt.
        All that is to be decided, and all new jobs, are handed over before the next call: packs wait for that.
        """
        ...

    def decide(self, trial_id: int, *, stop: bool) -> None:
        """The answer to a report at one of the job's `milestones`: go on, or end there with a STOPPED result."""
        ...

    def discard(self, trial_id: int) -> None:
        """The trial's checkpoint won't be needed any more."""
        ...

    def close(self) -> None:
        """Ends everything at once, running jobs too; safe to call twice."""
        ...
