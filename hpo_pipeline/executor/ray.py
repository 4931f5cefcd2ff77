"""Jobs on the nodes of a Ray cluster, which may come and go while a study runs.

RayExecutor    what a config chooses
Actors         the workers, as a pool's transport (`ray_actors.py`)
RayCluster     what is asked of Ray (`ray_cluster.py`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpo_pipeline.checks import is_positive, option_problems, value_problems
from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.executor.pool import Pool, check_arguments
from hpo_pipeline.executor.ray_actors import Actors
from hpo_pipeline.executor.ray_cluster import RayCluster, is_installed
from hpo_pipeline.executor.runner import StudySetup


class RayExecutor(Pool):
    """A pool of workers on a Ray cluster.

    Args:
        setup: the study's. Those that aren't named here are explained in `conf/executor/ray.yaml`.
        devices: ids of the GPUs of this machine; none for a study on the CPU.
    """

    def __init__(
        self,
        setup: StudySetup,
        devices: Sequence[str] = (),
        address: str | None = None,
        n_workers: int | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        resources: Mapping[str, float] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        pack_size: int | str = 1,
        threads_per_worker: int = 1,
        checkpoints: str = "auto",
        checkpoint_seconds: float = 30.0,
        job_timeout: float | None = None,
        max_retries: int = 3,
        heartbeat_timeout: float = 60.0,
    ) -> None:
        _check(address, num_cpus, num_gpus, resources, checkpoints, heartbeat_timeout)
        check_arguments(
            checkpoint_seconds,
            job_timeout,
            max_retries,
            pack_size,
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
        )
        need = {
            "CPU": float(threads_per_worker if num_cpus is None else num_cpus),
            "GPU": float(bool(devices) if num_gpus is None else num_gpus),
            **{name: float(amount) for name, amount in (resources or {}).items()},
        }
        if "://" in checkpoints:
            setup = replace(setup, checkpoints_url=checkpoints)
            try:
                setup.checkpoints  # noqa: B018 - that it can be opened
            except StudyError as error:
                raise ConfigError(Problem("checkpoints", str(error))) from None
        cluster = RayCluster(address, runtime_env or {}, (n_workers or 1) * need["CPU"])
        pack = setup.pack(threads_per_worker, checkpoint_seconds, None if pack_size == "auto" else int(pack_size))
        actors = Actors(cluster, setup, n_workers, need, heartbeat_timeout, checkpoints)
        super().__init__(setup, pack, actors, job_timeout, max_retries)


def _check(
    address: str | None,
    num_cpus: float | None,
    num_gpus: float | None,
    resources: Mapping[str, float] | None,
    checkpoints: str,
    heartbeat_timeout: float,
) -> None:
    """Looks at what other executors don't have.

    Raises:
        ConfigError: naming the keys.
    """
    amounts = {"num_cpus": num_cpus, "num_gpus": num_gpus}
    amounts |= {f"resources.{name}": amount for name, amount in (resources or {}).items()}
    problems = [
        *value_problems(
            "a number of at least 0",
            lambda n: is_positive(n) or n == 0,
            **{k: v for k, v in amounts.items() if v is not None},
        ),
        *value_problems("a positive number of seconds", is_positive, heartbeat_timeout=heartbeat_timeout),
        *([] if "://" in str(checkpoints) else option_problems(("auto", "tuner"), checkpoints=checkpoints)),
    ]
    if address is not None and (not isinstance(address, str) or not address or "//" in address):
        problems.append(Problem("address", "must be null, auto, or host:port of the cluster's head", address))
    if not is_installed():
        problems.append(Problem("", 'needs Ray, which isn\'t installed; pip install "hpo_pipeline[ray]"'))
    if problems:
        raise ConfigError(problems)
