"""What searchers and schedulers are told, in one line each."""

from __future__ import annotations

from collections.abc import Iterable

from hpo_pipeline.evaluation import Evaluation, Metric, evaluation, failure
from hpo_pipeline.records import Record
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import Config, Job, Trial
from hpo_pipeline.view import StudyView

LOSS = [Metric("loss")]


def started(searcher: Searcher, trial_id: int, config: Config) -> None:
    searcher.on_submitted(Job(Trial(trial_id, config), 1))


def new_trials(trials: TrialGenerator, n: int) -> list[Config]:
    """The configurations of `n` new trials, each of which is started."""
    configs = []
    for _ in range(n):
        trial = trials.new()
        assert isinstance(trial, Trial)
        trials.searcher.on_submitted(Job(trial, 1))
        configs.append(trial.config)
    return configs


def evaluated(searcher: Searcher, trial_id: int, config: Config, resource: int, score: float) -> None:
    """An evaluation on a rung."""
    searcher.on_evaluation(reached(Job(Trial(trial_id, config), resource), resource, score))


def folded(records: Iterable[Record]) -> StudyView:
    """The view that a journal's records lead to."""
    view = StudyView()
    for record in records:
        view.apply(record)
    return view


def rung_values(records: Iterable[Record], *keys: str) -> dict[tuple[int, ...], float]:
    """The value of the study's metric of each rung evaluation, by these attributes of it and the trial's id."""
    view = folded(records)
    return {
        (*(getattr(rung, key) for key in keys), trial.id): rung.metrics[view.metric]
        for trial in view.trials.values()
        for rung in trial.rungs
    }


def reached(job: Job, resource: int, score: float) -> Evaluation:
    return evaluation(job, resource, {"loss": score}, LOSS)


def failed(job: Job) -> Evaluation:
    return failure(job, LOSS)
