"""What people see when a study has ended: the best trials, why it ended, where everything is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hpo_pipeline.report.text import STATE_STYLE, counts, duration, metric_text, over_seeds_text, plural, short
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    from rich.console import Console as Terminal

BEST = 5
FILES = {
    "best.yaml": "the best trial's values: copy to conf/experiment/, then train.py experiment=best",
    "best": "the best trial's model, as of its best report",
    "leaderboard.csv": "all trials, best first",
    "plots/study.png": "best so far, and all learning curves",
    "journal.jsonl": "everything that happened",
}


def summary(
    view: StudyView, folder: Path, lines: Sequence[str] = (), unit: str = "epoch", file: TextIO | None = None
) -> None:
    """Prints the end of a study.

    Args:
        folder: the study's folder; those of `FILES` that lie in it are named.
        lines: printed last, as they are and never wrapped, so that a command can be copied.
        unit: what one unit of resource is called.
        file: where to; standard output if None.
    """
    from rich.console import Console as Terminal
    from rich.text import Text

    terminal = Terminal(file=file)
    if not terminal.is_terminal:
        terminal.width = max(terminal.width, 120)

    def say(text: str = "", style: str = "") -> None:
        terminal.print(Text(text, style=style), soft_wrap=True)

    best = view.top(BEST)
    say()
    if best:
        _print_best(terminal, view, best, unit)
    elif view.trials:
        say(f"No trial has a usable {view.metric}: nothing to rank.", "bold")
        errors = {trial.error: trial.id for trial in view.trials.values() if trial.error}
        for error, trial_id in list(errors.items())[:BEST]:
            say(f"  trial {trial_id}: {error}", "red")
    else:
        say("No trial was started.", "bold")
    say()
    if view.end is not None:
        reason = view.end.get("reason", "")
        say(f"Ended: {view.end.get('state', '')}{': ' if reason else ''}{reason}")
    states = ", ".join(f"{n} {state.value.lower()}" for state, n in counts(view.trials.values()).items())
    time = f"{duration(view.seconds)} of simulated time" if view.is_simulated else duration(view.seconds)
    spent = f"{plural(view.evaluations, 'rung evaluation')}, {plural(view.total_resource, unit)}"
    say(f"{plural(len(view.trials), 'trial')} ({states or 'no trials'}), {spent} in {time}")
    say(f"Everything is in {folder}")
    for name, meaning in FILES.items():
        if (folder / name).exists():
            say(f"  {name:<17} {meaning}")
    for line in lines:
        say(line)


def _print_best(terminal: Terminal, view: StudyView, best: list[TrialView], unit: str) -> None:
    """One column a trial, one row a hyperparameter: full paths fit and values can be compared."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    name = str(view.header.get("name", "study"))
    table = Table(
        title=f"{name}: the best of {len(view.trials)}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0)
    )
    table.pad_edge = False
    table.add_column("rank", no_wrap=True)
    for rank in range(1, len(best) + 1):
        table.add_column(str(rank), justify="right", style="bold" if rank == 1 else "", overflow="fold")
    table.add_row("trial", *(str(trial.id) for trial in best))
    values = (Text(metric_text(trial.best(view.metric)), style="green") for trial in best)
    table.add_row(Text(str(view.metrics[0])), *values)
    if view.has_further_seeds:
        table.add_row(Text("mean over seeds"), *(Text(over_seeds_text(view.over_seeds(trial))) for trial in best))
    table.add_row(Text(f"at {unit}"), *(str(trial.best_resource) for trial in best))
    table.add_row("state", *(Text(trial.state.value.lower(), style=STATE_STYLE[trial.state]) for trial in best))
    if any(trial.origin for trial in best):
        table.add_row("origin", *(Text(trial.origin.partition(",")[0]) for trial in best))
    table.add_section()
    for path in dict.fromkeys(path for trial in best for path in trial.best_config):
        cells = (Text(short(trial.best_config[path], 4)) if path in trial.best_config else Text("–") for trial in best)
        table.add_row(Text(path), *cells)
    terminal.print(table)
