import math

import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.simulation import simulate
from hpo_pipeline.trial import State


def run(values, **keys):
    """Trials one after the other, the i-th reporting `values[i]`, whatever the resource."""
    return simulate(
        lambda trials: MedianStopping(trials, max_resource=4, **keys),
        lambda i, _c, _r: values[i],
        budget=Budget(n_trials=len(values)),
    )


def trained(outcome):
    return [trial.resource for trial in outcome.view.trials.values()]


def test_who_is_worse_than_the_median_of_the_others_is_stopped():
    # The fourth is compared with 1, 2, 3 (median 2); the fifth at step 1 with 1, 2, 3, 2.5 (median 2.25), and at
    # step 2, where the fourth has not been, with 1, 2, 3 again.
    outcome = run([1.0, 2.0, 3.0, 2.5, 2.2])
    assert trained(outcome) == [4, 4, 4, 1, 2]
    assert outcome.view.trials[3].state is State.STOPPED
    assert outcome.view.trials[3].reason == "at 1: worse than the median of 3 trials"


def test_equal_to_the_median_goes_on():
    assert trained(run([1.0, 2.0, 3.0, 2.0])) == [4, 4, 4, 4]


def test_averages_are_over_all_steps_and_compared_with_the_best_step():
    # Three trials fall 4, 2, 0, 0: averages 4, 3, 2. The fourth's best is 3.5 at step 1 (below 4: goes on), at step 2
    # still 3.5, worse than 3.
    curves = {i: [4.0, 2.0, 0.0, 0.0] for i in range(3)} | {3: [3.5, 9.0, 9.0, 9.0]}
    outcome = simulate(
        lambda trials: MedianStopping(trials, max_resource=4), lambda i, _c, r: curves[i][r - 1], budget=Budget(4)
    )
    assert trained(outcome) == [4, 4, 4, 2]


def test_nobody_is_stopped_in_the_grace_period_or_among_too_few():
    assert trained(run([1.0, 2.0, 3.0, 9.0], grace_period=3)) == [4, 4, 4, 3]
    assert trained(run([1.0, 2.0, 3.0, 9.0], min_samples=4)) == [4, 4, 4, 4]


def test_a_trial_without_a_finite_value_is_stopped():
    assert trained(run([math.nan, 1.0])) == [1, 4]


def test_the_paper_s_letter_compares_with_completed_trials_only():
    def outcome(completed_only):
        return simulate(
            lambda trials: MedianStopping(trials, max_resource=4, min_samples=1, completed_only=completed_only),
            lambda i, _c, _r: float(i),
            n_workers=2,
            budget=Budget(n_trials=2),
        )

    assert trained(outcome(completed_only=False)) == [4, 1]
    assert trained(outcome(completed_only=True)) == [4, 4]


def test_a_grace_period_beyond_the_end_is_refused():
    with pytest.raises(ConfigError, match=r"grace_period: must be at most max_resource \(4\), got 5"):
        MedianStopping(None, max_resource=4, grace_period=5)
    MedianStopping(None, max_resource=4, grace_period=4)


def test_wrong_keys_are_all_named():
    with pytest.raises(ConfigError) as caught:
        MedianStopping(None, max_resource=0, grace_period=0, min_samples=1.5)
    assert len(caught.value.lines) == 3
