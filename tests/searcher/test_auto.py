"""Which searcher `auto` asks, and that all of them hear everything."""

import pytest
from heard import reached

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher.auto import AutoSearch
from hpo_pipeline.searcher.earlier import EarlierStudy, EarlierTrial
from hpo_pipeline.simulation import simulate
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, Trial

SPACE = SearchSpace.parse({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(2)})


def study(scheduler, n_trials=40, cuts=()):
    return simulate(
        scheduler,
        lambda _id, config, resource: sum(config.values()) + 1 / resource,
        budget=Budget(n_trials=n_trials),
        searcher=lambda space, seed: AutoSearch(space, seed, max_resource=9, n_startup=5),
        space=SPACE,
        interrupt_after=cuts,
    )


def models(outcome):
    """The first words of the trials' origins."""
    return {trial.origin.partition(",")[0] for trial in outcome.view.trials.values()}


@pytest.mark.parametrize(
    "scheduler",
    [
        lambda trials: ASHA(trials, 3, 1, 9),
        lambda trials: ASHA(trials, 3, 1, 9, type="stopping"),
        lambda trials: SuccessiveHalving(trials, 3, 1, 9),
    ],
    ids=["promotion", "stopping", "halving"],
)
def test_trials_that_are_trained_in_steps_are_proposed_by_trees(scheduler):
    assert models(study(scheduler, 27)) <= {"uniform", "tree"}


def test_trials_that_are_trained_at_once_are_proposed_by_a_gaussian_process_and_by_tpe():
    found = models(study(lambda trials: FIFO(trials, 9)))
    assert {"Gaussian process", "tpe"} <= found
    assert "tree" not in found


@pytest.mark.parametrize("scheduler", [lambda trials: ASHA(trials, 3, 1, 9), lambda trials: FIFO(trials, 9)])
def test_a_resumed_study_goes_on_as_if_it_had_never_ended(scheduler):
    assert study(scheduler, 24).suggested() == study(scheduler, 24, (23, 11)).suggested()


def test_whichever_comes_to_propose_has_heard_of_what_was_before():
    searcher = AutoSearch(SPACE, 0, max_resource=9, n_startup=3)
    for i in range(4):
        job = Job(Trial(i, {"x0": i / 4, "x1": 0.5}), 9)
        searcher.on_submitted(job)
        searcher.on_evaluation(reached(job, 9, float(i)))
    searcher.on_submitted(Job(Trial(4, {"x0": 0.9, "x1": 0.5}), 1))  # from now on in steps
    origins = {searcher.suggest(i).origin.partition(",")[0] for i in range(5, 25)}
    assert origins == {"tree", "uniform"}


def test_all_of_them_begin_with_what_was_best_in_an_earlier_study():
    searcher = AutoSearch(SPACE, 0, max_resource=9, n_startup=3)
    trials = [EarlierTrial(i, {"x0": i / 4, "x1": 0.5}, abs(i - 2.0)) for i in range(4)]
    searcher.begin_with([EarlierStudy("runs/a", trials).within(SPACE)[0]])
    assert {tuple(searcher.suggest(i).config.values()) for i in range(8)} == {(0.5, 0.5)}


def test_the_plan_says_which_and_when():
    assert "one-tree Thompson sampling if trials are trained in steps" in AutoSearch(SPACE, 0, 9).describe()


def test_wrong_arguments_are_named_together():
    with pytest.raises(ConfigError) as caught:
        AutoSearch(SPACE, 0, max_resource=0, n_startup="many")
    assert [problem.path for problem in caught.value.problems] == ["max_resource", "n_startup"]
