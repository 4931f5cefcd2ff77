"""Jobs in worker processes on this machine, one a worker."""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.processes import Processes
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import check_numbers


class ProcessExecutor(Pool):
    """A pool of worker processes, each with one job at a time.

    Args:
        setup: the study's.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
        n_workers: None for one a GPU, or one a core where there are none.
        threads_per_worker: threads that one training may use. Numbers don't depend on n_workers, but on this one.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.
        job_timeout: seconds without a report after which a worker is ended and its trial has failed; None for no limit.
        max_retries: how often a job goes on from its checkpoint after its worker process died.

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(
        self,
        setup: StudySetup,
        devices: Sequence[str] = (),
        n_workers: int | None = None,
        threads_per_worker: int = 1,
        checkpoint_seconds: float = 30.0,
        job_timeout: float | None = None,
        max_retries: int = 1,
    ) -> None:
        counts = {"n_workers": n_workers, "threads_per_worker": threads_per_worker}
        problems = check_numbers(counts, checkpoint_seconds, job_timeout, max_retries)
        if problems:
            raise ConfigError(problems)
        processes = Processes(setup.objective, n_workers, devices)
        super().__init__(setup, setup.pack(threads_per_worker, checkpoint_seconds), processes, job_timeout, max_retries)
