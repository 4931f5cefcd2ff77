"""The study's log: what was said, with the time, session after session."""

from __future__ import annotations

import re
from pathlib import Path

from commands import FREE, run
from written_study import StudyBuilder

from hpo_pipeline.report.study_log import StudyLog


def test_the_log_has_a_line_an_event_and_each_begins_with_the_time(study: StudyBuilder) -> None:
    log = StudyLog(Path("log.txt"), study.view, "epoch")
    study.listener = log.update
    log.say("the plan\nin two lines")
    study.trial(0, [0.25], "STOPPED", {"optimizer.lr": 0.5})
    study.end("n_trials=1 reached")
    log.close()
    lines = Path("log.txt").read_text().splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  .+", line) for line in lines)
    assert [line[21:] for line in lines] == [
        "the plan",
        "in two lines",
        "trial 0  rung 0  epoch 1  validation_error 0.2500  best  lr=0.5",
        "ended: COMPLETED: n_trials=1 reached",
    ]


def test_a_log_that_cannot_be_written_ends_no_study(study: StudyBuilder) -> None:
    log = StudyLog(Path("/dev/full"), study.view, "epoch")
    study.listener = log.update
    study.trial(0, [0.25], "STOPPED")
    log.close()


def test_sessions_follow_one_another() -> None:
    run(*FREE, "name=x", "n_trials=1", "max_resource=3")
    assert run("name=x", "n_trials=2", "resume=true").code == 0
    text = Path("runs/x/log.txt").read_text()
    assert len(re.findall(r"  ended: completed", text)) == 2
    assert "resumed: x" in text
