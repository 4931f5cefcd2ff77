"""Composing: every file of conf/, a user's own files, and configs that were saved."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from commands import CONF, DIGITS, FREE, ROOT, compose, curve, journal, run, rung_table, start, wait_for

from hpo_pipeline import study
from hpo_pipeline.objective.training import Training
from hpo_pipeline.preflight import check_study, check_training
from hpo_pipeline.tree import flatten

GROUPS = (
    "model", "dataset", "optimizer", "lr_schedule", "objective",
    "search_space", "searcher", "scheduler", "executor", "tracker",
)  # fmt: skip
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def _rerun_curve(*arguments: str) -> list[tuple[int, dict[str, float]]]:
    """The curve of a training, from its journal."""
    ended = run(*arguments, "name=again", "tracker=none", program="train")
    assert ended.code == 0, ended.err
    return curve(journal("again"))


OF_NOTHING = (("objective", "train_function"), ("objective", "lightning"), ("objective", "tabular"))
"""Options that need something of a person's own: test_train_function_study.py and test_replayed_study.py have it."""
FORMULAS = ("garden", "branin", "hartmann6", "ackley")
"""Search spaces of functions that are studies by themselves."""


@pytest.mark.parametrize(("group", "option"), [option for option in OPTIONS if option not in OF_NOTHING])
def test_every_option_of_every_group_composes_to_a_study_that_could_start(group, option, monkeypatch):
    monkeypatch.setattr(Training, "available", lambda *_: None)
    choices = {"dataset": "digits", "tracker": "none", group: option}
    if group == "search_space" and (CONF / "model" / f"{option}.yaml").exists():
        choices["model"] = option
    if option in ("function", "learning_curve") or (group in ("model", "dataset", "optimizer") and option == "none"):
        choices |= {"objective": "function", "search_space": "learning_curve"}
    if option == "command":  # what runs is for the person to say
        choices |= {"search_space": "learning_curve", "objective.command": "'true {config}'"}
    if group == "search_space" and option in FORMULAS:
        choices = {"experiment": option, "tracker": "none"}
    check_study(compose(*(f"{key}={value}" for key, value in choices.items())))


@pytest.mark.parametrize("words", [("seed=1", "--cfg", "job", "threads=2"), ("seed=1", "threads=2", "--info")])
def test_flags_stand_before_between_and_behind_overrides(words):
    ended = run("--config-dir", str(CONF), *words)
    assert (ended.code, ended.err) == (0, "")
    assert "threads" in ended.out


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "model" and option != "none"])
def test_every_model_composes_to_a_training_that_could_start(option):
    check_training(compose(f"model={option}", "dataset=digits", "tracker=none", program="train"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_leaf_of_an_experiment_survives_composing(experiment):
    content = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    written = flatten({key: value for key, value in content.items() if key != "defaults"})
    composed = flatten(compose(f"experiment={experiment}").config)
    plain = {path: value for path, value in written.items() if "${" not in str(value)}
    assert {path: composed[path] for path in plain} == plain
    assert written.keys() <= composed.keys()


@pytest.mark.parametrize(
    "experiment", [name for name in EXPERIMENTS if name != "optuna_mlp"]
)  # test_lightning.py has it
def test_every_experiment_runs(experiment):
    budget = ("n_trials=2", "max_total_resource=3", *(["scheduler.population=2"] if experiment == "pbt" else []))
    size = ["dataset.transform.crop.size=8"] if experiment == "augmentation" else []
    ended = run(
        f"experiment={experiment}", "dataset=digits", "executor=serial", "tracker=none", "name=e", *budget, *size
    )
    assert ended.code == 0, ended.err
    assert journal("e")[-1]["state"] == "completed"


def test_an_option_on_the_command_line_goes_before_what_a_model_brings_along():
    assert compose("model=softmax").config["choices"]["optimizer"] == "sgd"
    assert compose("model=softmax", "optimizer=adamw").config["choices"]["optimizer"] == "adamw"


def test_the_search_space_follows_the_model_unless_another_one_is_named():
    assert "model" not in compose("model=softmax").config["search_space"]
    named = compose("search_space=softmax")
    assert named.config["choices"]["model"] == "mlp"
    assert "model" not in named.config["search_space"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("search_space.optimizer.lr.low=1e-5", {"type": "float", "low": 1e-5, "high": 1.0, "log": True}),
        ("search_space.optimizer.lr=0.01", 0.01),
        ("~search_space.optimizer.lr", None),
        ("+search_space.optimizer.eps={type: float, low: 0, high: 1}", {"type": "float", "low": 0, "high": 1}),
    ],
)
def test_a_search_space_is_changed_pinned_reduced_and_extended_on_the_command_line(override, expected):
    key = "eps" if "eps" in override else "lr"
    assert compose(override).config["search_space"]["optimizer"].get(key) == expected


def test_a_reference_between_hyperparameters_follows_the_sample():
    composed = compose("dataset=digits", "model.n_units_2=${model.n_units_1}", "~search_space.model.n_units_2")
    trial = composed.trial_config(7, {"model.n_units_1": 33})
    assert (trial["model"]["n_units_1"], trial["model"]["n_units_2"], trial["trial"]) == (33, 33, 7)
    assert composed.config["model"]["n_units_2"] == 256


def test_a_reference_to_a_root_key_follows_the_command_line():
    config = compose("max_resource=27", "threads=2").config
    assert config["scheduler"]["max_resource"] == 27
    assert config["executor"]["threads_per_worker"] == 2


def test_a_samples_values_are_all_that_a_trials_config_changes():
    composed = compose("dataset=digits")
    trial = composed.trial_config(3, {"optimizer.lr": 0.5})
    differences = {path for path, value in flatten(trial).items() if flatten(composed.training).get(path) != value}
    assert differences == {"optimizer.lr", "trial"}
    assert composed.config["optimizer"]["lr"] == 0.001


def test_a_saved_config_runs_again_to_the_same_numbers():
    assert run(*FREE, "name=first", "n_trials=4", "seed=5", "scheduler.eta=2").code == 0
    ended = run("--config-path", os.path.abspath("runs/first"), "--config-name", "config", "name=second")
    assert ended.code == 0, ended.err
    assert rung_table(journal("second")) == rung_table(journal("first"))
    assert rung_table(journal("second"))


@pytest.mark.parametrize(("n_trials", "told"), [(1, "1 job at a time"), (3, "3 jobs at a time")])
def test_a_study_promises_no_more_jobs_at_a_time_than_it_has_trials(n_trials, told):
    study = ("dataset=digits", "model=softmax", "tracker=none", "max_resource=1", f"n_trials={n_trials}")
    ended = run(*study, "executor=fused", "executor.n_workers=1", "executor.pack_size=8", "name=s")
    assert ended.code == 0, ended.err
    assert f", {told}, in runs/s" in ended.out


def test_what_was_typed_is_kept():
    run(*FREE, "name=s", "n_trials=1", "+optimizer.extra=[1,2]")
    typed = [*FREE, "name=s", "n_trials=1", "+optimizer.extra=[1,2]"]
    kept = yaml.safe_load(Path("runs/s/overrides.yaml").read_text())
    assert kept == sorted(typed, key=lambda word: word.lstrip("+").partition("=")[0])


def test_best_yaml_trains_the_winner_again_to_the_same_numbers():
    assert run(*DIGITS, "name=s", "n_trials=3", "seed=2", "scheduler=fifo", "max_resource=3").code == 0
    records = journal("s")
    best = min((r for r in records if r["event"] == "report"), key=lambda r: r["metrics"]["validation_error"])
    (Path("mine") / "experiment").mkdir(parents=True)
    shutil.copy("runs/s/best.yaml", "mine/experiment/best.yaml")
    rerun = _rerun_curve("--config-dir", "mine", "experiment=best")
    assert rerun == curve(records, best["trial"])[: best["resource"]]


def test_the_printed_command_trains_the_winner_again_to_the_same_numbers():
    study = ("dataset.n_validation=200", "objective.grad_clip=0.5", "optimizer=sgd", "optimizer.momentum=0.5")
    ended = run(*DIGITS, *study, "name=s", "n_trials=2", "scheduler=fifo", "max_resource=2")
    (line,) = (line for line in ended.out.splitlines() if line.strip().startswith("python train.py"))
    words = shlex.split(line)
    trial = int(words[-2].removeprefix("trial="))
    rerun = _rerun_curve(*words[2:])
    assert rerun == curve(journal("s"), trial)[: len(rerun)]
    assert rerun


def test_the_first_epochs_of_a_trial_are_trained_again_with_the_schedule_of_the_whole():
    study = (*DIGITS, "+search_space.lr_schedule={type: choice, choices: [cosine]}", "max_resource=3")
    assert run(*study, "scheduler=fifo", "name=s", "n_trials=1").code == 0
    records = journal("s")
    (sample,) = (record["config"] for record in records if record["event"] == "suggested")
    command = compose(*study).rerun_command(0, 2, sample)
    rerun = _rerun_curve(*shlex.split(command)[2:])
    assert rerun == curve(records, 0)[:2]
    # Half a cosine over three epochs: cos 60 degrees is 1/2.
    assert rerun[1][1]["learning_rate"] == pytest.approx(0.75 * sample["optimizer.lr"])


@pytest.mark.parametrize(("resource", "told"), [(1, True), (2, False)])
def test_a_training_that_ends_before_max_resource_says_so(resource, told):
    training = ("dataset=digits", "model=softmax", "tracker=none", "max_resource=2", f"resource={resource}")
    ended = run(*training, "final=true", program="train")
    assert ended.code == 0, ended.err
    line = "to epoch 1 of 2; resource=2 trains it to the end"
    assert (ended.out.splitlines()[0] == line) is told


def test_the_options_of_a_chosen_group_follow_the_root_keys():
    space = "+search_space.lr_schedule={type: choice, choices: [none, cosine]}"
    composed = compose(space, "max_resource=30", "lr_schedule=cosine")
    assert composed.trial_config(0, {"lr_schedule": "cosine"})["lr_schedule"]["T_max"] == 30
    assert composed.trial_config(0, {"lr_schedule": "none"})["lr_schedule"] is None
    assert list(composed.changes) == ["max_resource"]


def test_a_study_of_a_version_without_schedules_can_be_resumed():
    assert run(*FREE, "name=old", "n_trials=1").code == 0
    saved = Path("runs/old/config.yaml")
    content = yaml.safe_load(saved.read_text())
    del content["lr_schedule"], content["choices"]["lr_schedule"]
    saved.write_text(yaml.safe_dump(content, sort_keys=False))
    ended = run("name=old", "resume=true", "n_trials=2")
    assert ended.code == 0, ended.err
    assert "lr_schedule" not in ended.out


@pytest.mark.slow
def test_a_users_own_model_is_one_yaml_and_one_class_outside_of_the_project():
    for path, text in {
        "my_net.py": (
            "from torch import nn\n"
            "class Net(nn.Sequential):\n"
            "    def __init__(self, input_shape, n_classes, hidden):\n"
            "        super().__init__(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, n_classes))\n"
        ),
        "mine/model/net.yaml": "_target_: my_net.Net\nhidden: 8\n",
        "mine/search_space/net.yaml": "model:\n  hidden: {type: int, low: 2, high: 16}\n",
    }.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    study = ("dataset=digits", "tracker=none", "executor.n_workers=1", "n_trials=2", "max_resource=1")
    arguments = ("--config-dir", "mine", "model=net", *study, "scheduler=fifo", "name=s")
    ended = wait_for(start(*arguments, HPO_TRUST="my_net.*"))
    assert ended.code == 0, ended.err
    assert [list(r["config"]) for r in journal("s") if r["event"] == "suggested"] == [["model.hidden"]] * 2
    assert f"python {ROOT / 'train.py'} --config-dir mine" in ended.out


def test_another_project_builds_on_ours_with_a_primary_config_of_its_own():
    Path("theirs").mkdir()
    Path("theirs/study.yaml").write_text(
        "defaults: [tune, override objective: function, override search_space: learning_curve, "
        "override executor: serial, override tracker: none, _self_]\n"
        "n_trials: 2\n"
        "name: theirs\n"
        "hydra: {searchpath: [pkg://hpo_pipeline.conf]}\n"
    )
    ended = run("--config-path", os.path.abspath("theirs"), "--config-name", "study")
    assert ended.code == 0, ended.err
    assert len(rung_table(journal("theirs"))[0, 0, 1]) == 2


def test_a_multirun_gives_each_study_a_name_of_its_own():
    ended = run("-m", *FREE, "name=m", "n_trials=1", "seed=0,1")
    assert ended.code == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["m-0", "m-1", "m-comparison.html"]
    assert "\n1 method by validation_error (min), 2 studies each" in ended.out


def test_too_many_open_files_are_one_line_that_says_what_to_do(monkeypatch):
    def out_of_files(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as broken:
        broken.setattr(study, "print_results", out_of_files)
        ended = run(*FREE, "name=s", "n_trials=1")
    assert (ended.code, ended.err.splitlines()) == (
        2,
        ["Too many open files; allow more (ulimit -n) or take fewer workers, then resume=true"],
    )
    assert run("name=s", "resume=true").code == 0


def test_every_metric_has_a_key_of_its_own_and_is_chosen_again_when_a_trial_is_trained_again():
    one, two = compose("metrics=f1"), compose("metrics=[f1,auroc]", "metrics.f1.average=micro")
    assert one.training["metrics"].keys() == {"f1"}
    assert {name: node["average"] for name, node in two.training["metrics"].items()} == {
        "f1": "micro",
        "auroc": "macro",
    }
    assert " metrics=f1 " in one.rerun_command(0, 1, {})
    assert " 'metrics=[f1]' " in compose("metrics=[f1]").rerun_command(0, 1, {})
    assert "'metrics=[f1,auroc]'" in two.rerun_command(0, 1, {})
    assert "metrics.f1.average=micro" in two.rerun_command(0, 1, {})
    assert not compose().training["metrics"]


def test_a_dataset_of_numbers_brings_the_metric_that_it_has_unless_another_is_typed():
    assert compose("dataset=diabetes").config["metric"] == "validation_loss"
    assert compose("dataset=diabetes", "metric=validation_r2").config["metric"] == "validation_r2"
    assert compose("dataset=diabetes").training["loss"] is None
