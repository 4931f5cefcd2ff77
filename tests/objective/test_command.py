"""Programs as objectives: what they are told, what becomes of what they print, and how they end."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.command import Command, CommandError, CommandState

COUNTS = """
start=0
[ -f "$HPO_CHECKPOINT/epoch" ] && start=$(cat "$HPO_CHECKPOINT/epoch")
echo "begins after $start"
epoch=$start
while [ $epoch -lt $HPO_RESOURCE ]; do
  epoch=$((epoch + 1))
  echo "{\\"epoch\\": $epoch, \\"error\\": 0.$epoch}"
  echo $epoch > "$HPO_CHECKPOINT/epoch"
done
"""
"""Reports 0.1, 0.2, ..., and keeps a checkpoint."""

FORGETS = 'for epoch in $(seq $HPO_RESOURCE); do echo "{\\"error\\": 0.$epoch}"; done'
"""Reports the same, and keeps none."""


@pytest.fixture(autouse=True)
def _at_most() -> Iterator[None]:
    """What waits for ever fails after a minute."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)


def command(script: str, *arguments: str, **keys: Any) -> Command:
    """A shell script as the program, with these arguments."""
    Path("script.sh").write_text(script)
    trust.trust(("sh ./script.sh",))
    return Command(["sh", "./script.sh", *arguments], **keys)


def started(objective: Command, target: int = 9, **config: Any) -> CommandState:
    state = objective.start(trial(**config))
    objective.set_target(state, target)
    return state


def trial(seed: int = 5, **config: Any) -> TrialSpec:
    return TrialSpec({"trial": 7, "seed": 0, "max_resource": 9, "params": {}, **config}, seed, Path("trials/7"))


def errors(objective: Command, state: CommandState, n: int) -> list[float]:
    return [objective.advance(state)["error"] for _ in range(n)]


def failure(script: str, n: int = 1, target: int = 9, **keys: Any) -> list[str]:
    """What a program fails with, line by line, at its n-th report."""
    objective = command(script, **keys)
    state = started(objective, target)
    errors(objective, state, n - 1)
    with pytest.raises(CommandError) as error:
        objective.advance(state)
    assert state.running is None
    return str(error.value).splitlines()


def test_each_line_with_a_json_object_is_a_report_and_all_else_is_log(capfd):
    objective = command('echo hello; echo "{\\"epoch\\": 1, \\"error\\": 0.5, \\"b\\": 2}"; echo bye >&2')
    assert objective.advance(started(objective, 1)) == {"error": 0.5, "b": 2.0}
    assert sorted(capfd.readouterr().out.split()) == ["bye", "hello"]


def test_reports_may_be_written_to_a_pipe_of_their_own_instead():
    objective = command(
        'exec >&-; echo "{\\"error\\": 0.5}" > "$HPO_REPORT"; echo "{\\"error\\": 0.25}" > "$HPO_REPORT"'
    )
    assert errors(objective, started(objective, 2), 2) == [0.5, 0.25]


def test_a_program_is_told_of_its_trial_by_placeholders_and_by_its_environment():
    placeholders = (
        "resource",
        "max_resource",
        "start",
        "seed",
        "trial",
        "threads",
        "checkpoint",
        "directory",
        "config",
    )
    script = 'for word in "$@"; do echo "$word" >> told; done; env > environment; echo "{\\"error\\": 1}"'
    objective = command(script, *(f"{{{name}}}" for name in placeholders), "{params.lr}", "{params}", threads=3)
    state = started(objective, 4, params={"lr": 0.5, "sgd": {"momentum": 0.9}})
    objective.advance(state)
    objective.close(state)
    folder = Path("trials/7").absolute()
    told = [
        "4",
        "9",
        "0",
        "5",
        "7",
        "3",
        f"{folder}/working/checkpoint",
        f"{folder}/files",
        f"{folder}/working/config.json",
    ]
    params = ["0.5", "--lr", "0.5", "--sgd.momentum", "0.9"]
    assert Path("told").read_text().splitlines() == told + params
    environment = dict(line.split("=", 1) for line in Path("environment").read_text().splitlines() if "=" in line)
    assert [environment[f"HPO_{name.upper()}"] for name in placeholders] == told
    assert (environment["OMP_NUM_THREADS"], environment["PYTHONUNBUFFERED"]) == ("3", "1")
    assert json.loads(Path(told[-1]).read_text()) == state.trial.config


@pytest.mark.parametrize("seed", [5, 2**63 - 1, 2**31])
def test_a_seed_is_one_that_any_language_takes(seed):
    objective = command('echo "{\\"error\\": $HPO_SEED}"')
    state = objective.start(trial(seed))
    objective.set_target(state, 1)
    assert objective.advance(state)["error"] == seed % 2**31 < 2**31


def test_a_program_with_a_checkpoint_goes_on_in_a_new_process(capfd):
    objective = command(COUNTS)
    state = started(objective, 2)
    assert errors(objective, state, 2) == [0.1, 0.2]
    assert state.running is None
    objective.set_target(state, 3)
    assert errors(objective, state, 3) == [0.3, 0.4, 0.5]
    assert capfd.readouterr().out.splitlines() == ["begins after 0", "begins after 2"]
    assert objective.notices() == []


def test_one_without_trains_from_the_beginning_and_what_it_repeats_is_skipped():
    objective = command(FORGETS)
    state = started(objective, 2)
    assert errors(objective, state, 2) == [0.1, 0.2]
    objective.set_target(state, 2)
    assert errors(objective, state, 2) == [0.3, 0.4]
    (said,) = objective.notices()
    assert said.startswith("the program keeps no checkpoint")


@pytest.mark.parametrize("script", [COUNTS, FORGETS])
def test_a_trial_goes_on_from_what_was_saved_at_the_end_of_a_job(script):
    objective = command(script)
    state = started(objective, 2)
    errors(objective, state, 2)
    objective.save(state, Path("saved"))
    objective.set_target(state, 2)
    errors(objective, state, 2)  # its checkpoint is ahead now
    again = command(script)
    loaded = again.load(trial(), Path("saved"))
    again.set_target(loaded, 3)
    assert errors(again, loaded, 3) == [0.3, 0.4, 0.5]


def test_another_trial_s_checkpoint_is_gone_on_from_by_its_own_count():
    objective = command(COUNTS)
    state = started(objective, 4)
    errors(objective, state, 4)
    objective.save(state, Path("saved"))
    other = TrialSpec({"trial": 8, "params": {}}, 1, Path("trials/8"))
    taken = objective.load(other, Path("saved"))
    objective.set_target(taken, 2)
    assert errors(objective, taken, 2) == [0.5, 0.6]
    assert Path("trials/8/working/checkpoint/epoch").read_text() == "6\n"
    assert Path("trials/7/working/checkpoint/epoch").read_text() == "4\n"


def test_what_a_program_has_reported_before_a_crash_is_not_trained_again(capfd):
    objective = command(COUNTS)
    state = started(objective, 6)
    errors(objective, state, 2)
    objective.save(state, Path("saved"))  # in the middle of a job
    errors(objective, state, 2)
    objective.close(state)
    Path("trials/7/working/checkpoint/epoch").write_text("4\n")
    again = command(COUNTS)
    loaded = again.load(trial(), Path("saved"))
    again.set_target(loaded, 4)
    assert errors(again, loaded, 4) == [0.3, 0.4, 0.5, 0.6]
    assert "begins after 4" in capfd.readouterr().out


def test_a_checkpoint_ahead_of_what_was_recorded_is_given_up(capfd):
    objective = command(COUNTS)
    state = started(objective, 6)
    errors(objective, state, 2)
    objective.save(state, Path("saved"))
    objective.close(state)
    Path("trials/7/working/checkpoint/epoch").write_text("4\n")
    loaded = objective.load(trial(), Path("saved"))
    objective.set_target(loaded, 4)
    assert errors(objective, loaded, 4) == [0.3, 0.4, 0.5, 0.6]
    assert "goes on with epoch 5, but 3 was never reported: once more from the beginning" in capfd.readouterr().out


def test_a_new_trial_finds_nothing_of_an_earlier_attempt():
    objective = command(COUNTS)
    errors(objective, started(objective, 3), 3)
    assert errors(objective, started(objective, 1), 1) == [0.1]
    assert Path("trials/7/working/reports.jsonl").read_text().count("\n") == 1


def test_links_in_a_checkpoint_are_saved_as_what_they_lead_to():
    objective = command(COUNTS + 'ln -sf epoch "$HPO_CHECKPOINT/last"; ln -s nowhere "$HPO_CHECKPOINT/dangling"\n')
    state = started(objective, 1)
    errors(objective, state, 1)
    os.mkfifo("trials/7/working/checkpoint/pipe")
    objective.save(state, Path("saved"))
    assert sorted(os.listdir("saved/checkpoint")) == ["epoch", "last"]
    assert not Path("saved/checkpoint/last").is_symlink()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"resource": "1", "at_rest": true}'])
def test_what_is_no_checkpoint_is_refused_by_its_name(content):
    objective = command(COUNTS)
    Path("saved").mkdir()
    Path("saved/progress.json").write_text(content)
    with pytest.raises(StudyError, match="saved: not a checkpoint"):
        objective.load(trial(), Path("saved"))


def test_a_program_may_say_that_it_is_finished_before_its_end():
    objective = command('echo "{\\"error\\": 1}"; echo "{\\"error\\": 2, \\"finished\\": true}"')
    state = started(objective, 9)
    assert errors(objective, state, 1) == [1]
    assert objective.finished(state) == ""
    assert errors(objective, state, 1) == [2]
    assert objective.finished(state) == "its program says that it is finished"
    assert state.running is None


def test_the_last_report_of_a_whole_run_counts():
    objective = command('echo "{\\"error\\": 3}"; echo "{\\"error\\": 2}"; echo bye', report="last")
    assert objective.advance(started(objective, 1)) == {"error": 2.0}


def test_a_pattern_reads_a_script_that_knows_nothing_of_us():
    script = 'echo "epoch 1, loss 3"; echo "epoch 2, loss 2"; echo "final loss: 1.5 (test 9)"'
    whole = command(script, pattern=r"final loss: (?P<loss>\S+)")
    assert whole.advance(started(whole, 1)) == {"loss": 1.5}
    each = command(script, pattern=r"epoch (?P<epoch>\d+), loss (?P<loss>\S+)")
    state = started(each, 2)
    assert [each.advance(state)["loss"] for _ in range(2)] == [3, 2]


def test_a_program_that_prints_one_number_needs_a_pattern_alone():
    objective = command("echo training; echo 0.25", pattern=r"^(?P<error>[-+.\deE]+)$")
    assert objective.advance(started(objective, 1)) == {"error": 0.25}


def test_one_that_reports_its_last_epoch_twice_still_ends_by_itself():
    script = """
echo '{"epoch": 1, "error": 1}'; echo '{"epoch": 1, "error": 1}'; echo kept > "$HPO_CHECKPOINT/last"
"""
    objective = command(script)
    assert errors(objective, started(objective, 1), 1) == [1]
    assert Path("trials/7/working/checkpoint/last").exists()


def test_one_that_trains_on_behind_its_target_is_ended():
    objective = command('while true; do echo "{\\"error\\": 1}"; done')
    state = started(objective, 2)
    assert errors(objective, state, 2) == [1, 1]
    assert state.running is None


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


CONFIG: Mapping[str, Any] = {"trial": 0, "max_resource": 9, "params": {"lr": 0.5, "units": 3}, "model": None}


@pytest.mark.parametrize(
    ("words", "config", "expected"),
    [
        ("sh x {params}", {}, []),
        ("sh x {params=} {resource} {max_resource}", {}, []),
        ("sh x {config}", {"model": {"_target_": "m", "n": 1}}, []),
        ("sh x {params.lr} {params.units}", {}, []),
        (
            "sh x {params.lr}",
            {},
            ["params.units: the program wouldn't get it; add {params.units} to objective.command"],
        ),
        ("sh x", {"params": {}}, []),
        ("sh x {param.lr} {params}", {}, ["there is no {param.lr} in a trial's config; did you mean 'params.lr'?"]),
        ("sh x {resources} {params}", {}, ["there is no {resources} in a trial's config; did you mean 'resource'?"]),
        ("sh x {params.lr} {params}", {"params": {"lr": None}}, ["{params.lr} has no value in some trials"]),
        ("sh x {params}", {"model": {"_target_": "m", "n": 1}}, ["model.n: the program wouldn't get it"]),
        ("no/such/program {params}", {}, ["there is no program 'no/such/program'; is it installed, or in this folder"]),
        ("./plain.txt {params}", {}, ["'./plain.txt' can't be run; allow it (chmod +x ./plain.txt)"]),
    ],
)
def test_what_would_keep_a_program_from_knowing_its_trial_is_found_before_anything_starts(words, config, expected):
    Path("plain.txt").touch()
    trust.trust((words,))
    found = list(map(str, Command(words).problems({**CONFIG, **config})))
    assert len(found) == len(expected), found
    for line, part in zip(found, expected, strict=True):
        assert part in line


def test_all_wrong_arguments_are_named_at_once():
    trust.trust(())
    with pytest.raises(ConfigError) as error:
        Command("sh x", unit="", report="some", pattern="(", timeout=-1, grace="x")
    paths = [line.partition(":")[0] for line in error.value.lines]
    assert paths == ["report", "timeout", "grace", "unit", "command"]
    trust.trust(("sh x",))
    (problem,) = Command("sh x", report="last").problems({**CONFIG, "params": {}})
    assert str(problem).startswith("objective.report: ")
    assert math.isinf(Command("sh x")._timeout)


def test_no_torch_numpy_or_scipy_is_imported_for_a_program():
    heavy = ("torch", "numpy", "scipy", "mlflow")
    code = f"import sys, hpo_pipeline.objective.command; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
