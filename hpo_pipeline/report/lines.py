"""A study as plain log lines, for where there is no terminal: rung evaluations, failures, each new best."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from hpo_pipeline.records import Record
from hpo_pipeline.report.text import config_text, metric_text, point_text, resource_text, short_names
from hpo_pipeline.view import StudyView, TrialView

BURST = 100
"""Lines that may follow one another at once."""
PER_SECOND = 10
"""Lines a second in the long run; a study with a free objective makes thousands."""


class Throttle:
    """Lets `BURST` events through at once and `PER_SECOND` on average; counts what it held back.

    Credit comes with each whole second, so that lines come in blocks with one gap between them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._credit = BURST
        self._credited = clock()
        self.held_back = 0

    def allows(self) -> bool:
        seconds = int(self._clock() - self._credited)
        self._credited += seconds
        self._credit = min(BURST, self._credit + PER_SECOND * seconds)
        if not self._credit:
            self.held_back += 1
            return False
        self._credit -= 1
        return True


class Lines:
    """Writes one line for each event worth knowing, and flushes it."""

    def __init__(self, view: StudyView, unit: str, file: TextIO, clock: Callable[[], float]) -> None:
        self._view, self._unit, self._file = view, unit, file
        self._throttle = Throttle(clock)
        self._best_trial: int | None = None

    def update(self, record: Record) -> None:
        """Takes in a record that the view has applied already."""
        event = record["event"]
        if event == "submitted" and record.get("finalist"):
            self._say(f"finalist: {self._finalist(self._view.trials[record['trial']])}")
        if event not in ("report", "rung", "result"):
            return
        trial = self._view.trials[record["trial"]]
        where, rung, best = f"{self._unit} {resource_text(trial)}", "", ""
        if event == "result":
            if record["outcome"] == "failed":
                self._say(f"trial {trial.id}  {where}  FAILED: {record['error']}")
            elif trial.finalist and record["outcome"] == "done":
                best = metric_text(trial.best(self._view.metric))
                last = point_text(self._view, trial, trial.resource)
                self._say(f"trial {trial.id}  {where}  {last}, at its best {best}")
            return
        is_best = self._is_best(trial)
        if event == "rung":
            rung = f"  rung {record['rung']}"
        elif not is_best or trial.resource >= trial.target_resource:  # at its target, the rung's line says it
            return
        if is_best:
            best = "  on the front" if self._view.has_front else "  best"
            if trial.id != self._best_trial:
                self._best_trial = trial.id
                best += f"  {config_text(trial.config, short_names(trial.config))}"
        self._say(f"trial {trial.id}{rung}  {where}  {point_text(self._view, trial, trial.resource)}{best}")

    def _is_best(self, trial: TrialView) -> bool:
        """Whether the trial's last report is the best one, or on the front."""
        if self._view.has_front:
            return any((p.trial_id, p.resource) == (trial.id, trial.resource) for p in self._view.front.points)
        return self._view.best is trial and trial.best_resource == trial.resource

    def _finalist(self, trial: TrialView) -> str:
        goes_on = f"goes on from {self._unit} {trial.resource} to {trial.target_resource}"
        return f"trial {trial.id} " + (goes_on if trial.repeats is None else f"repeats trial {trial.repeats}")

    def _say(self, line: str) -> None:
        if self._throttle.allows():
            self.say_held_back()
            print(line, file=self._file, flush=True)

    def say(self, notice: str) -> None:
        """A line that is no event of the study; never held back."""
        print(notice, file=self._file, flush=True)

    def say_held_back(self) -> None:
        if self._throttle.held_back:
            print(f"… {self._throttle.held_back} lines left out (all is in the journal)", file=self._file, flush=True)
            self._throttle.held_back = 0
