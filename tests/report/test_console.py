"""What a study looks like while it runs and when it has ended."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console as Terminal
from written_study import StudyBuilder

from hpo_pipeline.budget import Budget
from hpo_pipeline.report.console import Console
from hpo_pipeline.report.lines import BURST, Throttle
from hpo_pipeline.report.live import LiveTable
from hpo_pipeline.report.progress import progress
from hpo_pipeline.report.summary import print_places, print_results


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(study: StudyBuilder, clock: Clock | None = None) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    console = Console(study.view, Budget(n_trials=4), "epoch", file=out, clock=clock or Clock())
    console.start()
    study.listener = console.update
    return console, out


def drawn(study: StudyBuilder, budget: Budget, height: int = 24, elapsed: float = 60.0) -> str:
    terminal = Terminal(file=io.StringIO(), width=120, height=height, force_terminal=False)
    terminal.print(LiveTable(study.view, budget, "epoch", lambda: elapsed).render(120, height))
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


def test_without_a_terminal_a_rung_evaluation_is_one_line(study: StudyBuilder) -> None:
    _, out = lines_of(study)
    study.trial(0, [0.1], "PAUSED")
    study.job(7, 9)
    study.report(7, 3, 0.1342, rung=1)
    assert out.getvalue().splitlines()[-1] == "trial 7  rung 1  epoch 3/9  validation_error 0.1342"


def test_a_new_best_says_so_and_with_which_configuration(study: StudyBuilder) -> None:
    _, out = lines_of(study)
    study.trial(0, [0.25], "PAUSED", {"optimizer.lr": 0.00312, "model.n_units": 64})
    assert out.getvalue() == "trial 0  rung 0  epoch 1  validation_error 0.2500  best  lr=0.00312 n_units=64\n"


def test_points_between_rungs_are_shown_only_if_they_are_the_best(study: StudyBuilder) -> None:
    _, out = lines_of(study)
    study.trial(0, [0.5, 0.2, 0.3, 0.4], "COMPLETED")
    assert [line.split("  ")[-1] for line in out.getvalue().splitlines()] == [
        "lr=0.1",
        "best",
        "validation_error 0.4000",
    ]


def test_a_failure_is_a_line_with_its_error(study: StudyBuilder) -> None:
    _, out = lines_of(study)
    study.job(0, 3)
    study.fail(0, "ValueError: too wide")
    assert out.getvalue() == "trial 0  epoch 0/3  FAILED: ValueError: too wide\n"


def test_after_the_best_trial_failed_a_worse_one_may_be_the_best(study: StudyBuilder) -> None:
    _, out = lines_of(study)
    study.trial_that_fails(0, [0.1])
    study.trial(1, [0.5, 0.4, 0.6], "COMPLETED")
    told = [line.split("  ")[2:] for line in out.getvalue().splitlines()]
    assert told == [
        ["validation_error 0.1000", "best", "lr=0.1"],
        ["FAILED: ValueError: no"],
        ["validation_error 0.5000", "best", "lr=0.1"],
        ["validation_error 0.4000", "best"],
        ["epoch 3", "validation_error 0.6000"],
    ]


def test_the_first_failure_says_where_the_tracebacks_are(study: StudyBuilder) -> None:
    out = io.StringIO()
    console = Console(study.view, Budget(n_trials=4), "epoch", logs="runs/s/trials/<id>/log.txt", file=out)
    console.start()
    study.listener = console.update
    study.trial_that_fails(0, [])
    study.trial_that_fails(1, [])
    assert out.getvalue().splitlines() == [
        "trial 0  epoch 0/1  FAILED: ValueError: no",
        "tracebacks of failed trials: runs/s/trials/<id>/log.txt",
        "trial 1  epoch 0/1  FAILED: ValueError: no",
    ]


def test_a_notice_is_a_plain_line_and_said_once(study: StudyBuilder) -> None:
    console, out = lines_of(study)
    console.say("packs of 64 [0.8 ms]")
    console.say("packs of 64 [0.8 ms]")
    assert out.getvalue() == "packs of 64 [0.8 ms]\n"


def test_in_a_terminal_a_notice_is_printed_above_the_table(
    study: StudyBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    out = Screen()
    console = Console(study.view, Budget(n_trials=4), "epoch", file=out)
    console.start()
    console.say("packs of 64 [0.8 ms]")
    console.close()
    told, _, after = out.getvalue().partition("packs of 64 [0.8 ms]\n")
    assert "trial" in after
    assert told != out.getvalue()


def test_a_burst_passes_and_then_lines_come_in_blocks_of_ten_a_second() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert sum(throttle.allows() for _ in range(1000)) == BURST
    assert throttle.held_back == 1000 - BURST
    clock.now = 0.5
    assert not throttle.allows()
    clock.now = 1.0
    assert sum(throttle.allows() for _ in range(1000)) == 10


def test_lines_left_out_are_counted(study: StudyBuilder) -> None:
    console, out = lines_of(study)
    for trial in range(BURST + 7):
        study.trial(trial, [0.5], "PAUSED")
    console.close()
    printed = out.getvalue().splitlines()
    assert len(printed) == BURST + 1
    assert printed[-1].startswith("… 7 lines left out")


def test_the_table_marks_the_best_trial_and_shows_the_running_one(four_trials: StudyBuilder) -> None:
    four_trials.job(4, 9, rung=1, config={"optimizer.lr": 0.125})
    four_trials.report(4, 3, 0.6)
    rows = drawn(four_trials, Budget(n_trials=8)).splitlines()
    (best,) = [row for row in rows if "★" in row]
    assert "★ 1" in best
    assert "lr=1e-05 n_units=64" in best
    assert "0.3000" in best  # the latest
    assert "0.2000" in best
    (running,) = [row for row in rows if "lr=0.125" in row]
    assert "running" in running
    assert "3/9" in running


def test_the_display_names_the_study_the_best_value_the_counts_and_the_time_left(four_trials: StudyBuilder) -> None:
    text = drawn(four_trials, Budget(n_trials=8), elapsed=60.0)
    assert "demo  best validation_error 0.2000  (trial 1, epoch 2)" in text
    assert "1 completed  2 stopped  1 failed" in text
    assert "50%" in text  # four of eight are final
    assert "1:00 elapsed" in text
    assert "ETA 1:00" in text


def test_the_table_fits_the_screen_with_many_trials_running(study: StudyBuilder) -> None:
    for trial in range(50):
        study.trial(trial, [0.5], "PAUSED")
    for trial in range(50, 90):
        study.job(trial, 3)
    for height in (12, 24, 50):
        assert len(drawn(study, Budget(n_trials=100), height).splitlines()) < height


def test_the_table_of_a_study_without_trials_or_limit_can_be_drawn(study: StudyBuilder) -> None:
    text = drawn(study, Budget())
    assert "no value yet" in text
    assert "no limit" in text


def test_text_that_looks_like_markup_is_shown_as_it_is(study: StudyBuilder, tmp_path: Path) -> None:
    study.trial(0, [0.5], "COMPLETED", {"model.kind": "[red]x[/]"})
    out = io.StringIO()
    print_results(study.view, tmp_path, file=out)
    print_places(study.view, tmp_path, ["[/] as it is"], file=out)
    assert "kind=[red]x[/]" in drawn(study, Budget())
    assert "[red]x[/]" in out.getvalue()
    assert "[/] as it is" in out.getvalue()


def test_what_others_print_and_log_goes_above_the_table(study: StudyBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("somebody.else")
    logger.addHandler(handler)
    console = Console(study.view, Budget(n_trials=1), "epoch")
    console.start()
    assert handler.stream is not out
    logger.warning("a warning")
    study.trial(0, [0.5], "COMPLETED")
    console.close()
    console.close()
    logger.removeHandler(handler)
    assert handler.stream is out
    assert sys.stdout is out
    text = out.getvalue()
    assert text.index("a warning") < text.rindex("★ 0")


def test_progress_is_that_of_the_limit_furthest_along(four_trials: StudyBuilder) -> None:
    # Four final trials, 1 + 3 + 0 + 1 epochs.
    assert progress(four_trials.view, Budget(n_trials=16), 10.0) == 4 / 16
    assert progress(four_trials.view, Budget(n_trials=16, max_total_resource=10), 10.0) == 5 / 10
    assert progress(four_trials.view, Budget(n_trials=16, max_total_resource=10, max_seconds=12.5), 10.0) == 10 / 12.5
    assert progress(four_trials.view, Budget(n_trials=2), 10.0) == 1.0
    assert progress(four_trials.view, Budget(), 10.0) is None


def test_paused_trials_count_half_until_trials_are_begun_after_promotions(study: StudyBuilder) -> None:
    study.trial(0, [0.5], "PAUSED")
    study.trial(1, [0.4], "PAUSED")
    assert progress(study.view, Budget(n_trials=4), 0.0) == 0.25
    study.job(1, 2, rung=1)
    study.report(1, 2, 0.3, rung=1)
    study.decide(1, "COMPLETED")
    study.trial(2, [0.6], "PAUSED")
    assert progress(study.view, Budget(n_trials=4), 0.0) == 0.75


def test_the_time_of_earlier_sessions_counts_as_elapsed(study: StudyBuilder) -> None:
    clock = Clock()
    study.trial(0, [0.5], "COMPLETED")  # suggested, submitted, report, rung, result, decision: 6 s
    clock.now = 100.0
    console = Console(study.view, Budget(), "epoch", file=io.StringIO(), clock=clock)
    console.start()
    clock.now = 107.0
    assert console.elapsed() == 6.0 + 7.0


def test_the_summary_shows_the_best_five_and_where_everything_is(four_trials: StudyBuilder, tmp_path: Path) -> None:
    for trial in range(4, 8):
        four_trials.trial(trial, [0.3 + trial], "STOPPED")
    four_trials.end("n_trials=8 reached")
    (tmp_path / "best.yaml").touch()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "study.png").touch()
    out = io.StringIO()
    command = "python train.py " + " ".join(f"a.very.long.path_{i}=0.123456789" for i in range(20))
    print_results(four_trials.view, tmp_path, file=out)
    print_places(four_trials.view, tmp_path, ["mlflow ui", command], file=out)
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["trial", "1", "0", "4", "5", "6"] in rows
    assert ["validation_error", "(min)", "0.2000", "0.5000", "4.300", "5.300", "6.300"] in rows
    assert ["at", "epoch", "2", "1", "1", "1", "1"] in rows
    assert ["optimizer.lr", "1e-05", "0.5", "0.1", "0.1", "0.1"] in rows
    assert ["model.n_units", "64", "–", "–", "–", "–"] in rows
    text = out.getvalue()
    assert "Ended: COMPLETED: n_trials=8 reached" in text
    assert "8 trials (1 completed, 6 stopped, 1 failed), 7 rung evaluations, 9 epochs" in text
    assert f"{tmp_path}\n  best.yaml" in text
    assert "plots/study.png" in text
    assert "leaderboard.csv" not in text
    assert text.endswith(f"mlflow ui\n{command}\n")


def test_the_summary_says_which_searcher_found_the_best_trials(study: StudyBuilder, tmp_path: Path) -> None:
    for trial, origin in enumerate(["mid-point", "tree, near trial 0", "uniform"]):
        study.job(trial, 1, origin=origin)
        study.report(trial, 1, 0.5 - 0.1 * trial)
    out = io.StringIO()
    print_results(study.view, tmp_path, file=out)
    assert ["origin", "uniform", "tree", "mid-point"] in [line.split() for line in out.getvalue().splitlines()]


def test_the_summary_of_an_empty_study_says_that_no_trial_was_started(study: StudyBuilder, tmp_path: Path) -> None:
    out = io.StringIO()
    print_results(study.view, tmp_path, file=out)
    assert "No trial was started." in out.getvalue()


def test_the_summary_without_a_finite_value_says_so_with_the_errors(study: StudyBuilder, tmp_path: Path) -> None:
    study.trial(0, [float("nan")], "STOPPED")
    study.job(1, 1)
    study.fail(1, "ValueError: too wide")
    out = io.StringIO()
    print_results(study.view, tmp_path, file=out)
    assert "No trial has a usable validation_error: nothing to rank." in out.getvalue()
    assert "trial 1: ValueError: too wide" in out.getvalue()


def test_the_summary_shows_no_failed_trial_among_the_best(four_trials: StudyBuilder, tmp_path: Path) -> None:
    four_trials.trial_that_fails(4, [0.1])
    out = io.StringIO()
    print_results(four_trials.view, tmp_path, file=out)
    assert ["trial", "1", "0"] in [line.split() for line in out.getvalue().splitlines()]


def test_importing_the_reports_loads_no_heavy_library() -> None:
    code = (
        "import sys, hpo_pipeline.report.console, hpo_pipeline.report.summary, hpo_pipeline.report.files; "
        "print([m for m in ('rich', 'matplotlib', 'pandas', 'omegaconf', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_time_that_is_shown_is_that_of_the_last_record_and_what_passed_since(four_trials):
    clock = Clock()
    console = Console(four_trials.view, Budget(n_trials=8), "epoch", file=io.StringIO(), clock=clock)
    console.start()
    record = {"event": "session", "time": 5000.0, "elapsed": 100.0}
    four_trials.view.apply(record)
    clock.now += 50.0  # replaying and starting take time that is none of the study's
    console.update(record)
    clock.now += 5.0
    assert console.elapsed() == 105.0
