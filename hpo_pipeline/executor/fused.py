"""Jobs trained in packs, each as one program: many small networks at the price of a few.

Checkpoints are those of the other executors, so a trial can go on under any of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.executor.pool import Pool, check_arguments
from hpo_pipeline.executor.process import Processes
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import OwnProcess


class FusedExecutor(Pool):
    """One pack of jobs in the tuner's own process, or several in worker processes.

    Args:
        setup: the study's. Those that aren't named here are explained in `conf/executor/fused.yaml`.
        devices: ids of the GPUs to spread the packs over; none for a study on the CPU.
    """

    def __init__(
        self,
        setup: StudySetup,
        devices: Sequence[str] = (),
        n_workers: int | None = None,
        pack_size: int | str = 32,
        threads: int = 1,
        checkpoint_seconds: float = 30.0,
        job_timeout: float | None = None,
        max_retries: int = 1,
    ) -> None:
        check_arguments(checkpoint_seconds, job_timeout, max_retries, pack_size, n_workers=n_workers, threads=threads)
        pack = setup.pack(threads, checkpoint_seconds, None if pack_size == "auto" else int(pack_size))
        processes = Processes(setup.objective, n_workers, devices)
        if processes.capacity == 1:
            super().__init__(setup, pack, OwnProcess(job_timeout))
        else:
            super().__init__(setup, pack, processes, job_timeout, max_retries)
