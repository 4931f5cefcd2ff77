"""What an objective is told of a trial, and which abilities it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo_pipeline import objective
from hpo_pipeline.errors import StudyError
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.function import Function

OF_OTHERS = ("SupportsClose", "SupportsTarget", "SupportsNotices")
OF_OTHERS += ("SupportsReplay", "SupportsRepeats")
ABILITIES = [name for name in vars(objective) if name.startswith("Supports")]


def test_a_trial_s_directory_is_made_when_it_is_asked_for():
    trial = TrialSpec({}, 0, Path("trials/3"))
    assert list(Path().iterdir()) == []
    assert trial.directory == Path("trials/3/files")
    (trial.directory / "kept").touch()
    assert [path.name for path in trial.directory.iterdir()] == ["kept"]


@pytest.mark.parametrize("link", ["trials/3", "trials/3/files"])
def test_a_trial_s_directory_leads_nowhere_else(link, tmp_path):
    Path(tmp_path / "outside").mkdir()
    Path(link).parent.mkdir(parents=True)
    Path(link).symlink_to(tmp_path / "outside")
    with pytest.raises(StudyError, match=f"{link}: must be a folder, and no link to one; remove it"):
        _ = TrialSpec({}, 0, Path("trials/3")).directory
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", ABILITIES)
def test_the_training_has_every_ability_but_those_of_others_and_a_function_has_none(name):
    training = pytest.importorskip("hpo_pipeline.objective.training").Training(device="cpu")
    assert isinstance(training, getattr(objective, name)) == (name not in OF_OTHERS)
    assert not isinstance(Function(), getattr(objective, name))
