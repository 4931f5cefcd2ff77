"""Tuners that take themselves for machines of their own: `python elsewhere.py HOST name=s …`."""

import sys

from hpo_pipeline import journal, lease
from hpo_pipeline.config import tune


def be(host, put=setattr, *, patience=60.0):
    """Has this process be on another machine than all others, with a lively lease and so many seconds of patience."""
    put(journal, "this_machine", lambda _folder: lease.Machine(host, f"kernel of {host}"))
    for name, seconds in {"EVERY": 0.1, "LOOK": 0.1, "SETTLE": 0.1, "SILENCE": patience}.items():
        put(lease, f"{name}_SECONDS", seconds)


if __name__ == "__main__":
    be(sys.argv.pop(1))
    sys.argv[0] = "tune.py"
    tune()
