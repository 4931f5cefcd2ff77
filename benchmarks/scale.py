"""How far the tuner goes: 10,000 simulated workers and 1,000,000 jobs, and what grows with them.

    python -m benchmarks.scale                              every row of the table
    python -m benchmarks.scale asha 10000 100000            one study: scheduler, workers, trials
    python -m benchmarks.scale asha 10000 100000 --parts    and in which files its time was spent

Each study is composed as `python tune.py` composes it, with random search and no tracker, and runs in a process of its
own: 9 steps at most, each of 0.5 to 1.5 simulated seconds, a value that costs nothing. Then another process resumes it,
which reads the whole journal and makes every decision again. Told are

    jobs/s     jobs a second, journal and log lines included
    memory     the most that was resident, less what was before the first job; and bytes a trial
    journal    its size, and bytes a job
    resumed    seconds until a resumed study could hand out its next job, and the memory that this took
    files      seconds for leaderboard, best.yaml and picture at the end, and what that added to the memory

All seconds are of one core's processor time, so that others at work on the machine count for little.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

STUDIES = (
    ("asha", 100, 7_000),
    ("asha", 1_000, 70_000),
    ("asha", 10_000, 700_000),
    ("fifo", 10_000, 100_000),
    ("successive_halving", 10_000, 70_000),
    ("hyperband", 10_000, 70_000),
)
SAMPLES_PER_SECOND = 200
_OWN = f"{os.sep}hpo_pipeline{os.sep}"


def workload(config: Mapping[str, Any], step: int, seed: int) -> dict[str, float]:
    """A curve that falls towards its asymptote, and takes longer for some trials than for others."""
    return {"loss": config["params"]["x"] + config["params"]["y"] / step, "seconds": 0.5 + seed % 1009 / 1009}


def overrides(scheduler: str, n_workers: int, n_trials: int) -> list[str]:
    """The command line of one study."""
    x, y = (f"+search_space.params.{name}={{type: float, low: 0.0, high: 1.0}}" for name in "xy")
    return [
        *("objective=function", "objective.function=benchmarks.scale.workload", "metric=loss", "max_resource=9", x, y),
        *(f"scheduler={scheduler}", "searcher=random", "tracker=none", "executor=simulated", "name=study"),
        *(f"executor.n_workers={n_workers}", f"n_trials={n_trials}", "finalists.n=0"),
    ]


# -- one study, in this process --------------------------------------------------------------------------------------


class Parts:
    """In which files of hpo_pipeline the processor's time goes, looked at `SAMPLES_PER_SECOND` times a second of it."""

    def __init__(self) -> None:
        self.found: collections.Counter[str] = collections.Counter()

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        while frame is not None and _OWN not in frame.f_code.co_filename:
            frame = frame.f_back
        if frame is not None:
            self.found[frame.f_code.co_filename.rpartition(_OWN)[2]] += 1

    def __enter__(self) -> Parts:
        # By a signal, which comes between any two instructions; a thread would look where the lock is let go.
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, 1 / SAMPLES_PER_SECOND, 1 / SAMPLES_PER_SECOND)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def shares(self) -> dict[str, float]:
        total = sum(self.found.values()) or 1
        return {file: count / total for file, count in self.found.most_common(15)}


def measured(scheduler: str, n_workers: int, n_trials: int, resume: bool, parts: bool) -> dict[str, Any]:
    """Runs the study in the working folder, or resumes it there; what it took."""
    from hpo_pipeline import config, study
    from hpo_pipeline.tuner import Tuner

    told: dict[str, Any] = {}
    before = resident()
    began = time.process_time()

    def run(tuner: Tuner, original: Any = Tuner.run) -> Any:
        told["replay"], told["replayed"] = time.process_time() - began, resident() - before
        processor, resident_before, samples = time.process_time(), resident(), Parts()
        with samples if parts else contextlib.nullcontext():
            end = original(tuner)
        told["run"], told["ran"] = time.process_time() - processor, resident() - resident_before
        told["shares"] = samples.shares()
        return end

    def views(*args: Any, original: Any = study._write_views) -> Any:
        processor, resident_before = time.process_time(), resident()
        try:
            return original(*args)
        finally:
            told["files"], told["wrote"] = time.process_time() - processor, resident() - resident_before

    Tuner.run, study._write_views = run, views  # type: ignore[method-assign]
    sys.argv = ["tune.py", *overrides(scheduler, n_workers, n_trials), *(["resume=true"] if resume else [])]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            config.tune()
    except SystemExit as end:
        if end.code:
            raise SystemExit(f"failed with exit code {end.code}: {printed.getvalue()[-300:]}") from None
    return told


def resident() -> float:
    """The most memory that was resident so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- all of them -----------------------------------------------------------------------------------------------------


def one(scheduler: str, n_workers: int, n_trials: int, parts: bool) -> Iterator[str]:
    """Lines on one study."""
    with tempfile.TemporaryDirectory() as folder:
        first = in_a_process(folder, scheduler, n_workers, n_trials, *(["--parts"] if parts else []))
        journal = Path(folder, "runs", "study", "journal.jsonl")
        size, jobs = journal.stat().st_size, count(journal, b'{"event":"submitted"')
        again = in_a_process(folder, scheduler, n_workers, n_trials, "--resume")
    yield (
        f"{scheduler:>18} {n_workers:7,} {n_trials:9,} {jobs:9,} {jobs / first['run']:7,.0f}"
        f" {first['ran']:7,.0f} MB {1e6 * first['ran'] / n_trials:6,.0f}"
        f" {size / 1e6:7,.0f} MB {size / jobs:5,.0f} {again['replay']:7.1f} s {again['replayed']:7,.0f} MB"
        f" {first['files']:6.1f} s {first['wrote']:6,.0f} MB"
    )
    for file, share in first["shares"].items():
        yield f"{share:26.1%}  {file}"


def in_a_process(folder: str, *words: object) -> dict[str, Any]:
    """What `measured` has to say of a study in `folder`."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    trust = ",".join(filter(None, ("benchmarks", os.environ.get("HPO_TRUST"))))
    environment = {**os.environ, "PYTHONPATH": path, "HPO_TRUST": trust, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.scale", *map(str, words), "--here"]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def count(file: Path, beginning: bytes) -> int:
    """Lines of the file that begin so."""
    with open(file, "rb") as lines:
        return sum(line.startswith(beginning) for line in lines)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="*", help="scheduler, workers, trials")
    parser.add_argument("--parts", action="store_true", help="in which files the time was spent")
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.study and len(given.study) != 3:
        parser.error("a study is its scheduler, its workers and its trials")
    studies = [(given.study[0], int(given.study[1]), int(given.study[2]))] if given.study else STUDIES
    if given.here:
        print(json.dumps(measured(*studies[0], resume=given.resume, parts=given.parts)))
        return
    print(
        f"{'scheduler':>18} workers    trials      jobs  jobs/s     memory /trial    journal  /job"
        f"   resumed{'':13}files"
    )
    for study in studies:
        for line in one(*study, parts=given.parts):
            print(line, flush=True)


if __name__ == "__main__":
    main()
