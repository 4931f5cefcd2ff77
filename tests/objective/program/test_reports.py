"""What a line says: a report of a unit of resource, or nothing that anybody has to know."""

from __future__ import annotations

import math

import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.program.reports import LONGEST, Reported, ReportError, reader

JSON = reader("epoch", None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"epoch": 3, "error": 0.5}', Reported(3, {"error": 0.5})),
        ('  {"epoch": 3.0, "error": 1, "best": true}\r', Reported(3, {"error": 1.0, "best": 1.0})),
        ('{"error": 0.5, "finished": true}', Reported(None, {"error": 0.5}, finished=True)),
        ('{"error": -Infinity}', Reported(None, {"error": -math.inf})),
        ('{"error": -inf, "b": +inf, "c":Inf}', Reported(None, {"error": -math.inf, "b": math.inf, "c": math.inf})),
        ("{}", Reported(None, {})),
    ],
)
def test_a_json_object_is_a_report(line, expected):
    assert JSON.read(line) == expected


@pytest.mark.parametrize("value", ["NaN", "nan", "-nan", "null"])
def test_nan_is_read_as_languages_write_it(value):
    found = JSON.read(f'{{"epoch": 1, "error": {value}, "other": 2}}')
    assert found is not None
    assert math.isnan(found.metrics["error"])
    assert found.metrics["other"] == 2


@pytest.mark.parametrize(
    "line",
    ["", "epoch 1", "3", "[1]", '"x"', "{nan}", "{'error': 1}", '{"error": 1', '{"a": 1} b', "{" * 5000 + "}" * 5000],
)
def test_all_else_is_log(line):
    assert JSON.read(line) is None
    assert JSON.is_log(line)


def test_a_line_that_is_too_long_is_log():
    assert JSON.read(f'{{"error": {" " * LONGEST}1}}') is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"error": "0.5"}', "'error' must be a number, got '0.5'"),
        ('{"error": [1]}', "'error' must be a number, got [1]"),
        ('{"error": 1' + "0" * 400 + "}", "'error' must be a number"),
        ('{"epoch": 0, "error": 1}', "'epoch' counts from 1, got 0"),
        ('{"epoch": 1.5, "error": 1}', "'epoch' counts from 1, got 1.5"),
        ('{"epoch": NaN, "error": 1}', "'epoch' counts from 1, got nan"),
        ('{"error": 1, "finished": 1}', "'finished' must be true or false, got 1"),
    ],
)
def test_a_report_that_is_wrong_is_no_log(line, reason):
    with pytest.raises(ReportError) as error:
        JSON.read(line)
    assert reason in str(error.value)


def test_the_groups_of_a_pattern_are_the_metrics_of_a_log_line():
    log = reader("epoch", r"epoch (?P<epoch>\d+): .*?error (?P<error>\S+)(?: acc (?P<accuracy>\S+))?")
    assert log.read("[12:00] epoch 7: loss 3 error 2.5e-1") == Reported(7, {"error": 0.25})
    assert log.read("epoch 7: error inf acc 0") == Reported(7, {"error": math.inf, "accuracy": 0})
    assert log.read('{"error": 1}') is None
    with pytest.raises(ReportError, match=r"'error' must be a number, got '0\.5,'"):
        log.read("epoch 1: error 0.5, and so on")


@pytest.mark.parametrize("pattern", ["(", "error (.*)", r"(?P<epoch>\d+)", 3, ""])
def test_a_pattern_needs_named_groups(pattern):
    with pytest.raises(ConfigError, match=r"^pattern: must be a regular expression whose named groups are metrics"):
        reader("epoch", pattern)
