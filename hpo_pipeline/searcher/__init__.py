"""Searchers propose configurations. One algorithm a file; this one holds the interface they share."""

from __future__ import annotations

from typing import Protocol

from hpo_pipeline.trial import Config, Trial


class Searcher(Protocol):
    """Proposes configurations, and learns from what became of them.

    A session of calls, as a scheduler with two workers makes them:

        suggest(0, 0) -> c0;  on_trial(Trial(0, c0))
        suggest(1, 0) -> c1;  on_trial(Trial(1, c1))
        observe(Trial(1, c1), resource=1, score=0.4)
        suggest(2, 0) -> c2;  on_trial(Trial(2, c2)) ...

    What `suggest` answers follows from the seed, its arguments, and the calls of the other two methods alone (not from
    earlier calls of `suggest`): a resumed study makes those calls again from its journal, with the recorded
    configurations, and goes on as if it had never ended.
    """

    def suggest(self, trial_id: int, first_rung: int = 0) -> Config | None:
        """A configuration for the new trial `trial_id`; None if the space is exhausted, wherever it begins.

        `first_rung`: the rung that the trial begins on, counted from the lowest one of the longest bracket, which is 0.
        """
        ...

    def on_trial(self, trial: Trial) -> None:
        """A trial has started, whether its configuration was suggested here, given by a person, or recorded."""
        ...

    def observe(self, trial: Trial, resource: int, score: float) -> None:
        """A rung evaluation: `score` is minimised, and +inf where the metric was not finite or the trial failed."""
        ...
