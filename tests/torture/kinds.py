"""All kinds of torture, in the order in which they are run."""

from __future__ import annotations

from torture import checkpoints, commands_fuzz, found, journal, kills, preflight, saved, surroundings, tracker, trials

_ALL = (
    kills.TORTURE,
    journal.TORTURE,
    checkpoints.TORTURE,
    trials.TORTURE,
    saved.TORTURE,
    surroundings.TORTURE,
    tracker.TORTURE,
    found.TORTURE,
    preflight.TORTURE,
    commands_fuzz.COMPOSE,
    commands_fuzz.COMMAND,
)
ALL = {torture.name: torture for torture in _ALL}
