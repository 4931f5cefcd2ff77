"""Configs as earlier versions wrote them: they run, or say which key became what."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from commands import DIGITS

from hpo_pipeline import __version__, compose
from hpo_pipeline.config import older
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.in_python import Request, composed
from hpo_pipeline.config.older import Older
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.preflight import check_study, check_training
from hpo_pipeline.study import write_configs

OLD = sorted((Path(__file__).parents[1] / "older_configs").iterdir())
"""By when they were written; each is of softmax on digits, with a best.yaml."""
N_STARTUP = (
    "searcher.n_startup=10 is of an older version: it was removed: CMA-ES draws its first generation "
    "from its own distribution"
)


@pytest.fixture(params=OLD, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def expected(folder: Path) -> list[str]:
    return [N_STARTUP] if folder.name.endswith("cmaes") else []


def test_a_saved_config_runs_again(old):
    with composed(Request("config", ("name=again",), old), "tune") as found:
        check_study(found, data=False)
        assert found.notes == expected(old)
        assert found.config["search_space"] == yaml.safe_load((old / "config.yaml").read_text())["search_space"]


def test_a_study_goes_on(old):
    folder = Path("runs", "old")
    shutil.copytree(old, folder)
    with composed(Request("tune", ("name=old", "resume=true", "n_trials=3")), "tune") as found:
        check_study(found, data=False)
        assert found.notes == expected(old)
        assert found.config["n_trials"] == 3


def test_a_best_yaml_trains_and_is_searched_around(old):
    best = yaml.safe_load((old / "experiment" / "best.yaml").read_text())
    with composed(Request("train", ("experiment=best", "tracker=none"), old), "train") as found:
        check_training(found, data=False)
        assert found.config["optimizer"]["lr"] == best["optimizer"]["lr"]
    around = compose("tune", *DIGITS, "search_around=best", config_dir=old)
    assert around["search_space"]["optimizer"]["lr"]["high"] == 4 * best["optimizer"]["lr"]


def written(*words: str, config_dir: Path | None = None) -> Composed:
    with composed(Request("tune", (*DIGITS, *words), config_dir), "tune") as found:
        if found.problems:
            raise ConfigError(found.problems)
        return found


def test_a_removed_key_that_is_typed_is_refused_with_what_became_of_it():
    with pytest.raises(ConfigError) as error:
        written("searcher=cmaes", "searcher.n_startup=5")
    assert error.value.lines == [
        "searcher.n_startup: there is no such key; it was removed: CMA-ES draws its first generation "
        "from its own distribution"
    ]
    assert written("searcher=tpe", "searcher.n_startup=5").config["searcher"]["n_startup"] == 5


def test_a_renamed_key_is_put_where_it_stands_now_in_the_new_unit(monkeypatch):
    renamed = Older("optimizer.decay_percent", "optimizer.weight_decay", value=lambda percent: percent / 100)
    monkeypatch.setattr(older, "OLDER", (renamed,))
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text("# @package _global_\noptimizer: {decay_percent: 50}\n")
    found = written("experiment=e", config_dir=Path("mine"))
    assert found.notes == [
        "optimizer.decay_percent=50 is of an older version: it is optimizer.weight_decay now, 0.5",
    ]
    for config in (found.config, found.public):
        assert config["optimizer"]["weight_decay"] == 0.5
        assert "decay_percent" not in config["optimizer"]
    assert found.changes["optimizer.weight_decay"] == 0.5
    with pytest.raises(ConfigError, match=r"^optimizer.decay_percent: there is no such key; it is optimizer.weight"):
        written("optimizer.decay_percent=50")


def test_a_root_key_of_before_is_refused_with_the_new_one(monkeypatch):
    monkeypatch.setattr(older, "OLDER", (Older("n_samples", "n_trials"),))
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text("# @package _global_\nn_samples: 50\n")
    with pytest.raises(ConfigError) as error:
        written("experiment=e", config_dir=Path("mine"))
    assert error.value.lines == ["experiment/e: n_samples: there is no such key; it is n_trials now"]


def test_a_saved_config_says_which_version_wrote_it():
    Path("runs/a").mkdir(parents=True)
    write_configs(written("name=a"), Path("runs/a"))
    assert Path("runs/a/config.yaml").read_text().startswith(f"# The composed config, by hpo_pipeline {__version__}. ")
