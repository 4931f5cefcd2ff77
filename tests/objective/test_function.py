"""Plain functions as objectives, and the made-up learning curve."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from specs import trial_of

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective.function import Function, learning_curve


def echo(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    return {"value": config["a"], "resource": resource, "seed": seed}


def test_the_function_gets_the_config_the_resource_from_1_on_and_the_seed():
    trust.trust((__name__,))
    objective = Function(f"{__name__}.echo")
    state = objective.start(trial_of({"a": 7}, 9))
    assert objective.advance(state) == {"value": 7, "resource": 1, "seed": 9}
    assert objective.advance(state) == {"value": 7, "resource": 2, "seed": 9}


def test_a_trial_goes_on_from_its_checkpoint(tmp_path: Path):
    objective = Function()
    config = {"optimizer": {"lr": 0.01}}
    state = objective.start(trial_of(config, 0))
    objective.advance(state)
    objective.save(state, tmp_path / "checkpoint")
    assert objective.advance(objective.load(trial_of(config, 0), tmp_path / "checkpoint")) == learning_curve(
        config, 2, 0
    )
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"resource": "1"}'])
def test_a_file_that_is_no_checkpoint_is_refused_by_its_name(tmp_path: Path, content: str):
    (tmp_path / "checkpoint").write_text(content)
    with pytest.raises(StudyError, match=str(tmp_path / "checkpoint")):
        Function().load(trial_of({}, 0), tmp_path / "checkpoint")


@pytest.mark.parametrize("function", ["os.system", "hpo_pipeline.objective.function.learning_curv"])
def test_a_function_that_is_not_trusted_or_not_there_is_refused(function: str):
    with pytest.raises(ConfigError, match=r"^function: "):
        Function(function)


def test_the_curve_at_its_best_learning_rate_falls_from_chance_to_a_tenth():
    best = {"optimizer": {"lr": 0.003}}
    assert learning_curve(best, 0, 0)["validation_error"] == pytest.approx(0.9)
    assert learning_curve(best, 10**9, 0)["validation_error"] == pytest.approx(0.1, abs=1e-6)
    # 0.1 + 0.8 * 32 ** -0.8 = 0.1 + 0.8 / 16
    assert learning_curve(best, 31, 0)["validation_error"] == pytest.approx(0.15)


def test_a_learning_rate_ten_times_too_large_costs_two_percent_in_the_end():
    assert learning_curve({"optimizer": {"lr": 0.03}}, 10**9, 0)["validation_error"] == pytest.approx(0.12, abs=1e-6)


def test_a_learning_rate_that_is_not_positive_gives_nan():
    assert math.isnan(learning_curve({"optimizer": {"lr": 0.0}}, 1, 0)["validation_error"])


def test_no_torch_is_imported_for_a_plain_function():
    code = "import sys, hpo_pipeline.objective.function; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
