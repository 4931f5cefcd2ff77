"""Studies that earlier versions began, kept as they wrote them: they open, go on, and run again to the same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import journal, run, rung_table

from hpo_pipeline.records import VERSION

STUDIES = sorted((Path(__file__).parent / "older_studies").glob("version_*/*"))
"""Each was cut off by max_total_resource: trials are paused, or in the middle of a job."""


@pytest.fixture(params=STUDIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def study(request: pytest.FixtureRequest) -> Path:
    folder = Path("runs", request.param.name)
    shutil.copytree(request.param, folder)
    return folder


def test_there_is_one_of_every_earlier_version():
    assert {path.parent.name for path in STUDIES} == {f"version_{version}" for version in range(1, VERSION)}


def test_one_that_goes_on_ends_as_one_that_was_never_cut_off(study: Path):
    before = rung_table(journal(study.name))
    assert run(f"name={study.name}", "resume=true", "max_total_resource=null").code == 0
    config = ("--config-path", str(study), "--config-name", "config")
    assert run(*config, "name=whole", "max_total_resource=null").code == 0
    after = rung_table(journal(study.name))
    assert after == rung_table(journal("whole"))
    assert sum(map(len, after.values())) > sum(map(len, before.values()))
    for rung, trials in before.items():
        assert trials.items() <= after[rung].items()


def test_its_config_runs_again_to_the_same_table(study: Path):
    assert run("--config-path", str(study), "--config-name", "config", "name=again").code == 0
    assert rung_table(journal("again")) == rung_table(journal(study.name))
