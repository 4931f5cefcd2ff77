"""The pieces of benchmarks/search: tasks whose optima are known, a loop that is the tuner's, a CSV to go on from."""

from __future__ import annotations

import dataclasses
import math
import sys

import numpy as np
import pytest
from components import SPACES
from scipy.stats import spearmanr

from benchmarks.search import __main__ as command
from benchmarks.search import odd, single, synthetic, table, taskset
from benchmarks.search.landscape import TREACHEROUS, Landscape
from benchmarks.search.methods import MULTI_FIDELITY, baseline
from benchmarks.search.peers import Optuna, suggested
from benchmarks.search.product import Study
from benchmarks.search.results import Results, Run
from benchmarks.search.statistics import band, holm
from benchmarks.search.suites import SUITES
from benchmarks.search.task import Task, Trace, Value
from hpo_pipeline.budget import Budget
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.simulation import simulate
from hpo_pipeline.space import SearchSpace

SCHEDULERS = {"asha": ASHA, "hyperband": Hyperband}


def task_of(curve, **keys):
    space = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})
    return Task("suite", "group", "name", space, lambda seed: curve, **{"max_resource": 9, "n_units": 200, **keys})


# -- the loop ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_run_is_the_study_that_the_simulation_makes_of_it(scheduler):
    def loss(trial_id, config, resource):
        return None if trial_id % 7 == 3 else abs(config["x"] - 0.3) + (trial_id % 5) / resource

    def curve(trial_id, config, resource):
        found = loss(trial_id, config, resource)
        return found if found is None else Value(found, found)

    trace, view = Study("random", scheduler).studied(task_of(curve), seed=3)
    whole = simulate(
        lambda trials: SCHEDULERS[scheduler](trials, eta=3, min_resource=1, max_resource=9),
        loss,
        n_workers=4,
        budget=Budget(max_total_resource=200),
        seed=3,
    )
    of = [[(trial.config, trial.state, trial.rungs) for trial in v.trials.values()] for v in (view, whole.view)]
    assert of[0] == of[1]
    assert len(trace.regrets) == 200
    assert trace.regrets[-1] == whole.view.best.best_score


def test_regret_is_the_true_one_of_what_was_observed_to_be_best():
    trace = Trace(task_of(None, best=1.0, scale=2.0))
    for observed, true in ((5.0, 5.0), (3.0, 4.0), (math.nan, 1.0), (2.0, 4.5), (2.5, 1.0)):
        trace.add(Value(observed, true))
    assert trace.regrets == [2.0, 1.5, 1.5, 1.75, 1.75]
    assert [trace.at(1), trace.at(2), trace.at(99)] == [2.0, 1.5, 1.75]


def test_optuna_runs_to_the_same_budget_and_prunes():
    pytest.importorskip("optuna")
    longest = {}

    def curve(trial_id, config, resource):
        longest[trial_id] = resource
        return Value(config["x"], config["x"])

    trace = Optuna("RandomSampler", "SuccessiveHalvingPruner").run(task_of(curve), 0)
    assert len(trace.regrets) == 200
    assert 1 in longest.values()
    assert max(longest.values()) == 9


@pytest.mark.parametrize("name", [name for name in SPACES if name != "constrained"])
def test_what_optuna_suggests_is_in_the_space(name):
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for _ in range(20):
        assert SPACES[name].contains(suggested(study.ask(), SPACES[name])) == []


def test_a_method_is_compared_with_random_under_the_same_scheduler():
    assert baseline("BOHB", MULTI_FIDELITY) == "hyperband"
    assert baseline("auto", MULTI_FIDELITY) == "asha, eager"
    assert baseline("asha", MULTI_FIDELITY) is None
    assert baseline("Optuna TPE + SHA", MULTI_FIDELITY) is None


def test_a_method_says_why_it_cant_run_here():
    assert Study("random", "asha").missing() is None
    assert "conf/searcher/oracle.yaml" in Study("oracle", "asha").missing()
    assert "scheduler=asha: etta" in Study("random", {"asha": {"etta": 3}}).missing()


# -- the suites ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path):
    """Three configurations by their learning rates; the last one diverges at first."""
    config = np.tile([1e-8, 0.5, 0.5, 1.0, 1.0, 1.0, 1e-5, 1e-5], (3, 1))
    config[1:, 0] = 1e-2, 10.0
    valid = np.full((3, 51), 4.0, np.float32)
    valid[0, 50], valid[1, 50], valid[2, 1:3] = 1.0, 2.0, (math.nan, 1e9)
    np.savez(tmp_path / "table.npz", config=config, valid=valid)
    return tmp_path


def test_a_taskset_configuration_has_the_curve_of_the_nearest_row(tables):
    plain = next(task for task in taskset.tasks(tables) if task.group == "plain")
    assert (plain.best, plain.scale) == (1.0, 1.0)  # the rows' bests are 1, 2, 4
    config = taskset.SPACE.midpoint()
    losses = [plain.curve(0)(0, {**config, "learning_rate": lr}, 50).true for lr in (1e-8, 3e-7, 1e-4, 1.0)]
    assert losses == [1.0, 1.0, 2.0, 4.0]
    assert [plain.curve(0)(0, {**config, "learning_rate": 10.0}, r).true for r in (1, 2, 3)] == [5.0, 5.0, 4.0]


def test_unique_gives_each_new_trial_a_row_of_its_own(tables):
    unique = next(task for task in taskset.tasks(tables) if task.group == "unique")
    curve, config = unique.curve(0), {**taskset.SPACE.midpoint(), "learning_rate": 1e-8}
    assert [curve(trial, config, 50).true for trial in (0, 1, 0, 2)] == [1.0, 2.0, 1.0, 4.0]


def test_the_folder_of_taskset_may_be_absent(tmp_path):
    assert list(taskset.tasks(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(("family", "low", "high"), [("benign", 0.7, 0.9), ("treacherous", -0.4, 0.4)])
def test_the_first_unit_tells_what_the_family_promises(family, low, high):
    correlations = []
    for dim in synthetic.DIMENSIONS:
        for number in range(synthetic.N_INSTANCES):
            landscape, rng = synthetic.instance(family, dim, number), np.random.default_rng(number)
            curves = np.array([landscape.curve(landscape.space.sample(rng)) for _ in range(200)])
            correlations.append(spearmanr(curves[:, 0], curves[:, -1]).statistic)
    assert len(correlations) >= 20
    assert low < min(correlations)
    assert max(correlations) < high
    if family == "benign":
        assert np.mean(correlations) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("tree", [odd.CATEGORICAL, odd.CONDITIONAL, {"n": {"type": "int", "low": 1, "high": 9}}])
def test_a_landscape_ends_at_0_where_it_is_best_and_falls_on_the_way(tree):
    landscape = Landscape(SearchSpace.parse(tree), TREACHEROUS, 27, seed=1)
    best, rng = landscape.best(), np.random.default_rng(0)
    assert landscape.space.contains(best) == []
    assert landscape.end(best) == pytest.approx(0.0, abs=1e-12)
    configs = [landscape.space.sample(rng) for _ in range(300)]
    assert np.median([landscape.end(config) for config in configs]) == pytest.approx(0.5, abs=0.1)
    for config in configs[:20]:
        curve = landscape.curve(config)
        assert curve[-1] == pytest.approx(landscape.end(config))
        assert (np.diff(curve) <= 0).all()


def test_odd_cases_fail_and_are_noisy_as_often_as_they_say():
    tasks = {task.name: task for task in odd.tasks()}
    configs = [tasks["noise 5 %"].space.sample(np.random.default_rng(i)) for i in range(300)]
    failing, noisy = tasks["failures 10 %"].curve(5), tasks["noise 5 %"].curve(5)
    assert 15 <= sum(failing(i, config, 1) is None for i, config in enumerate(configs)) <= 45
    errors = [noisy(i, config, 27).observed - noisy(i, config, 27).true for i, config in enumerate(configs)]
    assert np.std(errors) == pytest.approx(0.05 * 1.2, rel=0.15)


@pytest.mark.parametrize(
    ("name", "config", "value"),
    [
        ("Branin", {"x0": math.pi, "x1": 2.275}, 0.397887),
        ("Branin", {"x0": 9.42478, "x1": 2.475}, 0.397887),
        ("Hartmann-6", dict(zip(["x0", "x1", "x2", "x3", "x4", "x5"],
            [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573], strict=True)), -3.32237),
        ("Ackley-10", {f"x{i}": 0.0 for i in range(10)}, 0.0),
        ("mixed", {"lr": 1e-3, "n_units": 64, "activation": "gelu", "dropout": 0.3}, 0.0),
        ("conditional", {"optimizer": "adam", "optimizer.beta2": 0.99, "lr": 1e-3, "n_layers": 3}, 0.0),
        ("conditional", {"optimizer": "sgd", "optimizer.momentum": 0.9, "lr": 0.1, "n_layers": 3}, 0.05),
    ],
)  # fmt: skip
def test_functions_have_their_known_least_values(name, config, value):
    task = next(task for task in single.tasks() if task.name == name)
    assert task.space.contains(config) == []
    curve = task.curve(0)
    assert curve(0, config, 1).true == pytest.approx(value, abs=1e-5)
    rng = np.random.default_rng(0)
    samples = [task.space.sample(rng) for _ in range(500)]
    assert all(curve(0, c, 1).true > value - 1e-5 for c in samples if c.get("optimizer") == config.get("optimizer"))


# -- what is written -----------------------------------------------------------------------------------------------


def test_a_file_that_was_cut_off_is_gone_on_from_after_its_last_whole_line(tmp_path):
    runs = [Run("odd", "20 trials", "20 trials", "asha, brackets", seed, 0.5, {1: 2.0, 10: 0.25}) for seed in (0, 1)]
    results = Results(tmp_path / "odd.csv", [1, 10])
    for run in runs:
        results.add(run)
    (tmp_path / "odd.csv").write_text((tmp_path / "odd.csv").read_text()[:-3])
    again = Results(tmp_path / "odd.csv", [1, 10])
    assert again.runs == runs[:1]
    again.add(runs[1])
    assert Results(tmp_path / "odd.csv", [1, 10]).runs == runs
    with pytest.raises(SystemExit, match="other budgets"):
        Results(tmp_path / "odd.csv", [1, 20])


def test_the_command_makes_runs_once_and_writes_table_and_picture(tmp_path, monkeypatch, capsys):
    arguments = ["single", "--methods", "random", "sobol", "--groups", "Branin", "--budget", "20", "--out", "out"]
    monkeypatch.setattr(sys, "argv", ["search", *arguments, "--seeds", "1"])
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == 0
        lines = (tmp_path / "out" / "single.csv").read_text().splitlines()
        assert [line.split(",")[:5] for line in lines[1:]] == [["single", "Branin", "Branin", m, "0"] for m in
            ("random", "sobol")]  # fmt: skip
    assert "| sobol | 1 |" in (tmp_path / "out" / "single.md").read_text()
    assert (tmp_path / "out" / "single.png").read_bytes()[:4] == b"\x89PNG"


# -- statistics ----------------------------------------------------------------------------------------------------


def test_holm_multiplies_the_least_by_the_number_of_tests():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_the_interval_of_a_median_of_20_is_from_the_6th_to_the_15th():
    values = np.random.default_rng(0).permutation(np.arange(1.0, 21.0))[:, None]
    assert [float(part[0]) for part in band(values, "median")] == [6.0, 10.5, 15.0]


def test_a_task_can_be_run_with_another_budget():
    task = dataclasses.replace(next(iter(single.tasks())), n_units=7)
    assert len(Study("random", "fifo").run(task, 0).regrets) == 7


def test_the_table_holds_means_with_their_errors_and_marks_what_differs_from_random():
    suite = SUITES["odd"]
    scores = {
        "asha": [0.5] * 10,
        "asha+tpe": [0.5 - 0.01 * (seed + 1) for seed in range(10)],
        "MOBSTER": [0.4, 0.6] * 5,
    }
    runs = [
        Run("odd", "20 trials", "20 trials", method, seed, 1.0, dict.fromkeys(suite.budgets, score))
        for method, own in scores.items()
        for seed, score in enumerate(own)
    ]
    lines = table.markdown(suite, runs).splitlines()
    assert f"| asha | 10 {'| .500 ± .000 ' * 3}| 1.00 |" in lines
    assert f"| MOBSTER | 10 {'| .500 ± .033 ' * 3}| 1.00 |" in lines  # sqrt(10 / 9 * 0.01 / 10)
    assert "| asha+tpe | asha | -0.055 ↓↓ |" in lines  # all ten differ to one side: p = 2 / 2^10
    assert any(line.startswith("| MOBSTER | asha | ") and "↓" not in line and "↑" not in line for line in lines)
