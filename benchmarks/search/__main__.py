"""Search methods compared at equal budgets: a CSV, a Markdown table and a picture for each suite.

    python -m benchmarks.search                                 all suites, all methods: hours
    python -m benchmarks.search taskset --jobs 2                one suite, two processes
    python -m benchmarks.search odd --methods asha auto --seeds 5
    python -m benchmarks.search --report                        tables and pictures of the runs that are there

A run that is in the CSV already isn't made again, so that all of it can be done in pieces: break it off, and call it
again with the same folder. A method whose searcher or library isn't there is left out, and said to be.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from benchmarks.search import picture, table
from benchmarks.search.results import Results, Run, in_order, recorded_units
from benchmarks.search.runs import Order, end_with_parent, make
from benchmarks.search.suites import SUITES, TOGETHER, Suite


def main() -> None:
    options = _options()
    failed, runs = False, {}
    for name in options.suites:
        suite = _with_budget(SUITES[name], options.budget)
        results = Results(options.out / f"{name}.csv", recorded_units(suite.budgets))
        if not options.report:
            orders = [order for order in _orders(suite, options) if order.key not in results.done()]
            failed |= not _run_all(orders, results, options.jobs)
        if results.runs:
            (options.out / f"{name}.md").write_text(table.markdown(suite, results.runs))
            picture.draw(suite, results.runs, options.out / f"{name}.png")
            print((options.out / f"{name}.md").read_text())
            runs[name] = results.runs
    if len(together := {name: runs[name] for name in TOGETHER if name in runs}) > 1:
        suites = {name: _with_budget(SUITES[name], options.budget) for name in together}
        (options.out / "all.md").write_text(table.overall(together, suites))
        print((options.out / "all.md").read_text())
    sys.exit(failed)


def _options() -> argparse.Namespace:
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        "python -m benchmarks.search", None, summary, details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suites", nargs="*", default=list(SUITES), metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--methods", nargs="+", help="by their names in benchmarks/search/methods.py")
    parser.add_argument("--groups", nargs="+", help="protocols, families, datasets or cases; all by default")
    parser.add_argument("--seeds", type=int, help="runs of each method on a task: seeds 0, 1, ...")
    parser.add_argument("--budget", type=int, help="end each run after so many units")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=Path("runs/search-benchmark"), help="folder of what is written")
    parser.add_argument("--taskset", type=Path, help="folder of TaskSet's tables; default ../shared/taskset")
    parser.add_argument("--report", action="store_true", help="run nothing")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}")
    known = {name for suite in options.suites for name in SUITES[suite].methods}
    if unknown := set(options.methods or ()) - known:
        parser.error(f"no such method: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return options


def _with_budget(suite: Suite, budget: int | None) -> Suite:
    if budget is None or budget >= suite.budgets[-1]:
        return suite
    return replace(suite, budgets=[*(unit for unit in suite.budgets if unit < budget), budget])


def _orders(suite: Suite, options: argparse.Namespace) -> Iterator[Order]:
    """What is to be run, all methods of a seed before the next seed."""
    tasks = suite.tasks(options.out, options.taskset)
    if not tasks:
        print(f"{suite.name}: left out, its data are not there (see --taskset)", file=sys.stderr)
    methods = []
    for name in in_order(suite.methods, options.methods or suite.usual or suite.methods):
        if why := suite.methods[name].missing():
            print(f"{suite.name}: {name} is left out: {why}", file=sys.stderr)
        else:
            methods.append(name)
    n_seeds = suite.n_seeds if options.seeds is None else options.seeds
    for seed in range(n_seeds):
        for task in tasks:
            for name in methods:
                wanted = options.groups is None or task.group in options.groups
                if wanted and seed < (suite.methods[name].n_seeds or n_seeds):
                    of_task = suite.name, task.group, task.name
                    yield Order(*of_task, name, seed, suite.budgets, options.out, options.taskset)


def _run_all(orders: Sequence[Order], results: Results, n_jobs: int) -> bool:
    """Makes the runs and records each as it ends; whether all went well."""
    if not orders:
        return True
    failed, began = 0, time.monotonic()
    pool = ProcessPoolExecutor(n_jobs, multiprocessing.get_context("spawn"), end_with_parent)
    try:
        for i, ended in enumerate(as_completed([pool.submit(make, order) for order in orders]), 1):
            made = ended.result()
            if isinstance(made, Run):
                results.add(made)
            else:
                failed += 1
                print(made, file=sys.stderr)
            if i * 20 // len(orders) > (i - 1) * 20 // len(orders):  # every 5 %
                minutes = (time.monotonic() - began) / 60
                left = minutes / i * (len(orders) - i)
                print(f"{i} of {len(orders)} runs in {minutes:.1f} min, {left:.1f} min left", file=sys.stderr)
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"{failed} runs failed" if failed else "no run failed", file=sys.stderr)
    return not failed


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("broken off; the same command goes on from here")
