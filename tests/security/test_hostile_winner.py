"""A winner from a stranger, for search_around: numbers and names of options are taken from it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import FREE
from written_journal import Written

from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.in_python import Request, composed
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.journal import Journal

RUNS = {"_target_": "os.system", "command": "touch canary"}
LR = {"optimizer": {"lr": 0.01}}


def around(name: str = "best") -> Composed:
    words = (*FREE, "search_around=" + name, "~search_space.model", "~search_space.dataset")
    with composed(Request("tune", (*words, "~search_space.optimizer.weight_decay"), "mine"), "tune") as found:
        if found.problems:
            raise ConfigError(found.problems)
        return found


def experiment(content: dict) -> None:
    Path("mine/experiment").mkdir(parents=True)
    chosen = {"model": "mlp", "optimizer": "adam", "objective": "function", "dataset": "fashion_mnist"}
    whole = {"defaults": [{f"override /{group}": option} for group, option in chosen.items()], **content}
    Path("mine/experiment/best.yaml").write_text(f"# @package _global_\n{json.dumps(whole)}\n")


def study(config: dict, sample: dict, name: str = "s") -> None:
    folder = Path("runs", name)
    folder.mkdir(parents=True)
    Path("mine").mkdir()
    written = Written(name=name)
    written.trial(0, [0.5], sample)
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(*written.records)
    (folder / "config.yaml").write_text(json.dumps(config))


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")


def test_what_it_would_build_is_left_alone():
    experiment({"optimizer": {"lr": 0.01, **RUNS}, "model": RUNS, "dataset": RUNS, "objective": RUNS})
    found = around()
    assert found.config["optimizer"]["_target_"] == "torch.optim.Adam"
    assert "os.system" not in json.dumps({**found.config, "search_around": ""})
    assert not Path("canary").exists()


@pytest.mark.parametrize(
    "hydra", [{"callbacks": {"x": RUNS}}, {"job": {"env_set": {"HPO_TRUST": "*"}}}, {"searchpath": ["pkg://evil"]}]
)
def test_it_says_nothing_of_hydra(hydra):
    experiment({**LR, "hydra": hydra})
    with pytest.raises(ConfigError, match=r"search_around.*hydra\.|^experiment/best: hydra\."):
        around()
    assert not Path("canary").exists()


def test_nothing_of_the_environment_gets_into_the_study():
    experiment({"optimizer": {"lr": "${oc.env:SECRET}"}})
    with pytest.raises(ConfigError) as error:
        around()
    assert str(error.value) == "search_around.optimizer.lr: must be a number, got '${oc.env:SECRET}'"


def test_nothing_of_the_environment_is_shown():
    experiment({**LR, "dataset": {"root": "${oc.env:SECRET}"}, "model": {"n_units_1": "${oc.env:SECRET}"}})
    found = around()
    assert "hunter2" not in json.dumps([found.notes, found.config, found.public])


@pytest.mark.parametrize("value", ["1e400", "[[1]]", "{a: 1}", "'\x1b[2J'", "!!python/object/apply:os.system [true]"])
def test_what_is_no_number_is_refused(value):
    Path("mine/experiment").mkdir(parents=True)
    head = "# @package _global_\ndefaults: [{override /objective: function}, {override /optimizer: adam}]\n"
    Path("mine/experiment/best.yaml").write_bytes(f"{head}optimizer: {{lr: {value}}}\n".encode())
    with pytest.raises(ConfigError) as error:
        around()
    assert "\x1b" not in str(error.value)


def test_aliases_without_end_are_refused():
    Path("mine/experiment").mkdir(parents=True)
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    Path("mine/experiment/best.yaml").write_text("# @package _global_\n" + "\n".join(lines))
    with pytest.raises(ConfigError, match="its aliases stand for more than"):
        around()


CHOICES = {"model": "mlp", "optimizer": "adam", "objective": "function", "dataset": "fashion_mnist"}


def test_the_folder_of_a_study_is_read_as_data():
    study(
        {"choices": CHOICES, "model": RUNS, "optimizer": RUNS, "dataset": {"x": "\x1b[2J\nfake line"}},
        {"optimizer.lr": 0.01},
    )
    found = around("runs/s")
    assert found.config["search_space"]["optimizer"]["lr"]["high"] == pytest.approx(0.04)
    assert found.config["optimizer"]["_target_"] == "torch.optim.Adam"
    assert all(note.isprintable() for note in found.notes)
    assert not Path("canary").exists()


@pytest.mark.parametrize("choices", [[1], {"model": {"a": 1}, "optimizer": None}])
def test_choices_of_any_kind(choices):
    study({"choices": choices, "optimizer": 5, "model": [1]}, {"optimizer.lr": 0.01})
    around("runs/s")


@pytest.mark.parametrize("name", ["\x1b[2J", "a" * 5000, "a\0b", "", "${oc.env:HOME}/x", "/dev/zero"])
def test_names_of_any_kind(name):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/outer.yaml").write_text(f"# @package _global_\nsearch_around: {json.dumps(name)}\n")
    with (
        pytest.raises(ConfigError) as error,
        composed(Request("tune", (*FREE, "experiment=outer"), "mine"), "tune") as found,
    ):
        raise ConfigError(found.problems)
    assert str(error.value).startswith("search_around: ")
    assert len(error.value.lines) == 1
    assert error.value.lines[0].isprintable()
