"""Jobs trained in packs, each as one program: many small networks at the price of a few.

One pack of jobs in the tuner's own process, or several in worker processes. Checkpoints are those of the other
executors, so a trial can go on under any of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.checks import is_integer, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.processes import Processes
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import OwnProcess, check_numbers


class FusedExecutor(Pool):
    """Packs of jobs.

    Args:
        setup: the study's.
        devices: ids of the GPUs to spread the packs over; none for a study on the CPU.
        n_workers: packs at once. One trains in the tuner's own process, more in a worker process each. None for one a
            GPU, or one a core where there are none.
        pack_size: jobs at once in a pack, or "auto": as many as gain something, measured when the first trials are
            there, and as the memory holds.
        threads: threads that the training of one pack may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.
        job_timeout: seconds that a pack may take to its next report; None for no limit. Which trial of a
            pack hangs isn't known: they go on one by one.
        max_retries: how often a job goes on from its checkpoint after its worker process died.

    Raises:
        ConfigError: naming the keys.
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
        counts = {"n_workers": n_workers, "threads": threads}
        problems = check_numbers(counts, checkpoint_seconds, job_timeout, max_retries)
        size = None if pack_size == "auto" else pack_size
        if size is not None:
            problems += value_problems("'auto' or an integer of at least 1", lambda n: is_integer(n, 1), pack_size=size)
        if problems:
            raise ConfigError(problems)
        assert not isinstance(size, str)  # refused above
        pack = setup.pack(threads, checkpoint_seconds, size)
        processes = Processes(setup.objective, n_workers, devices)
        if processes.capacity == 1:
            super().__init__(setup, pack, OwnProcess(job_timeout))
        else:
            super().__init__(setup, pack, processes, job_timeout, max_retries)
