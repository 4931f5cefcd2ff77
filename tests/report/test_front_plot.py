"""The picture of a study of two metrics: where the front is drawn, and what its hypervolume comes to."""

from __future__ import annotations

import pytest
from heard import folded

from hpo_pipeline.report.plot import draw
from hpo_pipeline.view import StudyView


def study(*points: tuple[float, float], modes: tuple[str, str] = ("min", "min")) -> StudyView:
    """Trials with one report each."""
    metrics = [{"name": name, "mode": mode} for name, mode in zip("ab", modes, strict=True)]
    records = [{"event": "study", "name": "s", "metrics": metrics, "constraints": [{"name": "b", "max": 90.0}]}]
    for trial, (a, b) in enumerate(points):
        records += [
            {"event": "suggested", "trial": trial, "config": {}},
            {"event": "submitted", "trial": trial, "resource": 2, "rung": 0, "bracket": 0},
            {"event": "report", "trial": trial, "resource": 1, "metrics": {"a": a, "b": b}},
        ]
    return folded([{**record, "time": float(i)} for i, record in enumerate(records)])


@pytest.mark.parametrize("modes", [("min", "min"), ("max", "max")])
def test_between_two_members_the_edge_has_the_worse_value_of_each_metric(modes):
    sign = 1.0 if modes[0] == "min" else -1.0
    figure = draw(study((sign * 1.0, sign * 3.0), (sign * 2.0, sign * 1.0), modes=modes), "epoch")
    assert figure is not None
    front = figure.axes[0]
    edge = next(line for line in front.lines if line.get_drawstyle() == "steps-pre")
    # From the first member (x = b, y = a): up to the other's a at the first one's b, and then to the other one.
    assert edge.get_xydata().tolist() == [[sign * 3.0, sign * 1.0], [sign * 1.0, sign * 2.0]]
    assert [text.get_text() for text in front.texts] == ["1", "2"]
    word = "lower" if sign > 0 else "higher"
    assert (front.get_xlabel(), front.get_ylabel()) == (f"b ({word} is better)", f"a ({word} is better)")


def test_the_hypervolume_never_falls_and_ends_where_the_study_says():
    view = study((3.0, 3.0), (1.0, 4.0), (5.0, 99.0), (2.0, 2.0), (9.0, 9.0))
    figure = draw(view, "epoch")
    assert figure is not None
    [line] = figure.axes[1].lines
    volumes = line.get_ydata().tolist()
    assert volumes == sorted(volumes)
    assert volumes[-1] == view.front.hypervolume()
    assert line.get_xdata().tolist() == [0, 1, 2, 3, 4, 5]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["reports", "outside the constraints", "front (2 members)"]


def test_values_that_are_decades_apart_are_drawn_on_a_logarithmic_axis():
    figure = draw(study((0.5, 1.0), (0.4, 80.0)), "epoch")
    assert figure is not None
    assert [figure.axes[0].get_xscale(), figure.axes[0].get_yscale()] == ["log", "linear"]
