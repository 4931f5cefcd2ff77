"""What a study would do, before it does it (`dry_run=true`): its space, its plan, what it costs, where it is logged.

The cost is estimated by running the study's own scheduler on a simulated clock, over made-up learning curves and
configurations drawn at random: how many trials get how far hardly depends on the numbers. One unit of resource is timed
where that is cheap, and then only: a training of ours, for a few seconds.

With output=json all this is one event, `plan`: space (path -> what it may be, and when), scheduler, estimate (trials,
rungs, resource, seconds, unit_seconds, of), logged.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hpo_pipeline.budget import Budget
from hpo_pipeline.build import build
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import describe
from hpo_pipeline.executor.isolation import isolated
from hpo_pipeline.interrupt import TimeUp, time_limit
from hpo_pipeline.objective import SupportsClose, SupportsTarget, TrialSpec
from hpo_pipeline.preflight import Components
from hpo_pipeline.ranking import ByScore
from hpo_pipeline.report.text import duration, plural
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.seeding import generator, trial_seed
from hpo_pipeline.simulation import simulate
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.tracker import SupportsDescribe
from hpo_pipeline.warm_start import component

MOST_TRIALS = 500
"""That are simulated; what more of them cost is extrapolated."""
MOST_RESOURCE = 5_000
"""The same."""
PATIENCE_SECONDS = 10.0
"""For the timed unit, the start of its trial included."""
_OURS = ("hpo_pipeline.objective.training.Training", "hpo_pipeline.objective.lightning.Lightning")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a study costs, about.

    Attributes:
        trials: how many are begun.
        rungs: resource -> evaluations there; empty where the scheduler has no rungs.
        resource: of all trials together, finalists included.
        units: one after the other on the busiest worker.
        share: of the study that was simulated; the rest is extrapolated.
    """

    trials: int
    rungs: dict[int, int]
    resource: int
    units: float
    share: float


def estimate(composed: Composed, parts: Components) -> Estimate | None:
    """What the study costs; None where only time or a target ends it."""
    budget, config = parts.budget, composed.config

    def same(space: SearchSpace, seed: int) -> Searcher:
        made: Searcher = build(component(config["searcher"]), "searcher", space=space, seed=seed)
        return made

    finite = same(parts.space, config["seed"]).finite  # a grid: it decides how many trials there are
    if not (budget.n_trials or budget.max_total_resource or finite):
        return None
    simulated = Budget(
        n_trials=min(budget.n_trials, MOST_TRIALS) if budget.n_trials else None,
        max_total_resource=min(budget.max_total_resource or MOST_RESOURCE, MOST_RESOURCE),
    )
    outcome = simulate(
        lambda trials: build(
            config["scheduler"], "scheduler", trials=trials, space=parts.space, ranking=ByScore, seed=config["seed"]
        ),
        _curve,
        max(1, parts.executor.capacity),  # of a cluster it isn't known before it is there
        simulated,
        searcher=same if finite else RandomSearch,
        space=parts.space,
        seed=config["seed"],
        finalists=parts.finalists,
    )
    view = outcome.view
    shares = [len(view.trials) / budget.n_trials] if budget.n_trials else []
    shares += [view.total_resource / budget.max_total_resource] if budget.max_total_resource else []
    # What has come to its end before the simulation's own limits is whole.
    is_whole = view.total_resource < MOST_RESOURCE and simulated.n_trials == budget.n_trials
    share = 1.0 if is_whole or not shares else min(1.0, max(shares))
    rungs = Counter(rung.resource for trial in view.trials.values() for rung in trial.rungs)
    scaled = 1 / share
    total = round(view.total_resource * scaled)
    return Estimate(
        trials=round(len(view.trials) * scaled),
        rungs={resource: round(n * scaled) for resource, n in sorted(rungs.items())},
        resource=min(total, budget.max_total_resource or total),
        units=view.seconds * scaled,
        share=share,
    )


def _curve(trial_id: int, _config: object, resource: int) -> float:
    """Falls with the resource; most trials keep their order."""
    quality = float(generator(0, "dry run", trial_id).random())
    noise = float(generator(0, "dry run", trial_id, resource).random())
    return quality + (1.0 + 0.3 * noise) / resource


@dataclass(frozen=True, slots=True)
class Timed:
    """How long one unit of resource takes; None, and why it isn't known."""

    seconds: float | None
    why: str


def time_unit(composed: Composed, parts: Components) -> Timed:
    """Trains the middle of the search space for one unit, or two where the first is short, and forgets it."""
    objective, target = parts.objective, composed.config["objective"].get("_target_")
    if parts.executor.is_simulated:
        return Timed(None, "time is simulated")
    if target not in _OURS:
        return Timed(None, "not timed: a dry run starts no function and no program of an objective")
    late = f"not timed: more than {PATIENCE_SECONDS:g} s"
    spec = TrialSpec(
        composed.trial_config(0, parts.space.midpoint()),
        trial_seed(composed.config["seed"], 0),
        Path(tempfile.gettempdir()),
    )
    try:
        with isolated(), time_limit(PATIENCE_SECONDS, TimeUp()):
            began = time.perf_counter()
            state = objective.start(spec)
            if isinstance(objective, SupportsTarget):
                objective.set_target(state, 2)
            try:
                seconds = _timed(lambda: objective.advance(state))
                if 2 * seconds < PATIENCE_SECONDS - (time.perf_counter() - began):  # the first one warms up
                    seconds = _timed(lambda: objective.advance(state))
            finally:
                if isinstance(objective, SupportsClose):
                    objective.close(state)
    except TimeUp:
        return Timed(None, late)
    except Exception as error:  # whatever a training raises: the study would say it of its trial
        return Timed(None, f"not timed: {describe(error)}")
    return Timed(seconds, "the middle of the search space, alone")


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a dry run shows."""

    space: SearchSpace
    scheduler: str
    estimate: Estimate | None
    timed: Timed
    logged: list[str]
    unit: str
    n_workers: int
    budget: Budget

    def event(self) -> dict[str, Any]:
        """For programs."""
        found = None if self.estimate is None else asdict(replace(self.estimate, rungs={}))
        if found and self.estimate:
            found |= {"rungs": {str(at): n for at, n in self.estimate.rungs.items()}, "seconds": self._seconds()}
        return {
            "space": {
                p.path: {"domain": str(p.domain), **({"when": list(map(str, p.when))} if p.when else {})}
                for p in self.space.parameters
            },
            "scheduler": self.scheduler,
            "estimate": found,
            "unit_seconds": self.timed.seconds,
            "unit_seconds_of": self.timed.why,
            "logged": self.logged,
        }

    def _seconds(self) -> float | None:
        """How long the study takes, about."""
        if self.timed.seconds is None or self.estimate is None:
            return None
        seconds = self.estimate.units * self.timed.seconds
        return min(seconds, self.budget.max_seconds or seconds)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"Search space, {plural(len(self.space.parameters), 'hyperparameter')}:"
        width = max((len(p.path) for p in self.space.parameters), default=0)
        for p in self.space.parameters:
            when = f"  if {' and '.join(map(str, p.when))}" if p.when else ""
            yield f"  {p.path:<{width}}  {p.domain}{when}"
        yield "Plan:"
        yield from (f"  {line}" for line in self.scheduler.splitlines())
        yield "Cost:"
        yield from (f"  {line}" for line in self._cost())
        yield "Logged:"
        yield from (f"  {line}" for line in self.logged)
        yield "A dry run: nothing was started, nothing was written."

    def _cost(self) -> Iterator[str]:
        unit, seconds = self.unit, self.timed.seconds
        one = (
            f"one {unit}: {duration(seconds)} ({self.timed.why})"
            if seconds is not None
            else (f"one {unit}: {self.timed.why}")
        )
        found = self.estimate
        if found is None:
            yield "no estimate of the resource: only time or a target ends the study"
            yield one
            return
        about = "" if found.share >= 1 else f", extrapolated from {found.share:.0%} of it"
        yield f"about {plural(found.resource, unit)} in all, by {plural(found.trials, 'trial')}{about}"
        if found.rungs:
            reached = ", ".join(f"{n} at {unit} {at}" for at, n in found.rungs.items())
            yield f"evaluations: {reached}"
        yield one
        total = self._seconds()
        if total is not None:
            at_once = (
                f"{plural(self.n_workers, 'job')} at a time" if self.n_workers else "one job at a time, if no more"
            )
            yield f"about {duration(total)} with {at_once}; bigger or smaller configurations take more or less"


def plan(composed: Composed, parts: Components, scheduler: str) -> Plan:
    """What `dry_run=true` shows.

    Args:
        scheduler: what scheduler and searcher say of themselves.
    """
    folder = Path(composed.config["folder"])
    logged = [f"{folder}: config.yaml, journal.jsonl, log.txt, trials/<id>/log.txt, best.yaml, leaderboard.csv, plots"]
    logged += [tracker.describe() for tracker in parts.trackers if isinstance(tracker, SupportsDescribe)]
    return Plan(
        space=parts.space,
        scheduler=scheduler,
        estimate=estimate(composed, parts),
        timed=time_unit(composed, parts),
        logged=logged,
        unit=parts.objective.unit,
        n_workers=parts.executor.capacity,
        budget=parts.budget,
    )
