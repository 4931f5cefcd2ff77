"""Optuna's samplers as searchers: what they are told, and that a resumed study goes on as if it had never ended."""

import math
import sys

import pytest
from commands import compose
from components import SPACES
from heard import LOSS, failed, reached

optuna = pytest.importorskip("optuna")

from optuna.trial import TrialState  # noqa: E402

from hpo_pipeline.errors import ConfigError  # noqa: E402
from hpo_pipeline.evaluation import evaluation  # noqa: E402
from hpo_pipeline.scheduler.asha import ASHA  # noqa: E402
from hpo_pipeline.searcher.optuna import OptunaSearch  # noqa: E402
from hpo_pipeline.searcher.random import RandomSearch  # noqa: E402
from hpo_pipeline.space import SearchSpace  # noqa: E402
from hpo_pipeline.testing import check_scheduler, check_searcher  # noqa: E402
from hpo_pipeline.trial import Job, State, StateChange, Trial  # noqa: E402

UNIT = {"type": "float", "low": 0.0, "high": 1.0}
SQUARE = SearchSpace.parse({"x": UNIT, "y": UNIT})
MIXED = SearchSpace.parse(
    {
        "width": {"type": "int", "low": 3, "high": 40, "log": True},
        "wide": {"type": "int", "low": 0, "high": 100_000, "step": 50},
        "base": {"type": "int", "low": 8, "high": 128, "base": 2},
        "dropout": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
        "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
        "flag": {"type": "choice", "choices": [True, 1, "1", None]},
        "near": {"type": "ordinal", "choices": [1, 2, 100], "encoding": "nearest"},
        "law": {"type": "scipy", "distribution": "norm"},
        "third": {"type": "float", "low": 0.0, "high": 1.0, "when": {"flag": [True, None]}},
        "fixed": 3,
    }
)
SAMPLERS = {
    "TPESampler": {"multivariate": True, "n_startup_trials": 3},
    "RandomSampler": {},
    "CmaEsSampler": {"n_startup_trials": 2, "popsize": 4},
    "QMCSampler": {},
    "NSGAIISampler": {"population_size": 4},
}


def make(sampler):
    if sampler == "CmaEsSampler":
        pytest.importorskip("cmaes")
    return lambda space, seed: OptunaSearch(space, seed, sampler, SAMPLERS[sampler])


def evaluated(searcher, trial_id, config, score):
    job = Job(Trial(trial_id, config), 1, rung=0)
    searcher.on_submitted(job)
    searcher.on_evaluation(reached(job, 1, score))
    searcher.on_state(StateChange(trial_id, State.COMPLETED))


@pytest.mark.parametrize("space", [*SPACES.values(), MIXED], ids=[*SPACES, "mixed"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_keep_the_contract(sampler, space):
    made = make(sampler)
    check_searcher(lambda space: made(space, 0), space, n=10)


@pytest.mark.slow
def test_a_resumed_gaussian_process_answers_the_same():
    pytest.importorskip("torch")
    going, resumed = (OptunaSearch(SQUARE, 0, "GPSampler", {"n_startup_trials": 1}) for _ in range(2))
    configs = []
    for i in range(3):
        configs.append(going.suggest(i).config)
        evaluated(going, i, configs[-1], configs[-1]["x"])
    for i, config in enumerate(configs):
        evaluated(resumed, i, config, config["x"])
    assert resumed.suggest(3) == going.suggest(3)


@pytest.mark.parametrize("sampler", ["TPESampler", "CmaEsSampler", "QMCSampler"])
def test_a_resumed_study_goes_on_with_the_same_proposals(sampler):
    check_scheduler(lambda trials: ASHA(trials, 3, 1, 3), 2, 0, 15, searcher=make(sampler), space=SQUARE)


@pytest.mark.parametrize("sampler", ["TPESampler", "CmaEsSampler"])
def test_what_learns_elsewhere_learns_here(sampler):
    """The mean distance to the best point, of the last trials, against that of random search."""
    distances = {}
    for made in (make(sampler), RandomSearch):
        searcher, found = made(SQUARE, 0), []
        for i in range(48):
            config = searcher.suggest(i).config
            found.append(math.dist((config["x"], config["y"]), (0.25, 0.4)))
            evaluated(searcher, i, config, found[-1])
        distances[made] = sum(found[36:]) / 12
    learned, random = distances.values()
    assert learned < 0.6 * random


def test_a_quasi_random_sequence_goes_on_from_trial_to_trial():
    """16 points of a Sobol sequence, of which the first is drawn at random: one in each of 16 parts, but for that."""
    searcher = OptunaSearch(SearchSpace.parse({"x": UNIT}), 3, "QMCSampler", {"scramble": True})
    xs = []
    for i in range(17):
        xs.append(searcher.suggest(i).config["x"])
        evaluated(searcher, i, {"x": xs[-1]}, 1.0)
    assert sorted(int(16 * x) for x in xs[1:]) == list(range(16))


class Spy(optuna.samplers.RandomSampler):
    """Keeps the trials of the study that it was asked in."""

    seen: list = []  # noqa: RUF012

    def before_trial(self, study, trial):
        Spy.seen = study.get_trials(deepcopy=False)[: trial.number]


def test_what_a_trial_is_to_optuna(monkeypatch):
    monkeypatch.setattr(optuna.samplers, "Spy", Spy, raising=False)
    searcher = OptunaSearch(SQUARE, 0, "Spy")

    def job(trial_id, resource):
        return Job(Trial(trial_id, {"x": trial_id / 10, "y": 0.5}), resource, rung=0)

    for i in range(6):
        searcher.on_submitted(job(i, 1))
    for i in (1, 2, 3, 4):  # 0 is still at work, 5 fails
        searcher.on_evaluation(evaluation(job(i, 1), 1, {"loss": math.nan if i == 4 else i}, LOSS))
    searcher.on_evaluation(failed(job(5, 1)))
    searcher.on_state(StateChange(5, State.FAILED))
    searcher.on_state(StateChange(1, State.PAUSED))
    searcher.on_state(StateChange(4, State.COMPLETED))
    for i in (2, 3):  # promoted; 3 has a report on the way
        searcher.on_submitted(job(i, 3))
    searcher.on_evaluation(evaluation(Job(job(3, 3).trial, 3), 2, {"loss": 7.0}, LOSS))
    searcher.on_evaluation(reached(job(2, 3), 3, 0.5))
    searcher.on_state(StateChange(2, State.COMPLETED))
    searcher.suggest(6)
    run, pruned, complete, fail = TrialState.RUNNING, TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL
    assert [trial.state for trial in Spy.seen] == [run, pruned, complete, pruned, fail, fail]
    assert Spy.seen[2].value == 0.5
    assert [trial.intermediate_values for trial in Spy.seen[:4]] == [{}, {1: 1.0}, {1: 2.0, 3: 0.5}, {1: 3.0}]
    assert list(Spy.seen[2].params.values()) == [0.2, 0.5]


def test_an_answer_that_is_not_wanted_is_asked_for_again():
    space = SearchSpace.parse({"x": UNIT, "y": UNIT, "constraints": ["x + y <= 0.5"]})  # 1 in 8
    searcher = OptunaSearch(space, 0, "RandomSampler")
    suggestions = [searcher.suggest(i) for i in range(20)]
    assert all(space.allows(suggestion.config) for suggestion in suggestions)
    assert sum(suggestion.origin == "optuna, RandomSampler" for suggestion in suggestions) > 10


@pytest.mark.parametrize("name", ["BaseSampler", "TPESample", "os.system", "_base", "warnings", "", 3, None, ["a"], {}])
def test_only_samplers_can_be_named(name):
    with pytest.raises(ConfigError, match="sampler: must be one of"):
        OptunaSearch(SQUARE, 0, name)


def test_wrong_options_are_refused_all_at_once():
    options = {"multivariat": True, "seed": 3, "gamma": {"_target_": "os.system"}}
    with pytest.raises(ConfigError) as caught:
        OptunaSearch(SQUARE, 0, "TPESampler", options)
    assert [problem.path for problem in caught.value.problems] == [f"options.{key}" for key in options]
    assert "did you mean 'multivariate'?" in str(caught.value)
    with pytest.raises(ConfigError, match="options: GridSampler can't be made"):
        OptunaSearch(SQUARE, 0, "GridSampler")
    with pytest.raises(ConfigError, match="options: must be a mapping"):
        OptunaSearch(SQUARE, 0, "TPESampler", 3)


def test_without_optuna_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'hpo_pipeline\[optuna\]'"):
        OptunaSearch(SQUARE, 0)


@pytest.mark.parametrize("sampler", ["TPESampler", "CmaEsSampler", "GPSampler", "NSGAIISampler", "QMCSampler"])
def test_on_the_command_line_the_samplers_name_is_enough(sampler):
    node = compose("searcher=optuna", f"searcher.sampler={sampler}").config["searcher"]
    del node["_target_"]
    OptunaSearch(SQUARE, 0, **node)
