"""The live table on screens of different sizes, as a terminal shows it: what gives way, what is never cut."""

from __future__ import annotations

import io
import re
import sys

import pyte
import pytest
from rich.console import Console as Terminal
from written_study import StudyBuilder

from hpo_pipeline.budget import Budget
from hpo_pipeline.report.columns import MOST_LINES, folded
from hpo_pipeline.report.console import Console
from hpo_pipeline.report.live import LiveTable
from hpo_pipeline.report.progress import progress
from hpo_pipeline.report.screen import Screen
from hpo_pipeline.report.terminal import forgiving_streams, working
from hpo_pipeline.scheduler.finalists import FinalistSettings

SEVEN = {
    "optimizer.lr": 0.00151,
    "optimizer.weight_decay": 0.0322,
    "model.n_units_1": 653,
    "model.n_units_2": 579,
    "model.dropout_1": 0.954,
    "model.dropout_2": 0.126,
    "dataset.batch_size": 85,
}
SHORT = ("lr=0.00151", "weight_decay=0.0322", "n_units_1=653", "n_units_2=579")
SHORT += ("dropout_1=0.954", "dropout_2=0.126", "batch_size=85")
OTHERS = {path: value * 2 for path, value in SEVEN.items()}


def table_of(study: StudyBuilder) -> LiveTable:
    return LiveTable(study.view, Budget(n_trials=8), "epoch", lambda: 60.0)


def lines_of(study: StudyBuilder, width: int, height: int = 40) -> list[str]:
    """What stands on the screen."""
    terminal = Terminal(file=io.StringIO(), width=width, height=height, force_terminal=False)
    terminal.print(table_of(study).render(width, height))
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue().splitlines()


@pytest.fixture
def two(study: StudyBuilder) -> StudyBuilder:
    study.trial(0, [0.5], "STOPPED", SEVEN)
    study.trial(1, [0.4, 0.2], "COMPLETED", OTHERS)
    return study


@pytest.mark.parametrize("width", [200, 160, 120, 100, 80, 60, 50])
def test_no_line_is_too_long_and_no_configuration_is_cut(two, width):
    lines = lines_of(two, width)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    words = " ".join(lines).split()
    assert set(SHORT) <= set(words)


def test_columns_give_way_in_order_and_the_best_value_never_does(two):
    def heads(width: int) -> list[str]:
        return next(line for line in lines_of(two, width) if "configuration" in line).split()

    everything = ["trial", "state", "configuration", "rung", "epoch", "latest", "best", "seconds"]
    assert heads(200) == everything
    seen = [heads(width) for width in range(200, 39, -1)]
    assert all("trial" in found and "best" in found for found in seen)
    first_without = {name: next((i for i, found in enumerate(seen) if name not in found), 999) for name in everything}
    assert first_without["seconds"] < first_without["rung"] < first_without["latest"] <= first_without["state"]


def test_where_workers_are_stands_below_the_table(two):
    table = LiveTable(two.view, Budget(n_trials=8), "epoch", lambda: 60.0, workers=lambda: "workers: a 4 (3 jobs)")
    terminal = Terminal(file=io.StringIO(), width=80, force_terminal=False)
    terminal.print(table.render(80, 40))
    assert "".join(terminal.file.getvalue().splitlines()[-1]).endswith("workers: a 4 (3 jobs)")


def test_a_short_configuration_leaves_all_columns_at_80(study):
    study.trial(0, [0.5], "STOPPED", {"optimizer.lr": 0.1})
    study.trial(1, [0.4], "STOPPED", {"optimizer.lr": 0.2})
    head = next(line for line in lines_of(study, 80) if "configuration" in line)
    assert head.split()[-5:] == ["rung", "epoch", "latest", "best", "seconds"]


def test_what_is_the_same_in_all_trials_is_left_out_and_what_only_some_have_is_not(study):
    study.trial(0, [0.5], "STOPPED", {"optimizer.lr": 0.1, "model.kind": "a", "optimizer.momentum": 0.9})
    assert "lr=0.1 kind=a momentum=0.9" in " ".join(lines_of(study, 120))
    study.trial(1, [0.4], "STOPPED", {"optimizer.lr": 0.2, "model.kind": "a"})
    text = "\n".join(lines_of(study, 120))
    assert "kind=a" not in text
    assert "lr=0.1 momentum=0.9" in text
    assert "lr=0.2" in text


def test_configurations_in_several_lines_leave_the_display_within_the_screen(study):
    for trial in range(40):
        study.trial(trial, [0.5], "PAUSED", {path: value + trial for path, value in SEVEN.items()})
    for width, height in ((60, 24), (80, 15), (40, 24)):
        assert len(lines_of(study, width, height)) < height


def test_twenty_hyperparameters_are_counted_where_they_do_not_fit():
    text = " ".join(f"hyperparameter_{i}=0.123" for i in range(20))
    lines = folded(text, 30).splitlines()
    assert len(lines) == MOST_LINES
    assert lines[-1] == f"+{20 - (MOST_LINES - 1)} more"


class Emulated(io.StringIO):
    """A terminal that shows what is written to it."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))  # as a terminal's driver does it
        return len(text)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]


def test_a_terminal_that_changes_its_size_shows_no_row_twice(two):
    out = Emulated(100, 30)
    terminal = Terminal(file=out, force_terminal=True, width=100, height=30, legacy_windows=False)
    print("the opening", file=out)
    live = Screen(table_of(two), terminal, 0.001, lambda: "the opening\n")
    live.start()
    live.refresh()
    assert sum("★ 1" in line for line in out.lines()) == 1
    for width, height in ((60, 30), (100, 30), (47, 20), (120, 40)):
        terminal.size = (width, height)  # type: ignore[assignment]
        # As terminals do it that break lines anew: the picture takes more lines than it did.
        text = out.lines()
        out.screen.resize(height, width)
        out.screen.reset()
        for line in text:
            out.write(f"{line}\n" if line else "")
        live.refresh()
        shown = out.lines()
        assert sum("★ 1" in line for line in shown) == 1, "\n".join(shown)
        assert sum(bool(re.search(r"configuration", line)) for line in shown) == 1
        assert sum("elapsed" in line for line in shown) == 1
        assert shown[0] == "the opening"
    live.stop()


def test_work_under_way_counts_as_far_as_it_is(study):
    study.job(0, 4)
    study.job(1, 4)
    assert progress(study.view, Budget(n_trials=4), 0.0) == 0.0
    study.report(0, 1, 0.5)
    study.report(0, 2, 0.5)
    study.report(1, 1, 0.5)
    assert progress(study.view, Budget(n_trials=4), 0.0) == (2 / 4 + 1 / 4) / 4
    study.report(0, 3, 0.5)
    study.report(0, 4, 0.5)
    study.decide(0, "COMPLETED")
    assert progress(study.view, Budget(n_trials=4), 0.0) == (1 + 1 / 4) / 4


def test_a_promoted_trial_at_work_is_not_through(study):
    study.trial(0, [0.5], "PAUSED")
    study.job(0, 3, rung=1)
    study.report(0, 2, 0.4)
    assert progress(study.view, Budget(n_trials=1), 0.0) == pytest.approx(2 / 3)


def test_what_comes_after_the_search_is_under_way_too(study):
    finalists = FinalistSettings(n=1, seeds=1, max_resource=6)
    study.trial(0, [0.5, 0.4], "STOPPED")
    study.trial(1, [0.9, 0.8], "STOPPED")
    # 4 epochs of the search are over; 4 of the finalist and 6 of its further seed are to come.
    assert progress(study.view, Budget(n_trials=2), 0.0, finalists.to_come) == pytest.approx(4 / 14)
    study.add("submitted", trial=0, resource=6, rung=0, bracket=0, finalist=True)
    study.view.trials[0].counted = 2
    study.report(0, 3, 0.3)
    assert progress(study.view, Budget(n_trials=2), 0.0, finalists.to_come) == pytest.approx(5 / 14)


class Interactive(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variables", "lines"), [({}, False), ({"CI": "1"}, True), ({"CI": "false"}, False)])
def test_in_ci_a_terminal_gets_plain_lines(study, monkeypatch, variables, lines):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = Interactive()
    console = Console(study.view, Budget(n_trials=4), "epoch", file=out)
    console.start()
    study.listener = console.update
    study.trial(0, [0.25], "STOPPED", {"optimizer.lr": 0.5})
    console.close()
    plain = "trial 0  rung 0  epoch 1  validation_error 0.2500  best  lr=0.5\n"
    assert (out.getvalue() == plain) is lines


def test_what_is_being_done_is_shown_until_something_is_printed(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out, err = Emulated(40, 5), Emulated(40, 5)
    err.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with forgiving_streams():
        working("composing")
        assert err.lines()[0] == "composing …"
        working("checking")
        assert err.lines()[0] == "checking …"
        print("the opening")
        assert err.lines()[0] == ""
        monkeypatch.setenv("CI", "1")
        working("importing")
        assert err.lines()[0] == ""
    assert out.lines()[0] == "the opening"
