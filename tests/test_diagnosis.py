"""What is wrong with a command line that can't be composed."""

from __future__ import annotations

import hpo_pipeline.config  # noqa: F401 (it registers the root schemas)
from hpo_pipeline.diagnosis import diagnose


def test_an_option_of_a_config_dir_is_no_problem_of_a_command_line_that_is_wrong_elsewhere(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: hpo_pipeline.model.softmax.Softmax\n")
    typed = ["--config-dir", str(tmp_path), "model=mine", "n_trails=3"]
    problems = diagnose("hpo_pipeline.conf", "tune", typed, ValueError(), lambda config: [])
    assert problems == ["n_trails: there is no such key; did you mean 'n_trials'?"]


def test_the_near_miss_of_an_option_may_lie_in_a_config_dir(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: hpo_pipeline.model.softmax.Softmax\n")
    typed = [f"--config-dir={tmp_path}", "model=mien"]
    problems = diagnose("hpo_pipeline.conf", "tune", typed, ValueError(), lambda config: [])
    assert len(problems) == 1
    assert problems[0].startswith("model: there is no 'mien'; did you mean 'mine'?")
