"""ASHA, asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

`type: promotion` is its Algorithm 2: a free worker gets the best trial not yet promoted of the highest rung that has
one within the top 1/eta, else a new trial at the bottom. `type: stopping` is the variant without pauses: a trial
trains on towards the top and is stopped at the first rung at which it is not within the top 1/eta of those that came
there before it (the first one always goes on).

    r = min_resource    R = max_resource    eta = eta    rung k = resources[k]
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hpo_pipeline.errors import ConfigError, nearest
from hpo_pipeline.scheduler import DONE, WAIT, Done, Wait
from hpo_pipeline.scheduler.rungs import Rung, check_geometry, levels
from hpo_pipeline.searcher.suggestions import Suggestions
from hpo_pipeline.trial import CONTINUE, Decision, Job, State, Trial, Verdict

TYPES = ("promotion", "stopping")


class ASHA:
    """Asynchronous successive halving: no worker ever waits for a rung.

    Args:
        trials: where new trials come from.
        eta: reduction factor.
        min_resource: resource of the first rung.
        max_resource: resource of the last rung.
        type: "promotion" or "stopping".

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(
        self, trials: Suggestions, eta: int, min_resource: int, max_resource: int, type: str = "promotion"
    ) -> None:
        problems = check_geometry(min_resource, max_resource, eta)
        if type not in TYPES:
            problems.append(f"type: must be one of {', '.join(TYPES)}, got {type!r}{nearest(str(type), TYPES)}")
        if problems:
            raise ConfigError(problems)
        self._trials = trials
        self._eta = eta
        self._stopping = type == "stopping"
        self._resources = levels(min_resource, max_resource, eta)
        self._top = len(self._resources) - 1
        self._rungs = [Rung(eta) for _ in self._resources]
        self._by_id: dict[int, Trial] = {}
        self._running = 0

    def next_job(self) -> Job | Wait | Done:
        for rung in range(self._top - 1, -1, -1):
            if not self._stopping and (trial_id := self._rungs[rung].pop_promotable()) is not None:
                return self._job(self._by_id[trial_id], rung + 1)
        trial = self._trials.new()
        if trial is None:
            return WAIT if self._running else DONE
        return self._job(trial, self._top if self._stopping else 0)

    def _job(self, trial: Trial, rung: int) -> Job:
        self._running += 1
        self._by_id[trial.id] = trial
        return Job(trial, self._resources[rung], rung, decide_at=self._resources[:-1] if self._stopping else ())

    def on_report(self, job: Job, resource: int, score: float) -> Decision:
        if resource not in self._resources or (resource != job.resource and not self._stopping):
            return CONTINUE
        rung = self._resources.index(resource)
        if not self._stopping or rung == self._top:
            return Decision(rung=rung)
        rank = self._rungs[rung].add(score, job.trial.id)
        n = len(self._rungs[rung])
        kept = max(1, n // self._eta)
        if rank < kept and score < math.inf:
            return Decision(rung=rung)
        self._running -= 1
        return Decision(stop=True, rung=rung, reason=f"rung {rung}: rank {rank + 1} of {n}, kept {kept}")

    def on_result(self, job: Job, score: float, *, failed: bool) -> Sequence[Verdict]:
        self._running -= 1
        at_top = job.rung == self._top
        own = Verdict(job.trial.id, State.FAILED if failed else State.COMPLETED if at_top else State.PAUSED)
        if self._stopping or at_top:
            return [own]
        rank = self._rungs[job.rung].add(score, job.trial.id)
        if failed:
            return [own]
        hopeless = self._hopeless(job, rank, score)
        return [hopeless] if hopeless and hopeless.trial_id == job.trial.id else [own, *filter(None, [hopeless])]

    def _hopeless(self, job: Job, rank: int, score: float) -> Verdict | None:
        """The trial that can't be promoted any more, however the rest turns out, now that one came in at `rank`."""
        if score == math.inf:
            return Verdict(job.trial.id, State.STOPPED, f"rung {job.rung}: the metric is not finite")
        if self._trials.n_trials is None:
            return None
        rung = self._rungs[job.rung]
        # A rung never holds more than n_trials / eta^k trials, so ranks beyond a fixed one have no hope.
        hope = self._trials.n_trials // self._eta ** (job.rung + 1)
        beyond = rung.at(max(rank, hope))
        if beyond is None:
            return None
        reason = f"rung {job.rung}: rank {max(rank, hope) + 1} of {len(rung)}, at most {hope} can be promoted"
        return Verdict(beyond, State.STOPPED, reason)

    def describe(self) -> str:
        what = "stopped unless" if self._stopping else "promoted if"
        return f"rungs at {', '.join(map(str, self._resources))}; {what} within the top 1/{self._eta}"
