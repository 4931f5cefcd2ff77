"""Population-based training on real checkpoints: a member goes on with another one's weights."""

import contextlib
from pathlib import Path

import pytest
from heard import rung_values
from pools import packs, setup

from hpo_pipeline.budget import Budget
from hpo_pipeline.executor.fused import FusedExecutor
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.journal import Journal, read
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, Notice, Report, Trial
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

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
    return SerialExecutor(
        StudySetup(objective, ("validation_loss",), folder, merge, trial_seed=lambda trial_id: trial_id)
    )


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


SPACE = SearchSpace.parse({"x": {"type": "float", "low": 0, "high": 1}})


class KilledError(BaseException):
    """The tuner's death: nothing is recorded of it."""


class Listens:
    def __init__(self):
        self.said = []

    def update(self, record):
        pass

    def say(self, notice):
        self.said.append(notice)


def session(made, dies_after=None, dies_of=KilledError):
    """A population of 4 over 9 steps, which may exploit each 3, and has a checkpoint after each step."""
    trials = TrialGenerator(RandomSearch(SPACE, 0), SPACE, 4)
    scheduler = PBT(trials, SPACE, seed=0, max_resource=9, population=4, interval=3, quantile=0.5)
    listener, answers, wait = Listens(), 0, made.wait

    def wait_or_die(timeout=None):
        nonlocal answers
        if answers == dies_after:
            raise dies_of
        answers += 1
        return wait(timeout)

    made.wait = wait_or_die
    with Journal(Path("journal.jsonl")) as journal:
        records = [record for record, _ in read(journal.path)]
        if not records:
            records = [
                {"event": "study", "name": "s", "id": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}
            ]
            journal.append(*records)
        tuner = Tuner(scheduler, trials, made, journal, StudyView(), Budget(n_trials=4), listeners=[listener])
        tuner.replay(records)
        with contextlib.suppress(KilledError):
            tuner.run()
    return [record for record, _ in read(Path("journal.jsonl"))], listener.said, answers


def table(records):
    """(trial, resource) -> value; where each member came from."""
    values = {(trial, resource): value for (resource, trial), value in rung_values(records, "resource").items()}
    sources = {(r["trial"], r["resource"]): r["source"] for r in records if r.get("source")}
    return values, sources


def together():
    return FusedExecutor(setup("Sum"), n_workers=1, pack_size=4, checkpoint_seconds=1e-9)


@pytest.mark.parametrize("dies_of", [KilledError, KeyboardInterrupt])
def test_a_population_with_checkpoints_on_the_way_comes_to_the_same_end_wherever_it_is_cut_off(dies_of):
    records, said, n = session(together())
    whole = table(records)
    assert len(whole[0]) == 12
    assert whole[1], "members have copied others"
    assert said == []
    for cut in range(n):
        for path in (Path("journal.jsonl"), *Path("trials").rglob("*.*")):
            path.unlink()
        session(together(), cut, dies_of)
        records, said, _ = session(together())
        assert table(records) == whole, f"cut off after {cut} answers"
        assert said == []


def test_a_population_in_workers_that_are_killed_comes_to_its_end():
    made = packs("Sum", n_workers=2, size=1, checkpoint_seconds=1e-9, max_retries=9)
    wait, answers = made.wait, 0

    def wait_and_kill(timeout=None):
        nonlocal answers
        events = wait(timeout)
        answers += 1
        if answers % 7 == 0:
            busy = [name for name, work in made._workers.items() if work.jobs]
            for name in busy[:1]:
                process = made._transport._workers[name].process
                process.kill()
                process.join()
        return events

    made.wait = wait_and_kill
    records, said, _ = session(made)
    values, sources = table(records)
    assert len(values) == 12
    assert sources
    assert any("retry 1 of 9" in line for line in said)
    assert [record["state"] for record in records if record["event"] == "end"] == ["completed"]


def test_a_member_keeps_its_own_weights_where_the_other_s_are_gone(tmp_path):
    made = SerialExecutor(setup("Sum"))
    for trial, x in enumerate((0.5, 0.25)):
        made.submit(Job(Trial(trial, {"x": x}), 1), 0)
        made.wait()
    made.discard(0)
    made.submit(Job(Trial(1, {"x": 0.0}), 2, source=(0, 1)), 1)
    notice, report, _ = made.wait()
    assert notice == Notice("trial 1 goes on with its own weights: trial 0 has no usable checkpoint")
    assert report.metrics["loss"] == -0.25
