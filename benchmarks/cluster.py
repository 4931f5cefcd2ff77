"""What a study on a Ray cluster costs besides its jobs, beside Ray Tune on the same jobs.

    python -m benchmarks.cluster              about 10 minutes on two quiet cores
    python -m benchmarks.cluster --quick      fewer jobs

empty       jobs that take no time, 16 workers: jobs a second, from the first submission to the last result
sleeping    jobs of one second, 64 workers: how much of the workers' time is spent in jobs, from the moment when all of
            them have come until the last job is submitted
start       from the submission of a job to a new worker until its first report
memory      resident and proportional memory of a worker, Ray included, whose objective needs no torch

Both use a Ray of their own on this machine, one trial a job, one report a trial, no tracker.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SLEEP_SECONDS = 1.0
SHARE = 0.01
"""Of a core, for each worker: sleeping takes none."""


def empty(config: dict[str, Any], resource: int, seed: int) -> dict[str, float]:
    """A job that takes no time."""
    return {"loss": config["params"]["x"]}


def sleeping(config: dict[str, Any], resource: int, seed: int) -> dict[str, float]:
    """A job of one second."""
    time.sleep(SLEEP_SECONDS)
    return {"loss": config["params"]["x"]}


def ours(kind: str, n_workers: int, n_jobs: int) -> dict[str, float]:
    """A study by the command line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(
                sys.executable,
                str(ROOT / "tune.py"),
                "objective=function",
                f"objective.function=benchmarks.cluster.{kind}",
            ),
            *("+search_space.params.x={type: float, low: 0, high: 1}", "metric=loss", "searcher=random"),
            *("scheduler=fifo", "max_resource=1", f"n_trials={n_jobs}", "tracker=none", "finalists.n=0", "name=study"),
            *("executor=ray", f"executor.n_workers={n_workers}", f"executor.num_cpus={SHARE}"),
        ]
        environment = {**os.environ, "HPO_TRUST": "benchmarks.cluster", "PYTHONPATH": str(ROOT), "CI": "1"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        memory: list[tuple[int, int]] = []
        watcher = threading.Thread(target=watch, args=("ray::RayWorker", process, memory))
        watcher.start()
        process.wait()
        watcher.join()
        journal = Path(folder, "runs", "study", "journal.jsonl")
        records = [json.loads(line) for line in journal.read_text().splitlines()]
    submitted = {r["trial"]: r["time"] for r in records if r["event"] == "submitted"}
    reported = {r["trial"]: r["time"] for r in records if r["event"] == "report"}
    ended = [r["time"] for r in records if r["event"] == "result"]
    first = sorted(reported[trial] - submitted[trial] for trial in sorted(submitted)[:n_workers])
    found = figures(kind, n_workers, reported.values(), min(submitted.values()), max(ended), max(submitted.values()))
    found["start (s)"] = statistics.median(first) - (SLEEP_SECONDS if kind == "sleeping" else 0.0)
    if memory:
        found["resident (MB)"], found["proportional (MB)"] = (max(m[i] for m in memory) / 2**20 for i in (0, 1))
    return found


def figures(
    kind: str, n_workers: int, reported: Iterable[float], began: float, ended: float, last: float
) -> dict[str, float]:
    """Of the times (s) at which jobs reported; `last`: when the last one was submitted."""
    times = sorted(reported)
    if kind == "empty":
        # From the n-th report: all workers are there.
        steady = times[n_workers:]
        return {
            "jobs/s": len(times) / (ended - began),
            "jobs/s, all workers there": (len(steady) - 1) / (steady[-1] - steady[0]),
        }
    all_there = times[n_workers - 1]
    spent = sum(max(0.0, min(t, last) - max(t - SLEEP_SECONDS, all_there)) for t in times)
    whole = len(times) * SLEEP_SECONDS / n_workers
    return {"in jobs": spent / (n_workers * (last - all_there)), "of the whole": whole / (ended - began)}


def watch(name: str, process: subprocess.Popen[bytes], memory: list[tuple[int, int]]) -> None:
    """Notes resident and proportional memory (bytes) of processes of that name, every two seconds."""
    while process.poll() is None:
        found = subprocess.run(["pgrep", "-f", f"^{name}"], stdout=subprocess.PIPE, text=True, check=False)
        for pid in found.stdout.split():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
                kilobytes = {words[0]: int(words[1]) for words in map(str.split, lines)}
                memory.append((kilobytes["Rss:"] << 10, kilobytes["Pss:"] << 10))
        time.sleep(2.0)


def tunes(kind: str, n_workers: int, n_jobs: int) -> dict[str, float]:
    """The same by Ray Tune, in a process of its own."""
    command = [sys.executable, "-c", _TUNE, kind, str(n_workers), str(n_jobs), str(SHARE), str(SLEEP_SECONDS)]
    environment = {**os.environ, "RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, folder],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("[")]
    began, ended, *times = json.loads(line)
    last = sorted(times)[-n_workers] if len(times) > n_workers else ended
    return figures(kind, n_workers, times, began, ended, last)


_TUNE = """
import json, os, sys, time
kind, n_workers, n_jobs, share, seconds, folder = sys.argv[1:]
import ray
from ray import tune
ray.init(address="local", num_cpus=max(2, os.cpu_count()), include_dashboard=False, log_to_driver=False)
def job(config):
    if kind == "sleeping":
        time.sleep(float(seconds))
    tune.report({"loss": config["x"], "at": time.time()})
tuner = tune.Tuner(
    tune.with_resources(job, {"cpu": float(share)}),
    param_space={"x": tune.uniform(0, 1)},
    tune_config=tune.TuneConfig(num_samples=int(n_jobs), max_concurrent_trials=int(n_workers), reuse_actors=True),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
)
began = time.time()
results = tuner.fit()
ended = time.time()
print(json.dumps([began, ended, *(r.metrics["at"] for r in results)]))
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer jobs")
    quick = parser.parse_args().quick
    for kind, n_workers, n_jobs in (("empty", 16, 500 if quick else 4000), ("sleeping", 64, 256 if quick else 1280)):
        for who, measure, n in (("ours", ours, n_jobs), ("Ray Tune", tunes, n_jobs // (4 if kind == "empty" else 2))):
            found = measure(kind, n_workers, n)
            text = "  ".join(f"{name} {value:.3g}" for name, value in found.items())
            print(f"{kind:<9} {n_workers:>3} workers {n:>5} jobs  {who:<9} {text}", flush=True)


if __name__ == "__main__":
    main()
