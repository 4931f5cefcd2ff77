"""What is said of a trial, and of the rungs."""

from __future__ import annotations

import math

import pytest
from heard import folded

from hpo_pipeline.records import Record
from hpo_pipeline.report.fate import fate, told
from hpo_pipeline.report.rung_table import RungTable
from hpo_pipeline.view import StudyView

STUDY = {"event": "study", "name": "s", "unit": "epoch", "metrics": [{"name": "error", "mode": "min"}], "time": 0.0}


def view(*records: Record) -> StudyView:
    return folded([STUDY, *({"time": 1.0, **record} for record in records)])


def trained(trial: int, to: int, rung: int, value: float, bracket: int = 0) -> list[Record]:
    own = {"trial": trial}
    return [
        {"event": "submitted", **own, "resource": to, "rung": rung, "bracket": bracket},
        {"event": "report", **own, "resource": to, "metrics": {"error": value, "seconds": 30.0}},
        {"event": "rung", **own, "resource": to, "rung": rung, "bracket": bracket},
        {"event": "result", **own, "outcome": "done", "error": "", "traceback": ""},
    ]


def suggested(trial: int, **keys: int) -> Record:
    return {"event": "suggested", "trial": trial, "config": {}, **keys}


def decided(trial: int, state: str, reason: str = "") -> Record:
    return {"event": "decision", "trial": trial, "state": state, "reason": reason}


END = {"event": "end", "state": "completed", "reason": "n_trials=3 are done"}


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        ("STOPPED", "rung 1: rank 7 of 12, kept 4", "stopped at rung 1 (epoch 3): rank 7 of 12, 4 kept"),
        ("STOPPED", "rung 1: the metric is not finite", "stopped at rung 1 (epoch 3): the metric is not finite"),
        ("STOPPED", "at 3: worse than the median of 7 trials", "stopped at epoch 3: worse than the median of 7 trials"),
        ("STOPPED", "my own rule", "stopped at epoch 3: my own rule"),
        ("STOPPED", "", "stopped at epoch 3"),
        ("COMPLETED", "", "completed at epoch 3"),
        ("COMPLETED", "trained to the end as a finalist", "completed at epoch 3: trained to the end as a finalist"),
        ("PAUSED", "", "paused at rung 1 (epoch 3): waits to be promoted"),
    ],
)
def test_a_trials_fate_is_told_with_rung_resource_and_reason(state: str, reason: str, expected: str):
    seen = view(suggested(0), *trained(0, 1, 0, 0.5), *trained(0, 3, 1, 0.4), decided(0, state, reason))
    assert fate(seen, seen.trials[0]) == expected


def test_a_trial_on_its_way_is_not_told_to_have_ended():
    job = {"event": "submitted", "trial": 0, "resource": 9, "rung": 2, "bracket": 0}
    seen = view(suggested(0), job)
    assert fate(seen, seen.trials[0]) == "in training, to epoch 9"
    assert fate(view(suggested(0)), view(suggested(0)).trials[0]) == "about to begin"
    cut = {"event": "result", "trial": 0, "outcome": "interrupted", "error": "", "traceback": ""}
    ended = {"event": "end", "state": "interrupted", "reason": "stopped by Ctrl-C"}
    seen = view(suggested(0), *trained(0, 1, 0, 0.5), job, cut, ended)
    assert fate(seen, seen.trials[0]) == "interrupted after epoch 1; it goes on when the study is resumed"
    seen = view(suggested(0), *trained(0, 1, 0, 0.5), job, cut, ended, {"event": "session"})
    assert fate(seen, seen.trials[0]) == "in training, to epoch 9"


def test_a_failure_is_told_in_one_line():
    failed = {
        "event": "result",
        "trial": 0,
        "outcome": "failed",
        "error": "ValueError: no\n  such thing",
        "traceback": "",
    }
    seen = view(suggested(0), failed, decided(0, "FAILED"))
    assert fate(seen, seen.trials[0]) == "failed before its first epoch was over: ValueError: no such thing"


def test_the_sentence_has_the_best_report_and_the_seconds_of_training():
    records = [suggested(0), *trained(0, 1, 0, 0.5), *trained(0, 3, 1, 0.25), decided(0, "COMPLETED")]
    seen = view(*records)
    assert told(seen, seen.trials[0]) == "Completed at epoch 3; best error 0.2500 at 3; 1:00 of training."
    seen = view(*records, END)
    assert told(seen, seen.trials[0]).startswith("The best of 1 trials; completed at epoch 3; ")
    seen = view(suggested(0), suggested(1, repeats=0))
    assert told(seen, seen.trials[1]) == "A further seed of trial 0; about to begin."


def test_the_table_of_rungs_counts_who_came_and_who_went_on():
    table = RungTable()
    records = [suggested(trial) for trial in range(4)]
    jobs = [(0, 1, 0, 0.5), (1, 1, 0, 0.4), (2, 1, 0, math.nan), (1, 3, 1, 0.2), (3, 3, 0, 0.1, 1)]
    for job in jobs:
        records += trained(*job)
        table.add(view(*records).trials[job[0]], view().metrics[0])
    found = [(row.bracket, row.rung, row.resource, row.n_trials, row.n_went_on, row.best) for row in table.rows()]
    assert found == [(0, 0, 1, 3, 1, 0.4), (0, 1, 3, 1, 0, 0.2), (1, 0, 3, 1, 0, 0.1)]
