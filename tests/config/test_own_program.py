"""`tune(config_dir=…, trust=…)` in a script of a person's own: a command that knows its options and its code."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ROOT, run, script

from hpo_pipeline import compose, tune
from hpo_pipeline.config.command_line import CommandLine, Program
from hpo_pipeline.errors import ConfigError, StudyError

FILES = {
    "lab/tune.py": "from hpo_pipeline.config import tune\ntune(config_dir='lab/conf', trust=['my_lab'])\n",
    "lab/my_lab.py": (
        "def bowl(config, resource, seed):\n"
        "    return {'loss': (config['params']['x'] - 1) ** 2 + 1 / resource}\n"
        "def other(config, resource, seed):\n"
        "    return {'loss': 0.0}\n"
    ),
    "lab/conf/objective/bowl.yaml": (
        "# @package _global_\ndefaults: [function, _self_]\nobjective: {function: my_lab.bowl}\n"
    ),
    "lab/conf/search_space/bowl.yaml": "params:\n  x: {type: float, low: -2, high: 2}\n",
    "theirs/experiment/free.yaml": "# @package _global_\nseed: 7\n",
    "theirs/experiment/code.yaml": "# @package _global_\nobjective: {function: os.system}\n",
    "theirs/experiment/folder.yaml": "# @package _global_\nhydra: {searchpath: [pkg://somebodys.conf]}\n",
}
BOWL = ("objective=bowl", "search_space=bowl", "metric=loss")
QUICK = ("executor=serial", "tracker=none", "scheduler=fifo", "max_resource=1", "n_trials=2", "finalists.n=0", "name=s")


@pytest.fixture(autouse=True)
def _project() -> None:
    for path, text in FILES.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)


def test_its_options_are_found_its_code_is_trusted_and_what_was_printed_goes_on():
    ended = script("lab/tune.py", *BOWL, *QUICK)
    assert ended.code == 0, ended.err
    assert "2 trials" in ended.out
    (line,) = (line.strip() for line in ended.out.splitlines() if "hpo-train" in line)
    assert line.startswith("env HPO_TRUST=my_lab hpo-train --config-dir lab/conf ")
    Path("lab/train.py").write_text("")  # from now on, there is a program for it
    refused = script("lab/tune.py", *BOWL, *QUICK)
    assert refused.code == 2
    command = shlex.split(refused.err.partition("go on with it: ")[2].partition("; or choose")[0])
    assert command[:3] == ["python", "lab/tune.py", "name=s"]
    ended = script(command[1], *command[2:], "n_trials=3")
    assert "3 trials" in ended.out
    assert "python lab/train.py " in ended.out


def test_an_installed_command_is_printed_by_its_name():
    own = Program("tune", "/lab/conf")
    line = CommandLine("/usr/bin/my-tune", own=own, trusted=("my_lab", "sh run.sh"))
    assert line.same("tune") == ["my-tune"]
    assert line.other("train") == ["env", "HPO_TRUST=my_lab,sh run.sh", "hpo-train", "--config-dir", "/lab/conf"]
    both = replace(line, config_dir="theirs").other("train")
    assert both[3] == "hydra.searchpath=[pkg://hpo_pipeline.conf,file://theirs,file:///lab/conf]"


def test_a_folder_that_is_typed_comes_on_top():
    ended = script("lab/tune.py", "--config-dir", "theirs", *BOWL, *QUICK[:-2], "experiment=free", "dry_run=true")
    assert ended.code == 0, ended.err
    assert "every trial to 1" in ended.out


def test_an_option_with_the_name_of_an_installed_one_is_not_left_out_silently():
    text = (ROOT / "conf/scheduler/fifo.yaml").read_text()
    Path("lab/conf/scheduler").mkdir()
    Path("lab/conf/scheduler/fifo.yaml").write_text(text)
    words = (*BOWL, *QUICK, "dry_run=true")
    assert "is not used" not in script("lab/tune.py", *words).out  # it is a copy
    Path("lab/conf/scheduler/fifo.yaml").write_text("_target_: my_lab.Mine\n")
    said = "lab/conf/scheduler/fifo.yaml: is not used, as hpo_pipeline has a scheduler=fifo of its own"
    assert said in script("lab/tune.py", *words).out


def test_its_options_are_in_its_help_and_in_no_others():
    assert " bowl" in script("lab/tune.py", "--help").out
    assert " bowl" not in run("--help").out


def test_its_options_are_in_what_is_said_of_mistakes():
    mistaken = script("lab/tune.py", "objective=bowll")
    assert mistaken.code == 2
    assert "there is no 'bowll'; did you mean 'bowl'?" in mistaken.err


@pytest.mark.parametrize(
    ("file", "said"), [("code", "'os.system' is not on the trust list"), ("folder", "hydra.searchpath")]
)
def test_a_strangers_file_extends_neither(file, said):
    ended = script("lab/tune.py", "--config-dir", "theirs", *BOWL, *QUICK, f"experiment={file}")
    assert ended.code == 2
    assert said in ended.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("config_dir='nowhere'", "config_dir: there is no folder"),
        ("trust=['*']", "trust: must be modules or names in them"),
        ("trust=['my lab']", "trust: must be modules or names in them"),
    ],
)
def test_what_it_says_is_checked(call, said):
    Path("lab/tune.py").write_text(f"from hpo_pipeline.config import tune\ntune({call})\n")
    ended = script("lab/tune.py", *BOWL)
    assert ended.code == 2
    assert said in ended.err


def test_python_trusts_what_is_written_in_python(monkeypatch):
    monkeypatch.syspath_prepend("lab")
    with pytest.raises(ConfigError, match=r"my_lab\.bowl.*HPO_TRUST"):
        tune(*BOWL, *QUICK, config_dir="lab/conf")
    study = tune(*BOWL, *QUICK, config_dir="lab/conf", trust=["my_lab"])
    assert len(study.trials) == 2
    with pytest.raises(StudyError, match=r"go on with it: env HPO_TRUST=my_lab hpo tune --config-dir lab/conf name=s"):
        tune(*BOWL, *QUICK, config_dir="lab/conf", trust=["my_lab"])
    assert compose("tune", *BOWL, config_dir="lab/conf", trust=["my_lab"])["objective"]["function"] == "my_lab.bowl"


def test_the_checkouts_own_programs_say_nothing():
    for name in ("tune", "train"):
        assert f"    {name}()\n" in (ROOT / f"{name}.py").read_text()
