"""Shell scripts as the programs of `objective=command`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_pipeline import trust
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.command import Command, CommandError, CommandState

COUNTS = """
start=0
[ -f "$HPO_CHECKPOINT/epoch" ] && start=$(cat "$HPO_CHECKPOINT/epoch")
echo "begins after $start"
epoch=$start
while [ $epoch -lt $HPO_RESOURCE ]; do
  epoch=$((epoch + 1))
  echo "{\\"epoch\\": $epoch, \\"error\\": 0.$epoch}"
  echo $epoch > "$HPO_CHECKPOINT/epoch"
done
"""
"""Reports 0.1, 0.2, ..., and keeps a checkpoint."""

FORGETS = 'for epoch in $(seq $HPO_RESOURCE); do echo "{\\"error\\": 0.$epoch}"; done'
"""Reports the same, and keeps none."""


@pytest.fixture
def at_most() -> Iterator[None]:
    """What waits for ever fails after a minute."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)


def command(script: str, *arguments: str, **keys: Any) -> Command:
    """A shell script as the program, with these arguments."""
    Path("script.sh").write_text(script)
    trust.trust(("sh ./script.sh",))
    return Command(["sh", "./script.sh", *arguments], **keys)


def started(objective: Command, target: int = 9, **config: Any) -> CommandState:
    state = objective.start(trial(**config))
    objective.set_target(state, target)
    return state


def trial(seed: int = 5, **config: Any) -> TrialSpec:
    return TrialSpec({"trial": 7, "seed": 0, "max_resource": 9, "params": {}, **config}, seed, Path("trials/7"))


def errors(objective: Command, state: CommandState, n: int) -> list[float]:
    return [objective.advance(state)["error"] for _ in range(n)]


def failure(script: str, n: int = 1, target: int = 9, **keys: Any) -> list[str]:
    """What a program fails with, line by line, at its n-th report."""
    objective = command(script, **keys)
    state = started(objective, target)
    errors(objective, state, n - 1)
    with pytest.raises(CommandError) as error:
        objective.advance(state)
    assert state.running is None
    return str(error.value).splitlines()
