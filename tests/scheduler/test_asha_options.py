"""ASHA's options beyond the paper. Rungs are at 1, 3 and 9, eta is 3, one worker; every session is written by hand."""

import math

import pytest
import yaml
from commands import ROOT
from heard import reached

from hpo_pipeline.budget import Budget
from hpo_pipeline.build import build
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.rungs import Bracket, Rung
from hpo_pipeline.searcher import Suggestion
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.simulation import simulate
from hpo_pipeline.testing import check_scheduler
from hpo_pipeline.trial import Job, State, Trial


def asha(**options):
    return lambda trials: ASHA(trials, eta=3, min_resource=1, max_resource=9, **options)


def worse_and_worse(trial_id, _config, _resource):
    return float(trial_id)


def better_and_better(trial_id, _config, _resource):
    return -float(trial_id)


def jobs(make, curve, n_trials, **given):
    """(trial, resource) of each job, in order."""
    return told(simulate(make, curve, budget=Budget(n_trials=n_trials), **given))


def told(outcome):
    return [(job.trial.id, job.resource) for job in outcome.jobs]


def at_1(*trial_ids):
    return [(trial_id, 1) for trial_id in trial_ids]


# -- fill_rungs ------------------------------------------------------------------------------------------------------

FILL = asha(fill_rungs=True)


def test_with_no_new_trial_left_the_best_go_on_until_one_is_at_the_top():
    # Of 8 trials floor(8 / 3) = 2 go to 3 epochs by the rule of the paper, and floor(2 / 3) = 0 to 9.
    paper = [*at_1(0, 1, 2), (0, 3), *at_1(3, 4, 5), (1, 3), *at_1(6, 7)]
    assert jobs(asha(), worse_and_worse, 8) == paper
    assert jobs(FILL, worse_and_worse, 8) == [*paper, (0, 9)]


@pytest.mark.parametrize("n", [1, 2])
def test_of_the_smallest_studies_the_best_trial_goes_all_the_way(n):
    best = n - 1
    assert jobs(FILL, better_and_better, n) == [*at_1(*range(n)), (best, 3), (best, 9)]
    higher_is_better = simulate(FILL, worse_and_worse, budget=Budget(n_trials=n), mode="max")
    assert told(higher_is_better) == [*at_1(*range(n)), (best, 3), (best, 9)]


@pytest.mark.parametrize("curve", [worse_and_worse, better_and_better])
def test_the_file_that_people_choose_is_the_rule_of_the_paper_with_its_rungs_filled(curve):
    node = yaml.safe_load((ROOT / "conf/scheduler/asha.yaml").read_text()) | {"max_resource": 9}
    assert jobs(lambda trials: build(node, "scheduler", trials=trials), curve, 14) == jobs(FILL, curve, 14)


def test_nothing_is_filled_where_the_best_have_gone_on_already():
    # Sizes 9, 3, 1: 0, 1 and 2 went on when they were the best of 3, 6 and 9, and 0 was the best of them.
    assert jobs(FILL, worse_and_worse, 9) == jobs(asha(), worse_and_worse, 9)


def test_in_the_end_the_best_go_on_though_worse_ones_have_taken_their_places():
    # Sizes 9, 3, 1: 2, 5 and 8 went on when they were the best of 3, 6 and 9. The best three of all are 8, 7 and 6.
    assert jobs(FILL, better_and_better, 9) == [*jobs(asha(), better_and_better, 9), (7, 3), (6, 3)]
    # Sizes 7, 2, 1: 2 and 5 went on; 6 is better than both.
    outcome = simulate(FILL, better_and_better, budget=Budget(n_trials=7))
    assert told(outcome)[-3:] == [(6, 1), (6, 3), (6, 9)]
    assert outcome.view.trials[5].state is State.STOPPED  # rank 1 of a rung from which one goes on


def test_a_trial_is_not_sent_on_in_the_end_while_a_better_one_may_come():
    # Two workers; trial 0 is done at once, trial 1 later, and better.
    order = [(0, 1), (1, 1), (1, 3), (1, 9)]
    seconds = {0: 1.0, 1: 5.0}
    outcome = simulate(FILL, better_and_better, 2, Budget(n_trials=2), seconds=lambda trial_id, _: seconds[trial_id])
    assert told(outcome) == order


def test_a_trial_is_sent_on_in_the_end_where_there_is_a_place_for_all_that_may_come():
    # Five of six trials are there, and one is on its way; floor(6 / 3) = 2 are to go on.
    bracket = Bracket((1, 3, 9), [Rung(8), Rung(8), Rung(8)])
    bracket.n_trials, bracket.in_flight = 6, [1, 0, 0]
    for trial_id in range(5):
        bracket.rungs[0].add(reached(Job(Trial(trial_id, {}), 1), 1, float(trial_id)))
    promoted = bracket.pop_filling(3)
    assert promoted is not None
    assert (promoted[0].id, promoted[1]) == (0, 1)
    assert bracket.pop_filling(3) is None


def test_neither_a_failed_trial_nor_one_that_diverged_is_sent_on_in_the_end():
    def curve(trial_id, _config, resource):
        return [None, math.nan, 5.0, 6.0][trial_id]

    outcome = simulate(FILL, curve, budget=Budget(n_trials=4))
    assert told(outcome) == [*at_1(0, 1, 2), (2, 3), *at_1(3), (2, 9)]
    nobody = simulate(FILL, lambda *_: math.nan, budget=Budget(n_trials=4))
    assert told(nobody) == at_1(0, 1, 2, 3)
    assert {trial.state for trial in nobody.view.trials.values()} == {State.STOPPED}


def test_a_trial_that_fails_on_its_way_up_had_its_place():
    def curve(trial_id, _config, resource):
        return None if resource == 2 else float(trial_id)

    assert jobs(FILL, curve, 2) == [(0, 1), (1, 1), (0, 3)]


def test_who_was_sent_on_in_the_end_counts_when_a_later_session_allows_more_trials():
    # 3 trials: 2 goes to 3 epochs, and to 9 as no other is left. Of 9 trials floor(3 / 3) = 1 may go to 9: that was 2.
    # In the end the best three of the first rung go to 3, and the best one of the second to 9, though 2 has been there.
    first = [*at_1(0, 1, 2), (2, 3), (2, 9)]
    more = [*at_1(3, 4, 5), (5, 3), *at_1(6, 7, 8), (8, 3), (7, 3), (6, 3), (8, 9)]
    outcome = simulate(FILL, better_and_better, interrupt_after=[99], n_trials=[3, 9])
    assert told(outcome) == more
    submitted = [(r["trial"], r["resource"]) for r in outcome.records if r["event"] == "submitted"]
    assert submitted == [*first, *more]


def test_a_session_that_allows_fewer_trials_fills_the_rungs_with_those_that_there_are():
    # Six trials are at 1 epoch, 0 at 3, and 1 on its way there when the first session is cut off: sizes 6, 2, 1.
    outcome = simulate(FILL, worse_and_worse, interrupt_after=[9], n_trials=[30, 4])
    assert len(outcome.view.trials) == 6
    assert told(outcome) == [(1, 3), (0, 9)]


def test_each_bracket_is_filled_by_itself():
    outcome = simulate(asha(fill_rungs=True, brackets=3), worse_and_worse, budget=Budget(n_trials=12))
    best = {}
    for job in outcome.jobs:
        best.setdefault(job.bracket, job.trial.id)
    assert set(best) == {0, 1, 2}
    assert all(outcome.view.trials[trial_id].resource == 9 for trial_id in best.values())


@pytest.mark.parametrize("n_workers", [1, 3, 16])
def test_brackets_that_are_filled_keep_the_contract(n_workers):
    check_scheduler(asha(brackets=2, fill_rungs=True, early_eta=[8, 2], leaders=[4, 2]), n_workers, seed=n_workers)


# -- early_eta and leaders -------------------------------------------------------------------------------------------


def test_while_the_first_rung_has_few_trials_the_shares_are_those_of_early_eta():
    # 4 // 4 = 1 goes on; with the eighth trial eta = 3 holds: 8 // 3 = 2, 9 // 3 = 3, and of three at 3 epochs one.
    make = asha(early_eta=[4, 2], early_trials=8)
    early = [*at_1(0, 1, 2, 3), (0, 3), *at_1(4, 5, 6, 7)]
    assert jobs(make, worse_and_worse, 9) == [*early, (1, 3), *at_1(8), (2, 3), (0, 9)]


def test_the_last_early_eta_is_that_of_all_rungs_above():
    # Of 4 and 8 trials 1 and 2 go to 3 epochs, of those two 1 to 9.
    early = [*at_1(0, 1, 2, 3), (0, 3), *at_1(4, 5, 6, 7), (1, 3)]
    assert jobs(asha(early_eta=[4, 2]), worse_and_worse, 8) == [*early, (0, 9)]
    assert jobs(asha(early_eta=[4]), worse_and_worse, 8) == early


def test_rungs_that_few_were_promoted_from_at_first_are_filled_by_eta_in_the_end():
    # No eighth of 7 trials went on: in the end two go to 3 epochs, and one of them to 9.
    make = asha(early_eta=[8, 2], fill_rungs=True)
    assert jobs(make, worse_and_worse, 7) == [*at_1(*range(7)), (0, 3), (1, 3), (0, 9)]


def test_a_leader_is_promoted_at_once_if_its_rung_has_enough_trials():
    # 2 is the best third of three. 3 leads four trials, and then two at 3 epochs; 4 and 5 take the lead in turn.
    leading = [(i, resource) for i in (3, 4, 5) for resource in (1, 3, 9)]
    assert jobs(asha(leaders=[4, 2]), better_and_better, 6) == [*at_1(0, 1, 2), (2, 3), *leading]


def test_of_equal_trials_the_earliest_leads():
    order = [*at_1(0, 1, 2), (0, 3), *at_1(3, 4, 5), (1, 3), (0, 9)]
    assert jobs(asha(leaders=[4, 2]), lambda *_: 0.5, 6) == order


def test_a_leader_that_diverged_or_failed_is_no_leader():
    assert jobs(asha(leaders=[1]), lambda *_: math.nan, 3) == at_1(0, 1, 2)
    assert jobs(asha(leaders=[1]), lambda *_: None, 3) == at_1(0, 1, 2)


def test_a_trial_that_may_yet_be_promoted_is_not_stopped():
    # Leaders may all go to 3 epochs, so of 8 trials there 8 // 3 = 2 may go on from ranks of their own.
    outcome = simulate(asha(leaders=[4, 2]), better_and_better, budget=Budget(n_trials=8))
    # At 3 epochs: 2, then 3 to 7. Trial 2 is fourth of four when 5 comes.
    reason = outcome.view.trials[2].reason
    assert reason == "rung 1: rank 3 of 3, at most 2 can be promoted"


# -- probes ----------------------------------------------------------------------------------------------------------


def test_a_probe_begins_on_the_second_rung_and_counts_on_the_first_one_as_promoted():
    # Trials 2, 5 and 8 are probes. The first rung may promote 1 of 3, 2 of 6, 3 of 9: those.
    outcome = simulate(asha(probes=3), worse_and_worse, budget=Budget(n_trials=9))
    assert told(outcome) == [*at_1(0, 1), (2, 3), *at_1(3, 4), (5, 3), *at_1(6, 7), (8, 3), (2, 9)]
    table = outcome.rung_table()
    assert sorted(table[0, 0]) == list(range(9))
    assert sorted(table[0, 1]) == [2, 5, 8]


def test_where_the_first_rung_misleads_there_are_more_probes_and_they_take_nobody_s_place():
    # At 3 epochs the order is turned round. When the second probe, 5, is there, confidence is 1.6 / 3: the first rung
    # promotes 2 of 6 besides; of three at 3 epochs one goes on, the best. Two in five are probes from then on: 7, 9.
    def curve(trial_id, _config, resource):
        return float(trial_id if resource < 3 else -trial_id)

    outcome = simulate(asha(probes=3), curve, budget=Budget(n_trials=10))
    until_doubt = [*at_1(0, 1), (2, 3), *at_1(3, 4), (5, 3)]
    # The fourth probe, 9, begins on the third rung. It makes six at 3 epochs, so that a second one goes on, 7; at 1
    # epoch three of nine or ten may, and the third place is that of a probe, 2.
    assert told(outcome) == [*until_doubt, (0, 3), (5, 9), (1, 3), (6, 1), (7, 3), (8, 1), (9, 9), (7, 9)]
    assert [sorted(outcome.rung_table()[0, rung]) for rung in (1, 2)] == [[0, 1, 2, 5, 7, 9], [5, 7, 9]]


# -- what a searcher chooses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first_rung", "bracket"), [(0, 0), (1, 1), (7, 2)])
def test_a_searcher_that_chooses_the_first_rung_decides_the_bracket(first_rung, bracket):
    class Choosing(RandomSearch):
        def suggest(self, trial_id, first_rung_drawn=0):
            suggestion = super().suggest(trial_id, first_rung_drawn)
            return Suggestion(suggestion.config, "uniform", first_rung)

    def brackets(make):
        outcome = simulate(make, worse_and_worse, budget=Budget(n_trials=9), searcher=Choosing, interrupt_after=[4])
        return {rung.bracket for trial in outcome.view.trials.values() for rung in trial.rungs}

    assert brackets(asha(brackets=3)) == {bracket}
    assert brackets(asha()) == {0}


# -- the keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [[], [3, 0], [2.5], "82", [True], 8, [None]])
def test_what_is_no_list_of_integers_is_refused(value):
    with pytest.raises(ConfigError) as caught:
        asha(early_eta=value, leaders=value, probes=1, early_trials=0, fill_rungs=1)(None)
    named = {problem.path: problem.statement for problem in caught.value.problems}
    assert set(named) == {"early_eta", "leaders", "probes", "early_trials", "fill_rungs"}
    assert named["early_eta"].startswith("must be null or a list of integers of at least 2")


def test_options_of_promotions_are_refused_where_there_are_none():
    with pytest.raises(ConfigError) as caught:
        asha(type="stopping", fill_rungs=True, early_eta=[8, 2], leaders=[4], probes=12)(None)
    assert [problem.path for problem in caught.value.problems] == ["early_eta", "leaders", "probes"]
    with pytest.raises(ConfigError, match="probes: needs `brackets: 1`"):
        asha(brackets=2, probes=12)(None)


def test_what_the_options_do_is_told_before_a_study_starts():
    text = asha(early_eta=[8, 2], leaders=[4, 2], probes=12)(None).describe()
    assert "top 1/3 (1/8, 1/2 from the first rung up, until that has 80), or best of at least 4, 2 from" in text
    assert "one trial in 12 begins on the second rung" in text


def test_a_study_of_one_rung_needs_no_promotions():
    make = lambda trials: ASHA(trials, 3, 9, 9, fill_rungs=True, early_eta=[8, 2], leaders=[4, 2], probes=2)  # noqa: E731
    assert jobs(make, worse_and_worse, 4) == [(i, 9) for i in range(4)]
