"""`search_around=best factor=4`: a study around the winner of an earlier one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import FREE, Ended, hpo, journal, run, rung_table

from hpo_pipeline import compose, load_study
from hpo_pipeline.config.in_python import Request, composed
from hpo_pipeline.errors import ConfigError

STUDY = (*FREE, "searcher=random", "scheduler=fifo", "max_resource=1")
"""Its space is that of mlp: seven hyperparameters."""
BEST = """\
# @package _global_
defaults:
- override /objective: function
- override /model: mlp
- override /optimizer: adam
- override /dataset: fashion_mnist
max_resource: 3
optimizer:
  lr: 0.01
  weight_decay: 1.0e-08
model:
  n_units_1: 500
  n_units_2: 4
  dropout_1: 0.5
  dropout_2: 0.0
dataset:
  batch_size: 64
trial: 3
resource: 3
"""
POINT = {
    "optimizer.lr": 0.01,
    "optimizer.weight_decay": 1e-8,
    "model.n_units_1": 500,
    "model.n_units_2": 4,
    "model.dropout_1": 0.5,
    "model.dropout_2": 0.0,
    "dataset.batch_size": 64,
}


def write(text: str = BEST, name: str = "best") -> None:
    folder = Path("mine/experiment")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


def space(*words: str) -> dict[str, dict[str, object]]:
    """Path -> domain, of the composed search space."""
    tree = compose("tune", *STUDY, *words, config_dir="mine")["search_space"]
    return {f"{group}.{key}": node for group, keys in tree.items() for key, node in keys.items()}


def ended(*words: str) -> Ended:
    return run("--config-dir", "mine", *STUDY, *words)


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as error:
        compose("tune", *STUDY, *words, config_dir="mine")
    return str(error.value)


def notes(*words: str) -> list[str]:
    """What is said of it before a study, or a dry run, starts."""
    with composed(Request("tune", (*STUDY, *words), "mine"), "tune") as found:
        return found.notes


def bounds(node: dict[str, object]) -> tuple[object, object]:
    return node["low"], node["high"]


def test_a_log_range_goes_to_the_factor_and_a_linear_one_is_so_much_narrower():
    write()
    found = space("search_around=best", "factor=4")
    before = space()
    assert bounds(before["optimizer.lr"]) == (1e-6, 1.0)
    assert bounds(found["optimizer.lr"]) == pytest.approx((0.0025, 0.04))
    assert bounds(found["optimizer.weight_decay"]) == pytest.approx((1e-8, 4e-8))
    assert bounds(before["model.n_units_1"]) == (4, 1024)
    assert bounds(found["model.n_units_1"]) == (373, 627)
    assert bounds(found["model.n_units_2"]) == (4, 131)
    assert bounds(before["model.dropout_1"]) == (0.0, 0.99)
    assert bounds(found["model.dropout_1"]) == pytest.approx((0.37625, 0.62375))
    moved = {"low": 0, "high": 0, "prior": {}}
    for path, node in found.items():
        assert {**node, **moved} == {**before[path], **moved}


def test_what_is_saved_stands_by_itself_and_the_winner_is_tried_first():
    write()
    out = ended("search_around=best", "factor=2", "n_trials=3", "name=a", "output=lines").out
    assert "search_around=best factor=2: 7 of 7 ranges are narrower now" in out
    assert "  optimizer.lr: log-uniform [0.005, 0.02] around 0.01 (before: log-uniform [1e-6, 1])" in out
    shutil.rmtree("mine")
    study = load_study("runs/a")
    assert study.view.trials[0].config == POINT
    assert study.config["points_to_evaluate"] == [POINT]
    assert bounds(study.config["search_space"]["optimizer"]["lr"]) == pytest.approx((0.005, 0.02))
    assert not {"search_around", "factor"} & study.config.keys()
    again = compose("config", config_dir="runs/a")
    assert (again["search_space"], again["points_to_evaluate"]) == (study.config["search_space"], [POINT])
    for trial in study.view.trials.values():
        assert 0.005 <= trial.config["optimizer.lr"] <= 0.02


def test_a_resumed_study_is_the_one_that_was_never_cut_off_whether_or_not_the_winner_is_there():
    write()
    words = ("search_around=best", "factor=2")
    assert ended(*words, "n_trials=4", "name=whole").code == 0
    assert ended(*words, "n_trials=2", "name=a").code == 0
    shutil.rmtree("mine/experiment")
    assert ended(*words, "n_trials=3", "name=a", "resume=true").code == 0
    assert run("name=a", "n_trials=4", "resume=true").code == 0
    assert rung_table(journal("a")) == rung_table(journal("whole"))
    what = "a resumed study keeps the search space that it began with; leave it out"
    found = ended("name=a", "n_trials=7", "resume=true", "factor=3")
    assert (found.code, found.err.splitlines()[1:]) == (2, [f"  factor: {what}"])


def test_the_folder_of_a_study_does_as_well_as_its_best_yaml():
    write()
    assert ended("n_trials=3", "name=first").code == 0
    best = load_study("runs/first").best
    assert best is not None
    shutil.copy("runs/first/best.yaml", "mine/experiment/copied.yaml")
    from_folder = compose("tune", *STUDY, "search_around=runs/first")
    from_file = compose("tune", *STUDY, "search_around=copied", config_dir="mine")
    assert from_folder["search_space"] == from_file["search_space"]
    assert from_folder["points_to_evaluate"] == from_file["points_to_evaluate"] == [best.config]
    out = hpo("tune", *STUDY, "search_around=runs/first", "dry_run=true").out
    assert out.startswith("search_around=runs/first factor=4: 7 of 7 ranges are narrower now")


def test_several_factors_are_several_studies():
    write()
    found = run("--config-dir", "mine", "-m", *STUDY, "search_around=best", "factor=2,8", "dry_run=true")
    assert found.code == 0, found.err
    lines = [line for line in found.out.splitlines() if line.startswith("  optimizer.lr  ")]
    assert [line.split()[-2:] for line in lines] == [["[0.005,", "0.02]"], ["[0.00125,", "0.08]"]]


def test_what_is_typed_of_the_space_comes_first():
    write()
    found = space("search_around=best", "search_space.optimizer.lr.low=0.008", "model.dropout_1=0.2")
    assert bounds(found["optimizer.lr"]) == pytest.approx((0.008, 0.04))
    assert found["model.dropout_1"] == 0.2
    assert notes("search_around=best", "model.dropout_1=0.2")[-1] == (
        "  best was found with other settings: model.dropout_1=0.5"
    )


def test_points_that_are_given_come_after_the_winner():
    write()
    config = compose(
        "tune", *STUDY, "search_around=best", "points_to_evaluate=[{optimizer.lr: 0.02},{}]", config_dir="mine"
    )
    assert config["points_to_evaluate"] == [POINT, {"optimizer.lr": 0.02}]


def test_a_hyperparameter_that_the_winner_lacks_is_searched_whole_around_the_value_that_it_had():
    write(BEST.replace("  batch_size: 64\n", "  split_seed: 0\n"))
    found = compose("tune", *STUDY, "search_around=best", config_dir="mine")
    assert bounds(found["search_space"]["dataset"]["batch_size"]) == (8, 128)
    assert found["points_to_evaluate"][0]["dataset.batch_size"] == compose("train")["dataset"]["batch_size"]
    assert "  as before: dataset.batch_size (has no value of its own there)" in notes("search_around=best")


def test_a_winner_that_the_constraints_exclude_is_not_tried():
    write()
    constraint = "model.n_units_1 <= model.n_units_2 + 400"
    words = ("search_around=best", f"+search_space.constraints=['{constraint}']")
    said = notes(*words)[-1]
    assert (
        said == f"  best itself is not tried: '{constraint}' does not hold for model.n_units_1 500, model.n_units_2 4"
    )
    assert compose("tune", *STUDY, *words, config_dir="mine")["points_to_evaluate"] == [{}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("search_around=bset",), "search_around: there is neither an experiment nor a study's folder 'bset'; did you"),
        (("search_around=runs/a/best.yaml",), "name the study's folder, or copy the file to conf/experiment/"),
        (("search_around=../best",), "search_around: there is neither an experiment nor a study's folder '../best'"),
        (("search_around=mine",), "search_around: mine: is no study's folder"),
        (("search_around=best", "factor=1"), "factor: must be a number above 1, got 1.0"),
        (("search_around=best", "factor=inf"), "factor: must be a number above 1, got inf"),
        (("search_around=best", "factor=nan"), "factor: must be a number above 1, got nan"),
        (("factor=2",), "factor: says how far search_around narrows, which isn't given; add search_around=…"),
        (("search_around=bohb",), "must be one for train.py, as a study's best.yaml is"),
        (("search_around=best", "search_space=branin"), "it sets dataset.batch_size, model.dropout_1, "),
    ],
)
def test_what_is_refused(words, said):
    write()
    assert said in refused(*words)
    assert not Path("runs").exists()


def test_a_winner_of_another_space_is_refused_with_the_keys_that_it_lacks():
    write()
    softmax = BEST.replace("model: mlp", "model: softmax").partition("model:\n")[0] + "resource: 3\n"
    write(softmax, "soft")
    assert refused("search_around=soft") == (
        "search_around: soft is of another search space: it doesn't set model.n_units_1, model.n_units_2, "
        "model.dropout_1, model.dropout_2, dataset.batch_size; type model=softmax, which it is of"
    )


def test_a_training_and_a_study_without_a_result_are_no_winners():
    write()
    assert run("--config-dir", "mine", "experiment=best", "tracker=none", "name=t", program="train").code == 0
    assert "runs/t is a single training, which has found nothing" in refused("search_around=runs/t")
    shutil.copytree("runs/t", "runs/empty")
    Path("runs/empty/journal.jsonl").write_text("")
    assert "runs/empty: nothing is recorded of this study yet" in refused("search_around=runs/empty")


def test_one_problem_is_said_with_the_others():
    write()
    lines = refused("search_around=bset", "mode=max", "metric={a: min}")
    assert [line.split(":")[0] for line in lines.splitlines()] == ["mode", "search_around"]
