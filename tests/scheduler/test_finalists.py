"""When the search is over, its best trials are trained to the end, and with further seeds."""

from __future__ import annotations

import math

import pytest
from sessions import MAKERS, Make, Session, by_number, fifo, promotion, stopping

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.finalists import FinalistSettings, finalist_settings
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.simulation import SPACE
from hpo_pipeline.trial import State

BEST = FinalistSettings(n=1, max_resource=4)


def finals(session: Session) -> list[tuple[int, int]]:
    """(trial, resource) of the jobs after the search, in order."""
    return [(job.trial.id, job.resource) for job in session.executor.jobs if job.finalist]


def test_the_best_trial_goes_on_to_the_end_from_where_it_was():
    # Rungs at 1, 2, 4 and eta 2: of three trials none but the best comes to 2, and none of the one there to 4.
    session = Session(promotion, by_number, Budget(n_trials=3), finalists=BEST)
    assert finals(session) == [(0, 4)]
    assert session.executor.started_at[-1] == 2
    best = session.view.trials[0]
    assert (best.state, best.resource) == (State.COMPLETED, 4)
    assert session.end.state == "completed"
    assert 0 not in session.executor.discarded


def test_none_are_trained_where_there_are_to_be_none():
    session = Session(promotion, by_number, Budget(n_trials=3))
    assert session.view.trials[0].resource == 2
    assert "finalists" not in session.records[1]


@pytest.mark.parametrize(("make", "n"), [(fifo, 3), (promotion, 8)])
def test_a_trial_that_is_complete_needs_no_more(make: Make, n: int):
    session = Session(make, by_number, Budget(n_trials=n), finalists=BEST)
    assert session.view.trials[0].resource == 4
    assert finals(session) == []


def test_several_are_trained_best_first_and_a_finalist_is_on_no_rung():
    session = Session(promotion, by_number, Budget(n_trials=3), finalists=FinalistSettings(2, 0, 4))
    assert finals(session) == [(0, 4), (1, 4)]
    assert [len(trial.rungs) for trial in session.view.trials.values()] == [2, 1, 1]


def test_the_next_best_takes_the_place_of_one_that_fails():
    def curve(trial_id: int, config: object, resource: int) -> float | None:
        return None if trial_id == 0 and resource == 3 else by_number(trial_id, config, resource)

    session = Session(promotion, curve, Budget(n_trials=3), finalists=BEST)
    assert finals(session) == [(0, 4), (1, 4)]
    assert session.view.trials[0].state is State.FAILED
    assert session.view.winner is session.view.trials[1]


@pytest.mark.parametrize("limit", [{"max_total_resource": 4}, {"max_seconds": 4.0}, {"target": 0.6}])
def test_a_study_that_another_limit_ends_has_none(limit: dict[str, float]):
    session = Session(promotion, by_number, Budget(n_trials=3, **limit), finalists=BEST)
    assert session.end.reason != "the search is complete"
    assert finals(session) == []
    assert [trial.id for trial in BEST.unfinished(session.view)] == [0]


def test_a_limit_ends_a_study_among_its_finalists_too():
    session = Session(promotion, by_number, Budget(n_trials=3, max_total_resource=5), finalists=BEST)
    assert finals(session) == [(0, 4)]
    assert session.view.trials[0].resource == 3
    session = Session(promotion, by_number, Budget(n_trials=3), finalists=BEST)
    assert session.view.trials[0].resource == 4
    assert session.view.total_resource == 6


def test_a_trial_that_was_stopped_is_trained_further():
    def crossing(trial_id: int, _config: object, resource: int) -> float:
        # Trial 0 is ahead at 1; at 2 the order turns. Trial 1 is stopped at 1, where it is second of two.
        return {0: [0.3, 0.6, 0.6, 0.6], 1: [0.31, 0.1, 0.1, 0.05]}[trial_id][resource - 1]

    session = Session(stopping, crossing, Budget(n_trials=2), finalists=FinalistSettings(2, 0, 4))
    assert finals(session) == [(1, 4)]
    assert [trial.state for trial in session.view.trials.values()] == [State.COMPLETED, State.COMPLETED]
    assert session.view.winner is session.view.trials[1]


def test_the_checkpoints_of_those_who_may_go_on_stay():
    session = Session(MAKERS["hyperband"], by_number, Budget(n_trials=12), finalists=FinalistSettings(3, 0, 4))
    assert {trial for trial, _ in finals(session)} == {1, 2}
    assert {0, 1, 2}.isdisjoint(session.executor.discarded)


# -- several seeds ---------------------------------------------------------------------------------------------------


def lucky(trial_id: int, _config: object, resource: int) -> float:
    """Trial 0 is a little better than trial 1, and its further seeds (3 and 5) are worse than those of trial 1."""
    return {0: 0.10, 1: 0.12, 2: 0.5, 3: 0.30, 4: 0.11, 5: 0.26, 6: 0.13}.get(trial_id, 1.0) + 1 / resource


def test_the_best_mean_over_the_seeds_wins():
    session = Session(fifo, lucky, Budget(n_trials=3), finalists=FinalistSettings(2, 2, 4))
    view = session.view
    assert finals(session) == [(3, 4), (4, 4), (5, 4), (6, 4)]
    assert [view.trials[i].repeats for i in range(7)] == [None, None, None, 0, 1, 0, 1]
    assert view.trials[5].origin == "finalist 0, further seed 2 of 2"
    assert all(view.trials[i].config == view.trials[i - 3].config for i in (3, 4))
    assert view.best is view.trials[0]
    assert view.winner is view.trials[1]
    over = view.over_seeds(view.trials[1])
    assert over.mean == pytest.approx(0.25 + 0.12)  # of 0.12, 0.11, 0.13
    assert over.standard_error == pytest.approx(0.01 / math.sqrt(3))
    assert [trial.id for trial in view.ranking()][:2] == [1, 0]
    assert [trial.id for trial in view.top(5)] == [1, 0, 2]


def test_n_trials_counts_none_of_the_further_seeds():
    session = Session(fifo, lucky, Budget(n_trials=3), finalists=FinalistSettings(1, 1, 4))
    assert len(session.view.trials) == 4
    more = Session(fifo, lucky, Budget(n_trials=5), finalists=FinalistSettings(1, 1, 4))
    assert [trial.repeats for trial in more.view.trials.values()] == [None, None, None, 0, None, None]


@pytest.mark.parametrize("fate", [None, math.nan])
def test_a_configuration_of_which_a_seed_fails_ranks_behind_one_of_which_none_does(fate: float | None):
    def curve(trial_id: int, config: object, resource: int) -> float | None:
        return fate if trial_id == 4 else lucky(trial_id, config, resource)

    session = Session(fifo, curve, Budget(n_trials=3), finalists=FinalistSettings(2, 2, 4), max_failures=9)
    view = session.view
    assert view.winner is view.trials[0]
    over = view.over_seeds(view.trials[1])
    assert (over.n, len(over.values)) == (3, 2)
    assert over.mean == pytest.approx(0.25 + 0.125)


def test_as_long_as_seeds_are_to_come_the_best_score_wins():
    """Trial 0's and trial 1's third trainings (5 and 6) are missing, then one of them."""
    for total in (12 + 4 * 2 + 1, 12 + 4 * 3):
        session = Session(
            fifo, lucky, Budget(n_trials=3, max_total_resource=total), finalists=FinalistSettings(2, 2, 4)
        )
    assert session.view.winner is session.view.trials[0]
    session = Session(fifo, lucky, Budget(n_trials=3), finalists=FinalistSettings(2, 2, 4))
    assert session.view.winner is session.view.trials[1]


def test_a_trial_whose_hyperparameters_changed_has_no_further_seeds():
    def population(trials: object) -> PBT:
        return PBT(trials, SPACE, seed=0, max_resource=4, population=4)  # type: ignore[arg-type]

    session = Session(population, by_number, Budget(n_trials=4), finalists=FinalistSettings(4, 1, 4))
    changed = {trial.id for trial in session.view.trials.values() if trial.changes}
    repeated = {trial.repeats for trial in session.view.trials.values()} - {None}
    assert changed
    assert repeated == {0, 1, 2, 3} - changed


# -- breaks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_a_study_that_is_cut_off_anywhere_comes_to_the_same_end(name: str, tmp_path, monkeypatch):
    def study(folder: str, cuts: list[int]) -> Session:
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        end = FinalistSettings(2, 2, 4)
        for cut in cuts:
            Session(MAKERS[name], by_number, Budget(n_trials=5), dies_after=cut, finalists=end)
        return Session(MAKERS[name], by_number, Budget(n_trials=5), finalists=end)

    whole = study("whole", [])
    assert [trial.repeats for trial in whole.view.trials.values()].count(0) in (0, 2)
    for cuts in ([3, 3, 3], [9, 4, 4, 4], [17, 1, 1], [22, 3]):
        session = study("-".join(map(str, cuts)), cuts)
        assert session.outcome() == whole.outcome(), cuts
        assert session.view.winner.id == whole.view.winner.id
        monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "pbt"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_search_that_goes_on_takes_its_finalists_for_what_they_were(name: str, order: int):
    """They are promoted, or not, by what they were at their rungs; and the journal can be replayed."""

    def curve(trial_id: int, config: object, resource: int) -> float:
        return by_number(order * trial_id + 100, config, resource)

    end = FinalistSettings(2, 1, 4)
    for n_trials in (3, 7, 12):
        session = Session(MAKERS[name], curve, Budget(n_trials=n_trials), finalists=end)
        assert session.end.state == "completed"
        assert sum(trial.repeats is None for trial in session.view.trials.values()) == n_trials
        for trial in end.of(session.view):
            assert (trial.state, trial.resource) == (State.COMPLETED, 4)
    again = Session(MAKERS[name], curve, Budget(n_trials=12), finalists=end)
    assert again.outcome() == session.outcome()


def test_more_finalists_may_be_asked_for_when_all_is_over():
    Session(promotion, by_number, Budget(n_trials=3))
    session = Session(promotion, by_number, Budget(n_trials=3), finalists=BEST)
    assert finals(session) == [(0, 4)]
    session = Session(promotion, by_number, Budget(n_trials=3), finalists=FinalistSettings(2, 1, 4))
    assert finals(session) == [(1, 4), (3, 4), (4, 4)]


# -- the key of the config -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 1, "seeds": -1}, "finalists.seeds: must be an integer of at least 0, got -1"),
        ({"n": 1.5, "seeds": 0}, "finalists.n: must be an integer of at least 0, got 1.5"),
        ({"n": 1, "seeds": 0, "seed": 3}, "finalists.seed: there is no such key; did you mean 'seeds'?"),
        ({"n": 1}, "finalists.seeds: is missing; 0 is none"),
        ({"n": 0, "seeds": 2}, "finalists.seeds: needs finalists that have them: set finalists.n to 1 or more, got 2"),
    ],
)
def test_what_is_wrong_with_the_key_is_said(given: dict[str, object], message: str):
    with pytest.raises(ConfigError) as raised:
        finalist_settings({"finalists": given, "scheduler": {}, "max_resource": 9})
    assert raised.value.lines == [message]


@pytest.mark.parametrize(("node", "whole"), [({}, 9), ({"max_resource": 3}, 3)])
def test_a_finalist_is_trained_to_what_the_scheduler_has_as_its_end(node: dict[str, int], whole: int):
    config = {"finalists": {"n": 1, "seeds": 0}, "scheduler": node, "max_resource": 9}
    assert finalist_settings(config) == FinalistSettings(1, 0, whole)
