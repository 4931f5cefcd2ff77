"""Population-based training on real checkpoints: a member goes on with another one's weights."""

import pytest

from hpo_pipeline.executor.runner import Setup
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.trial import Job, Report, Trial

torch = pytest.importorskip("torch")

CONFIG = {
    "seed": 0,
    "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
    "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 64},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
}


def executor(folder):
    def merge(_trial_id, sample):
        return {**CONFIG, "optimizer": {**CONFIG["optimizer"], **sample}}

    objective = {"_target_": "hpo_pipeline.objective.training.Training", "device": "cpu"}
    return SerialExecutor(Setup(objective, "validation_loss", folder, merge, trial_seed=lambda trial_id: trial_id))


def losses(at_work, job, recorded=0):
    at_work.submit(job, recorded)
    seen = []
    while events := at_work.wait():
        seen += [event.metrics["validation_loss"] for event in events if isinstance(event, Report)]
    return seen


def test_a_member_goes_on_with_the_weights_of_another_and_its_own_configuration(tmp_path):
    at_work = executor(tmp_path)
    good, bad = Trial(0, {"lr": 0.1}), Trial(1, {"lr": 1e-6})
    (best,) = losses(at_work, Job(good, 1))
    (worst,) = losses(at_work, Job(bad, 1))
    # With a learning rate of nothing the weights stay what they were copied as.
    (copied,) = losses(at_work, Job(Trial(1, {"lr": 0.0}), 2, source=(0, 1)), recorded=1)
    assert copied == best
    assert worst > best


def test_the_other_s_checkpoint_may_be_gone_when_the_job_is_handed_out_again(tmp_path):
    at_work = executor(tmp_path)
    job = Job(Trial(1, {"lr": 0.0}), 2, source=(0, 1))
    (best,) = losses(at_work, Job(Trial(0, {"lr": 0.1}), 1))
    losses(at_work, Job(Trial(1, {"lr": 1e-6}), 1))
    at_work.submit(job, 1)  # copied, then cut off
    at_work.discard(0)
    assert losses(executor(tmp_path), job, recorded=1) == [best]


def test_a_member_may_copy_the_same_checkpoint_twice(tmp_path):
    at_work = executor(tmp_path)
    (best,) = losses(at_work, Job(Trial(0, {"lr": 0.1}), 1))
    losses(at_work, Job(Trial(1, {"lr": 1e-6}), 1))
    losses(at_work, Job(Trial(1, {"lr": 5.0}), 2, source=(0, 1)), recorded=1)
    assert losses(at_work, Job(Trial(1, {"lr": 0.0}), 3, source=(0, 1)), recorded=2) == [best]
