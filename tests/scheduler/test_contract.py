"""Every scheduler is held to the contract that anyone's own one is held to."""

import pytest
from components import SCHEDULERS

from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.testing import ContractError, check_scheduler


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
