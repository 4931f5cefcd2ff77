"""What a study leaves in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from written_study import StudyBuilder

from hpo_pipeline.atomic import replacing
from hpo_pipeline.report.files import write_best, write_leaderboard

AWKWARD = {
    "optimizer.lr": 1e-05,
    "optimizer.weight_decay": 0.1 + 0.2,
    "optimizer.momentum": 1e22,
    "model.n_units": 64,
    "model.name": "1e5",
    "model.bias": False,
    "model.norm": None,
    "model.scale": "no",
}


def nested(text: Path) -> object:
    return OmegaConf.to_container(OmegaConf.load(text))


def test_the_leaderboard_has_a_column_for_every_hyperparameter_and_a_row_for_every_trial(
    four_trials: StudyBuilder, tmp_path: Path
) -> None:
    path = write_leaderboard(four_trials.view, tmp_path)
    assert path.read_text() == (
        "rank,trial,state,validation_error,resource,trained,bracket,rung,seconds,origin,"
        "optimizer.lr,model.activation,model.n_units\n"
        "1,1,COMPLETED,0.2,2,3,0,0,6.0,,1e-05,,64\n"
        "2,0,STOPPED,0.5,1,1,0,0,2.0,,0.5,relu,\n"
        "3,3,STOPPED,,0,1,0,0,2.0,,1.0,,\n"
        "4,2,FAILED,,0,0,0,0,0.0,,0.25,,\n"
    )


def test_the_leaderboard_of_an_empty_study_is_its_header(study: StudyBuilder, tmp_path: Path) -> None:
    assert len(write_leaderboard(study.view, tmp_path).read_text().splitlines()) == 1


def test_best_is_an_experiment_with_the_winners_values_on_top(four_trials: StudyBuilder, tmp_path: Path) -> None:
    path = write_best(four_trials.view, tmp_path, {"model": "mlp"}, {"seed": 3, "optimizer.lr": 0.7, "dataset.n": 10})
    assert path == tmp_path / "best.yaml"
    assert path.read_text() == (
        "# @package _global_\n"
        "# study demo: validation_error 0.2 (trial 1, resource 2)\n"
        "defaults:\n"
        "- override /model: mlp\n"
        "dataset:\n"
        "  'n': 10\n"
        "model:\n"
        "  n_units: 64\n"
        "optimizer:\n"
        "  lr: 1.0e-05\n"
        "resource: 2\n"
        "seed: 3\n"
        "trial: 1\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["best.yaml"]


def test_a_sampled_option_goes_into_the_defaults_list(study: StudyBuilder, tmp_path: Path) -> None:
    study.trial(0, [0.5], "COMPLETED", {"optimizer": "sgd", "optimizer.momentum": 0.9})
    path = write_best(study.view, tmp_path, {"model": "mlp", "optimizer": "adam"}, {})
    assert path is not None
    assert nested(path) == {
        "defaults": [{"override /model": "mlp"}, {"override /optimizer": "sgd"}],
        "optimizer": {"momentum": 0.9},
        "trial": 0,
        "resource": 1,
    }


def test_best_is_not_written_if_all_trials_with_a_value_failed(study: StudyBuilder, tmp_path: Path) -> None:
    study.trial_that_fails(0, [0.5])
    study.trial(1, [float("nan")], "STOPPED")
    (tmp_path / "best.yaml").write_text("of an earlier session")
    assert write_best(study.view, tmp_path, {}, {}) is None
    assert list(tmp_path.iterdir()) == []


def test_best_is_not_written_without_a_finite_value(study: StudyBuilder, tmp_path: Path) -> None:
    study.trial(0, [float("inf")], "STOPPED")
    assert write_best(study.view, tmp_path, {}, {}) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("load", [nested, lambda path: yaml.safe_load(path.read_text())], ids=["omegaconf", "pyyaml"])
def test_best_loads_back_to_the_same_values_and_types(study: StudyBuilder, tmp_path: Path, load: object) -> None:
    study.trial(0, [0.5], "COMPLETED", AWKWARD)
    path = write_best(study.view, tmp_path, {}, {})
    content = load(path)  # type: ignore[operator]
    loaded = {f"{group}.{key}": value for group in ("optimizer", "model") for key, value in content[group].items()}
    assert {key: repr(value) for key, value in loaded.items()} == {key: repr(value) for key, value in AWKWARD.items()}


def test_hydra_composes_best_to_the_same_values(study: StudyBuilder, tmp_path: Path) -> None:
    groups = "[_self_, model: mlp, optimizer: adam, experiment: null]"
    files = {
        "train.yaml": f"{{defaults: {groups}, seed: 0, trial: 0, resource: 1}}",
        "model/mlp.yaml": "{n_units: 1, name: a, bias: true, norm: x, scale: a}",
        "model/other.yaml": "{n_units: 2, name: a, bias: true, norm: x, scale: a}",
        "optimizer/adam.yaml": "{lr: 0.1, weight_decay: 0.1, momentum: 0.1}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "experiment").mkdir()
    study.trial(5, [0.5, 0.25], "COMPLETED", AWKWARD)
    write_best(study.view, tmp_path / "experiment", {"model": "other"}, {"seed": 7})
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        config = compose("train", ["experiment=best"])
    assert repr({path: OmegaConf.select(config, path) for path in AWKWARD}) == repr(AWKWARD)
    assert (config.seed, config.trial, config.resource) == (7, 5, 2)


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
