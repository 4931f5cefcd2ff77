"""Studies of programs: promoted, killed and resumed, taken over, trained again."""

from __future__ import annotations

import math
import os
import select
import signal
from pathlib import Path

import pytest
from commands import ROOT, curve, journal, run, rung_table, start

SHELL = f"objective.command='sh {ROOT}/examples/script.sh {{params.step}}'"
STEP = "+search_space.params.step={type: float, low: 0.05, high: 1.95}"
STUDY = ("objective=command", STEP, "tracker=none", "searcher=random", "name=s")

GATED = """
if [ "$HPO_TRIAL" = 3 ] && [ -p gate ]; then
  echo '{"epoch": 1, "validation_error": 1}'
  read -r line < gate
fi
"""


def newton(step: float, epochs: int) -> list[float]:
    """What examples/script.sh reports, epoch by epoch."""
    x, errors = 9.0, []
    for _ in range(epochs):
        x -= step * (x * x - 2) / (2 * x)
        errors.append(abs(x - math.sqrt(2)))
    return errors


def reported(name: str = "s") -> dict[int, list[tuple[int, float]]]:
    """Trial -> what is in the journal of it."""
    records = journal(name)
    trials = sorted({record["trial"] for record in records if record["event"] == "report"})
    return {i: [(at, metrics["validation_error"]) for at, metrics in curve(records, i)] for i in trials}


def steps(name: str = "s") -> dict[int, float]:
    return {r["trial"]: r["config"]["params.step"] for r in journal(name) if r["event"] == "suggested"}


def check_curves(name: str = "s") -> None:
    for trial_id, points in reported(name).items():
        expected = newton(steps(name)[trial_id], 9)
        for at, error in points:
            assert error == pytest.approx(expected[at - 1], rel=1e-12, abs=1e-14), (trial_id, at)


def test_killed_and_resumed_a_study_trains_no_epoch_again_and_leaves_no_program_behind():
    os.mkfifo("gate")
    Path("script.sh").write_text(GATED + (ROOT / "examples" / "script.sh").read_text())
    typed = "objective.command='sh ./script.sh {params.step}'"
    words = (*STUDY, "scheduler=asha", "max_resource=9", "n_trials=8", "executor.n_workers=2")
    tuner = start(*words, typed)
    gate = os.open("gate", os.O_WRONLY)  # as soon as trial 3 waits there
    os.kill(tuner.pid, signal.SIGKILL)
    tuner.wait()
    assert tuner.stdout is not None
    assert tuner.stderr is not None
    tuner.stdout.close()
    tuner.stderr.close()
    end = select.poll()
    end.register(gate, 0)
    assert end.poll(60_000)  # the program that was waiting is gone
    os.close(gate)
    os.remove("gate")
    before = journal("s")

    ended = run("name=s", "resume=true", f"++{typed}")
    assert ended.code == 0, ended.err
    records = journal("s")
    assert records[: len(before)] == before
    assert len(rung_table(records)) == 3
    assert {at for points in reported().values() for at, _ in points} == set(range(1, 10))
    kept = {trial_id: points for trial_id, points in reported().items() if trial_id != 3}
    assert all([at for at, _ in points] == list(range(1, len(points) + 1)) for points in kept.values())
    check_curves()


def test_a_promoted_trial_goes_on_from_its_checkpoint_and_is_trained_again_to_the_same_numbers():
    ended = run(*STUDY, SHELL, "scheduler=successive_halving", "max_resource=9", "n_trials=9", "executor=serial")
    assert ended.code == 0, ended.err
    check_curves()
    best, points = max(reported().items(), key=lambda trial: len(trial[1]))
    assert [at for at, _ in points] == list(range(1, 10))
    again = run("objective=command", SHELL, f"params.step={steps()[best]!r}", "max_resource=9", "tracker=none",
                f"trial={best}", "name=t", program="train")  # fmt: skip
    assert again.code == 0, again.err
    assert reported("t")[best] == reported()[best]


def test_a_population_hands_on_checkpoints_of_programs():
    script = """
echo "$HPO_TRIAL" >> "$HPO_CHECKPOINT/lineage"
echo lineage $(cat "$HPO_CHECKPOINT/lineage")
[ -f "$HPO_CHECKPOINT/epoch" ] && epoch=$(cat "$HPO_CHECKPOINT/epoch") || epoch=0
while [ $epoch -lt $HPO_RESOURCE ]; do
  epoch=$((epoch + 1)); echo $epoch > "$HPO_CHECKPOINT/epoch"
  echo "{\\"epoch\\": $epoch, \\"validation_error\\": $HPO_TRIAL}"
done
"""
    Path("script.sh").write_text(script)
    typed = "objective.command='sh ./script.sh {params.step}'"
    population = (
        "scheduler=pbt",
        "scheduler.population=4",
        "max_resource=4",
        "n_trials=4",
        "executor=process",
        "executor.n_workers=1",
    )
    ended = run(*STUDY, typed, *population)
    assert ended.code == 0, ended.err
    logs = [Path(path).read_text() for path in Path("runs/s/trials").glob("*/log.txt")]
    lineages = {tuple(line.split()[1:]) for log in logs for line in log.splitlines() if line.startswith("lineage")}
    assert any(len(set(lineage)) > 1 for lineage in lineages), lineages
    assert all(at == sorted(at) for at in ([at for at, _ in points] for points in reported().values()))


def test_a_program_that_prints_garbage_fails_its_trial_with_its_last_lines():
    Path("script.sh").write_text("echo all is lost; echo Error: no such data >&2; exit 3\n")
    typed = "objective.command='sh ./script.sh {params.step}'"
    ended = run(*STUDY, typed, "scheduler=fifo", "n_trials=1", "max_resource=9", "executor=serial", "max_failures=5")
    (result,) = [record for record in journal("s") if record["event"] == "result"]
    assert result["outcome"] == "failed"
    assert result["error"].startswith("CommandError: ended with exit code 3 after 0 of 9 epochs; it printed last: ")
    assert {"all is lost", "Error: no such data"} < set(result["traceback"].splitlines())
    log = Path("runs/s/trials/0/log.txt").read_text()
    assert "all is lost\n" in log
    assert "ended with exit code 3" in log
    assert "all is lost" in ended.out


def test_it_is_said_once_that_a_program_keeps_no_checkpoint():
    Path("script.sh").write_text(
        'for e in $(seq $HPO_RESOURCE); do echo "{\\"validation_error\\": $HPO_TRIAL.$e}"; done\n'
    )
    typed = "objective.command='sh ./script.sh {params.step}'"
    ended = run(*STUDY, typed, "scheduler=successive_halving", "max_resource=9", "n_trials=9", "executor=serial")
    assert ended.code == 0, ended.err
    assert len(reported()[0]) == 9
    said = "the program keeps no checkpoint where HPO_CHECKPOINT says: to go on, it trains from the beginning"
    assert [line.endswith(said) for line in ended.out.splitlines() if said in line and "skipped" not in line] == [True]
