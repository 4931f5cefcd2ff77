"""Every command that is printed or saved runs, wherever the study was started from and its options lie."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from commands import ROOT, Ended, journal, run, rung_table

NET = {
    "my_net.py": (
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, input_shape, n_classes, hidden):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, n_classes))\n"
    ),
    "mine/model/net.yaml": "_target_: my_net.Net\nhidden: 8\n",
    "mine/search_space/net.yaml": "model:\n  hidden: {type: int, low: 2, high: 16}\n",
    "theirs/study.yaml": (
        "defaults: [tune, override model: net, override tracker: none, _self_]\n"
        "n_trials: 2\n"
        "hydra: {searchpath: [pkg://hpo_pipeline.conf]}\n"
    ),
    "theirs/model/net.yaml": "_target_: my_net.Net\nhidden: 8\n",
    "theirs/search_space/net.yaml": "model:\n  hidden: {type: int, low: 2, high: 16}\n",
}
QUICK = ("dataset=digits", "executor=serial", "tracker=none", "scheduler=fifo", "max_resource=1", "n_trials=2")


@pytest.fixture(autouse=True)
def _own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in NET.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    monkeypatch.setenv("HPO_TRUST", "my_net.*")


def typed(command: str, *more: str) -> Ended:
    """The command as a person pastes it, with more words behind it."""
    words = shlex.split(command)
    if words[0] == "python":
        assert Path(words[1]).is_file(), command
        program, arguments = Path(words[1]).stem, words[2:]
    else:
        program, arguments = words[0].removeprefix("hpo-"), words[1:]
    return run(*arguments, *more, program=program, started=words[1] if words[0] == "python" else words[0])


def printed(ended: Ended, folder: str) -> dict[str, str]:
    """The commands of a finished study: the winner's, and that of its config."""
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    train = lines[next(i for i, line in enumerate(lines) if line.startswith("Train the best one again")) + 1]
    head = Path(folder, "config.yaml").read_text().splitlines()[1]
    return {"train": train.strip(), "again": head.removeprefix("#").strip()}


@pytest.mark.parametrize("started", ["hpo-tune", "checkout"])
@pytest.mark.parametrize(
    "words",
    [
        ("--config-dir", "mine", "model=net"),
        ("--config-dir=mine", "model=net", "folder=elsewhere/${name}"),
        ("hydra.searchpath=[file://mine]", "model=net"),
        ("--config-path", "theirs", "--config-name", "study"),
        ("model=softmax", "optimizer.weight_decay=0.25", "seed=3"),
        ("model=softmax", "~search_space.dataset", "dataset.batch_size='${oc.decode:${oc.env:BATCH}}'"),
        (
            "model=softmax",
            "dataset.transform={crop: {_target_: torchvision.transforms.v2.RandomCrop, size: 8, padding: 1}}",
        ),
    ],
    ids=["config dir", "folder", "searchpath", "own primary", "plain", "environment", "where nothing was"],
)
def test_the_commands_that_a_study_prints_give_its_numbers_again(words, started, monkeypatch):
    monkeypatch.setenv("BATCH", "50")
    program = os.path.relpath(ROOT / "tune.py") if started == "checkout" else started
    ended = run(*words, *QUICK, "name=s", started=program)
    folder = "elsewhere/s" if any("folder" in word for word in words) else "runs/s"
    commands = printed(ended, folder)
    again = typed(commands["again"])
    assert again.code == 0, (commands["again"], again.err)
    trained = typed(commands["train"], "name=t", "tracker=none")
    assert trained.code == 0, (commands["train"], trained.err)
    value = re.search(r"validation_error \(min\) +([\d.]+)", ended.out)
    assert value is not None
    assert f"validation_error {value[1]}" in trained.out
    where = Path(folder).parent
    tables = [rung_table(journal(name, where)) for name in ("s", "another")]
    assert tables[0] == tables[1]


def test_a_component_that_was_typed_as_a_whole_is_printed_so():
    whole = ("model=none", "model={_target_: my_net.Net, hidden: 8}")
    tuned = "+search_space.model.hidden={type: int, low: 2, high: 16}"
    commands = printed(ended := run(*whole, tuned, *QUICK, "name=s", started="hpo-tune"), "runs/s")
    trained = typed(commands["train"], "name=t", "tracker=none")
    assert trained.code == 0, (commands["train"], trained.err)
    value = re.search(r"validation_error \(min\) +([\d.]+)", ended.out)
    assert value is not None
    assert f"validation_error {value[1]}" in trained.out
    Path("mine/experiment").mkdir()
    Path("mine/experiment/best.yaml").write_text(Path("runs/s/best.yaml").read_text())
    again = run("--config-dir", "mine", "experiment=best", "name=u", "tracker=none", program="train")
    assert f"validation_error {value[1]}" in again.out, again.err


@pytest.mark.parametrize(
    "words",
    [
        ("--config-dir", "mine", "model=net", "name=s"),
        ("hydra.searchpath=[file://mine]", "model=net", "name=s"),
        ("--config-path", "theirs", "--config-name", "study", "name=s"),
        ("model=softmax", "name=s", "folder=elsewhere/s"),
        ("model=softmax", "name=s", "folder=${oc.env:WHERE}/s"),
    ],
)
def test_the_command_that_goes_on_with_a_study_does(words, monkeypatch, tmp_path):
    monkeypatch.setenv("WHERE", str(tmp_path / "absolute"))
    assert run(*words, *QUICK, started="hpo-tune").code == 0
    refused = run(*words, *QUICK, started="hpo-tune")
    assert refused.code == 2
    command = refused.err.partition("go on with it: ")[2].partition("; or choose")[0]
    ended = typed(command, "n_trials=3")
    assert ended.code == 0, (command, ended.err)
    assert "3 trials" in ended.out


def test_paths_stay_as_they_were_typed():
    ended = run("--config-dir", "mine", "model=net", *QUICK, "name=s", started="hpo-tune")
    assert str(Path.cwd()) not in ended.out
    assert str(Path.cwd()) not in Path("runs/s/config.yaml").read_text()
