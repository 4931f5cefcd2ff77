"""A command line with mistakes: every one told on one screen, exit code 2, and nothing left on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import FREE, FUNCTION, run, start, wait_for

WRONG = [
    (("n_trails=3",), "n_trails: there is no such key; did you mean 'n_trials'?"),
    (("schedular=asha",), "schedular: there is no such key; did you mean 'scheduler'?"),
    (("final=true",), "final: there is no such key; it belongs to train.py, which trains once"),
    (
        ("searcher=hypertune", "scheduler=hyperband"),
        "searcher.brackets: refers to scheduler.brackets, which scheduler=hyperband doesn't have; choose "
        "scheduler=asha or asha_eager, or set searcher.brackets=…",
    ),
    (("scheduler=asah",), "scheduler: there is no 'asah'; did you mean 'asha'?"),
    (("optimizer.lrr=0.1",), "optimizer.lrr: there is no such key; did you mean 'optimizer.lr'?"),
    (("+n_trails=3",), "n_trails: there is no such key; did you mean 'n_trials'?"),
    (("n_trials=many",), "n_trials: "),
    (("n_trials=-1",), "n_trials: must be at least 1, got -1"),
    (("mode=mim",), "mode: must be one of min, max, got 'mim'; did you mean 'min'?"),
    (("metric=validation_eror",), "did you mean 'validation_error'?"),
    (("n_trials=null",), "n_trials: no limit is set"),
    (("name=a/b",), "name: must be letters"),
    (("scheduler.eta=1",), "scheduler.eta: must be"),
    (("scheduler.min_resource=99",), "scheduler.min_resource"),
    (("search_space.optimizer.lr.low=0",), "search_space.optimizer.lr"),
    (("+search_space.optimizer.lr.lo=1",), "did you mean 'low'?"),
    (("+search_space.optimizer.lrr={type: float, low: 0, high: 1}",), "search_space.optimizer.lrr"),
    (("+search_space.optimizer.x={type: flaot, low: 0, high: 1}",), "did you mean 'float'?"),
    (("points_to_evaluate=[{optimizer.lr: 5}]",), "points_to_evaluate[0].optimizer.lr: "),
    (("model._target_=os.system",), "model._target_: 'os.system' is not on the trust list"),
    (("executor._target_=os.system",), "executor._target_: 'os.system' is not on the trust list"),
    (("model._target_=hpo_pipeline.model.mlp.MPL",), "did you mean 'MLP'?"),
    (("model.dropout_1=2",), "model"),
    (("+model.layers=3",), "model.layers: "),
    (("dataset.batch_size=0",), "dataset.batch_size: must be an integer of at least 1, got 0"),
    (("executor.threads=0",), "executor.threads: must be"),
    (("executor.threads=two",), "executor.threads: must be"),
    (("threads=0",), "threads: must be at least 1, got 0"),
    (("optimizer.lr=[",), "optimizer.lr=["),
    (("~",), "~: must be an override"),
    (("=3",), "=3: must be an override"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG, ids=[wrong[0] for wrong, _ in WRONG])
def test_a_mistake_is_told_with_its_path_and_leaves_nothing_behind(wrong, told):
    ended = run("dataset=digits", "executor=serial", "tracker=none", *wrong)
    assert ended.code == 2, ended.out
    assert told in ended.err
    assert "problem" in ended.err.splitlines()[0]
    assert "Traceback" not in ended.err
    assert list(Path().iterdir()) == []


def test_all_mistakes_are_told_at_once():
    mistakes = (
        "n_trails=3",
        "schedular=asha",
        "optimizer.lrr=0.1",
        "mode=mim",
        "executor.threads=0",
        "scheduler.eta=1",
    )
    ended = run("dataset=digits", "executor=serial", "tracker=none", *mistakes)
    lines = [line.strip() for line in ended.err.splitlines()]
    assert ended.code == 2
    told = {line.partition(":")[0] for line in lines[1:]}
    assert told >= {"n_trails", "schedular", "optimizer.lrr", "mode", "executor.threads", "scheduler.eta"}


def test_train_is_checked_as_well():
    ended = run("dataset=digits", "tracker=none", "finall=true", program="train")
    assert (ended.code, list(Path().iterdir())) == (2, [])
    assert "did you mean 'final'?" in ended.err


BROKEN = [
    ("foo: [1, 2\n", "line 2, column 1: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence "),
    ("foo: 1\n  bar: 2\n", "line 2, column 6: mapping values are not allowed here"),
    ("foo:\n\t- 1\n", "line 2, column 1: found character '\\t' that cannot start any token"),
]


@pytest.mark.parametrize(("text", "told"), BROKEN, ids=["open list", "indentation", "tab"])
@pytest.mark.parametrize(
    "arguments",
    [("model=broken",), ("+search_space.model={type: choice, choices: [mlp, broken]}",)],
    ids=["composed", "searched"],
)
def test_a_yaml_file_that_can_not_be_read_is_told_with_its_line_and_column(arguments, text, told):
    path = Path("mine/model/broken.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    ended = run("--config-dir", "mine", "dataset=digits", "tracker=none", "search_space=softmax", *arguments)
    assert ended.code == 2
    assert ended.err.startswith("1 problem in the configuration:\n")
    assert f"{path.absolute()}, {told}" in ended.err
    assert len(ended.err.splitlines()) == 2
    assert not Path("runs").exists()


def test_an_experiment_that_names_an_option_that_is_not_there_is_told_without_a_traceback():
    path = Path("mine/experiment/e.yaml")
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\ndefaults: [override /model: nothere]\n")
    ended = run("--config-dir", "mine", "experiment=e", "n_trials=0")
    assert ended.code == 2
    assert "'model/nothere'" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.filterwarnings("error")
def test_a_config_dir_that_is_not_there_is_told_once():
    ended = run("--config-dir", "mine", "dataset=digits", "model=own")
    assert ended.code == 2
    assert ended.err.splitlines()[1:] == [f"  --config-dir: there is no folder '{Path('mine').absolute()}'"]


def test_an_option_in_a_folder_that_is_not_looked_through_is_told_with_what_to_add():
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/best.yaml").write_text("# @package _global_\noptimizer: {lr: 0.5}\n")
    ended = run("experiment=best", program="train")
    told = "  experiment: conf/experiment/best.yaml is not looked for; add --config-dir conf"
    assert (ended.code, ended.err.splitlines()[1:]) == (2, [told])
    assert run("--config-dir", "conf", "experiment=best", *FREE, "dry_run=true").code == 0


def test_as_a_program_too_a_mistake_ends_with_exit_code_2_before_anything_starts():
    ended = wait_for(start("dataset=digits", "n_trails=3", "scheduler=asah"))
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert "did you mean 'n_trials'?" in ended.err
    assert "did you mean 'asha'?" in ended.err
    assert list(Path().iterdir()) == []


def test_a_study_that_exists_is_not_begun_again():
    assert run(*FREE, "name=s", "n_trials=1").code == 0
    before = Path("runs/s/journal.jsonl").read_bytes()
    ended = run(*FREE, "name=s", "n_trials=1")
    assert ended.code == 2
    assert "this study exists" in ended.err
    assert "resume=true" in ended.err
    assert Path("runs/s/journal.jsonl").read_bytes() == before


def test_a_study_that_is_not_there_can_not_be_resumed():
    run(*FREE, "name=mine", "n_trials=1")
    ended = run("name=min", "resume=true")
    assert ended.code == 2
    assert "there is no study to resume; studies here: mine" in ended.err


def test_a_training_is_none_of_the_studies_that_can_be_resumed():
    run(*FREE, "name=mine", "n_trials=1")
    assert run(*FUNCTION, "tracker=none", "name=once", program="train").code == 0
    assert Path("runs/once/journal.jsonl").is_file()
    assert run("name=min", "resume=true").err.rstrip().endswith("studies here: mine")


@pytest.mark.parametrize("changed", ["seed=9", "scheduler.eta=2", "optimizer.lr=0.5", "scheduler=fifo"])
def test_a_resumed_study_refuses_what_would_make_it_another_one(changed):
    run(*FREE, "name=s", "n_trials=1")
    ended = run("name=s", "resume=true", changed)
    assert ended.code == 2
    assert "a resumed study keeps what it began with" in ended.err


def test_a_study_of_which_every_trial_fails_ends_with_exit_code_1_and_says_where_the_traceback_is(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "broken.*")
    Path("broken.py").write_text("def f(config, resource, seed):\n    raise ValueError('too wide')\n")
    ended = run(*FREE, "objective.function=broken.f", "name=s", "n_trials=4")
    assert ended.code == 1
    assert "Ended: failed: all 4 trials failed; the last error: ValueError: too wide" in ended.out
    assert "The last error's traceback is in runs/s/trials/3/log.txt" in ended.out
    assert "raise ValueError('too wide')" in Path("runs/s/trials/3/log.txt").read_text()
    assert not Path("runs/s/best.yaml").exists()


def test_a_resumed_study_may_get_more_trials():
    run(*FREE, "name=s", "n_trials=1")
    ended = run("name=s", "resume=true", "n_trials=2")
    assert ended.code == 0, ended.err
    assert "2 trials" in ended.out


def test_a_study_at_work_refuses_a_second_tuner():
    from hpo_pipeline.journal import Journal

    run(*FREE, "name=s", "n_trials=1")
    with Journal(Path("runs/s/journal.jsonl")):
        ended = run("name=s", "resume=true", "n_trials=2")
    assert ended.code == 2
    assert "another tuner is at work on this study" in ended.err
