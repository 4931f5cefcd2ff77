"""A dry run: the space, the plan, what it costs, by hand counts; and nothing is started or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import DIGITS, FREE, compose, run

from hpo_pipeline.dry_run import estimate, time_unit
from hpo_pipeline.preflight import check_study

FUNCTION = (*FREE, "executor=simulated")


def estimated(*words: str):
    composed = compose(*words)
    return estimate(composed, check_study(composed, data=False))


def test_trials_of_full_length_cost_what_they_are():
    found = estimated(*FUNCTION, "scheduler=fifo", "n_trials=5", "max_resource=3", "executor.n_workers=2")
    assert (found.trials, found.resource, found.units, found.share) == (5, 15, 9, 1.0)


def test_finalists_with_further_seeds_are_counted():
    words = (*FUNCTION, "scheduler=fifo", "n_trials=5", "max_resource=3", "executor.n_workers=1")
    found = estimated(*words, "finalists.n=1", "finalists.seeds=2")
    assert (found.resource, found.units) == (15 + 6, 21)


def test_successive_halving_is_counted_by_its_rungs():
    # 9 at 1, the best 3 of them on to 3, the best one on to 9: 9 + 3 * 2 + 6.
    words = ("scheduler=successive_halving", "scheduler.bracket_size=9", "scheduler.eta=3", "n_trials=9")
    found = estimated(*FUNCTION, *words, "max_resource=9", "executor.n_workers=3")
    assert found.rungs == {1: 9, 3: 3, 9: 1}
    assert found.resource == 21


def test_a_big_study_is_extrapolated():
    found = estimated(*FUNCTION, "scheduler=fifo", "n_trials=100000", "max_resource=3", "executor.n_workers=4")
    assert (found.trials, found.resource, found.units) == (100_000, 300_000, pytest.approx(75_000, rel=0.01))
    assert found.share == pytest.approx(0.005)


def test_a_limit_of_the_resource_is_kept():
    words = (*FUNCTION, "scheduler=fifo", "max_resource=3", "executor.n_workers=1")
    assert estimated(*words, "n_trials=null", "max_total_resource=60").resource == 60
    assert estimated(*words, "n_trials=null", "max_total_resource=60000").resource == 60_000
    assert estimated(*words, "n_trials=3", "max_total_resource=6000").resource == 9


def test_where_only_time_ends_a_study_there_is_no_estimate():
    assert estimated(*FUNCTION, "n_trials=null", "max_seconds=60") is None


def test_a_grid_decides_itself_how_many_trials_there_are():
    words = ("searcher=grid", "searcher.n_points=3", "~search_space.model", "~search_space.dataset")
    found = estimated(*FUNCTION, *words, "n_trials=null", "scheduler=fifo", "~search_space.optimizer.weight_decay")
    assert found.trials == 3


def test_one_epoch_is_timed_where_that_is_cheap_and_only_there():
    composed = compose(*DIGITS)
    timed = time_unit(composed, check_study(composed))
    assert timed.seconds is not None
    assert 0 < timed.seconds < 10
    composed = compose(*FREE)
    assert "starts no function" in time_unit(composed, check_study(composed)).why


def test_a_dry_run_shows_all_and_leaves_nothing_behind():
    ended = run(
        *FREE[:-1], "tracker=mlflow", "dry_run=true", "n_trials=4", "max_resource=3", "scheduler=fifo", "name=x"
    )
    assert ended.code == 0, ended.err
    for line in (
        "  optimizer.lr            log-uniform [1e-6, 1]",
        "  about 12 steps in all, by 4 trials",
        "  every trial to 3",
        "A dry run: nothing was started, nothing was written.",
    ):
        assert line in ended.out.splitlines()
    assert "  runs/x: config.yaml" in ended.out
    assert f"MLflow, sqlite:///{Path.cwd()}/mlflow.db, experiment hpo" in ended.out
    assert list(Path().iterdir()) == []


def test_for_programs_it_is_one_event():
    ended = run(*FREE, "dry_run=true", "output=json", "n_trials=4", "max_resource=3", "scheduler=fifo")
    (event,) = map(json.loads, ended.out.splitlines())
    assert event["event"] == "plan"
    assert event["estimate"]["resource"] == 12
    assert event["space"]["optimizer.lr"] == {"domain": "log-uniform [1e-6, 1]"}
    assert "Search space" in ended.err
