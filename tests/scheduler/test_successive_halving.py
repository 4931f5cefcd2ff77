import math

import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.simulation import simulate
from hpo_pipeline.trial import State


def d2l(trials):
    return SuccessiveHalving(trials, eta=2, min_resource=1, max_resource=16)


def rung_sizes(outcome):
    return [len(rung) for _, rung in sorted(outcome.rung_table().items())]


def test_sixteen_trials_are_halved_to_one_in_31_evaluations():
    outcome = simulate(d2l, lambda i, _c, r: i + 1 / r, budget=Budget(n_trials=16))
    assert rung_sizes(outcome) == [16, 8, 4, 2, 1]
    assert [r["resource"] for r in outcome.records if r["event"] == "rung"].count(16) == 1
    assert outcome.view.evaluations == 31
    # 16 to 1, then 8·1, 4·2, 2·4, 1·8 more: promoted trials go on from their checkpoints.
    assert outcome.view.total_resource == 16 + 8 + 8 + 8 + 8
    assert outcome.view.trials[0].state is State.COMPLETED


def test_the_rung_table_does_not_depend_on_the_number_of_workers():
    tables = [
        simulate(
            d2l, lambda i, _c, r: (i * 7 % 16) / r, n, Budget(n_trials=16), seconds=lambda i, _r: 1.0 + (i * 5 % 7)
        ).rung_table()
        for n in (1, 2, 5, 16)
    ]
    assert all(table == tables[0] for table in tables)


def test_ties_go_by_trial_id():
    outcome = simulate(d2l, lambda _i, _c, _r: 1.0, 4, Budget(n_trials=16))
    assert sorted(outcome.rung_table()[0, 1]) == list(range(8))


def test_failed_and_nan_members_count_as_done_and_rank_last():
    def curve(trial_id, _config, _resource):
        return None if trial_id < 3 else math.nan if trial_id < 6 else float(trial_id)

    outcome = simulate(d2l, curve, 3, Budget(n_trials=16))
    assert sorted(outcome.rung_table()[0, 1]) == list(range(6, 14))
    assert [outcome.view.trials[i].state for i in (0, 3)] == [State.FAILED, State.STOPPED]


def test_a_rung_without_any_finite_value_ends_its_bracket():
    outcome = simulate(d2l, lambda _i, _c, _r: math.nan, 2, Budget(n_trials=16))
    assert rung_sizes(outcome) == [16]
    assert outcome.end.state == "completed"


def test_in_mode_max_the_largest_go_on():
    outcome = simulate(d2l, lambda i, _c, _r: float(i), budget=Budget(n_trials=16), mode="max")
    assert sorted(outcome.rung_table()[0, 4]) == [15]


def test_brackets_repeat_and_the_last_takes_what_is_left():
    outcome = simulate(d2l, lambda i, _c, r: i + 1 / r, 2, Budget(n_trials=20))
    assert rung_sizes(outcome) == [16, 8, 4, 2, 1, 4, 2, 1, 1, 1]


def test_a_free_worker_opens_the_next_bracket_while_one_waits():
    slow = simulate(
        d2l, lambda i, _c, r: i + 1 / r, 2, Budget(n_trials=32), seconds=lambda i, _r: 100.0 if i == 0 else 1.0
    )
    started = [r["trial"] for r in slow.records if r["event"] == "suggested"]
    first_done = next(i for i, r in enumerate(slow.records) if r["event"] == "result" and r["trial"] == 0)
    before = [r["trial"] for r in slow.records[:first_done] if r["event"] == "suggested"]
    assert started == list(range(32))
    assert max(before) > 15


def test_losers_are_told_their_rank():
    outcome = simulate(d2l, lambda i, _c, r: i + 1 / r, budget=Budget(n_trials=16))
    assert outcome.view.trials[8].reason == "rung 0: rank 9 of 16, kept 8"


def test_the_bracket_is_described_with_its_cost():
    text = d2l(None).describe()
    assert "16 to 1, 8 to 2, 4 to 4, 2 to 8, 1 to 16" in text
    assert "31 evaluations, total cost 48" in text


def test_a_wrong_bracket_size_is_refused():
    with pytest.raises(ConfigError, match="bracket_size: must be an integer of at least 1"):
        SuccessiveHalving(None, 2, 1, 16, bracket_size=0)
