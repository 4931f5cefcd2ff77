"""Every scheduler with every searcher, on every kind of search space, with 1 to 16 workers."""

import pytest
from components import SCHEDULERS, SEARCHERS, SPACES

from hpo_pipeline.budget import Budget
from hpo_pipeline.searcher.grid import GridSearch
from hpo_pipeline.simulation import random_world, simulate
from hpo_pipeline.testing import check_scheduler


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_and_searcher_keep_the_contract_together(scheduler, name):
    # Each pair meets one of the four spaces; each searcher, and each scheduler, all of them, and 1 to 16 workers.
    place = list(SEARCHERS).index(name) + list(SCHEDULERS).index(scheduler)
    space = list(SPACES.values())[place % 4]
    n_workers = 1 + (list(SEARCHERS).index(name) + 4 * place) % 16
    check_scheduler(
        lambda trials: SCHEDULERS[scheduler](trials, space),
        n_workers,
        seed=n_workers,
        n_trials=16,
        searcher=SEARCHERS[name],
        space=space,
    )


@pytest.mark.parametrize("n_workers", [1, 2, 5, 16])
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_an_exhausted_grid_ends_the_study_without_another_limit(scheduler, n_workers):
    space = SPACES["finite"]
    curve, seconds = random_world(n_workers)
    outcome = simulate(
        lambda trials: scheduler(trials, space),
        curve,
        n_workers,
        Budget(),
        searcher=GridSearch,
        space=space,
        seconds=seconds,
    )
    assert outcome.end.state == "completed"
    assert {(c["n_layers"], c["activation"]) for c in outcome.suggested()} == {
        (n, activation) for n in (1, 2, 3) for activation in ("relu", "tanh")
    }
    assert len(outcome.view.trials) == 6


@pytest.mark.parametrize("searcher", SEARCHERS.values(), ids=SEARCHERS)
@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_with_points_and_breaks_no_configuration_is_tried_twice(scheduler, searcher):
    """6 configurations, 6 trials: each once, the given ones first, wherever the study was cut off."""
    space = SPACES["finite"]
    points = [{"n_layers": 3, "activation": "tanh"}, {"n_layers": 2, "activation": "relu"}]
    curve, seconds = random_world(3)
    outcome = simulate(
        lambda trials: scheduler(trials, space),
        curve,
        3,
        Budget(n_trials=6),
        searcher=searcher,
        space=space,
        points=points,
        seconds=seconds,
        interrupt_after=[0, 3],
    )
    assert outcome.suggested()[:2] == points
    assert len({space.key(config) for config in outcome.suggested()}) == len(outcome.suggested()) == 6
