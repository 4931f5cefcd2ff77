"""Every trial says where it came from: in the journal, in the view, and again when the study is resumed."""

import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ComponentError
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.searcher import Searcher, Suggestion
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.simulation import SPACE, simulate


def fifo(trials):
    return FIFO(trials, max_resource=1)


class Choosy(Searcher):
    """Chooses the rungs that its trials begin on."""

    def __init__(self, space, seed):
        pass

    def suggest(self, trial_id, first_rung=0):
        return Suggestion({"x": trial_id / 10}, f"near trial {trial_id - 1}", trial_id % 3)


@pytest.mark.parametrize("cuts", [(), (1, 3)])
def test_origins_are_recorded_once_and_stay(cuts):
    points = [{}, {"x": 0.25}]
    outcome = simulate(fifo, lambda *_: 0.5, budget=Budget(n_trials=4), points=points, interrupt_after=cuts)
    assert [trial.origin for trial in outcome.view.trials.values()] == [
        "mid-point",
        "point given",
        "uniform",
        "uniform",
    ]


def test_the_rung_that_a_searcher_chooses_is_recorded_and_comes_back_with_the_trial():
    begun = []

    class Noting(FIFO):
        def next_job(self):
            job = super().next_job()
            if hasattr(job, "trial"):
                begun.append((job.trial.id, job.trial.first_rung, job.trial.origin))
            return job

    simulate(lambda trials: Noting(trials, 1), lambda *_: 0.5, budget=Budget(n_trials=4), searcher=Choosy,
             interrupt_after=[2])  # fmt: skip
    expected = [(i, i % 3, f"near trial {i - 1}") for i in range(4)]
    assert sorted(set(begun)) == expected
    assert len(begun) > len(expected)  # those of the first session are asked for again


@pytest.mark.parametrize("wrong", [Suggestion({"x": 0.5}, origin=3), Suggestion({"x": 0.5}, first_rung=-1)])
def test_an_answer_of_the_wrong_form_is_named(wrong):
    class Wrong(Searcher):
        def suggest(self, trial_id, first_rung=0):
            return wrong

    with pytest.raises(ComponentError, match=r"Wrong\.suggest answered Suggestion"):
        TrialGenerator(Wrong(), SPACE).new()
