"""Studies written by hand, as the records of their journals."""

from __future__ import annotations

import math

import pytest
from written_study import StudyBuilder


@pytest.fixture
def study() -> StudyBuilder:
    return StudyBuilder()


@pytest.fixture
def four_trials() -> StudyBuilder:
    """Trial 1 is best with 0.2 at epoch 2 (worse at 3); 0 is stopped, 2 failed, 3 diverged."""
    study = StudyBuilder()
    study.trial(0, [0.5], "STOPPED", {"optimizer.lr": 0.5, "model.activation": "relu"})
    study.trial(1, [0.4, 0.2, 0.3], "COMPLETED", {"optimizer.lr": 1e-05, "model.n_units": 64})
    study.job(2, 3, config={"optimizer.lr": 0.25})
    study.fail(2, "ValueError: too wide")
    study.trial(3, [math.nan], "STOPPED", {"optimizer.lr": 1.0})
    return study
