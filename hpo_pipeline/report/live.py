"""A study as a live table in a terminal, with a progress bar against its budget.

Where the terminal is too narrow, columns give way before anything of a configuration is cut; where that isn't enough,
configurations go on in further lines. Hyperparameters that are the same in all trials are left out.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hpo_pipeline.budget import Budget
from hpo_pipeline.report.columns import Column, Varying, fitting, folded
from hpo_pipeline.report.progress import progress
from hpo_pipeline.report.text import (
    STATE_STYLE,
    config_text,
    counts,
    duration,
    metric_text,
    plural,
    resource_text,
    short_names,
)
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

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
        to_come: see `progress`.
        workers: gives a line that says where workers are; empty if there is nothing to say.
    """

    def __init__(
        self,
        view: StudyView,
        budget: Budget,
        unit: str,
        elapsed: Callable[[], float],
        to_come: Callable[[StudyView], int] = lambda _: 0,
        workers: Callable[[], str] = str,
    ) -> None:
        self._workers = workers
        self._view, self._budget, self._unit, self._elapsed, self._to_come = view, budget, unit, elapsed, to_come
        self._drawn: list[Segment] = []
        self._drawn_for: tuple[int, int] = (0, 0)
        self._next = 0.0
        self._furthest = 0.0
        self._varying = Varying()
        self.final = False
        """Set for the last picture: drawn in any case."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        size = (options.max_width, console.height)
        if time.monotonic() >= self._next or size != self._drawn_for or self.final:
            began = time.thread_time()  # processor time of this thread: what the study has lost by it
            self._drawn = list(console.render(self.render(*size), options))
            rest = (time.thread_time() - began) / _SHARE
            # The first time includes imports and says nothing.
            self._next = time.monotonic() + min(_MAX_REST, rest) if any(self._drawn_for) else 0.0
            self._drawn_for = size
        yield from self._drawn

    def render(self, width: int = 80, height: int = 24) -> RenderableType:
        """The whole display, for a screen of so many columns and lines."""
        from rich.console import Group

        trials = list(self._view.trials.values())
        self._varying.note(trials)
        lines = max(1, min(MAX_ROWS, height - _AROUND))
        return Group(self._title(width), self._table(trials, lines, width), self._foot(trials))

    def _title(self, width: int) -> RenderableType:
        """The study's name and its best value, as many of the parts as there is room for."""
        from rich.text import Text

        view, line = self._view, Text(no_wrap=True, overflow="ellipsis")
        line.append(str(view.header.get("name", "study")), style="bold")
        if view.best is None:
            waiting = f": the first {self._unit} is under way" if view.trials and not view.total_resource else ""
            return line.append(f"  no value yet{waiting}", style="dim")
        if view.has_front:
            line.append(f"  front of {plural(len(view.front.points), 'member')}", style="bold green")
            return line.append(f"  hypervolume {metric_text(view.front.hypervolume())}")
        line.append(f"  best {view.metric} ").append(metric_text(view.best.best(view.metric)), style="bold green")
        where = f"  (trial {view.best.id}, {self._unit} {view.best.best_resource})"
        return line.append(where) if line.cell_len + len(where) <= width else line

    def _table(self, trials: list[TrialView], lines: int, width: int) -> Table:
        """As many trials as there are lines for."""
        rows = lines
        while True:
            running, others = self._chosen(trials, rows)
            columns, configs, needed = self._laid_out([*running, *others], width)
            if needed <= lines or rows == 1:
                return self._drawn_table(columns, configs, len(running), len(others))
            rows = max(1, min(rows - 1, rows * lines // needed))

    def _laid_out(self, shown: list[TrialView], width: int) -> tuple[list[Column], list[str], int]:
        """The columns that there is room for, the configurations in lines, and how many lines that makes."""
        names = short_names(path for trial in shown for path in self._varying.of(trial.config))
        texts = [
            trial.error or config_text({path: trial.config[path] for path in self._varying.of(trial.config)}, names)
            for trial in shown
        ]
        configs = [text for trial, text in zip(shown, texts, strict=True) if not trial.error]
        columns, room = fitting(self._columns(shown), configs, width)
        cut = [
            text if trial.error else folded(text, room)  # an error is whole in the log
            for trial, text in zip(shown, texts, strict=True)
        ]
        return columns, cut, sum(text.count("\n") + 1 for text in cut)

    def _columns(self, shown: list[TrialView]) -> list[Column]:
        """All but the configurations, in order; the higher `gives_way`, the sooner a column is left out."""
        from rich.text import Text

        view, winners = self._view, self._winners()
        brackets = any(trial.bracket for trial in view.trials.values())

        def metric(name: str) -> list[Text]:
            return [
                Text(metric_text(trial.best(name)), style="green" if trial.id in winners else "") for trial in shown
            ]

        marked = [
            Text(f"★ {trial.id}", style="green") if trial.id in winners else Text(str(trial.id)) for trial in shown
        ]
        states = [Text(trial.state.value.lower(), style=STATE_STYLE[trial.state]) for trial in shown]
        rungs = [Text(f"{trial.bracket}/{trial.rung}" if brackets else str(trial.rung)) for trial in shown]
        columns = [
            Column("trial", marked, 0),
            Column("state", states, 3, left=True),
            Column("bracket\n/rung" if brackets else "rung", rungs, 5),
            Column(self._unit, [Text(resource_text(trial)) for trial in shown], 2),
        ]
        if view.has_front:
            columns += [Column(each.name, metric(each.name), int(i > 0)) for i, each in enumerate(view.metrics)]
        else:
            columns += [
                Column("latest", [Text(metric_text(trial.latest(view.metric))) for trial in shown], 4),
                Column("best", metric(view.metric), 0),
            ]
        return [*columns, Column("seconds", [Text(f"{trial.seconds:.1f}") for trial in shown], 6)]

    def _drawn_table(self, columns: list[Column], configs: list[str], n_running: int, n_others: int) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        place = next((i for i, column in enumerate(columns) if not column.left and i), len(columns))
        cells: list[Sequence[Text]] = []
        for column in [*columns[:place], None, *columns[place:]]:
            if column is None:
                table.add_column("configuration", ratio=1, no_wrap=True, overflow="ellipsis")
                cells.append([Text(text, no_wrap=True, overflow="ellipsis") for text in configs])
            else:
                justify = "left" if column.left else "right"
                table.add_column(column.name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
                cells.append(column.cells)
        for number, row in enumerate(zip(*cells, strict=True)):
            table.add_row(*row, style="bold" if row[0].plain.startswith("★") else "")
            if number == n_running - 1 and n_others:
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

    def _foot(self, trials: list[TrialView]) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        elapsed = self._elapsed()
        share = progress(self._view, self._budget, elapsed, self._to_come)
        tally = Text(no_wrap=True, overflow="ellipsis")
        for state, count in counts(trials).items():
            tally.append(f"{count} {state.value.lower()}  ", style=STATE_STYLE[state])
        if workers := self._workers():
            tally.append(f" {workers}", style="dim")
        passed = "simulated" if self._view.is_simulated else "elapsed"
        if share is None:
            return Group(Text(f"{duration(elapsed)} {passed}, no limit set: Ctrl-C ends the study"), tally)
        # A trial that pauses counts less than while it ran; the bar still never goes back.
        share = self._furthest = max(share, self._furthest)
        bar = Table.grid(expand=True, padding=(0, 1))
        bar.add_column(ratio=1)
        for _ in range(3):
            bar.add_column(justify="right", no_wrap=True)
        left = f"ETA {duration(elapsed * (1 - share) / share)}" if share > 0 else "ETA –"
        left = "" if self._view.is_simulated else left  # in real time, which nobody knows here
        bar.add_row(ProgressBar(total=1.0, completed=share), f"{share:4.0%}", f"{duration(elapsed)} {passed}", left)
        return Group(bar, tally)
