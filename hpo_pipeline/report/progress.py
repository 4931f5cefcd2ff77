"""How far a study is: the share of its budget that is used up, with the work that is under way."""

from __future__ import annotations

from collections.abc import Callable

from hpo_pipeline.budget import Budget
from hpo_pipeline.trial import FINAL, State
from hpo_pipeline.view import StudyView, TrialView


def progress(
    view: StudyView, budget: Budget, elapsed: float, to_come: Callable[[StudyView], int] = lambda _: 0
) -> float | None:
    """The share of the budget that is used up, by whichever limit is furthest along; None where there is no limit.

    Of `n_trials`, a trial counts as a whole when it is final, and one at work by how far its job is. A paused one
    counts half as long as it may well be promoted (a synchronous scheduler promotes only when the whole rung is
    there), and fully under a scheduler that goes on beginning trials after it has promoted some: there most paused
    trials stay where they are. What comes after the search is added in units of resource.

    Args:
        elapsed: seconds that the study has run.
        to_come: the resource that finalists are still to be trained with.
    """
    shares = []
    if budget.n_trials:
        shares.append(_with_finalists(view, _searched(view) / budget.n_trials, to_come(view)))
    if budget.max_total_resource:
        shares.append(view.total_resource / budget.max_total_resource)
    if budget.max_seconds:
        shares.append(elapsed / budget.max_seconds)
    return min(1.0, max(shares)) if shares else None


def _searched(view: StudyView) -> float:
    """How many trials of the search are through, in parts."""
    trials = [trial for trial in view.trials.values() if trial.repeats is None]
    newest = trials[-1].started if trials else 0.0
    promotes_early = any(len(trial.rungs) > 1 and trial.rungs[1].time < newest for trial in trials)
    pauses = any(trial.state is State.PAUSED or len(trial.rungs) > 1 for trial in trials)
    paused = 1.0 if promotes_early or not pauses else 0.5
    return sum(_share(trial, paused) for trial in trials)


def _share(trial: TrialView, paused: float) -> float:
    """How far a trial is, from 0 to 1; `paused`: what one is that waits on a rung."""
    if trial.state in FINAL or trial.finalist:
        return 1.0
    if trial.state is State.PAUSED:
        return paused
    part = min(1.0, trial.resource / trial.target_resource) if trial.target_resource else 0.0
    if not trial.rungs:
        return paused * part
    return max(part, paused) if paused < 1.0 else part


def _with_finalists(view: StudyView, searched: float, to_come: int) -> float:
    """The same share of the search and what comes after it together, both measured by the resource that they take."""
    after = sum(
        trial.resource - (0 if trial.repeats is not None else trial.counted)
        for trial in view.trials.values()
        if trial.finalist
    )
    if not after + to_come or not searched:
        return searched
    spent = view.total_resource - after
    whole = spent / min(1.0, searched) + after + to_come
    return view.total_resource / whole if whole else searched
