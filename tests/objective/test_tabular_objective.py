"""Trials that are looked up: which row a configuration has, what it reports, and where it goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo_pipeline.build import build
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.journal import VERSION, Journal
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.curve_surrogate import CurveSurrogate
from hpo_pipeline.objective.recorded_study import read_study, space_text
from hpo_pipeline.objective.tabular import Tabular
from hpo_pipeline.plain_yaml import plain_yaml
from hpo_pipeline.space import SearchSpace

SPACE = {"params": {"x": {"type": "float", "low": 0.0, "high": 1.0}, "kind": {"type": "choice", "choices": ["a", "b"]}}}
TABLE = (
    "x,kind,epoch,error,cost\n"
    "0.0,a,1,0.1,3\n0.0,a,2,0.11,4\n"  # row 0
    "1.0,a,1,0.2,5\n1.0,a,2,0.21,5\n1.0,a,3,0.22,5\n"  # row 1
    "0.1,b,1,0.3,\n"  # row 2
)


def tabular(**keys: Any) -> Tabular:
    Path("t.csv").write_text(TABLE)
    return Tabular(**{"file": "t.csv", "space": space_text(SPACE), **keys})


def trial(x: float, kind: str = "a", number: int = 0) -> TrialSpec:
    return TrialSpec({"params": {"x": x, "kind": kind}, "trial": number}, 0, Path("trials") / str(number))


def config(**keys: Any) -> Mapping[str, Any]:
    return {"metric": "error", "max_resource": 3, **keys}


def errors(objective: Tabular, spec: TrialSpec, n: int) -> list[float]:
    state = objective.start(spec)
    return [objective.advance(state)["error"] for _ in range(n)]


def test_the_nearest_row_of_the_unit_cube_and_past_its_end_the_nearest_that_goes_on():
    assert errors(tabular(), trial(0.45), 3) == [0.1, 0.11, 0.22]
    assert errors(tabular(), trial(0.55), 3) == [0.2, 0.21, 0.22]


def test_another_option_of_a_choice_is_as_far_as_the_whole_of_a_range():
    assert errors(tabular(), trial(0.99, "b"), 1) == [0.3]  # .89 away; row 1 is 1.00005 away


def test_what_no_row_has_fails_the_trial_where_it_ends():
    objective = tabular()
    state = objective.start(trial(0.0))
    for _ in range(3):
        objective.advance(state)
    with pytest.raises(RuntimeError, match="nothing is recorded at 4"):
        objective.advance(state)


def test_a_trial_goes_on_from_its_checkpoint_on_the_row_that_it_was_on(tmp_path: Path):
    objective = tabular()
    state = objective.start(trial(0.45))
    for _ in range(2):
        objective.advance(state)
    objective.save(state, tmp_path / "checkpoint")
    again = tabular()
    assert again.advance(again.load(trial(0.45), tmp_path / "checkpoint"))["error"] == 0.22
    for content in ("", "[]", '{"resource": 99, "row": 0}', '{"resource": 1, "row": 7}', '{"resource": 1, "row": "0"}'):
        (tmp_path / "checkpoint").write_text(content)
        with pytest.raises(StudyError, match="not a checkpoint"):
            again.load(trial(0.45), tmp_path / "checkpoint")


@pytest.mark.parametrize(("seconds", "expected"), [(None, [None, None]), (2.5, [2.5, 2.5]), ("cost", [3.0, 4.0])])
def test_a_unit_costs_what_was_said_or_recorded(seconds: Any, expected: list[float | None]):
    objective = tabular(seconds=seconds)
    state = objective.start(trial(0.0))
    assert [objective.advance(state).get("seconds") for _ in range(2)] == expected


def test_a_cost_that_was_not_recorded_is_none():
    objective = tabular(seconds="cost")
    assert objective.advance(objective.start(trial(0.1, "b"))) == {"error": 0.3}


def journal(*xs: float) -> None:
    """The journal of a study whose trials were suggested in this order."""
    with Journal(Path("journal.jsonl")) as opened:
        opened.append(
            {
                "event": "study",
                "version": VERSION,
                "name": "s",
                "metrics": [{"name": "error", "mode": "min"}],
                "time": 0.0,
            }
        )
        for i, x in enumerate(xs):
            opened.append(
                {"event": "suggested", "trial": i, "config": {"params.x": x, "params.kind": "a"}, "time": 0.0}
            )


def test_each_row_is_used_once_in_the_order_of_trials_whoever_asks_first():
    journal(0.0, 0.0, 0.0, 0.0)
    expected = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.1}  # rows at 0, 1 and 1.005; then there is none left
    for asked in ([0, 1, 2, 3], [3, 1, 0, 2], [2]):
        objective = tabular(lookup="unique", folder=".")
        assert {i: errors(objective, trial(0.0, number=i), 1)[0] for i in asked} == {i: expected[i] for i in asked}


def test_a_trial_that_comes_later_finds_what_was_suggested_meanwhile():
    journal(1.0)
    objective = tabular(lookup="unique", folder=".")
    assert errors(objective, trial(1.0, number=0), 1) == [0.2]
    with Journal(Path("journal.jsonl")) as opened:
        opened.append({"event": "suggested", "trial": 1, "config": {"params.x": 1.0, "params.kind": "a"}, "time": 0.0})
    assert errors(objective, trial(1.0, number=1), 1) == [0.1]


def test_without_a_study_the_row_is_the_nearest():
    assert errors(tabular(lookup="unique"), trial(1.0, number=5), 1) == [0.2]


def test_the_surrogate_of_a_smooth_function_is_that_function_and_stays_within_what_was_recorded():
    rng = np.random.default_rng(0)
    points = rng.random((300, 2))
    resources = np.arange(1, 11)

    def truth(x: Any) -> Any:
        return np.sin(2 * x[:, :1]) + x[:, 1:] ** 2 + 1 / resources

    curves = truth(points)
    fitted = CurveSurrogate(points, curves)
    new = rng.random((50, 2))
    predicted = np.array([fitted.curve(point, 10) for point in new])
    assert np.abs(predicted - truth(new)).max() < 0.1 * curves.std()
    assert curves.min() <= predicted.min() <= predicted.max() <= curves.max()
    assert fitted.curve(new[0], 10).tolist() == CurveSurrogate(points, curves).curve(new[0], 10).tolist()


def test_a_surrogate_learns_nothing_from_what_is_not_finite_and_of_one_value_is_that_value():
    curves = np.array([[1.0, math.nan], [1.0, math.inf]])
    assert CurveSurrogate(np.array([[0.0], [1.0]]), curves).curve(np.array([0.5]), 2).tolist() == [1.0, 1.0]
    assert np.isnan(CurveSurrogate(np.array([[0.0]]), np.array([[math.nan]])).curve(np.array([0.5]), 1)).all()


def test_a_surrogate_has_a_curve_as_long_as_the_longest_row():
    found = errors(tabular(lookup="surrogate"), trial(0.3), 3)
    assert all(0.1 <= value <= 0.3 for value in found)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"lookup": "nearst"}, "lookup: must be one of nearest, unique, surrogate.*did you mean 'nearest'"),
        ({"study": "x"}, "file and study are given; give one of"),
        ({"file": None}, "nothing is given; give one of"),
        ({"seconds": -1}, "seconds: must be a number from 0 on"),
        ({"seconds": [1]}, "seconds: must be text or null"),
        ({"first_resource": -1}, "first_resource: must be an integer of at least 0"),
        ({"columns": {"params": {"x": 3}}}, r"columns.params.x: must be the name of a column, got 3"),
        ({"metrics": {"error": None}}, r"metrics.error: must be the name of a column"),
    ],
)
def test_arguments_are_checked_when_it_is_made(keys: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        tabular(**keys)


@pytest.mark.parametrize(
    ("keys", "asked", "said"),
    [
        ({}, {"max_resource": 4}, "max_resource: is 4, and what is recorded ends at 3; set it to 3 at most"),
        ({}, {"metric": "eror"}, "metric: 'eror' is not recorded, only error.*did you mean 'error'"),
        ({"metrics": {"e": "eror"}}, {"metric": "e"}, "objective.metrics.e: there is no curve 'eror'.*'error'"),
        ({"seconds": "costs"}, {}, "objective.seconds: there is no column 'costs'; did you mean 'cost'"),
        ({"columns": {"params.x": "y"}}, {}, "objective.columns.params.x: there is no column 'y'"),
        ({"file": "none.csv"}, {}, "objective.file: 'none.csv' can't be read"),
        ({"study": "none", "file": None}, {}, "objective.study: none: there is no such folder"),
        ({"space": None}, {}, "objective.space: distances are measured in a search space"),
        ({"space": "&a [*a]"}, {}, "objective.space: is no search space .*refers to parts of itself"),
        (
            {"space": "{params: {kind: {type: choice, choices: [c]}}}"},
            {},
            "objective: none of the 3 recorded rows lies in",
        ),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_starts(keys: Any, asked: Any, said: str):
    problems = tabular(**keys).problems(config(**asked))
    assert len(problems) == 1
    with pytest.raises(ConfigError, match=said):
        raise ConfigError(problems)
    assert not tabular().problems(config())


# -- earlier studies ---------------------------------------------------------------------------------------------------


def study(folder: Path, *records: dict[str, Any], space: str = "") -> Path:
    """A study's folder with a journal of these records."""
    folder.mkdir(exist_ok=True)
    head = {"event": "study", "version": VERSION, "name": "s", "metrics": [{"name": "error", "mode": "min"}]}
    with Journal(folder / "journal.jsonl") as opened:
        opened.append(*({**record, "time": 0.0} for record in (head, *records)))
    if space:
        (folder / "config.yaml").write_text(f"search_space: {space}\n")
    return folder


def began(number: int, **values: Any) -> list[dict[str, Any]]:
    config = {path.replace("__", "."): value for path, value in values.items()}
    job = {"event": "submitted", "trial": number, "resource": 9, "rung": 0, "bracket": 0}
    return [{"event": "suggested", "trial": number, "config": config}, job]


def reported(number: int, resource: int, error: float) -> dict[str, Any]:
    return {"event": "report", "trial": number, "resource": resource, "metrics": {"error": error, "seconds": 2.0}}


def ended(number: int, outcome: str, state: str, **more: Any) -> list[dict[str, Any]]:
    result = {"event": "result", "trial": number, "outcome": outcome, "error": "", "traceback": "", **more}
    return [result, {"event": "decision", "trial": number, "state": state, "reason": ""}]


def test_a_recorded_trial_that_failed_or_finished_does_so_again():
    folder = study(
        Path("s"),
        *began(0, params__x=0.0), reported(0, 1, 0.5), *ended(0, "failed", "FAILED", error="boom"),
        *began(1, params__x=1.0), {**reported(1, 1, math.inf), "finished": "no better"}, *ended(1, "done", "COMPLETED"),
        space="{params: {x: {type: float, low: 0, high: 1}}}",
    )  # fmt: skip
    objective = Tabular(study=str(folder))
    state = objective.start(trial(0.1))
    assert objective.advance(state) == {"error": 0.5, "seconds": 2.0}
    assert not objective.finished(state)
    with pytest.raises(RuntimeError, match="boom"):
        objective.advance(state)
    state = objective.start(trial(0.9))
    assert not objective.finished(state)
    assert objective.advance(state) == {"error": math.inf, "seconds": 2.0}
    assert objective.finished(state) == "no better"


def test_of_equal_configurations_a_trial_has_the_one_of_its_own_number():
    records = [r for i in range(3) for r in (*began(i, params__x=0.5), reported(i, 1, i / 10))]
    objective = Tabular(study=str(study(Path("s"), *records, space="{params: {x: {type: float, low: 0, high: 1}}}")))
    assert [errors(objective, trial(0.5, number=i), 1)[0] for i in (2, 1, 0, 7)] == [0.2, 0.1, 0.0, 0.0]


def test_what_a_trial_reported_with_another_ones_weights_is_not_its_own_curve():
    goes_on = {"event": "submitted", "trial": 0, "resource": 2, "rung": 1, "bracket": 0}
    records = [
        *began(0, params__x=0.5), reported(0, 1, 0.5),
        {**goes_on, "source": [1, 1], "config": {"params.x": 0.7}}, reported(0, 2, 0.1),
    ]  # fmt: skip
    assert read_study(study(Path("s"), *records)).lengths.tolist() == [1]


def test_the_recorded_space_has_all_of_its_hyperparameters_below_params():
    space = """
  optimizer: {type: choice, choices: {sgd: {momentum: {type: float, low: 0, high: 1}}, adam: {}}}
  model:
    n_layers: {type: choice, choices: {1: {n_units: {type: int, low: 1, high: 9}}, 2: {}}}
    width: {type: int, low: 1, high: 9, when: {optimizer: sgd, model.n_layers: 1}}
    depth: 3
  params: {z: {type: float, low: 0, high: 1}}
  constraints: ["optimizer == 'sgd' or model.width <= 2e0 * params.z"]
"""
    found = read_study(
        study(Path("s"), *began(0, optimizer="sgd", optimizer__momentum=0.5), reported(0, 1, 1.0), space=space)
    )
    assert list(found.columns) == ["params.optimizer.option", "params.optimizer.momentum"]
    parsed = SearchSpace.parse(plain_yaml(space_text(found.space or {})))
    assert parsed.paths == (
        *("params.optimizer.option", "params.optimizer.momentum", "params.model.n_layers", "params.model.n_units"),
        *("params.model.width", "params.model.depth", "params.z"),
    )
    (width,) = (p for p in parsed.parameters if p.path == "params.model.width")
    assert {c.parent: list(c.values) for c in width.when} == {
        "params.optimizer.option": ["sgd"],
        "params.model.n_layers": [1],
    }
    assert parsed.constraints[0].source == "params.optimizer.option == 'sgd' or params.model.width <= 2e0 * params.z"


@pytest.mark.parametrize(
    ("config", "said"),
    [("search_space: &a [*a]", "refers to parts of itself"), ("a: b: c", "can't be read"), ("3", "must be a mapping")],
)
def test_a_recorded_config_that_is_none_is_refused_by_its_name(config: str, said: str):
    folder = study(Path("s"), *began(0, x=1), reported(0, 1, 1.0))
    (folder / "config.yaml").write_text(config)
    with pytest.raises(ConfigError, match=rf"s/config.yaml: .*{said}"):
        read_study(folder)


def test_a_study_in_which_nothing_was_reported_is_refused():
    with pytest.raises(ConfigError, match="no trial of this study has reported anything"):
        read_study(study(Path("s"), *began(0, x=1)))


def test_no_config_says_which_store_a_study_is_read_from():
    node = {"_target_": "hpo_pipeline.objective.tabular.Tabular", "file": "t.csv", "tracker_uri": "https://elsewhere"}
    with pytest.raises(ConfigError, match="tracker_uri"):
        build(node, "objective", threads=1, final=False)
