"""When each worker did what, and how long it had nothing to do."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hpo_pipeline.analysis.job_log import JobSpan, busy_share
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.section import Section, percent, short
from hpo_pipeline.report.text import duration, plural

MOST_JOBS = 2500
MOST_WORKERS = 64
BINS = 160
_MOST_NAME = 16


def workers(material: Material) -> Section | None:
    """A bar for each job; of very many, how many workers were busy. None where nothing was begun or no time passed."""
    spans, seconds = material.spans, material.log.seconds
    if not spans or seconds <= 0:
        return None
    n_workers, share = busy_share(spans, seconds)
    data: dict[str, object] = {"seconds": short(seconds), "n": n_workers, "busy": _busy(spans, seconds)}
    in_bars = len(spans) <= MOST_JOBS and n_workers <= MOST_WORKERS
    if in_bars:
        data["names"] = _names(spans, n_workers)
        data["jobs"] = [[s.worker, short(s.begin, 6), short(s.end, 6), s.trial, s.to, s.outcome] for s in spans]
        says = "Each bar is a job, from when it was handed out until its result came; gaps are idle workers."
    else:
        says = (
            f"How many of {plural(n_workers, 'worker')} had a job over time ({plural(len(spans), 'job')} are too many "
            "to draw each)."
        )
    idle = max((1 - share) * n_workers * seconds, 0)
    lost = sum(span.outcome == "lost" for span in spans)
    sure = (
        f"{plural(n_workers, 'worker')} {'was' if n_workers == 1 else 'were'} busy {percent(share)} of "
        f"{duration(seconds)}{' of simulated time' if material.view.is_simulated else ''}, idle for {duration(idle)} "
        "of worker time; a job's time includes the start of its worker. The journal doesn't say which worker had a "
        "job: each is drawn in the first row that was free"
        f"{' on its node' if any(span.node for span in spans) else ''}."
    )
    if lost:
        sure += f" {plural(lost, 'job')} ended with their session, and had to be handed out again."
    height = 90 + 22 * min(n_workers, 24) if in_bars else 220
    return Section("workers", "Workers", says, sure, {"workers": height}, data)


def _names(spans: list[JobSpan], n_workers: int) -> list[str]:
    """What each worker is called: its node and its place there, or its place alone."""
    nodes = {span.worker: span.node for span in spans}
    seen: Counter[str] = Counter()
    names = []
    for worker in range(n_workers):
        node = nodes.get(worker, "")
        short_name = node if len(node) <= _MOST_NAME else f"{node[: _MOST_NAME - 1]}…"
        names.append(f"{short_name} {seen[node]}".strip())
        seen[node] += 1
    return names


def _busy(spans: list[JobSpan], seconds: float) -> list[float | int | None]:
    """The mean number of jobs in each of so many equal parts of the time."""
    edges = np.linspace(0, seconds, BINS + 1)
    begin, end = np.array([s.begin for s in spans]), np.array([s.end for s in spans])
    spent = np.array([float((np.minimum(end, edge) - np.minimum(begin, edge)).sum()) for edge in edges])
    return [short(value, 3) for value in (np.diff(spent) / np.diff(edges)).tolist()]
