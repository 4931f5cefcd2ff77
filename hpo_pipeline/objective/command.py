"""Any program as an objective: a training script in whatever language, which reports each unit of resource in a line.

The program is started with its words, the trial's hyperparameters among them, and trains to the end of the job while
its worker reports. To go on later it is started again, with the checkpoint folder as it left it; one that keeps nothing
there trains from the beginning, and what it has reported already is skipped. docs/objectives.md tells how to write one.
"""

from __future__ import annotations

import math
import os
import reprlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo_pipeline import trust
from hpo_pipeline.checks import is_number, is_positive, option_problems, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.guardian import Guardian
from hpo_pipeline.objective import Metrics, TrialSpec
from hpo_pipeline.objective.program.checks import command_problems
from hpo_pipeline.objective.program.folder import Folder
from hpo_pipeline.objective.program.log import Log
from hpo_pipeline.objective.program.reports import Reported, ReportError, reader
from hpo_pipeline.objective.program.running import Running
from hpo_pipeline.objective.program.template import Template
from hpo_pipeline.space_tree import values_at

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100
OWN = ("resource", "max_resource", "start", "seed", "trial", "threads", "checkpoint", "directory", "config")
"""Placeholders that are not paths of the config; each is an environment variable as well: HPO_RESOURCE."""
_SEEDS = 1 << 31
"""Seeds for programs are below: what most languages take."""


class CommandError(RuntimeError):
    """A program has failed, or isn't doing what it has to. After the first line, the last ones that it printed."""


@dataclass(slots=True)
class CommandState:
    """A trial.

    Attributes:
        resource: units spent, by the program's own count.
        most: the most that it may ever be trained.
        target: where it is to end now.
        known: what it has reported in an earlier session.
        finished: whether it says that it is through.
        counted: the unit of its last report, since it was started.
        unnumbered: whether a report didn't say which unit it is of.
        from_checkpoint: whether there was a checkpoint when it was started.
        log: what it prints besides its reports.
    """

    trial: TrialSpec
    folder: Folder
    most: int
    target: int = 0
    resource: int = 0
    known: dict[int, Reported] = field(default_factory=dict)
    finished: bool = False
    running: Running | None = None
    counted: int = 0
    unnumbered: bool = False
    from_checkpoint: bool = False
    log: Log = field(default_factory=Log)


class Command:
    """Runs `command` for each job of a trial. Its arguments are explained in `conf/objective/command.yaml`.

    Args:
        threads: that a trial may use, as OMP_NUM_THREADS.

    Raises:
        ConfigError: naming the key; for `command`, also where nobody has trusted it.
    """

    metrics: tuple[str, ...] = ()

    def __init__(
        self,
        command: str | list[str],
        unit: str = "epoch",
        report: str = "each",
        pattern: str | None = None,
        timeout: float | None = None,
        grace: float = 5.0,
        threads: int = 1,
    ) -> None:
        problems = [
            *option_problems(("each", "last"), report=report),
            *value_problems(
                "a positive number of seconds, or null", lambda t: t is None or is_positive(t), timeout=timeout
            ),
            *value_problems("a number of seconds", lambda t: is_number(t, 0), grace=grace),
        ]
        try:
            self._reader = reader(unit, pattern)
        except ConfigError as error:
            problems += error.problems
        try:
            self._template = _trusted(command)
        except ConfigError as error:
            problems += error.under("command").problems
        if problems:
            raise ConfigError(problems)
        self.unit = unit
        self._command = command
        self._whole = report == "last"
        self._timeout = timeout or math.inf
        self._grace = grace
        self._threads = threads
        self._guardian = Guardian()
        self._said: list[str] = []

    def problems(self, config: Mapping[str, Any]) -> Iterator[Problem]:
        if self._whole and config["max_resource"] != 1:
            what = "where a program's last report counts, a whole run is one unit of resource: set max_resource=1"
            yield Problem("objective.report", f"{what}, or report each {self.unit}", "last")
        if (config.get("objective") or {}).get("command", self._command) != self._command:
            yield Problem("objective.command", "is one for the whole study; it can't be tuned")
        yield from command_problems(self._template, config, OWN)

    def start(self, trial: TrialSpec) -> CommandState:
        state = _state(trial)
        state.folder.clear()
        return state

    def set_target(self, state: CommandState, units: int) -> None:
        state.target = state.resource + units

    def advance(self, state: CommandState) -> Metrics:
        """Waits for the next report.

        Raises:
            CommandError: the program ended without one, or took too long; or it isn't what a report has to be.
        """
        at = state.resource + 1
        report = state.known.pop(at, None)
        if report is None:
            report = self._last(state) if self._whole else self._reported(state, at)
            state.folder.add_report(at, report)
        state.resource, state.finished = at, report.finished
        if at >= state.target or state.finished:
            self._let_end(state)
        return dict(report.metrics)

    def finished(self, state: CommandState) -> str:
        return "its program says that it is finished" if state.finished else ""

    def notices(self) -> list[str]:
        said, self._said = self._said, []
        return said

    def save(self, state: CommandState, path: Path) -> None:
        at_rest = state.running is None
        state.folder.save(path, state.resource, state.trial.config.get("trial"), at_rest=at_rest)

    def load(self, trial: TrialSpec, path: Path) -> CommandState:
        """The trial that was saved, where it was, and what its program has reported since then.

        Raises:
            StudyError: it is no checkpoint of this objective.
        """
        state = _state(trial)
        state.resource = state.folder.load(path, trial.config.get("trial"))
        state.known = state.folder.reports(state.resource)
        return state

    def close(self, state: CommandState) -> None:
        """Asks the program to end, and ends it."""
        if state.running is not None:
            state.running.end(self._grace)
            self._log_rest(state)
            state.running = None

    def _run(self, state: CommandState) -> Running:
        state.from_checkpoint = state.folder.has_checkpoint
        state.counted, state.unnumbered = 0, False
        state.log.last.clear()
        values = self._values(state)
        own = {f"HPO_{name.upper()}": str(values[name]) for name in OWN}
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": str(self._threads), **own}
        environment.pop("PYTHONSAFEPATH", None)  # it is the worker's own: a script finds what lies beside it
        params = {
            path.removeprefix("params."): value
            for path, value in values.items()
            if path.startswith("params.") and not isinstance(value, Mapping)
        }
        if state.resource and not state.from_checkpoint:
            said = "the program keeps no checkpoint where HPO_CHECKPOINT says: to go on, it trains from the beginning"
            print(f"{said}, and what it reports again is skipped")
            self._said.append(said)
        words = self._template.fill(values, params)
        state.running = Running(words, environment, self._guardian)
        return state.running

    def _values(self, state: CommandState) -> dict[str, Any]:
        """What the placeholders stand for."""
        config, folder = state.trial.config, state.folder
        own = {
            "resource": state.target,
            "max_resource": state.most,
            "start": state.resource if state.from_checkpoint else 0,
            "seed": state.trial.seed % _SEEDS,
            "trial": config.get("trial", 0),
            "threads": self._threads,
            "checkpoint": str(folder.checkpoint),
            "directory": str(folder.directory),
            "config": str(folder.write_config(config)),
        }
        assert own.keys() == set(OWN)
        return {**dict(values_at(config)), **{name: own[name] for name in OWN}}

    def _reported(self, state: CommandState, at: int) -> Reported:
        """What it reports of the unit `at`; what it reports again is skipped."""
        while True:
            found = self._next(state, self._deadline())
            if found is None:
                reached = f"{_ending(state.running)} after {state.resource} of {state.target} {self.unit}s"
                raise self._failure(state, f"{reached}{'' if state.counted else self._no_report(state)}")
            state.unnumbered = state.unnumbered or found.at is None
            if state.unnumbered and state.from_checkpoint:
                what = f"it has a checkpoint, so its reports must say where they are: {self._example(at)}"
                raise self._failure(state, what)
            state.counted = found.at or state.counted + 1
            if state.counted == at:
                return found
            if state.counted > at:
                self._begin_again(state, at)

    def _begin_again(self, state: CommandState, at: int) -> None:
        """Its checkpoint is ahead of what was recorded, where both were cut off together: it begins from zero."""
        if not state.from_checkpoint:
            what = f"reported {self.unit} {state.counted}, not {at}; for one report of the whole run: max_resource=1"
            raise self._failure(state, f"{what} objective.report=last")
        print(f"goes on with {self.unit} {state.counted}, but {at} was never reported: once more from the beginning")
        self.close(state)
        state.folder.clear_checkpoint()

    def _last(self, state: CommandState) -> Reported:
        """The last report of a whole run."""
        last, deadline = None, self._deadline()
        while (found := self._next(state, deadline)) is not None:
            last = found
        assert state.running is not None
        if last is None or state.running.exit_code:
            without = "" if last else f" without a report{self._no_report(state)}"
            raise self._failure(state, f"{_ending(state.running)}{without}")
        return last

    def _next(self, state: CommandState, deadline: float) -> Reported | None:
        """The next report, or None when the program has ended. All else that it prints goes to the trial's log."""
        running = state.running or self._run(state)
        while True:
            if not running.has_lines:
                state.log.show()
            try:
                line = running.line(deadline)
            except TimeoutError:
                raise self._failure(state, f"no report for {self._timeout:g} s (objective.timeout)") from None
            if line is None:
                return None
            try:
                found = self._reader.read(line.text) if line.may_report else None
            except ReportError as error:
                state.log.add(line.text)
                raise self._failure(state, f"its report is wrong: {error}") from None
            if found is None or self._reader.pattern is not None:
                state.log.add(line.text)
            if found is not None:
                state.log.show()
                return found

    def _let_end(self, state: CommandState) -> None:
        """Waits until it has ended after its last report, as it may be saving; one that trains on is ended."""
        if state.running is None:
            return
        if state.unnumbered and state.target < state.most and state.folder.has_checkpoint:
            what = f"it writes a checkpoint, so its reports must say where they are: {self._example(state.resource)}"
            raise self._failure(state, what)
        try:
            while (more := self._next(state, self._deadline())) is not None and (more.at or math.inf) <= state.resource:
                pass  # it says something twice
        except CommandError as error:
            print(f"ended after its last report: {str(error).partition(chr(10))[0]}")
            more = Reported(None, {})
        if more is None and state.running.exit_code:
            raise self._failure(state, f"{_ending(state.running)} after its last report")
        self.close(state)

    def _no_report(self, state: CommandState) -> str:
        """What to do where a program that ran to its end has reported nothing."""
        if state.running is None or state.running.exit_code:
            return ""
        metric = state.trial.config.get("metric") or "validation_error"
        return f", and {self._reader.unread(metric if isinstance(metric, str) else next(iter(metric)))}"

    def _example(self, at: int) -> str:
        return f'{{"{self.unit}": {at}, …}}'

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout

    def _failure(self, state: CommandState, what: str) -> CommandError:
        """The error, with the last that was printed."""
        self.close(state)
        lines = [line for line in state.log.last if line.strip()]
        head = f"{what}; it printed last: {lines[-1].strip()}" if lines else f"{what}; it printed nothing else"
        return CommandError("\n".join([head, *lines]))

    def _log_rest(self, state: CommandState) -> None:
        assert state.running is not None
        while (line := state.running.line(math.inf)) is not None:
            if not line.may_report or self._reader.is_log(line.text):
                state.log.add(line.text)
        state.log.show()


def _state(trial: TrialSpec) -> CommandState:
    most = int(trial.config.get("max_resource") or 1)
    return CommandState(trial, Folder.of(trial), most, most)


def _ending(running: Running | None) -> str:
    code = None if running is None else running.exit_code
    if code is not None and code < 0:
        return f"ended by signal {-code}"
    return f"ended with exit code {code}" if code else "ended"


def _trusted(command: Any) -> Template:
    """The template, if the person who runs it has said so.

    Raises:
        ConfigError: it is none, or not trusted.
    """
    template = Template.parse(command)
    if not trust.may_be_run(template.words):
        shown = _SHORT.repr(command).encode("ascii", "backslashreplace").decode()
        raise ConfigError(Problem("", f"{shown} {trust.why_not_run(template.words)}"))
    return template
