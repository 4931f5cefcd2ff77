"""A few cases of each torture; `make torture` runs them all."""

from __future__ import annotations

import pytest
from torture import kinds
from torture.case import run_case

_CASES = [(name, number) for name, torture in kinds.ALL.items() for number in range(torture.few)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), _CASES, ids=[f"{name} {number}" for name, number in _CASES])
def test_torture(name, number):
    outcomes, failure = run_case(kinds.ALL[name], 0, number)
    assert not failure, f'{failure}\nagain: make torture ARGS="{name} --only {number}"'
    assert outcomes
