"""Two studies' files in version control: what differs between them is what differs in the studies."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from commands import CONF, DIGITS
from written_journal import Written

from hpo_pipeline.config.in_python import Request, composed
from hpo_pipeline.environment import keep_environment
from hpo_pipeline.report.files import write_best
from hpo_pipeline.study import in_order, write_configs

STUDY = (*DIGITS, "n_trials=5", "max_resource=2", "searcher=random")
SAMPLE = {"optimizer.lr": 0.01, "dataset.batch_size": 32}


def write(name: str, *words: str) -> None:
    """What a study leaves of its config, with a winner that is always the same."""
    folder = Path("runs", name)
    folder.mkdir(parents=True)
    written = Written(name=name)
    written.trial(0, [0.5, 0.4], SAMPLE)
    with composed(Request("tune", (*words, f"name={name}")), "tune") as found:
        assert not found.problems
        write_configs(found, folder)
        write_best(written.view, folder, found.training_choices, found.changes)
    keep_environment(folder)


def changed(file: str) -> list[str]:
    """The lines that one file has and the other hasn't, without those of the study's name."""
    texts = [Path("runs", name, file).read_text().replace(f"runs/{name}", "runs").splitlines() for name in ("a", "b")]
    lines = [line for line in difflib.unified_diff(*texts, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]
    return [line for line in lines if not line[1:].startswith(("name: ", "- name=", "# study "))]


@pytest.mark.parametrize(
    ("word", "config", "best"),
    [
        ("seed=1", ["-seed: 0", "+seed: 1"], ["+seed: 1"]),
        ("optimizer.momentum=0.9", ["-  momentum: 0.0", "+  momentum: 0.9"], ["+  momentum: 0.9"]),
        ("search_space.optimizer.lr.high=0.5", ["-      high: 1.0", "+      high: 0.5"], []),
        ("mode=max", ["-mode: min", "+mode: max"], ["+mode: max"]),
        (
            "lr_schedule.gamma=0.5",
            ["-  gamma: 0.9", "+  gamma: 0.5"],
            ["+lr_schedule:", "+  gamma: 0.5"],
        ),
    ],
)
def test_one_override_is_one_line_of_each_file(word, config, best):
    study = (*STUDY, "lr_schedule=exponential")
    write("a", *study)
    write("b", *study, word)
    assert changed("config.yaml") == config
    assert changed("overrides.yaml") == [f"+- {word}"]
    assert changed("best.yaml") == best
    assert changed("environment.yaml") == []


def test_another_option_of_a_group_changes_the_group_alone():
    """Though a model of another kind chooses another optimizer, and Hydra names the groups in another order then."""
    write("a", *STUDY, "model=softmax", "search_space=softmax")
    write("b", *STUDY, "model=mlp", "search_space=softmax", "optimizer=sgd")
    written = (CONF / "model" / "mlp.yaml").read_text().splitlines()
    keys = [f"+  {line.partition('  #')[0].rstrip()}" for line in written]
    softmax = ["-  model: softmax", "+  model: mlp", "-  _target_: hpo_pipeline.model.softmax.Softmax"]
    assert sorted(changed("config.yaml")) == sorted([*softmax, *keys])


def test_what_was_typed_in_another_order_is_the_same():
    write("a", *STUDY, "seed=3", "optimizer.momentum=0.9", "constraints={loss: {max: 1.0}}")
    write("b", "constraints={loss: {max: 1.0}}", "optimizer.momentum=0.9", "seed=3", *reversed(STUDY))
    for file in ("config.yaml", "overrides.yaml", "best.yaml", "environment.yaml"):
        assert changed(file) == [], file


def test_overrides_of_which_one_is_within_another_keep_their_order():
    assert in_order(["seed=1", "model=mlp", "+a=2", "~b"]) == ["+a=2", "~b", "model=mlp", "seed=1"]
    for whole in ("search_space.x={type: int}", "~search_space.x"):
        typed = ["search_space.x.low=1", whole, "a=1"]
        assert in_order(typed) == typed
    assert in_order(["b=2", "b=1", "a=1"]) == ["a=1", "b=2", "b=1"]
    assert in_order(["model.n=1", "model=mlp"]) == ["model=mlp", "model.n=1"]


def test_nothing_of_the_machine_or_the_hour_is_in_them():
    write("a", *STUDY)
    here = str(Path.cwd())
    for file in ("config.yaml", "overrides.yaml", "best.yaml", "environment.yaml"):
        text = Path("runs/a", file).read_text()
        assert here not in text
        assert str(Path.home()) not in text
        assert not [line for line in text.splitlines() if line.startswith(("time", "  time", "id:", "host"))]
