"""When each job ran."""

from __future__ import annotations

from written_journal import Written

from hpo_pipeline.analysis.job_log import JobLog, busy_share


def log(*records: tuple[str, float, dict[str, object]]) -> JobLog:
    found = JobLog()
    for event, elapsed, keys in records:
        found.apply({"event": event, "time": 1000 + elapsed, "elapsed": elapsed, **keys})
    return found


def submitted(trial: int, resource: int = 1) -> dict[str, object]:
    return {"trial": trial, "resource": resource, "rung": 0, "bracket": 0}


def result(trial: int, outcome: str = "done") -> dict[str, object]:
    return {"trial": trial, "outcome": outcome}


def test_a_job_takes_the_first_worker_that_is_free():
    found = log(
        ("submitted", 0.0, submitted(0)),
        ("submitted", 0.0, submitted(1)),
        ("result", 2.0, result(1)),
        ("submitted", 2.0, submitted(2)),
        ("result", 3.0, result(0)),
        ("submitted", 3.0, submitted(3)),
        ("result", 5.0, result(2, "failed")),
        ("result", 5.0, result(3)),
    )
    spans = found.spans()
    placed = [(s.trial, s.worker, s.begin, s.end) for s in spans]
    assert placed == [(0, 0, 0, 3), (1, 1, 0, 2), (2, 1, 2, 5), (3, 0, 3, 5)]
    assert [s.outcome for s in spans] == ["done", "done", "failed", "done"]
    assert busy_share(spans, found.seconds) == (2, 1.0)


def test_each_node_has_workers_of_its_own():
    found = log(
        ("submitted", 0.0, submitted(0)),
        ("submitted", 0.0, submitted(1)),
        ("report", 1.0, {"trial": 0, "resource": 1, "node": "b"}),
        ("report", 1.0, {"trial": 1, "resource": 1, "node": "a"}),
        ("result", 2.0, result(0)),
        ("submitted", 2.0, submitted(2)),
        ("report", 3.0, {"trial": 2, "resource": 1, "node": "a"}),
        ("result", 4.0, result(1)),
        ("result", 4.0, result(2)),
    )
    assert [(s.trial, s.node, s.worker) for s in found.spans()] == [(0, "b", 0), (1, "a", 1), (2, "a", 2)]


def test_gaps_are_idle():
    found = log(("submitted", 1.0, submitted(0)), ("result", 3.0, result(0)), ("end", 4.0, {}))
    assert busy_share(found.spans(), found.seconds) == (1, 0.5)


def test_a_job_at_work_lasts_until_now():
    found = log(("submitted", 1.0, submitted(0)), ("report", 4.0, {"trial": 0, "resource": 1}))
    (span,) = found.spans()
    assert (span.end, span.outcome) == (4.0, "running")
    assert found.reports == [(4.0, 0, 1)]


def test_a_new_session_ends_the_jobs_of_the_one_before():
    found = log(
        ("session", 0.0, {}),
        ("submitted", 0.0, submitted(0)),
        ("session", 5.0, {}),
        ("submitted", 6.0, submitted(0)),
        ("result", 7.0, result(0)),
    )
    assert [(s.begin, s.end, s.outcome) for s in found.spans()] == [(0, 5, "lost"), (6, 7, "done")]
    assert found.sessions == [0.0, 5.0]


def test_a_journal_of_version_1_has_the_times_at_which_things_were_seen():
    found = JobLog()
    for event, time, keys in (
        ("session", 100.0, {}),
        ("submitted", 101.0, submitted(0)),
        ("result", 104.0, result(0)),
        ("session", 900.0, {}),
        ("submitted", 901.0, submitted(1)),
        ("result", 903.0, result(1)),
    ):
        found.apply({"event": event, "time": time, **keys})
    assert [(s.begin, s.end) for s in found.spans()] == [(1, 4), (5, 7)]
    assert found.seconds == 7


def test_nothing_has_no_workers():
    assert busy_share(Written().log.spans(), 0.0) == (0, 0.0)
