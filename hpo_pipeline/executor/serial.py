"""Jobs in the tuner's own process: for debugging with breakpoints, and for objectives that are free."""

from __future__ import annotations

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import PackSetup, Setup, discard_checkpoints
from hpo_pipeline.trial import Event, Job


class OwnProcess:
    """A pack of jobs, here; `wait` is where they train."""

    def __init__(self, setup: Setup, pack: PackSetup) -> None:
        self._setup = setup
        self._pack = Pack(pack)

    @property
    def capacity(self) -> int:
        return self._pack.size

    def submit(self, job: Job, recorded: int) -> None:
        self._pack.submit(self._setup.task(job, recorded))

    def wait(self, timeout: float | None = None) -> list[Event]:
        return self._pack.advance()

    def decide(self, trial_id: int, *, stop: bool) -> None:
        if stop:
            self._pack.stop(trial_id)

    def discard(self, trial_id: int) -> None:
        self._pack.forget(trial_id)
        discard_checkpoints(self._setup.folder, trial_id)

    def close(self) -> None:
        self._pack.clear()


class SerialExecutor(OwnProcess):
    """One job at a time, here.

    Args:
        setup: the study's.
        threads: threads that one training may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(self, setup: Setup, threads: int = 1, checkpoint_seconds: float = 30.0) -> None:
        problems = check_numbers(threads=threads, checkpoint_seconds=checkpoint_seconds)
        if problems:
            raise ConfigError(problems)
        super().__init__(setup, setup.pack(threads, checkpoint_seconds))


def check_numbers(*, checkpoint_seconds: float, **counts: int | None) -> list[str]:
    """What is wrong with the arguments of an executor. Counts (of workers, of threads) may be None."""
    problems = [
        f"{key}: must be an integer of at least 1, got {value!r}"
        for key, value in counts.items()
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1)
    ]
    wrong = isinstance(checkpoint_seconds, bool) or not isinstance(checkpoint_seconds, (int, float))
    if wrong or checkpoint_seconds <= 0:
        problems.append(f"checkpoint_seconds: must be a positive number, got {checkpoint_seconds!r}")
    return problems
