"""Jobs in a pack: the same tables as one by one, refilled at once, each on its own when something is wrong."""

import pytest
from heard import rung_values

from hpo_pipeline.budget import Budget
from hpo_pipeline.executor.fused import FusedExecutor
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.pack_policy import PackPolicy
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.journal import Journal, read
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, Notice, Outcome, Report, Result, Trial
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

pytest.importorskip("torch")

TRAINING = {"_target_": "hpo_pipeline.objective.training.Training", "device": "cpu"}
SPACE = SearchSpace.parse(
    {
        "lr": {"type": "float", "low": 1e-3, "high": 0.3, "log": True},
        "batch_size": {"type": "choice", "choices": [16, 64]},
    }
)


def merge(_trial_id, sample):
    return {
        "seed": 0,
        "model": {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": 8, "n_units_2": 8},
        "dataset": {
            "_target_": "hpo_pipeline.dataset.digits.Digits",
            "batch_size": sample.get("batch_size", 32),
            "n_validation": 200,
        },
        "optimizer": {"_target_": "torch.optim.SGD", "lr": sample["lr"]},
    }


def setup(folder, merge=merge):
    return StudySetup(TRAINING, ("validation_loss",), folder, merge, trial_seed=lambda trial_id: trial_id)


def here(folder, n_workers=1, pack_size=32, merge=merge):
    return FusedExecutor(setup(folder, merge), n_workers=n_workers, pack_size=pack_size)


def study(folder, executor, scheduler, n_trials, max_total_resource=None):
    """The study's rung table: (rung, trial) -> value."""
    folder.mkdir(exist_ok=True)
    trials = TrialGenerator(RandomSearch(SPACE, 0), SPACE, n_trials)
    budget = Budget(n_trials=n_trials, max_total_resource=max_total_resource)
    header = {
        "event": "study",
        "name": "s",
        "id": "s",
        "metrics": [{"name": "validation_loss", "mode": "min"}],
        "time": 0.0,
    }
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(header)
        tuner = Tuner(scheduler(trials), trials, executor, journal, StudyView(), budget)
        tuner.replay([header])
        assert tuner.run().state == "completed"
    return rung_values((record for record, _ in read(folder / "journal.jsonl")), "rung")


def advanced(executor, *jobs):
    """Runs jobs to their ends; trial -> the values that it reported, trial -> its result."""
    values, results = {}, {}
    for job, recorded in jobs:
        executor.submit(job, recorded)
    while len(results) < len(jobs):
        for event in executor.wait():
            if isinstance(event, Report):
                values.setdefault(event.trial_id, []).append(event.metrics["validation_loss"])
            elif isinstance(event, Result):
                results[event.trial_id] = event
    return values, results


@pytest.mark.parametrize(("n_workers", "pack_size"), [(1, 3), (1, 8), (1, "auto"), (2, 4)])
def test_a_synchronous_study_has_the_same_rung_table_as_one_by_one(tmp_path, n_workers, pack_size):
    def halving(trials):
        return SuccessiveHalving(trials, eta=2, min_resource=1, max_resource=4)

    one_by_one = study(tmp_path / "serial", SerialExecutor(setup(tmp_path / "a")), halving, 8)
    packed = study(tmp_path / "fused", here(tmp_path / "b", n_workers, pack_size), halving, 8)
    assert packed == pytest.approx(one_by_one, rel=1e-3)


def test_a_trial_moves_between_executors_through_its_checkpoint(tmp_path):
    def jobs(resource, recorded):
        return [(Job(Trial(i, {"lr": 0.1 / (i + 1)}), resource), recorded) for i in range(3)]

    alone, _ = advanced(SerialExecutor(setup(tmp_path / "whole")), jobs(3, 0)[0])
    advanced(here(tmp_path / "moved"), *jobs(1, 0))
    second, _ = advanced(SerialExecutor(setup(tmp_path / "moved")), jobs(2, 1)[0])
    third, _ = advanced(here(tmp_path / "moved"), jobs(3, 2)[0])
    assert [*second[0], *third[0]] == pytest.approx(alone[0][1:], rel=1e-3)


def test_a_member_that_fails_fails_alone(tmp_path):
    def broken(trial_id, sample):
        config = merge(trial_id, sample)
        if trial_id == 1:
            config["optimizer"]["lr"] = "fast"
        return config

    jobs = [(Job(Trial(i, {"lr": 0.1}), 2), 0) for i in range(3)]
    values, results = advanced(here(tmp_path, merge=broken), *jobs)
    assert {i: result.outcome for i, result in results.items()} == {
        0: Outcome.DONE,
        1: Outcome.FAILED,
        2: Outcome.DONE,
    }
    assert len(values[0]) == len(values[2]) == 2
    assert "TypeError" in (tmp_path / "1" / "log.txt").read_text()


def test_trials_of_which_no_pack_can_be_trained_after_all_go_on_one_by_one(tmp_path, monkeypatch):
    from hpo_pipeline.objective.training import Training

    def refuse(self, states):
        raise ValueError("no")

    jobs = [(Job(Trial(i, {"lr": 0.1}), 2), 0) for i in range(3)]
    expected, _ = advanced(here(tmp_path / "a"), *jobs)
    monkeypatch.setattr(Training, "advance_pack", refuse)
    values, results = advanced(here(tmp_path / "b"), *jobs)
    assert {result.outcome for result in results.values()} == {Outcome.DONE}
    assert values[0] == pytest.approx(expected[0], rel=1e-3)


def test_a_pack_that_is_too_large_for_the_memory_is_halved(tmp_path, monkeypatch):
    from hpo_pipeline.objective.training import Training

    advance_pack, sizes = Training.advance_pack, []

    def limited(self, states):
        sizes.append(len(states))
        if len(states) > 2:
            raise RuntimeError("out of memory")
        return advance_pack(self, states)

    monkeypatch.setattr(Training, "advance_pack", limited)
    monkeypatch.setattr(Training, "pack_gain", lambda self, states: 9.0)
    jobs = [(Job(Trial(i, {"lr": 0.1}), 1), 0) for i in range(4)]
    _, results = advanced(here(tmp_path), *jobs)
    assert {result.outcome for result in results.values()} == {Outcome.DONE}
    assert sizes == [4, 2, 2]


@pytest.mark.parametrize(("size", "sizes"), [(2, [4, 2]), (8, [4, 8])])
def test_an_automatic_pack_begins_with_four_jobs_and_has_the_size_that_was_measured_then(
    tmp_path, monkeypatch, size, sizes
):
    from hpo_pipeline.objective.training import Training

    class Cost:
        best_size = staticmethod(lambda sharing: size)
        gain = staticmethod(lambda size: 2.0)
        describe = staticmethod(lambda: "measured")

    monkeypatch.setattr(Training, "pack_cost", lambda self, states: Cost)
    monkeypatch.setattr(Training, "pack_gain", lambda self, states: 2.0)
    executor = here(tmp_path, pack_size="auto")
    seen, texts, submitted, running = [], [], 0, 0
    while submitted < 12 or running:
        while submitted < 12 and running < executor.capacity:
            executor.submit(Job(Trial(submitted, {"lr": 0.1}), 1), 0)
            submitted, running = submitted + 1, running + 1
        seen.append(running)
        events = executor.wait()
        texts += [event.text for event in events if isinstance(event, Notice)]
        running -= sum(isinstance(event, Result) for event in events)
    assert seen[:2] == sizes
    assert texts == [f"packs of at most {size}: measured"]


def test_several_automatic_packs_have_the_size_that_the_first_one_has_measured(tmp_path):
    executor = here(tmp_path, n_workers=2, pack_size="auto")
    assert executor.capacity == 4
    _, results = advanced(executor, *[(Job(Trial(i, {"lr": 0.1}), 1), 0) for i in range(4)])
    assert {result.outcome for result in results.values()} == {Outcome.DONE}
    executor.close()
    assert executor.capacity in {2 * 1, *(2 * 2**i for i in range(2, 9))}


def test_what_is_faster_one_by_one_is_trained_one_by_one(tmp_path, monkeypatch):
    from hpo_pipeline.objective.training import Training

    monkeypatch.setattr(Training, "pack_gain", lambda self, states: 0.9)
    monkeypatch.setattr(Training, "advance_pack", lambda self, states: pytest.fail("trained in a pack"))
    _, results = advanced(here(tmp_path), *[(Job(Trial(i, {"lr": 0.1}), 1), 0) for i in range(3)])
    assert len(results) == 3


def test_an_objective_without_packs_runs_as_usual(tmp_path):
    function = {"_target_": "hpo_pipeline.objective.function.Function"}
    plain = StudySetup(
        function, ("validation_error",), tmp_path, lambda _i, s: {"optimizer": s}, trial_seed=lambda i: i
    )
    executor = FusedExecutor(plain, n_workers=1, pack_size=2)
    for i in range(2):
        executor.submit(Job(Trial(i, {"lr": 0.1}), 2), 0)
    events = [event for _ in range(4) for event in executor.wait()]
    assert sum(isinstance(event, Result) for event in events) == 2


def test_asha_keeps_a_pack_of_eight_nine_tenths_full(tmp_path, monkeypatch):
    packs = []
    advance = Pack._advance
    monkeypatch.setattr(Pack, "_advance", lambda self, group: packs.append(len(group)) or advance(self, group))
    monkeypatch.setattr(PackPolicy, "n_packed", lambda self, objective, key, states: len(states))
    executor = here(tmp_path / "t", pack_size=8)
    study(tmp_path / "s", executor, lambda trials: ASHA(trials, 3, 1, 9), None, max_total_resource=150)
    assert sum(packs) / (8 * len(packs)) >= 0.9
