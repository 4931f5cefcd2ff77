"""Problems are data: where, what, which value; they become text in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo_pipeline.atomic import put, replacing
from hpo_pipeline.checks import integer_problems, is_integer, is_number, option_problems
from hpo_pipeline.errors import ConfigError, Problem, describe

INT = Problem("n_units", "must be an integer of at least 1", 0)


def test_a_problem_is_one_line_with_its_path_and_value():
    assert str(INT) == "n_units: must be an integer of at least 1, got 0"
    assert str(Problem("n", "is gone", None)) == "n: is gone, got None"
    assert str(Problem("a\n\u202e", "is\twrong")) == r"a\n\u202e: is\twrong"


def test_a_problem_moves_below_the_place_of_its_component():
    assert str(INT.under("model").under("search_space")).startswith("search_space.model.n_units: must be")
    assert Problem("[2].lr", "x").under("points").path == "points[2].lr"
    assert Problem("", "x").under("model") == Problem("model", "x")


def test_a_plain_text_is_about_the_component_as_a_whole():
    error = ConfigError(["lr: is too large", INT]).under("optimizer")
    assert error.lines == [
        "optimizer: lr: is too large",
        "optimizer.n_units: must be an integer of at least 1, got 0",
    ]
    assert str(error) == "\n".join(error.lines)


def test_an_error_says_each_problem_once():
    assert ConfigError([INT, Problem("a", "is a list", [1]), INT, Problem("a", "is a list", [1])]).problems == [
        INT,
        Problem("a", "is a list", [1]),
    ]


@pytest.mark.parametrize("value", [True, 3.0, "3", None, 0, 6])
def test_what_is_no_integer_within_the_bounds_is_said(value):
    assert not is_integer(value, 1, 5)
    assert integer_problems(most=5, n=value) == [Problem("n", "must be an integer from 1 to 5", value)]


def test_integers_within_the_bounds_have_no_problem():
    assert integer_problems(most=5, a=1, b=5) == []
    assert integer_problems(least=0, a=0, b=10**400) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "0.5", 1.5])
def test_what_is_no_finite_number_within_the_bounds_is_none(value):
    assert not is_number(value, 0, 1)


def test_a_word_that_is_not_known_comes_with_the_nearest():
    (problem,) = option_problems(["promotion", "stopping"], type="stoping")
    assert str(problem) == "type: must be one of promotion, stopping, got 'stoping'; did you mean 'stopping'?"


def test_a_link_at_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "ours").symlink_to("theirs")
    with replacing(tmp_path / "ours", durable=True) as aside:
        aside.write_text("ours")
    assert ((tmp_path / "theirs").read_text(), (tmp_path / "ours").read_text()) == ("theirs", "ours")
    assert not (tmp_path / "ours").is_symlink()


def test_what_is_durable_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch):
    import os

    done: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda _file: done.append("on the disk"))
    monkeypatch.setattr(os, "replace", lambda a, b: done.append("in place") or replace(a, b))
    (tmp_path / "a").write_text("x")
    put(tmp_path / "a", tmp_path / "b", durable=True)
    assert done == ["on the disk", "in place", "on the disk"]


def test_a_line_that_only_announces_the_next_one_is_told_with_it():
    torchs = "Error(s) in loading state_dict for Net:\n\tsize mismatch for weight: (3, 2) and (4, 2).\n\tMissing key"
    told = "RuntimeError: Error(s) in loading state_dict for Net: size mismatch for weight: (3, 2) and (4, 2)."
    assert describe(RuntimeError(torchs)) == told
    assert describe(ValueError("no such thing\nbut others")) == "ValueError: no such thing"
    assert describe(KeyError("x:")) == "KeyError: 'x:'"
    assert describe(RuntimeError("")) == "RuntimeError: "
