"""When each job ran, and what was reported when: the fold of a journal that a timeline is drawn from."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

from hpo_pipeline.records import Record


@dataclass(frozen=True, slots=True)
class JobSpan:
    """One job, in seconds that the study has run.

    Attributes:
        to: the resource that it was to reach.
        outcome: as its result says; "running" while there is none, "lost" if its session ended before.
        node: the machine that it reported from last; empty where there is but one, or nothing was reported.
        worker: the place that it had, from 0: the first one that was free on its node. Nodes come one after the other.
    """

    trial: int
    rung: int
    bracket: int
    to: int
    begin: float
    end: float
    outcome: str
    node: str = ""
    worker: int = 0


class JobLog:
    """`apply` each record, in order; then read.

    Attributes:
        seconds: how long the study has run.
        reports: (seconds, trial, resource) of each report, in order.
        sessions: when each session began, in seconds.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.reports: list[tuple[float, int, int]] = []
        self.sessions: list[float] = []
        self._done: list[JobSpan] = []
        self._open: dict[int, JobSpan] = {}
        self._began: tuple[float, float] | None = None

    def apply(self, record: Record) -> None:
        """Takes in the next record."""
        now = self._now(record)
        match record["event"]:
            case "session":
                for trial in list(self._open):
                    self._close(trial, now, "lost")
                self.sessions.append(now)
            case "submitted":
                trial = record["trial"]
                self._close(trial, now, "lost")
                span = JobSpan(trial, record["rung"], record["bracket"], record["resource"], now, now, "running")
                self._open[trial] = span
            case "report":
                self.reports.append((now, record["trial"], record["resource"]))
                at_work = self._open.get(record["trial"])
                if at_work is not None and at_work.node != (node := record.get("node", "")):
                    self._open[at_work.trial] = replace(at_work, node=node)
            case "result":
                self._close(record["trial"], now, record["outcome"])

    def _now(self, record: Record) -> float:
        """Seconds that the study has run; journals of version 1 have only wall-clock times."""
        if "elapsed" in record:
            self.seconds = max(self.seconds, record["elapsed"])
        elif record["event"] == "session" or self._began is None:
            self._began = record["time"], self.seconds
        elif record["event"] != "study":
            began, before = self._began
            self.seconds = max(self.seconds, before + record["time"] - began)
        return self.seconds

    def _close(self, trial: int, now: float, outcome: str) -> None:
        if (span := self._open.pop(trial, None)) is not None:
            self._done.append(replace(span, end=now, outcome=outcome))

    def spans(self) -> list[JobSpan]:
        """All jobs by their beginnings, each with its worker."""
        still = (replace(span, end=self.seconds) for span in self._open.values())
        spans = sorted([*self._done, *still], key=lambda span: (span.begin, span.trial))
        nodes: dict[str, tuple[list[tuple[float, int]], list[int]]] = {}
        placed: list[JobSpan] = []
        for span in spans:
            busy, free = nodes.setdefault(span.node, ([], []))
            while busy and busy[0][0] <= span.begin:
                heapq.heappush(free, heapq.heappop(busy)[1])
            worker = heapq.heappop(free) if free else len(busy)
            heapq.heappush(busy, (span.end, worker))
            placed.append(replace(span, worker=worker))
        before, n = {}, 0
        for node, (busy, free) in nodes.items():
            before[node], n = n, n + len(busy) + len(free)
        return [replace(span, worker=span.worker + before[span.node]) for span in placed] if len(nodes) > 1 else placed


def busy_share(spans: list[JobSpan], seconds: float) -> tuple[int, float]:
    """(workers, the share of their time that was spent in jobs), over the first `seconds` of the study."""
    n_workers = 1 + max((span.worker for span in spans), default=-1)
    spent = sum(span.end - span.begin for span in spans)
    return n_workers, spent / (n_workers * seconds) if n_workers and seconds > 0 else 0.0
