"""A study as flat frames: trials, rung evaluations, reports."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from heard import folded

from hpo_pipeline.errors import StudyError
from hpo_pipeline.records import Record
from hpo_pipeline.report.frames import evaluations_frame, reports_frame, trials_frame
from hpo_pipeline.report.plots import Plots
from hpo_pipeline.view import StudyView

LOSS = {"name": "loss", "mode": "min"}


def study(*records: Record, **header: Any) -> StudyView:
    return folded([{"event": "study", "version": 3, "name": "s", "metrics": [LOSS], "time": 0.0, **header}, *records])


def suggested(trial: int, time: float = 0.0, **given: Any) -> Record:
    config = {key: given.pop(key) for key in list(given) if key not in ("repeats", "origin")}
    return {"event": "suggested", "trial": trial, "config": config, "time": time, **given}


def submitted(trial: int, resource: int, **given: Any) -> Record:
    return {"event": "submitted", "trial": trial, "resource": resource, "rung": 0, "bracket": 0, "time": 0.0, **given}


def report(trial: int, resource: int, time: float = 0.0, **metrics: float) -> Record:
    return {"event": "report", "trial": trial, "resource": resource, "metrics": metrics, "time": time}


def rung(trial: int, number: int, resource: int, time: float, bracket: int = 0) -> Record:
    of = {"trial": trial, "rung": number, "bracket": bracket, "resource": resource}
    return {"event": "rung", **of, "time": time}


def decided(trial: int, state: str, reason: str = "", time: float = 0.0) -> Record:
    return {"event": "decision", "trial": trial, "state": state, "reason": reason, "time": time}


def failed(trial: int, error: str) -> list[Record]:
    ended = {"event": "result", "trial": trial, "outcome": "failed", "error": error, "traceback": "", "time": 9.0}
    return [ended, decided(trial, "FAILED", time=9.0)]


def test_a_row_a_trial_with_its_fate_and_what_its_best_report_says():
    view = study(
        *(suggested(0, 1.0, n=3, lr=0.1, origin="uniform"), submitted(0, 2)),
        *(report(0, 1, 2.0, loss=0.5, seconds=1.5), report(0, 2, 3.0, loss=0.7, seconds=1.0)),
        *(suggested(1, n=4), submitted(1, 2), report(1, 1, loss=math.nan), *failed(1, "no memory")),
        *(
            suggested(2, n=5, lr=0.2),
            submitted(2, 2),
            report(2, 1, loss=0.4),
            decided(2, "STOPPED", "rank 3 of 4", 4.0),
        ),
    )
    frame = trials_frame(view)
    assert list(frame.index) == [0, 1, 2]
    assert list(frame["rank"]) == [2, 3, 1]
    assert list(frame["state"]) == ["RUNNING", "FAILED", "STOPPED"]
    assert frame["value"].tolist() == pytest.approx([0.5, math.nan, 0.4], nan_ok=True)
    assert frame["resource"].tolist() == [1, pd.NA, 1]
    assert frame["trained"].tolist() == [2, 1, 1]
    assert frame["params.n"].tolist() == [3, 4, 5]
    assert frame["params.lr"].tolist() == pytest.approx([0.1, math.nan, 0.2], nan_ok=True)
    assert frame.loc[0, ["metrics.seconds", "seconds", "origin"]].tolist() == [1.5, 2.5, "uniform"]
    assert frame.loc[2, "reason"] == "rank 3 of 4"
    assert frame.loc[1, "error"] == "no memory"
    assert frame.loc[0, "started"] == pd.Timestamp(1.0, unit="s", tz="UTC")
    assert frame["ended"].tolist()[1:] == [pd.Timestamp(t, unit="s", tz="UTC") for t in (9.0, 4.0)]


def test_integers_stay_integers_where_a_hyperparameter_is_not_active():
    frame = trials_frame(study(suggested(0, n=3, b=True), suggested(1), suggested(2, n=2**60 + 1)))
    assert frame["params.n"].tolist() == [3, pd.NA, 2**60 + 1]
    assert frame["params.b"].tolist()[0] is True


def test_evaluations_are_in_the_order_in_which_they_were_made():
    view = study(
        *(suggested(0), submitted(0, 3), report(0, 1, loss=0.5), rung(0, 0, 1, 5.0)),
        *(suggested(1), submitted(1, 1), report(1, 1, loss=0.2), rung(1, 0, 1, 4.0, bracket=1)),
        *(report(0, 3, loss=0.3), rung(0, 1, 3, 6.0)),
    )
    frame = evaluations_frame(view)
    columns = ["trial", "bracket", "rung", "resource", "value"]
    assert frame[columns].values.tolist() == [[1, 1, 0, 1, 0.2], [0, 0, 0, 1, 0.5], [0, 0, 1, 3, 0.3]]


def test_reports_are_the_learning_curves():
    view = study(suggested(0), submitted(0, 3), report(0, 1, 1.0, loss=math.inf), report(0, 3, 2.0, loss=0.3, f1=0.5))
    frame = reports_frame(view)
    assert list(frame.columns) == ["trial", "resource", "value", "metrics.loss", "metrics.f1", "time"]
    assert frame[["trial", "resource", "value"]].values.tolist() == [[0, 1, math.inf], [0, 3, 0.3]]
    assert math.isnan(frame["metrics.f1"][0])


def test_a_trial_whose_hyperparameters_changed_has_those_of_its_best_report():
    changed = submitted(0, 2, source=[1, 1], config={"lr": 0.9})
    view = study(
        *(suggested(1, lr=0.3), submitted(1, 1), report(1, 1, loss=0.6)),
        *(suggested(0, lr=0.1), submitted(0, 1), report(0, 1, loss=0.5), changed, report(0, 2, loss=0.4)),
    )
    assert trials_frame(view)["params.lr"].tolist() == [0.9, 0.3]


def test_finalists_over_seeds_constraints_and_a_front_have_their_columns():
    seeds = study(
        *(suggested(0, lr=0.1), submitted(0, 1), report(0, 1, loss=0.5), decided(0, "COMPLETED")),
        *(suggested(1, lr=0.1, repeats=0), submitted(1, 1), report(1, 1, loss=0.7), decided(1, "COMPLETED")),
    )
    frame = trials_frame(seeds)
    assert frame.loc[0, ["mean", "seeds"]].tolist() == [0.6, 2]
    assert frame["repeats"].tolist() == [pd.NA, 0]
    both = [LOSS, {"name": "f1", "mode": "max"}]
    front = study(
        *(suggested(0), submitted(0, 1), report(0, 1, loss=0.5, f1=0.5), suggested(1), submitted(1, 1)),
        *(report(1, 1, loss=0.6, f1=0.9), suggested(2), submitted(2, 1), report(2, 1, loss=0.7, f1=0.8)),
        metrics=both,
    )
    assert trials_frame(front)["front"].tolist() == [True, True, False]
    bounded = study(
        *(suggested(0), submitted(0, 1), report(0, 1, loss=0.5, size=3.0)),
        constraints=[{"name": "size", "min": None, "max": 2.0}],
    )
    assert trials_frame(bounded)["violation"][0] > 0


def test_nothing_yet_is_a_frame_without_rows_that_has_its_columns():
    for frame in (trials_frame(study()), evaluations_frame(study()), reports_frame(study())):
        assert len(frame) == 0
        assert {"value", "metrics.loss"} <= set(frame.columns)


def test_times_that_no_calendar_has_are_missing():
    assert trials_frame(study(suggested(0, 1e300)))["started"].isna().all()


def test_pictures_are_figures_of_their_own_and_there_is_none_of_nothing():
    view = study(suggested(0), submitted(0, 2), report(0, 1, loss=0.5), report(0, 2, loss=0.4))
    plots = Plots(view, "epoch")
    assert [len(figure.axes) for figure in (plots.study(), plots.curves(), plots.best_so_far())] == [2, 1, 1]
    assert plots.curves().axes[0].get_xlabel() == "epochs (dotted: rungs)"
    assert plots.curves()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(StudyError, match="a front is of several metrics"):
        plots.front()
    with pytest.raises(StudyError, match="no trial has reported yet"):
        Plots(study(), "epoch").curves()
