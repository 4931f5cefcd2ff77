"""The picture of a study."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from written_study import StudyBuilder

from hpo_pipeline.report.plot import draw, geometric, study_picture, value_limits


def labels(axes: object) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[attr-defined]


def test_the_picture_is_a_png(four_trials: StudyBuilder, tmp_path: Path) -> None:
    path = study_picture(four_trials.view, tmp_path / "study.png", "epoch", "asha, random")
    assert path == tmp_path / "study.png"
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_there_is_no_picture_without_a_report(study: StudyBuilder, tmp_path: Path) -> None:
    study.job(0, 1)
    assert study_picture(study.view, tmp_path / "study.png", "epoch") is None
    assert list(tmp_path.iterdir()) == []


def test_the_right_panel_counts_the_trials_of_each_fate(four_trials: StudyBuilder) -> None:
    figure = draw(four_trials.view, "epoch")
    assert figure is not None
    left, right = figure.axes
    assert labels(right) == ["stopped (2)", "completed (1)", "failed (1)", "best (trial 1)"]
    assert labels(left) == ["reports", "best so far", "trial 1: 0.2000"]


def test_the_left_panel_steps_down_at_the_total_resource_where_the_best_improved(four_trials: StudyBuilder) -> None:
    figure = draw(four_trials.view, "epoch")
    assert figure is not None
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    # Epoch 1: trial 0 with 0.5; 2 and 3: trial 1 with 0.4 and 0.2; five epochs in all.
    np.testing.assert_array_equal(line.get_xydata(), [[1, 0.5], [2, 0.4], [3, 0.2], [5, 0.2]])


def test_what_a_failed_trial_reached_is_never_the_best_so_far(four_trials: StudyBuilder) -> None:
    four_trials.trial_that_fails(4, [0.1])
    figure = draw(four_trials.view, "epoch")
    assert figure is not None
    left, right = figure.axes
    (line,) = [line for line in left.lines if line.get_label() == "best so far"]
    np.testing.assert_array_equal(line.get_xydata(), [[1, 0.5], [2, 0.4], [3, 0.2], [6, 0.2]])
    assert "best (trial 1)" in labels(right)


def test_the_best_so_far_of_a_maximised_metric_steps_up() -> None:
    study = StudyBuilder("max")
    study.trial(0, [0.5, 0.25, 0.75], "COMPLETED")
    figure = draw(study.view, "epoch")
    assert figure is not None
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    np.testing.assert_array_equal(line.get_xydata(), [[1, 0.5], [3, 0.75], [3, 0.75]])


def test_axes_say_what_is_measured_and_which_way_is_better(four_trials: StudyBuilder) -> None:
    figure = draw(four_trials.view, "step", "asha")
    assert figure is not None
    assert figure.get_suptitle() == "demo   asha"
    assert figure.axes[0].get_xlabel() == "total steps spent"
    assert figure.axes[0].get_ylabel() == "validation_error (lower is better)"


def test_rungs_that_grow_geometrically_make_a_log_axis_with_their_ticks(study: StudyBuilder) -> None:
    for trial, (resource, rung) in enumerate([(1, 0), (3, 1), (9, 2)]):
        study.job(trial, resource)
        study.report(trial, resource, 0.5, rung)
    figure = draw(study.view, "epoch")
    assert figure is not None
    assert figure.axes[1].get_xscale() == "log"
    assert list(figure.axes[1].get_xticks()) == [1, 3, 9]


@pytest.mark.parametrize(
    ("rungs", "expected"),
    [([1, 3, 9], True), ([1, 2, 3, 4, 5, 6], False), ([2, 4], False), ([1, 4], True), ([9], False)],
)
def test_a_log_axis_needs_one_factor_and_a_range(rungs: list[int], expected: bool) -> None:
    assert geometric(rungs) is expected


def test_value_limits_leave_diverged_trials_out() -> None:
    values = np.array([0.1, 0.3, 0.5, 1e9, math.nan, math.inf])
    limits = value_limits(values, np.array([0.3, 0.3, 0.5, 1e9]), "min")
    # The median first value is 0.4: nothing is shown beyond 0.1 + 4 * 0.3, so 0.5 is the worst shown.
    assert limits == pytest.approx((0.1 - 0.02, 0.5 + 0.02))


def test_value_limits_of_a_maximised_metric_are_open_below() -> None:
    values = np.array([0.9, 0.7, 0.5, -1e9])
    assert value_limits(values, values, "max") == pytest.approx((0.5 - 0.02, 0.9 + 0.02))


def test_a_study_of_diverged_trials_only_can_be_drawn(study: StudyBuilder, tmp_path: Path) -> None:
    study.trial(0, [math.nan, math.inf], "STOPPED")
    assert study_picture(study.view, tmp_path / "study.png", "epoch") is not None


@pytest.mark.parametrize("mode", ["min", "max"])
def test_one_trial_with_one_report_can_be_drawn(mode: str, tmp_path: Path) -> None:
    study = StudyBuilder(mode)
    study.trial(0, [0.5], "COMPLETED")
    assert study_picture(study.view, tmp_path / "study.png", "epoch") is not None
