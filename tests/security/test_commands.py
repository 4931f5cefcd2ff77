"""Programs that a stranger's file names are not run; those that a person types or trusts are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import run

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.command import Command
from hpo_pipeline.objective.program.template import Template

SPACE = "+search_space.params.x={type: float, low: 0, high: 1}"
QUIET = ("executor=serial", "tracker=none", "searcher=random", "scheduler=fifo", "n_trials=1", "max_resource=1")
STUDY = ("objective=command", SPACE, *QUIET, "name=s")
EVIL = "touch canary {params}"
EXPERIMENT = """# @package _global_
defaults: [{{override /objective: command}}]
objective: {{command: {command!r}}}
search_space: {{params: {{x: {{type: float, low: 0, high: 1}}}}}}
"""


def script(path: str = "script.sh") -> str:
    Path(path).write_text('touch was_run; echo "{\\"validation_error\\": 0.5}"\n')
    return f"sh ./{path} {{params}}"


def experiment(command: object) -> tuple[str, ...]:
    Path("conf/experiment").mkdir(parents=True, exist_ok=True)
    Path("conf/experiment/theirs.yaml").write_text(EXPERIMENT.format(command=command))
    return "--config-dir", "conf", "experiment=theirs", *QUIET, "name=s"


@pytest.mark.parametrize("command", [EVIL, ["sh", "-c", "touch canary"], "env X=1 touch canary", "./evil.sh"])
@pytest.mark.parametrize("dry", ["true", "false"])
def test_what_a_file_names_is_not_run(command, dry):
    ended = run(*experiment(command), f"dry_run={dry}")
    assert ended.code == 2
    assert "objective.command: " in ended.err
    assert "comes from a file, and is not on the trust list; if this is what you want to run, type" in ended.err
    assert sorted(path.name for path in Path().iterdir()) == ["conf"]


def test_an_option_of_a_group_names_no_program_either():
    Path("conf/objective").mkdir(parents=True)
    text = "_target_: hpo_pipeline.objective.command.Command\ncommand: touch canary\n"
    Path("conf/objective/theirs.yaml").write_text(text)
    for program in ("tune", "train"):
        typed = ("--config-dir", "conf", "objective=theirs", "tracker=none", "name=s")
        assert "'touch canary' comes from a file" in run(*typed, program=program).err
    assert sorted(path.name for path in Path().iterdir()) == ["conf"]


def test_what_is_typed_may_run_and_so_may_what_the_environment_trusts(monkeypatch):
    words = (*experiment(script()), "dry_run=true")
    assert run(*words).code == 2
    assert run(*words, f"objective.command='{script()}'").code == 0
    trust.trust(())
    assert run(*words).code == 2
    monkeypatch.setenv("HPO_TRUST", "my_lab, sh ./script.sh")
    assert run(*words).code == 0


def test_a_reference_that_is_typed_trusts_nothing_that_a_file_puts_behind_it():
    Path("conf/experiment").mkdir(parents=True)
    text = "# @package _global_\nparams: {program: touch canary}\n"
    Path("conf/experiment/theirs.yaml").write_text(text)
    typed = ("objective=command", "objective.command='${params.program} {params}'")
    ended = run("--config-dir", "conf", "experiment=theirs", *typed, SPACE, *QUIET)
    assert "objective.command: 'touch canary {params}' comes from a file" in ended.err
    assert sorted(path.name for path in Path().iterdir()) == ["conf"]


def test_a_saved_study_runs_its_program_where_that_is_typed_again_or_trusted(monkeypatch):
    typed = f"objective.command='{script()}'"
    assert run(*STUDY, typed).code == 0
    Path("was_run").unlink()
    # The command that is printed to go on with it types the program again.
    assert """'++objective.command='"'"'sh ./script.sh {params}'"'"'' resume=true""" in run(*STUDY, typed).err
    shutil.copytree("runs/s", "runs/theirs")
    config = Path("runs/theirs/config.yaml")
    config.write_text(config.read_text().replace("sh ./script.sh {params}", EVIL))

    resume = ("resume=true", "n_trials=2", "dry_run=true")
    saved = ("--config-path", "runs/s", "--config-name", "config", "name=again", "dry_run=true")
    for words in (("name=s", *resume), saved, ("name=theirs", *resume), ("name=theirs", *resume, f"++{typed}")):
        trust.trust(())
        ended = run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert "is not on the trust list" in ended.err or "keeps what it began with" in ended.err
    assert run("name=s", *resume, f"++{typed}").code == 0
    monkeypatch.setenv("HPO_TRUST", "sh ./script.sh")
    assert run("name=s", *resume).code == 0
    assert run(*saved).code == 0
    assert run("name=theirs", *resume).code == 2
    assert not Path("canary").exists()
    assert not Path("was_run").exists()


def test_the_program_can_t_be_tuned(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "sh ./script.sh")
    tuned = "+search_space.objective.command={type: choice, choices: [touch canary, touch cuckoo]}"
    ended = run(*experiment(script()), tuned)
    assert ended.code == 2
    assert "is one for the whole study; it can't be tuned" in ended.err
    assert not Path("was_run").exists()


@pytest.mark.parametrize(
    ("entry", "command", "runs"),
    [
        ("python train.py", "python train.py --epochs 3", True),
        ("python train.py", "python  'train.py' {params}", True),
        ("python train.py", "python -c 'import os' train.py", False),
        ("python train.py", "python", False),
        ("python train.py", "python train.pyc", False),
        ("python train.py", "python3 train.py", False),
        ("python train.py", ["python train.py"], False),
        ("./run.sh", "./run.sh {params.x}", True),
        ("./run.sh", "./run.sh.evil", False),
        ("./run.sh", "run.sh", False),
        ("my_lab", "my_lab serve", False),
        ("my_lab.run", "my_lab.run", False),
    ],
)
def test_an_entry_trusts_the_commands_that_begin_with_its_words(monkeypatch, entry, command, runs):
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setenv("HPO_TRUST", entry)
    trust.read_environment()
    assert trust.may_be_run(Template.parse(command).words) == runs
    if not runs:
        with pytest.raises(ConfigError, match="is not on the trust list"):
            Command(command)


def test_a_command_that_is_trusted_trusts_no_module(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "./trap.sh")
    trust.read_environment()
    assert not trust.may_be_named("./trap.sh")
    assert not trust.covers("./trap.sh.x")


def test_a_missing_comma_between_modules_makes_no_command(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "my_lab my_net")
    assert "HPO_TRUST: must be modules or names in them, each written out, or commands" in run(*STUDY).err
    monkeypatch.setenv("HPO_TRUST", "sh 'x")
    assert "HPO_TRUST: must be modules or names" in run(*STUDY).err


@pytest.mark.parametrize(
    ("command", "entry"),
    [
        ("python train.py --lr {params.lr}", "'python train.py'"),
        ("./train.sh --lr {params.lr}", "'./train.sh'"),
        ("python -m my_lab.train {params}", "'python -m my_lab.train'"),
        ("awk -f train.awk {params}", "'awk -f train.awk'"),
    ],
)
def test_who_may_trust_a_command_is_told_how(command, entry):
    with pytest.raises(ConfigError) as error:
        Command(command)
    assert error.value.lines[0].endswith(f"or set the environment variable HPO_TRUST={entry}")
