"""`make torture`: runs the cases of one kind or of all, and prints what came of them."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time

from torture import kinds
from torture.case import Tally, run_cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture ARGS=…", description="\n".join(_descriptions()))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("kind", nargs="*", default=list(kinds.ALL), help="which ones (default: all)")
    parser.add_argument("--n", type=int, help="cases of each kind (default: its own)")
    parser.add_argument("--seed", type=int, default=0, help="other random choices (default: 0)")
    parser.add_argument("--only", type=int, help="the number of the only case to run")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="cases at once (default: the cores)")
    given = parser.parse_args()
    unknown = [name for name in given.kind if name not in kinds.ALL]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; there are {', '.join(kinds.ALL)}")
    tallies, began = {}, time.monotonic()
    for name in given.kind:
        tallies[name] = _tally(name, given)
    return _report(tallies, given.seed, time.monotonic() - began)


def _descriptions() -> list[str]:
    return [f"{name:12} {torture.what} ({torture.cases} cases)" for name, torture in kinds.ALL.items()]


def _tally(name: str, given: argparse.Namespace) -> Tally:
    torture = kinds.ALL[name]
    numbers = range(given.only, given.only + 1) if given.only is not None else range(given.n or torture.cases)
    tally, began = Tally(), time.monotonic()
    for number, outcomes, failure in run_cases(torture, given.seed, numbers, min(given.processes, len(numbers))):
        tally.add(number, outcomes, failure)
        if failure:
            print(f"{name} {number} FAILED\n{textwrap.indent(failure.rstrip(), '    ')}", flush=True)
    print(f"{name}: {len(numbers)} cases in {time.monotonic() - began:.0f} s", flush=True)
    return tally


def _report(tallies: dict[str, Tally], seed: int, seconds: float) -> int:
    print(f"\n{'torture':12} {'count':>7}  what came of it")
    for name, tally in tallies.items():
        print(f"{name:12} {sum(tally.outcomes.values()):7,}  {kinds.ALL[name].what}")
        for outcome, count in sorted(tally.outcomes.items(), key=lambda item: -item[1]):
            print(f"{'':12} {count:7,}    {outcome}")
        if tally.failures:
            print(f"{'':12} {len(tally.failures):7,}    FAILED")
    failed = [(name, number) for name, tally in tallies.items() for number in tally.failures]
    result = f"{len(failed)} failed" if failed else "All is well"
    print(f"\n{result}, in {seconds / 60:.1f} minutes")
    for name, number in failed[:20]:
        print(f'  again: make torture ARGS="{name} --seed {seed} --only {number}"')
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
