"""Programs as objectives: what they are told, what becomes of what they print, and how they end."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from scripts import COUNTS, FORGETS, at_most, command, errors, started, trial

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.command import Command

__all__ = ["at_most"]
pytestmark = pytest.mark.usefixtures("at_most")


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
