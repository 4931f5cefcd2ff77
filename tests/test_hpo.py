"""The command `hpo`: what it prints, what it leaves, and what it says of mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from commands import DIGITS, FREE, hpo, run
from written_journal import written_folder

from hpo_pipeline.journal import Journal
from hpo_pipeline.saved_study import load_study


def refused(*arguments: str) -> str:
    ended = hpo(*arguments)
    assert (ended.code, ended.out) == (2, "")
    return ended.err


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['hpo', '--help']\n"
        "from hpo_pipeline.commands import main\n"
        "try: main()\n"
        "finally:\n"
        "    heavy = ('torch', 'mlflow', 'scipy', 'pandas', 'matplotlib', 'rich', 'hydra', 'numpy', 'yaml')\n"
        "    print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "[]\n")
    for command in ("tune", "train", "status", "list", "report", "compare", "export", "sync", "clean", "ui"):
        assert f"\n  {command} " in ended.stdout
    assert "..." not in ended.stdout.partition("Commands:")[2]  # no help is cut short


def test_a_command_that_is_not_there_is_answered_with_the_nearest():
    assert "No such command 'stauts'. Did you mean 'status'?" in refused("stauts")
    assert "No such option: --jsn" in refused("status", "--jsn")


# -- tune, train -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("tune", ("--cfg", "job", "model=softmax")),
        ("train", ("model=softmax", "--cfg=job", "-p", "model")),
        ("tune", ("n_trials=3", "--config-dir", "gone")),
        ("train", ("--config-dri", "x")),
    ],
)
def test_tune_and_train_are_the_scripts(program, words):
    of_script, of_hpo = run(*words, program=program), hpo(program, *words)
    assert (of_hpo.code, of_hpo.out) == (of_script.code, of_script.out)
    said = (ended.err.replace("hpo:", f"{program}.py:").splitlines()[-1:] for ended in (of_hpo, of_script))
    assert next(said) == next(said)


def test_what_a_study_prints_is_typed_as_hpo():
    ended = hpo("tune", *FREE, "name=a", "n_trials=1")
    assert ended.code == 0
    assert "\n  hpo train objective=function " in ended.out
    said = "runs/a: this study exists; go on with it: hpo tune name=a resume=true; or choose another name=…\n"
    assert hpo("tune", "name=a").err == said


# -- status, list ------------------------------------------------------------------------------------------------------


def test_status_of_a_study_that_is_over():
    run(*FREE, "name=a", "n_trials=3", "scheduler=fifo", "max_resource=2", "searcher=random")
    best = load_study("runs/a").best
    assert best is not None
    lines = hpo("status", "a").out.splitlines()
    assert lines[0] == "runs/a: completed: the search is complete"
    assert lines[1:4] == [
        "  study     fifo, random, mlp, fashion_mnist",
        "  progress  100%, 3 of 3 trials: 3 completed",
        lines[3],
    ]
    assert lines[3].startswith("  spent     3 rung evaluations, 6 steps in ")
    assert lines[4] == f"  best      validation_error {best.value:#.4g}  (trial {best.trial}, step 2)"
    assert hpo("status").out == hpo("status", "runs").out == hpo("status", "runs/a").out


def test_status_of_one_at_work_and_of_one_that_was_broken_off():
    place = written_folder("runs/a")
    run(*FREE, "name=later", "n_trials=1")
    with Journal(place / "journal.jsonl"):
        assert hpo("status", "a").out.startswith("runs/a: running (")
        assert hpo("status").out.startswith("runs/a: running (")  # not the latest: those at work
        assert load_study(place).owner is not None
    lines = hpo("status", "a").out.splitlines()
    assert lines[0] == "runs/a: broken off"
    assert lines[-1] == "  go on     hpo tune name=a resume=true"
    assert load_study(place).owner is None
    assert hpo("status").out.startswith("runs/later: completed")


def test_status_as_json_is_a_line_a_study_with_what_json_can_not_hold_as_text():
    written_folder("runs/a", loss=float("nan"))
    run(*FREE, "name=b", "n_trials=2")
    a, b = map(json.loads, hpo("status", "a", "b", "--json").out.splitlines())
    assert (a["name"], a["state"], a["trials"], a["best"]) == ("s", "broken off", 1, None)
    assert (b["state"], b["trials"], b["limits"]["n_trials"], b["owner"]) == ("completed", 2, 2, None)


def test_a_list_names_what_it_can_not_read_and_goes_on():
    run(*FREE, "name=a", "n_trials=2", "max_resource=1")
    written_folder("runs/b")
    Path("runs/c").mkdir()
    Path("runs/c/journal.jsonl").write_text("no journal\n")
    ended = hpo("list")
    head, first, second = (line.split() for line in ended.out.splitlines())
    assert head[:3] == ["study", "state", "trials"]
    assert first[:3] == ["runs/a", "completed", "2"]
    assert second[:4] == ["runs/b", "broken", "off", "1"]
    assert (ended.code, ended.err.startswith("hpo: runs/c/journal.jsonl: line 1: this is not a journal")) == (2, True)


def test_names_that_are_no_studies_are_answered_with_those_that_are():
    assert (
        refused("list") == "hpo: there are no studies here, as there is no folder runs; name the folder that has them\n"
    )
    written_folder("runs/first")
    for command in ("status", "list", "export", "clean", "sync", "report", "ui"):
        assert refused(command, "frist") == "hpo: runs/frist: there is no such folder; did you mean 'first'?\n"
    assert refused("export", "runs") == (
        "hpo: runs: is no study's folder, as there is no journal.jsonl in it; studies there: first\n"
    )


def test_a_study_whose_config_can_not_be_read_holds_up_no_other():
    for name in ("a", "b"):
        written_folder(f"runs/{name}")
    Path("runs/a/config.yaml").write_text("a: &a [*a]\n")
    ended = hpo("status", "runs")
    assert (ended.code, ended.out.splitlines()[0]) == (2, "runs/b: broken off")
    assert ended.err.startswith("hpo: runs/a/config.yaml: can't be read (it refers to parts of itself")
    assert "File name too long" in refused("status", "x" * 300)


def test_what_a_stranger_calls_things_stays_in_its_line():
    written_folder("runs/a", name="evil\n\x1b[2J", error="a\nb\x1b[31m")
    for text in (hpo("status", "a").out, hpo("list").out):
        assert "\x1b" not in text
    assert len(hpo("list").out.splitlines()) == 2


# -- export ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_what_is_exported_reads_back_as_the_studys_frames(format):
    run(*FREE, "name=a", "n_trials=4", "scheduler=asha", "max_resource=4")
    ended = hpo("export", "a", "--format", format, "--to", "tables")
    study = load_study("runs/a")
    read = pd.read_csv if format == "csv" else pd.read_parquet
    frames = {"trials": study.trials.reset_index(), "evaluations": study.evaluations, "reports": study.reports}
    assert ended.out.splitlines() == [f"tables/{name}.{format}  {len(frame)} rows" for name, frame in frames.items()]
    for name, frame in frames.items():
        found = read(f"tables/{name}.{format}")
        assert list(found.columns) == list(frame.columns)
        pd.testing.assert_series_equal(found["value"], frame["value"])
        assert list(found["trial"]) == list(frame["trial"])


def test_a_hyperparameter_of_several_types_is_exported_as_text():
    written_folder("runs/a", configs=[{"x": 1}, {"x": "a"}, {"x": None}, {"x": True}, {}])
    assert hpo("export", "a", "--format", "parquet").code == 0
    found = pd.read_parquet("runs/a/export/trials.parquet")["params.x"]
    assert list(found.fillna("missing")) == ["1", "a", "missing", "True", "missing"]


def test_nothing_is_written_through_a_link_that_lies_in_the_study():
    place = written_folder("runs/a")
    Path("elsewhere").mkdir()
    (place / "export").symlink_to(Path("elsewhere").absolute())
    assert refused("export", "a") == "hpo: runs/a/export: is a link, which isn't followed; choose a folder: --to …\n"
    Path("file").touch()
    assert "file: can't be written" in refused("export", "a", "--to", "file")
    assert list(Path("elsewhere").iterdir()) == []


# -- clean -------------------------------------------------------------------------------------------------------------


def kept(pattern: str) -> set[str]:
    return {str(path) for path in Path("runs").glob(f"*/trials/*/{pattern}")}


def checkpoint(study: str, trial: int, size: int) -> None:
    folder = Path("runs", study, "trials", str(trial))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1.0123456789abcdef.ckpt").write_bytes(b"x" * size)
    (folder / "log.txt").write_text("a log\n")


def test_clean_says_what_it_would_remove_and_removes_it_when_told():
    run(*FREE, "name=a", "n_trials=2", "max_resource=1")
    for path in Path("runs/a").glob("trials/*/*.ckpt"):
        path.unlink()
    checkpoint("a", 0, 1500)
    checkpoint("a", 1, 500)
    said = "runs/a: 2.0 kB in checkpoints of 2 trials\n"
    assert hpo("clean").out == f"{said}Nothing was removed; --yes removes it.\n"
    assert len(kept("*.ckpt")) == 2
    assert hpo("clean", "a", "--yes").out == said
    assert kept("*.ckpt") == set()
    assert len(kept("log.txt")) == 2
    assert load_study("runs/a").state == "completed"


def test_what_an_unfinished_study_goes_on_from_stays_unless_all_is_told():
    written_folder("runs/a")
    checkpoint("a", 0, 10)
    assert hpo("clean", "a", "--yes").out == (
        "runs/a: 0 bytes in checkpoints of 0 trials; unfinished trials keep theirs (--all)\n"
    )
    assert len(kept("*.ckpt")) == 1
    assert hpo("clean", "a", "--all", "--yes").out == "runs/a: 10 bytes in checkpoints of 1 trial\n"
    assert kept("*.ckpt") == set()


def test_a_study_at_work_and_one_whose_trials_are_a_link_are_left_alone():
    place, linked = written_folder("runs/a"), written_folder("runs/b")
    checkpoint("a", 0, 10)
    (linked / "trials").symlink_to((place / "trials").absolute())
    with Journal(place / "journal.jsonl"):
        ended = hpo("clean", "--all", "--yes")
    assert (ended.code, ended.out) == (2, "")
    at_work, link = ended.err.splitlines()
    assert at_work.startswith("hpo: runs/a: a tuner is at work on it (")
    assert link == "hpo: runs/b/trials: is a link, which isn't followed; left as it is"
    assert len(kept("*.ckpt")) == 2  # one file, seen twice


def test_models_of_trials_go_where_asked_and_the_studys_own_stays():
    assert run(*DIGITS, "name=a", "n_trials=2", "max_resource=1").code == 0
    assert kept("*.best") != set()
    assert hpo("clean", "a", "--models", "--yes").code == 0
    assert kept("*.best") == kept("*.ckpt") == set()
    assert Path("runs/a/best/model.pt").is_file()
