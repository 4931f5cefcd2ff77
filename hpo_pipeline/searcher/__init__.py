"""Searchers propose configurations. One algorithm a file; this one holds the interface they share.

Their constructors raise a ConfigError that names the keys which are wrong.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.trial import Config, Job, StateChange


class NoTrial(enum.Enum):
    """Why there is no configuration: none yet, until something else is heard; none any more, for good."""

    NOT_READY = "not ready"
    EXHAUSTED = "exhausted"


NOT_READY, EXHAUSTED = NoTrial.NOT_READY, NoTrial.EXHAUSTED


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A configuration for a new trial, and what is to be known of it.

    Attributes:
        origin: where it came from, for people: "uniform", "tree, near trial 12". In the journal, and a tag in MLflow.
        first_rung: the rung that the trial is to begin on, where the searcher chooses among a scheduler's brackets
            (Hyper-Tune); None: where the scheduler begins it.
    """

    config: Config
    origin: str = ""
    first_rung: int | None = None


class Searcher(Protocol):
    """Proposes configurations, and learns from what became of them. Subclasses say only what differs.

    What a searcher hears of a study with two workers, rungs at 1 and 3 epochs:

        suggest(0) -> c0;  on_submitted(Job(trial 0 -> 1))         pending: no evaluation of this job yet
        suggest(1) -> c1;  on_submitted(Job(trial 1 -> 1))
        on_evaluation(trial 1, resource 1, rung 0, score 0.4);  on_state(trial 1 PAUSED)
        on_submitted(Job(trial 1 -> 3))                            a promotion: the same trial, further up
        on_evaluation(trial 1, resource 2, rung None, score 0.3)   on the way: a point of the learning curve
        on_evaluation(trial 0, resource 1, rung 0, FAILED);  on_state(trial 0 FAILED)

    What `suggest` answers follows from the seed, its arguments, and the calls of the other methods alone, in their
    order (not from earlier calls of `suggest`): a resumed study makes those calls again from its journal, asks for
    none of the recorded configurations, and goes on as if it had never ended.

    `suggest` may take its time: it runs in a thread beside the tuner's loop, and what happens meanwhile is heard when
    it has ended. So a searcher is never called by two threads at once.

    Attributes:
        finite: it ends a study, so that no other limit is needed.
        exhausted: whether `suggest` would answer EXHAUSTED; costs nothing.
    """

    finite: bool = False

    @property
    def exhausted(self) -> bool:
        return False

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion | Config | NoTrial:
        """A configuration for the new trial `trial_id`, with its origin or bare; or why there is none.

        NOT_READY is right only while some job is at work: its end is what makes the tuner ask again.

        `first_rung`: the rung that the trial begins on, counted from the lowest one of the longest bracket, which is 0.
        """

    def describe(self) -> str:
        """One line for people: how it proposes in this study. Shown before the study starts; empty: nothing to say."""
        return ""

    def on_submitted(self, job: Job) -> None:
        """A job is handed out: a new trial's first one, whatever its configuration comes from, or one further up."""

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """A trial has reported a unit of resource, on a rung or on the way to one; or it has failed."""

    def on_state(self, change: StateChange) -> None:
        """A trial is PAUSED, STOPPED, COMPLETED or FAILED, and why."""
