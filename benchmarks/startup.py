"""What the smallest whole study costs, and where it goes: one trial of one epoch on digits, in the tuner's own process.

    python benchmarks/startup.py             about a minute on a quiet core
    python benchmarks/startup.py --times 5

Each study is a process of its own, in a fresh folder with a fresh MLflow database, on one thread. Seconds are of the
processor, user and system together: what else runs on the machine changes them by some tenths, and wall time by more.
Where they go is what `python -X importtime` says of one more study, on the clock: each package with its own modules
alone. The rest is composing, checking, training, drawing and writing.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDY = (
    "dataset=digits",
    "model=softmax",
    "n_trials=1",
    "max_resource=1",
    "executor=serial",
    "finalists.n=0",
    "name=s",
)
GOALS = {"none": 4.0, "mlflow": 5.5}
"""Seconds."""
_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


@dataclass(frozen=True)
class Run:
    """Seconds of the processor, seconds on the clock, and what was said on standard error."""

    processor: float
    wall: float
    said: str


def study(tracker: str, *flags: str) -> Run:
    """Runs the study once."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *flags, str(ROOT / "tune.py"), *STUDY, f"tracker={tracker}"],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
            capture_output=True,
            text=True,
        )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    return Run(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall, done.stderr)


def imports(said: str) -> Counter[str]:
    """Package -> seconds that its own modules took to import, without what they import of others."""
    seconds: Counter[str] = Counter()
    for line in said.splitlines():
        if found := _LINE.match(line):
            seconds[found[2].partition(".")[0]] += int(found[1]) / 1e6
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="studies with each tracker, of which the median is shown")
    times = parser.parse_args().times
    for tracker, goal in GOALS.items():
        study(tracker)  # files are in the system's cache from here on
        runs = [study(tracker) for _ in range(times)]
        processor = statistics.median(run.processor for run in runs)
        wall = statistics.median(run.wall for run in runs)
        print(f"tracker={tracker}: {processor:.1f} s of the processor, {wall:.1f} s on the clock; goal {goal:g} s")
        measured = study(tracker, "-X", "importtime")
        packages = imports(measured.said)
        for package, seconds in packages.most_common(12):
            print(f"  {package:<16} {seconds:5.2f} s")
        print(f"  {'other imports':<16} {packages.total() - sum(s for _, s in packages.most_common(12)):5.2f} s")
        print(f"  {'the rest':<16} {measured.wall - packages.total():5.2f} s\n")


if __name__ == "__main__":
    main()
