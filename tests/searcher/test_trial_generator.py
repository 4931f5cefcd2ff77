"""TrialGenerator: where trials come from, in which order, and how many."""

from __future__ import annotations

import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher import EXHAUSTED, NOT_READY, Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator, check_points
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Trial

SPACE = SearchSpace.parse(
    {
        "optimizer": {"lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True}},
        "model": {"n_units": {"type": "int", "low": 4, "high": 1024}},
    }
)


class Counting(Searcher):
    """Suggests n_units = 4, 5, 6, ... for the trials 0, 1, 2, ..., up to `last`."""

    def __init__(self, last: int = 1024) -> None:
        self.last = last

    def suggest(self, trial_id, first_rung=0):
        n_units = 4 + trial_id
        return {"optimizer.lr": 1.0, "model.n_units": n_units} if n_units <= self.last else EXHAUSTED


def test_trials_are_numbered():
    trials = TrialGenerator(Counting(), SPACE)
    assert [trials.new() for _ in range(3)] == [
        Trial(i, {"optimizer.lr": 1.0, "model.n_units": 4 + i}) for i in range(3)
    ]


def test_points_come_first_completed_with_midpoints_and_each_once():
    points = [{"model.n_units": 64}, {"model.n_units": 64, "optimizer.lr": 1e-3}, {}]
    suggestions = TrialGenerator(Counting(), SPACE, points=points)
    configs = [suggestions.new().config for _ in range(3)]
    assert configs[0] == {"optimizer.lr": pytest.approx(1e-3), "model.n_units": 64}
    assert configs[1] == {"optimizer.lr": pytest.approx(1e-3), "model.n_units": 514}
    assert configs[2]["optimizer.lr"] == 1.0


def test_n_trials_ends_the_stream():
    suggestions = TrialGenerator(Counting(), SPACE, n_trials=2, points=[{}, {"model.n_units": 5}, {"model.n_units": 6}])
    assert [suggestions.exhausted, suggestions.new().id, suggestions.exhausted, suggestions.new().id] == [
        False,
        0,
        False,
        1,
    ]
    assert (suggestions.exhausted, suggestions.new()) == (True, EXHAUSTED)


def test_an_exhausted_searcher_ends_the_stream_and_changes_nothing():
    searcher = Counting(last=4)
    suggestions = TrialGenerator(searcher, SPACE)
    assert suggestions.new().id == 0
    assert (suggestions.new(), suggestions.new()) == (EXHAUSTED, EXHAUSTED)
    searcher.last = 1024
    assert suggestions.new().id == 1


def test_recorded_configurations_come_before_everything_even_past_n_trials():
    recorded = [{"optimizer.lr": 0.5, "model.n_units": n} for n in (8, 9)]
    suggestions = TrialGenerator(Counting(), SPACE, n_trials=1, points=[{"model.n_units": 7}])
    for config in recorded:
        suggestions.replay(config)
    assert [suggestions.new().config for _ in range(2)] == recorded
    assert (suggestions.new(), suggestions.exhausted) == (EXHAUSTED, True)


@pytest.mark.parametrize("cut", range(6))
def test_a_resumed_stream_goes_on_as_if_never_interrupted(cut):
    points = [{"model.n_units": 64}, {}, {"model.n_units": 64}]
    whole = TrialGenerator(RandomSearch(SPACE, 0), SPACE, 6, points)
    trials = [whole.new() for _ in range(6)]
    resumed = TrialGenerator(RandomSearch(SPACE, 0), SPACE, 6, points)
    for trial in trials[:cut]:
        resumed.replay(trial.config, trial.origin)
    assert [resumed.new() for _ in range(6)] == trials


def test_to_ask_whether_there_will_be_a_trial_costs_no_suggestion():
    class Never(Searcher):
        def suggest(self, trial_id, first_rung=0):
            raise AssertionError("it was asked")

    trials = TrialGenerator(Never(), SPACE, points=[{}])
    assert not trials.exhausted
    assert isinstance(trials.new(), Trial)
    assert not trials.exhausted
    Never.exhausted = True
    assert trials.exhausted


def test_a_searcher_that_is_not_ready_uses_up_no_number():
    class Slow(Counting):
        ready = False

        def suggest(self, trial_id, first_rung=0):
            return super().suggest(trial_id) if self.ready else NOT_READY

    searcher = Slow()
    trials = TrialGenerator(searcher, SPACE, n_trials=1)
    assert [trials.new(), trials.new()] == [NOT_READY, NOT_READY]
    searcher.ready = True
    assert trials.new().id == 0


def test_wrong_points_are_refused_all_at_once():
    points = [{"optimizer.lr": 2.0}, {"model.n_unit": 4}, 7]
    assert list(map(str, check_points(SPACE, points))) == [
        "[0].optimizer.lr: 2.0 is not in the search space (log-uniform [1e-6, 1])",
        "[1].model.n_unit: not in the search space; did you mean 'model.n_units'?",
        "[2]: must be a mapping path -> value, got 7",
    ]
    with pytest.raises(ConfigError) as caught:
        TrialGenerator(Counting(), SPACE, points=points)
    assert caught.value.lines[0].startswith("points_to_evaluate[0].optimizer.lr: ")


CONSTRAINED = SearchSpace.parse(
    {
        "model": {"n_units": {"type": "int", "low": 4, "high": 1024}, "width": {"type": "int", "low": 4, "high": 1024}},
        "constraints": ["model.n_units < model.width"],
    }
)


def test_a_mid_point_that_a_constraint_excludes_is_left_out_and_this_is_said():
    suggestions = TrialGenerator(RandomSearch(CONSTRAINED, 0), CONSTRAINED, points=[{}, {"model.width": 600}, {}])
    assert suggestions.notes == [
        "points_to_evaluate: the mid-point of the space is left out: 'model.n_units < model.width' does not hold for "
        "model.n_units 514, model.width 514"
    ]
    assert suggestions.new().config == {"model.n_units": 514, "model.width": 600}
    assert CONSTRAINED.allows(suggestions.new().config)


def test_a_point_that_a_person_gave_and_a_constraint_excludes_is_an_error():
    with pytest.raises(ConfigError) as caught:
        TrialGenerator(Counting(), CONSTRAINED, points=[{}, {"model.n_units": 600}])
    assert caught.value.lines == [
        "points_to_evaluate[1].constraints: 'model.n_units < model.width' does not hold for "
        "model.n_units 600, model.width 514"
    ]


def test_nothing_is_said_of_a_mid_point_that_is_in_the_space_or_was_not_asked_for():
    assert TrialGenerator(Counting(), SPACE, points=[{}]).notes == []
    assert TrialGenerator(Counting(), CONSTRAINED, points=[{"model.width": 515}]).notes == []
