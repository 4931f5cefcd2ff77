"""What a study costs in which nothing is trained: recorded curves, a simulated clock, the whole product around them.

    python -m benchmarks.simulated          all of it; tables of real curves from ../shared/taskset, else made-up ones
    python -m benchmarks.simulated 4 1000   one study of so many workers and epochs

Each study is composed as `python tune.py` composes it, and runs in a process of its own. Told are the seconds of the
study itself, wall-clock and processor (without Python's start, composing and the pictures at its end), and the memory
that it adds.
"""

from __future__ import annotations

import contextlib
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.search.taskset import COMPLEMENTS, FOLDER, N_EPOCHS, RANGES
from hpo_pipeline import config
from hpo_pipeline.tuner import End, Tuner

STUDIES = (
    (4, 1000, "random", "none"),
    (1000, 20_000, "random", "none"),
    (1000, 100_000, "random", "none"),
    (4, 1000, "random", "mlflow"),
    (4, 1000, "auto", "none"),
)


def table() -> Path:
    """A table of real curves, or one of as many rows that are made up."""
    real = sorted(FOLDER.glob("*GRU*.npz"))
    if real:
        return real[0]
    rng = np.random.default_rng(0)
    bounds = {name: (1 - high, 1 - low) if name in COMPLEMENTS else (low, high) for name, (low, high) in RANGES.items()}
    values = np.stack([rng.uniform(*bound, 1000) for bound in bounds.values()], axis=1)
    curves = rng.random((1000, 1)) + 1 / np.arange(1, N_EPOCHS + 2)
    names = np.array([name.replace("one_minus_", "") for name in RANGES])
    np.savez("table.npz", names=names, config=values, valid=curves)
    return Path("table.npz")


def overrides(file: Path, n_workers: int, epochs: int, searcher: str, tracker: str) -> list[str]:
    """The command line of one ASHA study."""
    columns = ", ".join(f"params.{name}: 1 - {name.removeprefix('one_minus_')}" for name in COMPLEMENTS)
    return [
        *("objective=tabular", f"objective.file={file}", "objective.first_resource=0"),
        *(f"objective.columns={{{columns}}}", "objective.metrics={validation_loss: valid}", "metric=validation_loss"),
        *(f"max_resource={N_EPOCHS}", "scheduler=asha", f"searcher={searcher}", f"tracker={tracker}", "name=study"),
        *("executor=simulated", f"executor.n_workers={n_workers}", "n_trials=null", f"max_total_resource={epochs}"),
        *(f"+search_space.params.{n}={{type: float, low: {a}, high: {b}, log: true}}" for n, (a, b) in RANGES.items()),
    ]


def one(n_workers: int, epochs: int, searcher: str, tracker: str) -> str:
    """Runs it here; a line on what it took."""
    told: list[str] = []
    run = Tuner.run

    def timed(tuner: Tuner) -> End:
        before, wall, processor = _megabytes(), time.perf_counter(), time.process_time()
        end = run(tuner)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        told.append(f"{wall:8.2f} s  {processor:8.2f} s  {_megabytes() - before:6.0f} MB")
        return end

    Tuner.run = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        sys.argv = ["tune.py", *overrides(table(), n_workers, epochs, searcher, tracker)]
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                config.tune()
        except SystemExit as end:
            return f"failed with exit code {end.code}: {printed.getvalue()[-300:]}"
    return f"{n_workers:7} {epochs:8} {searcher:>9} {tracker:>8}  {told[0]}"


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    if len(sys.argv) > 1:
        n_workers, epochs, searcher, tracker = [*sys.argv[1:], *("random", "none")[len(sys.argv) - 3 :]]
        print(one(int(n_workers), int(epochs), searcher, tracker))
        return
    print("workers   epochs  searcher  tracker        wall   processor    memory", flush=True)
    for study in STUDIES:
        subprocess.run([sys.executable, "-m", "benchmarks.simulated", *map(str, study)], check=True)


if __name__ == "__main__":
    main()
