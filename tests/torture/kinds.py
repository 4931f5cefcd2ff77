"""All kinds of torture, in the order in which they are run."""

from __future__ import annotations

from torture import checkpoints, commands_fuzz, journal, kills, preflight, tracker, trials

_ALL = (
    kills.TORTURE,
    journal.TORTURE,
    checkpoints.TORTURE,
    trials.TORTURE,
    tracker.TORTURE,
    preflight.TORTURE,
    commands_fuzz.COMPOSE,
    commands_fuzz.COMMAND,
)
ALL = {torture.name: torture for torture in _ALL}
