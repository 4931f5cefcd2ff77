"""Several metrics and constraints from the command line: composed, refused, run, resumed, re-run."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml
from commands import DIGITS, FREE, compose, journal, run
from heard import folded

from hpo_pipeline.evaluation import Constraint, Metric

TWO = "metric={validation_error: min, train_loss: max}"
STUDY = (*FREE, "searcher=trees", "scheduler=asha", "n_trials=12", TWO)
SIZES = (*DIGITS, "model=mlp", "searcher=random", "scheduler=asha", "max_resource=3", "n_trials=8")
BY_SIZE = "metric={validation_error: min, n_parameters: min}"
REFERENCE = "reference_point={validation_error: 1, train_loss: 0}"

WRONG = [
    ("metric={validation_error: mim}", "metric.validation_error: must be min or max, got 'mim'; did you mean 'min'?"),
    ("metric={validation_eror: min, train_loss: min}", "metric.validation_eror: the objective reports no"),
    ("metric=validation_f1", "only validation_error, validation_loss, train_loss, seconds, n_parameters; what else is"),
    ("metric={n_parameter: min, train_loss: min}", "did you mean 'n_parameters'?"),
    ("metric=[validation_error]", "metric: must be the name of a metric, or several with their modes"),
    ("metric={}", "metric: must be the name of a metric, or several with their modes"),
    ("metric=null", "metric: must be the name of a metric, or several with their modes"),
    ("constraints={n_parameters: 1e6}", "constraints.n_parameters: must be a mapping of bounds"),
    (
        "constraints={n_parameters: {mx: 1e6}}",
        "constraints.n_parameters.mx: there is no such bound; did you mean 'max'?",
    ),
    ("constraints={n_parameters: {max: many}}", "constraints.n_parameters.max: must be a number, got 'many'"),
    ("constraints={n_parameters: {max: nan}}", "constraints.n_parameters.max: must be a number, got nan"),
    ("constraints={n_parameters: {min: 2, max: 1}}", "constraints.n_parameters: no value is at least 2 and at most 1"),
    ("constraints={n_paramters: {max: 1}}", "constraints.n_paramters: the objective reports no 'n_paramters'"),
    ("constraints=1", "constraints: must be a mapping of names to bounds"),
    ("metrics={validation_error: min}", "metrics: is what is measured; what is optimised is the key metric: metric={v"),
    ("reference_point={validation_error: 1}", "reference_point: is for several metrics, and there is one"),
]
WRONG_WITH_TWO = [
    ("mode=max", "mode: is for a single metric"),
    ("target=0.1", "target: is for one metric, and this study has several"),
    ("finalists={n: 2, seeds: 1}", "finalists.seeds: needs one metric"),
    ("reference_point={validation_error: 1}", "reference_point.train_loss: must be a number"),
    ("reference_point={validation_error: 1, train_los: 2}", "did you mean 'train_loss'?"),
    ("reference_point=1", "reference_point: must have a number for each metric"),
    ("scheduler=pasha", "scheduler._target_: PASHA compares trials by one score"),
    ("scheduler=median_stopping", "scheduler._target_: the median rule compares trials by one score"),
    ("scheduler.probes=12", "scheduler.probes: needs one metric"),
]


@pytest.mark.parametrize(
    ("words", "told"),
    [((wrong,), told) for wrong, told in WRONG] + [((TWO, wrong), told) for wrong, told in WRONG_WITH_TWO],
    ids=[wrong for wrong, _ in [*WRONG, *WRONG_WITH_TWO]],
)
def test_a_mistake_is_told_with_its_path_and_leaves_nothing_behind(words, told):
    ended = run("dataset=digits", "executor=serial", "tracker=none", *words)
    assert ended.code == 2, ended.out
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert list(Path().iterdir()) == []


def test_a_mapping_in_place_of_a_name_says_which_way_each_metric_goes():
    composed = compose(TWO, "constraints={n_parameters: {max: 1e6}}")
    assert composed.metrics == (Metric("validation_error"), Metric("train_loss", "max"))
    assert composed.constraints == (Constraint("n_parameters", max=1e6),)
    assert compose("metric={validation_error: max}").metrics == (Metric("validation_error", "max"),)


def test_what_is_typed_takes_the_place_of_what_an_experiment_says():
    composed = compose("experiment=pareto", "metric={validation_loss: min}", "constraints={n_parameters: {max: 9}}")
    assert composed.metrics == (Metric("validation_loss"),)
    assert composed.constraints == (Constraint("n_parameters", max=9),)


def test_the_shared_example_composes():
    composed = compose("experiment=pareto")
    assert not composed.problems
    assert [metric.name for metric in composed.metrics] == ["validation_error", "n_parameters"]


def rows(name: str) -> list[dict[str, str]]:
    with open(Path("runs", name, "leaderboard.csv"), newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_leaves_a_file_for_each_member_and_a_row_for_each_trial():
    ended = run(*STUDY, "name=s")
    assert ended.code == 0, ended.err
    front = folded(journal("s")).front.points
    assert len(front) > 2
    files = sorted(Path("runs/s/best").glob("*.yaml"), key=lambda path: int(path.stem))
    assert [path.stem for path in files] == [str(n) for n in range(1, len(front) + 1)]
    found = [
        (yaml.safe_load(path.read_text())["trial"], yaml.safe_load(path.read_text())["resource"]) for path in files
    ]
    assert found == [(point.trial_id, point.resource) for point in front]
    assert not Path("runs/s/best.yaml").exists()
    assert f"the front of {len(front)}" in ended.out
    assert ended.out.count("train.py objective=function") == min(10, len(front))
    assert "hypervolume" in ended.out
    table = rows("s")
    assert len(table) == 12
    members = {number for row in table for number in row["front"].split()}
    assert members == {str(n) for n in range(1, len(front) + 1)}


def test_a_member_is_trained_again_to_the_same_numbers():
    assert run(*SIZES, BY_SIZE, "name=s").code == 0
    view = folded(journal("s"))
    point = view.front.points[-1]
    Path("mine/experiment/best").mkdir(parents=True)
    shutil.copy(f"runs/s/best/{len(view.front.points)}.yaml", "mine/experiment/best/2.yaml")
    again = run("--config-dir", "mine", "experiment=best/2", "name=again", "tracker=none", program="train")
    assert again.code == 0, again.err
    last = folded(journal("again")).trials[point.trial_id].curve[-1][1]
    assert (last["validation_error"], last["n_parameters"]) == point.scores


def test_the_number_of_parameters_is_reported_where_it_is_asked_for_and_nowhere_else():
    assert run(*SIZES, "n_trials=1", "name=plain").code == 0
    assert run(*SIZES, "n_trials=1", "constraints={n_parameters: {max: 1e6}}", "name=bounded").code == 0
    [plain], [bounded] = (folded(journal(name)).trials.values() for name in ("plain", "bounded"))
    assert "n_parameters" not in plain.curve[0][1]
    config = bounded.config
    first, second = config["model.n_units_1"], config["model.n_units_2"]
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert bounded.curve[0][1]["n_parameters"] == 64 * first + first + first * second + second + second * 10 + 10
    assert plain.curve[0][1]["validation_error"] == bounded.curve[0][1]["validation_error"]


def test_a_resumed_study_keeps_its_metrics_and_a_saved_config_runs_again():
    given = (
        *STUDY,
        "constraints={validation_loss: {max: 1.5}}",
        REFERENCE,
    )
    assert run(*given, "name=s").code == 0
    refused = run("name=s", "resume=true", "metric=validation_error")
    assert refused.code == 2
    assert "a resumed study keeps what it began with" in refused.err
    assert run("name=s", "resume=true", "n_trials=16").code == 0
    view = folded(journal("s"))
    assert len(view.trials) == 16
    assert len(list(Path("runs/s/best").glob("*.yaml"))) == len(view.front.points)
    ended = run("--config-path", "runs/s", "--config-name", "config", "name=again", "n_trials=12")
    assert ended.code == 0, ended.err
    header = next(iter(journal("again")))
    assert header["reference_point"] == {"validation_error": 1, "train_loss": 0}
    assert header["constraints"] == [{"name": "validation_loss", "min": None, "max": 1.5}]


def test_with_constraints_a_searcher_learns_and_the_best_trial_is_within_them():
    study = (*FREE, "searcher=tpe", "scheduler=asha", "n_trials=20", "constraints={train_loss: {min: 0.4}}")
    ended = run(*study, "name=s")
    assert ended.code == 0, ended.err
    table = rows("s")
    violations = [float(row["violation"]) for row in table if row["violation"]]
    assert violations == sorted(violations)
    assert violations[0] == 0
    assert "# It is outside" not in Path("runs/s/best.yaml").read_text()


def test_where_no_trial_is_within_the_constraints_people_are_told():
    ended = run(*FREE, "searcher=random", "n_trials=4", "constraints={train_loss: {max: 0}}", "name=s")
    assert ended.code == 0, ended.err
    assert "No trial is within the constraints: train_loss <= 0" in ended.out
    assert "# It is outside the constraints (train_loss <= 0)" in Path("runs/s/best.yaml").read_text()


def test_a_trial_that_reports_no_bounded_value_fails():
    ended = run(*FREE, "searcher=random", "n_trials=2", "constraints={memory: {max: 1}}", "name=s")
    assert ended.code == 1
    assert "the objective reported no 'memory'" in ended.out
