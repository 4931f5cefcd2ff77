"""What a study on a Ray cluster costs besides its jobs, beside Ray Tune on the same jobs.

    python -m benchmarks.cluster              about 12 minutes on two quiet cores
    python -m benchmarks.cluster --seconds 60 shorter studies

empty       jobs that take no time, 16 workers: jobs a second from the moment when each of them has ended one
sleeping    jobs of one second, 64 workers: how much of the workers' time is spent in jobs, from that moment on
start       from the submission of a job to a new worker until its first report, when they all start at once (median)
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SLEEP_SECONDS = 1.0
SHARE = 0.01
"""Of a core, for each worker: sleeping takes none."""


def empty(config: dict[str, Any], resource: int, seed: int) -> dict[str, float]:
    """A job that takes no time."""
    return {"loss": config["params"]["x"], "worker": os.getpid()}


def sleeping(config: dict[str, Any], resource: int, seed: int) -> dict[str, float]:
    """A job of one second."""
    time.sleep(SLEEP_SECONDS)
    return {"loss": config["params"]["x"], "worker": os.getpid()}


def ours(kind: str, n_workers: int, seconds: int) -> dict[str, float]:
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
            *(
                "scheduler=fifo",
                "max_resource=1",
                "n_trials=1000000",
                f"max_seconds={seconds}",
                "tracker=none",
                "finalists.n=0",
                "name=study",
            ),
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
    reports = [(r["time"], int(r["metrics"]["worker"])) for r in records if r["event"] == "report"]
    first = [r["time"] - submitted[r["trial"]] for r in records if r["event"] == "report" and r["trial"] < n_workers]
    found = figures(kind, n_workers, reports)
    found["start (s)"] = statistics.median(first) - (SLEEP_SECONDS if kind == "sleeping" else 0.0)
    if memory:
        found["resident (MB)"], found["proportional (MB)"] = (max(m[i] for m in memory) / 2**20 for i in (0, 1))
    return found


def figures(kind: str, n_workers: int, reports: list[tuple[float, int]]) -> dict[str, float]:
    """Of the times (s) at which jobs have reported, and by whom."""
    reports = sorted(reports)
    came: dict[int, float] = {}
    for moment, worker in reports:
        came.setdefault(worker, moment)
    there, last = sorted(came.values())[min(n_workers, len(came)) - 1], reports[-1][0]
    steady = [moment for moment, _ in reports if moment > there]
    found = {"workers": float(len(came)), "jobs": float(len(reports)), "steady (s)": last - there}
    if kind == "empty":
        return {**found, "jobs/s": len(steady) / max(last - there, 1e-9)}
    spent = sum(min(SLEEP_SECONDS, moment - there) for moment in steady)
    return {**found, "in jobs": spent / (n_workers * max(last - there, 1e-9))}


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


def tunes(kind: str, n_workers: int, seconds: int) -> dict[str, float]:
    """The same by Ray Tune, in a process of its own."""
    command = [sys.executable, "-c", _TUNE, kind, str(n_workers), str(seconds), str(SHARE), str(SLEEP_SECONDS)]
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
    return figures(kind, n_workers, json.loads(line))


_TUNE = """
import json, os, sys, time
kind, n_workers, limit, share, seconds, folder = sys.argv[1:]
import ray
from ray import tune
ray.init(address="local", num_cpus=max(2, os.cpu_count()), include_dashboard=False, log_to_driver=False)
def job(config):
    if kind == "sleeping":
        time.sleep(float(seconds))
    tune.report({"loss": config["x"], "at": time.time(), "worker": os.getpid()})
tuner = tune.Tuner(
    tune.with_resources(job, {"cpu": float(share)}),
    param_space={"x": tune.uniform(0, 1)},
    tune_config=tune.TuneConfig(
        num_samples=-1, max_concurrent_trials=int(n_workers), reuse_actors=True, time_budget_s=float(limit)
    ),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
)
found = [r.metrics for r in tuner.fit() if r.metrics and "at" in r.metrics]
print(json.dumps([(metrics["at"], metrics["worker"]) for metrics in found]))
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=180, help="that each study runs")
    seconds = parser.parse_args().seconds
    for kind, n_workers in (("empty", 16), ("sleeping", 64)):
        for who, measure in (("ours", ours), ("Ray Tune", tunes)):
            found = measure(kind, n_workers, seconds)
            text = "  ".join(f"{name} {value:.3g}" for name, value in found.items())
            print(f"{kind:<9} {n_workers:>3} workers  {who:<9} {text}", flush=True)


if __name__ == "__main__":
    main()
