"""Jobs in worker processes on this machine, one a worker."""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.executor.pool import Pool, check_arguments
from hpo_pipeline.executor.processes import Processes
from hpo_pipeline.executor.runner import StudySetup


class ProcessExecutor(Pool):
    """A pool of worker processes, each with one job at a time.

    Args:
        setup: the study's. Those that aren't named here are explained in `conf/executor/process.yaml`.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
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
        check_arguments(
            checkpoint_seconds, job_timeout, max_retries, n_workers=n_workers, threads_per_worker=threads_per_worker
        )
        processes = Processes(setup.objective, n_workers, devices)
        super().__init__(setup, setup.pack(threads_per_worker, checkpoint_seconds), processes, job_timeout, max_retries)
