"""How the programs of `objective=command` end, well and badly; nothing of them stays behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import at_most, command, errors, failure, started

__all__ = ["at_most"]
pytestmark = pytest.mark.usefixtures("at_most")


@pytest.mark.parametrize(
    ("script", "n", "expected"),
    [
        ("echo a; echo b; exit 3", 1, ["ended with exit code 3 after 0 of 9 epochs; it printed last: b", "a", "b"]),
        ("echo error 0.5", 1,
         ["ended after 0 of 9 epochs, and no line can be read as a report: it has to print lines such as "
          '{"epoch": 1, "validation_error": 0.1}, or set objective.pattern; it printed last: error 0.5',
          "error 0.5"]),
        ('echo "{\\"error\\": 1}"', 2, ["ended after 1 of 9 epochs; it printed nothing else"]),
        ('echo "{\\"error\\": 1}"; kill -9 $$', 2, ["ended by signal 9 after 1 of 9 epochs; it printed nothing else"]),
        ("echo '{\"error\": \"low\"}'", 1, ["its report is wrong: 'error' must be a number, got 'low'; it printed "
                                            "last: {\"error\": \"low\"}", '{"error": "low"}']),
        ('echo "{\\"epoch\\": 9, \\"error\\": 1}"', 1,
         ["reported epoch 9, not 1; for one report of the whole run: max_resource=1 objective.report=last; "
          "it printed nothing else"]),
    ],
)  # fmt: skip
def test_a_program_that_does_not_do_what_it_has_to_fails_its_trial_with_its_last_lines(script, n, expected):
    assert failure(script, n) == expected


def test_a_failure_after_the_last_report_is_one():
    assert failure('echo "{\\"error\\": 1}"; echo no room >&2; exit 2', target=1) == [
        "ended with exit code 2 after its last report; it printed last: no room",
        "no room",
    ]


def test_a_checkpoint_without_numbers_in_reports_is_refused_before_it_does_harm():
    (line,) = failure('touch "$HPO_CHECKPOINT/weights"; echo "{\\"error\\": 1}"', target=1)
    assert line.startswith('it writes a checkpoint, so its reports must say where they are: {"epoch": 1, …}')


def test_a_whole_run_without_a_report_has_failed():
    assert failure("echo x", report="last")[0].startswith("ended without a report, and no line can be read as a rep")
    assert failure("echo x", report="last", pattern="e=(?P<e>.*)")[0] == (
        "ended without a report, and no line fits objective.pattern='e=(?P<e>.*)'; it printed last: x"
    )
    assert failure('echo "{\\"error\\": 1}"; exit 1', report="last")[0].startswith("ended with exit code 1; ")


def test_garbage_in_megabytes_ends_in_the_last_lines(capfd):
    lines = failure("printf 'abc\\377\\000%0.s'; yes $(seq 200) | head -c 9000000; echo; echo end; exit 1")
    assert lines[0] == "ended with exit code 1 after 0 of 9 epochs; it printed last: end"
    assert lines[-1] == "end"
    assert len(lines) == 21
    assert len(capfd.readouterr().out) > 9_000_000


def test_a_line_without_an_end_is_no_danger():
    lines = failure("head -c 3000000 /dev/zero | tr '\\0' x; exit 1")
    assert len(lines[0]) < 1000


def test_a_program_that_takes_too_long_to_its_next_report_is_ended():
    assert failure("echo begins; exec sleep 1000", timeout=0.2) == [
        "no report for 0.2 s (objective.timeout); it printed last: begins",
        "begins",
    ]


LOCKS = "exec 9> lock; flock 9; {ignores} sh -c 'while true; do sleep 1000; done' & {and_then}"


needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="the scripts hold a lock by util-linux's flock")


@needs_flock
@pytest.mark.parametrize(
    ("ignores", "and_then"),
    [
        ("", 'echo "{\\"error\\": 1}"; wait'),
        ("trap '' TERM;", 'echo "{\\"error\\": 1}"; wait'),
        ("", 'echo "{\\"error\\": 1}"; exec >&- 2>&-; wait'),
    ],
)
def test_the_end_of_a_trial_is_that_of_all_that_its_program_has_started(ignores, and_then):
    objective = command(LOCKS.format(ignores=ignores, and_then=and_then), grace=0.1)
    state = started(objective)
    errors(objective, state, 1)
    assert not is_free()
    objective.close(state)
    wait_until_free()


@needs_flock
def test_the_end_of_a_program_is_that_of_all_that_it_has_started():
    objective = command(LOCKS.format(ignores="", and_then='echo "{\\"error\\": 1}"'))
    errors(objective, started(objective, 1), 1)
    wait_until_free()


def test_a_program_has_time_to_end_in_good_order(capfd):
    objective = command(
        "trap 'echo saved; exit' TERM; echo '{\"error\": 1}'; while true; do sleep 0.01; done", grace=50
    )
    state = started(objective)
    errors(objective, state, 1)
    objective.close(state)
    assert "saved" in capfd.readouterr().out
    objective.close(state)


@needs_flock
def test_a_program_doesn_t_outlive_the_process_that_started_it():
    script = LOCKS.format(ignores="trap '' TERM;", and_then='echo "{\\"error\\": 1}"; wait')
    Path("script.sh").write_text(script)
    code = (
        "import os, signal\nfrom pathlib import Path\n"
        "from hpo_pipeline.objective import TrialSpec\nfrom hpo_pipeline.objective.command import Command\n"
        "objective = Command('sh ./script.sh')\n"
        "objective.advance(objective.start(TrialSpec({'params': {}, 'max_resource': 9}, 0, Path('t'))))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "HPO_TRUST": "sh ./script.sh"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -9
    wait_until_free()


def is_free() -> bool:
    with open("lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def wait_until_free() -> None:
    with open("lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
