import math

import pytest

from hpo_pipeline.scheduler.probes import LATEST_PROBES, Probes


def told(probes, *curves):
    """Tells of trials 0, 1, …: their scores on the rungs, from the first one up; each rung when all are there."""
    for rung in range(max(map(len, curves))):
        for trial_id, curve in enumerate(curves):
            if rung < len(curve):
                probes.reached(trial_id, rung, curve[rung])


def with_probes(*trial_ids, every=12):
    probes = Probes(every)
    for trial_id in trial_ids:
        probes.begins(trial_id)
    return probes


def test_one_trial_in_twelve_is_a_probe():
    probes = with_probes()
    assert [i for i in range(36) if probes.first_rung(i)] == [11, 23, 35]


def test_nothing_is_known_at_first_and_the_first_rung_is_trusted():
    assert with_probes().confidence == 0.8  # 1.6 / 2
    assert not with_probes(0).in_doubt


@pytest.mark.parametrize(
    ("curves", "confidence"),
    [
        # Trials 0 and 1 are probes, 2 and 3 are none: a pair of those isn't compared.
        ([[1, 1], [2, 2], [3, 3], [4, 4]], (5 + 1.6) / (5 + 2)),  # all in order
        ([[1, 4], [2, 3], [3, 2], [4, 1]], 1.6 / (5 + 2)),  # all turned round
        ([[1, 1], [2, 2], [3], [4]], (1 + 1.6) / (1 + 2)),  # beyond the first rung there are only the probes
        ([[1, 1], [1, 2], [3, 3]], (2.5 + 1.6) / (3 + 2)),  # 0 and 1 tie on the first rung
        # On the third rung 0 and 2 change places, where 1 has not come: the other pairs count as on the second one.
        ([[1, 1, 3], [2, 2], [3, 3, 1]], (2 + 1.6) / (3 + 2)),
        ([[1, 1], [2, math.inf], [math.inf, 3]], (2 + 1.6) / (3 + 2)),  # not finite: worse than all that is
        ([[1, 1], [math.inf, math.inf], [math.inf, math.inf]], (2.5 + 1.6) / (3 + 2)),
    ],
)
def test_confidence_counts_pairs_of_a_probe_and_another_on_the_highest_rung_of_both(curves, confidence):
    probes = with_probes(0, 1)
    told(probes, *curves)
    assert probes.confidence == pytest.approx(confidence)


def test_in_doubt_two_trials_in_five_are_probes_and_every_fourth_probe_begins_higher():
    probes = with_probes(0, 1)
    told(probes, [1, 2], [2, 1])
    assert probes.in_doubt  # 1.6 / 3
    firsts = []
    for trial_id in range(2, 20):
        firsts.append(probes.first_rung(trial_id))
        if firsts[-1]:
            probes.begins(trial_id)
    # floor(2 (i + 1) / 5) > floor(2 i / 5) for i = 2, 4, 7, 9, 12, 14, 17, 19; the 4th and the 8th probe begin higher.
    assert {i: first for i, first in enumerate(firsts, start=2) if first} == {
        2: 1, 4: 2, 7: 1, 9: 1, 12: 1, 14: 2, 17: 1, 19: 1
    }  # fmt: skip


def test_doubt_ends_when_later_trials_are_in_order():
    probes = with_probes(0, 1)
    told(probes, [1, 2], [2, 1], *([i, i] for i in range(3, 10)))
    assert not probes.in_doubt  # (14 + 1.6) / (15 + 2)


def test_one_probe_alone_raises_no_doubt():
    probes = with_probes(0)
    told(probes, [1, 9], [2, 2], [3, 3])
    assert probes.confidence == 1.6 / 4
    assert not probes.in_doubt


def test_the_latest_probes_alone_are_compared():
    n = LATEST_PROBES
    probes = with_probes(*range(2 * n))
    for i in range(n):  # the first ones turn the order round, the latest ones don't
        probes.reached(i, 0, i)
        probes.reached(i, 1, -i)
    assert probes.confidence == pytest.approx(1.6 / (n * (n - 1) / 2 + 2))
    for i in range(n, 2 * n):
        probes.reached(i, 0, i)
        probes.reached(i, 1, i)
    # n (n - 1) / 2 pairs of the latest n, and one with each earlier probe that wasn't compared any more when they came.
    assert probes.confidence == pytest.approx((n * n + 1.6) / (n * n + 2))
