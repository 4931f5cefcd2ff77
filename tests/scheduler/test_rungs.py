import math

import pytest
from heard import reached

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.rungs import Rung, halving_sizes, rung_resources
from hpo_pipeline.trial import Job, Trial


@pytest.mark.parametrize(
    ("r", "resource", "eta", "expected"),
    [
        (1, 16, 2, (1, 2, 4, 8, 16)),
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),
        (1, 1000, 10, (1, 10, 100, 1000)),
        (4, 100, 3, (4, 12, 36, 100)),
        (1, 10, 3, (1, 3, 10)),
        (1, 50, 3, (1, 3, 9, 27, 50)),
        (5, 5, 3, (5,)),
    ],
)
def test_rungs_rise_by_eta_and_end_at_the_maximum(r, resource, eta, expected):
    assert rung_resources(r, resource, eta) == expected


def test_every_wrong_key_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        rung_resources(0, 0, 1)
    assert [problem.partition(":")[0] for problem in caught.value.lines] == ["eta", "min_resource", "max_resource"]


def test_halving_sizes_are_floors_and_one_trial_always_reaches_the_top():
    assert halving_sizes(16, 5, 2) == (16, 8, 4, 2, 1)
    assert halving_sizes(34, 4, 3) == (34, 11, 3, 1)
    assert halving_sizes(5, 4, 3) == (5, 1, 1, 1)


def added(rung, trial_id, score):
    return rung.add(reached(Job(Trial(trial_id, {}), 1), 1, score))


def promoted(rung):
    """The id of the trial that is promoted, or None."""
    trial = rung.pop_promotable()
    return None if trial is None else trial.id


def test_a_rung_promotes_the_best_third_and_never_more():
    rung = Rung(3)
    for trial_id, score in enumerate([5.0, 4.0, 3.0, 2.0, 1.0]):
        added(rung, trial_id, score)
    assert promoted(rung) == 4  # 5 // 3 = 1
    assert promoted(rung) is None
    added(rung, 5, 0.5)  # 6 // 3 = 2, and trial 4 is promoted already
    assert promoted(rung) == 5
    assert promoted(rung) is None


def test_what_is_behind_the_last_rank_that_can_be_promoted_leaves_and_keeps_its_rank():
    rung = Rung(2)
    for trial_id, score in enumerate([5.0, 1.0, 4.0, 2.0]):
        added(rung, trial_id, score)
    assert promoted(rung) == 1  # ranked: 1, 3, 2, 0; 4 // 2 = 2 may go on
    assert rung.pop_beyond(2) == [(0, 3), (2, 2)]
    assert rung.pop_beyond(2) == []
    added(rung, 4, 6.0)
    added(rung, 5, 3.0)  # ranked: 1, 3, 5, 2, 0, 4: 2 would be the fourth still
    assert [promoted(rung) for _ in range(3)] == [3, 5, None]
    assert rung.pop_beyond(1) == [(4, 5)]  # what was promoted isn't stopped


def test_of_three_equal_values_the_earliest_trial_is_promoted_and_no_other():
    rung = Rung(3)
    for trial_id in (2, 0, 1):
        added(rung, trial_id, 0.5)
    assert promoted(rung) == 0
    assert promoted(rung) is None


def test_what_is_not_finite_counts_as_a_member_and_is_never_promoted():
    rung = Rung(2)
    added(rung, 0, math.inf)
    added(rung, 1, math.inf)
    assert promoted(rung) is None
    added(rung, 2, 3.0)
    added(rung, 3, 4.0)
    assert [promoted(rung) for _ in range(3)] == [2, 3, None]
