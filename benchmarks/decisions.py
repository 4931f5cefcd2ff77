"""What a decision costs when an evaluation is free, after 1,000 trials and after 10,000.

    python benchmarks/decisions.py                        the asynchronous schedulers, and successive halving
    python benchmarks/decisions.py scheduler=hyperband    others; each argument is the overrides of one study
    python benchmarks/decisions.py "scheduler=asha scheduler.eta=2" --n-trials 4000

Two measurements of each scheduler:

    decision   next_job (with the searcher's suggestion), on_report and on_result, called directly; processor time
    study      `python tune.py objective=function executor=serial tracker=none` as a process; wall-clock time, from the
               time stamps in its journal, with journal, checkpoints and console

Each is the mean over the trials from n/20 to n/10 ("at 1,000") and over the last 1,000 ("at 10,000").
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from composing import composed

from hpo_pipeline.build import build
from hpo_pipeline.evaluation import Metric, evaluation
from hpo_pipeline.journal import read
from hpo_pipeline.objective.function import learning_curve
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job

STUDIES = (
    "scheduler=asha",
    "scheduler=asha scheduler.type=stopping",
    "scheduler=asha scheduler.brackets=3",
    "scheduler=pasha",
    "scheduler=median_stopping",
    "scheduler=pbt scheduler.population=10000",
    "scheduler=fifo",
    "scheduler=successive_halving",
)
METRICS = [Metric("validation_error")]
ROOT = Path(__file__).resolve().parent.parent


class Stopwatch:
    """Processor time of this thread in calls, summed for each trial that had been started by then."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.calls: list[int] = []

    def __call__(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        began = time.thread_time()
        answer = function(*args, **named)
        self.seconds[-1] += time.thread_time() - began
        self.calls[-1] += 1
        return answer

    def next_trial(self) -> None:
        self.seconds.append(0.0)
        self.calls.append(0)

    def mean(self, first: int, last: int) -> float:
        """Seconds a call, over the trials from `first` to before `last`."""
        return sum(self.seconds[first:last]) / sum(self.calls[first:last])


def decisions(overrides: list[str], n_trials: int) -> Stopwatch:
    """Runs the scheduler by itself, one job at a time."""
    config = composed("objective=function", *overrides).config
    space = SearchSpace.parse(config["search_space"])
    trials = TrialGenerator(build(config["searcher"], "searcher", space=space, seed=0), space, n_trials)
    scheduler = build(config["scheduler"], "scheduler", trials=trials, space=space, seed=0)
    watch = Stopwatch()
    watch.next_trial()
    reached: dict[int, int] = {}
    while isinstance(job := watch(scheduler.next_job), Job):
        if job.trial.id not in reached:
            watch.next_trial()
        trials.searcher.on_submitted(job)
        nested: dict[str, dict[str, Any]] = {}
        for path, value in job.trial.config.items():
            group, _, key = path.partition(".")
            nested.setdefault(group, {})[key] = value
        for step in range(reached.get(job.trial.id, 0) + 1, job.resource + 1):
            reached[job.trial.id] = step
            reached_now = evaluation(job, step, learning_curve(nested, step, 0), METRICS)
            if watch(scheduler.on_report, job, reached_now).stop:
                break
        else:
            watch(scheduler.on_result, job, reached_now)
    return watch


def study(overrides: list[str], n_trials: int) -> tuple[float, float, list[float]]:
    """Runs the command; returns its seconds from start to exit, its processor time, and when each trial began."""
    free = ["objective=function", "executor=serial", "tracker=none", "name=free", f"n_trials={n_trials}"]
    with tempfile.TemporaryDirectory() as folder:
        began, processor = time.perf_counter(), _processor_seconds()
        done = subprocess.run(
            [sys.executable, str(ROOT / "tune.py"), *free, *overrides], cwd=folder, capture_output=True, text=True
        )
        seconds, processor = time.perf_counter() - began, _processor_seconds() - processor
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        records = (record for record, _ in read(Path(folder, "runs/free/journal.jsonl")))
        return seconds, processor, [record["time"] for record in records if record["event"] == "suggested"]


def _processor_seconds() -> float:
    """Of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", default=STUDIES, help="overrides of a study, in one argument")
    parser.add_argument("--n-trials", type=int, default=10_000)
    arguments = parser.parse_args()
    n = arguments.n_trials
    print(f"{n} trials; microseconds; ratio is the time at {n} to that at {n // 10}")
    print(f"{'':40} {'-- a decision --':>24}   {'-- a trial of a study --':>24}   study")
    print(f"{'':40} {n // 10:>8} {n:>8} {'ratio':>6}   {n // 10:>8} {n:>8} {'ratio':>6}   seconds processor")
    for text in arguments.studies:
        watch = decisions(text.split(), n)
        early, late = watch.mean(n // 20, n // 10), watch.mean(n - n // 10, n)
        seconds, processor, starts = study(text.split(), n)
        a, b, c, d = (starts[i] for i in (n // 20, n // 10, n - n // 10, n - 1))
        first, last = (b - a) / (n // 10 - n // 20), (d - c) / (n // 10 - 1)
        print(
            f"{text:40} {early * 1e6:8.0f} {late * 1e6:8.0f} {late / early:6.2f}   "
            f"{first * 1e6:8.0f} {last * 1e6:8.0f} {last / first:6.2f}   {seconds:7.1f} {processor:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
