"""A study as a live table in a terminal, with a progress bar against its budget."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hpo_pipeline.budget import Budget
from hpo_pipeline.report.text import (
    STATE_STYLE,
    config_text,
    counts,
    duration,
    metric_text,
    plural,
    progress,
    resource_text,
    short_names,
)
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table

MAX_ROWS = 15
LATEST = 3
_AROUND = 9  # lines of the screen that aren't rows: title, head (two lines), rules, progress, counts, the prompt
_SHARE = 0.02  # of the time may go into drawing
_MAX_REST = 5.0  # seconds


class LiveTable:
    """What rich draws four times a second, in a thread of its own.

    It only reads the view, and takes copies of what may grow meanwhile; so the study never waits for it. It is drawn
    anew as seldom as is needed to keep its share of the time under `_SHARE` (a study of 10,000 trials takes longer
    to draw), and repeated in between.

    Args:
        elapsed: gives the seconds that the study has run.
    """

    def __init__(self, view: StudyView, budget: Budget, unit: str, elapsed: Callable[[], float]) -> None:
        self._view, self._budget, self._unit, self._elapsed = view, budget, unit, elapsed
        self._drawn: list[Segment] = []
        self._drawn_for: tuple[int, int] = (0, 0)
        self._next = 0.0
        self._furthest = 0.0
        self._paths: dict[str, None] = {}
        self.final = False
        """Set for the last picture: drawn in any case."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        size = (options.max_width, console.height)
        if time.monotonic() >= self._next or size != self._drawn_for or self.final:
            began = time.thread_time()  # processor time of this thread: what the study has lost by it
            self._drawn = list(console.render(self.render(console.height), options))
            rest = (time.thread_time() - began) / _SHARE
            # The first time includes imports and says nothing.
            self._next = time.monotonic() + min(_MAX_REST, rest) if any(self._drawn_for) else 0.0
            self._drawn_for = size
        yield from self._drawn

    def render(self, height: int = 24) -> RenderableType:
        """The whole display, for a screen of `height` lines."""
        from rich.console import Group

        trials = list(self._view.trials.values())
        return Group(self._title(), self._table(trials, max(1, min(MAX_ROWS, height - _AROUND))), self._foot(trials))

    def _title(self) -> RenderableType:
        from rich.text import Text

        view, line = self._view, Text(no_wrap=True, overflow="ellipsis")
        line.append(str(view.header.get("name", "study")), style="bold")
        if view.best is None:
            return line.append("  no value yet", style="dim")
        if view.has_front:
            line.append(f"  front of {plural(len(view.front.points), 'member')}", style="bold green")
            return line.append(f"  hypervolume {metric_text(view.front.hypervolume())}")
        line.append(f"  best {view.metric} ").append(metric_text(view.best.best(view.metric)), style="bold green")
        return line.append(f"  (trial {view.best.id}, {self._unit} {view.best.best_resource})")

    def _table(self, trials: list[TrialView], rows: int) -> Table:
        from rich import box
        from rich.table import Table

        running, others = self._chosen(trials, rows)
        brackets = any(trial.bracket for trial in trials)
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column("configuration", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("bracket\n/rung" if brackets else "rung", justify="right", no_wrap=True)
        several = [metric.name for metric in self._view.metrics] if self._view.has_front else []
        for name in (self._unit, *(several or ("latest", "best")), "seconds"):
            table.add_column(name, justify="right", no_wrap=True)
        self._paths |= dict.fromkeys(path for trial in [*running, *others] for path in trial.config)
        names = short_names(self._paths)
        for trial in [*running, *others]:
            style = "bold" if trial.id in self._winners() else ""
            table.add_row(*self._cells(trial, names, brackets), style=style)
            if running and trial is running[-1] and others:
                table.add_section()
        return table

    def _chosen(self, trials: list[TrialView], rows: int) -> tuple[list[TrialView], list[TrialView]]:
        """The running trials (at most half of the rows if others are there), then the best and the latest ended."""
        running = [trial for trial in trials if trial.state is State.RUNNING]
        ended = [trial for trial in trials if trial.state is not State.RUNNING]
        best = self._view.best
        running = running[-max(rows - len(ended), rows // 2, 1) :]
        if best is not None and best.state is State.RUNNING and best not in running:
            running = [best, *running[1:]]
        left = rows - len(running)
        winners = self._winners() if self._view.has_front else set()
        others = heapq.nsmallest(max(0, left - LATEST), ended, key=lambda trial: (trial.id not in winners, trial.rank))
        shown = {trial.id for trial in others}
        latest = heapq.nlargest(left, ended, key=lambda trial: trial.ended or 0.0)
        others += [trial for trial in latest if trial.id not in shown][: left - len(others)]
        return running, others

    def _winners(self) -> set[int]:
        """The best trial, or those on the front."""
        view = self._view
        if view.has_front:
            return {point.trial_id for point in view.front.points}
        return set() if view.best is None else {view.best.id}

    def _cells(self, trial: TrialView, names: dict[str, str], brackets: bool) -> Iterator[RenderableType]:
        from rich.text import Text

        metric = self._view.metric
        is_best = trial.id in self._winners()
        yield Text(f"★ {trial.id}" if is_best else str(trial.id), style="green" if is_best else "")
        yield Text(trial.state.value.lower(), style=STATE_STYLE[trial.state])
        yield Text(trial.error, style="red") if trial.error else Text(config_text(trial.config, names))
        yield f"{trial.bracket}/{trial.rung}" if brackets else str(trial.rung)
        yield resource_text(trial)
        if self._view.has_front:
            for each in self._view.metrics:
                yield Text(metric_text(trial.best(each.name)), style="green" if is_best else "")
        else:
            yield metric_text(trial.latest(metric))
            yield Text(metric_text(trial.best(metric)), style="green" if is_best else "")
        yield f"{trial.seconds:.1f}"

    def _foot(self, trials: list[TrialView]) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        elapsed = self._elapsed()
        share = progress(self._view, self._budget, elapsed)
        tally = Text(no_wrap=True, overflow="ellipsis")
        for state, count in counts(trials).items():
            tally.append(f"{count} {state.value.lower()}  ", style=STATE_STYLE[state])
        passed = "simulated" if self._view.is_simulated else "elapsed"
        if share is None:
            return Group(Text(f"{duration(elapsed)} {passed}, no limit set: Ctrl-C ends the study"), tally)
        # A promoted trial is running again; the bar still never goes back.
        share = self._furthest = max(share, self._furthest)
        bar = Table.grid(expand=True, padding=(0, 1))
        bar.add_column(ratio=1)
        for _ in range(3):
            bar.add_column(justify="right", no_wrap=True)
        left = f"ETA {duration(elapsed * (1 - share) / share)}" if share > 0 else "ETA –"
        left = "" if self._view.is_simulated else left  # in real time, which nobody knows here
        bar.add_row(ProgressBar(total=1.0, completed=share), f"{share:4.0%}", f"{duration(elapsed)} {passed}", left)
        return Group(bar, tally)
