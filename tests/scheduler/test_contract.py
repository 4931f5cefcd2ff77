"""Every scheduler is held to the contract that anyone's own one is held to."""

import pytest

from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.scheduler.pasha import PASHA
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.testing import SPACE, ContractError, check_scheduler

SCHEDULERS = {
    "fifo": lambda trials: FIFO(trials, max_resource=4),
    "successive_halving": lambda trials: SuccessiveHalving(trials, eta=2, min_resource=1, max_resource=8),
    "asha promotion": lambda trials: ASHA(trials, eta=3, min_resource=1, max_resource=9),
    "asha stopping": lambda trials: ASHA(trials, eta=2, min_resource=1, max_resource=8, type="stopping"),
    "async hyperband": lambda trials: ASHA(trials, 3, 1, 9, brackets=3),
    "async hyperband stopping": lambda trials: ASHA(trials, 3, 1, 9, type="stopping", brackets=2),
    "hyperband": lambda trials: Hyperband(trials, eta=3, min_resource=1, max_resource=9),
    "median_stopping": lambda trials: MedianStopping(trials, max_resource=5, grace_period=2),
    "pasha": lambda trials: PASHA(trials, eta=2, min_resource=1, max_resource=16),
    "pbt": lambda trials: PBT(trials, SPACE, seed=0, max_resource=4, population=6),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("n_workers", range(1, 17))
def test_schedulers_keep_the_contract_with_every_number_of_workers(name, n_workers):
    check_scheduler(SCHEDULERS[name], n_workers, seed=n_workers)


def test_the_suite_catches_a_scheduler_that_goes_backwards():
    class Backwards(FIFO):
        def next_job(self):
            job = super().next_job()
            if getattr(job, "trial", None) and job.trial.id == 5:
                return type(job)(job.trial, 0)
            return job

    with pytest.raises(ContractError, match="has 0 already"):
        check_scheduler(lambda trials: Backwards(trials, 4), 2, seed=0)


def test_the_suite_catches_a_scheduler_that_is_not_deterministic():
    calls = []

    class Moody(FIFO):
        def __init__(self, trials):
            calls.append(None)
            super().__init__(trials, max_resource=len(calls))

    with pytest.raises(ContractError, match="same seed"):
        check_scheduler(Moody, 2, seed=0)
