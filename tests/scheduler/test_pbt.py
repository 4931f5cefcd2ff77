import math

import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.pbt import PBT, explore
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.simulation import simulate
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import State

SPACE = SearchSpace.parse(
    {
        "optimizer": {"lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
        "model": {"width": {"type": "int", "low": 4, "high": 64}},
    }
)


def study(curve, population=4, n_workers=1, max_resource=3, quantile=0.25, **keys):
    return simulate(
        lambda trials: PBT(trials, SPACE, 0, max_resource, population, quantile=quantile, keep=["model.*"], **keys),
        curve,
        n_workers,
        Budget(n_trials=population),
        space=SPACE,
    )


def test_the_worst_member_goes_on_from_the_best_ones_checkpoint():
    outcome = study(lambda i, _c, _r: float(i))
    # Members 0 … 3 train to 1; of four, one is the worst quarter: 3 copies 0, whose last checkpoint is that of its
    # turn just before: 0 goes to 2 first, then 1 and 2, then 3 copies.
    copies = [job for job in outcome.jobs if job.source is not None]
    assert [(job.trial.id, job.resource, job.source) for job in copies] == [(3, 2, (0, 2)), (3, 3, (0, 3))]


def copies(outcome):
    return [(job.trial.id, job.resource, job.source) for job in outcome.jobs if job.source is not None]


@pytest.mark.parametrize("quantile", [0.01, 0.25, 0.5])
@pytest.mark.parametrize("population", [2, 3])
def test_in_a_small_population_the_last_one_copies_the_best(population, quantile):
    # The quantile of 2 or 3 members is less than 2 of them: one copies and one is copied.
    last = population - 1
    outcome = study(lambda i, _c, _r: float(i), population, quantile=quantile)
    assert copies(outcome) == [(last, 2, (0, 2)), (last, 3, (0, 3))]


def test_of_four_members_of_which_one_failed_the_last_one_copies_the_best():
    outcome = study(lambda i, _c, _r: None if i == 3 else float(i))
    assert copies(outcome) == [(2, 2, (0, 2)), (2, 3, (0, 3))]


@pytest.mark.parametrize(("population", "quantile"), [(1, 0.5), (4, 0.0)])
def test_nobody_copies_in_a_population_of_one_or_with_a_quantile_of_zero(population, quantile):
    assert copies(study(lambda i, _c, _r: float(i), population, quantile=quantile)) == []


def test_the_quantile_is_rounded_down_exactly():
    # 0.29 · 100 is 28.999… in floating point; 29 members are 29 % of 100.
    outcome = study(lambda i, _c, _r: float(i), 100, max_resource=2, quantile=0.29)
    assert sorted(trial for trial, _, _ in copies(outcome)) == list(range(71, 100))
    assert {source for _, _, (source, _) in copies(outcome)} <= set(range(29))


def test_a_population_that_n_trials_can_not_fill_is_refused():
    trials = TrialGenerator(RandomSearch(SPACE, 0), SPACE, n_trials=3)
    with pytest.raises(ConfigError, match=r"population: must be at most n_trials \(3\), got 4; .*raise n_trials"):
        PBT(trials, SPACE, 0, 9, population=4)
    PBT(trials, SPACE, 0, 9, population=3)
    PBT(TrialGenerator(RandomSearch(SPACE, 0), SPACE), SPACE, 0, 9, population=4)


def test_the_shape_of_the_network_is_copied_and_the_rest_is_varied():
    outcome = study(lambda i, _c, _r: float(i))
    copy = next(job for job in outcome.jobs if job.source is not None)
    best, first = outcome.view.trials[0].config, outcome.view.trials[3].first_config
    assert copy.trial.config["model.width"] == best["model.width"] != first["model.width"]
    assert copy.trial.config["optimizer.lr"] != best["optimizer.lr"]


def test_the_lineage_is_in_the_journal():
    outcome = study(lambda i, _c, _r: float(i))
    records = [r for r in outcome.records if r["event"] == "submitted" and "source" in r]
    assert records[0]["source"] == [0, 2]
    assert set(records[0]["config"]) == {"optimizer.lr", "model.width"}
    assert outcome.view.trials[3].changes[0].source == (0, 2)


def test_all_members_are_trained_to_the_end_and_complete_together():
    outcome = study(lambda i, _c, _r: float(i), n_workers=3)
    assert {trial.resource for trial in outcome.view.trials.values()} == {3}
    assert {trial.state for trial in outcome.view.trials.values()} == {State.COMPLETED}


def test_a_failed_member_is_copied_by_nobody_and_holds_up_nobody():
    outcome = study(lambda i, _c, r: None if i == 0 and r == 2 else float(i))
    assert outcome.view.trials[0].state is State.FAILED
    late = [job.source for job in outcome.jobs if job.source is not None and job.resource == 3]
    assert all(source[0] != 0 for source in late)
    assert outcome.end.state == "completed"


def test_a_diverged_member_copies_and_is_never_copied():
    outcome = study(lambda i, _c, _r: math.nan if i == 1 else float(i))
    assert {job.trial.id for job in outcome.jobs if job.source} == {1}


def test_perturbing_is_times_0_8_or_1_2_within_the_bounds():
    config = {"optimizer.lr": 0.01, "model.width": 10}
    seen = {
        (round(c["optimizer.lr"], 12), c["model.width"])
        for c in (explore(SPACE, config, [], 0.0, generator(0, i)) for i in range(50))
    }
    assert {lr for lr, _ in seen} == {0.008, 0.012}
    assert {width for _, width in seen} == {8, 12}
    edge = {"optimizer.lr": 1.0, "model.width": 64}
    assert all(
        c["optimizer.lr"] in (0.8, 1.0) and c["model.width"] in (51, 64)
        for c in (explore(SPACE, edge, [], 0.0, generator(0, i)) for i in range(20))
    )


def test_resampling_draws_from_the_whole_range():
    config = {"optimizer.lr": 0.01, "model.width": 10}
    drawn = [explore(SPACE, config, [], 1.0, generator(0, i))["optimizer.lr"] for i in range(200)]
    assert min(drawn) < 1e-3
    assert max(drawn) > 0.1


def test_a_quantile_above_a_half_is_refused():
    with pytest.raises(ConfigError, match="quantile: must be a number from 0 to"):
        PBT(None, SPACE, 0, 9, quantile=0.6)
