"""Contract suites that anyone's own searcher, scheduler or objective can be run through.

from hpo_pipeline.testing import check_objective, check_scheduler
check_scheduler(lambda trials: MyScheduler(trials, max_resource=9), n_workers=4, seed=0)
check_objective(MyObjective, {"params": {"lr": 0.1}})
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ComponentError, StudyError
from hpo_pipeline.evaluation import Evaluation, Metric, evaluation, failure
from hpo_pipeline.objective_contract import check_objective
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import EXHAUSTED, NoTrial, Searcher, Suggestion
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.simulation import METRIC, SPACE, ContractError, MakeSearcher, Outcomes, random_world, simulate
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Job, State, StateChange, Trial

__all__ = ["check_objective", "check_scheduler", "check_searcher"]

_REPEATABLE = "the interface asks for what follows from the calls of the other methods alone"


def check_scheduler(
    make: Callable[[TrialGenerator], Scheduler],
    n_workers: int,
    seed: int,
    n_trials: int = 40,
    *,
    searcher: MakeSearcher = RandomSearch,
    space: SearchSpace = SPACE,
) -> None:
    """Runs a scheduler through random failures, NaNs and orders of results, and holds it to its contract.

    What every answer has to be (`Scheduler` says it; the tuner checks it at each call): among others, nothing after a
    trial failed or was stopped, never two jobs for one trial, nor one that goes backwards. Besides: no more trials than
    allowed, and no two with the same configuration unless there is no other; the same seed gives the same jobs; a
    `next_job` that answers WAIT or DONE changes nothing; a study that is cut off and resumed from its journal comes to
    the same end, also with another number of trials; and it ends.

    Raises:
        ContractError: naming what was done, and what the interface asks.
    """
    curve, seconds = random_world(seed)
    budget = Budget(n_trials=n_trials)

    def study(made: Callable[[TrialGenerator], Scheduler]) -> Outcomes:
        outcome = simulate(made, curve, n_workers, budget, searcher=searcher, space=space, seed=seed, seconds=seconds)
        _expect(outcome.end.state == "completed", outcome.end.reason)
        return outcome

    first, again = study(make), study(make)
    _expect(first.jobs == again.jobs, "the same seed gives the same jobs")
    _expect(len(first.view.trials) <= n_trials, "no more trials than allowed")
    first.rung_table()
    _check_distinct(first.suggested(), space)
    twice = study(lambda trials: _AskedTwice(make(trials)))
    _expect(first.jobs == twice.jobs, "a next_job that answers WAIT or DONE changes nothing")

    def resumed(cuts: Sequence[int], n_trials: Sequence[int] = ()) -> Outcomes:
        keys: dict[str, Any] = {"searcher": searcher, "space": space, "seed": seed}
        try:
            return simulate(make, curve, 1, Budget(15), interrupt_after=cuts, n_trials=n_trials, **keys)
        except StudyError as error:
            raise ContractError(f"broken: the same calls give the same answers; resumed: {error}") from error

    _check_resumed(resumed, seed)
    for fewer_or_more in ([15, 30, 45], [30, 15, 15]):
        outcome = resumed([20, 20], fewer_or_more)
        _expect(outcome.end.state == "completed", f"n_trials of three sessions {fewer_or_more}: {outcome.end.reason}")
    made = make(TrialGenerator(searcher(space, seed), space, n_trials))
    _expect(isinstance(made.describe(), str), f"describe answers a str, not {made.describe()!r}")


class _AskedTwice:
    """Asks a scheduler again where it has no job."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.on_report, self.on_result = scheduler.on_report, scheduler.on_result
        self.describe = scheduler.describe

    def next_job(self) -> Job | NoTrial:
        answer = self._scheduler.next_job()
        if not isinstance(answer, Job):
            again = self._scheduler.next_job()
            _expect(answer == again, f"next_job answered {answer}, and asked again {again}: that call changes nothing")
        return answer


def _check_distinct(configs: Sequence[Config], space: SearchSpace) -> None:
    distinct = len({space.key(config) for config in configs})
    expected = len(configs) if space.size is None else min(len(configs), space.size)
    _expect(distinct == expected, f"no configuration twice while there are others: {expected}, not {distinct} distinct")


def _check_resumed(study: Callable[[Sequence[int]], Outcomes], seed: int) -> None:
    """With one worker the order of results is the same with and without the break, so the ends must be equal."""
    whole = study(())
    rng = generator(seed, "cuts")
    cuts = [int(cut) for cut in rng.integers(0, 20, size=3)]
    pieces = study(cuts)
    _expect(whole.suggested() == pieces.suggested(), f"cut off after {cuts} events and resumed, the trials are equal")
    _expect(whole.rung_table() == pieces.rung_table(), f"cut off after {cuts} events and resumed, the rungs are equal")
    states = [{i: t.state for i, t in outcome.view.trials.items()} for outcome in (whole, pieces)]
    _expect(states[0] == states[1], f"cut off after {cuts} events and resumed, the trials' states are equal")


def check_searcher(make: Callable[[SearchSpace], Searcher], space: SearchSpace, n: int = 20) -> None:
    """Holds a searcher to its contract: configurations of the space, the same ones for the same calls, resumable.

    And none twice unless the space is exhausted, nor an end before (but of a searcher that is `finite`); and it leaves
    alone what it is given.

    Raises:
        ContractError: naming what was done, and what the interface asks.
    """
    configs = _suggested(make(space), space, n, recorded=[])
    _expect(configs == _suggested(make(space), space, n, recorded=[]), "the same calls give the same configurations")
    half = _suggested(make(space), space, n, recorded=configs[: n // 2])
    _expect(half == configs, "with the first half recorded instead of suggested, the second half is the same")
    _check_distinct(configs, space)


class _Watched(Searcher):
    """A searcher that is asked everything twice, and whose arguments are looked at afterwards."""

    def __init__(self, searcher: Searcher, space: SearchSpace) -> None:
        self._searcher = searcher
        self._name = type(searcher).__name__
        self._space = space
        self._seen: set[Hashable] = set()

    @property
    def exhausted(self) -> bool:
        return self._searcher.exhausted

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion | Config | NoTrial:
        answer = self._searcher.suggest(trial_id, first_rung)
        before = copy.deepcopy(answer)
        again = self._searcher.suggest(trial_id, first_rung)
        _expect(before == again, f"{self._name}.suggest answered {before}, and asked again {again}; {_REPEATABLE}")
        _expect(answer is EXHAUSTED or not self.exhausted, f"{self._name} is exhausted, and suggest answered {answer}")
        if answer is EXHAUSTED and not (self._searcher.finite and self._seen):
            n, size = len(self._seen), self._space.size
            left = size is None or n < size
            _expect(not left, f"{self._name}.suggest answered EXHAUSTED after {n} of {size or 'endlessly many'} "
                    "configurations; the interface asks for that only if the space is exhausted")  # fmt: skip
        return answer

    def on_submitted(self, job: Job) -> None:
        self._seen.add(self._space.key(job.trial.config))
        self._unchanged("on_submitted", job.trial, job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self._unchanged("on_evaluation", evaluation.trial, evaluation)

    def on_state(self, change: StateChange) -> None:
        self._searcher.on_state(change)

    def _unchanged(self, name: str, trial: Trial, given: Any) -> None:
        before = dict(trial.config)
        answer = getattr(self._searcher, name)(given)
        _expect(trial.config == before, f"{self._name}.{name} changed the configuration that it was given")
        _expect(answer is None, f"{self._name}.{name} answered {answer!r}; the interface asks for no answer")


def _suggested(searcher: Searcher, space: SearchSpace, n: int, recorded: list[Config]) -> list[Config]:
    """`n` configurations, of which every third one stays pending; good, NaN and failed results among the others."""
    trials = TrialGenerator(_Watched(searcher, space), space, n)
    for config in recorded:
        trials.replay(config)
    configs: list[Config] = []
    try:
        while isinstance(trial := trials.new(first_rung=trials.next_id % 2), Trial):
            configs.append(dict(trial.config))
            job = Job(trial, 3, rung=1)
            trials.searcher.on_submitted(job)
            if trial.id % 3 == 2:
                values = (float(trial.id), math.nan)
                for resource in (1, 3):
                    reported = {METRIC: values[trial.id % 2]}
                    trials.searcher.on_evaluation(evaluation(job, resource, reported, [Metric(METRIC)]))
                trials.searcher.on_state(StateChange(trial.id, State.COMPLETED))
            elif trial.id % 3 == 1:
                trials.searcher.on_evaluation(failure(job, [Metric(METRIC)]))
                trials.searcher.on_state(StateChange(trial.id, State.FAILED))
    except ComponentError as error:
        if isinstance(error.__cause__, ContractError):
            raise error.__cause__ from None
        raise ContractError(f"broken: {str(error).replace('_Watched', type(searcher).__name__)}") from error
    return configs


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise ContractError(f"broken: {promise}")
