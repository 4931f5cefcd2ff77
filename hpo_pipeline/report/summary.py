"""What people see when a study has ended: the best trials, why it ended, where everything is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hpo_pipeline.report.command import Command
from hpo_pipeline.report.terminal import terminal_on
from hpo_pipeline.report.text import STATE_STYLE, counts, duration, metric_text, over_seeds_text, plural, short
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    from rich.console import Console as Terminal

BEST = 5
LEAST = 9
"""Columns of the terminal that a trial has in the table: its state stands there, too."""
MOST_MEMBERS = 10
"""Of a front, in the table."""
FILES = {
    "report.html": "the study as one page, to be opened in a browser, kept or sent",
    "best.yaml": "the best trial's values: copy to conf/experiment/, then hpo train --config-dir conf experiment=best",
    "best": "a file for each member of the front: copy to conf/experiment/, hpo train --config-dir conf experiment=1",
    "leaderboard.csv": "all trials, best first",
    "plots/study.png": "what came out, in one picture",
    "journal.jsonl": "everything that happened",
    "log.txt": "what was said meanwhile; of each trial in trials/<id>/log.txt",
}


def print_results(view: StudyView, folder: Path, unit: str = "epoch", file: TextIO | None = None) -> None:
    """Prints what a study has found, and why it ended.

    Args:
        folder: the study's.
        unit: what one unit of resource is called.
        file: where to; standard output if None.
    """
    terminal = terminal_on(file)
    say = functools.partial(_say, terminal)
    best = view.top(BEST)
    say()
    if view.has_front and view.front.points:
        _print_front(terminal, view, unit)
        hidden = len(view.front.points) - MOST_MEMBERS
        further = f"; {hidden} more members are in {folder / 'best'}" if hidden > 0 else ""
        say(f"hypervolume {metric_text(view.front.hypervolume())}, up to {_reference(view)}{further}")
    elif best:
        _print_best(terminal, view, best, unit)
    elif view.trials:
        say(f"No trial has a usable {' and '.join(m.name for m in view.metrics)}: nothing to rank.", "bold")
        errors = {trial.error: trial.id for trial in view.trials.values() if trial.error}
        for error, trial_id in list(errors.items())[:BEST]:
            say(f"  trial {trial_id}: {error}", "red")
    else:
        say("No trial was started.", "bold")
    if best and not best[0].is_feasible:
        say(f"No trial is within the constraints: {', '.join(map(str, view.constraints))}", "bold")
    say()
    if view.end is not None:
        reason = view.end.get("reason", "")
        say(f"Ended: {view.end.get('state', '')}{': ' if reason else ''}{reason}")
    states = ", ".join(f"{n} {state.value.lower()}" for state, n in counts(view.trials.values()).items())
    time = f"{duration(view.seconds)} of simulated time" if view.is_simulated else duration(view.seconds)
    spent = f"{plural(view.evaluations, 'rung evaluation')}, {plural(view.total_resource, unit)}"
    say(f"{plural(len(view.trials), 'trial')} ({states or 'no trials'}), {spent} in {time}")


def print_places(
    view: StudyView, folder: Path, lines: Sequence[str | Command] = (), file: TextIO | None = None
) -> None:
    """Prints where a study's files are, once they are written, and what is to be said last.

    Args:
        folder: the study's folder; those of `FILES` that lie in it are named.
        lines: printed as they are. In a terminal a command goes on in further lines, as a shell reads them; what is no
            terminal gets it whole.
        file: where to; standard output if None.
    """
    from rich.text import Text

    terminal = terminal_on(file)
    say = functools.partial(_say, terminal)
    say(f"Everything is in {folder}")
    for name, meaning in FILES.items():
        if (folder / name).exists() and (name != "best" or view.has_front):
            say(f"  {name:<17} {meaning}")
    for line in lines:
        if isinstance(line, Command):
            whole = line.in_lines(terminal.width) if terminal.is_terminal else f"  {line.text}"
            terminal.print(Text(whole), soft_wrap=True)
        else:
            say(line)


def _say(terminal: Terminal, text: str = "", style: str = "") -> None:
    from rich.text import Text

    terminal.print(Text(text, style=style), soft_wrap=not terminal.is_terminal)


def _reference(view: StudyView) -> str:
    """What the hypervolume reaches to, as values of the metrics."""
    reference = view.front.reference
    scores = [] if reference is None else reference.tolist()
    return ", ".join(f"{m.name} {metric_text(m.value(score))}" for m, score in zip(view.metrics, scores, strict=True))


def _print_front(terminal: Terminal, view: StudyView, unit: str) -> None:
    points = view.front.points[:MOST_MEMBERS]
    members = [(view.trials[point.trial_id], point.resource) for point in points]
    _print_columns(terminal, view, f"the front of {len(view.front.points)}", "member", members, unit)


def _print_best(terminal: Terminal, view: StudyView, best: list[TrialView], unit: str) -> None:
    members = [(trial, trial.best_resource) for trial in best]
    _print_columns(terminal, view, f"the best of {len(view.trials)}", "rank", members, unit)


def _room(width: int, members: list[tuple[TrialView, int]]) -> int:
    """How many of them have room in a terminal beside each other, with no value broken; one at least."""
    configs = [trial.config_at(at) for trial, at in members]
    left = width - max((len(path) for config in configs for path in config), default=0)
    for n, config in enumerate(configs):
        left -= 3 + max([LEAST, *(len(short(value, 4)) for value in config.values())])
        if left < 0:
            return max(1, n)
    return len(members)


def _print_columns(
    terminal: Terminal, view: StudyView, what: str, number: str, members: list[tuple[TrialView, int]], unit: str
) -> None:
    """One column a trial at a resource, one row a hyperparameter: full paths fit and values can be compared."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    members = members[: _room(terminal.width, members)]
    name = str(view.header.get("name", "study"))
    table = Table(title=f"{name}: {what}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0))
    table.pad_edge = False
    table.add_column(number, no_wrap=True)
    for rank in range(1, len(members) + 1):
        is_first = rank == 1 and not view.has_front
        table.add_column(str(rank), justify="right", style="bold" if is_first else "", overflow="fold")
    table.add_row("trial", *(str(trial.id) for trial, _ in members))
    for metric in view.metrics:
        values = (Text(metric_text(trial.at(at).get(metric.name)), style="green") for trial, at in members)
        table.add_row(Text(str(metric)), *values)
    if view.has_further_seeds:
        means = (Text(over_seeds_text(view.over_seeds(trial))) for trial, _ in members)
        table.add_row(Text("mean over seeds"), *means)
    for constraint in view.constraints:
        if constraint.name not in [metric.name for metric in view.metrics]:
            bounded = (metric_text(trial.at(at).get(constraint.name)) for trial, at in members)
            table.add_row(Text(str(constraint)), *bounded)
    table.add_row(Text(f"at {unit}"), *(str(at) for _, at in members))
    table.add_row("state", *(Text(trial.state.value.lower(), style=STATE_STYLE[trial.state]) for trial, _ in members))
    if any(trial.origin for trial, _ in members):
        table.add_row("origin", *(Text(trial.origin.partition(",")[0]) for trial, _ in members))
    table.add_section()
    configs = [trial.config_at(at) for trial, at in members]
    for path in dict.fromkeys(path for config in configs for path in config):
        table.add_row(Text(path), *(Text(short(config[path], 4) if path in config else "–") for config in configs))
    terminal.print(table)
