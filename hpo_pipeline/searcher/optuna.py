"""Any sampler of Optuna (Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework") as a
searcher: `pip install 'hpo_pipeline[optuna]'`.

Each suggestion is asked of a new study in memory, to which all trials are added as they stand, and of a new sampler,
whose seed is the trial's own: so it follows from what was heard alone. That costs about 0.15 ms a trial, besides the
sampler. What a trial is to Optuna:

    RUNNING     it has no rung evaluation yet
    PRUNED      it has, each one an intermediate value; it may go on later
    COMPLETE    with the score at its last rung
    FAIL        failed, or its last score isn't finite: samplers leave it out

Some samplers keep a state of their own, as attributes of the study and of the trials that they were asked for: the
generation of CMA-ES and NSGA-II, the place in a quasi-random sequence. It is kept with the trials, and a resumed study
asks for it again before its first new suggestion (`STATELESS` lists those that need nothing).
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_pipeline.checks import option_problems
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.searcher import Searcher, Suggestion
from hpo_pipeline.searcher.one_core import one_core
from hpo_pipeline.searcher.seen import Seen
from hpo_pipeline.seeding import derived_seed, generator
from hpo_pipeline.space import Choice, Constant, Float, Int, Parameter, SearchSpace
from hpo_pipeline.space.domain import is_value
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.trial import FINAL, Config, Job, State, StateChange, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

STATELESS = ("TPESampler", "GPSampler", "RandomSampler", "BruteForceSampler")
"""Samplers that look at the trials alone."""
ONE_SEED = ("QMCSampler",)
"""Samplers whose seed scrambles a sequence, which has to be the same for every trial."""
ATTEMPTS = 20
"""How often a sampler is asked for one trial: until its answer is allowed and new."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a sampler answered, and what it keeps of that: attributes of the trial and of the study."""

    config: Config
    trial_attributes: Mapping[str, Any]
    study_attributes: Mapping[str, Any]


@dataclass(slots=True)
class _Heard:
    """A trial: its rung evaluations by resource, and how it ended."""

    config: Config
    attributes: Mapping[str, Any]
    scores: dict[int, float] = field(default_factory=dict)
    state: State = State.RUNNING


class OptunaSearch(Searcher):
    """Asks one of Optuna's samplers.

    Args:
        sampler: name of a class in `optuna.samplers`.
        options: its arguments, plain values.
    """

    def __init__(
        self, space: SearchSpace, seed: int, sampler: str = "TPESampler", options: Mapping[str, Any] | None = None
    ) -> None:
        self._make = _maker(sampler, {} if options is None else options)
        self._space = space
        self._seed = seed
        self._sampler = sampler
        self._seen = Seen(space)
        self._translated = _translated(space)
        self._trials: dict[int, _Heard] = {}
        self._attributes: Mapping[str, Any] = {}  # the study's
        self._unheard: list[Job | Evaluation | StateChange] = []
        self._draft: tuple[int, _Draft] | None = None  # of this trial, with nothing heard since

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        self._hear()
        if self._draft is None or self._draft[0] != trial_id:
            with one_core():
                self._draft = trial_id, self._asked(trial_id)
        config = self._draft[1].config
        if self._is_wanted(config):
            return Suggestion(config, f"optuna, {self._sampler}")
        rng = generator(self._seed, "suggest", trial_id)
        return Suggestion(self._seen.first_unseen(iter(lambda: self._space.sample(rng), None)), "uniform")

    def _is_wanted(self, config: Config) -> bool:
        return self._space.allows(config) and (self._seen.exhausted or config not in self._seen)

    def on_submitted(self, job: Job) -> None:
        self._unheard.append(job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self._unheard.append(evaluation)

    def on_state(self, change: StateChange) -> None:
        self._unheard.append(change)

    def _hear(self) -> None:
        """Takes in what has happened since the last suggestion; only now, so that a replay asks no sampler."""
        for event in self._unheard:
            if isinstance(event, Job):
                if event.trial.id not in self._trials:
                    self._trials[event.trial.id] = self._begun(event)
                    self._seen.add(event.trial.config)
            elif isinstance(event, Evaluation):
                self._evaluated(event)
            elif event.state in FINAL and event.trial_id in self._trials:
                self._trials[event.trial_id].state = event.state
            self._draft = None
        self._unheard.clear()

    def _begun(self, job: Job) -> _Heard:
        if self._sampler in STATELESS:
            return _Heard(job.trial.config, {})
        is_drafted = self._draft is not None and self._draft[0] == job.trial.id
        draft = self._draft[1] if self._draft is not None and is_drafted else self._asked(job.trial.id)
        self._attributes = draft.study_attributes
        return _Heard(job.trial.config, draft.trial_attributes)

    def _evaluated(self, evaluation: Evaluation) -> None:
        trial = self._trials[evaluation.trial.id]
        if evaluation.status is Status.FAILED:
            trial.state = State.FAILED
        elif evaluation.rung is not None and evaluation.trial.config == trial.config:
            trial.scores[evaluation.resource] = evaluation.score if evaluation.status is Status.OK else math.nan

    def _asked(self, trial_id: int) -> _Draft:
        """What a new sampler answers in a study of what was heard; asked again while that isn't wanted."""
        from optuna.storages import InMemoryStorage
        from optuna.study import create_study
        from optuna.trial import TrialState

        key = ("optuna",) if self._sampler in ONE_SEED else ("optuna", trial_id)
        storage = InMemoryStorage()
        study = create_study(storage=storage, sampler=self._make(derived_seed(self._seed, *key) % 2**32))
        study_id = storage.get_study_id_from_name(study.study_name)
        for name, value in self._attributes.items():
            storage.set_study_system_attr(study_id, name, value)
        study.add_trials(map(self._frozen, self._trials.values()))
        for attempt in range(1, ATTEMPTS + 1):
            trial = study.ask()
            config = self._sampled(trial)
            if attempt == ATTEMPTS or self._is_wanted(config):
                break
            study.tell(trial, state=TrialState.FAIL)
        attributes = study.get_trials(deepcopy=False)[-1].system_attrs
        return _Draft(config, attributes, storage.get_study_system_attrs(study_id))

    def _sampled(self, trial: Trial) -> Config:
        config: dict[str, Value] = {}
        for p, translated in zip(self._space.parameters, self._translated, strict=True):
            if p.is_active(config):
                config[p.path] = p.domain.midpoint if translated is None else translated.sampled(trial)
        return config

    def _frozen(self, trial: _Heard) -> FrozenTrial:
        """The trial as Optuna knows them."""
        from optuna.trial import TrialState, create_trial

        active = [
            (t, trial.config[p.path])
            for p, t in zip(self._space.parameters, self._translated, strict=True)
            if t is not None and p.is_active(trial.config)
        ]
        last = trial.scores[max(trial.scores)] if trial.scores else math.nan
        state = TrialState.PRUNED if trial.scores else TrialState.RUNNING
        if trial.state is State.COMPLETED and math.isfinite(last):
            state = TrialState.COMPLETE
        elif trial.state is State.FAILED or (trial.state in FINAL and not math.isfinite(last)):
            state = TrialState.FAIL
        return create_trial(
            state=state,
            value=last if state is TrialState.COMPLETE else None,
            params={t.name: t.encode(value) for t, value in active},
            distributions={t.name: t.distribution for t, _ in active},
            system_attrs=dict(trial.attributes),
            intermediate_values=trial.scores,
        )


@dataclass(frozen=True, slots=True)
class _Translated:
    """A hyperparameter as Optuna knows them: values go there by `encode` and come back by `decode`."""

    name: str
    distribution: BaseDistribution
    encode: Callable[[Any], int | float]
    decode: Callable[[Any], Value]

    def sampled(self, trial: Trial) -> Value:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        d = self.distribution
        if isinstance(d, FloatDistribution):
            return self.decode(trial.suggest_float(self.name, d.low, d.high, log=d.log))
        if isinstance(d, IntDistribution):
            return self.decode(trial.suggest_int(self.name, d.low, d.high, step=d.step, log=d.log))
        assert isinstance(d, CategoricalDistribution)
        return self.decode(trial.suggest_categorical(self.name, d.choices))


def _translated(space: SearchSpace) -> list[_Translated | None]:
    """Of each parameter; None for constants. Values that are listed go by their place in the list."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    all_cells = iter(UnitCube(space).cells)

    def translated(index: int, p: Parameter) -> _Translated | None:
        domain = p.domain
        if isinstance(domain, Constant):
            return None
        name, cells = f"{index} {p.path}", next(all_cells)  # a path may be declared under several conditions
        if isinstance(domain, Int) and domain.n is None and domain.base is None:
            integers = IntDistribution(domain.low, domain.high, domain.log, domain.step or 1)
            return _Translated(name, integers, int, int)
        if cells is not None:
            n = len(cells.values)
            places = CategoricalDistribution(range(n)) if isinstance(domain, Choice) else IntDistribution(0, n - 1)
            return _Translated(
                name,
                places,
                lambda value: int(cells.index(np.asarray(domain.to_unit(value)))),
                lambda i: cells.values[i],
            )
        if isinstance(domain, Float) and domain.size is None:
            return _Translated(name, FloatDistribution(domain.low, domain.high, domain.log), float, float)
        return _Translated(name, FloatDistribution(0.0, 1.0), domain.to_unit, domain.from_unit)

    return [translated(i, p) for i, p in enumerate(space.parameters)]


def _maker(sampler: Any, options: Any) -> Callable[[int], BaseSampler]:
    """What makes a sampler from a seed.

    Raises:
        ConfigError: there is no such sampler, it doesn't take the options, or Optuna isn't installed.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigError(Problem("sampler", "needs Optuna; pip install 'hpo_pipeline[optuna]'")) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # else it tells of every study in memory
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    known = {name: cls for name, cls in vars(optuna.samplers).items() if _is_sampler(cls, optuna.samplers.BaseSampler)}
    if not isinstance(sampler, str) or sampler not in known:
        raise ConfigError(option_problems(sorted(known), sampler=sampler))
    takes = [name for name in inspect.signature(known[sampler]).parameters if name != "seed"]
    problems = [] if isinstance(options, Mapping) else [Problem("", "must be a mapping of arguments", options)]
    for name, value in options.items() if not problems else ():
        if name not in takes:
            what = f"{sampler} takes {', '.join(takes)}, not {name!r}{nearest(str(name), takes)}"
            problems.append(Problem(str(name), "the study's seed is used; leave it out" if name == "seed" else what))
        elif not is_value(value):
            problems.append(Problem(name, "must be a plain value: a number, a string, true, false or null", value))
    if problems:
        raise ConfigError(problems).under("options")

    def make(seed: int) -> BaseSampler:
        made: BaseSampler = known[sampler](seed=seed, **options)
        return made

    try:
        make(0)
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(Problem("options", f"{sampler} can't be made with them: {error}")) from None
    return make


def _is_sampler(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base) and not inspect.isabstract(value)
