"""`output=json`: standard output holds events, one a line, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from commands import FREE, ROOT, journal, run

QUICK = (*FREE, "name=x", "n_trials=3", "max_resource=3")


def test_the_events_are_those_of_the_journal_and_a_summary():
    ended = run(*QUICK, "output=json")
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in ended.out.splitlines()]
    written = journal("x")
    told = [event for event in events if event["event"] not in ("notice", "summary")]
    assert told == [record for record in written if record["event"] != "study"]
    (summary,) = [event for event in events if event["event"] == "summary"]
    assert events[-1] is summary
    best = min((r for r in written if r["event"] == "report"), key=lambda r: r["metrics"]["validation_error"])
    assert summary["best"]["metrics"] == best["metrics"]
    assert (summary["best"]["trial"], summary["best"]["resource"]) == (best["trial"], best["resource"])
    assert (summary["state"], summary["trials"], summary["folder"]) == ("completed", 3, "runs/x")
    assert summary["commands"]["winner"].endswith(f"trial={best['trial']} resource={best['resource']}")
    assert "Train the best one again" in ended.err


def test_values_that_json_has_not_are_text():
    code = (
        "from hpo_pipeline.report.json_lines import JsonLines; import sys; "
        "JsonLines(sys.stdout).add('x', a=[float('nan'), 1.5], b={'c': float('-inf')})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout, parse_constant=lambda word: 1 / 0) == {
        "event": "x",
        "a": ["nan", 1.5],
        "b": {"c": "-inf"},
    }


def test_what_programs_print_past_python_goes_to_standard_error():
    """A real process: what is behind standard output is a file there."""
    Path("noisy.py").write_text(
        "import os\n"
        "def train(config, trial):\n"
        "    os.system('echo from a program')\n"
        "    print('from python')\n"
        "    trial.report(1, validation_error=0.5)\n"
    )
    words = ("objective=train_function", "objective.function=noisy.train", "executor=serial", "tracker=none")
    space = "+search_space.params.x={type: float, low: 0, high: 1}"
    command = [sys.executable, str(ROOT / "tune.py"), *words, space, "n_trials=1", "max_resource=1", "output=json"]
    environment = {**os.environ, "HPO_TRUST": "noisy.*"}
    done = subprocess.run([*command, "name=x"], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line)["event"] for line in done.stdout.splitlines())
    assert "from a program" in done.stderr
    assert "from python" in done.stderr


def test_an_output_that_is_none_is_told():
    ended = run(*QUICK, "output=jsn")
    assert ended.code == 2
    assert "output: must be one of auto, lines, json, got 'jsn'; did you mean 'json'?" in ended.err
