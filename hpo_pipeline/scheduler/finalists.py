"""The end of a study: when the search is over, its best trials are trained to the end, and with further seeds.

    next_job() -> the scheduler's jobs ... -> DONE, and none is in flight
    next_job() -> Job(trial 12 -> R, finalist);  Job(trial 31 -> R, finalist, repeats 12) ... -> DONE

Neither the scheduler nor the searcher hears of these jobs: what they know is the search. If it goes on later (a resumed
study may allow more trials), the scheduler may promote a trial that has been further up meanwhile as a finalist. Such a
job is only counted: what the trial reported on the way is told then (history.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hpo_pipeline.checks import integer_problems, is_integer
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.scheduler import DONE, WAIT
from hpo_pipeline.scheduler.checked import CheckedScheduler
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import CONTINUE, FINAL, Decision, Job, State, StateChange, Trial
from hpo_pipeline.view import StudyView, TrialView


@dataclass(frozen=True, slots=True)
class FinalistSettings:
    """How a study ends.

    Attributes:
        n: how many of the best trials are finalists; 0 for none.
        seeds: with how many further seeds each one's configuration is trained.
        max_resource: what a finalist is trained to, unless the scheduler says that it is complete.
    """

    n: int = 0
    seeds: int = 0
    max_resource: int = 0

    def of(self, view: StudyView) -> list[TrialView]:
        """The finalists as things stand, best first."""
        return view.best_scores(self.n) if self.n else []

    def unfinished(self, view: StudyView) -> list[TrialView]:
        """Those of them that would be trained further."""
        return [trial for trial in self.of(view) if self._is_short(trial)]

    def to_come(self, view: StudyView) -> int:
        """The resource that will be spent after the search, as things stand; less what was spent so already."""
        if not self.n:
            return 0
        repeats = [trial for trial in view.trials.values() if trial.repeats is not None]
        at_work = [*self.unfinished(view), *(trial for trial in repeats if trial.state not in FINAL)]
        n_new = max(0, self.n * self.seeds - len(repeats)) + self.n - len(self.of(view))
        return sum(self.max_resource - trial.resource for trial in at_work) + n_new * self.max_resource

    def _is_short(self, trial: TrialView) -> bool:
        return trial.state is not State.COMPLETED and trial.resource < self.max_resource

    def describe(self, unit: str) -> str:
        """One line for people; empty if there are none."""
        if not self.n:
            return ""
        who = "the best trial is" if self.n == 1 else f"the best {self.n} trials are"
        seeds = f", and with {self.seeds} further seed{'s' * (self.seeds > 1)} each" if self.seeds else ""
        return f"when the search is over, {who} trained to {unit} {self.max_resource}{seeds}"


NO_FINALISTS = FinalistSettings()


def finalist_settings(config: Mapping[str, Any]) -> FinalistSettings:
    """Those of a study's config. A finalist is trained to the `max_resource` that the scheduler has, or the study.

    Raises:
        ConfigError: the key `finalists` is wrong.
    """
    given, node = config["finalists"], config["scheduler"]
    known = [key.name for key in fields(FinalistSettings) if key.name != "max_resource"]
    problems = [Problem(str(key), f"there is no such key{nearest(str(key), known)}") for key in given.keys() - known]
    problems += [Problem(key, "is missing; 0 is none") for key in known if key not in given]
    problems += integer_problems(least=0, **{key: given[key] for key in known if key in given})
    if not problems and given["seeds"] and not given["n"]:
        needed = "needs finalists that have them: set finalists.n to 1 or more"
        problems.append(Problem("seeds", needed, given["seeds"]))
    if not problems and given["seeds"] and isinstance(config["metric"], Mapping) and len(config["metric"]) > 1:
        needed = "needs one metric, whose mean over the seeds decides; set finalists.seeds to 0"
        problems.append(Problem("seeds", needed, given["seeds"]))
    if problems:
        raise ConfigError(problems).under("finalists")
    whole: Any = node.get("max_resource") if isinstance(node, Mapping) else None
    if not is_integer(whole, 1):
        whole = config["max_resource"]
    return FinalistSettings(given["n"], given["seeds"], whole)


class Finalists:
    """Passes calls on to a scheduler until its search is over; then hands out the finalists' jobs.

    What it decides follows from the view, the fold of the journal, and from what it has handed out.

    Args:
        view, jobs: the study so far, and the jobs in flight; read, never changed.

    Attributes:
        settings: may change between sessions.
    """

    def __init__(
        self,
        scheduler: CheckedScheduler,
        trials: TrialGenerator,
        view: StudyView,
        jobs: Mapping[int, Job],
        settings: FinalistSettings,
    ) -> None:
        self.settings = settings
        self._scheduler = scheduler
        self._trials = trials
        self._view = view
        self._jobs = jobs
        self._over: tuple[object, ...] | None = None
        """What the session allowed when the search was over."""
        self._at_work: set[int] = set()
        self._n_seeds: dict[int, int] = {}
        """Finalist -> with how many further seeds its configuration was begun."""

    def next_job(self) -> Job | NoTrial:
        """As `Scheduler.next_job`."""
        if not self._at_work:
            answer = self._scheduler.next_job()
            if answer is not DONE or self._jobs:
                return answer
            self._over = self._allowed
        elif self._over != self._allowed:
            return WAIT  # this session may search on, once it is known what became of the last one's finalists
        job = self._finalist_job()
        if job is None:
            return WAIT if self._at_work else DONE
        self._at_work.add(job.trial.id)
        return job

    @property
    def _allowed(self) -> tuple[object, ...]:
        return self._trials.n_trials, self.settings

    def _finalist_job(self) -> Job | None:
        whole = self.settings.max_resource
        finalists = self.settings.of(self._view)
        unfinished = self.settings.unfinished(self._view)
        for trial in unfinished:
            if trial.id not in self._at_work:
                again = Trial(trial.id, trial.config, trial.origin)
                return Job(again, whole, trial.rung, trial.bracket, finalist=True)
        for n in range(self.settings.seeds):
            for trial in finalists:
                # What changed on the way is no configuration that another seed could be trained with.
                if self._n_seeds.get(trial.id, 0) == n and not trial.changes:
                    self._n_seeds[trial.id] = n + 1
                    origin = f"finalist {trial.id}, further seed {n + 1} of {self.settings.seeds}"
                    return Job(self._trials.repeat(trial.id, trial.config, origin), whole, finalist=True)
        return None

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        """As `Scheduler.on_report`. A finalist is compared with nobody on a rung."""
        return CONTINUE if job.finalist else self._scheduler.on_report(job, evaluation)

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        """As `Scheduler.on_result`."""
        if job.finalist:
            self._at_work.discard(job.trial.id)
            failed = evaluation.status is Status.FAILED
            state, reason = (State.FAILED, "") if failed else (State.COMPLETED, "trained to the end as a finalist")
            return [StateChange(job.trial.id, state, reason)]
        return self._scheduler.on_result(job, evaluation)
